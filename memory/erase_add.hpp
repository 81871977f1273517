// Room: memory. Writing to slots: erase, then add (NTM section 3.2).
//
// memory [B M N], weights [B N], erase and add [B M]
#pragma once

#include "autodiff/tape.hpp"

namespace mneme {

/// M'(i) = M(i) (1 - w(i) e)   (NTM eq. 3)
template <class T>
Var<T> erase(Tape<T>& tape, Var<T> memory, Var<T> w, Var<T> e);

/// M'(i) = M(i) + w(i) a   (NTM eq. 4)
template <class T>
Var<T> write(Tape<T>& tape, Var<T> memory, Var<T> w, Var<T> a);

/// write(erase(M, w, e), w, a) in one pass: one head
template <class T>
Var<T> erase_add(Tape<T>& tape, Var<T> memory, Var<T> w, Var<T> e, Var<T> a);

}  // namespace mneme
