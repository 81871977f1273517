// Room: attention. Score mlp: pooling without a query.
#include "attention/score.hpp"
#include "autodiff/ops.hpp"

namespace mneme {

namespace {

/// e = v . tanh(U k + b), no query (Ilse et al. 2018, eq. 8)
template <class T>
class QueryFreeMlp final : public Score<T> {
 public:
  static constexpr bool needs_query = false;
  QueryFreeMlp(const Builder<T>& build, const ScoreSizes& s)
      : a_(s.hidden ? s.hidden : s.key),
        key_(build.parameter("key.weight", {a_, s.key}, Initializer::xavier(s.key, a_))),
        bias_(build.parameter("bias", {1, a_}, Initializer::constant(0))),
        v_(build.parameter("v", {a_}, Initializer::xavier(a_, 1))) {}
  /// e itself  [B 1 N]
  Var<T> prepare(Tape<T>& tape, Var<T> keys) const override {
    return additive_score(tape, repeat_rows(tape, tape.parameter(bias_), keys.shape[0]),
                          project(tape, tape.parameter(key_), keys), tape.parameter(v_));
  }
  Var<T> operator()(Tape<T>&, Var<T>, Var<T> prepared) const override { return prepared; }

 private:
  std::size_t a_;
  std::size_t key_, bias_, v_;
};

const bool registered = register_score<QueryFreeMlp>("mlp", "v . tanh(U k + b), no query", "Ilse et al. 2018, eq. 8");

}  // namespace

}  // namespace mneme
