// Weights against plain loops in double, masks, strengths, large scores and shape errors.
#include "attention/normalize.hpp"

#include "autodiff/ops.hpp"
#include "tests/attention/normalized.hpp"
#include "tests/support/values.hpp"

#include <limits>

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::given;
using test::Numbers;

/// exp(beta e - max) / sum over what the mask lets through; zeros where it lets nothing through.
Numbers plain_softmax(const Numbers& e, const Numbers& beta, const std::vector<std::uint8_t>& may, std::size_t rows) {
  const std::size_t n = e.size() / rows;
  Numbers w(e.size());
  for (std::size_t r = 0; r < rows; ++r) {
    double top = -std::numeric_limits<double>::infinity(), total = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (may[r * n + i]) top = std::max(top, beta[r] * e[r * n + i]);
    for (std::size_t i = 0; i < n; ++i)
      if (may[r * n + i]) total += w[r * n + i] = std::exp(beta[r] * e[r * n + i] - top);
    for (std::size_t i = 0; i < n; ++i)
      if (total > 0) w[r * n + i] /= total;
  }
  return w;
}

/// Every third element of every row closed, and the whole of row `closed`.
std::vector<std::uint8_t> some_mask(std::size_t rows, std::size_t n, std::size_t closed) {
  std::vector<std::uint8_t> may(rows * n, 1);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t i = 0; i < n; ++i) may[r * n + i] = r != closed && (i + r) % 3 != 2;
  return may;
}

template <class T>
Var<T> sigmoid_normalize(Tape<T>& tape, Var<T> scores, Mask mask = {}, Var<T> beta = {}) {
  return test::normalized<T>(normalizers().find("sigmoid"), tape, scores, mask, beta);
}

template <class T>
class Normalize : public testing::Test {
 protected:
  Normalize() { tape.begin(true); }
  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Normalize, Scalars);

constexpr std::size_t B = 2, Q = 3;
constexpr std::size_t widths[] = {1, 2, 5, 8, 13, 35};

TYPED_TEST(Normalize, Softmax) {
  using T = TypeParam;
  for (std::size_t n : widths) {
    const Numbers e = draw(B * Q * n, n), beta = draw(B * Q, 90, 0, 4), one(B * Q, 1);
    const std::vector<std::uint8_t> all(B * Q * n, 1);
    const Var<T> scores = given<T>(this->tape, {B, Q, n}, e), strength = given<T>(this->tape, {B, Q}, beta);
    test::expect_value(softmax(this->tape, scores), {B, Q, n}, plain_softmax(e, one, all, B * Q));
    test::expect_value(softmax(this->tape, scores, {}, strength), {B, Q, n}, plain_softmax(e, beta, all, B * Q));

    const auto per_query = some_mask(B * Q, n, 4);
    test::expect_value(softmax(this->tape, scores, {per_query.data(), true}, strength), {B, Q, n},
                       plain_softmax(e, beta, per_query, B * Q));
    const auto shared = some_mask(B, n, 1);
    std::vector<std::uint8_t> spread;
    for (std::size_t b = 0; b < B; ++b)
      for (std::size_t q = 0; q < Q; ++q)
        spread.insert(spread.end(), shared.begin() + static_cast<std::ptrdiff_t>(b * n),
                      shared.begin() + static_cast<std::ptrdiff_t>((b + 1) * n));
    test::expect_value(softmax(this->tape, scores, {shared.data(), false}), {B, Q, n},
                       plain_softmax(e, one, spread, B * Q));
  }
}

TYPED_TEST(Normalize, Sigmoid) {
  using T = TypeParam;
  for (std::size_t n : widths) {
    const Numbers e = draw(B * Q * n, n), beta = draw(B * Q, 91, 0, 4);
    const auto may = some_mask(B * Q, n, 2);
    Numbers open(e.size()), masked(e.size());
    for (std::size_t i = 0; i < e.size(); ++i) {
      open[i] = 1 / (1 + std::exp(-e[i]));
      masked[i] = may[i] ? 1 / (1 + std::exp(-beta[i / n] * e[i])) : 0;
    }
    const Var<T> scores = given<T>(this->tape, {B, Q, n}, e), strength = given<T>(this->tape, {B, Q}, beta);
    test::expect_value(sigmoid_normalize(this->tape, scores), {B, Q, n}, open);
    test::expect_value(sigmoid_normalize(this->tape, scores, {may.data(), true}, strength), {B, Q, n}, masked);
  }
}

TYPED_TEST(Normalize, AFullyMaskedRowGivesZerosAndNoGradient) {
  using T = TypeParam;
  for (const auto& [name, plugin] : normalizers().entries()) {
    SCOPED_TRACE(name);
    const std::size_t n = 5;
    this->tape.begin(true);
    const std::vector<std::uint8_t> may{0, 0, 0, 0, 0, 1, 0, 1, 1, 0};
    const Var<T> scores = given<T>(this->tape, {B, Q, n}, draw(B * Q * n, 92, -0.05, 0.05)),
                 beta = given<T>(this->tape, {B, Q}, draw(B * Q, 93, 0.5, 2));
    const Var<T> w = test::normalized<T>(plugin, this->tape, scores, {may.data(), false}, beta);
    test::backward_from(this->tape, w);
    const Numbers values = test::numbers(w), de = test::gradient(this->tape, scores),
                  db = test::gradient(this->tape, beta);
    for (std::size_t i = 0; i < B * Q * n; ++i) {
      const bool open = may[i / (Q * n) * n + i % n];
      if (!open) {
        EXPECT_EQ(values[i], 0) << i;
        EXPECT_EQ(de[i], 0) << i;
      } else {
        EXPECT_GT(values[i], 0) << i;
        EXPECT_NE(de[i], 0) << i;
      }
    }
    for (std::size_t q = 0; q < Q; ++q) {
      EXPECT_EQ(db[q], 0) << "beta of a masked row";
      EXPECT_NE(db[Q + q], 0);
    }
  }
}

TYPED_TEST(Normalize, MaskedScoresMayBeAnything) {
  using T = TypeParam;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  const std::vector<std::uint8_t> may{1, 0, 1, 0};
  const Var<T> scores = given<T>(this->tape, {1, 1, 4}, {0, infinity, std::log(T(3)), 1e30});
  test::expect_value(softmax(this->tape, scores, {may.data(), false}), {1, 1, 4}, {0.25, 0, 0.75, 0}, 1e-6);
}

// What the guard lives by: a mask hides what it masks, and nothing else.
TYPED_TEST(Normalize, ARowOfNanStaysOneUnderEveryMask) {
  using T = TypeParam;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::uint8_t> all{1, 1, 1, 1}, some{1, 0, 1, 1}, one{0, 0, 0, 1}, none{0, 0, 0, 0};
  const std::uint32_t two = 2, nothing = 0;
  const auto weights = [&](const NormalizerPlugin& plugin, double score, const std::uint8_t* may,
                           const std::uint32_t* empty) {
    this->tape.begin(true);
    return test::numbers(test::normalized<T>(plugin, this->tape, given<T>(this->tape, {1, 1, 4}, Numbers(4, score)),
                                             {may, false, empty}));
  };
  for (const auto& [name, plugin] : normalizers().entries())
    for (const std::uint32_t* empty : {static_cast<const std::uint32_t*>(nullptr), &nothing, &two}) {
      for (const std::uint8_t* may : {static_cast<const std::uint8_t*>(nullptr), all.data(), some.data(), one.data()})
        EXPECT_TRUE(std::isnan(weights(plugin, nan, may, empty)[3])) << name;
      EXPECT_EQ(weights(plugin, nan, none.data(), empty), Numbers(4, 0)) << name;
    }
  // Scores that overflowed are no weights either.
  for (const double score : {infinity, -infinity})
    for (const std::uint8_t* may : {static_cast<const std::uint8_t*>(nullptr), all.data(), some.data(), one.data()})
      EXPECT_TRUE(std::isnan(weights(normalizers().find("softmax"), score, may, nullptr)[3])) << score;
}

// As if there were so many more elements of score 0, whose weights nobody sees.
TYPED_TEST(Normalize, EmptyElementsCompete) {
  using T = TypeParam;
  const std::vector<std::uint32_t> empty{2, 0, 7};
  const std::vector<std::uint8_t> may{1, 0, 1, 1, 1, 1, 0, 0, 0};
  const Numbers e{0.5, 9, -3, 1, 2, -1, 4, 4, 4};
  const Var<T> scores = given<T>(this->tape, {3, 1, 3}, e), beta = given<T>(this->tape, {3, 1}, {1, 2, 3});
  Numbers want(9);
  for (std::size_t b = 0; b < 3; ++b) {
    double total = empty[b];
    for (std::size_t i = b * 3; i < b * 3 + 3; ++i) total += may[i] ? std::exp(static_cast<double>(b + 1) * e[i]) : 0;
    for (std::size_t i = b * 3; i < b * 3 + 3; ++i)
      want[i] = may[i] ? std::exp(static_cast<double>(b + 1) * e[i]) / total : 0;
  }
  test::expect_value(softmax(this->tape, scores, {may.data(), false, empty.data()}, beta), {3, 1, 3}, want);
  const Var<T> far = given<T>(this->tape, {3, 1, 3}, {-1e30, -2e4, 0, 1e30, 0, 0, 900, -900, 900});
  test::expect_value(softmax(this->tape, far, {nullptr, false, empty.data()}), {3, 1, 3},
                     {0, 0, 1. / 3, 1, 0, 0, 0.5, 0, 0.5});
}

TYPED_TEST(Normalize, LargeAndFarApartScoresStayFinite) {
  using T = TypeParam;
  const Var<T> far = given<T>(this->tape, {1, 1, 4}, {-1e30, 1e30, -3e4, 1e30}),
               level = given<T>(this->tape, {1, 1, 3}, {1e4, 1e4, 1e4}), beta = given<T>(this->tape, {1, 1}, {1e6});
  test::expect_value(softmax(this->tape, far), {1, 1, 4}, {0, 0.5, 0, 0.5});
  const Var<T> w = softmax(this->tape, level, {}, beta);
  test::expect_value(w, {1, 1, 3}, {1. / 3, 1. / 3, 1. / 3});
  test::expect_value(sigmoid_normalize(this->tape, far), {1, 1, 4}, {0, 1, 0, 1});
  test::backward_from(this->tape, w);
  test::expect_finite(test::gradient(this->tape, level));
  test::expect_finite(test::gradient(this->tape, beta));
}

TYPED_TEST(Normalize, BetaIsAScaleOfTheScores) {
  using T = TypeParam;
  const std::size_t n = 13;
  const Numbers e = draw(2 * n, 94);
  const auto may = some_mask(2, n, 9);
  for (const auto& [name, plugin] : normalizers().entries())
    for (const Mask mask : {Mask{}, Mask{may.data(), false}}) {
      SCOPED_TRACE(name);
      this->tape.begin(true);
      const Var<T> a = given<T>(this->tape, {2, 1, n}, e), b = given<T>(this->tape, {2, 1, n}, e);
      const Var<T> fused = test::normalized<T>(plugin, this->tape, a, mask, given<T>(this->tape, {2, 1}, {2.5, 2.5}));
      const Var<T> composed = test::normalized<T>(plugin, this->tape, affine(this->tape, b, 2.5, 0), mask, {});
      test::expect_near(test::numbers(fused), test::numbers(composed), test::usual_tolerance<T>);
      const Var<T> both[] = {fused.reshaped({2, n}), composed.reshaped({2, n})};
      const Var<T> joined = concatenate<T>(this->tape, both);
      // the same weights for both halves: d fused = d composed
      Var<T> weights = this->tape.constant({2, 2 * n});
      for (std::size_t i = 0; i < 4 * n; ++i)
        weights.data[i] = static_cast<T>(std::sin(1.3 * static_cast<double>(i / (2 * n) * n + i % n)));
      this->tape.backward(sum(this->tape, multiply(this->tape, joined, weights)));
      test::expect_near(test::gradient(this->tape, a), test::gradient(this->tape, b), test::usual_tolerance<T>);
    }
}

TYPED_TEST(Normalize, WeightsKeepTheirPromise) {
  using T = TypeParam;
  for (const auto& [name, plugin] : normalizers().entries())
    for (std::size_t n : widths) {
      SCOPED_TRACE(fmt::format("{} N={}", name, n));
      const Var<T> w =
          test::normalized<T>(plugin, this->tape, given<T>(this->tape, {B, Q, n}, draw(B * Q * n, n, -9, 9)));
      for (std::size_t row = 0; row < B * Q; ++row) {
        double total = 0;
        for (std::size_t i = 0; i < n; ++i) {
          EXPECT_GE(w.data[row * n + i], 0);
          EXPECT_LE(w.data[row * n + i], 1);
          total += w.data[row * n + i];
        }
        if (plugin.sums_to_one) {
          EXPECT_NEAR(total, 1, test::usual_tolerance<T>);
        }
      }
    }
}

TYPED_TEST(Normalize, AStrengthOfZeroLooksEverywhereAlike) {
  using T = TypeParam;
  const Var<T> w =
      softmax(this->tape, given<T>(this->tape, {1, 1, 5}, draw(5, 95)), {}, this->tape.filled({1, 1}, T(0)));
  test::expect_value(w, {1, 1, 5}, Numbers(5, 0.2));
}

TYPED_TEST(Normalize, PermutingTheScoresPermutesTheWeights) {
  using T = TypeParam;
  const std::size_t n = 11;
  const Numbers e = draw(n, 96);
  Numbers permuted(n);
  for (std::size_t i = 0; i < n; ++i) permuted[(4 * i + 1) % n] = e[i];
  const Var<T> a = softmax(this->tape, given<T>(this->tape, {1, 1, n}, e)),
               b = softmax(this->tape, given<T>(this->tape, {1, 1, n}, permuted));
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(a.data[i], b.data[(4 * i + 1) % n], test::usual_tolerance<T>);
}

TYPED_TEST(Normalize, ShapesThatDoNotFitAreNamed) {
  using T = TypeParam;
  const auto ones = [&](Shape s) { return this->tape.filled(s, T(1)); };
  EXPECT_EQ(complaint([&] { softmax(this->tape, ones({2, 5})); }), "[softmax] scores [2 5] are not [B Q N]");
  EXPECT_EQ(complaint([&] {
              softmax(this->tape, ones({2, 3, 5}), {}, ones({2}));
            }),
            "[softmax] beta [2] for scores [2 3 5]");
  EXPECT_EQ(complaint([&] {
              sigmoid_normalize(this->tape, ones({2, 3, 5}), {}, ones({2, 5}));
            }),
            "[sigmoid] beta [2 5] for scores [2 3 5]");
  EXPECT_EQ(complaint([] { normalizers().find("sofmax"); }),
            "[normalizer] unknown normalizer 'sofmax', did you mean 'softmax'? There are: sigmoid, softmax, sparsemax, "
            "top_k");
}

}  // namespace
}  // namespace mneme
