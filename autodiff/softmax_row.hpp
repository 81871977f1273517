// Room: autodiff. The softmax of one row, beneath every op that has one: normalizers, fused addressing, head
// parameters, losses, scores of answers. (replay/reference.cpp has its own, on purpose.)
#pragma once

#include "autodiff/lanes.hpp"

#include <algorithm>
#include <cmath>

namespace mneme {

/// y_i = exp(z_i), and their sum; z(lane, i) gives a register of z, of which the largest must be about 0.
template <class T, class F>
inline T exponentials(std::size_t n, T* y, F&& z) {
  return lanes_sum<T>(n, [&](auto lane, std::size_t i) {
    const Simd<T> e = xsimd::exp(z(lane, i));
    lane.store(y + i, e);
    return e;
  });
}

template <class T>
inline void scale_row(std::size_t n, T by, T* y) {
  const Simd<T> scale(by);
  lanes<T>(n, [&](auto lane, std::size_t i) { lane.store(y + i, scale * lane.load(y + i)); });
}

/// y = softmax(z), as exponentials()
template <class T, class F>
inline void softmax_row(std::size_t n, T* y, F&& z) {
  scale_row(n, 1 / exponentials(n, y, z), y);
}

/// dz_i = y_i (dy_i - sum_j dy_j y_j), handed to put(lane, i, dz)
template <class T, class F>
inline void softmax_row_back(std::size_t n, const T* y, const T* dy, F&& put) {
  const Simd<T> mean(lanes_sum<T>(n, [&](auto lane, std::size_t i) { return lane.load(dy + i) * lane.load(y + i); }));
  lanes<T>(n, [&](auto lane, std::size_t i) { put(lane, i, lane.load(y + i) * (lane.load(dy + i) - mean)); });
}

/// The distribution over K > 0 choices that logits make, in float64: what answers are scored with.
template <class T>
class Choices {
 public:
  Choices(const T* x, std::size_t count) : x_(x), top_(*std::max_element(x, x + count)) {
    for (std::size_t k = 0; k < count; ++k) total_ += std::exp(above_top(k));
  }
  /// Whether it is one: no logit is NaN, none +infinity.
  bool finite() const { return std::isfinite(total_); }
  double probability(std::size_t k) const { return std::exp(above_top(k)) / total_; }
  double log_probability(std::size_t k) const { return above_top(k) - std::log(total_); }

 private:
  double above_top(std::size_t k) const { return static_cast<double>(x_[k]) - top_; }

  const T* x_;
  double top_, total_ = 0;
};

}  // namespace mneme
