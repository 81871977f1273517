#include "memory/heads.hpp"

#include "autodiff/lanes.hpp"

#include <algorithm>

namespace mneme {

namespace {

template <class T>
void squash_row(Squash squash, const T* x, T* y, std::size_t n) {
  const Simd<T> one(T(1));
  const auto each = [&](auto f) {
    lanes<T>(n, [&](auto lane, std::size_t i) { lane.store(y + i, f(lane.load(x + i))); });
  };
  switch (squash) {
    case Squash::identity: return each([](auto v) { return v; });
    case Squash::tanh: return each([](auto v) { return xsimd::tanh(v); });
    case Squash::sigmoid: return each([](auto v) { return sigmoid_of<T>(v); });
    case Squash::softplus: return each([](auto v) { return softplus_of<T>(v); });
    case Squash::one_plus_softplus: return each([&](auto v) { return one + softplus_of<T>(v); });
    case Squash::softmax: {
      const Simd<T> top(*std::max_element(x, x + n));
      const T total = lanes_sum<T>(n, [&](auto lane, std::size_t i) {
        const auto e = xsimd::exp(lane.load(x + i) - top);
        lane.store(y + i, e);
        return e;
      });
      for (std::size_t i = 0; i < n; ++i) y[i] /= total;
    }
  }
}

/// dx from x, y = squash(x) and dy
template <class T>
void squash_row_back(Squash squash, const T* x, const T* y, const T* dy, T* dx, std::size_t n) {
  const Simd<T> one(T(1));
  const auto each = [&](auto f) {
    lanes<T>(n, [&](auto lane, std::size_t i) {
      lane.store(dx + i, lane.load(dy + i) * f(lane.load(x + i), lane.load(y + i)));
    });
  };
  switch (squash) {
    case Squash::identity: return each([&](auto, auto) { return one; });
    case Squash::tanh: return each([&](auto, auto v) { return one - v * v; });
    case Squash::sigmoid: return each([&](auto, auto v) { return v * (one - v); });
    case Squash::softplus:
    case Squash::one_plus_softplus: return each([](auto v, auto) { return sigmoid_of<T>(v); });
    case Squash::softmax: {
      T mean = 0;
      for (std::size_t i = 0; i < n; ++i) mean += dy[i] * y[i];
      for (std::size_t i = 0; i < n; ++i) dx[i] = y[i] * (dy[i] - mean);
    }
  }
}

struct Piece {
  std::size_t begin, count;
  Squash squash;
};

}  // namespace

template <class T>
Values<T> split_parameters(Tape<T>& tape, Var<T> raw, std::span<const HeadParameter> parameters) {
  const std::size_t rows = raw.shape.rows(), width = raw.shape.last(), count = parameters.size();
  auto* pieces = tape.template scratch<Piece>(count);
  auto* out = tape.template scratch<Var<T>>(count);
  std::size_t total = 0;
  for (std::size_t p = 0; p < count; ++p) {
    const std::size_t n = parameters[p].declared.count();
    pieces[p] = {total, n, parameters[p].squash};
    total += n;
    new (out + p) Var<T>(tape.result(Shape{rows, n}, raw));
  }
  if (total != width) fail<ArgumentError>("split_parameters", "raw {} for {} numbers", raw.shape.text(), total);
  for (std::size_t p = 0; p < count; ++p)
    for (std::size_t r = 0; r < rows; ++r)
      squash_row(pieces[p].squash, raw.data + r * width + pieces[p].begin, out[p].data + r * pieces[p].count,
                 pieces[p].count);
  tape.node("split_parameters", std::span<const Var<T>>(out, count), [=](Tape<T>& t) {
    t.accumulate_part(raw, [&](T* draw) {
      T* dx = t.allocate(width);
      for (std::size_t p = 0; p < count; ++p) {
        if (!t.has_gradient(out[p])) continue;
        const T* dy = t.gradient(out[p]);
        const std::size_t n = pieces[p].count;
        for (std::size_t r = 0; r < rows; ++r) {
          const std::size_t at = r * width + pieces[p].begin;
          squash_row_back(pieces[p].squash, raw.data + at, out[p].data + r * n, dy + r * n, dx, n);
          for (std::size_t i = 0; i < n; ++i) draw[at + i] += dx[i];
        }
      }
    });
  });
  return {out, count};
}

template Values<float> split_parameters(Tape<float>&, Var<float>, std::span<const HeadParameter>);
template Values<double> split_parameters(Tape<double>&, Var<double>, std::span<const HeadParameter>);

}  // namespace mneme
