// Room: attention. Score linear: the simplest pooling, without a query.
#include "attention/score.hpp"

namespace mneme {

namespace {

/// e = w . k, no query: the simplest pooling
template <class T>
class QueryFreeLinear final : public Score<T> {
 public:
  static constexpr bool needs_query = false;
  QueryFreeLinear(const Builder<T>& build, const ScoreSizes& s)
      : w_(build.parameter("weight", {1, s.key}, Initializer::xavier(s.key, 1))) {}
  Var<T> operator()(Tape<T>& tape, Var<T>, Var<T> keys) const override {
    return project_keys(tape, tape.parameter(w_), keys);
  }

 private:
  std::size_t w_;
};

const bool registered = register_score<QueryFreeLinear>("linear", "w . k, no query", "");

}  // namespace

}  // namespace mneme
