// Values of every op against naive loops, in float and double; gradients of float against double; shape errors.
#include "autodiff/ops.hpp"

#include "autodiff/map.hpp"
#include "autodiff/products.hpp"
#include "core/random.hpp"
#include "tests/support/values.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace mneme {
namespace {

using Numbers = std::vector<double>;
constexpr std::size_t widths[] = {1, 3, 8, 13, 16, 35};

/// Numbers that float holds exactly, so that both types start from the same.
Numbers draw(std::size_t n, std::uint64_t index, double low = -2, double high = 2) {
  Random random(1, "ops_test", index);
  Numbers x(n);
  for (double& v : x) v = static_cast<float>(random.uniform(low, high));
  return x;
}

template <class T>
class Ops : public testing::Test {
 protected:
  Ops() { tape.begin(true); }

  Var<T> given(Shape shape, const Numbers& values) {
    Var<T> x = tape.variable(shape);
    for (std::size_t i = 0; i < x.size(); ++i) x.data[i] = static_cast<T>(values[i]);
    return x;
  }

  void expect(Var<T> y, Shape shape, const Numbers& values) {
    ASSERT_TRUE(y.shape == shape) << y.shape.text() << " is not " << shape.text();
    const double tolerance = std::is_same_v<T, float> ? 3e-6 : 1e-13;
    for (std::size_t i = 0; i < y.size(); ++i)
      EXPECT_NEAR(y.data[i], values[i], tolerance * std::max(1.0, std::abs(values[i]))) << "element " << i;
  }

  template <class F>
  std::string complaint(F f) {
    try {
      f();
    } catch (const ArgumentError& e) {
      return e.what();
    }
    return "no complaint";
  }

  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Ops, Scalars);

TYPED_TEST(Ops, ElementwiseOfOne) {
  using T = TypeParam;
  struct Case {
    Var<T> (*op)(Tape<T>&, Var<T>);
    double (*naive)(double);
    double low, high;
  };
  const Case cases[] = {
      {tanh<T>, [](double x) { return std::tanh(x); }, -4, 4},
      {sigmoid<T>, [](double x) { return 1 / (1 + std::exp(-x)); }, -6, 6},
      {relu<T>, [](double x) { return x > 0 ? x : 0; }, -2, 2},
      {softplus<T>, [](double x) { return std::log(1 + std::exp(x)); }, -6, 6},
      {exp<T>, [](double x) { return std::exp(x); }, -4, 4},
      {log<T>, [](double x) { return std::log(x); }, 0.1, 4},
      {sqrt<T>, [](double x) { return std::sqrt(x); }, 0.1, 4},
      {[](Tape<T>& t, Var<T> x) { return affine(t, x, -1.5, 0.25); }, [](double x) { return -1.5 * x + 0.25; }, -2, 2},
  };
  for (const Case& c : cases)
    for (std::size_t n : widths) {
      Numbers x = draw(2 * n, n, c.low, c.high), y(2 * n);
      std::transform(x.begin(), x.end(), y.begin(), c.naive);
      this->expect(c.op(this->tape, this->given({2, n}, x)), {2, n}, y);
    }
}

TYPED_TEST(Ops, ElementwiseOfTwo) {
  using T = TypeParam;
  struct Case {
    Var<T> (*op)(Tape<T>&, Var<T>, Var<T>);
    double (*naive)(double, double);
  };
  const Case cases[] = {
      {add<T>, [](double a, double b) { return a + b; }},
      {subtract<T>, [](double a, double b) { return a - b; }},
      {multiply<T>, [](double a, double b) { return a * b; }},
      {divide<T>, [](double a, double b) { return a / b; }},
  };
  for (const Case& c : cases)
    for (std::size_t n : widths) {
      Numbers a = draw(2 * n, n), b = draw(2 * n, n + 100, 0.5, 2), y(2 * n);
      std::transform(a.begin(), a.end(), b.begin(), y.begin(), c.naive);
      this->expect(c.op(this->tape, this->given({2, n}, a), this->given({2, n}, b)), {2, n}, y);
    }
}

// In full registers and in tails: a maximum of two registers gives its second where either is NaN.
TYPED_TEST(Ops, NanStaysNanInEveryLane) {
  using T = TypeParam;
  Var<T> (*const one[])(Tape<T>&, Var<T>) = {tanh<T>, sigmoid<T>, relu<T>, softplus<T>, exp<T>, log<T>, sqrt<T>};
  Var<T> (*const two[])(Tape<T>&, Var<T>, Var<T>) = {add<T>, subtract<T>, multiply<T>, divide<T>};
  auto& t = this->tape;
  const Numbers x = draw(35, 7, 0.5, 2);
  for (std::size_t k = 0; k < x.size(); ++k) {
    Numbers with = x;
    with[k] = std::numeric_limits<double>::quiet_NaN();
    for (std::size_t op = 0; op < std::size(one); ++op)
      EXPECT_TRUE(std::isnan(one[op](t, this->given({35}, with)).data[k])) << "op " << op << ", element " << k;
    for (std::size_t op = 0; op < std::size(two); ++op) {
      EXPECT_TRUE(std::isnan(two[op](t, this->given({35}, with), this->given({35}, x)).data[k])) << op;
      EXPECT_TRUE(std::isnan(two[op](t, this->given({35}, x), this->given({35}, with)).data[k])) << op;
    }
  }
}

TYPED_TEST(Ops, ElementwiseFarOut) {
  auto& t = this->tape;
  const Numbers x{-1000, -100, 100, 1000};
  this->expect(sigmoid(t, this->given({4}, x)), {4}, {0, 0, 1, 1});
  this->expect(tanh(t, this->given({4}, x)), {4}, {-1, -1, 1, 1});
  this->expect(softplus(t, this->given({4}, x)), {4}, {0, 0, 100, 1000});
  auto v = this->given({4}, x);
  t.backward(sum(t, softplus(t, v)));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(t.gradient(v)[i], i < 2 ? 0 : 1, 1e-6);
}

TYPED_TEST(Ops, MapOfAFormula) {
  for (std::size_t n : widths) {
    const Numbers x = draw(n, n);
    Numbers y(n);
    for (std::size_t i = 0; i < n; ++i) y[i] = x[i] / (1 + std::exp(-x[i]));
    const auto swish = [](auto v) { return v * sigmoid(v); };
    this->expect(map(this->tape, "swish", swish, this->given({n}, x)), {n}, y);
  }
}

TYPED_TEST(Ops, ShapesOfElementwiseOpsMustAgree) {
  auto& t = this->tape;
  auto a = this->given({2, 3}, draw(6, 1)), b = this->given({3, 2}, draw(6, 2));
  EXPECT_EQ(this->complaint([&] { add(t, a, b); }), "[add] shapes [2 3] and [3 2] differ");
  EXPECT_EQ(this->complaint([&] { divide(t, a, b); }), "[divide] shapes [2 3] and [3 2] differ");
}

TYPED_TEST(Ops, Concatenate) {
  using T = TypeParam;
  auto& t = this->tape;
  const Var<T> parts[] = {this->given({2, 1}, {1, 2}), this->given({2, 3}, {3, 4, 5, 6, 7, 8}),
                          this->given({2, 2}, {9, 10, 11, 12})};
  this->expect(concatenate<T>(t, parts), {2, 6}, {1, 3, 4, 5, 9, 10, 2, 6, 7, 8, 11, 12});
  const Var<T> cubes[] = {this->given({1, 2, 1}, {1, 2}), this->given({1, 2, 2}, {3, 4, 5, 6})};
  this->expect(concatenate<T>(t, cubes), {1, 2, 3}, {1, 3, 4, 2, 5, 6});
  const Var<T> one[] = {parts[1]};
  this->expect(concatenate<T>(t, one), {2, 3}, {3, 4, 5, 6, 7, 8});
}

TYPED_TEST(Ops, StackSteps) {
  using T = TypeParam;
  auto& t = this->tape;
  const Var<T> steps[] = {this->given({2, 1}, {1, 2}), this->given({2, 2}, {3, 4, 5, 6}), this->given({2, 1}, {7, 8}),
                          this->given({2, 2}, {9, 10, 11, 12})};
  this->expect(stack_steps<T>(t, steps, 2), {4, 3}, {1, 3, 4, 2, 5, 6, 7, 9, 10, 8, 11, 12});
  EXPECT_EQ(this->complaint([&] { stack_steps<T>(t, steps, 3); }),
            "[stack_steps] 4 handles are no whole number of steps of 3 parts");
  EXPECT_EQ(this->complaint([&] { stack_steps<T>(t, steps, 0); }),
            "[stack_steps] 4 handles are no whole number of steps of 0 parts");
  EXPECT_EQ(this->complaint([&] { stack_steps<T>(t, steps, 1); }),
            "[stack_steps] part 1 is [2 2], expected 2 rows of 1");
  const Var<T> uneven[] = {this->given({2, 1}, {1, 2}), this->given({3, 1}, {1, 2, 3})};
  EXPECT_EQ(this->complaint([&] { concatenate<T>(t, uneven); }), "[stack_steps] part 1 is [3 1], expected 2 rows of 1");
}

TYPED_TEST(Ops, Slice) {
  auto& t = this->tape;
  auto x = this->given({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  this->expect(slice(t, x, 1, 2), {2, 2}, {2, 3, 6, 7});
  this->expect(slice(t, x, 0, 4), {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  this->expect(slice(t, x.reshaped({2, 2, 2}), 1, 1), {2, 2, 1}, {2, 4, 6, 8});
  EXPECT_EQ(this->complaint([&] { slice(t, x, 3, 2); }), "[slice] columns 3..5 of [2 4]");
  EXPECT_EQ(this->complaint([&] { slice(t, x, 1, 0); }), "[slice] columns 1..1 of [2 4]");
}

TYPED_TEST(Ops, RepeatRows) {
  auto& t = this->tape;
  this->expect(repeat_rows(t, this->given({2}, {1, 2}), 3), {3, 2}, {1, 2, 1, 2, 1, 2});
  this->expect(repeat_rows(t, this->given({1, 2}, {1, 2}), 2), {2, 1, 2}, {1, 2, 1, 2});
  this->expect(repeat_rows(t, this->given({}, {7}), 2), {2}, {7, 7});
  auto full = this->given({1, 1, 1, 1}, {1});
  EXPECT_EQ(this->complaint([&] { repeat_rows(t, full, 2); }), "[repeat_rows] [1 1 1 1] has no room for another axis");
}

TYPED_TEST(Ops, ChooseRows) {
  auto& t = this->tape;
  const std::uint8_t active[] = {1, 0, 1};
  auto updated = this->given({3, 2}, {1, 2, 3, 4, 5, 6}), old = this->given({3, 2}, {-1, -2, -3, -4, -5, -6});
  this->expect(choose_rows(t, active, updated, old), {3, 2}, {1, 2, -3, -4, 5, 6});
  this->expect(choose_rows(t, active, updated.reshaped({3, 1, 2}), old.reshaped({3, 1, 2})), {3, 1, 2},
               {1, 2, -3, -4, 5, 6});
  EXPECT_EQ(this->complaint([&] {
    choose_rows(t, active, updated, old.reshaped({2, 3}));
  }),
            "[choose_rows] shapes [3 2] and [2 3] differ");
}

TYPED_TEST(Ops, Sums) {
  auto& t = this->tape;
  for (std::size_t n : widths) {
    const Numbers x = draw(3 * n, n), b = draw(n, n + 50), s = draw(3, n + 99);
    Numbers biased = x, scaled = x;
    double total = 0;
    for (std::size_t i = 0; i < 3 * n; ++i) {
      total += x[i];
      biased[i] += b[i % n];
      scaled[i] *= s[i / n];
    }
    this->expect(sum(t, this->given({3, n}, x)), {}, {total});
    this->expect(add_bias(t, this->given({3, n}, x), this->given({n}, b)), {3, n}, biased);
    this->expect(scale_rows(t, this->given({3, n}, x), this->given({3, 1}, s)), {3, n}, scaled);
    this->expect(scale_rows(t, this->given({3, n}, x), this->given({3}, s)), {3, n}, scaled);
  }
  auto x = this->given({2, 3}, draw(6, 0)), four = this->given({4}, draw(4, 0));
  EXPECT_EQ(this->complaint([&] { add_bias(t, x, four); }), "[add_bias] rows of [2 3] and bias [4]");
  EXPECT_EQ(this->complaint([&] { scale_rows(t, x, four); }), "[scale_rows] rows of [2 3] and scales [4]");
}

Numbers naive_product(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const double* a, const double* b) {
  Numbers c(m * n, 0.0);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t l = 0; l < k; ++l)
        c[i * n + j] += (ta ? a[l * m + i] : a[i * k + l]) * (tb ? b[j * k + l] : b[l * n + j]);
  return c;
}

TYPED_TEST(Ops, MatrixProducts) {
  using T = TypeParam;
  for (std::size_t m : {1, 2, 5, 8, 15, 16, 17})
    for (std::size_t n : {1, 3, 16, 29, 60})
      for (std::size_t k : {1, 4, 8, 19})
        for (bool ta : {false, true})
          for (bool tb : {false, true}) {
            const Numbers a = draw(m * k, m), b = draw(k * n, n + 50);
            const double near = std::is_same_v<T, float> ? 2e-5 : 1e-12;
            const std::vector<T> at(a.begin(), a.end()), bt(b.begin(), b.end());
            const Numbers expected = naive_product(ta, tb, m, n, k, a.data(), b.data());
            // Overwriting must not read: a recycled buffer may hold anything.
            std::vector<T> c(m * n, std::numeric_limits<T>::quiet_NaN());
            gemm<T>(ta, tb, m, n, k, at.data(), bt.data(), c.data(), false);
            for (std::size_t i = 0; i < m * n; ++i)
              ASSERT_NEAR(c[i], expected[i], near) << m << ' ' << n << ' ' << k << ' ' << ta << tb;
            gemm<T>(ta, tb, m, n, k, at.data(), bt.data(), c.data(), true);
            for (std::size_t i = 0; i < m * n; ++i) ASSERT_NEAR(c[i], 2 * expected[i], 2 * near);
          }
}

TYPED_TEST(Ops, AProductOverNothingIsZero) {
  using T = TypeParam;
  const T some[1] = {T(7)};
  for (std::size_t m : {1, 3, 17})
    for (bool ta : {false, true})
      for (bool tb : {false, true}) {
        std::vector<T> c(m * 2, T(5));
        gemm<T>(ta, tb, m, 2, 0, some, some, c.data(), true);
        EXPECT_EQ(c, std::vector<T>(m * 2, T(5)));
        gemm<T>(ta, tb, m, 2, 0, some, some, c.data(), false);
        EXPECT_EQ(c, std::vector<T>(m * 2, T(0))) << m << ta << tb;
      }
}

// The BLAS counts in int.
TYPED_TEST(Ops, AProductTooLargeForTheBlasIsRefused) {
  using T = TypeParam;
  T c[1] = {T(0)};
  const std::size_t large = std::size_t{1} << 31;
  EXPECT_EQ(test::complaint([&] { gemm<T>(true, false, 17, large, 1, c, c, c, false); }),
            "[product] [17 1] x [1 2147483648] is more than a BLAS takes: 2147483647 rows or columns");
}

TYPED_TEST(Ops, AMeterCountsTheProductsWhileItLives) {
  using T = TypeParam;
  const std::vector<T> a(6, T(1)), b(12, T(1));
  std::vector<T> c(8);
  const auto multiply = [&](std::size_t m) { gemm<T>(false, false, m, 4, 3, a.data(), b.data(), c.data(), false); };
  multiply(2);
  {
    const ProductMeter meter;
    EXPECT_EQ(meter.products, 0u);
    multiply(2);
    multiply(1);
    EXPECT_EQ(meter.products, 2u);
    EXPECT_EQ(meter.operations, 2 * 2 * 4 * 3 + 2 * 1 * 4 * 3);
    EXPECT_GT(meter.seconds, 0);
    EXPECT_EQ(c[0], T(3)) << "what is measured is still computed";
  }
  multiply(2);  // nobody is there to count
  EXPECT_EQ(ProductMeter().products, 0u);
}

TYPED_TEST(Ops, Linear) {
  auto& t = this->tape;
  for (std::size_t rows : {1, 2, 5})
    for (std::size_t in : {1, 4})
      for (std::size_t out : {1, 3, 8}) {
        const Numbers x = draw(rows * in, rows), w = draw(in * out, in + 50), b = draw(out, out + 99);
        Numbers y = naive_product(false, false, rows, out, in, x.data(), w.data());
        auto vx = this->given({rows, in}, x), vw = this->given({in, out}, w);
        this->expect(linear(t, vx, vw), {rows, out}, y);
        for (std::size_t i = 0; i < y.size(); ++i) y[i] += b[i % out];
        this->expect(linear(t, vx, vw, this->given({out}, b)), {rows, out}, y);
        this->expect(linear(t, vx.reshaped({1, rows, in}), vw, this->given({out}, b)), {1, rows, out}, y);
      }
  auto x = this->given({2, 3}, draw(6, 0)), w = this->given({4, 5}, draw(20, 0)), b = this->given({4}, draw(4, 0));
  EXPECT_EQ(this->complaint([&] { linear(t, x, w); }), "[linear] x [2 3], W [4 5], b none");
  EXPECT_EQ(this->complaint([&] {
    linear(t, this->given({2, 4}, draw(8, 0)), w, b);
  }),
            "[linear] x [2 4], W [4 5], b [4]");
}

TYPED_TEST(Ops, BatchedProduct) {
  auto& t = this->tape;
  const std::size_t m = 2, k = 3, n = 4;
  for (bool transpose : {false, true}) {
    const Numbers a = draw(2 * m * k, 1), c = draw(2 * k * n, 2);
    Numbers y;
    for (std::size_t b = 0; b < 2; ++b) {
      const Numbers one = naive_product(false, transpose, m, n, k, a.data() + b * m * k, c.data() + b * k * n);
      y.insert(y.end(), one.begin(), one.end());
    }
    const Shape shape = transpose ? Shape{2, n, k} : Shape{2, k, n};
    this->expect(batched_product(t, this->given({2, m, k}, a), this->given(shape, c), transpose), {2, m, n}, y);
  }
  auto a = this->given({2, 3, 4}, draw(24, 0)), c = this->given({2, 5, 6}, draw(60, 0)),
       flat = this->given({4, 6}, draw(24, 0));
  EXPECT_EQ(this->complaint([&] { batched_product(t, a, c); }), "[batched_product] a [2 3 4], c [2 5 6]");
  EXPECT_EQ(this->complaint([&] { batched_product(t, a, c, true); }),
            "[batched_product] a [2 3 4], c [2 5 6] transposed");
  EXPECT_EQ(this->complaint([&] { batched_product(t, a, flat); }), "[batched_product] a [2 3 4], c [4 6]");
}

TYPED_TEST(Ops, GatherRows) {
  using T = TypeParam;
  auto& t = this->tape;
  auto table = this->given({3, 2}, {1, 2, 3, 4, 5, 6});
  const std::int32_t index[] = {2, -1, 0, 2}, high[] = {0, 3}, low[] = {-2};
  this->expect(gather_rows<T>(t, table, index), {4, 2}, {5, 6, 0, 0, 1, 2, 5, 6});
  EXPECT_EQ(this->complaint([&] { gather_rows<T>(t, table, high); }), "[gather_rows] index 3 into table [3 2]");
  EXPECT_EQ(this->complaint([&] { gather_rows<T>(t, table, low); }), "[gather_rows] index -2 into table [3 2]");
  EXPECT_EQ(this->complaint([&] { gather_rows<T>(t, table.reshaped({6}), index); }), "[gather_rows] table [6]");
}

TYPED_TEST(Ops, BitsLoss) {
  auto& t = this->tape;
  for (std::size_t n : widths) {
    const Numbers x = draw(3 * n, n, -5, 5);
    std::vector<float> y(3 * n);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = i % 3 == 0;
    const std::uint8_t scored[] = {1, 0, 1};
    double expected = 0;
    for (std::size_t i = 0; i < 3 * n; ++i)
      if (scored[i / n]) expected -= std::log(1 / (1 + std::exp(y[i] > 0 ? -x[i] : x[i])));
    this->expect(bits_loss(t, this->given({3, n}, x), y.data(), scored, 0.5), {}, {0.5 * expected});
  }
  const float ones[] = {1, 0, 1, 0};
  const std::uint8_t scored[] = {1};
  this->expect(bits_loss(t, this->given({1, 4}, {300, -300, -300, 300}), ones, scored, 1), {}, {600});
}

TYPED_TEST(Ops, ClassLoss) {
  auto& t = this->tape;
  for (std::size_t n : widths) {
    const Numbers x = draw(3 * n, n, -5, 5);
    const std::int32_t k[] = {static_cast<std::int32_t>(n - 1), -1, 0};
    const std::uint8_t scored[] = {1, 0, 1};
    double expected = 0;
    for (std::size_t r : {0u, 2u}) {
      double norm = 0;
      for (std::size_t i = 0; i < n; ++i) norm += std::exp(x[r * n + i]);
      expected += std::log(norm) - x[r * n + static_cast<std::size_t>(k[r])];
    }
    this->expect(class_loss(t, this->given({3, n}, x), k, scored, 2), {}, {2 * expected});
  }
  const double inf = std::numeric_limits<double>::infinity();
  const std::int32_t one[] = {1};
  const std::uint8_t scored[] = {1};
  this->expect(class_loss(t, this->given({1, 3}, {1000, 1000, -1000}), one, scored, 1), {}, {std::log(2.0)});
  auto masked = this->given({1, 3}, {-inf, 2, 2});
  auto loss = class_loss(t, masked, one, scored, 1);
  this->expect(loss, {}, {std::log(2.0)});
  t.backward(loss);
  EXPECT_EQ(t.gradient(masked)[0], 0);
  EXPECT_NEAR(t.gradient(masked)[2], 0.5, 1e-6);
  const std::int32_t five[] = {5}, none[] = {-1}, zero[] = {0};
  auto x = this->given({1, 5}, draw(5, 0));
  EXPECT_EQ(this->complaint([&] { class_loss(t, x, five, scored, 1); }),
            "[class_loss] target 5 of row 0 in logits [1 5]");
  EXPECT_EQ(this->complaint([&] { class_loss(t, x, none, scored, 1); }),
            "[class_loss] target -1 of row 0 in logits [1 5]");
  EXPECT_EQ(this->complaint([&] {
    class_loss(t, this->given({1, 2}, {masked_logit, 2}), zero, scored, 1);
  }),
            "[class_loss] target 0 of row 0 is masked");
  EXPECT_EQ(class_loss(t, masked, zero, scored, 1).data[0], inf) << "a logit that diverged is no wrong argument";
}

TYPED_TEST(Ops, SquaredLoss) {
  auto& t = this->tape;
  const float y[] = {0, 1, 2, 3};
  const std::uint8_t scored[] = {1, 0};
  this->expect(squared_loss(t, this->given({2, 2}, {1, 3, 9, 9}), y, scored, 3), {}, {7.5});
}

// A row's result must not depend on how many rows share the call: a matrix-vector and a matrix product agree.
TEST(OpsDouble, RowsOfABatchEqualSingleRows) {
  Tape<double> tape;
  tape.begin(true);
  const std::size_t rows = 7, in = 23, out = 19;
  const Numbers x = draw(rows * in, 1), w = draw(in * out, 2), b = draw(out, 3);
  const auto given = [&](Shape shape, const double* p) {
    auto v = tape.variable(shape);
    std::copy_n(p, v.size(), v.data);
    return v;
  };
  const auto run = [&](Var<double> v) {
    return tanh(tape, linear(tape, v, given({in, out}, w.data()), given({out}, b.data())));
  };
  const auto all = run(given({rows, in}, x.data()));
  for (std::size_t r = 0; r < rows; ++r) {
    const auto one = run(given({1, in}, x.data() + r * in));
    for (std::size_t i = 0; i < out; ++i) EXPECT_NEAR(one.data[i], all.data[r * out + i], 1e-12);
  }
}

/// Value and gradients of a function of two [3 D] inputs, weighted unevenly.
template <class T, class F>
Numbers differentiated(F f, std::size_t d) {
  Tape<T> tape;
  tape.begin(true);
  const Numbers a = draw(3 * d, d, -1, 1), b = draw(3 * d, d + 7, 0.5, 2);
  Var<T> va = tape.variable({3, d}), vb = tape.variable({3, d});
  std::copy(a.begin(), a.end(), va.data);
  std::copy(b.begin(), b.end(), vb.data);
  const Var<T> y = f(tape, va, vb);
  Var<T> weight = tape.constant(y.shape);
  for (std::size_t i = 0; i < y.size(); ++i)
    weight.data[i] = static_cast<T>(std::sin(1.3 * static_cast<double>(i) + 0.7));
  const Var<T> loss = sum(tape, multiply(tape, y, weight));
  tape.backward(loss);
  Numbers result{loss.data[0]};
  result.insert(result.end(), tape.gradient(va), tape.gradient(va) + va.size());
  result.insert(result.end(), tape.gradient(vb), tape.gradient(vb) + vb.size());
  return result;
}

TEST(OpsFloat, ValuesAndGradientsAgreeWithDouble) {
  const auto compare = [](const char* name, auto f) {
    for (std::size_t d : {1u, 4u, 13u}) {
      const Numbers single = differentiated<float>(f, d), exact = differentiated<double>(f, d);
      for (std::size_t i = 0; i < exact.size(); ++i)
        EXPECT_NEAR(single[i], exact[i], 2e-5 * std::max(1.0, std::abs(exact[i]))) << name << ' ' << d << ' ' << i;
    }
  };
  compare("arithmetic", [](auto& t, auto a, auto b) {
    return divide(t, subtract(t, multiply(t, a, b), a), add(t, b, affine(t, b, 0.5, 1)));
  });
  compare("functions", [](auto& t, auto a, auto b) {
    return add(t, multiply(t, tanh(t, a), sigmoid(t, b)),
               add(t, multiply(t, softplus(t, a), log(t, b)), multiply(t, exp(t, a), sqrt(t, relu(t, b)))));
  });
  compare("shapes", [](auto& t, auto a, auto b) {
    using V = decltype(a);
    static constexpr std::uint8_t active[] = {1, 0, 1};
    const V parts[] = {a, choose_rows(t, active, tanh(t, a), b), slice(t, b, 0, 1)};
    const V joined = concatenate(t, std::span<const V>(parts));
    return scale_rows(t, joined, slice(t, a, 0, 1));
  });
  compare("products", [](auto& t, auto a, auto b) {
    const std::size_t d = a.shape.last();
    const auto square = batched_product(t, a.reshaped({1, 3, d}), b.reshaped({1, 3, d}), true);
    return add_bias(t, linear(t, square.reshaped({3, 3}), b), slice(t, a.reshaped({3 * d}), d, d));
  });
  compare("losses", [](auto& t, auto a, auto b) {
    static const float targets[39] = {1, 0, 0, 1, 1, 0, 1};
    static constexpr std::int32_t classes[] = {0, 0, 0};
    static constexpr std::uint8_t scored[] = {1, 1, 0};
    return add(t, bits_loss(t, a, targets, scored, 0.3),
               add(t, class_loss(t, b, classes, scored, 0.7), squared_loss(t, a, targets, scored, 1.1)));
  });
  compare("table", [](auto& t, auto a, auto b) {
    static constexpr std::int32_t index[] = {2, -1, 2};
    return multiply(t, gather_rows(t, a, index), b);
  });
}

TYPED_TEST(Ops, RangesThatWrapAndRowsThatAreNone) {
  auto& t = this->tape;
  const auto x = this->given({2, 3}, draw(6, 1));
  EXPECT_EQ(this->complaint([&] { slice(t, x, ~std::size_t{0}, 2); }),
            "[slice] columns 18446744073709551615..1 of [2 3]");
  EXPECT_EQ(this->complaint([&] { slice(t, x, 2, 2); }), "[slice] columns 2..4 of [2 3]");
  const auto none = t.constant({0, 3});
  EXPECT_EQ(choose_rows(t, nullptr, none, none).size(), 0u);
}

}  // namespace
}  // namespace mneme
