// Curves: median and quartiles of runs that have points at different places and end at different ones.
#include "pictures/curves.hpp"

#include <gtest/gtest.h>

namespace mneme::pictures {
namespace {

TEST(Curves, TheMiddleOfRunsThatEndEarlierKeepsTheirLastValue) {
  const std::vector<Line> runs = {{{100, 4}, {200, 2}}, {{100, 8}, {200, 6}, {300, 1}}, {{200, 10}, {300, 9}}};
  const auto m = middle_of(runs);
  ASSERT_EQ(m.size(), 3u);
  EXPECT_EQ(m[0].x, 100);
  EXPECT_EQ(m[0].median, 6) << "two have begun";
  EXPECT_EQ(m[0].low, 5);
  EXPECT_EQ(m[0].high, 7);
  EXPECT_EQ(m[1].median, 6);
  EXPECT_EQ(m[2].median, 2) << "of 2, which has ended, 1 and 9";
  EXPECT_EQ(m[2].low, 1.5);
  EXPECT_EQ(m[2].high, 5.5);
  EXPECT_TRUE(middle_of({}).empty());
  EXPECT_EQ(middle_of({{{1, 3}}})[0].high, 3);
}

}  // namespace
}  // namespace mneme::pictures
