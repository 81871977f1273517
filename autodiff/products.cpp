#include "autodiff/products.hpp"

#include "autodiff/lanes.hpp"
#include "core/error.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <xtensor-blas/xblas.hpp>
#include <xtensor/xadapt.hpp>

extern "C" {
void openblas_set_num_threads(int);
char* openblas_get_config(void);
char* openblas_get_corename(void);
}

namespace mneme {

namespace {

template <class T>
auto matrix(const T* p, std::size_t rows, std::size_t columns) {
  return xt::adapt(const_cast<T*>(p), rows * columns, xt::no_ownership(), std::array<std::size_t, 2>{rows, columns});
}

// Products of few rows, which a step is made of: B is read where it lies. The BLAS would copy it into another order
// first, at every step, for a handful of rows to use it.

/// y[n] (+)= x[k] B[k n], eight rows of B at a time
template <class T>
void row_product(std::size_t n, std::size_t k, const T* x, const T* b, T* y, bool add) {
  if (!add) std::fill_n(y, n, T(0));
  const auto rows = [&](auto count, std::size_t i) {
    Simd<T> xs[count];
    for (std::size_t r = 0; r < count; ++r) xs[r] = Simd<T>(x[i + r]);
    lanes<T>(n, [&](auto lane, std::size_t j) {
      Simd<T> even = lane.load(y + j), odd(T(0));
      for (std::size_t r = 0; r < count; ++r) {
        Simd<T>& sum = r % 2 ? odd : even;
        sum = xsimd::fma(xs[r], lane.load(b + (i + r) * n + j), sum);
      }
      lane.store(y + j, even + odd);
    });
  };
  std::size_t i = 0;
  for (; i + 8 <= k; i += 8) rows(std::integral_constant<std::size_t, 8>{}, i);
  for (; i < k; ++i) rows(std::integral_constant<std::size_t, 1>{}, i);
}

/// y[n] (+)= B[n k] x[k], eight rows of B at a time
template <class T>
void row_product_transposed(std::size_t n, std::size_t k, const T* x, const T* b, T* y, bool add) {
  const auto rows = [&](auto count, std::size_t i) {
    Simd<T> sum[count];
    for (std::size_t r = 0; r < count; ++r) sum[r] = Simd<T>(T(0));
    lanes<T>(k, [&](auto lane, std::size_t j) {
      const Simd<T> xs = lane.load(x + j);
      for (std::size_t r = 0; r < count; ++r) sum[r] = xsimd::fma(xs, lane.load(b + (i + r) * k + j), sum[r]);
    });
    for (std::size_t r = 0; r < count; ++r) y[i + r] = (add ? y[i + r] : T(0)) + xsimd::hadd(sum[r]);
  };
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) rows(std::integral_constant<std::size_t, 8>{}, i);
  for (; i < n; ++i) rows(std::integral_constant<std::size_t, 1>{}, i);
}

constexpr std::size_t few_rows = 16;

/// rows x columns registers of C (+)= A B, held while k runs; A [m k], or [k m] where transposed (m is its stride)
template <std::size_t rows, std::size_t columns, bool transposed, class T, class Lane>
void tile(Lane lane, std::size_t m, std::size_t n, std::size_t k, std::size_t ldb, const T* a, const T* b, T* c,
          bool add) {
  constexpr std::size_t size = Simd<T>::size;
  Simd<T> sum[rows][columns];
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < columns; ++j) sum[r][j] = add ? lane.load(c + r * n + j * size) : Simd<T>(T(0));
#pragma GCC unroll 2
  for (std::size_t i = 0; i < k; ++i) {
    Simd<T> row[columns];
    for (std::size_t j = 0; j < columns; ++j) row[j] = lane.load(b + i * ldb + j * size);
    for (std::size_t r = 0; r < rows; ++r) {
      const Simd<T> x(transposed ? a[i * m + r] : a[r * k + i]);
      for (std::size_t j = 0; j < columns; ++j) sum[r][j] = xsimd::fma(x, row[j], sum[r][j]);
    }
  }
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < columns; ++j) lane.store(c + r * n + j * size, sum[r][j]);
}

template <std::size_t columns, bool transposed, class T, class Lane>
void tiles(Lane lane, std::size_t m, std::size_t n, std::size_t k, std::size_t ldb, const T* a, const T* b, T* c,
           bool add) {
  constexpr std::size_t most = columns == 1 ? 8 : 4;
  std::size_t r = 0;
  const auto take = [&](auto rows) {
    for (; r + rows <= m; r += rows)
      tile<rows, columns, transposed>(lane, m, n, k, ldb, a + (transposed ? r : r * k), b, c + r * n, add);
  };
  take(std::integral_constant<std::size_t, most>{});
  if constexpr (most > 4) take(std::integral_constant<std::size_t, 4>{});
  take(std::integral_constant<std::size_t, 2>{});
  take(std::integral_constant<std::size_t, 1>{});
}

#if defined(__x86_64__) && !defined(__AVX512F__)
#define MNEME_WIDER 1
// The same in registers twice as wide, where the CPU has them and the build does not say so. Every number of C is the
// same chain of multiply-adds as in narrow ones; but where A is transposed, products of 64 to 512 terms are ours here
// and the BLAS's elsewhere, so there bits depend on the CPU, as they do within the BLAS. No lambdas in here, which
// would not have the wider instructions.
#define MNEME_WIDE __attribute__((target("avx512f,fma")))

const bool has_wide = __builtin_cpu_supports("avx512f") != 0;
/// Up to so many terms a product with a transposed A is our own: A is read where it lies, C is written once.
const std::size_t few_terms = has_wide ? 512 : 64;

/// rows x columns registers; of the last one only what the mask has. Unrolled by hand, or g++ keeps them on the stack.
template <std::size_t rows, std::size_t columns, bool transposed>
MNEME_WIDE void wide_tile(std::size_t m, std::size_t n, std::size_t k, std::size_t ldb, __mmask16 last, const float* a,
                          const float* b, float* c, bool add) {
  __m512 sum[rows][columns], row[columns];
  __mmask16 mask[columns];
#pragma GCC unroll 3
  for (std::size_t j = 0; j < columns; ++j) mask[j] = j + 1 < columns ? static_cast<__mmask16>(-1) : last;
#pragma GCC unroll 8
  for (std::size_t r = 0; r < rows; ++r)
#pragma GCC unroll 3
    for (std::size_t j = 0; j < columns; ++j)
      sum[r][j] = add ? _mm512_maskz_loadu_ps(mask[j], c + r * n + j * 16) : _mm512_setzero_ps();
  for (std::size_t i = 0; i < k; ++i) {
#pragma GCC unroll 3
    for (std::size_t j = 0; j < columns; ++j) row[j] = _mm512_maskz_loadu_ps(mask[j], b + i * ldb + j * 16);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < rows; ++r) {
      const __m512 x = _mm512_set1_ps(transposed ? a[i * m + r] : a[r * k + i]);
#pragma GCC unroll 3
      for (std::size_t j = 0; j < columns; ++j) sum[r][j] = _mm512_fmadd_ps(x, row[j], sum[r][j]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < rows; ++r)
#pragma GCC unroll 3
    for (std::size_t j = 0; j < columns; ++j) _mm512_mask_storeu_ps(c + r * n + j * 16, mask[j], sum[r][j]);
}

template <std::size_t columns, bool transposed>
MNEME_WIDE void wide_tiles(std::size_t m, std::size_t n, std::size_t k, std::size_t ldb, __mmask16 last, const float* a,
                           const float* b, float* c, bool add) {
  const std::size_t step = transposed ? 1 : k;
  std::size_t r = 0;
  for (; r + 8 <= m; r += 8) wide_tile<8, columns, transposed>(m, n, k, ldb, last, a + r * step, b, c + r * n, add);
  for (; r + 4 <= m; r += 4) wide_tile<4, columns, transposed>(m, n, k, ldb, last, a + r * step, b, c + r * n, add);
  for (; r < m; ++r) wide_tile<1, columns, transposed>(m, n, k, ldb, last, a + r * step, b, c + r * n, add);
}

template <bool transposed>
MNEME_WIDE void wide_product(std::size_t m, std::size_t n, std::size_t k, std::size_t ldb, const float* a,
                             const float* b, float* c, bool add) {
  for (std::size_t j = 0; j < n; j += 48) {
    const std::size_t left = n - j, columns = left < 48 ? (left + 15) / 16 : 3;
    const auto last = left < 16 * columns ? static_cast<__mmask16>((1u << left % 16) - 1) : static_cast<__mmask16>(-1);
    if (columns == 3) wide_tiles<3, transposed>(m, n, k, ldb, last, a, b + j, c + j, add);
    if (columns == 2) wide_tiles<2, transposed>(m, n, k, ldb, last, a, b + j, c + j, add);
    if (columns == 1) wide_tiles<1, transposed>(m, n, k, ldb, last, a, b + j, c + j, add);
  }
}
#else
constexpr std::size_t few_terms = 64;
#endif

/// C[m n] (+)= A B[k n] with A [m k], or [k m] where transposed; rows of B are ldb apart
template <bool transposed, class T>
void tiled_product(std::size_t m, std::size_t n, std::size_t k, std::size_t ldb, const T* a, const T* b, T* c,
                   bool add) {
  constexpr std::size_t size = Simd<T>::size;
  std::size_t j = 0;
#if MNEME_WIDER
  if constexpr (std::is_same_v<T, float>)
    if (has_wide) return wide_product<transposed>(m, n, k, ldb, a, b, c, add);
#endif
  for (; j + 3 * size <= n; j += 3 * size) tiles<3, transposed, T>(FullLane<T>{}, m, n, k, ldb, a, b + j, c + j, add);
  for (; j + 2 * size <= n; j += 2 * size) tiles<2, transposed, T>(FullLane<T>{}, m, n, k, ldb, a, b + j, c + j, add);
  for (; j + size <= n; j += size) tiles<1, transposed, T>(FullLane<T>{}, m, n, k, ldb, a, b + j, c + j, add);
  if (j < n) tiles<1, transposed, T>(TailLane<T>{n - j}, m, n, k, ldb, a, b + j, c + j, add);
}

thread_local ProductMeter* meter = nullptr;

/// The BLAS counts in int.
constexpr std::size_t largest_extent = std::numeric_limits<int>::max();

/// Apart: what is rare must not weigh on the products around it.
[[noreturn, gnu::cold, gnu::noinline]] void refuse_size(std::size_t m, std::size_t n, std::size_t k) {
  fail<ArgumentError>("product", "[{} {}] x [{} {}] is more than a BLAS takes: {} rows or columns", m, k, k, n,
                      largest_extent);
}

template <class T>
void product(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b,
             T* c, bool add) {
  const T beta = add ? T(1) : T(0);
  if (m == 1 && transpose_b) return row_product_transposed(n, k, a, b, c, add);
  if (m == 1) return row_product(n, k, a, b, c, add);
  if (m <= few_rows && !transpose_a && !transpose_b) return tiled_product<false>(m, n, k, n, a, b, c, add);
  if ((m | n | k) > largest_extent) refuse_size(m, n, k);
  if (k <= few_terms && transpose_a && !transpose_b) return tiled_product<true>(m, n, k, n, a, b, c, add);
  auto view_a = transpose_a ? matrix(a, k, m) : matrix(a, m, k);
  auto view_b = transpose_b ? matrix(b, n, k) : matrix(b, k, n);
  auto view_c = matrix(c, m, n);
  xt::blas::gemm(view_a, view_b, view_c, transpose_a, transpose_b, T(1), beta);
}

/// f(), on the meter where there is one.
template <class F>
void metered(std::size_t m, std::size_t n, std::size_t k, F f) {
  if (!meter) return f();
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  f();
  meter->seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  meter->operations += 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  ++meter->products;
}

}  // namespace

template <class T>
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T* c,
          bool add) {
  metered(m, n, k, [&] { product(transpose_a, transpose_b, m, n, k, a, b, c, add); });
}

template <class T>
void gemm_columns(std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, std::size_t ldb, T* c,
                  bool add) {
  metered(m, n, k, [&] { tiled_product<false>(m, n, k, ldb, a, b, c, add); });
}

template void gemm<float>(bool, bool, std::size_t, std::size_t, std::size_t, const float*, const float*, float*, bool);
template void gemm<double>(bool, bool, std::size_t, std::size_t, std::size_t, const double*, const double*, double*,
                           bool);

template void gemm_columns<float>(std::size_t, std::size_t, std::size_t, const float*, const float*, std::size_t,
                                  float*, bool);
template void gemm_columns<double>(std::size_t, std::size_t, std::size_t, const double*, const double*, std::size_t,
                                   double*, bool);

ProductMeter::ProductMeter() {
  meter = this;
}
ProductMeter::~ProductMeter() {
  meter = nullptr;
}

void use_one_blas_thread() {
  openblas_set_num_threads(1);
}

std::string blas_name() {
  return std::string(openblas_get_config()) + " running " + openblas_get_corename();
}

}  // namespace mneme
