// Room: attention. Step 1 of 3, score.
#include "attention/score.hpp"

#include "attention/shapes.hpp"
#include "autodiff/lanes.hpp"
#include "autodiff/ops.hpp"
#include "nn/linear.hpp"

#include <cmath>

namespace mneme {

template <class T>
Var<T> dot_score(Tape<T>& tape, Var<T> query, Var<T> keys) {
  check_score("dot", query, keys);
  return batched_product(tape, query, keys);
}

template <class T>
Var<T> scaled_dot_score(Tape<T>& tape, Var<T> query, Var<T> keys) {
  check_score("scaled_dot", query, keys);
  return affine(tape, batched_product(tape, query, keys), 1 / std::sqrt(static_cast<double>(keys.shape[1])), 0);
}

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

// e[q,n] = sum_a v[a] h,  h = tanh(u[q,a] + k[a,n])
template <class T>
Var<T> additive_score(Tape<T>& tape, Var<T> query, Var<T> keys, Var<T> v) {
  check_score("additive", query, keys);
  const std::size_t batch = keys.shape[0], queries = query.shape[1], d = keys.shape[1], n = keys.shape[2];
  if (v.size() != d) fail<ArgumentError>("additive", "v {} for a width of {}", v.shape.text(), d);
  Var<T> e = tape.result(Shape{batch, queries, n}, query, keys, v);
  T* h = tape.allocate(batch * queries * d * n);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t q = 0; q < queries; ++q) {
      const std::size_t row = b * queries + q;
      lanes<T>(n, [&](auto lane, std::size_t i) {
        Simd<T> sum(T(0));
        for (std::size_t m = 0; m < d; ++m) {
          const auto x = xsimd::tanh(Simd<T>(query.data[row * d + m]) + lane.load(keys.data + (b * d + m) * n + i));
          lane.store(h + (row * d + m) * n + i, x);
          sum = xsimd::fma(x, Simd<T>(v.data[m]), sum);
        }
        lane.store(e.data + row * n + i, sum);
      });
    }
  tape.node("additive_score", {e}, [=](Tape<T>& t) {
    const T* de = t.gradient(e);
    const Simd<T> one(T(1));
    // what reaches u[q,a] + k[a,n]: de v (1 - h^2)
    const auto inner = [=](auto lane, std::size_t row, std::size_t m, std::size_t i) {
      const Simd<T> x = lane.load(h + (row * d + m) * n + i);
      return lane.load(de + row * n + i) * Simd<T>(v.data[m]) * (one - x * x);
    };
    t.accumulate(query, [&](auto into, T* du) {
      for (std::size_t row = 0; row < batch * queries; ++row)
        for (std::size_t m = 0; m < d; ++m)
          into(du[row * d + m], lanes_sum<T>(n, [&](auto lane, std::size_t i) { return inner(lane, row, m, i); }));
    });
    t.accumulate(keys, [&](auto into, T* dk) {
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t m = 0; m < d; ++m)
          lanes<T>(n, [&](auto lane, std::size_t i) {
            Simd<T> sum(T(0));
            for (std::size_t q = 0; q < queries; ++q) sum += inner(lane, b * queries + q, m, i);
            into.store(lane, dk + (b * d + m) * n + i, sum);
          });
    });
    t.accumulate(v, [&](auto into, T* dv) {
      for (std::size_t m = 0; m < d; ++m) {
        T sum = 0;
        for (std::size_t row = 0; row < batch * queries; ++row)
          sum += lanes_sum<T>(n, [&](auto lane, std::size_t i) {
            return lane.load(de + row * n + i) * lane.load(h + (row * d + m) * n + i);
          });
        into(dv[m], sum);
      }
    });
  });
  return e;
}

namespace {

template <class T, Var<T> (*F)(Tape<T>&, Var<T>, Var<T>)>
class Plain final : public Score<T> {
 public:
  Plain(const Builder<T>&, const ScoreSizes&) {}
  Var<T> operator()(Tape<T>& tape, Var<T> query, Var<T> keys) const override { return F(tape, query, keys); }
};
template <class T>
using Dot = Plain<T, dot_score<T>>;
template <class T>
using ScaledDot = Plain<T, scaled_dot_score<T>>;
template <class T>
using Cosine = Plain<T, cosine_score<T>>;

/// e = (u W) . k   (Luong et al. 2015, "general")
template <class T>
class Bilinear final : public Score<T> {
 public:
  Bilinear(const Builder<T>& build, const ScoreSizes& s)
      : w_(build, s.query, s.key, Initializer::xavier(s.query, s.key), std::nullopt) {}
  Var<T> operator()(Tape<T>& tape, Var<T> query, Var<T> keys) const override {
    return dot_score(tape, w_(tape, query), keys);
  }

 private:
  Linear<T> w_;
};

/// W^T k_n for all n of [B D N]: [A D] x [B D N] -> [B A N]
template <class T>
Var<T> project_keys(Tape<T>& tape, Var<T> weight, Var<T> keys) {
  return batched_product(tape, repeat_rows(tape, weight, keys.shape[0]), keys);
}

/// e = v . tanh(W u + U k)
template <class T>
class Additive final : public Score<T> {
 public:
  Additive(const Builder<T>& build, const ScoreSizes& s)
      : a_(s.hidden ? s.hidden : s.key),
        query_(build.scope("query"), s.query, a_, Initializer::xavier(s.query, a_)),
        key_(build.parameter("key.weight", {a_, s.key}, Initializer::xavier(s.key, a_))),
        v_(build.parameter("v", {a_}, Initializer::xavier(a_, 1))) {}
  Var<T> operator()(Tape<T>& tape, Var<T> query, Var<T> keys) const override {
    return additive_score(tape, query_(tape, query), project_keys(tape, tape.parameter(key_), keys),
                          tape.parameter(v_));
  }

 private:
  std::size_t a_;
  Linear<T> query_;
  std::size_t key_, v_;
};

/// e = w . k, no query: the simplest pooling
template <class T>
class QueryFreeLinear final : public Score<T> {
 public:
  QueryFreeLinear(const Builder<T>& build, const ScoreSizes& s)
      : w_(build.parameter("weight", {1, s.key}, Initializer::xavier(s.key, 1))) {}
  Var<T> operator()(Tape<T>& tape, Var<T>, Var<T> keys) const override {
    return project_keys(tape, tape.parameter(w_), keys);
  }

 private:
  std::size_t w_;
};

/// e = v . tanh(U k + b), no query (Ilse et al. 2018, eq. 8)
template <class T>
class QueryFreeMlp final : public Score<T> {
 public:
  QueryFreeMlp(const Builder<T>& build, const ScoreSizes& s)
      : a_(s.hidden ? s.hidden : s.key),
        key_(build.parameter("key.weight", {a_, s.key}, Initializer::xavier(s.key, a_))),
        bias_(build.parameter("bias", {1, a_}, Initializer::constant(0))),
        v_(build.parameter("v", {a_}, Initializer::xavier(a_, 1))) {}
  Var<T> operator()(Tape<T>& tape, Var<T>, Var<T> keys) const override {
    return additive_score(tape, repeat_rows(tape, tape.parameter(bias_), keys.shape[0]),
                          project_keys(tape, tape.parameter(key_), keys), tape.parameter(v_));
  }

 private:
  std::size_t a_;
  std::size_t key_, bias_, v_;
};

template <template <class> class S>
ScorePlugin plugin(std::string summary, std::string source, bool needs_query, bool equal) {
  return {std::move(summary),
          std::move(source),
          needs_query,
          equal,
          [](const Builder<float>& b, const ScoreSizes& s) { return std::make_unique<S<float>>(b, s); },
          [](const Builder<double>& b, const ScoreSizes& s) { return std::make_unique<S<double>>(b, s); }};
}

}  // namespace

const Registry<ScorePlugin>& scores() {
  static const Registry<ScorePlugin> registry = [] {
    Registry<ScorePlugin> r("score");
    r.add("dot", plugin<Dot>("u . k", "Luong et al. 2015", true, true));
    r.add("scaled_dot", plugin<ScaledDot>("u . k / sqrt(D)", "Vaswani et al. 2017, eq. 1", true, true));
    r.add("cosine", plugin<Cosine>("u . k / |u||k|", "Graves et al. 2014, eq. 6", true, true));
    r.add("bilinear", plugin<Bilinear>("u W k", "Luong et al. 2015", true, false));
    r.add("additive", plugin<Additive>("v . tanh(W u + U k)", "Bahdanau et al. 2015", true, false));
    r.add("linear", plugin<QueryFreeLinear>("w . k, no query", "", false, false));
    r.add("mlp", plugin<QueryFreeMlp>("v . tanh(U k + b), no query", "Ilse et al. 2018, eq. 8", false, false));
    return r;
  }();
  return registry;
}

#define MNEME_INSTANTIATE(T)                                  \
  template Var<T> dot_score(Tape<T>&, Var<T>, Var<T>);        \
  template Var<T> scaled_dot_score(Tape<T>&, Var<T>, Var<T>); \
  template Var<T> cosine_score(Tape<T>&, Var<T>, Var<T>);     \
  template Var<T> additive_score(Tape<T>&, Var<T>, Var<T>, Var<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
