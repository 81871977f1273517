// Task copy: layout, determinism, shards, metrics, chance level, display.
#include "tasks/task.hpp"

#include "core/prediction.hpp"
#include "tests/core/allocations.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <set>

namespace mneme {
namespace {

std::unique_ptr<Task> copy_task(const std::map<std::string, std::string>& options = {}) {
  const TaskPlugin& plugin = tasks().find("copy");
  return plugin.make(plugin.options.parse("task", options));
}

Batch sampled(const Task& task, const Draw& draw) {
  Batch batch;
  task.sample(draw, batch);
  batch.check(task.spec());
  return batch;
}

/// Row b's bits, in order.
std::vector<float> bits_of(const Batch& batch, std::size_t row, std::size_t width) {
  std::vector<float> bits;
  for (std::size_t t = 0; t < (batch.lengths[row] - 1) / 2; ++t)
    for (std::size_t k = 0; k < width; ++k) bits.push_back(batch.dense(t, row, k));
  return bits;
}

TEST(Copy, IsRegistered) {
  const TaskPlugin& plugin = tasks().find("copy");
  EXPECT_EQ(plugin.length_options, std::vector<std::string>{"length"});
  EXPECT_NE(plugin.source.find("Graves et al. 2014"), std::string::npos);
  EXPECT_FALSE(plugin.summary.empty());
}

TEST(Copy, SpecHasOneChannelMoreThanBits) {
  const BatchSpec spec = copy_task()->spec();
  EXPECT_EQ(spec.channels, 9u);
  EXPECT_EQ(spec.outputs, 8u);
  EXPECT_EQ(spec.target, TargetKind::bits);
  EXPECT_EQ(spec.vocabulary, 0u);
  EXPECT_EQ(copy_task({{"width", "3"}})->spec().channels, 4u);
}

TEST(Copy, InputsThenDelimiterThenAnswers) {
  const auto task = copy_task({{"length", "5"}, {"width", "3"}});
  const Batch b = sampled(*task, {.seed = 4, .first = 17, .rows = 2});
  ASSERT_EQ(b.steps, 11u);
  for (std::size_t row = 0; row < 2; ++row) {
    EXPECT_EQ(b.lengths[row], 11u);
    for (std::size_t t = 0; t < 11; ++t) {
      const Phase phase = t < 5 ? Phase::input : t == 5 ? Phase::delimiter : Phase::answer;
      EXPECT_EQ(b.phase(t, row), static_cast<std::uint8_t>(phase));
      EXPECT_EQ(b.dense(t, row, 3), t == 5 ? 1 : 0);
      EXPECT_EQ(b.target.scored(t, row), t > 5);
      for (std::size_t k = 0; k < 3; ++k) {
        if (t >= 5) {
          EXPECT_EQ(b.dense(t, row, k), 0) << "no input while it answers";
        }
        EXPECT_EQ(b.target.values(t, row, k), t > 5 ? b.dense(t - 6, row, k) : 0);
      }
    }
  }
  ASSERT_EQ(b.parameters.size(), 1u);
  EXPECT_EQ(b.parameters[0].first, "length");
  EXPECT_EQ(b.parameters[0].second, (std::vector<float>{5, 5}));
}

TEST(Copy, OneLengthPerBatchAsPublished) {
  const auto task = copy_task();
  std::set<float> seen;
  for (std::uint64_t first = 0; first < 400; first += 4) {
    const Batch b = sampled(*task, {.first = first, .rows = 4});
    EXPECT_FALSE(b.ragged());
    for (float length : b.parameters[0].second) EXPECT_EQ(length, b.parameters[0].second[0]);
    seen.insert(b.parameters[0].second[0]);
  }
  EXPECT_EQ(*seen.begin(), 1);
  EXPECT_EQ(*seen.rbegin(), 20);
}

TEST(Copy, MixedLengths) {
  const auto task = copy_task({{"mixed-lengths", "true"}, {"length", "2:9"}});
  const Batch b = sampled(*task, {.rows = 200});
  EXPECT_TRUE(b.ragged());
  EXPECT_EQ(b.steps, 19u);
  std::map<float, int> count;
  for (std::size_t row = 0; row < 200; ++row) {
    const float length = b.parameters[0].second[row];
    EXPECT_EQ(b.lengths[row], 2 * length + 1);
    ++count[length];
  }
  EXPECT_EQ(count.size(), 8u);
  EXPECT_EQ(count.begin()->first, 2);
  EXPECT_EQ(count.rbegin()->first, 9);
}

TEST(Copy, StepsAreThoseOfTheLongestRow) {
  const auto task = copy_task({{"mixed-lengths", "true"}});
  for (std::uint64_t first = 0; first < 50; ++first) {
    const Batch b = sampled(*task, {.first = first, .rows = 2});
    EXPECT_EQ(b.steps, std::max(b.lengths[0], b.lengths[1]));
  }
}

TEST(Copy, SameDrawSameBatch) {
  for (const char* mixed : {"false", "true"}) {
    const auto task = copy_task({{"mixed-lengths", mixed}});
    const Draw draw{.seed = 3, .first = 12, .rows = 5};
    const Batch a = sampled(*task, draw);
    Batch b = sampled(*task, {.seed = 9, .first = 1, .rows = 7});
    task->sample(draw, b);  // into a batch that held something else
    EXPECT_EQ(a.dense, b.dense);
    EXPECT_EQ(a.target.values, b.target.values);
    EXPECT_EQ(a.target.scored, b.target.scored);
    EXPECT_EQ(a.phase, b.phase);
    EXPECT_EQ(a.lengths, b.lengths);
    EXPECT_EQ(a.parameters, b.parameters);
  }
}

TEST(Copy, SeedStreamAndNumberAllMatter) {
  const auto task = copy_task({{"length", "20"}});
  const auto bits = [&](const Draw& draw) { return bits_of(sampled(*task, draw), 0, 8); };
  const auto base = bits({.seed = 3, .first = 12});
  EXPECT_NE(base, bits({.seed = 4, .first = 12}));
  EXPECT_NE(base, bits({.seed = 3, .first = 13}));
  EXPECT_NE(base, bits({.seed = 3, .stream = "eval", .first = 12}));
  EXPECT_EQ(base, bits({.seed = 3, .first = 10, .row_begin = 2}));
}

TEST(Copy, RowsOfAShardAreRowsOfTheBatch) {
  for (const char* mixed : {"false", "true"}) {
    const auto task = copy_task({{"mixed-lengths", mixed}});
    const Batch whole = sampled(*task, {.seed = 2, .first = 96, .rows = 8});
    for (std::size_t begin : {0u, 3u, 6u}) {
      const Batch shard = sampled(*task, {.seed = 2, .first = 96, .row_begin = begin, .rows = 2});
      for (std::size_t r = 0; r < 2; ++r) {
        const std::size_t row = begin + r;
        ASSERT_EQ(shard.lengths[r], whole.lengths[row]);
        EXPECT_EQ(shard.parameters[0].second[r], whole.parameters[0].second[row]);
        for (std::size_t t = 0; t < shard.lengths[r]; ++t) {
          EXPECT_EQ(shard.phase(t, r), whole.phase(t, row));
          EXPECT_EQ(shard.target.scored(t, r), whole.target.scored(t, row));
          for (std::size_t c = 0; c < 9; ++c) EXPECT_EQ(shard.dense(t, r, c), whole.dense(t, row, c));
          for (std::size_t k = 0; k < 8; ++k) EXPECT_EQ(shard.target.values(t, r, k), whole.target.values(t, row, k));
        }
      }
    }
  }
}

TEST(Copy, BitsDoNotDependOnHowLengthsAreDrawn) {
  const auto fixed = copy_task({{"length", "20"}}), mixed = copy_task({{"mixed-lengths", "true"}});
  const Batch a = sampled(*fixed, {.first = 5, .rows = 6}), b = sampled(*mixed, {.first = 5, .rows = 6});
  for (std::size_t row = 0; row < 6; ++row) {
    auto start = bits_of(a, row, 8);
    const auto own = bits_of(b, row, 8);
    start.resize(own.size());
    EXPECT_EQ(start, own);
  }
}

TEST(Copy, BitsAreFair) {
  const auto task = copy_task({{"length", "20"}});
  const Batch b = sampled(*task, {.rows = 500});
  for (std::size_t k = 0; k < 8; ++k) {
    double ones = 0;
    for (std::size_t row = 0; row < 500; ++row)
      for (std::size_t t = 0; t < 20; ++t) ones += b.dense(t, row, k);
    EXPECT_NEAR(ones, 5000, 4.5 * 50);
  }
}

TEST(Copy, LengthsAreUniform) {
  const auto task = copy_task({{"length", "1:4"}, {"mixed-lengths", "true"}});
  const Batch b = sampled(*task, {.rows = 4000});
  std::map<float, int> count;
  for (float length : b.parameters[0].second) ++count[length];
  for (const auto& [length, n] : count) EXPECT_NEAR(n, 1000, 4.5 * 27.4) << length;
}

TEST(Copy, SamplingAllocatesNothingOnceWarm) {
  for (const char* mixed : {"false", "true"}) {
    const auto task = copy_task({{"mixed-lengths", mixed}});
    Batch b;
    for (std::uint64_t n = 0; n < 200; ++n) task->sample({.first = 4 * n, .rows = 4}, b);
    const std::uint64_t before = allocations();
    for (std::uint64_t n = 200; n < 300; ++n) task->sample({.first = 4 * n, .rows = 4}, b);
    EXPECT_EQ(allocations(), before);
  }
}

TEST(Copy, ScoreCountsBitsOnTheWrongSide) {
  const auto task = copy_task({{"length", "3"}, {"width", "4"}});
  const Batch b = sampled(*task, {.rows = 2});
  Tensor<float, 3> values = b.target.values;
  const Tensor<std::int32_t, 2> none;
  double out[2];
  task->score(b, 0, {values, none}, 0, out);
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[1], 0);
  const auto answer = [&](std::size_t t, std::size_t k) -> float& { return values(4 + t, 0, k); };
  answer(0, 0) = b.target.values(4, 0, 0) > 0 ? 0.49f : 0.51f;
  answer(1, 2) = std::numeric_limits<float>::quiet_NaN();
  answer(2, 3) = b.target.values(6, 0, 3) > 0 ? 0.51f : 0.49f;
  values(0, 0, 0) = 1 - b.target.values(0, 0, 0);  // not scored
  task->score(b, 0, {values, none}, 2.5 * std::numbers::ln2, out);
  EXPECT_DOUBLE_EQ(out[0], 2.5);
  EXPECT_EQ(out[1], 2);
  task->score(b, 1, {values, none}, 0, out);
  EXPECT_EQ(out[1], 0) << "another row's errors are not its own";
}

TEST(Copy, MetricsAndThreshold) {
  const auto task = copy_task();
  ASSERT_EQ(task->metrics().size(), 2u);
  EXPECT_EQ(task->metrics()[0].name, "bits_per_sequence");
  EXPECT_EQ(task->metrics()[1].name, "wrong_bits_per_sequence");
  EXPECT_EQ(task->metrics()[task->solved_metric()].name, "wrong_bits_per_sequence");
  EXPECT_EQ(task->solved_threshold(), 0.01);
}

TEST(Copy, ChanceOfThePublishedTaskIs84Bits) {
  EXPECT_EQ(copy_task()->chance(), (std::vector<double>{84, 42}));
  EXPECT_EQ(copy_task({{"length", "20"}})->chance(), (std::vector<double>{160, 80}));
  EXPECT_EQ(copy_task({{"length", "2:3"}, {"width", "1"}})->chance(), (std::vector<double>{2.5, 1.25}));
}

// Guessing from the distribution alone, on sampled sequences: a half for the cross-entropy, a coin for the bits.
TEST(Copy, ChanceIsWhatGuessingScores) {
  for (const char* mixed : {"false", "true"}) {
    const auto task = copy_task({{"mixed-lengths", mixed}});
    const Tensor<std::int32_t, 2> none;
    Random coin(1, "test");
    Batch b;
    double bits = 0, wrong = 0;
    const int n = 2000;
    for (std::uint64_t i = 0; i < n; ++i) {
      task->sample({.first = i}, b);
      Tensor<float, 3> guess = b.target.values;
      double nats = 0;
      for (std::size_t t = 0; t < b.steps; ++t)
        for (std::size_t k = 0; k < 8; ++k) {
          guess(t, 0, k) = static_cast<float>(coin.uniform());
          nats += b.target.scored(t, 0) ? std::numbers::ln2 : 0;
        }
      double out[2];
      task->score(b, 0, {guess, none}, nats, out);
      bits += out[0] / n;
      wrong += out[1] / n;
    }
    EXPECT_NEAR(bits, task->chance()[0], 4.5 * 46 / std::sqrt(n));
    EXPECT_NEAR(wrong, task->chance()[1], 4.5 * 24 / std::sqrt(n));
  }
}

TEST(Copy, Display) {
  const auto task = copy_task({{"length", "3"}, {"width", "2"}});
  Batch b;
  b.reset(task->spec(), 1, 7);
  b.dense(0, 0, 0) = b.dense(2, 0, 0) = b.dense(1, 0, 1) = 1;
  b.target.values(4, 0, 0) = b.target.values(6, 0, 0) = b.target.values(5, 0, 1) = 1;
  for (std::size_t t = 4; t < 7; ++t) b.target.scored(t, 0) = 1;
  const std::string asked =
      "copy, 3 steps of 2 bits\n"
      "input   #.#\n"
      "        .#.\n"
      "target  #.#\n"
      "        .#.\n";
  EXPECT_EQ(task->display(b, 0, nullptr), asked);
  Prediction answer{.values = b.target.values};
  EXPECT_EQ(task->display(b, 0, &answer), asked +
                                              "output  #.#\n"
                                              "        .#.\n"
                                              "0 wrong of 6 bits\n");
  answer.values(4, 0, 0) = 0.2f;
  answer.values(6, 0, 1) = 0.8f;
  EXPECT_EQ(task->display(b, 0, &answer), asked +
                                              "output  o.#\n"
                                              "        .#X\n"
                                              "2 wrong of 6 bits (X: 1 for 0, o: 0 for 1)\n");
}

TEST(Copy, DisplayOfAShortRowShowsItsOwnSteps) {
  const auto task = copy_task({{"mixed-lengths", "true"}, {"length", "1:9"}});
  const Batch b = sampled(*task, {.rows = 20});
  for (std::size_t row = 0; row < 20; ++row) {
    const auto length = static_cast<std::size_t>(b.parameters[0].second[row]);
    const Prediction answer{.values = b.target.values};
    const std::string text = task->display(b, row, &answer);
    EXPECT_EQ(text.substr(0, text.find('\n')), fmt::format("copy, {} steps of 8 bits", length));
    EXPECT_NE(text.find(fmt::format("0 wrong of {} bits", 8 * length)), std::string::npos);
  }
}

TEST(Copy, OptionErrors) {
  const auto complaint = [](const char* key, const char* value) -> std::string {
    try {
      copy_task({{key, value}});
    } catch (const ArgumentError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(complaint("width", "0"), "[task.width] '0' is out of range; it takes 1..1024");
  EXPECT_EQ(complaint("length", "20:1"),
            "[task.length] '20:1' has its low end above its high end; it takes low:high in 1..100000");
  EXPECT_EQ(complaint("lenght", "3"),
            "[task.lenght] unknown key 'lenght', did you mean 'length'? There are: width, length, mixed-lengths");
}

}  // namespace
}  // namespace mneme
