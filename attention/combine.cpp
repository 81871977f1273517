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
      row_blocks<T, 1>(d, [&](auto count, std::size_t m) {
        const T* v = values.data + (b * d + m) * n;
        Simd<T> sum[count];
        for (std::size_t r = 0; r < count; ++r) sum[r] = Simd<T>(T(0));
        lanes<T>(n, [&](auto lane, std::size_t i) {
          const Simd<T> weight = lane.load(w + i);
          for (std::size_t r = 0; r < count; ++r) sum[r] = xsimd::fma(weight, lane.load(v + r * n + i), sum[r]);
        });
        for (std::size_t r = 0; r < count; ++r) y.data[(b * queries + q) * d + m + r] = xsimd::hadd(sum[r]);
      });
    }
  // dw[q,n] = sum_m dy[q,m] v[m,n]        dv[m,n] = sum_q dy[q,m] w[q,n]
  tape.node("weighted_sum", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    T* dw = t.allocate(batch * queries * n);
    std::fill_n(dw, batch * queries * n, T(0));
    t.accumulate_always(values, [&](auto first, T* dv) {
      for (std::size_t row = 0; row < batch * queries; ++row) {
        const T* w = weights.data + row * n;
        // Both in one pass over the values; of several queries the later ones add.
        const auto pass = [&](auto into) {
          row_blocks<T, 1>(d, [&](auto count, std::size_t m) {
            const std::size_t at = (row / queries * d + m) * n;
            Simd<T> g[count];
            for (std::size_t u = 0; u < count; ++u) g[u] = Simd<T>(dy[row * d + m + u]);
            const std::size_t stride = n;
            const T *weighted = w, *from = values.data + at;
            T *sums = dw + row * n, *to = dv + at;
            lanes<T>(stride, [&](auto lane, std::size_t i) {
              const Simd<T> weight = lane.load(weighted + i);
              Simd<T> sum = lane.load(sums + i);
              for (std::size_t u = 0; u < count; ++u) {
                sum = xsimd::fma(g[u], lane.load(from + u * stride + i), sum);
                into.store(lane, to + u * stride + i, g[u] * weight);
              }
              lane.store(sums + i, sum);
            });
          });
        };
        if (row % queries == 0)
          pass(first);
        else
          pass(Add{});
      }
    });
    t.accumulate(weights, [&](auto into, T* to) {
      lanes<T>(batch * queries * n, [&](auto lane, std::size_t i) { into.store(lane, to + i, lane.load(dw + i)); });
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
