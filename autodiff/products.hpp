// Room: autodiff. Matrix products of row-major arrays, through xtensor-blas; the only place that calls the BLAS.
//
// The BLAS runs one thread (use_one_blas_thread); parallelism is over shards of the batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mneme {

/// C[m n] = op(A)[m k] op(B)[k n], added to C where `add`. A is stored [m k], or [k m] when transposed; B likewise.
template <class T>
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T* c,
          bool add);

/// C[m n] = A[m k] B[k n] where B is n columns of something wider, its rows ldb apart. For few rows of A.
template <class T>
void gemm_columns(std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, std::size_t ldb, T* c, bool add);

/// Must be called once before the first product; tools and tests do. Two BLAS threads change bits and spin.
void use_one_blas_thread();

/// Counts and times the products of the thread that made it, while it lives. Two readings of a clock a product: it
/// tells what share of a step they are, but the step itself is timed without it.
struct ProductMeter {
  ProductMeter();
  ProductMeter(const ProductMeter&) = delete;
  ProductMeter& operator=(const ProductMeter&) = delete;
  ~ProductMeter();

  std::uint64_t products = 0;
  double operations = 0;  ///< 2 m n k of each
  double seconds = 0;
};

/// "OpenBLAS 0.3.21 ... Zen", for run.json and doctor.
std::string blas_name();

}  // namespace mneme
