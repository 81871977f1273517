// Room: attention. Step 3 of 3, combine.
#include "attention/combine.hpp"

#include "attention/shapes.hpp"
#include "autodiff/lanes.hpp"

namespace mneme {

template <class T>
Var<T> weighted_sum(Tape<T>& tape, Var<T> weights, Var<T> values) {
  check_combine("weighted_sum", weights, values);
  const std::size_t batch = values.shape[0], queries = weights.shape[1], d = values.shape[1], n = values.shape[2];
  Var<T> y = tape.result(Shape{batch, queries, d}, weights, values);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t q = 0; q < queries; ++q) {
      const T* w = weights.data + (b * queries + q) * n;
      for (std::size_t m = 0; m < d; ++m) {
        const T* v = values.data + (b * d + m) * n;
        y.data[(b * queries + q) * d + m] =
            lanes_sum<T>(n, [&](auto lane, std::size_t i) { return lane.load(w + i) * lane.load(v + i); });
      }
    }
  // dw[q,n] = sum_m dy[q,m] v[m,n]        dv[m,n] = sum_q dy[q,m] w[q,n]
  tape.node("weighted_sum", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(weights, [&](auto into, T* dw) {
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t q = 0; q < queries; ++q)
          lanes<T>(n, [&](auto lane, std::size_t i) {
            Simd<T> sum(T(0));
            for (std::size_t m = 0; m < d; ++m)
              sum =
                  xsimd::fma(Simd<T>(dy[(b * queries + q) * d + m]), lane.load(values.data + (b * d + m) * n + i), sum);
            into.store(lane, dw + (b * queries + q) * n + i, sum);
          });
    });
    t.accumulate(values, [&](auto into, T* dv) {
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t m = 0; m < d; ++m)
          lanes<T>(n, [&](auto lane, std::size_t i) {
            Simd<T> sum(T(0));
            for (std::size_t q = 0; q < queries; ++q) {
              const std::size_t row = b * queries + q;
              sum = xsimd::fma(Simd<T>(dy[row * d + m]), lane.load(weights.data + row * n + i), sum);
            }
            into.store(lane, dv + (b * d + m) * n + i, sum);
          });
    });
  });
  return y;
}

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

template <class T>
Var<T> gate(Tape<T>& tape, Var<T> weights, Var<T> values) {
  check_combine("gate", weights, values);
  if (weights.shape[1] != 1)
    fail<ArgumentError>("gate", "needs one weight an element, weights {}", weights.shape.text());
  return concatenation(tape, weights, values).reshaped(values.shape);
}

const Registry<CombinerPlugin>& combiners() {
  static const Registry<CombinerPlugin> registry = [] {
    Registry<CombinerPlugin> r("combiner");
    r.add("weighted_sum", {"sum of w v: a set becomes one vector", weighted_sum<float>, weighted_sum<double>});
    r.add("concatenation", {"all w v joined: for sets of fixed size", concatenation<float>, concatenation<double>});
    r.add("gate", {"each v times its w: the set stays a set", gate<float>, gate<double>});
    return r;
  }();
  return registry;
}

#define MNEME_INSTANTIATE(T)                               \
  template Var<T> weighted_sum(Tape<T>&, Var<T>, Var<T>);  \
  template Var<T> concatenation(Tape<T>&, Var<T>, Var<T>); \
  template Var<T> gate(Tape<T>&, Var<T>, Var<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
