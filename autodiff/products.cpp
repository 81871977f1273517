#include "autodiff/products.hpp"

#include <array>
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
template <class T>
auto vector(const T* p, std::size_t n) {
  return xt::adapt(const_cast<T*>(p), n, xt::no_ownership(), std::array<std::size_t, 1>{n});
}

}  // namespace

template <class T>
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T* c,
          bool add) {
  const T beta = add ? T(1) : T(0);
  if (m == 1) {  // c^T = op(B)^T a^T: a matrix-vector product reads B once without packing it
    auto view_b = transpose_b ? matrix(b, n, k) : matrix(b, k, n);
    auto view_c = vector(c, n);
    xt::blas::gemv(view_b, vector(a, k), view_c, !transpose_b, T(1), beta);
    return;
  }
  auto view_a = transpose_a ? matrix(a, k, m) : matrix(a, m, k);
  auto view_b = transpose_b ? matrix(b, n, k) : matrix(b, k, n);
  auto view_c = matrix(c, m, n);
  xt::blas::gemm(view_a, view_b, view_c, transpose_a, transpose_b, T(1), beta);
}

template void gemm<float>(bool, bool, std::size_t, std::size_t, std::size_t, const float*, const float*, float*, bool);
template void gemm<double>(bool, bool, std::size_t, std::size_t, std::size_t, const double*, const double*, double*,
                           bool);

void use_one_blas_thread() {
  openblas_set_num_threads(1);
}

std::string blas_name() {
  return std::string(openblas_get_config()) + " running " + openblas_get_corename();
}

}  // namespace mneme
