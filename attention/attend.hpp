// Room: attention. attend: the whole pipeline, for whoever needs nothing special between its steps.
#pragma once

#include "attention/combine.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"

namespace mneme {

template <class T>
struct Attended {
  Var<T> weights;  ///< [B Q N]
  Var<T> value;    ///< what the combiner makes of them
};

/// combine(normalize(score(query, keys)), values)
template <class T>
Attended<T> attend(Tape<T>& tape, const Score<T>& score, const NormalizerPlugin& normalize,
                   const CombinerPlugin& combine, Var<T> query, Var<T> keys, Var<T> values, Mask mask = {}) {
  const Var<T> weights = normalize.apply(tape, score(tape, query, score.prepare(tape, keys)), mask);
  return {weights, combine.apply(tape, weights, values)};
}

}  // namespace mneme
