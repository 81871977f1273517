// Room: attention. Score distance: the nearer, the better.
#include "attention/cases.hpp"
#include "attention/score.hpp"
#include "attention/shapes.hpp"
#include "autodiff/lanes.hpp"

namespace mneme {

// e[q,n] = -|u - k|^2: squared, so that it has a derivative where they meet
template <class T>
Var<T> distance_score(Tape<T>& tape, Var<T> query, Var<T> keys) {
  check_score("distance", query, keys);
  const std::size_t batch = keys.shape[0], queries = query.shape[1], d = keys.shape[1], n = keys.shape[2];
  Var<T> e = tape.result(Shape{batch, queries, n}, query, keys);
  for (std::size_t row = 0; row < batch * queries; ++row) {
    const T *u = query.data + row * d, *k = keys.data + row / queries * d * n;
    T* to = e.data + row * n;
    lane_blocks<T, 4>(n, [&](auto count, auto lane, std::size_t i) {
      Simd<T> sum[count];
      for (std::size_t r = 0; r < count; ++r) sum[r] = Simd<T>(T(0));
      for (std::size_t m = 0; m < d; ++m) {
        const Simd<T> um(u[m]);
        for (std::size_t r = 0; r < count; ++r) {
          const Simd<T> apart = um - lane.load(k + m * n + i + r * Simd<T>::size);
          sum[r] = xsimd::fma(apart, apart, sum[r]);
        }
      }
      for (std::size_t r = 0; r < count; ++r) lane.store(to + i + r * Simd<T>::size, -sum[r]);
    });
  }
  // dk = 2 de (u - k)        du = -2 sum_n de (u - k)
  tape.node("distance_score", {e}, [=](Tape<T>& t) {
    const T* de = t.gradient(e);
    const auto apart = [=](auto lane, std::size_t row, std::size_t m, std::size_t i) {
      const T* k = keys.data + (row / queries * d + m) * n;
      return Simd<T>(2 * query.data[row * d + m]) - Simd<T>(T(2)) * lane.load(k + i);
    };
    t.accumulate(keys, [&](auto first, T* dk) {
      for (std::size_t row = 0; row < batch * queries; ++row) {
        const auto pass = [&](auto into) {  // of several queries the later ones add
          for (std::size_t m = 0; m < d; ++m)
            lanes<T>(n, [&](auto lane, std::size_t i) {
              into.store(lane, dk + (row / queries * d + m) * n + i,
                         lane.load(de + row * n + i) * apart(lane, row, m, i));
            });
        };
        if (row % queries == 0)
          pass(first);
        else
          pass(Add{});
      }
    });
    t.accumulate(query, [&](auto into, T* du) {
      for (std::size_t row = 0; row < batch * queries; ++row)
        for (std::size_t m = 0; m < d; ++m)
          into(du[row * d + m], -lanes_sum<T>(n, [&](auto lane, std::size_t i) {
                 return lane.load(de + row * n + i) * apart(lane, row, m, i);
               }));
    });
  });
  return e;
}

namespace {

template <class T>
using Distance = PlainScore<T, distance_score<T>>;

const bool registered = register_score<Distance>("distance", "-|u - k|^2", "Snell et al. 2017, eq. 2");
const bool cases = register_cases("distance_score", [](CaseList& list) {
  add_score_cases(list, distance_score<double>, -1);
  list.add("keys that are the query", {{{2, 1, 3}}}, [](Tape<double>& t, std::span<const Var<double>> x) {
    return distance_score(t, x[0], x[0].reshaped({2, 3, 1}));
  });
});

}  // namespace

template Var<float> distance_score(Tape<float>&, Var<float>, Var<float>);
template Var<double> distance_score(Tape<double>&, Var<double>, Var<double>);

}  // namespace mneme
