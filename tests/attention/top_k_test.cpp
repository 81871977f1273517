// Top-k against the softmax of what a sort keeps, on drawn and tied rows, under masks and beside empty elements; rows
// that are masked or not finite; K of one, of all and of more.
#include "autodiff/ops.hpp"
#include "tests/attention/normalized.hpp"
#include "tests/support/values.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::given;
using test::Numbers;

/// 1 for the K largest that may, of equal ones the first; `empty` more of score 0 stand behind all others of score 0.
std::vector<std::uint8_t> largest(const Numbers& z, const std::vector<std::uint8_t>& may, std::size_t k,
                                  std::size_t empty, std::uint32_t& empty_kept) {
  std::vector<std::pair<double, std::size_t>> all(empty, {0.0, z.size()});
  for (std::size_t i = 0; i < z.size(); ++i)
    if (may[i]) all.emplace_back(z[i], i);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  });
  std::vector<std::uint8_t> kept(z.size());
  empty_kept = 0;
  for (std::size_t i = 0; i < std::min(k, all.size()); ++i)
    if (all[i].second < z.size())
      kept[all[i].second] = 1;
    else
      ++empty_kept;
  return kept;
}

template <class T>
class TopK : public testing::Test {
 protected:
  TopK() { tape.begin(true); }
  Numbers row(const Numbers& e, std::size_t k, Mask mask = {}) {
    return test::numbers(top_k(tape, k, given<T>(tape, {1, 1, e.size()}, e), mask));
  }
  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(TopK, Scalars);

TYPED_TEST(TopK, IsTheSoftmaxOfWhatASortKeeps) {
  using T = TypeParam;
  for (std::size_t n : {1, 2, 5, 8, 13, 35, 200})
    for (std::size_t k : {1, 2, 3, 8, 500}) {
      SCOPED_TRACE(fmt::format("N={} K={}", n, k));
      Numbers drawn = draw(n, n, -3, 3), tied = drawn;
      for (double& v : tied) v = std::round(v);
      std::vector<std::uint8_t> all(n, 1), some(n, 1);
      for (std::size_t i = 0; i < n; i += 3) some[i] = n == 1;
      for (const Numbers& e : {drawn, tied, Numbers(n, 0.25), Numbers(n, 0)})
        for (const auto& may : {all, some})
          for (const std::uint32_t empty : {0u, 1u, 40u}) {
            this->tape.begin(true);
            std::uint32_t empty_kept = 0;
            const std::vector<std::uint8_t> kept = largest(e, may, k, empty, empty_kept);
            const Var<T> a = given<T>(this->tape, {1, 1, n}, e), b = given<T>(this->tape, {1, 1, n}, e);
            const Var<T> beta = given<T>(this->tape, {1, 1}, {1.5}), other = given<T>(this->tape, {1, 1}, {1.5});
            const Var<T> w = top_k(this->tape, k, a, {may.data(), false, &empty}, beta);
            const Var<T> composed = softmax(this->tape, b, {kept.data(), false, &empty_kept}, other);
            test::expect_near(test::numbers(w), test::numbers(composed), test::usual_tolerance<T>);
            for (std::size_t i = 0; i < n; ++i) {
              if (kept[i]) continue;
              EXPECT_EQ(w.data[i], 0) << i;
            }
            test::backward_from(this->tape, w.reshaped({n}));
            const Numbers de = test::gradient(this->tape, a), db = test::gradient(this->tape, beta);
            this->tape.begin(true);
            const Var<T> c = given<T>(this->tape, {1, 1, n}, e), strength = given<T>(this->tape, {1, 1}, {1.5});
            test::backward_from(this->tape,
                                softmax(this->tape, c, {kept.data(), false, &empty_kept}, strength).reshaped({n}));
            test::expect_near(de, test::gradient(this->tape, c), test::usual_tolerance<T>);
            test::expect_near(db, test::gradient(this->tape, strength), test::usual_tolerance<T>);
          }
    }
}

TYPED_TEST(TopK, OfEqualScoresTheFirstAreKept) {
  EXPECT_EQ(this->row({1, 1, 1, 1}, 2), (Numbers{0.5, 0.5, 0, 0}));
  EXPECT_EQ(this->row({0, 1, 0, 1, 0}, 4), this->row({0, 1, 0, 1, -9}, 4));
  const std::vector<std::uint8_t> may{0, 1, 1, 1};
  EXPECT_EQ(this->row({9, 1, 1, 1}, 2, {may.data(), false}), (Numbers{0, 0.5, 0.5, 0}));
}

TYPED_TEST(TopK, AnEmptyElementThatIsKeptTakesItsShare) {
  const std::uint32_t two = 2;
  EXPECT_EQ(this->row({-1, 0, -1}, 2, {nullptr, false, &two}), (Numbers{0, 0.5, 0}));
  EXPECT_EQ(this->row({-1, -2, -3}, 2, {nullptr, false, &two}), (Numbers{0, 0, 0}))
      << "both places are empty elements'";
}

TYPED_TEST(TopK, RowsThatAreMaskedOrNotFinite) {
  using T = TypeParam;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::uint8_t> none(4, 0), some{0, 1, 1, 0};
  for (const Numbers& e : {Numbers{nan, 1, 1, nan}, Numbers(4, nan)}) {
    const Var<T> closed = given<T>(this->tape, {1, 1, 4}, e), w = top_k(this->tape, 2, closed, {none.data(), false});
    EXPECT_EQ(test::numbers(w), Numbers(4, 0)) << "a fully masked row";
    test::backward_from(this->tape, w);
    EXPECT_EQ(test::gradient(this->tape, closed), Numbers(4, 0));
    this->tape.begin(true);
    for (double v : this->row(e, 2)) EXPECT_TRUE(std::isnan(v)) << "left for the finite guard, whichever are kept";
  }
  EXPECT_EQ(this->row({nan, 1, 1, nan}, 3, {some.data(), false}), (Numbers{0, 0.5, 0.5, 0})) << "what a mask hides";
  EXPECT_EQ(this->row({-infinity, 1, 1, -infinity}, 3), (Numbers{0, 0.5, 0.5, 0}));
  for (double score : {infinity, -infinity}) EXPECT_TRUE(std::isnan(this->row(Numbers(4, score), 2)[0])) << score;
}

TYPED_TEST(TopK, KIsAnOptionOfItsOwn) {
  using T = TypeParam;
  const NormalizerPlugin& plugin = normalizers().find("top_k");
  const Numbers e = draw(20, 7);
  const auto kept = [&](const std::map<std::string, std::string>& options) {
    const Numbers w =
        test::numbers(test::normalized<T>(plugin, this->tape, given<T>(this->tape, {1, 1, 20}, e), {}, {}, options));
    return w.size() - static_cast<std::size_t>(std::count(w.begin(), w.end(), 0.0));
  };
  EXPECT_EQ(kept({}), 8u);
  EXPECT_EQ(kept({{"top-k", "3"}}), 3u);
  EXPECT_EQ(kept({{"top-k", "30"}}), 20u);
  EXPECT_EQ(plugin.constants(plugin.options.parse("", {{"top-k", "3"}})),
            (std::vector<std::pair<std::string, double>>{{"top_k", 3}}));
  EXPECT_EQ(complaint([&] { kept({{"top-k", "0"}}); }), "[normalizer.top-k] '0' is out of range; it takes 1..1048576");
  EXPECT_EQ(complaint([&] {
              top_k(this->tape, 0, this->tape.filled({1, 1, 2}, T(1)));
            }),
            "[top_k] the largest 0 scores are none");
  EXPECT_EQ(complaint([&] {
              top_k(this->tape, 1, this->tape.filled({2, 5}, T(1)));
            }),
            "[top_k] scores [2 5] are not [B Q N]");
}

}  // namespace
}  // namespace mneme
