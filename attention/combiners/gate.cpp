// Room: attention. Combiner gate.
#include "attention/combine.hpp"
#include "attention/shapes.hpp"

namespace mneme {

template <class T>
Var<T> gate(Tape<T>& tape, Var<T> weights, Var<T> values) {
  check_combine("gate", weights, values);
  if (weights.shape[1] != 1)
    fail<ArgumentError>("gate", "needs one weight an element, weights {}", weights.shape.text());
  return concatenation(tape, weights, values).reshaped(values.shape);
}

namespace {

const bool registered = combiners().add("gate", {"each v times its w: the set stays a set", gate<float>, gate<double>});

}  // namespace

template Var<float> gate(Tape<float>&, Var<float>, Var<float>);
template Var<double> gate(Tape<double>&, Var<double>, Var<double>);

}  // namespace mneme
