// Location addressing: each step against the paper's sums in double, the fused op against the three, and the edges.
#include "attention/location.hpp"

#include "autodiff/ops.hpp"
#include "tests/support/values.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::draw_weights;
using test::given;
using test::Numbers;

/// NTM eq. 8: w(i) = sum_j w'(j) s(i - j), where s(d) is entry d + (S-1)/2 and indices are modulo N.
Numbers plain_shift(const Numbers& w, const Numbers& s, std::size_t rows) {
  const std::size_t n = w.size() / rows, width = s.size() / rows;
  Numbers y(w.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t o = 0; o < width; ++o) {
        const std::ptrdiff_t d = static_cast<std::ptrdiff_t>(o) - static_cast<std::ptrdiff_t>(width / 2);
        const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(n);
        const std::ptrdiff_t i = ((static_cast<std::ptrdiff_t>(j) + d) % size + size) % size;
        y[r * n + static_cast<std::size_t>(i)] += w[r * n + j] * s[r * width + o];
      }
  return y;
}

/// NTM eq. 9, literally.
Numbers plain_sharpen(const Numbers& w, const Numbers& gamma, std::size_t rows) {
  const std::size_t n = w.size() / rows;
  Numbers y(w.size());
  for (std::size_t r = 0; r < rows; ++r) {
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) total += y[r * n + i] = std::pow(w[r * n + i], gamma[r]);
    for (std::size_t i = 0; i < n; ++i) y[r * n + i] /= total;
  }
  return y;
}

template <class T>
class Location : public testing::Test {
 protected:
  Location() { tape.begin(true); }
  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Location, Scalars);

constexpr std::size_t slots[] = {1, 2, 3, 5, 8, 13, 20};
constexpr std::size_t ranges[] = {1, 3, 5, 9, 27};

TYPED_TEST(Location, Interpolate) {
  using T = TypeParam;
  for (std::size_t n : slots) {
    const Numbers c = draw_weights(3, n, 1), p = draw_weights(3, n, 2), g{0, 0.3125, 1};
    Numbers want;
    for (std::size_t i = 0; i < 3 * n; ++i) want.push_back(g[i / n] * c[i] + (1 - g[i / n]) * p[i]);
    const Var<T> y = interpolate(this->tape, given<T>(this->tape, {3, n}, c), given<T>(this->tape, {3, n}, p),
                                 given<T>(this->tape, {3, 1}, g));
    test::expect_value(y, {3, n}, want);
    for (std::size_t i = 0; i < n; ++i) {  // closed and open gates are exact
      EXPECT_EQ(y.data[i], static_cast<T>(p[i]));
      EXPECT_EQ(y.data[2 * n + i], static_cast<T>(c[2 * n + i]));
    }
  }
}

TYPED_TEST(Location, ShiftOfAnyOddRangeAlsoBeyondTheSlots) {
  using T = TypeParam;
  for (std::size_t n : slots)
    for (std::size_t s : ranges) {
      SCOPED_TRACE(fmt::format("N={} S={}", n, s));
      const Numbers w = draw_weights(2, n, 3), shifts = draw_weights(2, s, 4);
      test::expect_value(shift(this->tape, given<T>(this->tape, {2, n}, w), given<T>(this->tape, {2, s}, shifts)),
                         {2, n}, plain_shift(w, shifts, 2));
    }
}

TYPED_TEST(Location, TheLastEntryMovesTowardsHigherIndicesAndAroundTheEnd) {
  using T = TypeParam;
  const auto moved = [&](std::size_t from, Numbers s) {
    Numbers w(5);
    w[from] = 1;
    const std::size_t width = s.size();
    return test::numbers(shift(this->tape, given<T>(this->tape, {1, 5}, w), given<T>(this->tape, {1, width}, s)));
  };
  EXPECT_EQ(moved(1, {0, 0, 1}), (Numbers{0, 0, 1, 0, 0}));
  EXPECT_EQ(moved(1, {0, 1, 0}), (Numbers{0, 1, 0, 0, 0}));
  EXPECT_EQ(moved(1, {1, 0, 0}), (Numbers{1, 0, 0, 0, 0}));
  EXPECT_EQ(moved(4, {0, 0, 1}), (Numbers{1, 0, 0, 0, 0}));
  EXPECT_EQ(moved(0, {1, 0, 0}), (Numbers{0, 0, 0, 0, 1}));
  EXPECT_EQ(moved(1, {0, 0, 0, 0, 1}), (Numbers{0, 0, 0, 1, 0}));
  EXPECT_EQ(moved(2, {0, 0.25, 0.5, 0.25, 0}), (Numbers{0, 0.25, 0.5, 0.25, 0}));
}

TYPED_TEST(Location, Sharpen) {
  using T = TypeParam;
  for (std::size_t n : slots) {
    const Numbers w = draw_weights(3, n, 5), gamma{1, 2.5, 8};
    test::expect_value(sharpen(this->tape, given<T>(this->tape, {3, n}, w), given<T>(this->tape, {3, 1}, gamma)),
                       {3, n}, plain_sharpen(w, gamma, 3), std::is_same_v<T, float> ? 2e-5 : 1e-12);
  }
}

// (1/128)^20 is 1e-42: the literal sum of powers is 0/0 in float.
TYPED_TEST(Location, SharpeningDoesNotUnderflow) {
  using T = TypeParam;
  for (double gamma : {20., 200., 1000.}) {
    this->tape.begin(true);
    Numbers w(128, 1. / 129);
    w[7] = 2. / 129;
    const Var<T> x = given<T>(this->tape, {1, 128}, w), strength = given<T>(this->tape, {1, 1}, {gamma});
    const Var<T> y = sharpen(this->tape, x, strength);
    const double others = std::pow(0.5, gamma);
    EXPECT_NEAR(y.data[7], 1 / (1 + 127 * others), 1e-4);
    EXPECT_NEAR(y.data[8], others / (1 + 127 * others), 1e-7);
    test::backward_from(this->tape, y);
    test::expect_finite(test::gradient(this->tape, x));
    test::expect_finite(test::gradient(this->tape, strength));
  }
}

TYPED_TEST(Location, SharpeningZeroAndOneHotWeightings) {
  using T = TypeParam;
  for (double gamma : {1., 3., 50.}) {
    SCOPED_TRACE(gamma);
    this->tape.begin(true);
    Numbers w(10);
    w[5 + 3] = 1;  // row 0 is all zero, row 1 has everything on slot 3
    const Var<T> x = given<T>(this->tape, {2, 5}, w), strength = given<T>(this->tape, {2, 1}, {gamma, gamma});
    const Var<T> y = sharpen(this->tape, x, strength);
    test::expect_value(y, {2, 5}, {0.2, 0.2, 0.2, 0.2, 0.2, 0, 0, 0, 1, 0}, 1e-6);
    test::backward_from(this->tape, y);
    test::expect_finite(test::gradient(this->tape, x));
    test::expect_finite(test::gradient(this->tape, strength));
  }
}

TYPED_TEST(Location, IsInterpolateShiftSharpen) {
  using T = TypeParam;
  const double tolerance = std::is_same_v<T, float> ? 2e-5 : 1e-12;
  for (std::size_t n : slots)
    for (std::size_t s : ranges) {
      SCOPED_TRACE(fmt::format("N={} S={}", n, s));
      const Numbers all[] = {draw_weights(2, n, 6), draw_weights(2, n, 7), draw(2, 8, 0.1, 0.9), draw_weights(2, s, 9),
                             draw(2, 10, 1, 5)};
      Numbers values[2];
      std::vector<Numbers> gradients[2];
      for (const bool fused : {false, true}) {
        this->tape.begin(true);
        Var<T> x[5];
        for (std::size_t i = 0; i < 5; ++i) x[i] = given<T>(this->tape, {2, all[i].size() / 2}, all[i]);
        const Var<T> y =
            fused ? location(this->tape, x[0], x[1], x[2], x[3], x[4])
                  : sharpen(this->tape, shift(this->tape, interpolate(this->tape, x[0], x[1], x[2]), x[3]), x[4]);
        values[fused] = test::numbers(y);
        test::backward_from(this->tape, y);
        for (const Var<T>& v : x) gradients[fused].push_back(test::gradient(this->tape, v));
      }
      test::expect_near(values[1], values[0], tolerance);
      for (std::size_t i = 0; i < 5; ++i) {
        SCOPED_TRACE(fmt::format("gradient of input {}", i));
        test::expect_near(gradients[1][i], gradients[0][i], 10 * tolerance);
      }
    }
}

TYPED_TEST(Location, WeightsSumToOne) {
  using T = TypeParam;
  for (std::size_t n : slots) {
    const Var<T> y = location(this->tape, given<T>(this->tape, {1, n}, draw_weights(1, n, 11)),
                              given<T>(this->tape, {1, n}, draw_weights(1, n, 12)), given<T>(this->tape, {1, 1}, {0.5}),
                              given<T>(this->tape, {1, 5}, draw_weights(1, 5, 13)), given<T>(this->tape, {1, 1}, {3}));
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_GE(y.data[i], 0);
      total += y.data[i];
    }
    EXPECT_NEAR(total, 1, test::usual_tolerance<T>);
  }
}

TYPED_TEST(Location, RotatingTheSlotsRotatesTheWeighting) {
  using T = TypeParam;
  const std::size_t n = 11;
  const Numbers c = draw_weights(1, n, 14), p = draw_weights(1, n, 15), s = draw_weights(1, 3, 16);
  const auto rotated = [&](Numbers x) {
    std::rotate(x.begin(), x.begin() + 4, x.end());
    return x;
  };
  const auto run = [&](const Numbers& content, const Numbers& previous) {
    return test::numbers(location(this->tape, given<T>(this->tape, {1, n}, content),
                                  given<T>(this->tape, {1, n}, previous), given<T>(this->tape, {1, 1}, {0.25}),
                                  given<T>(this->tape, {1, 3}, s), given<T>(this->tape, {1, 1}, {2})));
  };
  test::expect_near(run(rotated(c), rotated(p)), rotated(run(c, p)), test::usual_tolerance<T>);
}

TYPED_TEST(Location, ShapesThatDoNotFitAreNamed) {
  using T = TypeParam;
  const auto ones = [&](Shape s) { return this->tape.filled(s, T(1)); };
  EXPECT_EQ(complaint([&] { shift(this->tape, ones({2, 5}), ones({2, 4})); }), "[shift] the shift range 4 is not odd");
  EXPECT_EQ(complaint([&] {
              shift(this->tape, ones({2, 5}), ones({3, 3}));
            }),
            "[shift] weighting [2 5] is not [B N] or parameter [3 3] is not [B 3]");
  EXPECT_EQ(complaint([&] {
              sharpen(this->tape, ones({2, 5}), ones({2, 2}));
            }),
            "[sharpen] weighting [2 5] is not [B N] or parameter [2 2] is not [B 1]");
  EXPECT_EQ(complaint([&] {
              sharpen(this->tape, ones({2, 1, 5}), ones({2, 1}));
            }),
            "[sharpen] weighting [2 1 5] is not [B N] or parameter [2 1] is not [B 1]");
  EXPECT_EQ(complaint([&] {
              interpolate(this->tape, ones({2, 5}), ones({2, 4}), ones({2, 1}));
            }),
            "[interpolate] content [2 5] and previous [2 4]");
  EXPECT_EQ(complaint([&] {
              location(this->tape, ones({2, 5}), ones({2, 4}), ones({2, 1}), ones({2, 3}), ones({2, 1}));
            }),
            "[location] content [2 5] and previous [2 4]");
  EXPECT_EQ(complaint([&] {
              location(this->tape, ones({2, 5}), ones({2, 5}), ones({2, 1}), ones({2, 2}), ones({2, 1}));
            }),
            "[location] the shift range 2 is not odd");
  EXPECT_EQ(complaint([&] {
              location(this->tape, ones({2, 5}), ones({2, 5}), ones({2, 1}), ones({2, 3}), ones({1, 1}));
            }),
            "[location] weighting [2 5] is not [B N] or parameter [1 1] is not [B 1]");
}

}  // namespace
}  // namespace mneme
