// Room: controllers. The fused GRU cell op.
#pragma once

#include "autodiff/tape.hpp"

namespace mneme {

/// r, z, n = the three parts of a (from the input) and of b (from h), in this order (PyTorch's);  a, b [B 3H], h [B H]
///   r = s(a_r + b_r)   z = s(a_z + b_z)   n = tanh(a_n + r b_n)   h' = (1 - z) n + z h
/// Cho et al. 2014 with the reset gate applied after the product, as cuDNN and PyTorch do.
template <class T>
Var<T> gru_cell(Tape<T>& tape, Var<T> a, Var<T> b, Var<T> h);

}  // namespace mneme
