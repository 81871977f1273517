// Room: attention. Addressing scheme content_location.
#include "attention/addressing.hpp"
#include "attention/location.hpp"

namespace mneme {

namespace {

/// w = sharpen(shift(g w^c + (1 - g) w_{t-1}))   (NTM eq. 5-9)
template <class T>
class ContentLocation final : public Addressing<T> {
 public:
  static AddressingDeclaration declare(const AddressingSetup& s) {
    return made_of("cosine", s.normalizer, {"interpolate", "shift", "sharpen"}, s);
  }
  ContentLocation(const Builder<T>& build, const AddressingSetup& s) : content_(build, declare(s).parts, s) {}
  Var<T> operator()(Pass<T>& pass, Values<T> p, Var<T> memory, Var<T> previous) const override {
    const Var<T> content = content_(pass, p[0], p[1], memory);
    if (!pass.wants("gated") && !pass.wants("shifted")) return location(pass.tape, content, previous, p[2], p[3], p[4]);
    Moved<T> between;
    const Var<T> w = location(pass.tape, content, previous, p[2], p[3], p[4], &between);
    pass.seen("gated", between.gated);
    pass.seen("shifted", between.shifted);
    return w;
  }

 private:
  ContentLookup<T> content_;
};

const bool registered = register_addressing<ContentLocation>(
    "content_location", "by similarity, then interpolated, shifted and sharpened", "Graves et al. 2014, eq. 5-9");

}  // namespace

}  // namespace mneme
