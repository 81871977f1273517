// Room: attention. Score dot.
#include "attention/cases.hpp"
#include "attention/score.hpp"
#include "attention/shapes.hpp"
#include "autodiff/ops.hpp"

namespace mneme {

template <class T>
Var<T> dot_score(Tape<T>& tape, Var<T> query, Var<T> keys) {
  check_score("dot", query, keys);
  return batched_product(tape, query, keys);
}

namespace {

template <class T>
using Dot = PlainScore<T, dot_score<T>>;

const bool registered = register_score<Dot>("dot", "u . k", "Luong et al. 2015");
const bool cases = register_cases("dot_score", [](CaseList& list) { add_score_cases(list, dot_score<double>, -1); });

}  // namespace

template Var<float> dot_score(Tape<float>&, Var<float>, Var<float>);
template Var<double> dot_score(Tape<double>&, Var<double>, Var<double>);

}  // namespace mneme
