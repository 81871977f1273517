// Room: attention. Combiner weighted_sum.
#include "attention/combine.hpp"
#include "attention/shapes.hpp"
#include "attention/sums.hpp"
#include "autodiff/lanes.hpp"

namespace mneme {

template <class T>
Var<T> weighted_sum(Tape<T>& tape, Var<T> weights, Var<T> values) {
  check_combine("weighted_sum", weights, values);
  const std::size_t batch = values.shape[0], queries = weights.shape[1], d = values.shape[1], n = values.shape[2];
  Var<T> y = tape.result(Shape{batch, queries, d}, weights, values);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t q = 0; q < queries; ++q) {
      const std::size_t row = b * queries + q;
      sum_row(weights.data + row * n, values.data + b * d * n, d, n, y.data + row * d);
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

namespace {

const bool registered = combiners().add(
    "weighted_sum", {"sum of w v: a set becomes one vector", weighted_sum<float>, weighted_sum<double>});

}  // namespace

template Var<float> weighted_sum(Tape<float>&, Var<float>, Var<float>);
template Var<double> weighted_sum(Tape<double>&, Var<double>, Var<double>);

}  // namespace mneme
