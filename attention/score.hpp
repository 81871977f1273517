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

#include <functional>
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

/// e[q,n] = sum_a v[a] tanh(u[q,a] + k[a,n])   (Bahdanau et al. 2015, A.1.2, both sides projected before)
/// query [B Q A], keys [B A N], v [A]
template <class T>
Var<T> additive_score(Tape<T>& tape, Var<T> query, Var<T> keys, Var<T> v);

/// A score with its parameters, if it has any.
template <class T>
class Score {
 public:
  virtual ~Score() = default;
  /// query may be null for the query-free ones.
  virtual Var<T> operator()(Tape<T>& tape, Var<T> query, Var<T> keys) const = 0;
};

struct ScoreSizes {
  std::size_t query = 0;   ///< D of the queries
  std::size_t key = 0;     ///< D of the keys; dot, scaled_dot and cosine need both equal
  std::size_t hidden = 0;  ///< A, of additive and mlp; 0 = the key's
};

struct ScorePlugin {
  std::string summary;
  std::string source;
  bool needs_query = true;
  bool needs_equal_sizes = false;
  std::function<std::unique_ptr<Score<float>>(const Builder<float>&, const ScoreSizes&)> make_float;
  std::function<std::unique_ptr<Score<double>>(const Builder<double>&, const ScoreSizes&)> make_double;

  template <class T>
  std::unique_ptr<Score<T>> make(const Builder<T>& build, const ScoreSizes& sizes) const {
    if constexpr (std::is_same_v<T, float>)
      return make_float(build, sizes);
    else
      return make_double(build, sizes);
  }
};

/// dot, scaled_dot, cosine, bilinear, additive; query-free: linear, mlp
const Registry<ScorePlugin>& scores();

}  // namespace mneme
