// Task repeat_copy: layout, how repeats are told, metrics, chance level, display.
#include "tests/tasks/sequence_checks.hpp"

#include <cmath>
#include <numbers>

namespace mneme {
namespace {

TEST(RepeatCopy, BitsThenDelimiterAndRepeatsThenAnswersThenTheEnd) {
  const auto task = make_task("repeat_copy", {{"length", "2"}, {"repeats", "3"}, {"width", "4"}});
  const BatchSpec& spec = task->spec();
  EXPECT_EQ(spec.channels, 6u);
  EXPECT_EQ(spec.outputs, 5u);
  EXPECT_EQ(spec.target, TargetKind::bits);
  const Batch b = sampled(*task, {.seed = 4, .first = 17, .rows = 2});
  ASSERT_EQ(b.steps, 2u + 1 + 6 + 1);
  for (std::size_t row = 0; row < 2; ++row) {
    EXPECT_EQ(phases(b, row), "iidaaaaaaa");
    EXPECT_EQ(parameter(b, "length", row), 2);
    EXPECT_EQ(parameter(b, "repeats", row), 3);
    for (std::size_t t = 0; t < b.steps; ++t) {
      EXPECT_EQ(b.target.scored(t, row), t > 2);
      EXPECT_EQ(b.dense(t, row, 4), t == 2 ? 1 : 0) << "delimiter";
      EXPECT_EQ(b.dense(t, row, 5) != 0, t == 2) << "repeats";
      EXPECT_EQ(b.target.values(t, row, 4), t == 9 ? 1 : 0) << "end marker";
      for (std::size_t k = 0; k < 4; ++k) {
        if (t >= 2) {
          EXPECT_EQ(b.dense(t, row, k), 0) << "no bits while it answers";
        }
        EXPECT_EQ(b.target.values(t, row, k), t > 2 && t < 9 ? b.dense((t - 3) % 2, row, k) : 0);
      }
    }
  }
}

// (R - 5.5) / sqrt((10^2 - 1) / 12) where R is uniform over 1 to 10: mean 0, variance 1.
TEST(RepeatCopy, RepeatsAreToldOnAScaleThatLongerTestsKeep) {
  const auto told = [](const Given& options) {
    const auto task = make_task("repeat_copy", options);
    const Batch b = sampled(*task);
    return static_cast<double>(b.dense(static_cast<std::size_t>(parameter(b, "length")), 0, 9));
  };
  EXPECT_NEAR(told({{"repeats", "1"}}), -4.5 / std::sqrt(8.25), 1e-6);
  EXPECT_NEAR(told({{"repeats", "10"}}), 4.5 / std::sqrt(8.25), 1e-6);
  EXPECT_NEAR(told({{"repeats", "20"}, {"length", "30"}}), 14.5 / std::sqrt(8.25), 1e-6);
  EXPECT_NEAR(told({{"repeats", "3"}, {"repeats-scale", "1:3"}}), 1 / std::sqrt(8.0 / 12), 1e-6);
  const auto task = make_task("repeat_copy", {{"mixed-lengths", "true"}, {"length", "1"}});
  const Batch b = sampled(*task, {.rows = 4000});
  double sum = 0, squares = 0;
  for (std::size_t row = 0; row < 4000; ++row) {
    const auto v = static_cast<double>(b.dense(1, row, 9));
    sum += v / 4000;
    squares += v * v / 4000;
  }
  EXPECT_NEAR(sum, 0, 4.5 / std::sqrt(4000));
  EXPECT_NEAR(squares, 1, 4.5 * 0.88 / std::sqrt(4000));
}

TEST(RepeatCopy, LengthsAndRepeatsAreUniformAndIndependent) {
  const auto task = make_task("repeat_copy", {{"mixed-lengths", "true"}, {"length", "1:3"}, {"repeats", "2:3"}});
  const Batch b = sampled(*task, {.rows = 6000});
  std::map<std::pair<float, float>, int> count;
  for (std::size_t row = 0; row < 6000; ++row) ++count[{parameter(b, "length", row), parameter(b, "repeats", row)}];
  EXPECT_EQ(count.size(), 6u);
  for (const auto& [size, n] : count) EXPECT_NEAR(n, 1000, 4.5 * 28.9) << size.first << " x " << size.second;
}

TEST(RepeatCopy, TheEndMarkersBitsCount) {
  const auto task = make_task("repeat_copy", {{"length", "2"}, {"repeats", "2"}, {"width", "3"}});
  EXPECT_EQ(task->metrics()[0].name, "bits_per_sequence");
  EXPECT_EQ(task->metrics()[task->solved_metric()].name, "wrong_bits_per_sequence");
  EXPECT_EQ(task->metrics()[1].doc, "bits of the answer on the wrong side of 0.5, the end marker's included");
  EXPECT_EQ(task->solved_threshold(), 0.01);
  const Batch b = sampled(*task);
  Prediction answer = right(*task, b);
  EXPECT_EQ(metrics_of(*task, b, answer, 3 * std::numbers::ln2), (std::vector<double>{3, 0}));
  answer.values(7, 0, 3) = 0.4f;  // the end, missed
  answer.values(3, 0, 3) = 0.6f;  // and said too early
  answer.values(7, 0, 0) = 0.6f;  // bits beside it are zero
  answer.values(0, 0, 0) = 1 - answer.values(0, 0, 0);
  EXPECT_EQ(metrics_of(*task, b, answer)[1], 3);
}

TEST(RepeatCopy, ChanceIsWhatGuessingBitsScores) {
  const auto task = make_task("repeat_copy");
  EXPECT_EQ(task->chance(), (std::vector<double>{242, 121}));
  const std::vector<double> mean = mean_of_coins(*task, 4000, 8, 1);
  EXPECT_NEAR(mean[0], 242, 4.5 * 186 / std::sqrt(4000));
  EXPECT_NEAR(mean[1], 121, 4.5 * 94 / std::sqrt(4000));
}

TEST(RepeatCopy, Display) {
  const auto task = make_task("repeat_copy", {{"length", "2"}, {"repeats", "2"}, {"width", "2"}});
  Batch b;
  b.reset(task->spec(), 1, 8);
  b.parameters[0].second[0] = b.parameters[1].second[0] = 2;
  b.dense(0, 0, 0) = b.dense(1, 0, 1) = 1;
  for (const std::size_t t : {3u, 4u, 5u, 6u, 7u}) b.target.scored(t, 0) = 1;
  for (const std::size_t t : {3u, 5u}) b.target.values(t, 0, 0) = b.target.values(t + 1, 0, 1) = 1;
  b.target.values(7, 0, 2) = 1;
  const std::string asked =
      "repeat_copy, 2 steps of 2 bits, 2 times; the last row is the end marker\n"
      "input   #.\n"
      "        .#\n"
      "target  #. #. .\n"
      "        .# .# .\n"
      "        .. .. #\n";
  EXPECT_EQ(task->display(b, 0, nullptr), asked);
  Prediction answer{.values = b.target.values};
  answer.values(5, 0, 0) = 0.2f;
  answer.values(6, 0, 2) = 0.9f;
  EXPECT_EQ(task->display(b, 0, &answer), asked +
                                              "output  #. o. .\n"
                                              "        .# .# .\n"
                                              "        .. .X #\n"
                                              "2 wrong of 15 bits (X: 1 for 0, o: 0 for 1)\n");
}

TEST(RepeatCopy, OptionErrors) {
  EXPECT_EQ(complaint("repeat_copy", {{"repeats-scale", "3"}}),
            "[task.repeats-scale] 3:3 has no deviation; its ends must differ");
  EXPECT_EQ(complaint("repeat_copy", {{"repeats", "0"}}),
            "[task.repeats] '0' is out of range; it takes low:high in 1..100000");
}

}  // namespace
}  // namespace mneme
