// Task selective_copy: layout, places, metrics, chance level, display.
#include "tests/tasks/sequence_checks.hpp"

#include <cmath>
#include <numbers>

namespace mneme {
namespace {

TEST(SelectiveCopy, SymbolsAmongBlanksThenMarkersAskForThemInOrder) {
  const auto task = make_task("selective_copy", {{"length", "9"}, {"tokens", "4"}, {"vocabulary", "7"}});
  const BatchSpec& spec = task->spec();
  EXPECT_EQ(spec.vocabulary, 7u);
  EXPECT_EQ(spec.outputs, 7u);
  EXPECT_EQ(spec.target, TargetKind::classes);
  const Batch b = sampled(*task, {.seed = 4, .first = 17, .rows = 50});
  ASSERT_EQ(b.steps, 13u);
  for (std::size_t row = 0; row < 50; ++row) {
    EXPECT_EQ(phases(b, row), "iiiiiiiiiaaaa");
    EXPECT_EQ(parameter(b, "length", row), 9);
    std::vector<std::int32_t> kept, given;
    for (std::size_t t = 0; t < 9; ++t) {
      EXPECT_FALSE(b.target.scored(t, row));
      EXPECT_TRUE(b.tokens(t, row) >= 0 && b.tokens(t, row) <= 5) << b.tokens(t, row);
      if (b.tokens(t, row)) kept.push_back(b.tokens(t, row));
    }
    for (std::size_t t = 9; t < 13; ++t) {
      EXPECT_EQ(b.tokens(t, row), 6) << "marker";
      EXPECT_TRUE(b.target.scored(t, row));
      given.push_back(b.target.indices(t, row));
    }
    EXPECT_EQ(kept, given);
  }
}

TEST(SelectiveCopy, PlacesAndSymbolsAreUniform) {
  const auto task = make_task("selective_copy", {{"length", "8"}, {"tokens", "2"}, {"vocabulary", "6"}});
  const Batch b = sampled(*task, {.rows = 4000});
  std::map<std::pair<std::size_t, std::size_t>, int> places;
  std::map<std::int32_t, int> symbols;
  for (std::size_t row = 0; row < 4000; ++row) {
    std::vector<std::size_t> at;
    for (std::size_t t = 0; t < 8; ++t)
      if (b.tokens(t, row)) at.push_back(t);
    ++places[{at.at(0), at.at(1)}];
    ++symbols[b.tokens(at[0], row)];
  }
  ASSERT_EQ(places.size(), 28u) << "any two of eight";
  for (const auto& [at, n] : places) EXPECT_NEAR(n, 4000 / 28.0, 4.5 * 11.7) << at.first << " " << at.second;
  ASSERT_EQ(symbols.size(), 4u);
  for (const auto& [symbol, n] : symbols) EXPECT_NEAR(n, 1000, 4.5 * 27.4) << symbol;
}

TEST(SelectiveCopy, SolvedIsOnePercentOfSymbolsWrong) {
  const auto task = make_task("selective_copy");
  EXPECT_EQ(task->metrics()[task->solved_metric()].name, "wrong_percent");
  EXPECT_EQ(task->solved_threshold(), 1);
  const Batch b = sampled(*task);
  Prediction answer = right(*task, b);
  EXPECT_EQ(metrics_of(*task, b, answer, 2 * std::numbers::ln2), (std::vector<double>{2, 0}));
  answer.indices(b.steps - 1, 0) = answer.indices(b.steps - 2, 0) = 0;
  EXPECT_EQ(metrics_of(*task, b, answer)[1], 12.5);
}

TEST(SelectiveCopy, ChanceIsAGuessAmongTheSymbols) {
  EXPECT_NEAR(make_task("selective_copy")->chance()[0], 16 * std::log2(14), 1e-9);
  const auto task = make_task("selective_copy", {{"vocabulary", "10"}, {"tokens", "4"}});
  EXPECT_DOUBLE_EQ(task->chance()[0], 12);
  EXPECT_DOUBLE_EQ(task->chance()[1], 87.5);
  const std::vector<double> mean = mean_of_dice(*task, 3000, 1, 8);
  EXPECT_NEAR(mean[0], 12, 1e-9);
  EXPECT_NEAR(mean[1], 87.5, 4.5 * 33.1 / std::sqrt(4 * 3000));
}

TEST(SelectiveCopy, Display) {
  const auto task = make_task("selective_copy", {{"length", "5"}, {"tokens", "2"}});
  Batch b;
  b.reset(task->spec(), 1, 7);
  const std::int32_t tokens[] = {0, 12, 0, 3, 0, 15, 15};
  for (std::size_t t = 0; t < 7; ++t) b.tokens(t, 0) = tokens[t];
  b.target.scored(5, 0) = b.target.scored(6, 0) = 1;
  b.target.indices(5, 0) = 12;
  b.target.indices(6, 0) = 3;
  const std::string asked =
      "selective_copy, 2 symbols in 5 steps\n"
      "input   . 12 .  3 .\n"
      "target  12  3\n";
  EXPECT_EQ(task->display(b, 0, nullptr), asked);
  Prediction answer = right(*task, b);
  answer.indices(5, 0) = 1;
  EXPECT_EQ(task->display(b, 0, &answer), asked +
                                              "output   1  3\n"
                                              "         ^\n"
                                              "1 wrong of 2 symbols\n");
}

TEST(SelectiveCopy, OptionErrors) {
  EXPECT_EQ(complaint("selective_copy", {{"length", "8:64"}}),
            "[task.tokens] 16 symbols do not fit into 8 steps (task.length)");
}

}  // namespace
}  // namespace mneme
