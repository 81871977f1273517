// Room: tests. The NTM's addressing taken apart by option: every combination is verified by loops. Top-k: what float32
// decided between scores that are nearly equal is no failure, any other choice is one.
#include "tests/memory/addressing_options.hpp"
#include "replay/rules.hpp"
#include "replay/verify.hpp"
#include "tests/replay/small_trace.hpp"
#include "trace/hdf5.hpp"
#include "trace/reader.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

using replay_test::Scratch;
using replay_test::small_trace;

using Keys = std::vector<std::pair<std::string, std::string>>;

std::string first_failure(const replay::Report& report) {
  return !report.failures.empty() ? report.failures[0].text() : report.faults.empty() ? "none" : report.faults[0];
}

class VerifyAddressing : public testing::TestWithParam<int> {};

TEST_P(VerifyAddressing, LoopsAgreeWithTraining) {
  const std::vector<test::Given> all = test::addressing_options();
  for (std::size_t i = static_cast<std::size_t>(GetParam()); i < all.size(); i += 8)
    for (const char* level : {"params", "full"}) {
      SCOPED_TRACE(test::text(all[i]) + " at level " + level);
      Keys keys = {{"trace.level", level}};
      for (const auto& [name, value] : all[i]) keys.emplace_back("memory." + name, value);
      const Scratch folder("addressing_" + std::to_string(GetParam()));
      const auto report = replay::verify(small_trace(folder.path(), keys, 1));
      EXPECT_TRUE(report.ok()) << first_failure(report);
      EXPECT_LE(report.max_abs_difference, 1e-5) << report.worst.text();
      EXPECT_GT(report.max_abs_difference, 0) << "was anything compared?";
      for (const auto& c : report.coverage) {
        EXPECT_EQ(c.how, "reference loops") << c.what;
        EXPECT_GT(c.values, 0u) << c.what;
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Eighth, VerifyAddressing, testing::Range(0, 8));

TEST(VerifyAddressing, WeightsThatStartAtZeroWithoutSharpening) {
  const Scratch folder("short");
  const auto report = replay::verify(small_trace(
      folder.path(),
      {{"memory.initial-weights", "zero"}, {"memory.initial-memory", "random"}, {"memory.sharpen", "false"}}));
  EXPECT_TRUE(report.ok()) << first_failure(report);
}

// --- top-k ---------------------------------------------------------------------------------------------------------

/// The rule's weights of 4 scores, 2 to be kept, beside logged ones.
replay::Row ruled(const replay::Row& scores, const replay::Row& logged, double k = 2) {
  const std::vector<std::pair<std::string, double>> constants = {{"top_k", k}};
  return replay::normalizer_rules().find("top_k").apply(scores, {constants, logged, 1e-5});
}
std::string kept(const replay::Row& weights) {
  std::string text;
  for (double w : weights) text += w > 0 ? '1' : '0';
  return text;
}

TEST(TopKRule, TakesTheLogsWordWhereScoresAreNearlyEqual) {
  const replay::Row scores = {1, 0.5, 0.5 + 1e-7, -3};
  EXPECT_EQ(kept(ruled(scores, {})), "1010") << "nothing logged";
  EXPECT_EQ(kept(ruled(scores, {0.6, 0.4, 0, 0})), "1100") << "float32 kept the other";
  EXPECT_EQ(kept(ruled(scores, {0.6, 0, 0.4, 0})), "1010");
  EXPECT_NEAR(ruled(scores, {0.6, 0.4, 0, 0})[1], 1 / (1 + std::exp(0.5)), 1e-12);
  // A weight that was rounded to 0 is still one of the two.
  EXPECT_EQ(kept(ruled({200, 3, 3 + 1e-9, -3}, {1, 0, 0, 0})), "1010");
  EXPECT_EQ(kept(ruled({1, 1, 1, 1}, {})), "1100") << "of equal ones the first";
  EXPECT_EQ(kept(ruled({1, 1, 1, 1}, {0, 0, 0.5, 0.5})), "0011");
  EXPECT_EQ(kept(ruled({1, 2, 3, 4}, {}, 9)), "1111") << "more than there are is all";
}

TEST(TopKRule, DoesNotBelieveALogThatIsWrong) {
  const replay::Row scores = {1, 0.5, 0.5 + 1e-4, -3};
  EXPECT_EQ(kept(ruled(scores, {0.6, 0.4, 0, 0})), "1010") << "a clear difference";
  EXPECT_EQ(kept(ruled(scores, {0.6, 0, 0, 0.4})), "1010");
  EXPECT_EQ(kept(ruled({1, 1, 1, 1}, {0.4, 0.3, 0.3, 0})), "1100") << "one too many";
}

/// Read by content from slots that are all alike, before anything is written: which two of six are kept is nobody's
/// business, and what is read does not tell either. Later steps have a right answer.
TEST(VerifyTopK, AFlippedTieIsSoundAndAWrongChoiceIsNot) {
  const Keys keys = {{"memory.read-addressing", "content"},
                     {"memory.normalize", "top_k"},
                     {"memory.top-k", "2"},
                     {"memory.order", "read-first"}};
  const auto moved = [&](std::size_t step, std::size_t from, std::size_t to) {
    const Scratch folder("flipped");
    const auto path = small_trace(folder.path(), keys, 1);
    {
      trace::File f = trace::File::open_for_writing(path);
      auto weights = f.read<float>("/sites/read_0/weights");
      if (to == 9)  // any that is not kept
        for (to = 0; weights[step * 6 + to] > 0;) ++to;
      if (from == 9)  // the smaller of the two that are
        for (std::size_t i = from = 0; i < 6; ++i)
          if (weights[step * 6 + i] > 0 &&
              (weights[step * 6 + from] == 0 || weights[step * 6 + i] < weights[step * 6 + from]))
            from = i;
      std::swap(weights[step * 6 + from], weights[step * 6 + to]);
      f.dataset("/sites/read_0/weights").overwrite(trace::Scalar::f32, weights.data());
      f.close();
    }
    return replay::verify(path);
  };
  const auto sound = moved(0, 1, 1), tie = moved(0, 1, 3), wrong = moved(5, 9, 9);
  EXPECT_TRUE(sound.ok()) << first_failure(sound);
  EXPECT_TRUE(tie.ok()) << first_failure(tie);
  ASSERT_FALSE(wrong.ok());
  EXPECT_TRUE(wrong.failures[0].dataset.starts_with("/sites/read_0/weights")) << first_failure(wrong);
  EXPECT_EQ(wrong.failures[0].step, 5);
}

/// Behind the moves the weights do not show what was kept: the trace holds it at level params too.
TEST(VerifyTopK, WhatWasKeptIsLoggedWhereMovesFollow) {
  const Scratch folder("logged");
  const auto path = small_trace(folder.path(), {{"memory.normalize", "top_k"}, {"memory.top-k", "2"}}, 1);
  trace::File f = trace::File::open_for_writing(path);
  EXPECT_TRUE(f.exists("/sites/read_0/content"));
  EXPECT_FALSE(f.exists("/sites/read_0/similarity"));
  EXPECT_EQ(f.attr<double>("/sites/read_0", "constant_top_k"), 2);
  f.set_attr("/sites/read_0", "constant_top_k", 3.0);
  f.close();
  const auto report = replay::verify(path);
  EXPECT_FALSE(report.ok()) << "another K";
}

}  // namespace
}  // namespace mneme
