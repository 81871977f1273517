// Room: controllers. The fused LSTM cell op, for the lstm controller and for encoders to come.
#pragma once

#include "autodiff/tape.hpp"

namespace mneme {

template <class T>
struct LstmState {
  Var<T> h, c;  ///< [B H]
};

/// i, f, g, o = the four quarters of z, in this order (PyTorch's);  z [B 4H], c [B H]
///   c' = s(f) c + s(i) tanh(g)      h' = s(o) tanh(c')        (Hochreiter & Schmidhuber 1997; Gers et al. 2000)
template <class T>
LstmState<T> lstm_cell(Tape<T>& tape, Var<T> z, Var<T> c);

}  // namespace mneme
