// Room: tools. `mneme bench`: what a training step costs on this machine, with nothing but the program itself.
//
// Steps are those of a run (experiments/run/session.hpp). benchmarks/ has the kernels, the step by hand and the peers.
#include "autodiff/products.hpp"
#include "core/batch.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "experiments/compare/restarts.hpp"
#include "experiments/run/environment.hpp"
#include "experiments/run/session.hpp"
#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>

namespace mneme::tools {

namespace {

using experiments::Config;
using experiments::Session;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// One kind of step; a round is the same sequences each time, so rounds differ in nothing but the machine.
struct Contestant {
  Contestant(std::string what, const Config& config, int workers, std::uint64_t about)
      : name(std::move(what)), threads(workers), session(config, workers) {
    updates = std::max<std::uint64_t>(about / session.batch(), 1);
    sequences = static_cast<double>(updates * session.batch());
    Batch batch;
    for (std::uint64_t i = 0; i < updates; ++i) {
      stop_if_signalled();
      session.task().sample({config.seed, "task", i * session.batch(), 0, session.batch()}, batch);
      for (const std::uint32_t length : batch.lengths) time_steps += length;
    }
  }

  double round() {
    const Clock::time_point begin = Clock::now();
    for (std::uint64_t i = 0; i < updates; ++i) {
      stop_if_signalled();
      if (!session.step(i * session.batch(), ++update).finite)
        fail<NonFiniteError>("bench", "{} at batch {} is not finite any more after {} updates", name, session.batch(),
                             update);
    }
    return seconds_since(begin);
  }

  /// Keeps the fastest of them: nobody else was in its way.
  void metered_round() {
    const ProductMeter meter;  // of this thread, so for one thread only
    const double s = round();
    if (metered_seconds > 0 && s >= metered_seconds) return;
    metered_seconds = s;
    share = meter.seconds / s;
    rate = meter.operations / meter.seconds;
  }

  std::string name;
  int threads;
  Session session;
  std::uint64_t updates = 1, update = 0;
  double sequences = 0, time_steps = 0;  ///< of a round
  std::vector<double> seconds;           ///< of each round
  double metered_seconds = 0;            ///< 0 = not metered
  double share = 0, rate = 0;            ///< of products in a step; their operations a second
};

/// Operations a second of a product large enough for the BLAS to show what it can do.
double best_sgemm() {
  constexpr std::size_t n = 512;
  const std::vector<float> a(n * n, 0.5f), b(n * n, 0.25f);
  std::vector<float> c(n * n);
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    const Clock::time_point begin = Clock::now();
    gemm<float>(false, false, n, n, n, a.data(), b.data(), c.data(), false);
    best = std::max(best, 2.0 * n * n * n / seconds_since(begin));
  }
  return best;
}

int run(const Arguments& a) {
  const std::string& preset = a.options.text("--preset");
  const auto rounds = static_cast<std::size_t>(a.options.integer("--rounds"));
  const auto about = static_cast<std::uint64_t>(a.options.integer("--sequences"));
  const auto sized = [](const Config& config, int batch) {
    return config.with({{"train.batch", std::to_string(batch), "bench"}});
  };
  const Config config = Config::load(preset);
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));

  std::deque<Contestant> all;
  all.emplace_back(preset, sized(config, 1), 1, about);
  all.emplace_back(preset, sized(config, 16), 1, about);
  if (cores > 1 && all.back().session.shards() > 1) all.emplace_back(preset, sized(config, 16), 2, about);
  if (!config.memory.empty() && config.memory != "none") {  // what the memory costs
    const Config bare = Config::load(preset, {{"memory", "none", "bench"}});
    const std::string label = bare.controller + " alone";
    all.emplace_back(label, sized(bare, 1), 1, about);
    all.emplace_back(label, sized(bare, 16), 1, about);
  }

  use_one_blas_thread();
  double sgemm = 0;
  {
    Progress bar;
    const std::size_t metered = std::min<std::size_t>(rounds, 3), turns = (1 + rounds + metered) * all.size();
    std::size_t turn = 0;
    const auto show = [&](const Contestant& c) {
      bar.show(
          turn++, turns,
          fmt::format("{}, batch {}, {} thread{}", c.name, c.session.batch(), c.threads, c.threads == 1 ? "" : "s"));
    };
    for (Contestant& c : all) {
      show(c);
      c.round();  // warms up
    }
    sgemm = best_sgemm();
    // Interleaved, so that a busy minute does not fall on one of them.
    for (std::size_t r = 0; r < rounds; ++r)
      for (Contestant& c : all) {
        show(c);
        c.seconds.push_back(c.round());
      }
    for (std::size_t r = 0; r < metered; ++r)
      for (Contestant& c : all) {
        show(c);
        if (c.threads == 1) c.metered_round();
      }
  }

  const Json environment = parse_json(experiments::environment_json());
  Json list = Json::array();
  Table table({"step", ">batch", ">threads", ">sequences/s", ">ms/sequence", ">min..max", ">us/time step",
               ">in products", ">GFLOP/s"});
  for (const Contestant& c : all) {
    std::vector<double> ms;
    for (const double s : c.seconds) ms.push_back(1e3 * s / c.sequences);
    const double middle = *experiments::median(ms, ms.size()), least = *std::min_element(ms.begin(), ms.end()),
                 most = *std::max_element(ms.begin(), ms.end());
    const double step = 1e3 * middle * c.sequences / c.time_steps;
    const bool metered = c.metered_seconds > 0;
    table.add(
        {c.name, std::to_string(c.session.batch()), std::to_string(c.threads), fmt::format("{:.0f}", 1e3 / middle),
         fmt::format("{:.3f}", middle), fmt::format("{:.3f}..{:.3f}", least, most), fmt::format("{:.2f}", step),
         metered ? fmt::format("{:.0f} %", 100 * c.share) : "", metered ? fmt::format("{:.1f}", 1e-9 * c.rate) : ""});
    list.push_back({{"step", c.name},
                    {"batch", c.session.batch()},
                    {"threads", c.threads},
                    {"sequences_per_second", 1e3 / middle},
                    {"ms_per_sequence", middle},
                    {"ms_per_sequence_min", least},
                    {"ms_per_sequence_max", most},
                    {"us_per_time_step", step},
                    {"time_steps_per_sequence", c.time_steps / c.sequences},
                    {"product_share", metered ? Json(c.share) : Json(nullptr)},
                    {"product_gflops", metered ? Json(1e-9 * c.rate) : Json(nullptr)}});
  }
  if (a.json()) {
    const Json j = {{"preset", preset},
                    {"rounds", rounds},
                    {"sequences_per_round", about},
                    {"sgemm_512_gflops", 1e-9 * sgemm},
                    {"results", list},
                    {"environment", environment}};
    print("{}\n", json_text(j, 2));
    return kOk;
  }
  print("cpu    {}, {} thread{}\n", environment.value("cpu", "unknown"), cores, cores == 1 ? "" : "s");
  print("build  mneme {} {}, {}, {}, {}\n", build_info().version, std::string(build_info().git_rev).substr(0, 12),
        build_info().compiler, build_info().build_type, environment.value("simd", "unknown"));
  print("blas   {}\n", blas_name());
  print("       one thread inside; sgemm of 512 x 512: {:.1f} GFLOP/s\n\n", 1e-9 * sgemm);
  put(table.text(), true);
  print("\nmedian of {} rounds of {} sequences, wall time; parallelism is over shards of the batch\n", rounds, about);
  return kOk;
}

}  // namespace

Command bench_command() {
  Command c;
  c.name = "bench";
  c.summary = "what a training step costs on this machine, at batch 1 and 16, with and without the memory";
  c.examples = {{"bench", "copy_ntm, about 20 seconds; let the machine be quiet"},
                {"bench --preset copy_ntm_ff --rounds 15", "another model; more rounds on a busy machine"},
                {"bench --json", "with all about program, CPU and libraries"}};
  c.flags.text("--preset", "copy_ntm", "preset, file or run")
      .integer("--rounds", 7, 1, 10000, "timed rounds of each step, interleaved; the median counts")
      .integer("--sequences", 960, 1, 1000000, "of each round")
      .flag("--json", false, "JSON on stdout");
  c.values = {{"--preset", "PRESET"}};
  c.notes =
      "A step is that of a run: sampling, forward, backward, clipping, update, metrics. 'in products' is the share\n"
      "of a step that matrix products take (our own for few rows, else sgemm) and GFLOP/s their speed, from rounds of\n"
      "their own. The last rows are the same model without its memory. mneme_bench, beside mneme in a build, times\n"
      "kernels.";
  c.heeds_signals = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
