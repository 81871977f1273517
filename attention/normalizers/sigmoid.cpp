// Room: attention. Normalizer sigmoid: each element on its own; rows need not sum to 1.
#include "attention/normalizers/rows.hpp"

namespace mneme {

using namespace normalizing;

namespace {

// w = 1 / (1 + exp(-beta e))
template <class T>
Var<T> sigmoid(Tape<T>& tape, Var<T> scores, Mask mask, Var<T> beta) {
  const Rows r = rows_of("sigmoid", scores, beta);
  Var<T> w = tape.result(scores.shape, scores, beta);
  for (std::size_t row = 0; row < r.count(); ++row) {
    const std::size_t at = row * r.n;
    const Simd<T> b(beta ? beta.data[row] : T(1));
    lanes<T>(r.n, [&](auto lane, std::size_t i) {
      lane.store(w.data + at + i, sigmoid_of<T>(b * lane.load(scores.data + at + i)));
    });
    if (const std::uint8_t* may = mask_row(mask, r, row))
      for (std::size_t i = 0; i < r.n; ++i)
        if (!may[i]) w.data[at + i] = 0;
  }
  // dz = dw w (1 - w), which is 0 where masked because w is
  tape.node("sigmoid_normalize", {w}, [=](Tape<T>& t) {
    const T* dw = t.gradient(w);
    T* dz = t.allocate(w.size());
    lanes<T>(w.size(), [&](auto lane, std::size_t i) {
      const Simd<T> y = lane.load(w.data + i);
      lane.store(dz + i, lane.load(dw + i) * y * (Simd<T>(T(1)) - y));
    });
    back_through_strength(t, r, dz, scores, beta);
  });
  return w;
}

template <class T>
using Sigmoid = PlainNormalizer<T, sigmoid<T>, /*SumsToOne=*/false>;

const bool registered = register_normalizer<Sigmoid>("sigmoid", "1 / (1 + exp(-e)): each element on its own", "");

}  // namespace

}  // namespace mneme
