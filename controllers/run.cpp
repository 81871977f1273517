#include "controllers/run.hpp"

#include "autodiff/lanes.hpp"
#include "autodiff/products.hpp"

#include <algorithm>

namespace mneme {

template <class T>
Steps<T>::Steps(Tape<T>& tape, const Var<T>& x, std::span<const std::uint32_t> lengths, bool backwards)
    : rows_(lengths.size()), backwards_(backwards) {
  if (rows_ == 0 || x.shape.rows() == 0 || x.shape.rows() % rows_ != 0)
    fail<ArgumentError>("run", "x {} is no whole number of steps of {} rows", x.shape.text(), rows_);
  count_ = x.shape.rows() / rows_;
  const auto [least, most] = std::minmax_element(lengths.begin(), lengths.end());
  if (*most > count_)
    fail<ArgumentError>("run", "a row of {} steps in x {}, which has {}", *most, x.shape.text(), count_);
  if (*least == count_) return;
  active_ = tape.template scratch<std::uint8_t>(count_ * rows_);
  for (std::size_t t = 0; t < count_; ++t)
    for (std::size_t b = 0; b < rows_; ++b) active_[t * rows_ + b] = t < lengths[b];
}

template <class T>
std::span<Var<T>> Steps<T>::frozen(Tape<T>& tape, std::size_t t, std::span<Var<T>> state, std::span<Var<T>> old) const {
  const std::uint8_t* active = active_ + t * rows_;
  if (std::all_of(active, active + rows_, [](std::uint8_t a) { return a != 0; })) return state;
  auto* next = tape.template scratch<Var<T>>(state.size());
  for (std::size_t i = 0; i < state.size(); ++i) new (next + i) Var<T>(choose_rows(tape, active, state[i], old[i]));
  return {next, state.size()};
}

template <class T>
JoinedSteps<T>::JoinedSteps(Tape<T>& tape, Var<T> x, Var<T> w, Var<T> b, std::size_t rows)
    : w_(w), rows_(rows), transposed_(nullptr) {
  const std::size_t all = x.shape.rows(), d = x.shape.last(), g = w.shape.last();
  if (w.shape.rank() != 2 || w.shape[0] <= d || b.size() != g || all % rows != 0)
    fail<ArgumentError>("joined_steps", "x {}, W {}, b {}, {} rows", x.shape.text(), w.shape.text(), b.shape.text(),
                        rows);
  const std::size_t h = hidden_ = w.shape[0] - d;
  T* before = before_ = tape.allocate(all * h);
  const Var<T> y = inputs_ = tape.result(Shape{all, g}, x, w, b);
  for (std::size_t r = 0; r < all; ++r) std::copy_n(b.data, g, y.data + r * g);
  gemm<T>(false, false, all, g, d, x.data, w.data, y.data, true);
  if (tape.recording() && rows > 2) {  // as linear, which reads a parameter's copy: many steps share this one
    transposed_ = tape.allocate(g * h);
    for (std::size_t i = 0; i < h; ++i)
      for (std::size_t j = 0; j < g; ++j) transposed_[j * h + i] = w.data[(d + i) * g + j];
  }
  // dz of all steps has come together when this runs: dx = dz W[:D]^T, dW = [x h]^T dz, db = sum of dz.
  tape.node("joined_steps", {y}, [=](Tape<T>& t) {
    const T* dz = t.gradient(y);
    t.accumulate(x, [&](auto into, T* dx) { gemm<T>(false, true, all, d, g, dz, w.data, dx, decltype(into)::adds); });
    t.accumulate(w, [&](auto into, T* dw) {
      gemm<T>(true, false, d, g, all, x.data, dz, dw, decltype(into)::adds);
      gemm<T>(true, false, h, g, all, before, dz, dw + d * g, decltype(into)::adds);
    });
    t.accumulate(b, [&](auto into, T* db) {
      lanes<T>(g, [&](auto lane, std::size_t i) {
        Simd<T> total(T(0));
        for (std::size_t r = 0; r < all; ++r) total += lane.load(dz + r * g + i);
        into.store(lane, db + i, total);
      });
    });
  });
}

template <class T>
Var<T> JoinedSteps<T>::operator()(Tape<T>& tape, std::size_t t, Var<T> h) const {
  const Var<T> inputs = inputs_;
  const std::size_t rows = rows_, n = hidden_, g = inputs.shape.last(), at = t * rows;
  if (h.shape.rows() != rows || h.shape.last() != n || at >= inputs.shape.rows())
    fail<ArgumentError>("joined_steps", "h {} at step {}, W {}, x W {} of {} rows", h.shape.text(), t, w_.shape.text(),
                        inputs.shape.text(), rows);
  const T *w = w_.data + (w_.shape[0] - n) * g, *transposed = transposed_;
  std::copy_n(h.data, rows * n, before_ + at * n);
  Var<T> z = tape.result_if(inputs.needs_gradient() || h.needs_gradient(), Shape{rows, g});
  std::copy_n(inputs.data + at * g, rows * g, z.data);
  gemm<T>(false, false, rows, g, n, h.data, w, z.data, true);
  tape.node("joined_step", {z}, [=](Tape<T>& tp) {
    const T* dz = tp.gradient(z);
    tp.accumulate_part(inputs, [&](T* all) {
      lanes<T>(rows * g, [&](auto lane, std::size_t i) {
        T* to = all + at * g + i;
        lane.store(to, lane.load(to) + lane.load(dz + i));
      });
    });
    tp.accumulate(h, [&](auto into, T* dh) {
      if (transposed)
        gemm<T>(false, false, rows, n, g, dz, transposed, dh, decltype(into)::adds);
      else
        gemm<T>(false, true, rows, n, g, dz, w, dh, decltype(into)::adds);
    });
  });
  return z;
}

template class Steps<float>;
template class Steps<double>;
template class JoinedSteps<float>;
template class JoinedSteps<double>;

}  // namespace mneme
