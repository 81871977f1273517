// Room: attention. Score bilinear.
#include "attention/score.hpp"
#include "nn/linear.hpp"

namespace mneme {

namespace {

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

const bool registered = register_score<Bilinear>("bilinear", "u W k", "Luong et al. 2015");

}  // namespace

}  // namespace mneme
