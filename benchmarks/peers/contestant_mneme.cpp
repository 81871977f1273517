// Room: benchmarks. Our side of the comparison: exports what all contestants are given, and times our step.
//
//   contestant_mneme DIR export [BABI]       weights, batches, and the loss and gradient that they must give
//   contestant_mneme DIR check               the hand-written step against the same
//   contestant_mneme DIR time WHO T CASE...  one line a case: CPU ms and wall ms a sequence; WHO: model, handwritten,
//   run
//
// DIR/cases.txt                 NAME BATCHES ROWS
// DIR/weights/                  as `mneme checkpoint export --format npy`; no parameter stands at its initial value
// DIR/CASE/I.{dense,target,scored}.npy       [T B C], [T B K] and [T B], float32
// DIR/CASE/{loss,gradient.PARAMETER}.npy     of batch 0, float64
//
// Stories (MemN2N) have lists and weights of their own; BABI holds the published files, else stories are made up:
// DIR/stories.txt, DIR/stories_from.txt      as cases.txt; BABI
// DIR/CASE/weights/, DIR/CASE/answers.npy    the word of each class, -1 for none
// DIR/CASE/I.{story,question,answer}.npy     [B N W], [B T] and [B], int32, -1 = no word
#include "autodiff/products.hpp"
#include "benchmarks/handwritten_ntm.hpp"
#include "benchmarks/steps.hpp"
#include "core/batch.hpp"
#include "core/random.hpp"
#include "experiments/exchange/weights.hpp"
#include "experiments/run/session.hpp"

#include <xtensor/xadapt.hpp>
#include <xtensor/xnpy.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>

// Every allocation of ours goes through operator new; OpenBLAS's own small buffers do not.
namespace {
std::atomic<std::size_t> allocations{0};
void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  if (void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)) return p;
  throw std::bad_alloc();
}
}  // namespace
void* operator new(std::size_t n) {
  return counted(n, alignof(std::max_align_t));
}
void* operator new[](std::size_t n) {
  return counted(n, alignof(std::max_align_t));
}
void* operator new(std::size_t n, std::align_val_t a) {
  return counted(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a) {
  return counted(n, static_cast<std::size_t>(a));
}
// clang-format off
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
// clang-format on

namespace mneme::bench {

namespace {

namespace fs = std::filesystem;

std::map<std::string, Case> all_cases() {
  std::map<std::string, Case> cases;
  for (const std::size_t rows : {1, 16}) {
    cases["length_10_b" + std::to_string(rows)] = one_length_case(rows, 10, 10);
    cases["length_1_20_b" + std::to_string(rows)] = one_length_case(rows, 1, 20);
  }
  cases["mixed_b16"] = mixed_case(16, 20);
  return cases;
}

const std::map<std::string, int> stories = {{"story_1", 1}, {"story_2", 2}, {"story_3", 3}};

/// The published files, or "" for stories of our own: what export was told.
std::string stories_from(const fs::path& dir) {
  std::ifstream in(dir / "stories_from.txt");
  std::string data;
  std::getline(in, data);
  return data;
}

template <class T>
void write_npy(const fs::path& path, const std::vector<std::size_t>& shape, const T* data) {
  std::size_t n = 1;
  for (const std::size_t d : shape) n *= d;
  xt::dump_npy(path.string(), xt::adapt(data, n, xt::no_ownership(), shape));
}

std::vector<std::size_t> extents(const Shape& s) {
  std::vector<std::size_t> e;
  for (std::size_t a = 0; a < s.rank(); ++a) e.push_back(s[a]);
  return e;
}

/// Away from the initial values, where many gradients are zero or alike; numbers that float32 holds, so that everybody
/// has the same.
template <class T>
void disturb(ParameterSet<T>& set) {
  for (std::size_t p = 0; p < set.parameters().size(); ++p) {
    Random random(7, "disturb", p);
    for (std::size_t i = 0; i < set.parameters()[p].shape.size(); ++i)
      set.value(p)[i] = static_cast<float>(set.value(p)[i] + static_cast<T>(0.05 * random.normal()));
  }
  set.refresh();
}

void export_weights(const fs::path& dir, ModelStep<double>& model) {
  const auto& parameters = model.parameters().parameters();
  experiments::Weights weights;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const double* values = model.parameters().value(i);
    weights.arrays.push_back(
        {parameters[i].name, extents(parameters[i].shape), {values, values + parameters[i].shape.size()}});
  }
  experiments::write_weights(dir / "weights", "npy", weights);
}

/// Loss and gradient of the first batch.
void export_wanted(const fs::path& dir, ModelStep<double>& model, const Case& c) {
  const double loss = model.gradient({c.batches[0]});
  write_npy(dir / "loss.npy", {}, &loss);
  for (const Parameter& p : model.parameters().parameters())
    write_npy(dir / ("gradient." + p.name + ".npy"), extents(p.shape), model.flat_gradient() + p.offset);
}

void export_stories(const fs::path& dir, const std::string& data) {
  std::ofstream(dir / "stories_from.txt") << data << '\n';
  std::ofstream list(dir / "stories.txt");
  for (const auto& [name, number] : stories) {
    const experiments::Config config = memn2n(number, data);
    const Case c = story_case(config);
    ModelStep<double> model(config);
    disturb(model.parameters());
    list << name << ' ' << c.batches.size() << ' ' << c.rows() << '\n';
    export_weights(dir / name, model);
    export_wanted(dir / name, model, c);
    const auto answers = tasks().find(config.task).make(config.task_options)->spec().output_tokens;
    write_npy(dir / name / "answers.npy", {answers.size()}, answers.data());
    for (std::size_t i = 0; i < c.batches.size(); ++i) {
      const Batch& b = c.batches[i];
      const std::string stem = std::to_string(i);
      const std::size_t longest = *std::max_element(b.items.count.begin(), b.items.count.end());
      const std::size_t given = b.items.tokens.shape()[1], words = b.items.tokens.shape()[2];
      std::vector<std::int32_t> story, question, answer;
      for (std::size_t r = 0; r < b.size; ++r) {
        const std::int32_t* from = b.items.tokens.data() + r * given * words;
        story.insert(story.end(), from, from + longest * words);
        for (std::size_t t = 0; t < b.steps; ++t) question.push_back(b.tokens(t, r));
        answer.push_back(b.target.indices(b.lengths[r] - 1, r));
      }
      write_npy(dir / name / (stem + ".story.npy"), {b.size, longest, words}, story.data());
      write_npy(dir / name / (stem + ".question.npy"), {b.size, b.steps}, question.data());
      write_npy(dir / name / (stem + ".answer.npy"), {b.size}, answer.data());
    }
  }
}

void export_all(const fs::path& dir) {
  ModelStep<double> model(copy_ntm());
  disturb(model.parameters());
  export_weights(dir, model);
  std::ofstream list(dir / "cases.txt");
  for (const auto& [name, c] : all_cases()) {
    fs::create_directories(dir / name);
    list << name << ' ' << c.batches.size() << ' ' << c.rows() << '\n';
    for (std::size_t i = 0; i < c.batches.size(); ++i) {
      const Batch& b = c.batches[i];
      const std::string stem = std::to_string(i);
      const auto& dense = b.dense.shape();
      const auto& target = b.target.values.shape();
      write_npy(dir / name / (stem + ".dense.npy"), {dense[0], dense[1], dense[2]}, b.dense.data());
      write_npy(dir / name / (stem + ".target.npy"), {target[0], target[1], target[2]}, b.target.values.data());
      std::vector<float> scored(b.target.scored.begin(), b.target.scored.end());
      write_npy(dir / name / (stem + ".scored.npy"), {b.steps, b.size}, scored.data());
    }
    export_wanted(dir / name, model, c);
  }
}

/// Largest |a - b| of a tensor over its largest |b|, over all tensors.
template <class T>
double worst(const std::map<std::string, std::vector<T>>& theirs, ModelStep<double>& ours) {
  double result = 0;
  for (const Parameter& p : ours.parameters().parameters()) {
    const double* g = ours.flat_gradient() + p.offset;
    double gap = 0, top = 1e-30;
    for (std::size_t i = 0; i < p.shape.size(); ++i) {
      gap = std::max(gap, std::abs(static_cast<double>(theirs.at(p.name)[i]) - g[i]));
      top = std::max(top, std::abs(g[i]));
    }
    result = std::max(result, gap / top);
  }
  return result;
}

template <class T>
void check(const std::string& name, const Case& c, const experiments::Config& config, const std::string& who) {
  ModelStep<double> ours(config);
  disturb(ours.parameters());
  const double loss = ours.gradient({c.batches[0]});
  ModelStep<T> same(config);
  disturb(same.parameters());
  double other = 0, gap = 0;
  if (who == "model") {
    other = same.gradient(c.shards[0]);
    std::map<std::string, std::vector<T>> g;
    for (const Parameter& p : same.parameters().parameters())
      g[p.name].assign(same.flat_gradient() + p.offset, same.flat_gradient() + p.offset + p.shape.size());
    gap = worst(g, ours);
  } else {
    HandwrittenNtm<T> hand(same.parameters());
    for (const Batch& b : c.shards[0]) other += hand.add_shard(b, 1 / static_cast<double>(c.rows()));
    gap = worst(hand.gradient(), ours);
  }
  std::printf("%s %s float%zu loss %.2e gradient %.2e\n", who.c_str(), name.c_str(), 8 * sizeof(T),
              std::abs(other - loss) / std::abs(loss), gap);
}

double seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Whole passes over the case for at least half a second, after one to warm up. The CPU time is that of all threads.
template <class F>
void time_passes(const std::string& name, std::size_t sequences, F pass) {
  pass();
  const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
  std::size_t n = 0;
  do {
    pass();
    n += sequences;
  } while (seconds(CLOCK_MONOTONIC) - wall < 0.5);
  const double per = 1e3 / static_cast<double>(n);
  std::printf("%s %.6f %.6f\n", name.c_str(), (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * per,
              (seconds(CLOCK_MONOTONIC) - wall) * per);
  std::fflush(stdout);
}

void time_model(const std::string& name, const Case& c, const experiments::Config& config) {
  ModelStep<float> model(config);
  time_passes(name, c.sequences(), [&] {
    for (const auto& shards : c.shards) {
      model.gradient(shards);
      model.update();
    }
  });
}

void time_handwritten(const std::string& name, const Case& c) {
  ModelStep<float> model(copy_ntm());
  HandwrittenNtm<float> hand(model.parameters(), {.transposed = c.shards[0][0].size > 2});
  time_passes(name, c.sequences(), [&] {
    for (const auto& shards : c.shards) {
      hand.begin();
      for (const Batch& b : shards) hand.add_shard(b, 1 / static_cast<double>(c.rows()));
      hand.update(1e-4);
    }
  });
}

/// A training run's own step, with sampling, metrics and threads. Its sequences are its own: their mean length is put
/// right by the number of steps.
void time_run(const std::string& name, const Case& c, int threads) {
  const bool mixed = name.starts_with("mixed");
  const std::string length = name.starts_with("length_10_b") ? "10:10" : "1:20";
  experiments::Session session(copy_ntm({"train.batch=" + std::to_string(c.rows()), "task.length=" + length,
                                         std::string("task.mixed-lengths=") + (mixed ? "true" : "false")}),
                               threads);
  const std::size_t updates = mixed ? c.batches.size() : c.batches.size() == 1 ? 50 : 400;  // mixed: the same sequences
  double wanted = 0, done = 0;
  for (const Batch& b : c.batches) wanted += static_cast<double>(b.steps) / static_cast<double>(c.batches.size());
  Batch batch;
  for (std::size_t u = 0; u < updates && !mixed; ++u) {
    session.task().sample({.seed = session.config().seed, .first = u * c.rows(), .rows = 1}, batch);
    done += static_cast<double>(batch.steps) / static_cast<double>(updates);
  }
  const double scale = mixed ? 1 : done / wanted;
  time_passes(name, static_cast<std::size_t>(static_cast<double>(updates * c.rows()) * scale + 0.5), [&] {
    for (std::size_t u = 0; u < updates; ++u) session.step(u * c.rows(), u + 1);
  });
}

/// Best of many, so that a neighbour's noise does not flatter the share of it that a step reaches.
void time_sgemm() {
  struct Size {
    std::size_t m, n, k;
  };
  for (const Size s : {Size{1024, 1024, 1024}, Size{1, 400, 129}, Size{8, 400, 129}, Size{16, 400, 129}}) {
    std::vector<float> a(s.m * s.k, 0.5f), b(s.k * s.n, 0.5f), c(s.m * s.n);
    const double flops = 2.0 * static_cast<double>(s.m * s.n * s.k);
    const int inner = std::max(1, static_cast<int>(2e7 / flops));
    double best = 1e30;
    for (int round = 0; round < 20; ++round) {
      const double start = seconds(CLOCK_THREAD_CPUTIME_ID);
      for (int i = 0; i < inner; ++i) gemm<float>(false, false, s.m, s.n, s.k, a.data(), b.data(), c.data(), false);
      best = std::min(best, (seconds(CLOCK_THREAD_CPUTIME_ID) - start) / inner);
    }
    std::printf("%zux%zux%zu %.2f\n", s.m, s.n, s.k, 1e-9 * flops / best);
  }
}

double megabytes(const char* field) {
  std::ifstream in("/proc/self/status");
  std::string word;
  while (in >> word)
    if (word == field) return in >> word, std::stod(word) / 1024;
  return 0;
}

void show_memory() {
  const double before = megabytes("VmRSS:");
  experiments::Session session(copy_ntm({"train.batch=16", "task.length=20:20"}), 1);
  for (std::uint64_t u = 0; u < 5; ++u) session.step(16 * u, u + 1);
  const std::size_t start = allocations;
  for (std::uint64_t u = 5; u < 105; ++u) session.step(16 * u, u + 1);
  std::printf("allocations_an_update %.2f\ntape_mb %.1f\nrun_mb %.1f\npeak_process_mb %.1f\n",
              static_cast<double>(allocations - start) / 100, static_cast<double>(session.step_bytes()) / 1048576,
              megabytes("VmRSS:") - before, megabytes("VmHWM:"));
}

}  // namespace

}  // namespace mneme::bench

int main(int argc, char** argv) {
  using namespace mneme::bench;
  mneme::use_one_blas_thread();
  const std::string dir = argc > 1 ? argv[1] : "", what = argc > 2 ? argv[2] : "";
  if (what == "export") {
    export_all(dir);
    export_stories(dir, argc > 3 ? argv[3] : "");
  } else if (what == "check") {
    for (const auto& [name, c] : all_cases())
      for (const std::string who : {"model", "handwritten"})
        if (who == "model" || !name.starts_with("mixed")) {
          check<double>(name, c, copy_ntm(), who);
          check<float>(name, c, copy_ntm(), who);
        }
    for (const auto& [name, number] : stories) {
      const auto config = memn2n(number, stories_from(dir));
      check<float>(name, story_case(config), config, "model");
    }
  } else if (what == "time" && argc > 4) {
    const std::string who = argv[3];
    for (int i = 5; i < argc; ++i) {
      const std::string name = argv[i];
      if (const auto story = stories.find(name); story != stories.end()) {
        const auto config = memn2n(story->second, stories_from(dir));
        time_model(name, story_case(config), config);
        continue;
      }
      const Case c = all_cases().at(name);
      if (who == "model") time_model(name, c, copy_ntm({"train.batch=" + std::to_string(c.rows())}));
      if (who == "handwritten") time_handwritten(name, c);
      if (who == "run") time_run(name, c, std::atoi(argv[4]));
    }
  } else if (what == "sgemm") {
    time_sgemm();
  } else if (what == "memory") {
    show_memory();
  } else if (what == "versions") {
    std::printf("%s\n", mneme::blas_name().c_str());
  } else {
    std::fprintf(stderr,
                 "contestant_mneme DIR export [BABI] | check | versions | sgemm | memory | time WHO THREADS CASE...\n");
    return 2;
  }
  return 0;
}
