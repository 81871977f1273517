// Room: memory. Heads: how one row of numbers from the controller becomes a head's named parameters.
//
// All heads' raw numbers come from one product [B H] x [H P]; split_parameters() cuts and squashes them in one op.
#pragma once

#include "core/declared.hpp"
#include "memory/memory.hpp"

namespace mneme {

/// raw [B P] -> one [B count] a parameter, in order; the counts must sum to P.
template <class T>
Values<T> split_parameters(Tape<T>& tape, Var<T> raw, std::span<const HeadParameter> parameters);

}  // namespace mneme
