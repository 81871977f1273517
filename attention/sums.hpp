// Room: attention. The weighted sum of one row, for the ops that read a set.
#pragma once

#include "autodiff/lanes.hpp"

namespace mneme {

/// y[m] = sum_i w(i) v(m, i), values [d n]
template <class T>
inline void sum_row(const T* w, const T* values, std::size_t d, std::size_t n, T* y) {
  row_blocks<T, 1>(d, [&](auto count, std::size_t m) {
    const T* v = values + m * n;
    Simd<T> sum[count];
    for (std::size_t r = 0; r < count; ++r) sum[r] = Simd<T>(T(0));
    lanes<T>(n, [&](auto lane, std::size_t i) {
      const Simd<T> weight = lane.load(w + i);
      for (std::size_t r = 0; r < count; ++r) sum[r] = xsimd::fma(weight, lane.load(v + r * n + i), sum[r]);
    });
    for (std::size_t r = 0; r < count; ++r) y[m + r] = xsimd::hadd(sum[r]);
  });
}

}  // namespace mneme
