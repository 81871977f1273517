// Combiners against plain loops in double, and the pipeline of all three steps.
#include "attention/combine.hpp"

#include "attention/attend.hpp"
#include "tests/support/values.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::given;
using test::Numbers;

template <class T>
class Combine : public testing::Test {
 protected:
  Combine() { tape.begin(true); }
  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Combine, Scalars);

struct Sizes {
  std::size_t b, q, d, n;
};
constexpr Sizes all_sizes[] = {{1, 1, 1, 1}, {2, 1, 3, 4}, {1, 3, 2, 5}, {2, 2, 5, 8}, {3, 2, 4, 37}};

TYPED_TEST(Combine, AgainstLoops) {
  using T = TypeParam;
  for (const Sizes& s : all_sizes) {
    const Numbers w = draw(s.b * s.q * s.n, 1), v = draw(s.b * s.d * s.n, 2);
    Numbers total, joined, gated;
    for (std::size_t b = 0; b < s.b; ++b)
      for (std::size_t q = 0; q < s.q; ++q)
        for (std::size_t m = 0; m < s.d; ++m) {
          total.push_back(0);
          for (std::size_t n = 0; n < s.n; ++n) {
            joined.push_back(w[(b * s.q + q) * s.n + n] * v[(b * s.d + m) * s.n + n]);
            total.back() += joined.back();
          }
        }
    const Var<T> weights = given<T>(this->tape, {s.b, s.q, s.n}, w), values = given<T>(this->tape, {s.b, s.d, s.n}, v);
    test::expect_value(weighted_sum(this->tape, weights, values), {s.b, s.q, s.d}, total);
    test::expect_value(concatenation(this->tape, weights, values), {s.b, s.q, s.d * s.n}, joined);
    if (s.q == 1) test::expect_value(gate(this->tape, weights, values), {s.b, s.d, s.n}, joined);
  }
}

TYPED_TEST(Combine, AllWeightOnOneElementReturnsIt) {
  using T = TypeParam;
  const Numbers v = draw(3 * 7, 3);
  Numbers w(7), want;
  w[4] = 1;
  for (std::size_t m = 0; m < 3; ++m) want.push_back(v[m * 7 + 4]);
  test::expect_value(weighted_sum(this->tape, given<T>(this->tape, {1, 1, 7}, w), given<T>(this->tape, {1, 3, 7}, v)),
                     {1, 1, 3}, want, 0);
}

TYPED_TEST(Combine, ShapesThatDoNotFitAreNamed) {
  using T = TypeParam;
  const auto ones = [&](Shape s) { return this->tape.filled(s, T(1)); };
  EXPECT_EQ(complaint([&] {
              weighted_sum(this->tape, ones({2, 1, 5}), ones({2, 3, 4}));
            }),
            "[weighted_sum] weights [2 1 5] are not [B Q N] for values [2 3 4] = [B D N]");
  EXPECT_EQ(complaint([&] {
              concatenation(this->tape, ones({2, 5}), ones({2, 3, 5}));
            }),
            "[concatenation] weights [2 5] are not [B Q N] for values [2 3 5] = [B D N]");
  EXPECT_EQ(complaint([&] {
              gate(this->tape, ones({1, 1, 5}), ones({2, 3, 5}));
            }),
            "[gate] weights [1 1 5] are not [B Q N] for values [2 3 5] = [B D N]");
  EXPECT_EQ(complaint([&] {
              gate(this->tape, ones({2, 2, 5}), ones({2, 3, 5}));
            }),
            "[gate] needs one weight an element, weights [2 2 5]");
  EXPECT_EQ(complaint([] { combiners().find("weighted-sum"); }),
            "[combiner] unknown combiner 'weighted-sum', did you mean 'weighted_sum'? There are: concatenation, gate, "
            "weighted_sum");
}

// Scaled dot-product attention with a mask, from the formula (Vaswani et al. 2017, eq. 1).
TEST(Attend, IsTheThreeStepsInARow) {
  constexpr std::size_t B = 2, Q = 3, D = 4, N = 5;
  const Numbers q = draw(B * Q * D, 10), k = draw(B * D * N, 11), v = draw(B * 2 * N, 12);
  std::vector<std::uint8_t> may(B * Q * N, 1);
  for (std::size_t i = 0; i < may.size(); ++i) may[i] = i % N <= i / N % Q + 1;  // causal
  Numbers weights, values;
  for (std::size_t b = 0; b < B; ++b)
    for (std::size_t i = 0; i < Q; ++i) {
      Numbers e(N);
      double total = 0;
      for (std::size_t n = 0; n < N; ++n) {
        double s = 0;
        for (std::size_t m = 0; m < D; ++m) s += q[(b * Q + i) * D + m] * k[(b * D + m) * N + n];
        total += e[n] = may[(b * Q + i) * N + n] ? std::exp(s / 2) : 0;
      }
      for (std::size_t n = 0; n < N; ++n) weights.push_back(e[n] / total);
      for (std::size_t m = 0; m < 2; ++m) {
        values.push_back(0);
        for (std::size_t n = 0; n < N; ++n) values.back() += e[n] / total * v[(b * 2 + m) * N + n];
      }
    }
  ParameterSet<double> set;
  const Attention<double> attention(Builder<double>(set), "scaled_dot", "softmax", {D, D, 0});
  Tape<double> tape;
  tape.begin(true);
  const Attended<double> y = attend(tape, attention, given(tape, {B, Q, D}, q), given(tape, {B, D, N}, k),
                                    given(tape, {B, 2, N}, v), {may.data(), true});
  test::expect_value(y.weights, {B, Q, N}, weights);
  test::expect_value(y.value, {B, Q, 2}, values);
}

// Every score with every normalizer and every combiner: shapes fit, values and gradients are finite.
TEST(Attend, EveryCombinationRuns) {
  constexpr std::size_t B = 2, Q = 3, D = 3, N = 5;
  const std::vector<std::uint8_t> may{1, 1, 0, 1, 0, 0, 0, 0, 0, 0};  // the second row is closed
  for (const auto& [score_name, score_plugin] : scores().entries())
    for (const auto& [normalizer_name, normalizer] : normalizers().entries())
      for (const auto& [combiner_name, combiner] : combiners().entries()) {
        SCOPED_TRACE(score_name + ", " + normalizer_name + ", " + combiner_name);
        ParameterSet<double> set;
        const Attention<double> attention(score_plugin.make<double>(Builder<double>(set), {D, D, 0}), normalizer,
                                          combiner);
        set.initialize(1);
        Gradients<double> gradients(set, 2);
        Tape<double> tape;
        tape.bind(gradients.leaves());
        tape.begin(true);
        const std::size_t queries = combiner_name == "gate" || !score_plugin.needs_query ? 1 : Q;
        const Var<double> query =
            score_plugin.needs_query ? given(tape, {B, queries, D}, draw(B * queries * D, 13)) : Var<double>{};
        const Var<double> keys = given(tape, {B, D, N}, draw(B * D * N, 14)),
                          values = given(tape, {B, 2, N}, draw(B * 2 * N, 15));
        const auto y = attend(tape, attention, query, keys, values, {may.data(), false});
        EXPECT_EQ(y.weights.shape.text(), (Shape{B, queries, N}).text());
        const Numbers value = test::numbers(y.value);
        test::expect_finite(value);
        for (std::size_t i = value.size() / 2; i < value.size(); ++i)
          EXPECT_EQ(value[i], 0) << "nothing may be attended to, element " << i;
        test::backward_from(tape, y.value);
        test::expect_finite(test::gradient(tape, keys));
        test::expect_finite(test::gradient(tape, values));
        test::expect_finite(Numbers(gradients.flat(), gradients.flat() + set.flat_size()));
      }
}

}  // namespace
}  // namespace mneme
