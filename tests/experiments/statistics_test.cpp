// Statistics against known answers: worked examples of the literature, enumeration of small cases, coverage.
#include "experiments/compare/statistics.hpp"

#include "core/random.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mneme::experiments {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

std::vector<Waiting> all_happened(const std::vector<double>& times) {
  std::vector<Waiting> w;
  for (const double t : times) w.push_back({t, true});
  return w;
}

// Freireich et al. 1963: weeks of remission, 6-MP against placebo; the estimate's medians are 23 and 8.
TEST(Statistics, MedianOfThePublishedRemissions) {
  const std::vector<Waiting> drug = {{6},         {6},         {6},         {7},         {10},        {13},
                                     {16},        {22},        {23},        {6, false},  {9, false},  {10, false},
                                     {11, false}, {17, false}, {19, false}, {20, false}, {25, false}, {32, false},
                                     {32, false}, {34, false}, {35, false}};
  EXPECT_EQ(censored_median(drug), 23);
  EXPECT_EQ(censored_median(all_happened({1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23})), 8);
}

TEST(Statistics, MedianOfTimesThatAllHappenedIsTheOrdinaryOne) {
  EXPECT_EQ(censored_median(all_happened({5, 1, 3})), 3);
  EXPECT_EQ(censored_median(all_happened({5, 1, 3, 4})), 3.5);
  EXPECT_EQ(censored_median(all_happened({2, 2, 2, 7})), 2);
  EXPECT_EQ(censored_median({}), std::nullopt);
}

TEST(Statistics, WhereFewerThanHalfGotThereThereIsNoMedian) {
  EXPECT_EQ(censored_median({{1}, {2}, {9, false}, {9, false}, {9, false}}), std::nullopt);
  EXPECT_EQ(censored_median({{1}, {2}, {9, false}, {9, false}}), 2)
      << "just half: no later one to take the middle with";
  EXPECT_EQ(censored_median({{1}, {2}, {3}, {9, false}}), 2.5);
  EXPECT_EQ(censored_median({{4, false}}), std::nullopt);
}

TEST(Statistics, IntervalHoldsTheMedianAndIsOpenAboveWhereItIsNotReached) {
  const auto times = all_happened({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const Interval i = bootstrap_interval(times);
  EXPECT_EQ(i, bootstrap_interval(times)) << "the same draws each time";
  EXPECT_GE(i.low.value(), 1.5);
  EXPECT_LE(i.low.value(), 4);
  EXPECT_GE(i.high.value(), 7);
  EXPECT_LE(i.high.value(), 9.5);
  const Interval open = bootstrap_interval({{1}, {2}, {3}, {9, false}, {9, false}});
  EXPECT_TRUE(open.low);
  EXPECT_FALSE(open.high);
  EXPECT_EQ(bootstrap_interval({}), Interval{});
  EXPECT_EQ(bootstrap_interval({{3}}), (Interval{3, 3}));
}

TEST(Statistics, IntervalCoversTheTruthAboutAsOftenAsItSays) {
  // Exponential times, median ln 2, of 20 runs each; the percentile bootstrap of a median covers a little less than 95
  // %.
  std::size_t covered = 0;
  for (std::uint64_t k = 0; k < 200; ++k) {
    Random random(7, "coverage", k);
    std::vector<Waiting> times;
    for (int i = 0; i < 20; ++i) times.push_back({-std::log(1 - random.uniform()), true});
    const Interval i = bootstrap_interval(times, 0.95, 1000);
    covered += *i.low <= std::log(2) && std::log(2) <= *i.high;
  }
  EXPECT_GE(covered, 174u);
  EXPECT_LE(covered, 199u);
}

/// Over all signs of the ranks of |d|, one by one.
double enumerated(std::vector<double> d) {
  std::erase(d, 0.0);
  const std::size_t n = d.size();
  std::vector<double> ranks(n);
  for (std::size_t i = 0; i < n; ++i) {
    double below = 0, equal = 0;
    for (const double other : d) {
      below += std::abs(other) < std::abs(d[i]);
      equal += std::abs(other) == std::abs(d[i]);
    }
    ranks[i] = below + (equal + 1) / 2;
  }
  double all = 0, positive = 0;
  for (std::size_t i = 0; i < n; ++i) all += ranks[i], positive += d[i] > 0 ? ranks[i] : 0;
  const double seen = std::min(positive, all - positive);
  std::size_t count = 0;
  for (std::size_t signs = 0; signs < (std::size_t{1} << n); ++signs) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (signs >> i & 1) sum += ranks[i];
    count += sum <= seen;
  }
  return std::min(1.0, 2 * static_cast<double>(count) / static_cast<double>(std::size_t{1} << n));
}

TEST(Statistics, SignedRanksByEnumerationAndByTheBook) {
  // Darwin's Zea mays, crossed less self-fertilised, in eighths of an inch: p = 0.041 (Fisher 1935; n = 15, W = 24).
  const std::vector<double> maize = {49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48};
  const PairedTest darwin = wilcoxon(maize);
  EXPECT_EQ(darwin.pairs, 15u);
  EXPECT_NEAR(darwin.p.value(), 0.0413, 1e-3);
  EXPECT_NEAR(darwin.p.value(), enumerated(maize), 1e-12);
  for (const std::vector<double>& d : std::vector<std::vector<double>>{
           {1, 2, 3, 4, 5}, {1, -2, 3, -4, 5, 6}, {1, 1, -1, 2, 2, 0, 3}, {kInfinite, kInfinite, -1, 2, -kInfinite}})
    EXPECT_NEAR(wilcoxon(d).p.value(), enumerated(d), 1e-12);
  EXPECT_DOUBLE_EQ(wilcoxon({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}).p.value(), 2.0 / 1024) << "all one way";
  EXPECT_EQ(wilcoxon({0, 0}).p, std::nullopt);
  EXPECT_EQ(wilcoxon({0, 3}).pairs, 1u);
  EXPECT_EQ(wilcoxon({3}).p, 1) << "one pair says nothing";
  EXPECT_EQ(wilcoxon({-1, 2, 4}).p, wilcoxon({1, -2, -4}).p);
}

TEST(Statistics, HolmStepsDown) {
  // 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 not less than the one before it.
  const auto c = holm({0.01, 0.04, 0.03, 0.005});
  EXPECT_NEAR(*c[3], 0.02, 1e-15);
  EXPECT_NEAR(*c[0], 0.03, 1e-15);
  EXPECT_NEAR(*c[2], 0.06, 1e-15);
  EXPECT_NEAR(*c[1], 0.06, 1e-15);
  EXPECT_EQ(holm({std::nullopt, 0.5, 0.9}), (std::vector<std::optional<double>>{std::nullopt, 1.0, 1.0}));
  EXPECT_TRUE(holm({}).empty());
}

TEST(Statistics, TheMiddleIsNoneWhereItIsInfinite) {
  EXPECT_EQ(middle({3, 1, 2}), 2);
  EXPECT_EQ(middle({1, 2, kInfinite}), 2);
  EXPECT_EQ(middle({1, kInfinite}), std::nullopt);
  EXPECT_EQ(middle({}), std::nullopt);
}

}  // namespace
}  // namespace mneme::experiments
