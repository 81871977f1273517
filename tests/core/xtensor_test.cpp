// xtensor 0.24 with g++ in C++20 writes through null in immediate reductions on dynamic-rank arrays, unless built with
// the project's flags (-fno-new-ttp-matching). If this crashes, a flag was lost.
#include <gtest/gtest.h>

#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>

namespace mneme {
namespace {

TEST(Xtensor, ImmediateReductionsOfDynamicRank) {
  const xt::xarray<double> a{{1, 2, 3}, {4, 5, 6}};
  const xt::xarray<double> columns = xt::sum(a, {0}, xt::evaluation_strategy::immediate);
  ASSERT_EQ(columns.dimension(), 1u);
  EXPECT_EQ(columns, (xt::xarray<double>{5, 7, 9}));
  const xt::xarray<double> rows = xt::sum(a, {1}, xt::evaluation_strategy::immediate);
  EXPECT_EQ(rows, (xt::xarray<double>{6, 15}));
  const xt::xarray<double> all = xt::sum(a, xt::evaluation_strategy::immediate);
  EXPECT_EQ(all(), 21);
  const xt::xarray<double> most = xt::amax(a, {0, 1}, xt::evaluation_strategy::immediate);
  EXPECT_EQ(most(), 6);
}

TEST(Xtensor, ImmediateReductionsOfFixedRank) {
  const xt::xtensor<double, 2> a{{1, 2, 3}, {4, 5, 6}};
  const xt::xtensor<double, 1> rows = xt::sum(a, {1}, xt::evaluation_strategy::immediate);
  EXPECT_EQ(rows, (xt::xtensor<double, 1>{6, 15}));
}

}  // namespace
}  // namespace mneme
