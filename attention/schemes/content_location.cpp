// Room: attention. Addressing scheme content_location.
#include "attention/addressing.hpp"
#include "attention/location.hpp"

namespace mneme {

namespace {

/// w = sharpen(shift(g w^c + (1 - g) w_{t-1}))   (NTM eq. 5-9), each move where it is switched on
template <class T>
class ContentLocation final : public Addressing<T> {
 public:
  static AddressingDeclaration declare(const AddressingSetup& s) {
    return made_of(s.similarity, s.normalizer, switched_on({"interpolate", "shift", "sharpen"}, s), s);
  }
  ContentLocation(const Builder<T>& build, const AddressingSetup& s)
      : content_(build, declare(s).parts, s), interpolates_(s.interpolates), sharpens_(s.sharpens) {}
  Var<T> operator()(Pass<T>& pass, Values<T> p, Var<T> memory, Var<T> previous) const override {
    const Var<T> content = content_(pass, p[0], p[1], memory);
    return interpolates_ && sharpens_ ? in_one_pass(pass, p, content, previous)
                                      : one_by_one(pass, p, content, previous);
  }

 private:
  Var<T> in_one_pass(Pass<T>& pass, Values<T> p, Var<T> content, Var<T> previous) const {
    if (!pass.wants("gated") && !pass.wants("shifted")) return location(pass.tape, content, previous, p[2], p[3], p[4]);
    Moved<T> between;
    const Var<T> w = location(pass.tape, content, previous, p[2], p[3], p[4], &between);
    pass.seen("gated", between.gated);
    pass.seen("shifted", between.shifted);
    return w;
  }
  Var<T> one_by_one(Pass<T>& pass, Values<T> p, Var<T> w, Var<T> previous) const {
    std::size_t next = 2;
    if (interpolates_) {
      w = interpolate(pass.tape, w, previous, p[next++]);
      pass.seen("gated", w);
    }
    w = shift(pass.tape, w, p[next++]);
    if (!sharpens_) return w;
    pass.seen("shifted", w);
    return sharpen(pass.tape, w, p[next]);
  }

  ContentLookup<T> content_;
  bool interpolates_, sharpens_;
};

const bool registered = register_addressing<ContentLocation>(
    "content_location", "by similarity, then interpolated, shifted and sharpened", "Graves et al. 2014, eq. 5-9");

}  // namespace

}  // namespace mneme
