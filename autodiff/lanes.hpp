// Room: autodiff. Lanes: loops over contiguous rows in SIMD registers, tails included.
//
//   lanes<T>(n, [&](auto lane, std::size_t i) { lane.store(y + i, xsimd::tanh(lane.load(x + i))); });
//
// A full lane loads and stores a register; the last, partial one goes through a zero-padded copy, so every element
// takes the same instructions wherever it stands: row b of a batch equals the single run, and no tail falls to scalar
// libm. Unused lanes of a tail may hold anything after arithmetic; lane.keep(v) zeroes them before a reduction.
#pragma once

#include <cstddef>
#include <cstring>
#include <xsimd/xsimd.hpp>

namespace mneme {

template <class T>
using Simd = xsimd::batch<T>;

template <class T>
struct FullLane {
  static constexpr std::size_t count = Simd<T>::size;
  Simd<T> load(const T* p) const { return Simd<T>::load_unaligned(p); }
  void store(T* p, Simd<T> v) const { v.store_unaligned(p); }
  Simd<T> keep(Simd<T> v) const { return v; }
};

template <class T>
struct TailLane {
  std::size_t count;
  Simd<T> load(const T* p) const {
    alignas(64) T padded[Simd<T>::size] = {};
    std::memcpy(padded, p, count * sizeof(T));
    return Simd<T>::load_aligned(padded);
  }
  void store(T* p, Simd<T> v) const {
    alignas(64) T padded[Simd<T>::size];
    v.store_aligned(padded);
    std::memcpy(p, padded, count * sizeof(T));
  }
  Simd<T> keep(Simd<T> v) const {
    alignas(64) T padded[Simd<T>::size];
    v.store_aligned(padded);
    for (std::size_t i = count; i < Simd<T>::size; ++i) padded[i] = T(0);
    return Simd<T>::load_aligned(padded);
  }
};

template <class T, class F>
inline void lanes(std::size_t n, F&& f) {
  std::size_t i = 0;
  for (; i + Simd<T>::size <= n; i += Simd<T>::size) f(FullLane<T>{}, i);
  if (i < n) f(TailLane<T>{n - i}, i);
}

/// Sum over i of f(lane, i), f giving a register.
template <class T, class F>
inline T lanes_sum(std::size_t n, F&& f) {
  Simd<T> sum(T(0));
  lanes<T>(n, [&](auto lane, std::size_t i) { sum += lane.keep(f(lane, i)); });
  return xsimd::hadd(sum);
}

template <class T>
inline Simd<T> sigmoid_of(Simd<T> x) {
  return Simd<T>(T(1)) / (Simd<T>(T(1)) + xsimd::exp(-x));
}

/// log(1 + e^x) without overflow: max(x, 0) + log1p(e^-|x|).
template <class T>
inline Simd<T> softplus_of(Simd<T> x) {
  return xsimd::max(x, Simd<T>(T(0))) + xsimd::log1p(xsimd::exp(-xsimd::abs(x)));
}

}  // namespace mneme
