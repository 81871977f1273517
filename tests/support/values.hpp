// Room: tests. Numbers in, numbers out: drawn inputs, comparison with plain loops, and what an error says.
#pragma once

#include "autodiff/tape.hpp"
#include "core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace mneme::test {

/// Plain double numbers: what every reference loop reads and writes.
using Numbers = std::vector<double>;

/// Numbers that float holds exactly, so that both types start from the same.
inline Numbers draw(std::size_t n, std::uint64_t index, double low = -2, double high = 2) {
  Random random(1, "tests", index);
  Numbers x(n);
  for (double& v : x) v = static_cast<float>(random.uniform(low, high));
  return x;
}

/// As draw, each row of `width` numbers scaled to sum 1.
inline Numbers draw_weights(std::size_t rows, std::size_t width, std::uint64_t index) {
  Numbers w = draw(rows * width, index, 0.05, 1);
  for (std::size_t r = 0; r < rows; ++r) {
    double total = 0;
    for (std::size_t i = 0; i < width; ++i) total += w[r * width + i];
    for (std::size_t i = 0; i < width; ++i) w[r * width + i] = static_cast<float>(w[r * width + i] / total);
  }
  return w;
}

template <class T>
Var<T> given(Tape<T>& tape, Shape shape, const Numbers& values) {
  EXPECT_EQ(shape.size(), values.size());
  Var<T> x = tape.variable(shape);
  for (std::size_t i = 0; i < x.size(); ++i) x.data[i] = static_cast<T>(values[i]);
  return x;
}

template <class T>
Numbers numbers(const Var<T>& x) {
  return Numbers(x.data, x.data + x.size());
}

template <class T>
constexpr double usual_tolerance = std::is_same_v<T, float> ? 3e-6 : 1e-13;

/// Each within tolerance * max(1, |value|).
inline void expect_near(const Numbers& have, const Numbers& want, double tolerance) {
  ASSERT_EQ(have.size(), want.size());
  for (std::size_t i = 0; i < have.size(); ++i)
    EXPECT_NEAR(have[i], want[i], tolerance * std::max(1.0, std::abs(want[i]))) << "element " << i;
}

template <class T>
void expect_value(const Var<T>& y, Shape shape, const Numbers& want, double tolerance = usual_tolerance<T>) {
  ASSERT_TRUE(y.shape == shape) << y.shape.text() << " is not " << shape.text();
  expect_near(numbers(y), want, tolerance);
}

inline void expect_finite(const Numbers& x) {
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_TRUE(std::isfinite(x[i])) << "element " << i << " is " << x[i];
}

/// The gradient of a variable after backward().
template <class T>
Numbers gradient(Tape<T>& tape, const Var<T>& x) {
  const T* d = tape.gradient(x);
  return Numbers(d, d + x.size());
}

/// Runs backward from sum_i sin(1.3 i + 0.7) y_i.
template <class T>
void backward_from(Tape<T>& tape, const Var<T>& y) {
  Var<T> loss = tape.result(Shape{}, y);
  loss.data[0] = 0;
  const auto weight = [](std::size_t i) { return static_cast<T>(std::sin(1.3 * static_cast<double>(i) + 0.7)); };
  for (std::size_t i = 0; i < y.size(); ++i) loss.data[0] += weight(i) * y.data[i];
  tape.node("backward_from", {loss}, [=](Tape<T>& t) {
    const T g = t.gradient(loss)[0];
    t.accumulate(y, [&](auto into, T* dy) {
      for (std::size_t i = 0; i < y.size(); ++i) into(dy[i], g * weight(i));
    });
  });
  tape.backward(loss);
}

/// What the error says that f throws; "no complaint" where it throws none.
template <class E = ArgumentError, class F>
std::string complaint(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "no complaint";
}

}  // namespace mneme::test
