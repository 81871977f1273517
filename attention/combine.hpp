// Room: attention. Step 3 of 3, combine: weights and elements to what is passed on.
//
// weights [B Q N], values [B D N]
#pragma once

#include "autodiff/tape.hpp"
#include "core/registry.hpp"

namespace mneme {

/// y[q] = sum_n w[q,n] v_n -> [B Q D]   (NTM eq. 2)
template <class T>
Var<T> weighted_sum(Tape<T>& tape, Var<T> weights, Var<T> values);

/// y[q] = (w[q,1] v_1, w[q,2] v_2, ...), joined, D-major -> [B Q D*N]: nothing is lost, N must be fixed
template <class T>
Var<T> concatenation(Tape<T>& tape, Var<T> weights, Var<T> values);

/// y_n = w_n v_n -> [B D N]: the set stays a set (channel and spatial attention); needs Q = 1
template <class T>
Var<T> gate(Tape<T>& tape, Var<T> weights, Var<T> values);

struct CombinerPlugin {
  std::string summary;
  Var<float> (*apply_float)(Tape<float>&, Var<float>, Var<float>) = nullptr;
  Var<double> (*apply_double)(Tape<double>&, Var<double>, Var<double>) = nullptr;

  template <class T>
  Var<T> apply(Tape<T>& tape, Var<T> weights, Var<T> values) const {
    if constexpr (std::is_same_v<T, float>)
      return apply_float(tape, weights, values);
    else
      return apply_double(tape, weights, values);
  }
};

/// One file each in combiners/; the registration line of such a file:
///   const bool registered = combiners().add("gate", {"one-line summary", gate<float>, gate<double>});
Registry<CombinerPlugin>& combiners();

}  // namespace mneme
