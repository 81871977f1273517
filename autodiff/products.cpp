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

/// rows x columns registers of C (+)= A B, held while k runs
template <std::size_t rows, std::size_t columns, class T, class Lane>
void tile(Lane lane, std::size_t n, std::size_t k, const T* a, const T* b, T* c, bool add) {
  constexpr std::size_t size = Simd<T>::size;
  Simd<T> sum[rows][columns];
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < columns; ++j) sum[r][j] = add ? lane.load(c + r * n + j * size) : Simd<T>(T(0));
  for (std::size_t i = 0; i < k; ++i) {
    Simd<T> row[columns];
    for (std::size_t j = 0; j < columns; ++j) row[j] = lane.load(b + i * n + j * size);
    for (std::size_t r = 0; r < rows; ++r) {
      const Simd<T> x(a[r * k + i]);
      for (std::size_t j = 0; j < columns; ++j) sum[r][j] = xsimd::fma(x, row[j], sum[r][j]);
    }
  }
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < columns; ++j) lane.store(c + r * n + j * size, sum[r][j]);
}

template <std::size_t columns, class T, class Lane>
void tiles(Lane lane, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T* c, bool add) {
  constexpr std::size_t most = columns == 1 ? 8 : 4;
  std::size_t r = 0;
  const auto take = [&](auto rows) {
    for (; r + rows <= m; r += rows) tile<rows, columns>(lane, n, k, a + r * k, b, c + r * n, add);
  };
  take(std::integral_constant<std::size_t, most>{});
  if constexpr (most > 4) take(std::integral_constant<std::size_t, 4>{});
  take(std::integral_constant<std::size_t, 2>{});
  take(std::integral_constant<std::size_t, 1>{});
}

/// C[m n] (+)= A[m k] B[k n]
template <class T>
void few_rows_product(std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T* c, bool add) {
  constexpr std::size_t size = Simd<T>::size;
  std::size_t j = 0;
  for (; j + 3 * size <= n; j += 3 * size) tiles<3, T>(FullLane<T>{}, m, n, k, a, b + j, c + j, add);
  for (; j + 2 * size <= n; j += 2 * size) tiles<2, T>(FullLane<T>{}, m, n, k, a, b + j, c + j, add);
  for (; j + size <= n; j += size) tiles<1, T>(FullLane<T>{}, m, n, k, a, b + j, c + j, add);
  if (j < n) tiles<1, T>(TailLane<T>{n - j}, m, n, k, a, b + j, c + j, add);
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
  if (m <= few_rows && !transpose_a && !transpose_b) return few_rows_product(m, n, k, a, b, c, add);
  if ((m | n | k) > largest_extent) refuse_size(m, n, k);
  auto view_a = transpose_a ? matrix(a, k, m) : matrix(a, m, k);
  auto view_b = transpose_b ? matrix(b, n, k) : matrix(b, k, n);
  auto view_c = matrix(c, m, n);
  xt::blas::gemm(view_a, view_b, view_c, transpose_a, transpose_b, T(1), beta);
}

}  // namespace

template <class T>
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T* c,
          bool add) {
  if (!meter) return product(transpose_a, transpose_b, m, n, k, a, b, c, add);
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  product(transpose_a, transpose_b, m, n, k, a, b, c, add);
  meter->seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  meter->operations += 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  ++meter->products;
}

template void gemm<float>(bool, bool, std::size_t, std::size_t, std::size_t, const float*, const float*, float*, bool);
template void gemm<double>(bool, bool, std::size_t, std::size_t, std::size_t, const double*, const double*, double*,
                           bool);

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
