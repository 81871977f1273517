// Room: benchmarks. Whole training steps of copy_ntm: by hand, ours, and as a run makes them. `sequences` is what
// counts: sequences a second; the rest is a step's. Figures for docs/performance.md come from benchmarks/report.
#include "autodiff/products.hpp"
#include "benchmarks/handwritten_ntm.hpp"
#include "benchmarks/steps.hpp"
#include "experiments/run/session.hpp"

#include <benchmark/benchmark.h>

namespace mneme::bench {

namespace {

Case case_of(const benchmark::State& state, bool mixed, std::size_t shard_rows = 8) {
  const auto rows = static_cast<std::size_t>(state.range(0)), low = static_cast<std::size_t>(state.range(1)),
             high = static_cast<std::size_t>(state.range(2));
  use_one_blas_thread();
  return mixed ? mixed_case(rows, 20, shard_rows) : one_length_case(rows, low, high, shard_rows);
}

void count(benchmark::State& state, const Case& c) {
  state.SetLabel(c.name);
  state.counters["sequences"] =
      benchmark::Counter(static_cast<double>(c.sequences()), benchmark::Counter::kIsIterationInvariantRate);
}

void step_model(benchmark::State& state, bool mixed, std::size_t shard_rows) {
  const Case c = case_of(state, mixed, shard_rows);
  ModelStep<float> model(copy_ntm({"train.batch=" + std::to_string(c.rows())}));
  for (auto _ : state) {
    for (const auto& shards : c.shards) {
      model.gradient(shards);
      model.update();
    }
  }
  count(state, c);
  state.counters["nodes"] = static_cast<double>(model.nodes());
  state.counters["arena"] = benchmark::Counter(static_cast<double>(model.arena_bytes()), benchmark::Counter::kDefaults,
                                               benchmark::Counter::OneK::kIs1024);
}

/// copy_ntm with so many read heads: the argument after B.
void step_heads(benchmark::State& state) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  use_one_blas_thread();
  const Case c = one_length_case(rows, 10, 10);
  ModelStep<float> model(
      copy_ntm({"train.batch=" + std::to_string(rows), "memory.read-heads=" + std::to_string(state.range(1))}));
  for (auto _ : state) {
    for (const auto& shards : c.shards) {
      model.gradient(shards);
      model.update();
    }
  }
  count(state, c);
}

void step_handwritten(benchmark::State& state, std::size_t shard_rows) {
  const Case c = case_of(state, false, shard_rows);
  ModelStep<float> model(copy_ntm());
  HandwrittenNtm<float> hand(model.parameters(), {.transposed = c.shards[0][0].size > 2});
  for (auto _ : state) {
    for (const auto& shards : c.shards) {
      hand.begin();
      for (const Batch& b : shards) hand.add_shard(b, 1 / static_cast<double>(c.rows()));
      hand.update(1e-4);
    }
  }
  count(state, c);
}

void step_run(benchmark::State& state, int threads) {
  use_one_blas_thread();
  const auto rows = static_cast<std::size_t>(state.range(0));
  const std::string length = std::to_string(state.range(1)) + ":" + std::to_string(state.range(2));
  experiments::Session session(copy_ntm({"train.batch=" + std::to_string(rows), "task.length=" + length}), threads);
  std::uint64_t update = 0;
  for (auto _ : state) {
    session.step(update * rows, update + 1);
    ++update;
  }
  state.SetLabel("lengths " + length);
  state.counters["sequences"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate);
}

// Arguments: B, shortest and longest length. An iteration is an update for each of the lengths (mixed: 20 updates).
void arguments(benchmark::internal::Benchmark* b) {
  b->ArgNames({"B", "low", "high"});
  for (const int rows : {1, 4, 16, 128}) b->Args({rows, 10, 10});
  for (const int rows : {1, 16}) b->Args({rows, 1, 20});
}
BENCHMARK_CAPTURE(step_handwritten, shards_of_8, 8)->Apply(arguments);
BENCHMARK_CAPTURE(step_handwritten, whole, 1024)
    ->ArgNames({"B", "low", "high"})
    ->Args({16, 10, 10})
    ->Args({128, 10, 10});
BENCHMARK_CAPTURE(step_model, shards_of_8, false, 8)->Apply(arguments);
BENCHMARK_CAPTURE(step_model, whole, false, 1024)
    ->ArgNames({"B", "low", "high"})
    ->Args({16, 10, 10})
    ->Args({128, 10, 10});
BENCHMARK_CAPTURE(step_model, mixed_masked, true, 8)->ArgNames({"B", "low", "high"})->Args({16, 1, 20});
BENCHMARK(step_heads)->ArgNames({"B", "readers"})->ArgsProduct({{1, 16}, {1, 4}});
// Of one length: the session draws its own.
void run_arguments(benchmark::internal::Benchmark* b) {
  b->ArgNames({"B", "low", "high"});
  for (const int rows : {1, 4, 16, 128}) b->Args({rows, 10, 10});
}
BENCHMARK_CAPTURE(step_run, one_thread, 1)->Apply(run_arguments);
BENCHMARK_CAPTURE(step_run, two_threads, 2)->Apply(run_arguments)->UseRealTime();

}  // namespace

}  // namespace mneme::bench
