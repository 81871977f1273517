// Room: attention. What location addressing does to one row: the loops beneath location.cpp and content_location.cpp.
#pragma once

#include "attention/location.hpp"
#include "autodiff/softmax_row.hpp"

namespace mneme::moves {

/// Around row[k..k+n): its neighbours modulo n, k on either side.
template <class T>
inline void wrap(T* row, std::size_t n, std::size_t k) {
  for (std::size_t j = 0; j < k; ++j) {
    row[k - 1 - j] = row[k + n - 1 - j % n];
    row[k + n + j] = row[k + j % n];
  }
}

/// out(i) = sum_o s(o) wrapped(i + 2k - o), a register of it
template <class T, class Width, class Lane>
inline Simd<T> shifted(Lane lane, const T* wrapped, const T* s, Width width, std::size_t i) {
  Simd<T> sum(T(0));
  for (std::size_t o = 0; o < width; ++o) sum = xsimd::fma(Simd<T>(s[o]), lane.load(wrapped + i + width - 1 - o), sum);
  return sum;
}

/// d wrapped-row's centre: dw(j) = sum_o s(o) dout(j + o - k), given dout wrapped; a register of it
template <class T, class Width, class Lane>
inline Simd<T> shifted_back(Lane lane, const T* wrapped_dout, const T* s, Width width, std::size_t i) {
  Simd<T> sum(T(0));
  for (std::size_t o = 0; o < width; ++o) sum = xsimd::fma(Simd<T>(s[o]), lane.load(wrapped_dout + i + o), sum);
  return sum;
}

/// f(width), as a constant where it is the usual 3.
template <class F>
inline void with_width(std::size_t width, F&& f) {
  if (width == 3)
    f(std::integral_constant<std::size_t, 3>{});
  else
    f(width);
}

template <class T>
inline T dot_row(const T* a, const T* b, std::size_t n) {
  return lanes_sum<T>(n, [&](auto lane, std::size_t i) { return lane.load(a + i) * lane.load(b + i); });
}

/// out = softmax(gamma log_w)
template <class T>
inline void sharpen_logarithms(const T* log_w, T gamma, std::size_t n, T* out) {
  const Simd<T> g(gamma);
  const T top = largest(log_w, n) * gamma;  // gamma > 0
  softmax_row(n, out, [&](auto lane, std::size_t i) { return g * lane.load(log_w + i) - Simd<T>(top); });
}

/// log_w = log(w + eps); out = softmax(gamma log_w)
template <class T>
inline void sharpen_row(const T* w, T gamma, std::size_t n, T* log_w, T* out) {
  const Simd<T> eps(static_cast<T>(sharpen_epsilon));
  lanes<T>(n, [&](auto lane, std::size_t i) { lane.store(log_w + i, xsimd::log(lane.load(w + i) + eps)); });
  sharpen_logarithms(log_w, gamma, n, out);
}

/// dz = out (dout - sum dout out); dw = gamma dz / (w + eps); returns dgamma = sum dz log_w
template <class T>
inline T sharpen_row_back(const T* w, const T* log_w, const T* out, const T* dout, T gamma, std::size_t n, T* dw) {
  const Simd<T> mean(dot_row(dout, out, n)), eps(static_cast<T>(sharpen_epsilon)), g(gamma);
  return lanes_sum<T>(n, [&](auto lane, std::size_t i) {
    const Simd<T> dz = lane.load(out + i) * (lane.load(dout + i) - mean);
    lane.store(dw + i, g * dz / (lane.load(w + i) + eps));
    return dz * lane.load(log_w + i);
  });
}

}  // namespace mneme::moves
