// Room: experiments. What a run ran on.
#include "experiments/run/environment.hpp"

#include "autodiff/products.hpp"
#include "core/build_info.hpp"
#include "core/json.hpp"
#include "trace/hdf5.hpp"

#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cstring>
#include <ctime>
#include <fstream>
#include <thread>
#include <xsimd/xsimd.hpp>
#include <xtensor/xtensor_config.hpp>
#include <xtl/xtl_config.hpp>

namespace mneme::experiments {

namespace {

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(std::min(line.find(':') + 2, line.size()));
  return "unknown";
}

std::string time_text(const std::tm& time, const char* format) {
  char text[64];
  std::strftime(text, sizeof text, format, &time);
  return text;
}

}  // namespace

std::string environment_json() {
  const BuildInfo& build = build_info();
  utsname system{};
  uname(&system);
  Json j;
  j["version"] = build.version;
  j["git_rev"] = build.git_rev;
  j["git_dirty"] = build.git_dirty;
  j["compiler"] = build.compiler;
  j["flags"] = build.flags;
  j["build_type"] = build.build_type;
  j["cpu"] = cpu_name();
  j["cores"] = std::thread::hardware_concurrency();
  j["blas"] = blas_name();
  j["blas_threads"] = 1;  // use_one_blas_thread()
  j["libraries"] = {
      {"xtensor", fmt::format("{}.{}.{}", XTENSOR_VERSION_MAJOR, XTENSOR_VERSION_MINOR, XTENSOR_VERSION_PATCH)},
      {"xtl", fmt::format("{}.{}.{}", XTL_VERSION_MAJOR, XTL_VERSION_MINOR, XTL_VERSION_PATCH)},
      {"xsimd", fmt::format("{}.{}.{}", XSIMD_VERSION_MAJOR, XSIMD_VERSION_MINOR, XSIMD_VERSION_PATCH)},
      {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
      {"nlohmann_json",
       fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
      {"hdf5", trace::library_version()},
  };
  j["simd"] = xsimd::default_arch::name();
  j["os"] = std::string(system.sysname) + " " + system.release;
  j["host"] = system.nodename;
  return json_text(j, 2);
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  return time_text(*gmtime_r(&now, &parts), "%Y-%m-%dT%H:%M:%SZ");
}

std::string local_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  return time_text(*localtime_r(&now, &parts), "%Y%m%d-%H%M%S");
}

double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace mneme::experiments
