// The batch contract: one small batch of each kind that tasks give and models take, and what check() refuses.
#include "core/batch.hpp"

#include "core/error.hpp"
#include "tests/core/allocations.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace mneme {
namespace {

std::string complaint(const BatchSpec& spec, const Batch& good, const std::function<void(Batch&)>& damage) {
  Batch batch = good;
  damage(batch);
  try {
    batch.check(spec);
  } catch (const InvariantError& e) {
    return e.what();
  }
  return "no complaint";
}

// Bits at every step, rows of unequal length: copy and its relatives.
const BatchSpec bits_spec{.channels = 3, .target = TargetKind::bits, .outputs = 2};
Batch bits_batch() {
  Batch b;
  b.reset(bits_spec, 2, 4);
  b.lengths[1] = 2;
  b.dense(0, 0, 1) = b.dense(1, 1, 2) = 1;
  b.target.values(3, 0, 1) = 1;
  b.target.scored(3, 0) = b.target.scored(1, 1) = 1;
  return b;
}

// A token a step, one class at the end: language models, recall of keys.
const BatchSpec class_spec{.vocabulary = 10, .target = TargetKind::classes, .outputs = 5};
const BatchSpec no_word_spec{
    .vocabulary = 10, .target = TargetKind::classes, .outputs = 5, .output_tokens = {0, 1, -1, 9, 9}};
const BatchSpec far_word_spec{
    .vocabulary = 10, .target = TargetKind::classes, .outputs = 5, .output_tokens = {0, 1, 10, 9, 9}};
Batch class_batch() {
  Batch b;
  b.reset(class_spec, 2, 3);
  b.lengths[0] = 2;
  for (std::size_t row = 0; row < 2; ++row)
    for (std::size_t t = 0; t < b.lengths[row]; ++t) b.tokens(t, row) = static_cast<int>(3 * t + row);
  b.target.indices(1, 0) = 4;
  b.target.indices(2, 1) = 0;
  b.target.scored(1, 0) = b.target.scored(2, 1) = 1;
  return b;
}

// A story: sentences of word tokens, a count per row, supporting facts, a question as steps, a class as answer.
const BatchSpec story_spec{.vocabulary = 20, .item_vocabulary = 20, .target = TargetKind::classes, .outputs = 20};
Batch story_batch() {
  Batch b;
  b.reset(story_spec, 2, 3, 4, 6);
  b.items.count = {4, 2};
  for (std::size_t row = 0; row < 2; ++row)
    for (std::size_t n = 0; n < b.items.count[row]; ++n)
      for (std::size_t w = 0; w < 3 + n % 2; ++w) b.items.tokens(row, n, w) = static_cast<int>((n + w) % 20);
  b.items.support(0, 1) = b.items.support(1, 0) = 1;
  for (std::size_t t = 0; t < 3; ++t) b.tokens(t, 0) = b.tokens(t, 1) = static_cast<int>(t);
  b.target.indices(2, 0) = 7;
  b.target.indices(2, 1) = 19;
  b.target.scored(2, 0) = b.target.scored(2, 1) = 1;
  return b;
}

// Points in the plane, pointed at one after the other: convex hull, tours.
const BatchSpec pointer_spec{.item_width = 2, .target = TargetKind::pointer, .outputs = 5};
Batch pointer_batch() {
  Batch b;
  b.reset(pointer_spec, 2, 3, 5);
  b.items.count = {5, 3};
  b.items.values(0, 4, 1) = 0.5f;
  for (std::size_t t = 0; t < 3; ++t)
    for (std::size_t row = 0; row < 2; ++row) {
      b.target.indices(t, row) = static_cast<int>(2 - t);
      b.target.scored(t, row) = 1;
    }
  b.target.indices(0, 0) = 4;
  return b;
}

// A graph whose nodes are classified, some of them: edges between a row's own items, targets over items.
const BatchSpec graph_spec{.item_width = 1,
                           .target = TargetKind::classes,
                           .outputs = 2,
                           .max_items = 3,
                           .edges = true,
                           .target_over = Along::items};
Batch graph_batch() {
  Batch b;
  b.reset(graph_spec, {.rows = 2, .steps = 1, .items = 3, .edges = 2});
  b.items.count = {3, 2};
  b.items.edge_count = {2, 1};
  b.items.values(0, 2, 0) = 0.25f;
  b.items.edges(0, 0, 1) = b.items.edges(0, 1, 0) = 1;
  b.items.edges(0, 0, 0) = b.items.edges(1, 0, 0) = 0;
  b.items.edges(0, 1, 1) = 2;
  b.items.edges(1, 0, 1) = 1;
  b.target.indices(0, 0) = b.target.indices(1, 1) = 1;
  b.target.indices(2, 0) = 0;
  b.target.scored(0, 0) = b.target.scored(1, 1) = b.target.scored(2, 0) = 1;
  return b;
}

// Real numbers at every step.
const BatchSpec real_spec{.channels = 1, .target = TargetKind::real, .outputs = 2};
Batch real_batch() {
  Batch b;
  b.reset(real_spec, 1, 2);
  b.dense(0, 0, 0) = -0.5f;
  b.target.values(1, 0, 0) = 2.5f;
  b.target.scored(1, 0) = 1;
  return b;
}

TEST(Batch, EveryKindOfTheContractPassesItsCheck) {
  EXPECT_NO_THROW(bits_batch().check(bits_spec));
  EXPECT_NO_THROW(class_batch().check(class_spec));
  EXPECT_NO_THROW(story_batch().check(story_spec));
  EXPECT_NO_THROW(pointer_batch().check(pointer_spec));
  EXPECT_NO_THROW(real_batch().check(real_spec));
  EXPECT_NO_THROW(graph_batch().check(graph_spec));
}

TEST(Batch, CheckGraphs) {
  const Batch good = graph_batch();
  EXPECT_EQ(good.target.count(), 3u) << "items, not steps";
  EXPECT_EQ(complaint(graph_spec, good, [](Batch& b) { b.items.edges(1, 0, 1) = 2; }),
            "[batch] edge 0 of row 1 joins item 2 of 2");
  EXPECT_EQ(complaint(graph_spec, good, [](Batch& b) { b.items.edges(0, 0, 0) = 3; }),
            "[batch] items.edges is 3 at edge 0 of row 0, expected a whole number from -1 to 2");
  EXPECT_EQ(complaint(graph_spec, good, [](Batch& b) { b.items.edges(1, 1, 0) = 0; }),
            "[batch] items.edges is 0 at edge 1 of row 1, which has 1");
  EXPECT_EQ(complaint(graph_spec, good, [](Batch& b) { b.items.edge_count[0] = 3; }), "[batch] row 0 has 3 edges, E=2");
  EXPECT_EQ(complaint(graph_spec, good, [](Batch& b) { b.target.scored(2, 1) = 1; }),
            "[batch] target.scored is 1 at item 2 of row 1, which has 2");
  EXPECT_EQ(complaint(graph_spec, good, [](Batch& b) { b.target.indices(2, 0) = -1; }),
            "[batch] target -1 at item 2 of row 0 chooses from 2");
  BatchSpec no_items = bits_spec;
  no_items.target_over = Along::items;
  Batch b;
  b.reset(bits_spec, 1, 1);
  EXPECT_EQ(complaint(no_items, b, [](Batch&) {}), "[batch] targets over items need items");
}

// A field is declared once: what reset, check, row and text do with it follows.
TEST(Batch, ARowAloneHasAllOfItsFieldsAndNoMore) {
  const Batch b = graph_batch();
  const Batch one = b.row(graph_spec, 1);
  EXPECT_NO_THROW(one.check(graph_spec));
  EXPECT_EQ(one.items.values.shape(), (std::array<std::size_t, 3>{1, 2, 1}));
  EXPECT_EQ(one.items.edges.shape(), (std::array<std::size_t, 3>{1, 1, 2}));
  EXPECT_EQ(one.items.edges(0, 0, 1), 1);
  EXPECT_EQ(one.target.indices(0, 0), -1);
  EXPECT_EQ(one.target.indices(1, 0), 1);
  const Batch story = story_batch().row(story_spec, 1);
  EXPECT_EQ(story.items.tokens.shape(), (std::array<std::size_t, 3>{1, 2, 6}));
  EXPECT_EQ(story.items.tokens(0, 1, 3), 4);
  EXPECT_EQ(story.items.support(0, 0), 1);
  EXPECT_EQ(story.target.indices(2, 0), 19);
}

TEST(Batch, TextHasALineForEachField) {
  EXPECT_EQ(graph_batch().text(graph_spec, 0),
            "phase           0\n"
            "items.values    0 | 0 | 0.25\n"
            "items.support   0 | 0 | 0\n"
            "items.edges     0 1 | 1 2\n"
            "target.indices  1 | -1 | 0\n"
            "target.scored   1 | 0 | 1\n");
  const std::vector<std::string> names = {"mary", "went", "home"};
  EXPECT_EQ(story_batch().text(story_spec, 1, names),
            "tokens          mary | went | home\n"
            "phase           0 | 0 | 0\n"
            "items.tokens    mary went home | went home 3 4\n"
            "items.support   1 | 0\n"
            "target.indices  -1 | -1 | 19\n"
            "target.scored   0 | 0 | 1\n");
}

TEST(Batch, ResetShapesEverythingAndFillsWithNothing) {
  Batch b = story_batch();
  b.reset(story_spec, 3, 2, 5, 4);
  EXPECT_EQ(b.size, 3u);
  EXPECT_EQ(b.steps, 2u);
  EXPECT_EQ(b.lengths, (std::vector<std::uint32_t>{2, 2, 2}));
  EXPECT_EQ(b.dense.size(), 0u);
  EXPECT_EQ(b.tokens.shape(), (std::array<std::size_t, 2>{2, 3}));
  EXPECT_EQ(b.phase.shape(), (std::array<std::size_t, 2>{2, 3}));
  EXPECT_EQ(b.items.tokens.shape(), (std::array<std::size_t, 3>{3, 5, 4}));
  EXPECT_EQ(b.items.support.shape(), (std::array<std::size_t, 2>{3, 5}));
  EXPECT_EQ(b.items.count, (std::vector<std::uint32_t>{0, 0, 0}));
  EXPECT_EQ(b.target.indices.shape(), (std::array<std::size_t, 2>{2, 3}));
  EXPECT_EQ(b.target.values.size(), 0u);
  for (auto v : b.tokens.storage()) EXPECT_EQ(v, -1);
  for (auto v : b.items.tokens.storage()) EXPECT_EQ(v, -1);
  for (auto v : b.items.support.storage()) EXPECT_EQ(v, 0);
  for (auto v : b.target.indices.storage()) EXPECT_EQ(v, -1);
  for (auto v : b.target.scored.storage()) EXPECT_EQ(v, 0);
  for (auto v : b.phase.storage()) EXPECT_EQ(v, 0);
}

TEST(Batch, OneBatchServesTasksOfAllKindsInTurn) {
  Batch b;
  for (const BatchSpec* spec :
       {&bits_spec, &class_spec, &graph_spec, &pointer_spec, &story_spec, &real_spec, &bits_spec}) {
    b.reset(*spec, 2, 3, 5, 2);
    EXPECT_NO_THROW(b.check(*spec));
  }
  EXPECT_TRUE(b.items.count.empty()) << "nothing is left of the story";
  EXPECT_EQ(b.tokens.size(), 0u);
  EXPECT_TRUE(b.items.edge_count.empty());
  EXPECT_EQ(b.items.edges.size(), 0u);
}

TEST(Batch, RefillingAllocatesNothingOnceWarm) {
  Batch b;
  b.reset(bits_spec, 8, 41);
  const std::uint64_t before = allocations();
  for (std::size_t steps : {3u, 41u, 7u, 40u}) b.reset(bits_spec, 8, steps);
  b.reset(bits_spec, 4, 41);
  EXPECT_EQ(allocations(), before);
  b.reset(story_spec, 8, 20, 30, 10);
  const std::uint64_t story = allocations();
  for (std::size_t items : {3u, 30u, 7u}) b.reset(story_spec, 8, 20, items, 10);
  EXPECT_EQ(allocations(), story);
}

TEST(Batch, Ragged) {
  Batch b = bits_batch();
  EXPECT_TRUE(b.ragged());
  b.lengths[1] = 4;
  EXPECT_FALSE(b.ragged());
}

TEST(Batch, CheckNamesFieldAndShapes) {
  const Batch good = bits_batch();
  EXPECT_EQ(complaint(bits_spec, good, [](Batch& b) { b.lengths.pop_back(); }), "[batch] lengths has 1 rows, B=2");
  EXPECT_EQ(complaint(bits_spec, good,
                      [](Batch& b) {
                        b.dense.resize({4, 2, 4});
                      }),
            "[batch] dense has shape [ 4 2 4 ], the task promised [ 4 2 3 ]");
  EXPECT_EQ(complaint(bits_spec, good,
                      [](Batch& b) {
                        b.phase.resize({4, 1});
                      }),
            "[batch] phase has shape [ 4 1 ], the task promised [ 4 2 ]");
  EXPECT_EQ(complaint(bits_spec, good,
                      [](Batch& b) {
                        b.target.scored.resize({3, 2});
                      }),
            "[batch] target.scored has shape [ 3 2 ], the task promised [ 4 2 ]");
  EXPECT_EQ(complaint(bits_spec, good,
                      [](Batch& b) {
                        b.target.values.resize({4, 2, 1});
                      }),
            "[batch] target.values has shape [ 4 2 1 ], the task promised [ 4 2 2 ]");
  EXPECT_EQ(complaint(bits_spec, good, [](Batch& b) { b.target.kind = TargetKind::real; }),
            "[batch] the target's kind is not the one promised");
  EXPECT_EQ(complaint(class_spec, class_batch(),
                      [](Batch& b) {
                        b.tokens.resize({3, 1});
                      }),
            "[batch] tokens has shape [ 3 1 ], the task promised [ 3 2 ]");
  EXPECT_EQ(complaint(class_spec, class_batch(),
                      [](Batch& b) {
                        b.target.indices.resize({1, 1});
                      }),
            "[batch] target.indices has shape [ 1 1 ], the task promised [ 3 2 ]");
}

TEST(Batch, CheckLengthsAndPadding) {
  const Batch good = bits_batch();
  EXPECT_EQ(complaint(bits_spec, good, [](Batch& b) { b.lengths[1] = 0; }), "[batch] row 1 has length 0, T=4");
  EXPECT_EQ(complaint(bits_spec, good, [](Batch& b) { b.lengths[0] = 5; }), "[batch] row 0 has length 5, T=4");
  EXPECT_EQ(complaint(bits_spec, good, [](Batch& b) { b.target.scored(2, 1) = 1; }),
            "[batch] target.scored is 1 at step 2 of row 1, which has 2");
  EXPECT_EQ(complaint(bits_spec, good, [](Batch& b) { b.dense(3, 1, 0) = 1; }),
            "[batch] dense is 1 at step 3 of row 1, which has 2");
  EXPECT_EQ(complaint(class_spec, class_batch(), [](Batch& b) { b.tokens(2, 0) = 1; }),
            "[batch] tokens is 1 at step 2 of row 0, which has 2");
  EXPECT_EQ(complaint(bits_spec, good, [](Batch& b) { b.phase(1, 0) = 3; }),
            "[batch] phase is 3 at step 1 of row 0, expected a whole number from 0 to 2");
}

TEST(Batch, ResetNamesTheParametersAndCheckHoldsTheTaskToThem) {
  BatchSpec spec = bits_spec;
  spec.max_steps = 4;
  spec.parameters = {{"length"}, {"share", false}};
  Batch good;
  good.reset(spec, 2, 4);
  EXPECT_EQ(good.parameters[1].first, "share");
  EXPECT_EQ(good.parameters[1].second, (std::vector<float>{0, 0}));
  good.parameters[0].second = {3, -1};
  good.parameters[1].second = {0.5f, 3};
  EXPECT_NO_THROW(good.check(spec));
  EXPECT_EQ(complaint(spec, good, [](Batch& b) { b.parameters[1].second.pop_back(); }),
            "[batch] parameter 'share' has 1 rows, B=2");
  EXPECT_EQ(complaint(spec, good, [](Batch& b) { b.parameters.pop_back(); }),
            "[batch] 1 parameters, the task promised 2");
  EXPECT_EQ(complaint(spec, good, [](Batch& b) { std::swap(b.parameters[0], b.parameters[1]); }),
            "[batch] parameter 0 is 'share', the task promised 'length'");
  EXPECT_EQ(complaint(spec, good, [](Batch& b) { b.parameters[0].second[1] = 2.5f; }),
            "[batch] parameter 'length' is 2.5, the task promised whole numbers");
  EXPECT_EQ(complaint(spec, good, [](Batch& b) { b.parameters[1].second[0] = std::numeric_limits<float>::infinity(); }),
            "[batch] parameter 'share' is inf, the task promised finite numbers");
  Batch longer;
  longer.reset(spec, 2, 5);
  EXPECT_EQ(complaint(spec, longer, [](Batch&) {}), "[batch] T=5, the task promised at most 4 steps");
  longer.reset(bits_spec, 2, 4);
  EXPECT_TRUE(longer.parameters.empty()) << "nothing is left of another task's";
}

TEST(Batch, CheckValues) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Batch good = bits_batch();
  EXPECT_EQ(complaint(bits_spec, good, [&](Batch& b) { b.dense(0, 0, 0) = nan; }),
            "[batch] dense is nan at step 0 of row 0, expected a finite number");
  EXPECT_EQ(complaint(bits_spec, good, [&](Batch& b) { b.target.values(3, 0, 0) = 0.5f; }),
            "[batch] target.values is 0.5 at step 3 of row 0, expected a whole number from 0 to 1");
  EXPECT_EQ(complaint(real_spec, real_batch(), [&](Batch& b) { b.target.values(1, 0, 1) = inf; }),
            "[batch] target.values is inf at step 1 of row 0, expected a finite number");
  EXPECT_EQ(complaint(pointer_spec, pointer_batch(), [&](Batch& b) { b.items.values(1, 0, 0) = inf; }),
            "[batch] items.values is inf at item 0 of row 1, expected a finite number");
  EXPECT_EQ(complaint(class_spec, class_batch(), [](Batch& b) { b.tokens(0, 0) = 10; }),
            "[batch] tokens is 10 at step 0 of row 0, expected a whole number from -1 to 9");
  EXPECT_EQ(complaint(class_spec, class_batch(), [](Batch& b) { b.tokens(0, 0) = -2; }),
            "[batch] tokens is -2 at step 0 of row 0, expected a whole number from -1 to 9");
  EXPECT_EQ(complaint(story_spec, story_batch(), [](Batch& b) { b.items.tokens(0, 0, 0) = 20; }),
            "[batch] items.tokens is 20 at item 0 of row 0, expected a whole number from -1 to 19");
  EXPECT_EQ(complaint(no_word_spec, class_batch(), [](Batch&) {}),
            "[batch] output token -1 is outside a vocabulary of 10");
  EXPECT_EQ(complaint(far_word_spec, class_batch(), [](Batch&) {}),
            "[batch] output token 10 is outside a vocabulary of 10");
  EXPECT_EQ(complaint(class_spec, class_batch(), [](Batch& b) { b.target.indices(1, 0) = 5; }),
            "[batch] target.indices is 5 at step 1 of row 0, expected a whole number from -1 to 4");
  EXPECT_EQ(complaint(class_spec, class_batch(), [](Batch& b) { b.target.indices(1, 0) = -1; }),
            "[batch] target -1 at step 1 of row 0 chooses from 5");
}

TEST(Batch, CheckItems) {
  EXPECT_EQ(complaint(story_spec, story_batch(), [](Batch& b) { b.items.count.pop_back(); }),
            "[batch] items.count has 1 rows, B=2");
  EXPECT_EQ(complaint(story_spec, story_batch(), [](Batch& b) { b.items.count[1] = 5; }),
            "[batch] row 1 has 5 items, N=4");
  EXPECT_EQ(complaint(pointer_spec, pointer_batch(),
                      [](Batch& b) {
                        b.items.values.resize({2, 5, 3});
                      }),
            "[batch] items.values has shape [ 2 5 3 ], the task promised [ 2 5 2 ]");
  EXPECT_EQ(complaint(story_spec, story_batch(),
                      [](Batch& b) {
                        b.items.tokens.resize({1, 4, 6});
                      }),
            "[batch] items.tokens has shape [ 1 4 6 ], the task promised [ 2 4 6 ]");
  EXPECT_EQ(complaint(story_spec, story_batch(),
                      [](Batch& b) {
                        b.items.support.resize({2, 3});
                      }),
            "[batch] items.support has shape [ 2 3 ], the task promised [ 2 4 ]");
  EXPECT_EQ(complaint(pointer_spec, pointer_batch(), [](Batch& b) { b.target.indices(1, 1) = 3; }),
            "[batch] target 3 at step 1 of row 1 chooses from 3")
      << "a pointer chooses from its own row's items";
  BatchSpec few = story_spec;
  few.max_items = 3;
  EXPECT_EQ(complaint(few, story_batch(), [](Batch&) {}), "[batch] row 0 has 4 items, the task promised at most 3");
  EXPECT_EQ(complaint(pointer_spec, pointer_batch(),
                      [](Batch& b) {
                        b.items.support.resize({0, 0});
                      }),
            "[batch] items.support has shape [ 0 0 ], the task promised [ 2 5 ]");
  EXPECT_EQ(complaint(pointer_spec, pointer_batch(), [](Batch& b) { b.items.values(1, 3, 0) = 1; }),
            "[batch] items.values is 1 at item 3 of row 1, which has 3");
  BatchSpec no_items = bits_spec;
  no_items.target = TargetKind::pointer;
  Batch b;
  b.reset(no_items, 1, 1);
  EXPECT_EQ(complaint(no_items, b, [](Batch&) {}), "[batch] a pointer target needs items to point at");
}

}  // namespace
}  // namespace mneme
