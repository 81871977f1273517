// Task associative_recall: layout, which item is asked for, metrics, chance level, display.
#include "tests/tasks/sequence_checks.hpp"

#include <cmath>
#include <numbers>

namespace mneme {
namespace {

TEST(AssociativeRecall, ItemsBehindDelimitersThenTheQueryThenTheNextItem) {
  const auto task = make_task("associative_recall", {{"items", "4"}, {"width", "5"}, {"item-length", "2"}});
  const BatchSpec& spec = task->spec();
  EXPECT_EQ(spec.channels, 7u);
  EXPECT_EQ(spec.outputs, 5u);
  EXPECT_EQ(spec.target, TargetKind::bits);
  const Batch b = sampled(*task, {.seed = 4, .first = 17, .rows = 30});
  ASSERT_EQ(b.steps, 4u * 3 + 1 + 2 + 1 + 2);
  for (std::size_t row = 0; row < 30; ++row) {
    EXPECT_EQ(phases(b, row), "diidiidiidiidiidaa");
    EXPECT_EQ(parameter(b, "items", row), 4);
    const auto asked = static_cast<std::size_t>(parameter(b, "query", row)) - 1;
    ASSERT_LT(asked, 3u) << "nothing comes after the last item";
    for (std::size_t t = 0; t < b.steps; ++t) {
      EXPECT_EQ(b.dense(t, row, 5), t < 12 && t % 3 == 0 ? 1 : 0) << "item delimiter";
      EXPECT_EQ(b.dense(t, row, 6), t == 12 || t == 15 ? 1 : 0) << "query delimiter";
      EXPECT_EQ(b.target.scored(t, row), t >= 16);
      for (std::size_t k = 0; k < 5; ++k) {
        if (t % 3 == 0 || t >= 16) {
          EXPECT_EQ(b.dense(t, row, k), 0) << "no bits beside a delimiter, nor while it answers";
        }
        if (t == 13 || t == 14) {
          EXPECT_EQ(b.dense(t, row, k), b.dense(3 * asked + t - 12, row, k)) << "query";
        }
        EXPECT_EQ(b.target.values(t, row, k), t >= 16 ? b.dense(3 * asked + 3 + t - 15, row, k) : 0);
      }
    }
  }
}

TEST(AssociativeRecall, AnyItemButTheLastIsAsked) {
  const auto task = make_task("associative_recall", {{"items", "5"}});
  const Batch b = sampled(*task, {.rows = 4000});
  std::map<float, int> count;
  for (std::size_t row = 0; row < 4000; ++row) ++count[parameter(b, "query", row)];
  ASSERT_EQ(count.size(), 4u);
  for (const auto& [query, n] : count) EXPECT_NEAR(n, 1000, 4.5 * 27.4) << query;
}

TEST(AssociativeRecall, BitsAreFair) {
  const Batch b = sampled(*make_task("associative_recall", {{"items", "6"}}), {.rows = 500});
  for (std::size_t k = 0; k < 6; ++k) {
    double ones = 0;
    for (std::size_t row = 0; row < 500; ++row)
      for (std::size_t t = 0; t < 24; ++t) ones += b.dense(t, row, k);
    EXPECT_NEAR(ones, 4500, 4.5 * 47.4);
  }
}

TEST(AssociativeRecall, ChanceIsWhatGuessingScores) {
  const auto task = make_task("associative_recall");
  EXPECT_EQ(task->chance(), (std::vector<double>{18, 9}));
  const std::vector<double> mean = mean_of_coins(*task, 2000, 6);
  EXPECT_NEAR(mean[0], 18, 1e-9);
  EXPECT_NEAR(mean[1], 9, 4.5 * 2.13 / std::sqrt(2000));
  EXPECT_EQ(task->metrics()[task->solved_metric()].name, "wrong_bits_per_sequence");
  EXPECT_EQ(task->solved_threshold(), 0.01);
}

TEST(AssociativeRecall, Display) {
  const auto task = make_task("associative_recall", {{"items", "2"}, {"width", "2"}, {"item-length", "2"}});
  Batch b;
  b.reset(task->spec(), 1, 12);
  b.parameters[0].second[0] = 2;
  b.parameters[1].second[0] = 1;
  b.dense(1, 0, 0) = b.dense(7, 0, 0) = b.dense(4, 0, 1) = b.dense(5, 0, 1) = 1;
  b.target.values(10, 0, 1) = b.target.values(11, 0, 1) = 1;
  b.target.scored(10, 0) = b.target.scored(11, 0) = 1;
  const std::string asked =
      "associative_recall, 2 items of 2 steps of 2 bits; asked for what followed item 1\n"
      "items   #. ..\n"
      "        .. ##\n"
      "query   #.\n"
      "        ..\n"
      "target  ..\n"
      "        ##\n";
  EXPECT_EQ(task->display(b, 0, nullptr), asked);
  Prediction answer{.values = b.target.values};
  answer.values(11, 0, 0) = 0.5f;
  EXPECT_EQ(task->display(b, 0, &answer), asked +
                                              "output  .X\n"
                                              "        ##\n"
                                              "1 wrong of 4 bits (X: 1 for 0, o: 0 for 1)\n");
}

TEST(AssociativeRecall, OptionErrors) {
  EXPECT_EQ(complaint("associative_recall", {{"items", "1:6"}}),
            "[task.items] '1:6' is out of range; it takes low:high in 2..100000");
}

}  // namespace
}  // namespace mneme
