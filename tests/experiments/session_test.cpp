// Training steps: what they depend on and what not, what they allocate, and the finite guard.
#include "experiments/run/session.hpp"
#include "core/batch.hpp"
#include "experiments/judge/reliance.hpp"

#include "experiments/judge/row_nats.hpp"
#include "experiments/run/checkpoint.hpp"
#include "tests/core/allocations.hpp"
#include "tests/experiments/support.hpp"
#include "trace/reader.hpp"
#include "trace/sink.hpp"

#include <cmath>
#include <limits>

namespace mneme::experiments {
namespace {

std::vector<double> train_steps(Session& s, int steps) {
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i)
    losses.push_back(s.step(static_cast<std::uint64_t>(i) * s.batch(), static_cast<std::uint64_t>(i) + 1).loss);
  return losses;
}

TEST(Session, ResultsDoNotDependOnThreads) {
  for (const char* loss : {"sequence", "element", "sum"}) {
    const Config c = small({{"train.batch", "13", ""},
                            {"train.shard-size", "4", ""},
                            {"train.loss", loss, ""},
                            {"train.learning-rate", "1e-4", ""},
                            {"task.mixed-lengths", "true", ""}});
    Session one(c, 1), two(c, 2), five(c, 5);
    EXPECT_EQ(one.shards(), 4u);
    const auto a = train_steps(one, 30), b = train_steps(two, 30), d = train_steps(five, 30);
    EXPECT_EQ(a, b);
    EXPECT_EQ(a, d);
    EXPECT_EQ(parameter_hash(one.parameters()), parameter_hash(two.parameters()));
    EXPECT_EQ(parameter_hash(one.parameters()), parameter_hash(five.parameters()));
    std::vector<double> e, f;
    one.evaluate({.count = 21, .rows = 4}, e);
    two.evaluate({.count = 21, .rows = 4}, f);
    EXPECT_EQ(e, f);
  }
}

// Enough numbers for several threads to sum some.
TEST(Session, SumsOverShardsDoNotDependOnThreads) {
  const Config c = small({{"train.batch", "5", ""}, {"train.shard-size", "1", ""}, {"controller.hidden", "100", ""}});
  Session one(c, 1), three(c, 3);
  EXPECT_EQ(one.shards(), 5u);
  EXPECT_GT(one.parameters().flat_size(), 40'000u);
  EXPECT_EQ(train_steps(one, 4), train_steps(three, 4));
  EXPECT_EQ(parameter_hash(one.parameters()), parameter_hash(three.parameters()));
}

TEST(Session, ShardsAddUpToTheWholeBatch) {
  for (const char* loss : {"sequence", "element", "sum"}) {
    const std::vector<Assignment> base = {{"train.batch", "6", ""},        {"train.loss", loss, ""},
                                          {"optimizer", "sgd", ""},        {"task.mixed-lengths", "true", ""},
                                          {"train.clip-element", "0", ""}, {"train.learning-rate", "1e-3", ""}};
    auto with = [&](const char* size) {
      auto given = base;
      given.push_back({"train.shard-size", size, ""});
      return small(given);
    };
    Session whole(with("6"), 1), cut(with("2"), 1);
    ASSERT_EQ(whole.shards(), 1u);
    ASSERT_EQ(cut.shards(), 3u);
    for (std::uint64_t i = 0; i < 5; ++i) {
      const StepReport a = whole.step(6 * i, i + 1), b = cut.step(6 * i, i + 1);
      EXPECT_NEAR(a.loss, b.loss, 1e-4 * std::abs(a.loss)) << loss;
      EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-3 * a.gradient_norm) << loss;
      for (std::size_t m = 0; m < a.metrics.size(); ++m) EXPECT_NEAR(a.metrics[m], b.metrics[m], 1e-3);
    }
  }
}

// One sequence of length 2: 6 scored bits. The three scales are 1/rows, 1/numbers and 1.
TEST(Session, LossScales) {
  std::vector<double> losses;
  double bits = 0;
  for (const char* loss : {"sequence", "element", "sum"}) {
    Session s(small({{"task.length", "2", ""}, {"train.batch", "4", ""}, {"train.loss", loss, ""}}), 1);
    const StepReport r = s.step(0, 1);
    losses.push_back(r.loss);
    bits = r.metrics[0];
  }
  EXPECT_NEAR(losses[2], bits * std::log(2.0), 1e-4 * losses[2]);
  EXPECT_NEAR(losses[0], losses[2] / 4, 1e-5 * losses[2]);
  EXPECT_NEAR(losses[1], losses[2] / 24, 1e-5 * losses[2]);
}

TEST(Session, TheScheduleSetsTheRate) {
  Session s(small({{"train.schedule", "linear", ""}, {"train.schedule-warmup", "10", ""}}), 1);
  EXPECT_DOUBLE_EQ(s.step(5, 1).rate, 0.5e-3);
  EXPECT_DOUBLE_EQ(s.step(205, 2).rate, 0.5e-3);
  EXPECT_DOUBLE_EQ(s.step(400, 3).rate, 0);
}

TEST(Session, EvaluationChangesNothingAndRepeats) {
  Session s(small(), 1);
  train_steps(s, 3);
  const std::uint64_t hash = parameter_hash(s.parameters());
  std::vector<double> a, b;
  s.evaluate({.count = 12}, a);
  s.evaluate({.count = 12}, b);
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.size(), 24u);
  EXPECT_EQ(parameter_hash(s.parameters()), hash);
  expect_has(message_of<Stopped>([&] { s.evaluate({.count = 12, .stop = [] { return true; }}, a); }),
             "stopped before it was done");
}

TEST(Session, SteadyStateAllocatesNothing) {
  for (const char* batch : {"1", "13"})
    for (int threads : {1, 2}) {
      Session s(small({{"train.batch", batch, ""}, {"train.shard-size", "4", ""}, {"train.loss", "element", ""}}),
                threads);
      std::uint64_t i = 0;
      // Every length must have come by in every shard; four lengths are drawn soon.
      for (; i < 60; ++i) s.step(i * s.batch(), i + 1);
      const std::uint64_t before = allocations();
      for (; i < 160; ++i) s.step(i * s.batch(), i + 1);
      EXPECT_EQ(allocations() - before, 0u) << "batch " << batch << ", threads " << threads;
    }
}

TEST(Session, OutOfMemoryInTracingEndsTheTraceAlone) {
  Folder folder;
  const std::vector<Assignment> large = {{"memory.slots", "1024", ""},
                                         {"memory.width", "20", ""},
                                         {"train.max-sequences", "150", ""},
                                         {"train.eval-every", "1000", ""},
                                         {"train.checkpoint-every", "1000", ""}};
  auto given = large;
  for (const auto& [key, value] :
       {std::pair{"trace.level", "full"}, {"trace.every", "40"}, {"trace.keyframe-every", "1"}})
    given.push_back({key, value, ""});
  std::string said;
  RunOptions options;
  options.out = folder / "traced";
  options.notice = [&](const std::string& text) { said += text + "\n"; };
  options.progress_seconds = 0;
  // By then the step has all its memory, of every length; a keyframe takes 80 kB.
  options.progress = [](const Progress& p) {
    allocation_limit = p.sequences >= 39 && p.status == "training" && p.sequences < 150 ? 100'000 : SIZE_MAX;
  };
  const RunResult r = train(small(given), options);
  allocation_limit = SIZE_MAX;
  EXPECT_EQ(r.reason, ExitReason::max_sequences);
  expect_has(
      said,
      "there is no memory to log more episodes; those that were committed stay; tracing stops here, training goes on");
  run(small(large), folder / "plain");
  EXPECT_EQ(last_content(folder / "traced", small(large)), last_content(folder / "plain", small(large)));
  const auto files = trace::trace_files(folder / "traced/traces");
  ASSERT_EQ(files.size(), 1u);
  EXPECT_FALSE(trace::Reader(files[0]).complete());
}

TEST(Session, TheGuardStopsBeforeTheUpdateAndNamesOpSiteStepAndSequence) {
  for (const float poison : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Session s(small({{"train.batch", "4", ""}, {"train.shard-size", "2", ""}}), 2);
    train_steps(s, 2);
    ParameterSet<float>& set = s.parameters();
    std::size_t index = 0;
    while (set.parameters()[index].name.find("heads.weight") == std::string::npos) ++index;
    set.value(index)[7] = poison;
    set.refresh();
    const std::uint64_t hash = parameter_hash(set);
    EXPECT_FALSE(s.step(8, 3).finite);
    EXPECT_EQ(parameter_hash(set), hash) << "nothing was updated";
    const trace::Layout layout =
        make_layout(s.config(), s.task(), s.model().components(), "train", 8, trace::Level::params);
    Recorder recorder(layout, s.model().components(), s.task().spec());
    const std::string message = message_of<NonFiniteError>([&] { s.explain(8, &recorder); });
    EXPECT_TRUE(std::regex_search(message, std::regex("^\\[[a-z_. 0-9]+\\]"))) << message;
    expect_has(message, "step 0");
    expect_has(message, "(in sequences 8 to 9)");
    EXPECT_EQ(recorder.count(), 2u);
  }
}

/// The first parameter whose name has `part`.
float* parameter_of(Session& s, const std::string& part) {
  ParameterSet<float>& set = s.parameters();
  std::size_t index = 0;
  while (set.parameters().at(index).name.find(part) == std::string::npos) ++index;
  return set.value(index);
}

TEST(Session, AnEvaluationStopsAsTrainingDoesWhereAValueIsNotFinite) {
  const auto poisoned = [](const char* parameter, float value, const auto& f) {
    Session s(small(), 2);
    *parameter_of(s, parameter) = value;
    s.parameters().refresh();
    const std::string message = message_of<NonFiniteError>([&] { f(s); });
    EXPECT_TRUE(std::regex_search(message, std::regex("^\\[[a-z_. 0-9]+\\] .* at step [0-9]"))) << message;
    return message;
  };
  std::vector<double> metrics;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  expect_has(
      poisoned("heads.weight", nan, [&](Session& s) { s.evaluate({.first = 20, .count = 12, .rows = 4}, metrics); }),
      "(in held-out episodes 20 to 23)");
  expect_has(poisoned("readout.bias", inf,
                      [&](Session& s) {
                        const auto look = [](std::size_t, const Batch&) {
                          return std::make_unique<AlteredReads<float>>(AlteredReads<float>::How::zeroed);
                        };
                        s.evaluate({.first = kTestNumbers + 3, .count = 1, .look = look, .how = "reads zeroed"},
                                   metrics);
                      }),
             "(in test episode 3, reads zeroed)");
  expect_has(poisoned("heads.weight", nan,
                      [&](Session& s) {
                        const Components& parts = s.model().components();
                        Recorder recorder(make_layout(s.config(), s.task(), parts, "eval", 0, trace::Level::params),
                                          parts, s.task().spec());
                        s.trace_episode({.first = kTestNumbers, .count = 1}, 0, recorder);
                      }),
             "(in test episode 0)");
}

// Values of 1e38 each: the outputs are numbers, what they cost is none in float32, which training would say.
TEST(Session, AnEvaluationWhoseCostOverflowsIsAnErrorToo) {
  Session s(small({{"task.length", "4", ""}}), 1);
  float* bias = parameter_of(s, "readout.bias");
  for (std::size_t k = 0; k < 3; ++k) bias[k] = 1e38f;
  std::vector<double> metrics;
  expect_has(message_of<NonFiniteError>([&] { s.evaluate({.count = 4}, metrics); }), "held-out episode");
  EXPECT_FALSE(s.step(0, 1).finite);
}

TEST(Session, WhatAnUpdateLeavesInfiniteHasAName) {
  Session s(small(), 1);
  s.step(0, 1);
  EXPECT_NO_THROW(s.require_finite_state());
  auto& state = s.optimizer().state().at(0);
  state.values[2] = std::numeric_limits<float>::infinity();
  const std::string name = s.parameters().parameters()[0].name;
  expect_has(message_of<NonFiniteError>([&] { s.require_finite_state(); }),
             "the optimizer's " + state.name + " of parameter " + name);
  s.parameters().flat()[0] = std::numeric_limits<float>::quiet_NaN();
  expect_has(message_of<NonFiniteError>([&] { s.require_finite_state(); }), "[finite guard] parameter " + name);
}

TEST(Session, ASumThatOverflowsIsExplainedToo) {
  Session s(small(), 1);
  train_steps(s, 1);
  // The pass itself is finite: what explain() then says.
  expect_has(message_of<NonFiniteError>([&] { s.explain(1); }), "every op's values are finite, their sum is not");
}

TEST(Score, NatsOfARowAreThoseOfTheLoss) {
  Session s(small({{"train.batch", "3", ""}, {"task.mixed-lengths", "true", ""}, {"train.loss", "sum", ""}}), 1);
  const StepReport r = s.step(0, 1);
  EXPECT_NEAR(r.metrics[0] * std::log(2.0), r.loss, 1e-4 * r.loss);
}

TEST(Score, ClassesAndRealNumbers) {
  Batch batch;
  const BatchSpec classes{.channels = 1, .target = TargetKind::classes, .outputs = 3};
  batch.reset(classes, 2, 2);
  batch.target.indices(0, 0) = 2;
  batch.target.scored(0, 0) = 1;
  batch.target.indices(1, 1) = 0;
  batch.target.scored(1, 1) = 1;
  const float logits[] = {1, 2, 3, 9, 9, 9, 9, 9, 9, 100, -100, 0};
  std::vector<double> nats(2);
  row_nats(batch, logits, 3, nats);
  EXPECT_NEAR(nats[0], std::log(std::exp(1.0) + std::exp(2.0) + std::exp(3.0)) - 3, 1e-6);
  EXPECT_NEAR(nats[1], 0, 1e-6);
  EXPECT_EQ(scored_numbers(batch), 2u);

  const BatchSpec real{.channels = 1, .target = TargetKind::real, .outputs = 3};
  batch.reset(real, 1, 1);
  batch.target.scored(0, 0) = 1;
  batch.target.values(0, 0, 1) = 5;
  nats.resize(1);
  row_nats(batch, logits, 3, nats);
  EXPECT_NEAR(nats[0], 0.5 * (1 + 9 + 9), 1e-6);
  EXPECT_EQ(scored_numbers(batch), 3u);
}

// A probability of 1 in float32 is not 0 nats.
TEST(Score, BitsStayAccurateWhereProbabilitiesRound) {
  Batch batch;
  batch.reset({.channels = 1, .target = TargetKind::bits, .outputs = 1}, 1, 1);
  batch.target.scored(0, 0) = 1;
  batch.target.values(0, 0, 0) = 1;
  std::vector<double> nats(1);
  const float sure = 30;
  row_nats(batch, &sure, 1, nats);
  EXPECT_NEAR(nats[0], std::exp(-30.0), 1e-18);
  const float wrong = -120;
  row_nats(batch, &wrong, 1, nats);
  EXPECT_NEAR(nats[0], 120, 1e-4);
}

}  // namespace
}  // namespace mneme::experiments
