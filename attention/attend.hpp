// Room: attention. Attention: the whole pipeline, its three steps by name.
//
//   e = score(query, prepare(keys))  ->  w = normalize(e)  ->  y = combine(w, values)
//
// Whoever stands between the steps (a memory, whose weights somebody may replace before it reads; an addressing scheme,
// whose similarities are logged) calls them one by one; who does not calls attend().
#pragma once

#include "attention/combine.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"

namespace mneme {

/// Queries [B Q D] are answered by weights [B Q N] and values [B Q D]; one query a row, [B D], by [B N] and [B D].
template <class T>
class Attention {
 public:
  /// The combiner outlives this.
  Attention(std::unique_ptr<Score<T>> score, const NormalizerPlugin& normalizer, const CombinerPlugin& combiner,
            const Options& options = {})
      : score_(std::move(score)),
        normalizer_(normalizer.template make<T>(options)),
        sums_to_one_(normalizer.sums_to_one),
        combiner_(&combiner) {}
  /// By their names, as registered. `options`: those of whoever attends, the normalizer's own among them. Throws
  /// ArgumentError for a name that nobody registered.
  Attention(const Builder<T>& build, const std::string& score, const std::string& normalizer, const ScoreSizes& sizes,
            const Options& options = {}, const std::string& combiner = "weighted_sum")
      : Attention(scores().find(score).template make<T>(build, sizes), normalizers().find(normalizer),
                  combiners().find(combiner), options) {}

  /// What the score makes of keys [B D N] alone: once, for all queries that come.
  Var<T> prepare(Tape<T>& tape, Var<T> keys) const { return score_->prepare(tape, keys); }
  Var<T> score(Tape<T>& tape, Var<T> query, Var<T> prepared) const {
    return like(query, (*score_)(tape, several(query), prepared));
  }
  /// beta: one number a query, or none.
  Var<T> normalize(Tape<T>& tape, Var<T> scores, Mask mask = {}, Var<T> beta = {}) const {
    return like(scores, (*normalizer_)(tape, several(scores), mask, beta));
  }
  Var<T> combine(Tape<T>& tape, Var<T> weights, Var<T> values) const {
    return like(weights, combiner_->apply(tape, several(weights), values));
  }

  /// Whether weights of a row sum to 1.
  bool sums_to_one() const { return sums_to_one_; }

 private:
  static Var<T> several(Var<T> x) { return x.shape.rank() == 2 ? x.reshaped({x.shape[0], 1, x.shape[1]}) : x; }
  static Var<T> like(const Var<T>& asked, Var<T> y) {
    return asked.shape.rank() == 2 ? y.reshaped({y.shape[0], y.shape.last()}) : y;
  }

  std::unique_ptr<Score<T>> score_;
  std::unique_ptr<Normalizer<T>> normalizer_;
  bool sums_to_one_;
  const CombinerPlugin* combiner_;
};

template <class T>
struct Attended {
  Var<T> weights, value;
};

template <class T>
Attended<T> attend(Tape<T>& tape, const Attention<T>& attention, Var<T> query, Var<T> keys, Var<T> values,
                   Mask mask = {}) {
  const Var<T> scores = attention.score(tape, query, attention.prepare(tape, keys));
  const Var<T> weights = attention.normalize(tape, scores, mask);
  return {weights, attention.combine(tape, weights, values)};
}

}  // namespace mneme
