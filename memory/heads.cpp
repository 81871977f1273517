#include "memory/heads.hpp"

#include "autodiff/softmax_row.hpp"

#include <algorithm>
#include <cmath>

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
      softmax_row(n, y, [&](auto lane, std::size_t i) { return lane.load(x + i) - top; });
    }
  }
}

/// dx (+)= dy d squash(x), given y = squash(x)
template <class T, class Into>
void squash_row_back(Into into, Squash squash, const T* x, const T* y, const T* dy, T* dx, std::size_t n) {
  const auto in_lanes = [&](auto f) {
    lanes<T>(n, [&](auto lane, std::size_t i) {
      into.store(lane, dx + i, lane.load(dy + i) * f(lane.load(x + i), lane.load(y + i)));
    });
  };
  const auto each = [&](auto f) {  // of y alone
    if (n >= Simd<T>::size) return in_lanes([&](auto, auto v) { return f(v); });
    for (std::size_t i = 0; i < n; ++i) into(dx[i], dy[i] * f(y[i]));
  };
  switch (squash) {
    case Squash::identity: return each([](auto v) { return decltype(v)(T(1)); });
    case Squash::tanh: return each([](auto v) { return decltype(v)(T(1)) - v * v; });
    case Squash::sigmoid: return each([](auto v) { return v * (decltype(v)(T(1)) - v); });
    case Squash::softplus:
    case Squash::one_plus_softplus: return in_lanes([](auto v, auto) { return sigmoid_of<T>(v); });
    case Squash::softmax: {
      T mean = 0;
      for (std::size_t i = 0; i < n; ++i) mean += dy[i] * y[i];
      for (std::size_t i = 0; i < n; ++i) into(dx[i], y[i] * (dy[i] - mean));
    }
  }
}

struct Piece {
  std::size_t begin, count;
  Squash squash;
  bool small;  ///< less than a register
};

/// Small pieces are squashed together: a strength alone takes as long as eight of them. One of these lists lives for
/// one call; `room` holds a number for each of theirs.
template <class T>
class SmallPieces {
 public:
  SmallPieces(Tape<T>& tape, std::span<const Piece> pieces, const Var<T>& raw, const Var<T>* out, std::size_t numbers)
      : rows_(raw.shape.rows()), width_(raw.shape.last()), room_(tape.allocate(numbers)) {
    pieces_ = tape.template scratch<Place>(pieces.size());
    // Sorted by kind: begin_[kind + 1] counts up from the first place of a kind to the first of the next.
    for (const Piece& p : pieces)
      if (p.small) ++begin_[static_cast<std::size_t>(p.squash) + 2];
    for (std::size_t kind = 2; kind <= kinds; ++kind) begin_[kind + 1] += begin_[kind];
    for (std::size_t p = 0; p < pieces.size(); ++p)
      if (pieces[p].small)
        pieces_[begin_[static_cast<std::size_t>(pieces[p].squash) + 1]++] = {raw.data + pieces[p].begin, out[p].data,
                                                                             pieces[p].count};
  }

  void squash() const {
    T* e = room_;
    std::size_t n = 0;
    for (const Squash kind : {Squash::softplus, Squash::one_plus_softplus})
      gather(kind, n, [](T x) { return -std::abs(x); });
    const std::size_t strengths = n;
    gather(Squash::sigmoid, n, [](T x) { return -x; });
    each(Squash::softmax, [&](const T* x, T*, std::size_t count) {
      const T top = *std::max_element(x, x + count);
      for (std::size_t i = 0; i < count; ++i) e[n++] = x[i] - top;
    });
    lanes<T>(n, [=](auto lane, std::size_t i) { lane.store(e + i, xsimd::exp(lane.load(e + i))); });
    lanes<T>(strengths, [=](auto lane, std::size_t i) { lane.store(e + i, xsimd::log1p(lane.load(e + i))); });
    n = 0;
    spread(Squash::softplus, n, [](T x, T l) { return std::max(x, T(0)) + l; });
    spread(Squash::one_plus_softplus, n, [](T x, T l) { return T(1) + (std::max(x, T(0)) + l); });
    spread(Squash::sigmoid, n, [](T, T v) { return T(1) / (T(1) + v); });
    each(Squash::softmax, [&](const T*, T* y, std::size_t count) {
      T total = 0;
      for (std::size_t i = 0; i < count; ++i) total += e[n + i];
      for (std::size_t i = 0; i < count; ++i) y[i] = e[n++] / total;
    });
    each(Squash::tanh, [](const T* x, T* y, std::size_t count) { squash_row(Squash::tanh, x, y, count); });
    each(Squash::identity, [](const T* x, T* y, std::size_t count) { std::copy_n(x, count, y); });
  }

 private:
  struct Place {
    const T* x;  ///< of the first row
    T* y;
    std::size_t count;
  };
  static constexpr std::size_t kinds = static_cast<std::size_t>(Squash::softmax) + 1;

  /// f(x, y, count) of each piece of this kind, row by row
  template <class F>
  void each(Squash kind, F f) const {
    const std::size_t k = static_cast<std::size_t>(kind);
    for (const Place* p = pieces_ + begin_[k]; p < pieces_ + begin_[k + 1]; ++p)
      for (std::size_t r = 0; r < rows_; ++r) f(p->x + r * width_, p->y + r * p->count, p->count);
  }
  /// room[n++] = f(x) of every number of this kind
  template <class F>
  void gather(Squash kind, std::size_t& n, F f) const {
    each(kind, [&](const T* x, T*, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) room_[n++] = f(x[i]);
    });
  }
  /// y = f(x, room[n++])
  template <class F>
  void spread(Squash kind, std::size_t& n, F f) const {
    each(kind, [&](const T* x, T* y, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) y[i] = f(x[i], room_[n++]);
    });
  }

  std::size_t rows_, width_;
  T* room_;
  Place* pieces_;
  std::size_t begin_[kinds + 2] = {};  ///< the first place of each kind
};

/// The gradient of all pieces to the raw numbers.
template <class T, class Into>
void split_back(Into into, Tape<T>& t, std::span<const Piece> pieces, const Var<T>& raw, const Var<T>* out, T* draw) {
  const std::size_t rows = raw.shape.rows(), width = raw.shape.last();
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    const std::size_t n = pieces[p].count;
    const T* dy = t.has_gradient(out[p]) ? t.gradient(out[p]) : nullptr;
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t at = r * width + pieces[p].begin;
      if (dy)
        squash_row_back(into, pieces[p].squash, raw.data + at, out[p].data + r * n, dy + r * n, draw + at, n);
      else if constexpr (!Into::adds)
        std::fill_n(draw + at, n, T(0));
    }
  }
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
  if (small) SmallPieces<T>(tape, {pieces, count}, raw, out, small).squash();
  tape.node("split_parameters", std::span<const Var<T>>(out, count), [=](Tape<T>& t) {
    t.accumulate(raw, [&](auto into, T* draw) { split_back<T>(into, t, {pieces, count}, raw, out, draw); });
  });
  return {out, count};
}

template Values<float> split_parameters(Tape<float>&, Var<float>, std::span<const HeadParameter>);
template Values<double> split_parameters(Tape<double>&, Var<double>, std::span<const HeadParameter>);

}  // namespace mneme
