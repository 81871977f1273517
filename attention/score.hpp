// Room: attention. Step 1 of 3, score: how well each element of a set fits a query.
//
//   score (here)  ->  normalize (normalize.hpp)  ->  combine (combine.hpp)
//
// query [B Q D], keys [B D N] -> [B Q N]: Q queries look at one set of N elements. Elements are contiguous ("inside"
// layout, 5 to 17 times faster than [B N D]); several heads or glimpses are queries of one call, or fold into B.
// Scores without a query ignore it and give Q = 1.
#pragma once

#include "core/registry.hpp"
#include "nn/parameters.hpp"

#include <memory>

namespace mneme {

/// Stands under both roots of the cosine, so that zero memory has finite values and gradients.
inline constexpr double cosine_epsilon = 1e-6;

/// e[q,n] = u_q . k_n
template <class T>
Var<T> dot_score(Tape<T>& tape, Var<T> query, Var<T> keys);

/// e[q,n] = u_q . k_n / sqrt(D)   (Vaswani et al. 2017, eq. 1)
template <class T>
Var<T> scaled_dot_score(Tape<T>& tape, Var<T> query, Var<T> keys);

/// e[q,n] = u_q . k_n / sqrt((|u_q|^2 + eps)(|k_n|^2 + eps))   (NTM eq. 6)
template <class T>
Var<T> cosine_score(Tape<T>& tape, Var<T> query, Var<T> keys);

/// e[q,n] = -|u_q - k_n|^2   (Snell et al. 2017, eq. 2: the squared Euclidean distance, beneath a softmax)
template <class T>
Var<T> distance_score(Tape<T>& tape, Var<T> query, Var<T> keys);

/// e[q,n] = sum_a v[a] tanh(u[q,a] + k[a,n])   (Bahdanau et al. 2015, A.1.2, both sides projected before)
/// query [B Q A], keys [B A N], v [A]
template <class T>
Var<T> additive_score(Tape<T>& tape, Var<T> query, Var<T> keys, Var<T> v);

/// A score with its parameters, if it has any. Keys that stay while queries come (an encoder's states, a decoder's
/// steps) are prepared once:  p = score.prepare(tape, keys);  for each step  e = score(tape, query, p)
template <class T>
class Score {
 public:
  static constexpr bool needs_query = true;         ///< a score without says false
  static constexpr bool needs_equal_sizes = false;  ///< D of queries and keys must be one
  virtual ~Score() = default;
  /// What depends on keys [B D N] alone, in the shape that operator() takes; the keys themselves unless said otherwise.
  virtual Var<T> prepare(Tape<T>&, Var<T> keys) const { return keys; }
  /// query [B Q D], or null for the query-free ones; `prepared`: what prepare made -> [B Q N]
  virtual Var<T> operator()(Tape<T>& tape, Var<T> query, Var<T> prepared) const = 0;
};

struct ScoreSizes {
  std::size_t query = 0;   ///< D of the queries
  std::size_t key = 0;     ///< D of the keys
  std::size_t hidden = 0;  ///< A, where keys and query are projected before they meet; 0 = the key's
};

/// A score that is an op of query and keys.
template <class T, Var<T> (*F)(Tape<T>&, Var<T>, Var<T>)>
class PlainScore final : public Score<T> {
 public:
  static constexpr bool needs_equal_sizes = true;
  PlainScore(const Builder<T>&, const ScoreSizes&) {}
  Var<T> operator()(Tape<T>& tape, Var<T> query, Var<T> keys) const override { return F(tape, query, keys); }
};

struct ScorePlugin {
  std::string summary;
  std::string source;
  bool needs_query = true;
  bool needs_equal_sizes = false;
  std::unique_ptr<Score<float>> (*make_float)(const Builder<float>&, const ScoreSizes&) = nullptr;
  std::unique_ptr<Score<double>> (*make_double)(const Builder<double>&, const ScoreSizes&) = nullptr;

  template <class T>
  std::unique_ptr<Score<T>> make(const Builder<T>& build, const ScoreSizes& sizes) const {
    if constexpr (std::is_same_v<T, float>)
      return make_float(build, sizes);
    else
      return make_double(build, sizes);
  }
};

/// One file each in scores/.
Registry<ScorePlugin>& scores();

template <class S, class T>
std::unique_ptr<Score<T>> make_score(const Builder<T>& build, const ScoreSizes& sizes) {
  return std::make_unique<S>(build, sizes);
}

/// The registration line of a score's own file:
///   const bool registered = register_score<Cosine>("cosine", "one-line summary", "paper, equation");
/// S<T> is a Score<T> constructible from (Builder<T>, ScoreSizes).
/// Own keeps two classes of one name in two files apart: it is not to be given.
template <template <class> class S, class Own = S<float>>
bool register_score(const std::string& name, std::string summary, std::string source,
                    std::source_location where = std::source_location::current()) {
  return scores().add(name,
                      {std::move(summary), std::move(source), S<float>::needs_query, S<float>::needs_equal_sizes,
                       make_score<S<float>, float>, make_score<S<double>, double>},
                      where);
}

}  // namespace mneme
