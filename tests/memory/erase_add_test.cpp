// Erase and add against plain loops in double, and the fused op against the two.
#include "memory/erase_add.hpp"

#include "tests/support/values.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::given;
using test::Numbers;

template <class T>
class EraseAdd : public testing::Test {
 protected:
  EraseAdd() { tape.begin(true); }
  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(EraseAdd, Scalars);

struct Sizes {
  std::size_t b, m, n;
};
constexpr Sizes all_sizes[] = {{1, 1, 1}, {2, 3, 5}, {1, 5, 2}, {2, 2, 8}, {3, 4, 37}};

TYPED_TEST(EraseAdd, AgainstLoops) {
  using T = TypeParam;
  for (const auto& [b, m, n] : all_sizes) {
    SCOPED_TRACE(fmt::format("B={} M={} N={}", b, m, n));
    const Numbers memory = draw(b * m * n, 1), w = draw(b * n, 2, 0, 1), e = draw(b * m, 3, 0, 1), a = draw(b * m, 4);
    Numbers erased, added, both;
    for (std::size_t i = 0; i < b * m * n; ++i) {
      const double weight = w[i / (m * n) * n + i % n], old = memory[i];
      erased.push_back(old * (1 - weight * e[i / n]));    // NTM eq. 3
      added.push_back(old + weight * a[i / n]);           // NTM eq. 4
      both.push_back(erased.back() + weight * a[i / n]);  // one after the other
    }
    const Var<T> vm = given<T>(this->tape, {b, m, n}, memory), vw = given<T>(this->tape, {b, n}, w),
                 ve = given<T>(this->tape, {b, m}, e), va = given<T>(this->tape, {b, m}, a);
    test::expect_value(erase(this->tape, vm, vw, ve), {b, m, n}, erased);
    test::expect_value(write(this->tape, vm, vw, va), {b, m, n}, added);
    test::expect_value(erase_add(this->tape, vm, vw, ve, va), {b, m, n}, both);
    EXPECT_EQ(test::numbers(vm), memory) << "the memory given must not change";
  }
}

TYPED_TEST(EraseAdd, FusedIsEraseThenWrite) {
  using T = TypeParam;
  for (const auto& [b, m, n] : all_sizes) {
    SCOPED_TRACE(fmt::format("B={} M={} N={}", b, m, n));
    Numbers values[2];
    std::vector<Numbers> gradients[2];
    for (const bool fused : {false, true}) {
      this->tape.begin(true);
      const Var<T> memory = given<T>(this->tape, {b, m, n}, draw(b * m * n, 5)),
                   w = given<T>(this->tape, {b, n}, draw(b * n, 6, 0, 1)),
                   e = given<T>(this->tape, {b, m}, draw(b * m, 7, 0, 1)),
                   a = given<T>(this->tape, {b, m}, draw(b * m, 8));
      const Var<T> y =
          fused ? erase_add(this->tape, memory, w, e, a) : write(this->tape, erase(this->tape, memory, w, e), w, a);
      values[fused] = test::numbers(y);
      test::backward_from(this->tape, y);
      for (const Var<T>& x : {memory, w, e, a}) gradients[fused].push_back(test::gradient(this->tape, x));
    }
    const double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-13;
    test::expect_near(values[1], values[0], tolerance);
    for (std::size_t i = 0; i < 4; ++i) {
      SCOPED_TRACE(fmt::format("gradient of input {}", i));
      test::expect_near(gradients[1][i], gradients[0][i], tolerance);
    }
  }
}

TYPED_TEST(EraseAdd, AFullEraseWithAllWeightReplacesTheSlot) {
  using T = TypeParam;
  const Var<T> y =
      erase_add(this->tape, given<T>(this->tape, {1, 2, 3}, draw(6, 9)), given<T>(this->tape, {1, 3}, {0, 1, 0}),
                this->tape.filled({1, 2}, T(1)), given<T>(this->tape, {1, 2}, {7, -8}));
  EXPECT_EQ(y.data[1], T(7));
  EXPECT_EQ(y.data[4], T(-8));
  EXPECT_EQ(y.data[0], static_cast<T>(draw(6, 9)[0]));
  EXPECT_EQ(y.data[5], static_cast<T>(draw(6, 9)[5]));
}

TYPED_TEST(EraseAdd, TheOrderOfSeveralHeadsIsFree) {
  using T = TypeParam;
  const std::size_t m = 3, n = 5;
  const Var<T> memory = given<T>(this->tape, {1, m, n}, draw(m * n, 10));
  Var<T> w[2], e[2], a[2];
  for (std::size_t h = 0; h < 2; ++h) {
    w[h] = given<T>(this->tape, {1, n}, draw(n, 20 + h, 0, 1));
    e[h] = given<T>(this->tape, {1, m}, draw(m, 30 + h, 0, 1));
    a[h] = given<T>(this->tape, {1, m}, draw(m, 40 + h));
  }
  Numbers results[2];
  for (const bool swapped : {false, true}) {
    Var<T> y = memory;
    for (std::size_t h : {0, 1}) y = erase(this->tape, y, w[h ^ swapped], e[h ^ swapped]);
    for (std::size_t h : {0, 1}) y = write(this->tape, y, w[h ^ swapped], a[h ^ swapped]);
    results[swapped] = test::numbers(y);
  }
  test::expect_near(results[1], results[0], test::usual_tolerance<T>);
}

TYPED_TEST(EraseAdd, ShapesThatDoNotFitAreNamed) {
  using T = TypeParam;
  const auto ones = [&](Shape s) { return this->tape.filled(s, T(1)); };
  EXPECT_EQ(complaint([&] {
              erase(this->tape, ones({2, 3, 5}), ones({2, 4}), ones({2, 3}));
            }),
            "[erase] memory [2 3 5] is not [B M N], weights [2 4] not [B N] or vector [2 3] not [B M]");
  EXPECT_EQ(complaint([&] {
              write(this->tape, ones({2, 3, 5}), ones({2, 5}), ones({2, 5}));
            }),
            "[write] memory [2 3 5] is not [B M N], weights [2 5] not [B N] or vector [2 5] not [B M]");
  EXPECT_EQ(complaint([&] {
              erase_add(this->tape, ones({2, 3, 5}), ones({2, 5}), ones({2, 3}), ones({1, 3}));
            }),
            "[erase_add] memory [2 3 5] is not [B M N], weights [2 5] not [B N] or vector [1 3] not [B M]");
  EXPECT_EQ(complaint([&] {
              erase_add(this->tape, ones({3, 5}), ones({2, 5}), ones({2, 3}), ones({2, 3}));
            }),
            "[erase_add] memory [3 5] is not [B M N], weights [2 5] not [B N] or vector [2 3] not [B M]");
}

}  // namespace
}  // namespace mneme
