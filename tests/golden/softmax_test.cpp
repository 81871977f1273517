// softmax over any axis, and log-softmax through class_loss, against ONNX.
#include "attention/normalize.hpp"
#include "autodiff/ops.hpp"
#include "tests/golden/golden.hpp"

#include <fstream>

namespace mneme {
namespace {

using golden::Numbers;

/// A tensor seen as [outer, n, inner], n its `axis`.
struct Axis {
  std::size_t outer = 1, n = 1, inner = 1;
};

Axis axis_of(const golden::Case& c) {
  const std::vector<std::size_t>& dims = c.in("x")->dims;
  int axis = static_cast<int>(c.number("axis", -1));
  if (axis < 0) axis += static_cast<int>(dims.size());
  Axis a;
  for (std::size_t i = 0; i < dims.size(); ++i)
    (static_cast<int>(i) < axis ? a.outer : static_cast<int>(i) == axis ? a.n : a.inner) *= dims[i];
  return a;
}

/// f(row of n numbers) for every row along the axis, put back in place.
template <class F>
Numbers along(const Axis& a, const Numbers& x, F f) {
  Numbers y(x.size());
  for (std::size_t o = 0; o < a.outer; ++o)
    for (std::size_t i = 0; i < a.inner; ++i) {
      Numbers row(a.n);
      for (std::size_t k = 0; k < a.n; ++k) row[k] = x[(o * a.n + k) * a.inner + i];
      row = f(row);
      for (std::size_t k = 0; k < a.n; ++k) y[(o * a.n + k) * a.inner + i] = row[k];
    }
  return y;
}

template <class T>
Var<T> one_row(Tape<T>& tape, const Numbers& row, Shape shape) {
  Var<T> x = tape.constant(shape);
  for (std::size_t k = 0; k < row.size(); ++k) x.data[k] = static_cast<T>(row[k]);
  return x;
}

template <class T>
Numbers evaluate(const golden::Case& c) {
  Tape<T> tape;
  tape.begin(false);
  return along(axis_of(c), c.in("x")->values, [&](const Numbers& row) {
    Numbers y(row.size());
    if (c.op == "Softmax") {
      const Var<T> w = softmax(tape, one_row(tape, row, {1, 1, row.size()}));
      for (std::size_t k = 0; k < y.size(); ++k) y[k] = static_cast<double>(w.data[k]);
    } else {
      const std::uint8_t scored = 1;
      for (std::size_t k = 0; k < y.size(); ++k) {
        const auto target = static_cast<std::int32_t>(k);
        y[k] =
            -static_cast<double>(class_loss(tape, one_row(tape, row, {1, row.size()}), &target, &scored, 1.0).data[0]);
      }
    }
    return y;
  });
}

TEST(Golden, Softmax) {
  MNEME_GOLDEN_FILE(file, "onnx_softmax.txt");
  golden::Report soft("onnx softmax"), logarithm("onnx log-softmax (class_loss)");
  for (const golden::Case& c : golden::parse(file, "onnx_softmax.txt")) {
    if (c.op != "Softmax" && c.op != "LogSoftmax") {
      soft.leave_out(c.name, c.op + " is not a normalizer yet");
      continue;
    }
    golden::Report& report = c.op == "Softmax" ? soft : logarithm;
    report.compare(c.name, "y", evaluate<double>(c), c.out("y")->values, 1e-6, false);
    report.compare(c.name, "y", evaluate<float>(c), c.out("y")->values, 1e-6, true);
    report.ran();
  }
  EXPECT_EQ(soft.count() + logarithm.count(), 14u);
  EXPECT_EQ(soft.left_out().size(), 7u);
}

}  // namespace
}  // namespace mneme
