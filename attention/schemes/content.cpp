// Room: attention. Addressing scheme content.
#include "attention/addressing.hpp"

namespace mneme {

namespace {

/// w = w^c   (NTM eq. 5, 6)
template <class T>
class Content final : public Addressing<T> {
 public:
  static AddressingDeclaration declare(const AddressingSetup& s) { return made_of(s.similarity, s.normalizer, {}, s); }
  Content(const Builder<T>& build, const AddressingSetup& s) : content_(build, declare(s).parts, s) {}
  Var<T> operator()(Pass<T>& pass, Values<T> p, Var<T> memory, Var<T>) const override {
    return content_(pass, p[0], p[1], memory);
  }

 private:
  ContentLookup<T> content_;
};

const bool registered = register_addressing<Content>("content", "by similarity alone", "Graves et al. 2014, eq. 5-6");

}  // namespace

}  // namespace mneme
