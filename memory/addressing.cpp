// Room: memory. The NTM's three ways to address, each score -> normalize (-> move).
#include "memory/addressing.hpp"

#include "attention/location.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"

namespace mneme {

namespace {

HeadParameter key(const AddressingSizes& s) {
  return {{"key", "", {s.width}, Kind::plain, "content key k_t", {"cell"}}, Squash::tanh};
}
HeadParameter beta() {
  return {{"beta", "", {}, Kind::positive, "key strength beta_t"}, Squash::softplus};
}
HeadParameter gate() {
  return {{"gate", "", {}, Kind::gate, "interpolation gate g_t"}, Squash::sigmoid};
}
HeadParameter shifts(const AddressingSizes& s) {
  return {{"shift", "", {s.shifts}, Kind::weights, "shift weighting s_t", {"shift_offset"}}, Squash::softmax};
}
HeadParameter gamma() {
  return {{"gamma", "", {}, Kind::positive, "sharpening gamma_t >= 1"}, Squash::one_plus_softplus};
}

Declared similarity(const AddressingSizes& s) {
  return {"similarity", "", {s.slots}, Kind::plain, "similarity K(k_t, M_t(i))", {"slot"}};
}
Declared content_weights(const AddressingSizes& s) {
  return {"content", "", {s.slots}, Kind::weights, "content weighting w^c_t", {"slot"}};
}
// What location addressing moves may be a weighting of zeros, the start where initial-weights is zero.
Declared gated(const AddressingSizes& s) {
  return {"gated", "", {s.slots}, Kind::sub_weights, "gated weighting w^g_t", {"slot"}};
}
Declared shifted(const AddressingSizes& s) {
  return {"shifted", "", {s.slots}, Kind::sub_weights, "shifted weighting w~_t", {"slot"}};
}

/// w^c = softmax_i(beta K(k, M(i)))   (NTM eq. 5, 6)
template <class T>
Var<T> content(Tape<T>& tape, Var<T> key, Var<T> beta, Var<T> memory) {
  const Var<T> query = key.reshaped({key.shape[0], 1, key.shape[1]});
  const Shape shape{key.shape[0], memory.shape[2]};
  const Var<T> score = cosine_score(tape, query, memory);
  tape.tap("similarity", score.reshaped(shape));
  const Var<T> w = softmax(tape, score, {}, beta).reshaped(shape);
  tape.tap("content", w);
  return w;
}

template <class T>
Var<T> address_content(Tape<T>& tape, Values<T> p, Var<T> memory, Var<T>) {
  return content(tape, p[0], p[1], memory);
}

template <class T>
Var<T> address_location(Tape<T>& tape, Values<T> p, Var<T>, Var<T> previous) {
  const Var<T> moved = shift(tape, previous, p[0]);
  tape.tap("shifted", moved);
  return sharpen(tape, moved, p[1]);
}

template <class T>
Var<T> address_content_location(Tape<T>& tape, Values<T> p, Var<T> memory, Var<T> previous) {
  return location(tape, content(tape, p[0], p[1], memory), previous, p[2], p[3], p[4]);
}

}  // namespace

Registry<AddressingPlugin>& addressing_schemes() {
  static Registry<AddressingPlugin> registry = [] {
    using Sizes = AddressingSizes;
    Registry<AddressingPlugin> r("addressing scheme");
    r.add("content", {"by similarity alone", "Graves et al. 2014, eq. 5-6", true, false,
                      [](const Sizes& s) -> std::vector<HeadParameter> {
                        return {key(s), beta()};
                      },
                      [](const Sizes& s) -> std::vector<Declared> {
                        return {similarity(s), content_weights(s)};
                      },
                      address_content<float>, address_content<double>});
    r.add("location", {"the last weighting, shifted and sharpened", "Graves et al. 2014, eq. 8-9", false, true,
                       [](const Sizes& s) -> std::vector<HeadParameter> {
                         return {shifts(s), gamma()};
                       },
                       [](const Sizes& s) -> std::vector<Declared> { return {shifted(s)}; }, address_location<float>,
                       address_location<double>});
    r.add("content_location",
          {"by similarity, then interpolated, shifted and sharpened", "Graves et al. 2014, eq. 5-9", true, true,
           [](const Sizes& s) -> std::vector<HeadParameter> {
             return {key(s), beta(), gate(), shifts(s), gamma()};
           },
           [](const Sizes& s) -> std::vector<Declared> {
             return {similarity(s), content_weights(s), gated(s), shifted(s)};
           },
           address_content_location<float>, address_content_location<double>});
    return r;
  }();
  return registry;
}

}  // namespace mneme
