// Room: tools. `mneme doctor`: is this machine fit to work with, and where is it not.
#include "attention/cases.hpp"
#include "autodiff/products.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/environment.hpp"
#include "tools/commands.hpp"
#include "tools/subprocess.hpp"
#include "tools/terminal.hpp"
#include "trace/hdf5.hpp"

#include <unistd.h>
#include <xsimd/xsimd.hpp>

#include <thread>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

struct Finding {
  std::string status;  ///< ok, warn, fail
  std::string text;
};

Finding ok(std::string text) {
  return {"ok", std::move(text)};
}
Finding warn(std::string text) {
  return {"warn", std::move(text)};
}
Finding bad(std::string text) {
  return {"fail", std::move(text)};
}

Finding program() {
  const BuildInfo& b = build_info();
  const std::string text = fmt::format("mneme {}, {}, {}", b.version, b.compiler, b.build_type);
  if (std::string(b.build_type) == "Debug") return warn(text + ": a debug build is many times slower");
  if (std::string(b.flags).find("-fsanitize") != std::string::npos) return warn(text + " with sanitizers: slow");
  return ok(text);
}

Finding processor() {
  const Json e = parse_json(experiments::environment_json());
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  return ok(fmt::format("{}, {} thread{}", e.value("cpu", "unknown"), cores, cores == 1 ? "" : "s"));
}

Finding simd() {
  const auto have = xsimd::available_architectures();
  std::string best = "sse2";
  if (have.avx2) best = "avx2";
  if (have.fma3_avx2) best = "fma3+avx2";
  if (have.avx512f) best = "avx512f";
  const std::string text = fmt::format("compiled for {}, the CPU has {}", xsimd::default_arch::name(), best);
  const bool narrow = have.avx2 && xsimd::default_arch::version() < xsimd::avx2::version();
  return narrow ? warn(text + ": a build for x86-64-v3 is several times faster") : ok(text);
}

Finding blas() {
  use_one_blas_thread();
  return ok(blas_name() + ", one thread inside; parallelism is over shards");
}

Finding hdf5() {
  const fs::path path = fs::temp_directory_path() / fmt::format("mneme-doctor-{}.h5", ::getpid());
  Finding finding = ok("a file was written and read back");
  try {
    {
      trace::File f = trace::File::create(path);
      const float values[] = {1, 2, 3};
      f.write("/values", {3}, values);
      f.close();
    }
    const std::vector<float> back = trace::File::open(path).read<float>("/values");
    if (back != std::vector<float>{1, 2, 3}) finding = bad("what was read is not what was written");
  } catch (const Error& e) {
    finding = bad(e.what());
  }
  std::error_code ignored;
  fs::remove(path, ignored);
  return finding;
}

Finding gnuplot() {
  const auto version = run_program({"gnuplot", "--version"});
  if (!version) return warn("not installed: 'trace render' writes data and script only (apt-get install gnuplot-nox)");
  std::string text = version->output.substr(0, version->output.find('\n'));
  const auto terminals =
      run_program({"gnuplot", "-e", "set terminal svg; set terminal pdfcairo; set terminal pngcairo"});
  if (!terminals || terminals->status != 0) return warn(text + ", without svg, pdfcairo or pngcairo");
  return ok(text + " with svg, pdfcairo and pngcairo");
}

Finding writing() {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (error) return bad("the current folder is gone");
  const fs::path probe = here / fmt::format(".mneme-doctor-{}", ::getpid());
  try {
    trace::write_text_atomically(probe, "x");
  } catch (const Error& e) {
    return warn(fmt::format("{} cannot be written to: give 'train' an --out DIR elsewhere", here.string()));
  }
  fs::remove(probe, error);
  const fs::space_info space = fs::space(here, error);
  const double gb = error ? 0 : static_cast<double>(space.available) / 1e9;
  const std::string text = fmt::format("{} can be written to, {:.1f} GB free", here.string(), gb);
  return gb < 1 ? warn(text) : ok(text);
}

Finding presets() {
  const auto all = experiments::presets();
  for (const auto& p : all) {
    try {
      experiments::Config::load(p.name);
    } catch (const Error& e) {
      return bad(fmt::format("{}: {}", p.name, e.what()));
    }
  }
  std::size_t own = 0;
  for (const auto& p : all) own += !p.path.empty();
  return ok(fmt::format("{} built in, {} from $MNEME_CONFIGS, all valid", all.size() - own, own));
}

Finding gradients() {
  double worst = 0;
  std::size_t checks = 0;
  for (auto* cases : {&gradient_cases, &attention_cases})
    for (const GradientCase& c : cases()) {
      const GradientResult r = check_case(c);
      if (!r.ok()) return bad(fmt::format("{}: {}", c.label(), r.text()));
      worst = std::max(worst, r.error);
      ++checks;
    }
  return ok(fmt::format("{} checks of ops, largest error {:.1e}; 'gradcheck --all' checks everything", checks, worst));
}

Finding speed() {
  const auto config = experiments::Config::load("copy_ntm");
  const auto r = experiments::report(config, 1);
  if (!(r.seconds_per_sequence > 0)) return bad("copy_ntm could not be timed");
  return ok(fmt::format("copy_ntm: {:.2f} ms a sequence, {:.0f} sequences a second", 1e3 * r.seconds_per_sequence,
                        1 / r.seconds_per_sequence));
}

struct Check {
  const char* name;
  Finding (*run)();
};

int run(const Arguments& a) {
  const std::vector<Check> checks = {
      {"program", program}, {"cpu", processor},   {"simd", simd},       {"blas", blas},           {"hdf5", hdf5},
      {"gnuplot", gnuplot}, {"writing", writing}, {"presets", presets}, {"gradients", gradients}, {"speed", speed}};
  Json list = Json::array();
  std::size_t failed = 0;
  for (const Check& c : checks) {
    Finding f;
    try {
      f = c.run();
    } catch (const std::exception& e) {
      f = bad(e.what());
    }
    failed += f.status == "fail";
    list.push_back({{"check", c.name}, {"status", f.status}, {"text", f.text}});
    const char* color = f.status == "ok" ? "32" : f.status == "warn" ? "33" : "31";
    if (!a.json())
      put(fmt::format("{} {:<10} {}\n", styled(fmt::format("{:<4}", f.status), color), c.name, printable(f.text)),
          true);
  }
  if (a.json()) {
    const Json j = {
        {"ok", failed == 0}, {"checks", list}, {"environment", parse_json(experiments::environment_json())}};
    print("{}\n", json_text(j, 2));
  }
  if (failed) say(fmt::format("mneme: {} of {} checks failed", failed, checks.size()));
  return failed ? kFailure : kOk;
}

}  // namespace

Command doctor_command() {
  Command c;
  c.name = "doctor";
  c.summary = "is this machine fit: versions, CPU, libraries, files, gradients, speed";
  c.examples = {{"doctor", "a line for each check: ok, warn or fail; exit 1 where one fails"},
                {"doctor --json", "to send along with a question"}};
  c.flags.flag("--json", false, "JSON on stdout");
  c.run = run;
  return c;
}

}  // namespace mneme::tools
