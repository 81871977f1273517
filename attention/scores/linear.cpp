// Room: attention. Score linear: the simplest pooling, without a query.
#include "attention/score.hpp"
#include "autodiff/ops.hpp"

namespace mneme {

namespace {

/// e = w . k, no query: the simplest pooling
template <class T>
class QueryFreeLinear final : public Score<T> {
 public:
  static constexpr bool needs_query = false;
  QueryFreeLinear(const Builder<T>& build, const ScoreSizes& s)
      : w_(build.parameter("weight", {1, s.key}, Initializer::xavier(s.key, 1))) {}
  /// e itself  [B 1 N]
  Var<T> prepare(Tape<T>& tape, Var<T> keys) const override { return project(tape, tape.parameter(w_), keys); }
  Var<T> operator()(Tape<T>&, Var<T>, Var<T> prepared) const override { return prepared; }

 private:
  std::size_t w_;
};

const bool registered = register_score<QueryFreeLinear>("linear", "w . k, no query", "");

}  // namespace

}  // namespace mneme
