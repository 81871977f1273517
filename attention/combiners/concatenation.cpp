// Room: attention. Combiner concatenation.
#include "attention/combine.hpp"
#include "attention/shapes.hpp"
#include "autodiff/lanes.hpp"

namespace mneme {

template <class T>
Var<T> concatenation(Tape<T>& tape, Var<T> weights, Var<T> values) {
  check_combine("concatenation", weights, values);
  const std::size_t batch = values.shape[0], queries = weights.shape[1], d = values.shape[1], n = values.shape[2];
  Var<T> y = tape.result(Shape{batch, queries, d * n}, weights, values);
  for (std::size_t row = 0; row < batch * queries; ++row)
    for (std::size_t m = 0; m < d; ++m)
      lanes<T>(n, [&](auto lane, std::size_t i) {
        lane.store(y.data + (row * d + m) * n + i,
                   lane.load(weights.data + row * n + i) * lane.load(values.data + (row / queries * d + m) * n + i));
      });
  tape.node("concatenation", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(weights, [&](auto into, T* dw) {
      for (std::size_t row = 0; row < batch * queries; ++row)
        lanes<T>(n, [&](auto lane, std::size_t i) {
          Simd<T> sum(T(0));
          for (std::size_t m = 0; m < d; ++m)
            sum += lane.load(dy + (row * d + m) * n + i) * lane.load(values.data + (row / queries * d + m) * n + i);
          into.store(lane, dw + row * n + i, sum);
        });
    });
    t.accumulate(values, [&](auto into, T* dv) {
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t m = 0; m < d; ++m)
          lanes<T>(n, [&](auto lane, std::size_t i) {
            Simd<T> sum(T(0));
            for (std::size_t row = b * queries; row < (b + 1) * queries; ++row)
              sum += lane.load(dy + (row * d + m) * n + i) * lane.load(weights.data + row * n + i);
            into.store(lane, dv + (b * d + m) * n + i, sum);
          });
    });
  });
  return y;
}

namespace {

const bool registered = combiners().add(
    "concatenation", {"all w v joined: for sets of fixed size", concatenation<float>, concatenation<double>});

}  // namespace

template Var<float> concatenation(Tape<float>&, Var<float>, Var<float>);
template Var<double> concatenation(Tape<double>&, Var<double>, Var<double>);

}  // namespace mneme
