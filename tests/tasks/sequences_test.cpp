// Tasks of random sequences: what holds for each of them, with rows of one size and with rows of their own.
#include "tests/core/allocation_count.hpp"
#include "tests/tasks/sequence_checks.hpp"

#include <set>

namespace mneme {
namespace {

/// A task, its length options, and options under which sizes differ.
struct Case {
  std::string name;
  std::vector<std::string> parts;
  Given varied;
};

class Sequences : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Task> task(bool mixed) const {
    Given options = GetParam().varied;
    if (mixed) options["mixed-lengths"] = "true";
    return make_task(GetParam().name, options);
  }
};

/// Every number that a row holds.
std::vector<double> numbers_of(const BatchSpec& spec, const Batch& batch) {
  std::vector<double> all(batch.lengths.begin(), batch.lengths.end());
  for (const auto& [name, values] : batch.parameters) all.insert(all.end(), values.begin(), values.end());
  Batch::each(spec, batch, [&](const BatchField&, const auto& tensor) {
    for (const auto v : tensor.storage()) all.push_back(static_cast<double>(v));
  });
  return all;
}

TEST_P(Sequences, LengthOptionsAreRanges) {
  const TaskPlugin& plugin = tasks().find(GetParam().name);
  EXPECT_EQ(plugin.length_options, GetParam().parts);
  for (const std::string& part : plugin.length_options) {
    const Option* option = plugin.options.find(part);
    ASSERT_NE(option, nullptr) << part;
    EXPECT_EQ(option->type, Option::Type::range) << part;
  }
  EXPECT_FALSE(plugin.summary.empty());
  EXPECT_NE(plugin.source.find(" et al. 20"), std::string::npos) << plugin.source;
}

TEST_P(Sequences, RowsOfABatchShareASizeUnlessTheyAreMixed) {
  for (const bool mixed : {false, true}) {
    const auto t = task(mixed);
    std::set<std::uint32_t> seen;
    std::size_t ragged = 0;
    for (std::uint64_t first = 0; first < 1600; first += 4) {
      const Batch b = sampled(*t, {.first = first, .rows = 4});
      ragged += b.ragged();
      EXPECT_EQ(b.steps, *std::max_element(b.lengths.begin(), b.lengths.end()));
      EXPECT_LE(b.steps, t->spec().max_steps);
      seen.insert(b.lengths.begin(), b.lengths.end());
    }
    EXPECT_EQ(*seen.rbegin(), t->spec().max_steps) << "the longest comes";
    EXPECT_GT(seen.size(), 3u);
    EXPECT_EQ(ragged > 0, mixed);
  }
}

TEST_P(Sequences, SameDrawSameBatchAndShardsAreRowsOfIt) {
  for (const bool mixed : {false, true}) {
    const auto t = task(mixed);
    const Batch whole = sampled(*t, {.seed = 2, .first = 96, .rows = 8});
    Batch again = sampled(*t, {.seed = 9, .first = 1, .rows = 5});
    t->sample({.seed = 2, .first = 96, .rows = 8}, again);  // into a batch that held something else
    EXPECT_EQ(numbers_of(t->spec(), whole), numbers_of(t->spec(), again));
    for (const std::size_t begin : {0u, 3u, 6u}) {
      const Batch shard = sampled(*t, {.seed = 2, .first = 96, .row_begin = begin, .rows = 2});
      for (std::size_t r = 0; r < 2; ++r)
        EXPECT_EQ(numbers_of(t->spec(), shard.row(t->spec(), r)),
                  numbers_of(t->spec(), whole.row(t->spec(), begin + r)));
    }
    const auto alone = [&](const Draw& draw) { return numbers_of(t->spec(), sampled(*t, draw)); };
    const auto base = alone({.seed = 3, .first = 12});
    EXPECT_NE(base, alone({.seed = 4, .first = 12}));
    EXPECT_NE(base, alone({.seed = 3, .first = 13}));
    EXPECT_NE(base, alone({.seed = 3, .stream = "eval", .first = 12}));
  }
}

// A batch's first sequence has its own size in any case, so the two ways of drawing sizes agree on it.
TEST_P(Sequences, ContentDoesNotDependOnHowSizesAreDrawn) {
  const auto shared = task(false), mixed = task(true);
  for (std::uint64_t first = 0; first < 20; ++first)
    EXPECT_EQ(numbers_of(shared->spec(), sampled(*shared, {.first = first})),
              numbers_of(mixed->spec(), sampled(*mixed, {.first = first})));
}

TEST_P(Sequences, SamplingAllocatesNothingOnceWarm) {
  for (const bool mixed : {false, true}) {
    const auto t = task(mixed);
    Batch b;
    for (std::uint64_t n = 0; n < 200; ++n) t->sample({.first = 4 * n, .rows = 4}, b);
    const std::uint64_t before = allocations();
    for (std::uint64_t n = 200; n < 300; ++n) t->sample({.first = 4 * n, .rows = 4}, b);
    EXPECT_EQ(allocations(), before);
  }
}

TEST_P(Sequences, TheDisplayOfAShortRowShowsItsOwnSteps) {
  const auto t = task(true);
  const Batch b = sampled(*t, {.rows = 20});
  const Prediction answer = right(*t, b);
  for (std::size_t row = 0; row < 20; ++row) {
    const Batch alone = b.row(t->spec(), row);
    const Prediction own = right(*t, alone);
    const std::string text = t->display(b, row, &answer);
    EXPECT_EQ(text, t->display(alone, 0, &own));
    EXPECT_TRUE(text.starts_with(GetParam().name + ", ")) << text;
    EXPECT_NE(text.find("\n0 wrong of "), std::string::npos) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Plugin, Sequences,
    testing::Values(Case{"copy", {"length"}, {}}, Case{"repeat_copy", {"length", "repeats"}, {{"repeats", "1:4"}}},
                    Case{"associative_recall", {"items"}, {}}, Case{"ngram", {"length"}, {{"length", "20:30"}}},
                    Case{"priority_sort", {"items"}, {{"items", "4:20"}}}, Case{"reverse", {"length"}, {}},
                    Case{"mqar", {"length", "pairs"}, {{"length", "16:32"}, {"pairs", "1:4"}, {"vocabulary", "64"}}},
                    Case{"selective_copy", {"length"}, {{"length", "4:12"}, {"tokens", "3"}}}),
    [](const auto& info) { return info.param.name; });

TEST(SequencesTest, ReverseOfItemsIsOneOfThem) {
  for (const char* mixed : {"false", "true"}) {
    const auto task = make_task("reverse", {{"form", "items"}, {"mixed-lengths", mixed}});
    const Batch whole = sampled(*task, {.first = 8, .rows = 6});
    for (std::size_t row = 0; row < 6; ++row) {
      const Batch alone = sampled(*task, {.first = 8, .row_begin = row});
      EXPECT_EQ(numbers_of(task->spec(), alone), numbers_of(task->spec(), whole.row(task->spec(), row)));
    }
    Batch b;
    for (std::uint64_t n = 0; n < 200; ++n) task->sample({.first = 4 * n, .rows = 4}, b);
    const std::uint64_t before = allocations();
    for (std::uint64_t n = 200; n < 300; ++n) task->sample({.first = 4 * n, .rows = 4}, b);
    EXPECT_EQ(allocations(), before);
  }
}

}  // namespace
}  // namespace mneme
