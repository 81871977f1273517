// Task mqar: layout, keys and values, the law of the gaps, metrics, chance level, display.
#include "tests/tasks/sequence_checks.hpp"

#include <cmath>
#include <numbers>
#include <set>

namespace mneme {
namespace {

TEST(Mqar, PairsThenEachKeyOnceAmongRandomTokens) {
  const auto task = make_task("mqar", {{"length", "24"}, {"pairs", "5"}, {"vocabulary", "20"}});
  const BatchSpec& spec = task->spec();
  EXPECT_EQ(spec.vocabulary, 20u);
  EXPECT_EQ(spec.outputs, 20u);
  EXPECT_EQ(spec.target, TargetKind::classes);
  const Batch b = sampled(*task, {.seed = 4, .first = 17, .rows = 50});
  ASSERT_EQ(b.steps, 24u);
  for (std::size_t row = 0; row < 50; ++row) {
    EXPECT_EQ(parameter(b, "length", row), 24);
    EXPECT_EQ(parameter(b, "pairs", row), 5);
    std::map<std::int32_t, std::int32_t> value;
    std::set<std::int32_t> values;
    for (std::size_t i = 0; i < 5; ++i) {
      const std::int32_t k = b.tokens(2 * i, row), v = b.tokens(2 * i + 1, row);
      EXPECT_TRUE(k >= 1 && k < 10) << k;
      EXPECT_TRUE(v >= 10 && v < 20) << v;
      value[k] = v;
      values.insert(v);
    }
    EXPECT_EQ(value.size(), 5u) << "keys differ";
    EXPECT_EQ(values.size(), 5u) << "so do values";
    std::set<std::int32_t> asked;
    for (std::size_t t = 0; t < 24; ++t) {
      EXPECT_EQ(b.phase(t, row), static_cast<std::uint8_t>(b.target.scored(t, row) ? Phase::answer : Phase::input));
      if (!b.target.scored(t, row)) {
        EXPECT_EQ(b.target.indices(t, row), -1);
        continue;
      }
      EXPECT_TRUE(t >= 10 && t % 2 == 0) << t;
      EXPECT_EQ(b.target.indices(t, row), value.at(b.tokens(t, row)));
      asked.insert(b.tokens(t, row));
    }
    EXPECT_EQ(asked.size(), 5u);
  }
}

TEST(Mqar, KeysValuesAndWhatStandsBetweenAreUniform) {
  const auto task = make_task("mqar", {{"length", "64"}, {"pairs", "1"}, {"vocabulary", "8"}});
  const Batch b = sampled(*task, {.rows = 3000});
  std::map<std::int32_t, int> keys, values, between;
  for (std::size_t row = 0; row < 3000; ++row) {
    ++keys[b.tokens(0, row)];
    ++values[b.tokens(1, row)];
    ++between[b.tokens(33, row)];  // no query stands at an odd place
  }
  ASSERT_EQ(keys.size(), 3u);
  for (const auto& [k, n] : keys) EXPECT_NEAR(n, 1000, 4.5 * 25.9) << k;
  ASSERT_EQ(values.size(), 4u);
  for (const auto& [v, n] : values) EXPECT_NEAR(n, 750, 4.5 * 23.8) << v;
  ASSERT_EQ(between.size(), 8u);
  for (const auto& [t, n] : between) EXPECT_NEAR(n, 375, 4.5 * 18.2) << t;
}

// One query of one pair: gap g with the weight (g+1)^(a-1).
TEST(Mqar, GapsFollowThePowerLaw) {
  for (const double power : {0.01, 0.5, 1.0}) {
    const auto task = make_task("mqar", {{"length", "12"}, {"pairs", "1"}, {"power", fmt::format("{}", power)}});
    const std::size_t rows = 6000;
    const Batch b = sampled(*task, {.rows = rows});
    std::vector<double> count(5), weight(5);
    double all = 0;
    for (std::size_t g = 0; g < 5; ++g) all += weight[g] = std::pow(g + 1, power - 1);
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t g = 0; g < 5; ++g) count[g] += b.target.scored(2 + 2 * g, row);
    for (std::size_t g = 0; g < 5; ++g) {
      const double p = weight[g] / all;
      EXPECT_NEAR(count[g] / rows, p, 4.5 * std::sqrt(p * (1 - p) / rows)) << "gap " << g << ", power " << power;
    }
  }
}

// As many queries as there are places: all are taken.
TEST(Mqar, AFullSequenceHasAQueryAtEveryPlace) {
  const auto task = make_task("mqar", {{"length", "32"}, {"pairs", "8"}});
  const Batch b = sampled(*task, {.rows = 20});
  for (std::size_t row = 0; row < 20; ++row)
    for (std::size_t t = 16; t < 32; t += 2) EXPECT_EQ(b.target.scored(t, row), 1) << t;
}

TEST(Mqar, SolvedIsOnePercentOfSymbolsWrong) {
  const auto task = make_task("mqar");
  EXPECT_EQ(task->metrics()[0].name, "bits_per_sequence");
  EXPECT_EQ(task->metrics()[task->solved_metric()].name, "wrong_percent");
  EXPECT_EQ(task->metrics()[1].unit, "%");
  EXPECT_EQ(task->solved_threshold(), 1);
  const Batch b = sampled(*task);
  Prediction answer = right(*task, b);
  EXPECT_EQ(metrics_of(*task, b, answer, std::numbers::ln2), (std::vector<double>{1, 0}));
  for (std::size_t t = 0, changed = 0; t < 64 && changed < 1; ++t)
    if (b.target.scored(t, 0)) answer.indices(t, 0) = 1, ++changed;
  EXPECT_EQ(metrics_of(*task, b, answer)[1], 25);
}

TEST(Mqar, ChanceIsAGuessAmongTheValues) {
  EXPECT_DOUBLE_EQ(make_task("mqar")->chance()[0], 48);
  const auto task = make_task("mqar", {{"vocabulary", "16"}, {"pairs", "1:3"}});
  EXPECT_DOUBLE_EQ(task->chance()[0], 6);
  EXPECT_DOUBLE_EQ(task->chance()[1], 87.5);
  const std::vector<double> mean = mean_of_dice(*task, 4000, 8, 15);
  EXPECT_NEAR(mean[0], 6, 4.5 * 2.45 / std::sqrt(4000));
  EXPECT_NEAR(mean[1], 87.5, 4.5 * 33 / std::sqrt(4000));
}

TEST(Mqar, Display) {
  const auto task = make_task("mqar", {{"length", "8"}, {"pairs", "2"}, {"vocabulary", "200"}});
  Batch b;
  b.reset(task->spec(), 1, 8);
  b.parameters[1].second[0] = 2;
  const std::int32_t tokens[] = {7, 101, 93, 150, 93, 12, 7, 199};
  for (std::size_t t = 0; t < 8; ++t) b.tokens(t, 0) = tokens[t];
  b.target.scored(4, 0) = b.target.scored(6, 0) = 1;
  b.target.indices(4, 0) = 150;
  b.target.indices(6, 0) = 101;
  const std::string asked =
      "mqar, 2 pairs in 8 tokens\n"
      "keys      7  93\n"
      "values  101 150\n"
      "asked    93   7\n"
      "target  150 101\n";
  EXPECT_EQ(task->display(b, 0, nullptr), asked);
  Prediction answer = right(*task, b);
  answer.indices(6, 0) = 8;
  EXPECT_EQ(task->display(b, 0, &answer), asked +
                                              "output  150   8\n"
                                              "              ^\n"
                                              "1 wrong of 2 symbols\n");
}

TEST(Mqar, OptionErrors) {
  EXPECT_EQ(complaint("mqar", {{"length", "32:64"}, {"pairs", "9"}}),
            "[task.pairs] 9 pairs and their queries need 36 tokens, task.length has 32");
  EXPECT_EQ(complaint("mqar", {{"vocabulary", "8"}}), "[task.pairs] 4 pairs, and task.vocabulary 8 has 3 keys");
}

}  // namespace
}  // namespace mneme
