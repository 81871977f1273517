// Room: attention. Addressing scheme location.
#include "attention/location.hpp"
#include "attention/addressing.hpp"

namespace mneme {

namespace {

/// w = sharpen(shift(w_{t-1}))   (NTM eq. 8, 9), each move where it is switched on
template <class T>
class Location final : public Addressing<T> {
 public:
  static AddressingDeclaration declare(const AddressingSetup& s) {
    return made_of("", "", switched_on({"shift", "sharpen"}, s), s);
  }
  Location(const Builder<T>&, const AddressingSetup& s) : sharpens_(s.sharpens) {}
  Var<T> operator()(Pass<T>& pass, Values<T> p, Var<T>, Var<T> previous) const override {
    const Var<T> moved = shift(pass.tape, previous, p[0]);
    if (!sharpens_) return moved;
    pass.seen("shifted", moved);
    return sharpen(pass.tape, moved, p[1]);
  }

 private:
  bool sharpens_;
};

const bool registered = register_addressing<Location>("location", "the last weighting, shifted and sharpened",
                                                      "Graves et al. 2014, eq. 8-9");

}  // namespace

}  // namespace mneme
