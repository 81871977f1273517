// Room: attention. Score additive.
#include "attention/cases.hpp"
#include "attention/score.hpp"
#include "attention/shapes.hpp"
#include "autodiff/lanes.hpp"
#include "nn/linear.hpp"

namespace mneme {

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

/// e = v . tanh(W u + U k)
template <class T>
class Additive final : public Score<T> {
 public:
  Additive(const Builder<T>& build, const ScoreSizes& s)
      : a_(s.hidden ? s.hidden : s.key),
        query_(build.scope("query"), s.query, a_, Initializer::xavier(s.query, a_)),
        key_(build.parameter("key.weight", {a_, s.key}, Initializer::xavier(s.key, a_))),
        v_(build.parameter("v", {a_}, Initializer::xavier(a_, 1))) {}
  /// U k  [B A N]
  Var<T> prepare(Tape<T>& tape, Var<T> keys) const override { return project(tape, tape.parameter(key_), keys); }
  Var<T> operator()(Tape<T>& tape, Var<T> query, Var<T> prepared) const override {
    return additive_score(tape, query_(tape, query), prepared, tape.parameter(v_));
  }

 private:
  std::size_t a_;
  Linear<T> query_;
  std::size_t key_, v_;
};

const bool registered = register_score<Additive>("additive", "v . tanh(W u + U k)", "Bahdanau et al. 2015");
const bool cases = register_cases("additive_score", [](CaseList& list) {
  using Role = GradientInput::Role;
  const GradientFunction additive = [](Tape<double>& t, std::span<const Var<double>> x) {
    return additive_score(t, x[0], x[1], x[2]);
  };
  for (const CaseSizes& s : case_sizes) list.add(s.text(), {{{s.b, s.q, s.d}}, {{s.b, s.d, s.n}}, {{s.d}}}, additive);
  for (std::size_t fixed : {0, 1, 2}) {
    std::vector<GradientInput> inputs{{{2, 2, 3}}, {{2, 3, 5}}, {{3}}};
    inputs[fixed].role = Role::constant;
    list.add(fmt::format("input {} constant", fixed), inputs, additive);
  }
  list.add("v a parameter", {{{2, 2, 3}}, {{2, 3, 5}}, {.shape = {3}, .role = Role::parameter}}, additive);
});

}  // namespace

template Var<float> additive_score(Tape<float>&, Var<float>, Var<float>, Var<float>);
template Var<double> additive_score(Tape<double>&, Var<double>, Var<double>, Var<double>);

}  // namespace mneme
