// Attention on supporting facts, and errors with reads zeroed and shuffled.
#include "experiments/judge/reliance.hpp"
#include "core/batch.hpp"
#include "core/json.hpp"

#include "experiments/judge/evaluate.hpp"
#include "tests/experiments/support.hpp"

namespace mneme::experiments {
namespace {

/// A memory with two hops over items and one head over slots.
MemoryLayout two_hops() {
  MemoryLayout l;
  l.sites = {{"hop_0", "hop", "dot", "item"}, {"read_0", "read", "content", "slot"}, {"hop_1", "hop", "dot", "item"}};
  for (Site& s : l.sites) {
    s.weights = l.state.add({"weights", s.name, {4}, Kind::sub_weights, "w", {s.slot_axis}});
    s.value = l.state.add({"value", s.name, {2}, Kind::plain, "r", {"cell"}});
  }
  return l;
}

// Row 0 has three items, the second supports; row 1 has two, the first supports; row 2 has two and no support.
Batch three_rows() {
  const BatchSpec spec{
      .vocabulary = 5, .item_vocabulary = 5, .target = TargetKind::classes, .outputs = 5, .max_items = 4};
  Batch batch;
  batch.reset(spec, 3, 2, 4, 1);
  batch.items.count = {3, 2, 2};
  batch.items.support(0, 1) = batch.items.support(1, 0) = 1;
  for (std::size_t b = 0; b < 3; ++b) batch.target.scored(1, b) = 1;
  batch.target.scored(0, 1) = 1;
  return batch;
}

TEST(AttentionWatch, HandMadeWeightsGiveHandMadeFigures) {
  const MemoryLayout layout = two_hops();
  const Batch batch = three_rows();
  std::vector<AttentionWatch::Row> rows(3);
  AttentionWatch watch(layout, batch, rows.data());
  // An item axis as long as these rows' longest set. The rest of row 0 lies on an empty slot.
  std::vector<float> hop_0 = {0.2f, 0.5f, 0.1f, /**/ 0.25f, 0.75f, 0, /**/ 1, 0, 0};
  std::vector<float> hop_1 = {0.6f, 0.3f, 0.1f, /**/ 0.9f, 0.1f, 0, /**/ 0, 1, 0};
  std::vector<float> head(12, 0.25f), value(6);
  const auto handle = [](std::vector<float>& v, std::size_t n) { return Var<float>{v.data(), Shape{3, n}, nullptr}; };
  const std::vector<Var<float>> state = {handle(hop_0, 3), handle(value, 2), handle(head, 4),
                                         handle(value, 2), handle(hop_1, 3), handle(value, 2)};
  Tape<float> tape;
  Pass<float> pass{tape};
  for (pass.step = 0; pass.step < 2; ++pass.step) watch.state(pass, "memory", state);
  EXPECT_EQ(rows[0].scored, 1u) << "step 0 of row 0 is not scored";
  EXPECT_EQ(rows[1].scored, 2u);
  EXPECT_DOUBLE_EQ(rows[0].chance, 1 / 3.0);
  EXPECT_DOUBLE_EQ(rows[1].chance, 0.5);
  EXPECT_DOUBLE_EQ(rows[2].chance, 0);
  EXPECT_EQ(rows[0].top, (std::vector<double>{1, 0}));
  EXPECT_EQ(rows[1].top, (std::vector<double>{0, 2}));
  EXPECT_EQ(rows[2].top, (std::vector<double>{0, 0})) << "nothing supports it";
  EXPECT_NEAR(rows[0].mass[0], 0.5, 1e-7);
  EXPECT_NEAR(rows[0].mass[1], 0.3, 1e-7);
  EXPECT_NEAR(rows[1].mass[0], 0.5, 1e-7) << "0.25, twice";
  EXPECT_NEAR(rows[1].mass[1], 1.8, 1e-6);
  EXPECT_EQ(rows[2].mass, (std::vector<double>{0, 0}));
}

TEST(Reliance, ATrainedStoryModelLooksAtTheFactsAndNeedsThem) {
  const Config config = Config::load("babi_memn2n_single", {{"task.number", "1:1", ""}});
  const Folder folder;
  run(config, folder / "run");
  Evaluation e = evaluate(folder / "run", {.episodes = 401, .reliance = true});
  ASSERT_TRUE(e.reliance.has_value());
  ASSERT_EQ(e.reliance->tasks.size(), 1u);
  const TaskReliance& t = e.reliance->tasks[0];
  EXPECT_EQ(e.reliance->metric, "error_percent");
  EXPECT_EQ(e.reliance->rows, 101u) << "of 100 the last of 401 would be alone";
  EXPECT_EQ(t.number, 1);
  EXPECT_EQ(t.questions, 401u);
  EXPECT_DOUBLE_EQ(t.as_read.value(), e.results[0].figures[1].value.value()) << "the same questions";
  EXPECT_LT(t.as_read.value(), 10);
  const auto plugin = tasks().find("babi").make(config.task_options);
  EXPECT_NEAR(t.zeroed.value(), plugin->chance()[1], 10) << "no better than always the same answer";
  EXPECT_GT(t.shuffled.value(), *t.as_read + 50);
  ASSERT_EQ(t.hops.size(), 3u);
  EXPECT_EQ(t.hops[2].site, "hop_2");
  EXPECT_GT(t.chance, 0.1);
  EXPECT_LT(t.chance, 0.4);
  double best = 0;
  for (const HopUse& h : t.hops) best = std::max(best, h.mass);
  EXPECT_GT(best, 0.8);

  const Evaluation two = evaluate(folder / "run", {.episodes = 401, .threads = 2, .reliance = true});
  EXPECT_EQ(evaluation_json(e), evaluation_json(two));
  const auto j = parse_json(evaluation_json(e))["memory_use"][0];
  EXPECT_EQ(j["number"], 1);
  EXPECT_EQ(j["error_percent"], t.as_read.value());
  EXPECT_EQ(j["reads_zeroed_error_percent"], t.zeroed.value());
  EXPECT_EQ(j["reads_shuffled_error_percent"], t.shuffled.value());
  EXPECT_EQ(j["hops"][1]["site"], "hop_1");
  EXPECT_EQ(j["hops"][1]["top_percent"], t.hops[1].top_percent);
  EXPECT_EQ(j["hops"][1]["mass"], t.hops[1].mass);
}

// Tasks asked together are told apart; no training, so that attention is close to chance.
TEST(Reliance, JointTasksOneByOne) {
  Session session(Config::load("babi_memn2n_joint", {{"task.number", "1:3", ""}, {"task.questions", "100", ""}}), 1);
  const Reliance use = reliance(session, session.task(), 1, kTestNumbers, 90);
  ASSERT_EQ(use.tasks.size(), 3u);
  std::size_t questions = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(use.tasks[i].number, static_cast<int>(i + 1));
    questions += use.tasks[i].questions;
    EXPECT_GT(use.tasks[i].questions, 10u);
    EXPECT_GT(use.tasks[i].chance, 0);
  }
  EXPECT_EQ(questions, 90u);
}

// The hook serves a memory that is written step by step, under another model, whose errors are no percentages.
TEST(Reliance, AnNtmCannotCopyWithoutItsReads) {
  Session session(small(), 1);
  std::uint64_t update = 0;
  for (std::uint64_t first = 0; first < 3000; first += session.batch()) session.step(first, ++update);
  const Reliance use = reliance(session, session.task(), 1, kTestNumbers, 100);
  ASSERT_EQ(use.tasks.size(), 1u);
  EXPECT_EQ(use.metric, "wrong_bits_per_sequence");
  const TaskReliance& t = use.tasks[0];
  EXPECT_EQ(t.number, 0);
  EXPECT_TRUE(t.hops.empty());
  EXPECT_LT(t.as_read.value(), 0.6 * t.zeroed.value());
  EXPECT_LT(t.as_read.value(), 0.6 * t.shuffled.value());
  EXPECT_NE(t.zeroed, t.shuffled);
}

TEST(Reliance, WhatCannotBeAsked) {
  const auto complaint = [](const Config& config, std::size_t count) {
    Session session(config, 1);
    return message_of<ArgumentError>([&] { reliance(session, session.task(), 1, kTestNumbers, count); });
  };
  EXPECT_EQ(complaint(small(), 1), "[--memory-use] 1 episode; reads are shuffled among 2 or more");
  EXPECT_EQ(complaint(Config::from({{"task", "copy", ""}, {"memory", "none", ""}}), 10),
            "[--memory-use] the model 'cell' reads no memory here");
  const Folder folder;
  run(small(), folder / "run");
  EXPECT_EQ(message_of<ArgumentError>([&] {
              evaluate(folder / "run", {.lengths = {2, 3}, .episodes = 5, .reliance = true});
            }),
            "[--memory-use] takes one of --lengths at a time, not 2");
}

TEST(Reliance, AsksTheEpisodesOfTheEvaluation) {
  const Folder folder;
  run(small({{"train.eval-batch", "10", ""}}), folder / "run");
  const Evaluation e = evaluate(folder / "run", {.episodes = 40, .reliance = true});
  EXPECT_EQ(e.reliance->rows, 10u);
  EXPECT_DOUBLE_EQ(e.reliance->tasks[0].as_read.value(), e.results[0].figures[e.solved_metric].value.value())
      << "lengths drawn per batch";
  bool begun = false;
  EvaluationOptions one{.episodes = 1, .reliance = true};
  one.progress = [&](std::size_t, std::size_t) { begun = true; };
  expect_has(message_of<ArgumentError>([&] { evaluate(folder / "run", one); }), "[--memory-use] 1 episode");
  EXPECT_FALSE(begun);
}

}  // namespace
}  // namespace mneme::experiments
