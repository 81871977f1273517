// Room: autodiff. Lanes: loops over contiguous rows in SIMD registers, tails included.
//
//   lanes<T>(n, [&](auto lane, std::size_t i) { lane.store(y + i, xsimd::tanh(lane.load(x + i))); });
//
// A full lane loads and stores a register; the last, partial one goes through a zero-padded copy, so every element
// takes the same instructions wherever it stands: row b of a batch equals the single run, and no tail falls to scalar
// libm. Unused lanes of a tail may hold anything after arithmetic; lane.keep(v) zeroes them before a reduction.
//
// In a hot loop that stands in a closure, name the pointers it needs as locals first: a register's store may alias
// anything to the compiler, what a closure holds is then read again at every turn (a third of the time of a pass).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
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

/// The first `count` numbers of a register; the others load as zero and are not stored. Masked instructions where the
/// compiler's target has them, a copy through the stack elsewhere.
template <class T>
struct TailLane {
  std::size_t count;
#if defined(__AVX512F__)
  auto mask() const {
    return static_cast<std::conditional_t<sizeof(T) == 4, __mmask16, __mmask8>>((1u << count) - 1);
  }
  Simd<T> load(const T* p) const {
    if constexpr (sizeof(T) == 4)
      return _mm512_maskz_loadu_ps(mask(), p);
    else
      return _mm512_maskz_loadu_pd(mask(), p);
  }
  void store(T* p, Simd<T> v) const {
    if constexpr (sizeof(T) == 4)
      _mm512_mask_storeu_ps(p, mask(), v);
    else
      _mm512_mask_storeu_pd(p, mask(), v);
  }
  Simd<T> keep(Simd<T> v) const {
    if constexpr (sizeof(T) == 4)
      return _mm512_maskz_mov_ps(mask(), v);
    else
      return _mm512_maskz_mov_pd(mask(), v);
  }
#elif defined(__AVX2__)
  __m256i mask() const {
    static constexpr std::int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ones + 8 - count * (sizeof(T) / 4)));
  }
  Simd<T> load(const T* p) const {
    if constexpr (sizeof(T) == 4)
      return _mm256_maskload_ps(p, mask());
    else
      return _mm256_maskload_pd(p, mask());
  }
  void store(T* p, Simd<T> v) const {
    if constexpr (sizeof(T) == 4)
      _mm256_maskstore_ps(p, mask(), v);
    else
      _mm256_maskstore_pd(p, mask(), v);
  }
  Simd<T> keep(Simd<T> v) const {
    if constexpr (sizeof(T) == 4)
      return _mm256_and_ps(v, _mm256_castsi256_ps(mask()));
    else
      return _mm256_and_pd(v, _mm256_castsi256_pd(mask()));
  }
#else
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
#endif
};

template <class T, class F>
inline void lanes(std::size_t n, F&& f) {
  std::size_t i = 0;
  for (; i + Simd<T>::size <= n; i += Simd<T>::size) f(FullLane<T>{}, i);
  if (i < n) f(TailLane<T>{n - i}, i);
}

/// Sum over i of f(lane, i), f giving a register; in four chains, or the additions wait for each other.
template <class T, class F>
inline T lanes_sum(std::size_t n, F&& f) {
  constexpr std::size_t size = Simd<T>::size;
  constexpr FullLane<T> full;
  Simd<T> sum[4] = {Simd<T>(T(0)), Simd<T>(T(0)), Simd<T>(T(0)), Simd<T>(T(0))};
  std::size_t i = 0;
  for (; i + 4 * size <= n; i += 4 * size) {
    sum[0] += f(full, i);
    sum[1] += f(full, i + size);
    sum[2] += f(full, i + 2 * size);
    sum[3] += f(full, i + 3 * size);
  }
  for (; i + size <= n; i += size) sum[0] += f(full, i);
  if (i < n) {
    const TailLane<T> tail{n - i};
    sum[1] += tail.keep(f(tail, i));
  }
  return xsimd::hadd((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/// `count` such sums in one pass, f giving an array of registers: each the same number as lanes_sum's.
template <class T, std::size_t count, class F>
inline std::array<T, count> lanes_sums(std::size_t n, F&& f) {
  constexpr std::size_t size = Simd<T>::size;
  constexpr FullLane<T> full;
  Simd<T> sum[4][count];
  for (auto& chain : sum)
    for (Simd<T>& s : chain) s = Simd<T>(T(0));
  const auto add = [&](std::size_t chain, const std::array<Simd<T>, count>& x) {
    for (std::size_t c = 0; c < count; ++c) sum[chain][c] += x[c];
  };
  std::size_t i = 0;
  for (; i + 4 * size <= n; i += 4 * size) {
    add(0, f(full, i));
    add(1, f(full, i + size));
    add(2, f(full, i + 2 * size));
    add(3, f(full, i + 3 * size));
  }
  for (; i + size <= n; i += size) add(0, f(full, i));
  if (i < n) {
    const TailLane<T> tail{n - i};
    std::array<Simd<T>, count> x = f(tail, i);
    for (Simd<T>& v : x) v = tail.keep(v);
    add(1, x);
  }
  std::array<T, count> result;
  for (std::size_t c = 0; c < count; ++c) result[c] = xsimd::hadd((sum[0][c] + sum[1][c]) + (sum[2][c] + sum[3][c]));
  return result;
}

/// f(count, lane, i) for `block` registers at a time, then the rest one by one: for sums that would wait for each
/// other.
template <class T, std::size_t block, class F>
inline void lane_blocks(std::size_t n, F&& f) {
  std::size_t i = 0;
  for (; i + block * Simd<T>::size <= n; i += block * Simd<T>::size)
    f(std::integral_constant<std::size_t, block>{}, FullLane<T>{}, i);
  lanes<T>(n - i, [&](auto lane, std::size_t j) { f(std::integral_constant<std::size_t, 1>{}, lane, i + j); });
}

/// The largest of n > 0 numbers.
template <class T>
inline T largest(const T* x, std::size_t n) {
  constexpr std::size_t size = Simd<T>::size;
  if (n < size) {
    T top = x[0];
    for (std::size_t i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
    return top;
  }
  Simd<T> tops = Simd<T>::load_unaligned(x);
  for (std::size_t i = size; i + size <= n; i += size) tops = xsimd::max(tops, Simd<T>::load_unaligned(x + i));
  tops = xsimd::max(tops, Simd<T>::load_unaligned(x + n - size));
  alignas(64) T each[size];
  tops.store_aligned(each);
  for (std::size_t half = size / 2; half; half /= 2)
    for (std::size_t j = 0; j < half; ++j) each[j] = each[j] > each[j + half] ? each[j] : each[j + half];
  return each[0];
}

/// f(count, first) for blocks of rows, count an integral constant: as many rows at once as keep `per_row` sums a row in
/// registers, then the rest one by one.
template <class T, std::size_t per_row, class F>
inline void row_blocks(std::size_t rows, F&& f) {
  constexpr std::size_t sums = Simd<T>::size * sizeof(T) == 64 ? 8 : 4, block = sums < per_row ? 1 : sums / per_row;
  std::size_t r = 0;
  for (; r + block <= rows; r += block) f(std::integral_constant<std::size_t, block>{}, r);
  for (; r < rows; ++r) f(std::integral_constant<std::size_t, 1>{}, r);
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
