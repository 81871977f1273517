// Every registered task held to what it declares and to what others count on. A new task is in here by being
// registered.
#include "tasks/task.hpp"

#include "core/prediction.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace mneme {
namespace {

class TaskConformance : public testing::TestWithParam<std::string> {
 protected:
  TaskConformance() : plugin(tasks().find(GetParam())), task(plugin.make(plugin.options.parse("task", {}))) {}
  Batch sampled(const Draw& draw) const {
    Batch batch;
    task->sample(draw, batch);
    return batch;
  }
  const TaskPlugin& plugin;
  std::unique_ptr<Task> task;
};

/// Every number that a batch holds.
std::vector<double> numbers_of(const BatchSpec& spec, const Batch& batch) {
  std::vector<double> all(batch.lengths.begin(), batch.lengths.end());
  all.insert(all.end(), batch.items.count.begin(), batch.items.count.end());
  all.insert(all.end(), batch.items.edge_count.begin(), batch.items.edge_count.end());
  for (const auto& [name, values] : batch.parameters) all.insert(all.end(), values.begin(), values.end());
  Batch::each(spec, batch, [&](const BatchField&, const auto& tensor) {
    for (const auto v : tensor.storage()) all.push_back(static_cast<double>(v));
  });
  return all;
}

/// The answer that is asked for, sure of itself.
Prediction right_answer(const BatchSpec& spec, const Batch& batch) {
  Prediction p;
  p.values.resize({batch.target.count(), batch.size, spec.outputs});
  std::fill(p.values.storage().begin(), p.values.storage().end(), 0.0f);
  p.lengths = batch.target_lengths();
  if (!chooses(spec.target)) {
    p.values = batch.target.values;
    return p;
  }
  p.indices = batch.target.indices;
  for (std::size_t i = 0; i < batch.target.count(); ++i)
    for (std::size_t b = 0; b < batch.size; ++b)
      if (batch.target.scored(i, b)) p.values(i, b, static_cast<std::size_t>(p.indices(i, b))) = 1;
  return p;
}

TEST_P(TaskConformance, KeepsWhatItDeclares) {
  const BatchSpec& spec = task->spec();
  EXPECT_FALSE(spec.has_items() && spec.item_limit() == 0) << "says how many items at most";
  const auto names = task->token_names();
  EXPECT_TRUE(names.empty() || names.size() >= std::max(spec.vocabulary, spec.item_vocabulary));
  const auto classes = task->class_names();
  EXPECT_TRUE(classes.empty() || classes.size() == spec.outputs);
  Batch batch;  // one for all: nothing of the batch before may be left
  for (const char* stream : {"task", "eval"})
    for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1000}, kTestNumbers})
      for (const std::size_t rows : {1u, 5u, 32u}) {
        task->sample({.seed = 2, .stream = stream, .first = first, .rows = rows}, batch);
        EXPECT_EQ(batch.size, rows);
        EXPECT_NO_THROW(batch.check(spec, "task " + GetParam()));
        for (std::size_t b = 0; b < rows; ++b) {
          std::size_t scored = 0;
          for (std::size_t i = 0; i < batch.target.count(); ++i) scored += batch.target.scored(i, b);
          EXPECT_GT(scored, 0u) << "row " << b << " asks for something";
        }
      }
}

TEST_P(TaskConformance, ASequenceIsItsNumberAlone) {
  const BatchSpec& spec = task->spec();
  const Draw whole{.seed = 3, .first = 40, .rows = 6};
  const Batch all = sampled(whole);
  EXPECT_EQ(numbers_of(spec, all), numbers_of(spec, sampled(whole)));
  EXPECT_NE(numbers_of(spec, all), numbers_of(spec, sampled({.seed = 4, .first = 40, .rows = 6})));
  for (std::size_t begin = 0; begin < 6; begin += 2) {
    const Batch shard = sampled({.seed = 3, .first = 40, .row_begin = begin, .rows = 2});
    for (std::size_t b = 0; b < 2; ++b)
      EXPECT_EQ(numbers_of(spec, shard.row(spec, b)), numbers_of(spec, all.row(spec, begin + b)));
  }
}

TEST_P(TaskConformance, TheRightAnswerSolvesItAndMetricsHaveFigures) {
  const BatchSpec& spec = task->spec();
  const std::size_t n = task->metrics().size();
  ASSERT_LT(task->solved_metric(), n);
  EXPECT_EQ(task->chance().size(), n);
  const Batch batch = sampled({.rows = 20});
  const Prediction right = right_answer(spec, batch);
  std::vector<double> rows(batch.size * n);
  for (std::size_t b = 0; b < batch.size; ++b) task->score(batch, b, right, 0, {rows.data() + b * n, n});
  for (const double v : rows) EXPECT_TRUE(std::isfinite(v));
  const std::vector<Figure> figures = task->summary(rows);
  ASSERT_EQ(figures.size(), n);
  EXPECT_LE(figures[task->solved_metric()].value.value(), task->solved_threshold());
}

TEST_P(TaskConformance, ItsRuleAllowsTheRightAnswer) {
  const Validity rule = task->validity();
  const BatchSpec& spec = task->spec();
  if (!rule) return;
  const Batch batch = sampled({.rows = 20});
  for (std::size_t b = 0; b < batch.size; ++b) {
    std::vector<std::int32_t> made;
    for (std::size_t i = 0; i < batch.target_lengths()[b]; ++i) {
      std::vector<std::uint8_t> allowed(spec.outputs, 0);
      rule(batch, b, made, allowed);
      EXPECT_TRUE(allowed[static_cast<std::size_t>(batch.target.indices(i, b))]) << "choice " << i << " of row " << b;
      made.push_back(batch.target.indices(i, b));
    }
  }
}

TEST_P(TaskConformance, ItShowsARowWithAndWithoutAnAnswer) {
  const Batch batch = sampled({.rows = 3});
  const Prediction right = right_answer(task->spec(), batch);
  for (std::size_t b = 0; b < 3; ++b) {
    const std::string asked = task->display(batch, b, nullptr), answered = task->display(batch, b, &right);
    EXPECT_TRUE(asked.ends_with('\n'));
    EXPECT_TRUE(answered.starts_with(asked)) << answered;
    EXPECT_GT(answered.size(), asked.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Plugin, TaskConformance, testing::ValuesIn(tasks().names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace mneme
