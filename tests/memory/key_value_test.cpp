// Memory key_value: whole passes against Miller et al. 2016 in plain loops, every score and normalizer, key and value
// parts.
#include "attention/normalize.hpp"
#include "attention/score.hpp"
#include "core/batch.hpp"
#include "tests/memory/plain_story.hpp"

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
  given.try_emplace("noise", "0");
  given.try_emplace("empty-slots", "false");
  return given;
}

void expect_paper(const Given& given, std::size_t hops, std::vector<std::int32_t> output_tokens = {}) {
  const std::vector<std::size_t> counts{4, 1, 0, 6, 2};
  const Stories stories(counts, output_tokens);
  Asked<double> asked("key_value", small(given), stories.spec);
  const auto is = [&](const char* key, const char* value) { return given.count(key) && given.at(key) == value; };
  const std::string encoding = given.count("encoding") ? given.at("encoding") : "position";
  const bool temporal = !is("temporal", "false"), own = is("values", "own");
  const std::size_t split = given.count("value-words") ? std::stoul(given.at("value-words")) : 0;
  const Values<double> state = asked.ask(stories.batch);
  const Var<double> logits = asked.memory->answer(asked.pass, state);
  for (std::size_t b = 0; b < counts.size(); ++b) {
    std::vector<Row> keys, values;
    for (std::size_t i = 0; i < counts[b]; ++i) {
      const test::Words& fact = stories.story[b][i];
      const auto cut = fact.end() - static_cast<std::ptrdiff_t>(std::min(split, fact.size()));
      keys.push_back(test::plain_bag({fact.begin(), split ? cut : fact.end()}, asked.table("keys.table"), encoding));
      values.push_back(test::plain_bag({split ? cut : fact.begin(), fact.end()},
                                       asked.table(own ? "values.table" : "keys.table"), encoding));
      if (!temporal) continue;
      keys[i] = test::plus(keys[i], asked.table("keys.times")[counts[b] - 1 - i]);
      values[i] = test::plus(values[i], asked.table(own ? "values.times" : "keys.times")[counts[b] - 1 - i]);
    }
    Row q = test::plain_bag(stories.question[b], asked.table("keys.table"), encoding);
    for (std::size_t h = 0; h < hops; ++h) {
      Row e;
      for (const Row& k : keys) e.push_back(test::dot(q, k));
      Row p = test::plain_softmax(e, is("empty-slots", "true") ? 6 - counts[b] : 0);
      const Row o = test::weighted(p, values, 5);
      p.resize(6);
      test::expect_near(asked.state(state, "hop_" + std::to_string(h), "weights", b), p, 1e-13);
      q = test::times(test::plus(q, o), asked.table("turn_" + std::to_string(h)));
    }
    test::expect_near(asked.state(state, "", "query", b), q, 1e-13);
    const Table candidates = asked.table(is("answers", "shared") ? "keys.table" : "answers.table");
    for (std::size_t k = 0; k < 3; ++k) {
      const auto row = output_tokens.empty() ? static_cast<std::int32_t>(k) : output_tokens[k];
      EXPECT_NEAR(logits.data[b * 3 + k], test::dot(q, candidates[static_cast<std::size_t>(row)]), 1e-13);
    }
  }
}

TEST(KeyValue, IsThePaperInEveryVariant) {
  for (std::size_t hops = 1; hops <= 4; ++hops) expect_paper({{"hops", std::to_string(hops)}}, hops);
  expect_paper({{"values", "own"}}, 3);
  expect_paper({{"empty-slots", "true"}}, 3);
  expect_paper({{"value-words", "1"}}, 3);
  expect_paper({{"value-words", "2"}, {"values", "own"}, {"temporal", "false"}, {"encoding", "bag"}}, 3);
  expect_paper({}, 3, {2, 1, 6});
  expect_paper({{"answers", "shared"}}, 3, {2, 1, 6});
}

TEST(KeyValue, TakesEveryScoreAndNormalizerByName) {
  const Stories stories({4, 1, 0});
  for (const auto& [score, plugin] : scores().entries()) {
    if (!plugin.needs_query) continue;
    for (const auto& [normalizer, normalizes] : normalizers().entries()) {
      if (!normalizes.continuous) continue;
      Asked<double> asked("key_value", small({{"score", score}, {"normalize", normalizer}}), stories.spec);
      const Values<double> state = asked.ask(stories.batch);
      EXPECT_EQ(asked.memory->layout().sites[0].addressing, score);
      for (std::size_t b = 0; b < 3; ++b) {
        const Row w = asked.state(state, "hop_2", "weights", b);
        double total = 0;
        for (double x : w) total += x;
        if (normalizer == "softmax") {
          EXPECT_NEAR(total, b == 2 ? 0 : 1, 1e-12) << score;
        }
        for (std::size_t i = stories.batch.items.count[b]; i < w.size(); ++i) EXPECT_EQ(w[i], 0) << score;
      }
    }
  }
  EXPECT_NE(complaint([&] {
              Asked<double>("key_value", small({{"score", "linear"}}), stories.spec);
            }).find("score"),
            std::string::npos);
}

// An empty slot is a vector of zeros. Where each weight stands on its own, what such slots weigh adds nothing to a read
// and takes nothing from the others: with them and without is the same.
TEST(KeyValue, EmptySlotsAddNothingUnderSigmoid) {
  const Stories stories({4, 1, 0});
  const auto answers = [&](const char* normalizer, const char* empty) {
    Asked<double> asked("key_value", small({{"normalize", normalizer}, {"empty-slots", empty}}), stories.spec);
    return test::numbers(asked.memory->answer(asked.pass, asked.ask(stories.batch)));
  };
  EXPECT_EQ(answers("sigmoid", "true"), answers("sigmoid", "false"));
  EXPECT_NE(answers("softmax", "true"), answers("softmax", "false"));
}

TEST(KeyValue, TooManyFactsAreAnError) {
  const Stories stories({7});
  Asked<double> asked("key_value", small({}), stories.spec);
  EXPECT_EQ(complaint([&] { asked.ask(stories.batch); }), "[memory.slots] 6 slots for a set of 7 items");
}

}  // namespace
}  // namespace mneme
