// Room: attention. Score cosine.
#include "attention/cases.hpp"
#include "attention/score.hpp"
#include "attention/shapes.hpp"
#include "autodiff/lanes.hpp"

#include <cmath>

namespace mneme {

// c[q,n] = u.k a b,  a = 1/sqrt(|u|^2 + eps),  b = 1/sqrt(|k|^2 + eps)
template <class T>
Var<T> cosine_score(Tape<T>& tape, Var<T> query, Var<T> keys) {
  check_score("cosine", query, keys);
  const std::size_t batch = keys.shape[0], queries = query.shape[1], d = keys.shape[1], n = keys.shape[2];
  Var<T> c = tape.result(Shape{batch, queries, n}, query, keys);
  T* key_scale = tape.allocate(batch * n);          // b
  T* query_scale = tape.allocate(batch * queries);  // a
  const Simd<T> eps(static_cast<T>(cosine_epsilon)), one(T(1));
  for (std::size_t b = 0; b < batch; ++b) {
    const T* k = keys.data + b * d * n;
    for (std::size_t q = 0; q < queries; ++q) {
      const T* u = query.data + (b * queries + q) * d;
      T square = 0;
      for (std::size_t m = 0; m < d; ++m) square += u[m] * u[m];
      const T a = query_scale[b * queries + q] = 1 / std::sqrt(square + static_cast<T>(cosine_epsilon));
      T* row = c.data + (b * queries + q) * n;
      lane_blocks<T, 4>(n, [&](auto count, auto lane, std::size_t i) {
        Simd<T> dot[count], norm[count];
        for (std::size_t r = 0; r < count; ++r) dot[r] = norm[r] = Simd<T>(T(0));
        for (std::size_t m = 0; m < d; ++m) {
          const Simd<T> um(u[m]);
          for (std::size_t r = 0; r < count; ++r) {
            const Simd<T> v = lane.load(k + m * n + i + r * Simd<T>::size);
            dot[r] = xsimd::fma(v, um, dot[r]);
            norm[r] = xsimd::fma(v, v, norm[r]);
          }
        }
        for (std::size_t r = 0; r < count; ++r) {
          const std::size_t at = i + r * Simd<T>::size;
          const Simd<T> scale = one / xsimd::sqrt(norm[r] + eps);
          lane.store(key_scale + b * n + at, scale);
          lane.store(row + at, dot[r] * scale * Simd<T>(a));
        }
      });
    }
  }
  // du = a sum_n dc b k - a^2 u sum_n dc c        dk = dc a b u - dc c b^2 k
  tape.node("cosine_score", {c}, [=](Tape<T>& t) {
    const T* dc = t.gradient(c);
    T* g = t.allocate(n);       // dc a b
    T* shrink = t.allocate(n);  // dc c b^2
    T* du_row = t.allocate(batch * queries * d);
    t.accumulate_always(keys, [&](auto first, T* dk) {
      for (std::size_t row = 0; row < batch * queries; ++row) {
        const std::size_t b = row / queries;
        const T a = query_scale[row], *u = query.data + row * d;
        const T along = lanes_sum<T>(n, [&](auto lane, std::size_t i) {
          const Simd<T> scale = lane.load(key_scale + b * n + i), g0 = lane.load(dc + row * n + i);
          const Simd<T> turned = g0 * lane.load(c.data + row * n + i);
          lane.store(g + i, g0 * scale * Simd<T>(a));
          lane.store(shrink + i, turned * scale * scale);
          return turned;
        });
        // Both in one pass over the keys; of several queries the later ones add.
        const auto pass = [&](auto into) {
          row_blocks<T, 1>(d, [&](auto count, std::size_t m) {
            const std::size_t at = (b * d + m) * n;
            Simd<T> sum[count], v[count];
            for (std::size_t r = 0; r < count; ++r) sum[r] = Simd<T>(T(0)), v[r] = Simd<T>(u[m + r]);
            const std::size_t stride = n;
            const T *gs = g, *shrinks = shrink, *from = keys.data + at;
            T* to = dk + at;
            lanes<T>(stride, [&](auto lane, std::size_t i) {
              const Simd<T> gi = lane.load(gs + i), si = lane.load(shrinks + i);
              for (std::size_t r = 0; r < count; ++r) {
                const Simd<T> k = lane.load(from + r * stride + i);
                sum[r] = xsimd::fma(gi, k, sum[r]);
                into.store(lane, to + r * stride + i, xsimd::fnma(si, k, gi * v[r]));
              }
            });
            for (std::size_t r = 0; r < count; ++r)
              du_row[row * d + m + r] = xsimd::hadd(sum[r]) - a * a * along * u[m + r];
          });
        };
        if (row % queries == 0)
          pass(first);
        else
          pass(Add{});
      }
    });
    t.accumulate(query, [&](auto into, T* du) {
      for (std::size_t i = 0; i < batch * queries * d; ++i) into(du[i], du_row[i]);
    });
  });
  return c;
}

namespace {

template <class T>
using Cosine = PlainScore<T, cosine_score<T>>;

const bool registered = register_score<Cosine>("cosine", "u . k / |u||k|", "Graves et al. 2014, eq. 6");
const bool cases = register_cases("cosine_score", [](CaseList& list) {
  add_score_cases(list, cosine_score<double>, 0.2);  // one sign: no vector is near 0, where it turns sharply
  // Within a step of 0 the cosine of plain vectors has no derivative; this one does, scaled by 1/sqrt(eps) = 1000.
  list.add("a zero memory", {{{2, 2, 3}, 0.3, 1}}, [](Tape<double>& t, std::span<const Var<double>> x) {
    return cosine_score(t, x[0], t.filled({2, 3, 5}, 0.0));
  });
});

}  // namespace

template Var<float> cosine_score(Tape<float>&, Var<float>, Var<float>);
template Var<double> cosine_score(Tape<double>&, Var<double>, Var<double>);

}  // namespace mneme
