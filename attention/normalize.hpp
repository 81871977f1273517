// Room: attention. Step 2 of 3, normalize: scores to weights.
//
// scores [B Q N] -> weights [B Q N]. A mask says which elements may be attended to; a row in which none may gives zeros
// and zero gradients, never NaN.
#pragma once

#include "autodiff/tape.hpp"
#include "core/registry.hpp"

#include <cstdint>

namespace mneme {

/// 1 = may be attended to; [B N], or [B Q N] where per_query. Null data: everything may.
struct Mask {
  const std::uint8_t* data = nullptr;
  bool per_query = false;
  /// [B]: so many empty elements of score 0 compete with the others where rows sum to 1. They are not among the
  /// weights, which therefore sum to less than 1. Null: none.
  const std::uint32_t* empty = nullptr;
};

/// w = softmax_n(beta e), beta [B Q] or none = 1   (NTM eq. 5); with empty elements exp(z_n) / (empty + sum_j exp(z_j))
template <class T>
Var<T> softmax(Tape<T>& tape, Var<T> scores, Mask mask = {}, Var<T> beta = {});

struct NormalizerPlugin {
  std::string summary;
  std::string source;
  bool sums_to_one = true;
  Var<float> (*apply_float)(Tape<float>&, Var<float>, Mask, Var<float>) = nullptr;
  Var<double> (*apply_double)(Tape<double>&, Var<double>, Mask, Var<double>) = nullptr;

  template <class T>
  Var<T> apply(Tape<T>& tape, Var<T> scores, Mask mask = {}, Var<T> beta = {}) const {
    if constexpr (std::is_same_v<T, float>)
      return apply_float(tape, scores, mask, beta);
    else
      return apply_double(tape, scores, mask, beta);
  }
};

/// One file each in normalizers/; the registration line of such a file:
///   const bool registered =
///       normalizers().add("softmax", {"one-line summary", "paper, equation", true, softmax<float>, softmax<double>});
Registry<NormalizerPlugin>& normalizers();

}  // namespace mneme
