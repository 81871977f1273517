// Task reverse: layout of both forms, metrics, chance level, names, display.
#include "tests/tasks/sequence_checks.hpp"

#include <cmath>
#include <numbers>

namespace mneme {
namespace {

TEST(Reverse, SymbolsThenEndMarkerThenTheSymbolsBackwards) {
  const auto task = make_task("reverse", {{"length", "4"}, {"vocabulary", "5"}});
  const BatchSpec& spec = task->spec();
  EXPECT_EQ(spec.vocabulary, 7u);
  EXPECT_EQ(spec.outputs, 5u);
  EXPECT_EQ(spec.target, TargetKind::classes);
  EXPECT_FALSE(spec.has_items());
  const Batch b = sampled(*task, {.seed = 4, .first = 17, .rows = 3});
  ASSERT_EQ(b.steps, 9u);
  for (std::size_t row = 0; row < 3; ++row) {
    EXPECT_EQ(phases(b, row), "iiiidaaaa");
    EXPECT_EQ(parameter(b, "length", row), 4);
    for (std::size_t t = 0; t < 9; ++t) {
      if (t < 4) {
        EXPECT_LT(b.tokens(t, row), 5);
      } else {
        EXPECT_EQ(b.tokens(t, row), t == 4 ? 5 : 6);
      }
      EXPECT_EQ(b.target.scored(t, row), t > 4);
      EXPECT_EQ(b.target.indices(t, row), t > 4 ? b.tokens(8 - t, row) : -1);
    }
  }
}

TEST(Reverse, ItemsHoldTheSameSequences) {
  const auto steps = make_task("reverse", {{"mixed-lengths", "true"}});
  const auto items = make_task("reverse", {{"mixed-lengths", "true"}, {"form", "items"}});
  EXPECT_EQ(items->spec().item_vocabulary, items->spec().vocabulary);
  EXPECT_EQ(items->spec().max_items, 20u);
  EXPECT_EQ(items->spec().longest_line, 1u);
  EXPECT_EQ(items->spec().max_steps, 21u);
  const Batch a = sampled(*steps, {.seed = 3, .rows = 20}), b = sampled(*items, {.seed = 3, .rows = 20});
  for (std::size_t row = 0; row < 20; ++row) {
    const std::size_t length = b.items.count[row];
    ASSERT_EQ(a.lengths[row], 2 * length + 1);
    ASSERT_EQ(b.lengths[row], length + 1);
    EXPECT_EQ(phases(b, row), "d" + std::string(length, 'a'));
    EXPECT_EQ(b.tokens(0, row), 8);
    for (std::size_t i = 0; i < length; ++i) {
      EXPECT_EQ(b.items.tokens(row, i, 0), a.tokens(i, row));
      EXPECT_EQ(b.tokens(1 + i, row), 9);
      EXPECT_EQ(b.target.indices(1 + i, row), a.target.indices(length + 1 + i, row));
    }
  }
}

TEST(Reverse, SymbolsAreUniform) {
  const Batch b = sampled(*make_task("reverse", {{"length", "20"}}), {.rows = 400});
  std::map<std::int32_t, int> count;
  for (std::size_t row = 0; row < 400; ++row)
    for (std::size_t t = 0; t < 20; ++t) ++count[b.tokens(t, row)];
  ASSERT_EQ(count.size(), 8u);
  for (const auto& [symbol, n] : count) EXPECT_NEAR(n, 1000, 4.5 * 29.6) << symbol;
}

TEST(Reverse, ScoreCountsWrongSymbols) {
  const auto task = make_task("reverse", {{"length", "3"}});
  EXPECT_EQ(task->metrics()[0].name, "bits_per_sequence");
  EXPECT_EQ(task->metrics()[task->solved_metric()].name, "wrong_symbols_per_sequence");
  EXPECT_EQ(task->solved_threshold(), 0.01);
  const Batch b = sampled(*task);
  Prediction answer = right(*task, b);
  EXPECT_EQ(metrics_of(*task, b, answer, 3 * std::numbers::ln2), (std::vector<double>{3, 0}));
  answer.indices(5, 0) = (answer.indices(5, 0) + 1) % 8;
  answer.indices(0, 0) = 3;  // not scored
  EXPECT_EQ(metrics_of(*task, b, answer)[1], 1);
  answer.values(6, 0, static_cast<std::size_t>(answer.indices(6, 0))) = NAN;
  EXPECT_EQ(metrics_of(*task, b, answer)[1], 2) << "what is no number is wrong";
}

TEST(Reverse, ChanceIsWhatGuessingScores) {
  const auto task = make_task("reverse");
  EXPECT_DOUBLE_EQ(task->chance()[0], 31.5);
  EXPECT_DOUBLE_EQ(task->chance()[1], 10.5 * 7 / 8);
  const std::vector<double> mean = mean_of_dice(*task, 3000, 0, 7);
  EXPECT_NEAR(mean[0], task->chance()[0], 4.5 * 17.3 / std::sqrt(3000));
  EXPECT_NEAR(mean[1], task->chance()[1], 4.5 * 5.2 / std::sqrt(3000));
}

TEST(Reverse, TokensHaveNames) {
  const auto task = make_task("reverse", {{"vocabulary", "3"}});
  EXPECT_EQ(task->token_names(), (std::vector<std::string>{"0", "1", "2", "end", "blank"}));
  EXPECT_EQ(task->class_names(), (std::vector<std::string>{"0", "1", "2"}));
}

TEST(Reverse, Display) {
  for (const char* form : {"steps", "items"}) {
    const auto task = make_task("reverse", {{"length", "3"}, {"vocabulary", "12"}, {"form", form}});
    const bool items = form == std::string("items");
    Batch b = sampled(*task);
    const std::size_t end = items ? 0 : 3;
    const std::int32_t symbols[] = {7, 11, 0};
    for (std::size_t i = 0; i < 3; ++i) {
      (items ? b.items.tokens(0, i, 0) : b.tokens(i, 0)) = symbols[i];
      b.target.indices(end + 3 - i, 0) = symbols[i];
    }
    const std::string asked = fmt::format(
        "reverse, 3 of 12 symbols{}\n"
        "input    7 11  0\n"
        "target   0 11  7\n",
        items ? ", as items" : "");
    EXPECT_EQ(task->display(b, 0, nullptr), asked);
    Prediction answer = right(*task, b);
    EXPECT_EQ(task->display(b, 0, &answer), asked + "output   0 11  7\n0 wrong of 3 symbols\n");
    answer.indices(end + 1, 0) = 10;
    answer.indices(end + 3, 0) = 6;
    EXPECT_EQ(task->display(b, 0, &answer), asked +
                                                "output  10 11  6\n"
                                                "         ^     ^\n"
                                                "2 wrong of 3 symbols\n");
  }
}

TEST(Reverse, OptionErrors) {
  EXPECT_EQ(complaint("reverse", {{"form", "words"}}), "[task.form] 'words' does not exist; it takes steps|items");
}

}  // namespace
}  // namespace mneme
