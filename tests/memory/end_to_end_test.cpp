// Memory end_to_end: whole passes against the paper in plain loops; tying, noise, linear start, edges.
#include "autodiff/ops.hpp"
#include "core/batch.hpp"
#include "memory/bags.hpp"
#include "tests/memory/plain_story.hpp"

#include <set>

namespace mneme {
namespace {

using test::Asked;
using test::complaint;
using test::Given;
using test::Row;
using test::Stories;
using test::Table;

Given small(Given given) {
  given.try_emplace("slots", "6");
  given.try_emplace("width", "5");
  given.try_emplace("empty-slots", "false");
  return given;
}

std::string value_or(const Given& given, const std::string& key, const std::string& standard) {
  const auto at = given.find(key);
  return at == given.end() ? standard : at->second;
}

/// Every weighting, value, the last query and the answer of every row.
void expect_paper(const Given& given, const std::vector<std::size_t>& counts,
                  std::vector<std::int32_t> output_tokens = {}) {
  const Stories stories(counts, output_tokens);
  Asked<double> asked("end_to_end", small(given), stories.spec);
  const bool adjacent = value_or(given, "tying", "adjacent") == "adjacent";
  const std::string encoding = value_or(given, "encoding", "position");
  const bool temporal = value_or(given, "temporal", "true") == "true";
  const bool empty = value_or(given, "empty-slots", "false") == "true";
  const std::size_t hops = std::stoul(value_or(given, "hops", "3")), width = 5;
  const std::size_t slots = std::stoul(value_or(given, "slots", "6"));
  const Values<double> state = asked.ask(stories.batch);
  const Var<double> logits = asked.memory->answer(asked.pass, state);
  ASSERT_TRUE((logits.shape == Shape{counts.size(), 3}));
  for (std::size_t b = 0; b < counts.size(); ++b) {
    const std::size_t n = counts[b];
    const auto embed = [&](std::size_t table) {
      const std::string index = std::to_string(table);
      std::vector<Row> all;
      for (std::size_t i = 0; i < n; ++i) {
        all.push_back(test::plain_bag(stories.story[b][i], asked.table("table_" + index), encoding));
        if (temporal) all.back() = test::plus(all.back(), asked.table("times_" + index)[n - 1 - i]);
      }
      return all;
    };
    Row u = test::plain_bag(stories.question[b], asked.table(adjacent ? "table_0" : "question.table"), encoding);
    for (std::size_t k = 0; k < hops; ++k) {
      const std::string site = "hop_" + std::to_string(k);
      Row e;
      for (const Row& m : embed(adjacent ? k : 0)) e.push_back(test::dot(u, m));
      Row p = test::plain_softmax(e, empty ? slots - n : 0);
      const Row o = test::weighted(p, embed(adjacent ? k + 1 : 1), width);
      p.resize(std::max<std::size_t>(*std::max_element(counts.begin(), counts.end()), 1));
      test::expect_near(asked.state(state, site, "weights", b), p, 1e-13);
      test::expect_near(asked.state(state, site, "value", b), o, 1e-13);
      u = test::plus(adjacent ? u : test::times(u, asked.table("hop.weight")), o);
    }
    test::expect_near(asked.state(state, "", "query", b), u, 1e-13);
    Row a;
    const bool tied = adjacent && !output_tokens.empty();
    const Table w = asked.table(tied ? "table_" + std::to_string(hops) : "answer.table");
    for (std::size_t k = 0; k < 3; ++k)
      a.push_back(test::dot(u, w[tied ? static_cast<std::size_t>(output_tokens[k]) : k]));
    test::expect_near(Row(logits.data + b * 3, logits.data + b * 3 + 3), a, 1e-13);
  }
}

const std::vector<std::size_t> kMixed{4, 1, 0, 6, 2};

TEST(EndToEnd, IsThePaperInEveryVariant) {
  for (int hops = 1; hops <= 6; ++hops) expect_paper({{"hops", std::to_string(hops)}}, kMixed);
  expect_paper({{"tying", "layer-wise"}}, kMixed);
  expect_paper({{"tying", "layer-wise"}, {"hops", "1"}}, kMixed, {2, 0, 6});
  expect_paper({{"encoding", "bag"}}, kMixed);
  expect_paper({{"encoding", "centred"}}, kMixed);
  expect_paper({{"encoding", "program"}}, kMixed);
  expect_paper({{"temporal", "false"}}, kMixed);
  expect_paper({{"empty-slots", "true"}}, kMixed);
  expect_paper({{"empty-slots", "true"}, {"slots", "40"}, {"tying", "layer-wise"}}, kMixed);
  expect_paper({}, kMixed, {2, 1, 6});
}

TEST(EndToEnd, StoriesOfOneStatementAndOfNone) {
  expect_paper({}, {1});
  expect_paper({}, {0});
  expect_paper({{"slots", "1"}}, {1, 0, 1});
}

TEST(EndToEnd, AnEmptyStoryLeavesTheQueryAlone) {
  const Stories stories({0, 3});
  Asked<double> asked("end_to_end", small({}), stories.spec);
  const Values<double> state = asked.ask(stories.batch);
  const Var<double> u = asked.memory->question(asked.pass, stories.batch);
  EXPECT_EQ(asked.state(state, "hop_0", "weights", 0), Row(3));
  EXPECT_EQ(asked.state(state, "", "query", 0), Row(u.data, u.data + 5));
}

TEST(EndToEnd, TooManyStatementsAreAnError) {
  Stories stories({4, 7});
  Asked<double> asked("end_to_end", small({}), stories.spec);
  EXPECT_EQ(complaint([&] { asked.ask(stories.batch); }), "[memory.slots] 6 slots for a set of 7 items");
  stories.spec.max_items = 7;
  EXPECT_EQ(complaint([&] { Asked<double>("end_to_end", small({}), stories.spec); }),
            "[memory.slots] 6 slots for up to 7 items");
  EXPECT_EQ(complaint([&] { Asked<double>("end_to_end", small({}), {.channels = 2, .outputs = 2}); }),
            "[memory end_to_end] needs a task whose items are words");
}

// What is tied has one gradient: every use adds to it.
TEST(EndToEnd, TyingShares) {
  const Stories stories({3, 2}, {2, 0, 6});
  const auto names = [&](const Given& given) {
    Asked<double> asked("end_to_end", small(given), stories.spec);
    std::set<std::string> all;
    for (const Parameter& p : asked.set.parameters()) all.insert(p.name);
    return all;
  };
  EXPECT_EQ(names({{"hops", "2"}, {"temporal", "false"}}), (std::set<std::string>{"table_0", "table_1", "table_2"}));
  EXPECT_EQ(names({{"hops", "2"}, {"tying", "layer-wise"}}),
            (std::set<std::string>{"table_0", "times_0", "table_1", "times_1", "hop.weight", "question.table",
                                   "answer.table"}));
  // The word of class 1 is in no story: only as an answer can it reach the last table.
  Stories other({2}, {2, 0, 6});
  std::fill_n(other.batch.items.tokens.data(), other.batch.items.tokens.size(), 3);
  std::fill_n(other.batch.tokens.data(), other.batch.tokens.size(), 4);
  Asked<double> asked("end_to_end", small({{"hops", "2"}}), other.spec);
  test::backward_from(asked.tape, asked.memory->answer(asked.pass, asked.ask(other.batch)));
  const auto touched = [&](const std::string& name) {
    std::set<std::size_t> rows;
    for (std::size_t i = 0; i < asked.set.parameters().size(); ++i) {
      const Parameter& p = asked.set.parameters()[i];
      for (std::size_t k = 0; p.name == name && k < p.shape.size(); ++k)
        if (asked.gradients->flat()[p.offset + k] != 0) rows.insert(k / p.shape.last());
    }
    return rows;
  };
  EXPECT_EQ(touched("table_0"), (std::set<std::size_t>{3, 4}));        // statements' A, the question's B
  EXPECT_EQ(touched("table_1"), (std::set<std::size_t>{3}));           // C of hop 0 and A of hop 1
  EXPECT_EQ(touched("table_2"), (std::set<std::size_t>{0, 2, 3, 6}));  // C of hop 1 and W
}

TEST(EndToEnd, EachMatrixHasItsOwnNormLimit) {
  const Stories stories({2});
  Asked<double> asked("end_to_end", small({}), stories.spec);
  for (const Parameter& p : asked.set.parameters()) EXPECT_EQ(asked.set.groups()[p.group].clip_norm, 40) << p.name;
}

TEST(EndToEnd, NoiseIsOfTrainingAndOfItsSequence) {
  const Stories stories({6, 5});
  Asked<double> asked("end_to_end", small({{"noise", "0.5"}, {"slots", "20"}}), stories.spec);
  const auto embedded = [&](bool train, std::uint64_t sequence) {
    Pass<double> pass{.tape = asked.tape, .train = train, .seed = 1, .sequence = sequence};
    const Values<double> state = asked.memory->begin(pass, {.rows = 2, .items = &stories.batch.items});
    return test::numbers(state[asked.memory->layout().state_index("", "embedded_0")]);
  };
  const auto still = embedded(false, 0);
  std::size_t changed = 0;
  for (std::uint64_t s = 0; s < 20; ++s) {
    EXPECT_EQ(embedded(false, s), still);
    EXPECT_EQ(embedded(true, s), embedded(true, s));
    changed += embedded(true, s) != still;
  }
  EXPECT_GE(changed, 10u);
}

TEST(EndToEnd, LinearStartIsWithoutSoftmaxAndEnds) {
  const Stories stories({3, 1});
  Asked<double> asked("end_to_end", small({{"linear-start", "10"}, {"noise", "0"}, {"hops", "1"}}), stories.spec);
  const auto weights = [&](bool train, std::uint64_t sequence, std::size_t b) {
    return asked.state(asked.ask(stories.batch, train, sequence), "hop_0", "weights", b);
  };
  for (std::size_t b = 0; b < 2; ++b) {
    Row scores(3);
    const Row u = test::plain_bag(stories.question[b], asked.table("table_0"));
    for (std::size_t i = 0; i < stories.story[b].size(); ++i)
      scores[i] = test::dot(u, test::plus(test::plain_bag(stories.story[b][i], asked.table("table_0")),
                                          asked.table("times_0")[stories.story[b].size() - 1 - i]));
    const Row scores_without_softmax = scores;
    test::expect_near(weights(true, 8, b), scores, 1e-13);
    scores.resize(stories.story[b].size());
    Row p = test::plain_softmax(scores);
    p.resize(3);
    test::expect_near(weights(true, 10, b), p, 1e-13);
    test::expect_near(weights(false, 0, b), p, 1e-13);
    test::expect_near(weights(true, 9 - b, b), scores_without_softmax, 1e-13);  // the last sequence, in any row
    test::expect_near(weights(true, 10 - b, b), p, 1e-13);                      // the first one after, in any row
  }
  const Values<double> across = asked.ask(stories.batch, true, 9);
  EXPECT_EQ(asked.state(across, "", "softmax_off", 0), Row{1});
  EXPECT_EQ(asked.state(across, "", "softmax_off", 1), Row{0});
}

// --- bags -----------------------------------------------------------------------------------------------------------

TEST(Bags, FloatAndDoubleAgreeAndPartsSplit) {
  const Stories stories({4, 0, 2});
  Tape<float> tape;
  tape.begin(false);
  const std::size_t width = 11;
  const test::Numbers values = test::draw(test::kWords * width, 3);
  const Var<float> table = test::given(tape, {test::kWords, width}, values);
  Table rows;
  for (std::size_t v = 0; v < test::kWords; ++v)
    rows.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(v * width),
                      values.begin() + static_cast<std::ptrdiff_t>((v + 1) * width));
  for (const Part part : {Part::all, Part::front, Part::back}) {
    const auto bags = item_bags(tape, stories.batch.items, 3, {Encoding::position, width}, part, 1);
    const Var<float> y = embed_bags(tape, bags, table);
    ASSERT_TRUE((y.shape == Shape{3, width, 4}));
    for (std::size_t b = 0; b < 3; ++b)
      for (std::size_t i = 0; i < 4; ++i) {
        test::Words words = i < stories.story[b].size() ? stories.story[b][i] : test::Words{};
        if (part == Part::front && !words.empty()) words.pop_back();
        if (part == Part::back && !words.empty()) words = {words.back()};
        const Row want = test::plain_bag(words, rows);
        for (std::size_t m = 0; m < width; ++m)
          EXPECT_NEAR(static_cast<double>(y.data[(b * width + m) * 4 + i]), want[m], 1e-5) << b << " " << i;
      }
  }
}

TEST(Bags, TheProgramsEncodingNeedsTheLongestLine) {
  const Stories stories({2});
  Tape<double> tape;
  tape.begin(false);
  EXPECT_EQ(complaint([&] {
              item_bags(tape, stories.batch.items, 1, {Encoding::program, 4});
            }),
            "[memory.encoding] program needs a task that says how many words its longest line has");
  item_bags(tape, stories.batch.items, 1, {Encoding::program, 4, 5});
}

TEST(Bags, AgesCountFromTheLastStatement) {
  const Stories stories({4, 0, 1});
  Tape<double> tape;
  tape.begin(false);
  const auto bags = item_bags(tape, stories.batch.items, 3, {Encoding::bag, 4});
  Pass<double> pass{.tape = tape, .train = true, .seed = 1};
  const std::int32_t* age = item_ages(pass, bags, 3, 0);
  EXPECT_EQ(std::vector<std::int32_t>(age, age + 12), (std::vector<std::int32_t>{2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

// Up to ceil(noise n) empty ones, each number and each choice of places equally often.
TEST(Bags, NoiseMakesStatementsOlderInOrder) {
  const Stories stories({4});
  Tape<double> tape;
  tape.begin(false);
  const auto bags = item_bags(tape, stories.batch.items, 1, {Encoding::bag, 4});
  std::map<std::vector<std::int32_t>, int> seen;
  for (std::uint64_t s = 0; s < 6000; ++s) {
    tape.begin(false);
    Pass<double> pass{.tape = tape, .train = true, .seed = 1, .sequence = s};
    const std::int32_t* age = item_ages(pass, bags, 50, 0.5);
    ++seen[{age, age + 4}];
  }
  // 0 blanks: 1 choice; 1: 5; 2: 15; one outcome per set of places, since only ages of statements are seen.
  std::map<std::int32_t, int> oldest;
  for (const auto& [age, count] : seen) {
    for (std::size_t i = 0; i + 1 < 4; ++i) EXPECT_GT(age[i], age[i + 1]);
    EXPECT_LE(age[0], 5);
  }
  EXPECT_NEAR(seen[(std::vector<std::int32_t>{3, 2, 1, 0})], 6000 / 3.0 * (1 + 1 / 5.0 + 1 / 15.0), 150);
  EXPECT_NEAR(seen[(std::vector<std::int32_t>{5, 4, 3, 2})], 6000 / 3.0 / 15, 50);
}

TEST(Bags, AWordOutsideTheTableIsAnError) {
  const Stories stories({3});
  Tape<double> tape;
  tape.begin(false);
  const auto bags = item_bags(tape, stories.batch.items, 1, {Encoding::bag, 4});
  const Var<double> table = tape.filled({1, 4}, 0.0);
  EXPECT_EQ(complaint([&] { embed_bags(tape, bags, table); }).substr(0, 17), "[embed_bags] word");
}

}  // namespace
}  // namespace mneme
