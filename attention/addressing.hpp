// Room: attention. Addressing schemes: where a head looks, as a pure function of its parameters, the memory and its
// last weighting. One file each in schemes/, registered by name; a head of a memory picks one.
//
// A scheme is a class made of a similarity (a score), a normalizer and moves (location.hpp). It declares them by name:
// a trace stores the names, and replay recomputes each part by the rule of that name.
#pragma once

#include "attention/attend.hpp"
#include "autodiff/pass.hpp"
#include "core/declared.hpp"

#include <memory>
#include <span>

namespace mneme {

enum class Squash {
  identity,
  tanh,
  sigmoid,
  softplus,           ///< > 0:      log(1 + e^x)
  one_plus_softplus,  ///< >= 1:     1 + log(1 + e^x)
  softmax,            ///< sums to 1 along the last axis
};

/// What a head is told at each step.
struct HeadParameter {
  Declared declared;
  Squash squash = Squash::identity;
};

struct AddressingSetup {
  std::size_t slots = 0;               ///< N
  std::size_t width = 0;               ///< M
  std::size_t shifts = 3;              ///< S, odd: the shifts -(S-1)/2 .. (S-1)/2
  std::string similarity = "cosine";   ///< of key and slot; a scheme may insist on another
  std::string normalizer = "softmax";  ///< of similarities; a scheme may insist on another
  bool interpolates = true;            ///< false: no scheme looks back by "interpolate"
  bool sharpens = true;                ///< false: no scheme has "sharpen"
  Options options = {};                ///< of the memory, those of normalizers among them
};

struct AddressingDeclaration {
  AddressingParts parts;
  std::vector<HeadParameter> parameters;  ///< what a head of this scheme is told, without a site
  std::vector<Declared> stages;           ///< the weightings on the way, [B N] each, without a site: shown (Pass::seen)
  bool uses_content = true;               ///< looks at the memory
  bool uses_previous = true;              ///< looks at the head's last weighting
};

/// Of a scheme made of these parts: key and beta for a similarity ("" = none), then the parameter of each move; shown
/// are "similarity" and "content", and what each move but the last one makes. Throws InvariantError for a name that is
/// unknown.
AddressingDeclaration made_of(const std::string& similarity, const std::string& normalizer,
                              const std::vector<std::string>& moves, const AddressingSetup& setup);

/// Of these moves, those that the setup has not switched off.
std::vector<std::string> switched_on(std::vector<std::string> moves, const AddressingSetup& setup);

template <class T>
class Addressing {
 public:
  virtual ~Addressing() = default;
  /// parameters as declared, memory [B M N], previous [B N] -> weights [B N]
  virtual Var<T> operator()(Pass<T>& pass, Values<T> parameters, Var<T> memory, Var<T> previous) const = 0;
};

/// w^c = normalize_i(beta K(k, M(i)))   (NTM eq. 5, 6), showing "similarity" and "content"
template <class T>
class ContentLookup {
 public:
  ContentLookup(const Builder<T>& build, const AddressingParts& parts, const AddressingSetup& setup)
      : attention_(build.scope("similarity"), parts.similarity, parts.normalizer, {setup.width, setup.width},
                   setup.options) {}

  /// key [B M], beta [B 1], memory [B M N] -> [B N]
  Var<T> operator()(Pass<T>& pass, Var<T> key, Var<T> beta, Var<T> memory) const {
    const Var<T> scores = attention_.score(pass.tape, key, attention_.prepare(pass.tape, memory));
    pass.seen("similarity", scores);
    const Var<T> w = attention_.normalize(pass.tape, scores, {}, beta);
    pass.seen("content", w);
    return w;
  }

 private:
  Attention<T> attention_;
};

struct AddressingPlugin {
  std::string summary;
  std::string source;
  AddressingDeclaration (*declare)(const AddressingSetup&) = nullptr;
  std::unique_ptr<Addressing<float>> (*make_float)(const Builder<float>&, const AddressingSetup&) = nullptr;
  std::unique_ptr<Addressing<double>> (*make_double)(const Builder<double>&, const AddressingSetup&) = nullptr;

  template <class T>
  std::unique_ptr<Addressing<T>> make(const Builder<T>& build, const AddressingSetup& setup) const {
    if constexpr (std::is_same_v<T, float>)
      return make_float(build, setup);
    else
      return make_double(build, setup);
  }
};

Registry<AddressingPlugin>& addressing_schemes();

template <class A, class T>
std::unique_ptr<Addressing<T>> make_addressing(const Builder<T>& build, const AddressingSetup& setup) {
  return std::make_unique<A>(build, setup);
}

/// The registration line of a scheme's own file:
///   const bool registered = register_addressing<Content>("content", "one-line summary", "paper, equations");
/// A<T> is an Addressing<T> constructible from (Builder<T>, AddressingSetup), with a static declare(AddressingSetup).
/// Own keeps two classes of one name in two files apart: it is not to be given.
template <template <class> class A, class Own = A<float>>
bool register_addressing(const std::string& name, std::string summary, std::string source,
                         std::source_location where = std::source_location::current()) {
  return addressing_schemes().add(
      name,
      {std::move(summary), std::move(source), [](const AddressingSetup& s) { return A<float>::declare(s); },
       make_addressing<A<float>, float>, make_addressing<A<double>, double>},
      where);
}

}  // namespace mneme
