// Room: attention. Score scaled_dot.
#include "attention/cases.hpp"
#include "attention/score.hpp"
#include "attention/shapes.hpp"
#include "autodiff/ops.hpp"

#include <cmath>

namespace mneme {

template <class T>
Var<T> scaled_dot_score(Tape<T>& tape, Var<T> query, Var<T> keys) {
  check_score("scaled_dot", query, keys);
  return affine(tape, batched_product(tape, query, keys), 1 / std::sqrt(static_cast<double>(keys.shape[1])), 0);
}

namespace {

template <class T>
using ScaledDot = PlainScore<T, scaled_dot_score<T>>;

const bool registered = register_score<ScaledDot>("scaled_dot", "u . k / sqrt(D)", "Vaswani et al. 2017, eq. 1");
const bool cases =
    register_cases("scaled_dot_score", [](CaseList& list) { add_score_cases(list, scaled_dot_score<double>, -1); });

}  // namespace

template Var<float> scaled_dot_score(Tape<float>&, Var<float>, Var<float>);
template Var<double> scaled_dot_score(Tape<double>&, Var<double>, Var<double>);

}  // namespace mneme
