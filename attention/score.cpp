// Room: attention. The registry of scores, and what several of them do to keys.
#include "attention/score.hpp"

#include "attention/cases.hpp"
#include "autodiff/ops.hpp"

namespace mneme {

template <class T>
Var<T> project_keys(Tape<T>& tape, Var<T> weight, Var<T> keys) {
  return batched_product(tape, repeat_rows(tape, weight, keys.shape[0]), keys);
}

Registry<ScorePlugin>& scores() {
  static Registry<ScorePlugin> registry("score");
  return registry;
}

namespace {

const bool cases = register_cases("project_keys", [](CaseList& list) {
  for (const CaseSizes& s : case_sizes)
    list.add(s.text(), {{.shape = {s.q, s.d}, .role = GradientInput::Role::parameter}, {{s.b, s.d, s.n}}},
             [](Tape<double>& t, std::span<const Var<double>> x) { return project_keys(t, x[0], x[1]); });
});

}  // namespace

template Var<float> project_keys(Tape<float>&, Var<float>, Var<float>);
template Var<double> project_keys(Tape<double>&, Var<double>, Var<double>);

}  // namespace mneme
