// Task priority_sort: layout, order, metrics, chance level, display.
#include "tests/tasks/sequence_checks.hpp"

#include <cmath>
#include <numbers>
#include <set>

namespace mneme {
namespace {

TEST(PrioritySort, VectorsWithPrioritiesThenDelimiterThenTheHighest) {
  const auto task = make_task("priority_sort");
  const BatchSpec& spec = task->spec();
  EXPECT_EQ(spec.channels, 10u);
  EXPECT_EQ(spec.outputs, 8u);
  EXPECT_EQ(spec.target, TargetKind::bits);
  const Batch b = sampled(*task, {.seed = 4, .first = 17, .rows = 20});
  ASSERT_EQ(b.steps, 20u + 1 + 16);
  for (std::size_t row = 0; row < 20; ++row) {
    EXPECT_EQ(phases(b, row), std::string(20, 'i') + "d" + std::string(16, 'a'));
    EXPECT_EQ(parameter(b, "items", row), 20);
    EXPECT_EQ(parameter(b, "outputs", row), 16);
    std::vector<std::size_t> order(20);
    for (std::size_t t = 0; t < 20; ++t) order[t] = t;
    std::sort(order.begin(), order.end(), [&](auto a, auto c) { return b.dense(a, row, 8) > b.dense(c, row, 8); });
    for (std::size_t t = 0; t < b.steps; ++t) {
      EXPECT_EQ(b.dense(t, row, 9), t == 20 ? 1 : 0) << "delimiter";
      EXPECT_EQ(b.dense(t, row, 8) != 0, t < 20) << "priority";
      EXPECT_EQ(b.target.scored(t, row), t > 20);
      for (std::size_t k = 0; k < 8; ++k) {
        if (t >= 20) {
          EXPECT_EQ(b.dense(t, row, k), 0) << "no bits while it answers";
        }
        EXPECT_EQ(b.target.values(t, row, k), t > 20 ? b.dense(order[t - 21], row, k) : 0);
      }
    }
  }
}

TEST(PrioritySort, PrioritiesAreUniform) {
  const Batch b = sampled(*make_task("priority_sort"), {.rows = 500});
  double sum = 0, squares = 0, most = 0;
  for (std::size_t row = 0; row < 500; ++row)
    for (std::size_t t = 0; t < 20; ++t) {
      const auto p = static_cast<double>(b.dense(t, row, 8));
      sum += p / 1e4;
      squares += p * p / 1e4;
      most = std::max(most, std::abs(p));
    }
  EXPECT_NEAR(sum, 0, 4.5 * 0.577 / 100);
  EXPECT_NEAR(squares, 1.0 / 3, 4.5 * 0.298 / 100);
  EXPECT_LE(most, 1);
  EXPECT_GT(most, 0.99);
}

TEST(PrioritySort, FewerVectorsThanOutputsAreAllGivenBack) {
  const auto task = make_task("priority_sort", {{"items", "3:5"}, {"outputs", "4"}, {"mixed-lengths", "true"}});
  const Batch b = sampled(*task, {.rows = 60});
  std::set<std::pair<float, float>> seen;
  for (std::size_t row = 0; row < 60; ++row) {
    seen.insert({parameter(b, "items", row), parameter(b, "outputs", row)});
    EXPECT_EQ(static_cast<float>(b.lengths[row]), parameter(b, "items", row) + 1 + parameter(b, "outputs", row));
  }
  EXPECT_EQ(seen, (std::set<std::pair<float, float>>{{3, 3}, {4, 4}, {5, 4}}));
}

TEST(PrioritySort, SolvedIsACostOf15Bits) {
  const auto task = make_task("priority_sort");
  EXPECT_EQ(task->metrics()[task->solved_metric()].name, "bits_per_sequence");
  EXPECT_EQ(task->solved_threshold(), 15);
  EXPECT_EQ(task->metrics()[1].name, "wrong_bits_per_sequence");
  const Batch b = sampled(*task);
  Prediction answer = right(*task, b);
  answer.values(30, 0, 3) = 1 - answer.values(30, 0, 3);
  EXPECT_EQ(metrics_of(*task, b, answer, 2 * std::numbers::ln2), (std::vector<double>{2, 1}));
}

TEST(PrioritySort, ChanceIsWhatGuessingScores) {
  EXPECT_EQ(make_task("priority_sort")->chance(), (std::vector<double>{128, 64}));
  const auto task = make_task("priority_sort", {{"items", "4:20"}});
  // 4 + ... + 15, then five times 16, of 17 sizes.
  EXPECT_NEAR(task->chance()[0], 8 * (114 + 80) / 17.0, 1e-9);
  const std::vector<double> mean = mean_of_coins(*task, 3000, 8);
  EXPECT_NEAR(mean[0], task->chance()[0], 4.5 * 32 / std::sqrt(3000));
  EXPECT_NEAR(mean[1], task->chance()[1], 4.5 * 17 / std::sqrt(3000));
}

TEST(PrioritySort, Display) {
  const auto task = make_task("priority_sort", {{"items", "3"}, {"outputs", "2"}, {"width", "2"}});
  Batch b;
  b.reset(task->spec(), 1, 6);
  b.parameters[0].second[0] = 3;
  b.parameters[1].second[0] = 2;
  b.dense(0, 0, 0) = b.dense(2, 0, 1) = 1;
  b.dense(0, 0, 2) = 0.1f;
  b.dense(1, 0, 2) = -0.5f;
  b.dense(2, 0, 2) = 0.7f;
  b.target.values(4, 0, 1) = b.target.values(5, 0, 0) = 1;
  b.target.scored(4, 0) = b.target.scored(5, 0) = 1;
  const std::string asked =
      "priority_sort, 3 vectors of 2 bits, the 2 of highest priority are given back\n"
      "input   #..\n"
      "        ..#\n"
      "rank    2-1\n"
      "target  .#\n"
      "        #.\n";
  EXPECT_EQ(task->display(b, 0, nullptr), asked);
  Prediction answer{.values = b.target.values};
  answer.values(4, 0, 1) = 0;
  EXPECT_EQ(task->display(b, 0, &answer), asked +
                                              "output  .#\n"
                                              "        o.\n"
                                              "1 wrong of 4 bits (X: 1 for 0, o: 0 for 1)\n");
}

TEST(PrioritySort, TheDisplayHasRanksOfTwoDigits) {
  const auto task = make_task("priority_sort", {{"width", "1"}});
  const Batch b = sampled(*task);
  const std::string text = task->display(b, 0, nullptr);
  const std::size_t at = text.find("rank    ") + 8;
  const std::string tens = text.substr(at, 20), units = text.substr(at + 29, 20);
  std::size_t highest = 0;
  for (std::size_t t = 0; t < 20; ++t)
    if (b.dense(t, 0, 1) > b.dense(highest, 0, 1)) highest = t;
  EXPECT_EQ(tens[highest], ' ');
  EXPECT_EQ(units[highest], '1');
  EXPECT_EQ(std::count(units.begin(), units.end(), '-'), 4) << text;
  EXPECT_EQ(std::count(tens.begin(), tens.end(), '1'), 7) << text;
}

}  // namespace
}  // namespace mneme
