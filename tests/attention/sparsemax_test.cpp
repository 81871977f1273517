// Sparsemax against projection by sorting in double, on drawn and tied rows; its gradient by the paper's formula; rows
// that are masked, not finite, far apart or long.
#include "attention/normalize.hpp"

#include "tests/attention/normalized.hpp"
#include "tests/support/values.hpp"

#include <functional>
#include <limits>

namespace mneme {
namespace {

using test::draw;
using test::given;
using test::Numbers;

/// The nearest point of the simplex to z among the elements that may, by sorting (Martins & Astudillo 2016, algorithm
/// 1), with `empty` more elements of score 0 that nobody sees.
Numbers plain_sparsemax(const Numbers& z, const std::vector<std::uint8_t>& may, std::size_t empty = 0) {
  Numbers sorted(empty, 0.0), w(z.size(), 0.0);
  for (std::size_t i = 0; i < z.size(); ++i)
    if (may[i]) sorted.push_back(z[i]);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0, tau = 0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    sum += sorted[k];
    if (1 + static_cast<double>(k + 1) * sorted[k] > sum) tau = (sum - 1) / static_cast<double>(k + 1);
  }
  for (std::size_t i = 0; i < z.size(); ++i)
    if (may[i]) w[i] = std::max(z[i] - tau, 0.0);
  return w;
}

template <class T>
class Sparsemax : public testing::Test {
 protected:
  Sparsemax() { tape.begin(true); }

  Var<T> apply(Var<T> scores, Mask mask = {}, Var<T> beta = {}) {
    return test::normalized<T>(normalizers().find("sparsemax"), tape, scores, mask, beta);
  }
  /// One row.
  Numbers row(const Numbers& e, Mask mask = {}) {
    return test::numbers(apply(given<T>(tape, {1, 1, e.size()}, e), mask));
  }

  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Sparsemax, Scalars);

TYPED_TEST(Sparsemax, IsTheProjectionBySorting) {
  using T = TypeParam;
  for (std::size_t n : {1, 2, 5, 8, 13, 35, 1000})
    for (double reach : {0.01, 0.5, 2., 50.}) {
      SCOPED_TRACE(fmt::format("N={} up to {}", n, reach));
      Numbers drawn = draw(n, n, -reach, reach), tied = drawn, far = drawn;
      for (std::size_t i = 0; i < n; ++i) {
        tied[i] = std::round(2 * drawn[i]) / 2;  // many are equal, and many lie exactly on the threshold
        far[i] = static_cast<float>(700 + drawn[i]);
      }
      for (const Numbers& e : {drawn, tied, far, Numbers(n, 0.25)}) {
        const Numbers all = plain_sparsemax(e, std::vector<std::uint8_t>(n, 1));
        test::expect_near(this->row(e), all, test::usual_tolerance<T>);
        std::vector<std::uint8_t> may(n, 1);
        for (std::size_t i = 0; i < n; i += 3) may[i] = n == 1;
        test::expect_near(this->row(e, {may.data(), false}), plain_sparsemax(e, may), test::usual_tolerance<T>);
        for (std::uint32_t empty : {1u, 40u})
          test::expect_near(this->row(e, {may.data(), false, &empty}), plain_sparsemax(e, may, empty),
                            test::usual_tolerance<T>);
      }
    }
}

TYPED_TEST(Sparsemax, TheStrengthComesBeforeIt) {
  using T = TypeParam;
  const Numbers e = draw(14, 3);
  Numbers want;
  for (std::size_t r = 0; r < 2; ++r) {
    Numbers z(e.begin() + 7 * r, e.begin() + 7 * (r + 1));
    for (double& v : z) v = static_cast<double>(static_cast<T>(r ? 0.3f : 2.5f) * static_cast<T>(v));
    for (double v : plain_sparsemax(z, std::vector<std::uint8_t>(7, 1))) want.push_back(v);
  }
  const Var<T> beta = given<T>(this->tape, {2, 1}, {2.5f, 0.3f});
  test::expect_value(this->apply(given<T>(this->tape, {2, 1, 7}, e), {}, beta), {2, 1, 7}, want);
}

// dz = s (dw - mean of dw over the support)   (eq. 12)
TYPED_TEST(Sparsemax, GradientIsTheCentredOneOnTheSupport) {
  using T = TypeParam;
  const std::size_t n = 13;
  const Var<T> e = given<T>(this->tape, {1, 1, n}, draw(n, 4, -0.4, 0.4));
  const Var<T> w = this->apply(e);
  test::backward_from(this->tape, w);
  double mean = 0, size = 0;
  const auto dw = [](std::size_t i) { return std::sin(1.3 * static_cast<double>(i) + 0.7); };
  for (std::size_t i = 0; i < n; ++i)
    if (w.data[i] > 0) mean += dw(i), ++size;
  ASSERT_GT(size, 1);
  ASSERT_LT(size, static_cast<double>(n));
  Numbers want(n, 0.0);
  for (std::size_t i = 0; i < n; ++i)
    if (w.data[i] > 0) want[i] = dw(i) - mean / size;
  test::expect_near(test::gradient(this->tape, e), want, test::usual_tolerance<T>);
}

TYPED_TEST(Sparsemax, FarElementsGetExactlyNothingAndSomeAlwaysGetSomething) {
  EXPECT_EQ(this->row({0, 5, 0.5, 4.5}), (Numbers{0, 0.75, 0, 0.25}));
  EXPECT_EQ(this->row({-1e30, 1e30, 0}), (Numbers{0, 1, 0}));
  double total = 0;
  for (double w : this->row(Numbers(100000, -3))) total += w;
  EXPECT_NEAR(total, 1, 1e-5);
}

TYPED_TEST(Sparsemax, RowsThatAreMaskedOrNotFinite) {
  using T = TypeParam;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::uint8_t> none(4, 0), some{0, 1, 1, 0};
  for (const Numbers& e : {Numbers{nan, 1, 1, nan}, Numbers(4, nan), Numbers(4, infinity), Numbers(4, -infinity)}) {
    const Var<T> closed = given<T>(this->tape, {1, 1, 4}, e), w = this->apply(closed, {none.data(), false});
    EXPECT_EQ(test::numbers(w), Numbers(4, 0)) << "a fully masked row";
    test::backward_from(this->tape, w);
    EXPECT_EQ(test::gradient(this->tape, closed), Numbers(4, 0));
    this->tape.begin(true);
    for (double v : this->row(e)) EXPECT_TRUE(std::isnan(v)) << "left for the finite guard";
  }
  EXPECT_EQ(this->row({nan, 1, 1, nan}, {some.data(), false}), (Numbers{0, 0.5, 0.5, 0})) << "what a mask hides";
  EXPECT_EQ(this->row({-infinity, 1, 1, -infinity}), (Numbers{0, 0.5, 0.5, 0}));
}

}  // namespace
}  // namespace mneme
