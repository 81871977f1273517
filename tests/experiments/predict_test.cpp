// Evaluation takes answers from Model::predict: read where nothing feeds back, searched for where the answers do.
#include "core/prediction.hpp"
#include "experiments/judge/evaluate.hpp"
#include "tests/experiments/support.hpp"
#include "trace/reader.hpp"

#include <set>

namespace mneme::experiments {
namespace {

Config routes(const std::vector<Assignment>& more = {}) {
  std::vector<Assignment> given = {{"task", "toy_route", ""},
                                   {"model", "route", ""},
                                   {"train.batch", "8", ""},
                                   {"train.learning-rate", "3e-3", ""},
                                   {"train.max-sequences", "6000", ""},
                                   {"train.eval-every", "3000", ""},
                                   {"train.eval-episodes", "20", ""}};
  return Config::from(merged(given, more));
}

/// A session that has learned something, and a tape to run its model on.
class Routes : public testing::Test {
 protected:
  Routes() : session(routes(), 1), gradients(session.parameters(), 2) {
    for (std::uint64_t update = 1; update <= 400; ++update) session.step(8 * (update - 1), update);
    tape.bind(gradients.leaves());
    session.task().sample({.stream = "eval", .first = kTestNumbers, .rows = 60}, batch);
  }
  Var<float> forced(const Batch& of) {
    tape.begin(false);
    Pass<float> pass{.tape = tape};
    return session.model().forward(of, pass).logits;
  }
  Prediction predicted(std::size_t beam) {
    Prediction p;
    const Var<float> logits = forced(batch);
    Pass<float> pass{.tape = tape};
    session.model().predict(batch, pass, {beam, session.task().validity()}, logits, p);
    return p;
  }
  Session session;
  Gradients<float> gradients;
  Tape<float> tape;
  Batch batch;
};

TEST_F(Routes, AnswersKeepToTheRuleAndEndAtDifferentSteps) {
  for (const std::size_t beam : {1u, 3u}) {
    const Prediction p = predicted(beam);
    std::set<std::uint32_t> lengths;
    for (std::size_t b = 0; b < batch.size; ++b) {
      ASSERT_GE(p.lengths[b], 2u);
      lengths.insert(p.lengths[b]);
      std::set<std::int32_t> made;
      for (std::size_t t = 0; t < p.lengths[b]; ++t) {
        const std::int32_t k = p.indices(t, b);
        const bool end = t + 1 == p.lengths[b];
        EXPECT_TRUE(end ? k == 4 : k >= 0 && k < static_cast<std::int32_t>(batch.items.count[b])) << k;
        EXPECT_TRUE(made.insert(k).second) << "named twice";
      }
    }
    EXPECT_GT(lengths.size(), 2u);
  }
}

// The model, forced along its own answer, gives that answer the score that the search said.
TEST_F(Routes, ScoresAreLogProbabilitiesOfTheAnswer) {
  const BatchSpec& spec = session.task().spec();
  for (const std::size_t beam : {1u, 4u}) {
    const Prediction p = predicted(beam);
    Batch own = batch;
    std::fill(own.target.indices.storage().begin(), own.target.indices.storage().end(), -1);
    for (std::size_t b = 0; b < batch.size; ++b)
      for (std::size_t t = 0; t < p.lengths[b]; ++t) own.target.indices(t, b) = p.indices(t, b);
    std::fill(own.target.scored.storage().begin(), own.target.scored.storage().end(), std::uint8_t{0});
    const Var<float> logits = forced(own);
    for (std::size_t b = 0; b < batch.size; ++b) {
      double score = 0;
      for (std::size_t t = 0; t < p.lengths[b]; ++t) {
        const float* x = logits.data + (t * batch.size + b) * spec.outputs;
        double total = 0;
        for (std::size_t k = 0; k < spec.outputs; ++k) total += std::exp(static_cast<double>(x[k]));
        score += static_cast<double>(x[p.indices(t, b)]) - std::log(total);
      }
      EXPECT_NEAR(p.score[b], score, 1e-4) << "row " << b << ", beam " << beam;
    }
  }
}

TEST_F(Routes, AWiderBeamFindsNoWorseAnswersInAll) {
  const Prediction one = predicted(1), wide = predicted(200);
  std::size_t better = 0;
  for (std::size_t b = 0; b < batch.size; ++b) {
    EXPECT_GE(wide.score[b], one.score[b] - 1e-6) << "as wide as the tree";
    better += wide.score[b] > one.score[b] + 1e-6;
  }
  EXPECT_GT(better, 0u) << "or the test says nothing";
}

TEST_F(Routes, EvaluationScoresWhatPredictSays) {
  for (const std::size_t beam : {1u, 4u}) {
    const Prediction p = predicted(beam);
    std::vector<double> metrics;
    session.evaluate({.first = kTestNumbers, .count = 60, .rows = 60, .beam = beam}, metrics);
    std::size_t differ = 0;
    Prediction read;
    read_prediction(batch, forced(batch), read);
    for (std::size_t b = 0; b < batch.size; ++b) {
      double out[3];
      session.task().score(batch, b, p, metrics[3 * b], out);
      EXPECT_EQ(metrics[3 * b + 1], p.lengths[b]);
      EXPECT_EQ(metrics[3 * b + 2], out[2]);
      session.task().score(batch, b, read, metrics[3 * b], out);
      differ += out[2] != metrics[3 * b + 2];
    }
    EXPECT_GT(differ, 0u) << "reading the forced logits would score otherwise";
  }
}

// What is recorded is the pass that was seen, whatever the answer was.
TEST_F(Routes, ATraceIsOfThePassThatKnowsTheTargets) {
  Folder folder;
  run(routes({{"train.max-sequences", "80", ""}, {"train.eval-every", "80", ""}}), folder / "run");
  const Evaluation e = evaluate(folder / "run", {.episodes = 6, .given = {{"trace.level", "weights", ""}}});
  ASSERT_EQ(e.traces.size(), 1u);
  EXPECT_EQ(trace::check(e.traces[0]), std::vector<std::string>{});
  const trace::Reader reader(e.traces[0]);
  for (std::size_t i = 0; i < reader.episodes(); ++i) {
    const trace::Episode ep = reader.episode(i);
    double nats = 0;
    for (std::size_t k = 0; k < ep.target.size(); ++k)
      if (ep.target[k] > 0) nats -= std::log(static_cast<double>(ep.output[k]));
    EXPECT_NEAR(nats, ep.loss, 1e-4);
  }
}

TEST(Predict, WithoutFeedbackTheForcedLogitsAreRead) {
  Session s(small({{"task.mixed-lengths", "true", ""}}), 1);
  Gradients<float> gradients(s.parameters(), 2);
  Tape<float> tape;
  tape.bind(gradients.leaves());
  Batch batch;
  s.task().sample({.first = 3, .rows = 5}, batch);
  tape.begin(false);
  Pass<float> forced{.tape = tape}, pass{.tape = tape};
  const Var<float> logits = s.model().forward(batch, forced).logits;
  Prediction p, read;
  s.model().predict(batch, pass, {.beam = 9}, logits, p);
  read_prediction(batch, logits, read);
  EXPECT_EQ(p.values, read.values);
  EXPECT_EQ(p.lengths, batch.lengths);
  ASSERT_TRUE(batch.ragged());
  for (std::size_t b = 0; b < 5; ++b)
    for (std::size_t t = p.lengths[b]; t < batch.steps; ++t) EXPECT_EQ(p.values(t, b, 0), 0) << "past the row's end";
  for (std::size_t b = 0; b < 5; ++b) {
    double score = 0;
    for (std::size_t t = 0; t < batch.steps; ++t)
      for (std::size_t k = 0; batch.target.scored(t, b) && k < 3; ++k) {
        const auto y = static_cast<double>(p.values(t, b, k));
        score += std::log(std::max(y, 1 - y));
      }
    EXPECT_NEAR(p.score[b], score, 1e-4);
  }
}

}  // namespace
}  // namespace mneme::experiments
