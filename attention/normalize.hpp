// Room: attention. Step 2 of 3, normalize: scores to weights.
//
// scores [B Q N] -> weights [B Q N]. A mask says which elements may be attended to; a row in which none may gives zeros
// and zero gradients, never NaN.
#pragma once

#include "autodiff/tape.hpp"
#include "core/options.hpp"
#include "core/registry.hpp"

#include <cstdint>
#include <memory>

namespace mneme {

/// 1 = may be attended to; [B N], or [B Q N] where per_query. Null data: everything may.
struct Mask {
  const std::uint8_t* data = nullptr;
  bool per_query = false;
  /// [B]: so many empty elements of score 0 compete with the others where rows sum to 1. They are not among the
  /// weights, which therefore sum to less than 1. Null: none.
  const std::uint32_t* empty = nullptr;
};

/// w = softmax_n(beta e), beta [B Q] or none = 1   (NTM eq. 5); with empty elements exp(z_n) / (empty + sum_j exp(z_j))
template <class T>
Var<T> softmax(Tape<T>& tape, Var<T> scores, Mask mask = {}, Var<T> beta = {});

/// w = softmax over the K largest of beta e, of equal ones the first; 0 elsewhere   (Rae et al. 2016, section 3.1)
template <class T>
Var<T> top_k(Tape<T>& tape, std::size_t k, Var<T> scores, Mask mask = {}, Var<T> beta = {});

/// A normalizer with what it was told, if it takes options.
template <class T>
class Normalizer {
 public:
  static constexpr bool sums_to_one = true;  ///< rows do; a normalizer whose rows need not says false
  /// A change of the scores that is small enough changes the weights little. One that says false lets rounding decide
  /// between scores that are nearly equal: a trace keeps what it decided.
  static constexpr bool continuous = true;
  static OptionTable options() { return {}; }  ///< what it can be told: memories take them in beside their own
  virtual ~Normalizer() = default;
  /// scores [B Q N], beta [B Q] or none -> weights [B Q N]
  virtual Var<T> operator()(Tape<T>& tape, Var<T> scores, Mask mask, Var<T> beta) const = 0;
};

/// A normalizer that is an op and takes no options.
template <class T, Var<T> (*F)(Tape<T>&, Var<T>, Mask, Var<T>), bool SumsToOne = true>
class PlainNormalizer final : public Normalizer<T> {
 public:
  static constexpr bool sums_to_one = SumsToOne;
  explicit PlainNormalizer(const Options&) {}
  Var<T> operator()(Tape<T>& tape, Var<T> scores, Mask mask, Var<T> beta) const override {
    return F(tape, scores, mask, beta);
  }
};

struct NormalizerPlugin {
  std::string summary;
  std::string source;
  bool sums_to_one = true;
  bool continuous = true;
  OptionTable options;
  std::unique_ptr<Normalizer<float>> (*make_float)(const Options&) = nullptr;
  std::unique_ptr<Normalizer<double>> (*make_double)(const Options&) = nullptr;

  /// Of `given`, the options of whoever uses it, its own; what is not there has its default.
  Options own_options(const Options& given) const;
  /// Its own options by name, words joined by '_', as numbers: what a trace says of it.
  std::vector<std::pair<std::string, double>> constants(const Options& given) const;

  template <class T>
  std::unique_ptr<Normalizer<T>> make(const Options& given = {}) const {
    if constexpr (std::is_same_v<T, float>)
      return make_float(own_options(given));
    else
      return make_double(own_options(given));
  }
};

/// One file each in normalizers/.
Registry<NormalizerPlugin>& normalizers();

/// Adds the options of every registered normalizer that `takes` says: for the table of a memory that has the choice.
void add_normalizer_options(OptionTable& table, bool (*takes)(const NormalizerPlugin&));

template <class N, class T>
std::unique_ptr<Normalizer<T>> make_normalizer(const Options& options) {
  return std::make_unique<N>(options);
}

/// The registration line of a normalizer's own file:
///   const bool registered = register_normalizer<Softmax>("softmax", "one-line summary", "paper, equation");
/// N<T> is a Normalizer<T> constructible from Options.
/// Own keeps two classes of one name in two files apart: it is not to be given.
template <template <class> class N, class Own = N<float>>
bool register_normalizer(const std::string& name, std::string summary, std::string source,
                         std::source_location where = std::source_location::current()) {
  return normalizers().add(name,
                           {std::move(summary), std::move(source), N<float>::sums_to_one, N<float>::continuous,
                            N<float>::options(), make_normalizer<N<float>, float>, make_normalizer<N<double>, double>},
                           where);
}

}  // namespace mneme
