// Room: attention. The addressing of the NTM in one op: all heads that look at one memory (NTM eq. 5-9).
//
//   w = sharpen(shift(g softmax(beta cosine(k, M)) + (1 - g) w_{t-1}, s), gamma)
//
// What cosine_score, softmax, location and weighted_sum do one after the other for one head: the memory's norms are
// taken once for all heads, a row of the memory is looked at and read while it is in the cache, and on the way back
// each pass over it serves up to four heads.
#pragma once

#include "autodiff/tape.hpp"

namespace mneme {

/// What one head is told, and its last weighting. key [B M], beta, gate and gamma [B 1], shift [B S], previous [B N]
template <class T>
struct LocatedHead {
  Var<T> key, beta, gate, shift, gamma, previous;
};

/// The weightings on the way, [B N] each; they have no gradient.
template <class T>
struct LocatedStages {
  Var<T> similarity, content, gated, shifted;
};

/// memory [B M N] -> weights[h] [B N] of heads[h], and reads[h] = sum_i w_h(i) M(i) [B M]   (eq. 2). `reads` and
/// `stages` are empty, or one a head.
template <class T>
void content_location(Tape<T>& tape, std::span<const LocatedHead<T>> heads, Var<T> memory, std::span<Var<T>> weights,
                      std::span<Var<T>> reads = {}, std::span<LocatedStages<T>> stages = {});

}  // namespace mneme
