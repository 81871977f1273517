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
      const Simd<T> top(largest(x, n));
      const T total = lanes_sum<T>(n, [&](auto lane, std::size_t i) {
        const auto e = xsimd::exp(lane.load(x + i) - top);
        lane.store(y + i, e);
        return e;
      });
      for (std::size_t i = 0; i < n; ++i) y[i] /= total;
    }
  }
}

/// dx += dy d squash(x), given y = squash(x)
template <class T>
void squash_row_back(Squash squash, const T* x, const T* y, const T* dy, T* dx, std::size_t n) {
  const Simd<T> one(T(1));
  const auto each = [&](auto f) {
    lanes<T>(n, [&](auto lane, std::size_t i) {
      lane.store(dx + i, lane.load(dx + i) + lane.load(dy + i) * f(lane.load(x + i), lane.load(y + i)));
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
      for (std::size_t i = 0; i < n; ++i) dx[i] += y[i] * (dy[i] - mean);
    }
  }
}

struct Piece {
  std::size_t begin, count;
  Squash squash;
  bool small;
};

/// Pieces of less than a register, squashed together: a strength alone takes as long as eight of them.
template <class T>
void squash_small(Squash squash, std::span<const Piece> pieces, const Var<T>& raw, const Var<T>* out, T* gathered) {
  const std::size_t rows = raw.shape.rows(), width = raw.shape.last();
  std::size_t n = 0;
  const auto each = [&](auto f) {
    for (std::size_t p = 0; p < pieces.size(); ++p)
      if (pieces[p].small && pieces[p].squash == squash)
        for (std::size_t r = 0; r < rows; ++r)
          f(raw.data + r * width + pieces[p].begin, out[p].data + r * pieces[p].count, pieces[p].count);
  };
  if (squash == Squash::softmax) {
    each([&](const T* x, T*, std::size_t count) {
      T top = x[0];
      for (std::size_t i = 1; i < count; ++i) top = std::max(top, x[i]);
      for (std::size_t i = 0; i < count; ++i) gathered[n++] = x[i] - top;
    });
    lanes<T>(n, [&](auto lane, std::size_t i) { lane.store(gathered + i, xsimd::exp(lane.load(gathered + i))); });
  } else {
    each([&](const T* x, T*, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) gathered[n++] = x[i];
    });
    squash_row(squash, gathered, gathered, n);
  }
  n = 0;
  each([&](const T*, T* y, std::size_t count) {
    T total = squash == Squash::softmax ? T(0) : T(1);
    if (squash == Squash::softmax)
      for (std::size_t i = 0; i < count; ++i) total += gathered[n + i];
    for (std::size_t i = 0; i < count; ++i) y[i] = gathered[n++] / total;
  });
}

}  // namespace

template <class T>
Values<T> split_parameters(Tape<T>& tape, Var<T> raw, std::span<const HeadParameter> parameters) {
  const std::size_t rows = raw.shape.rows(), width = raw.shape.last(), count = parameters.size();
  auto* pieces = tape.template scratch<Piece>(count);
  auto* out = tape.template scratch<Var<T>>(count);
  std::size_t total = 0, small = 0;
  for (std::size_t p = 0; p < count; ++p) {
    const std::size_t n = parameters[p].declared.count();
    pieces[p] = {total, n, parameters[p].squash, n < Simd<T>::size};
    total += n;
    if (pieces[p].small) small += n * rows;
    new (out + p) Var<T>(tape.result(Shape{rows, n}, raw));
  }
  if (total != width) fail<ArgumentError>("split_parameters", "raw {} for {} numbers", raw.shape.text(), total);
  for (std::size_t p = 0; p < count; ++p)
    for (std::size_t r = 0; r < rows && !pieces[p].small; ++r)
      squash_row(pieces[p].squash, raw.data + r * width + pieces[p].begin, out[p].data + r * pieces[p].count,
                 pieces[p].count);
  T* gathered = tape.allocate(small);
  for (const Squash s :
       {Squash::identity, Squash::tanh, Squash::sigmoid, Squash::softplus, Squash::one_plus_softplus, Squash::softmax})
    if (small) squash_small<T>(s, {pieces, count}, raw, out, gathered);
  tape.node("split_parameters", std::span<const Var<T>>(out, count), [=](Tape<T>& t) {
    t.accumulate_part(raw, [&](T* draw) {
      for (std::size_t p = 0; p < count; ++p) {
        if (!t.has_gradient(out[p])) continue;
        const T* dy = t.gradient(out[p]);
        const std::size_t n = pieces[p].count;
        for (std::size_t r = 0; r < rows; ++r) {
          const std::size_t at = r * width + pieces[p].begin;
          squash_row_back(pieces[p].squash, raw.data + at, out[p].data + r * n, dy + r * n, draw + at, n);
        }
      }
    });
  });
  return {out, count};
}

template Values<float> split_parameters(Tape<float>&, Var<float>, std::span<const HeadParameter>);
template Values<double> split_parameters(Tape<double>&, Var<double>, std::span<const HeadParameter>);

}  // namespace mneme
