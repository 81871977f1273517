// Room: attention. Normalizer softmax.
#include "attention/normalizers/rows.hpp"
#include "autodiff/softmax_row.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme {

using namespace normalizing;

// z = beta e;  w = exp(z - max z) / sum exp(z - max z) over what the mask lets through, with `empty` times z = 0 in
// maximum and sum
template <class T>
Var<T> softmax(Tape<T>& tape, Var<T> scores, Mask mask, Var<T> beta) {
  const Rows r = rows_of("softmax", scores, beta);
  Var<T> w = tape.result(scores.shape, scores, beta);
  for (std::size_t row = 0; row < r.count(); ++row) {
    const T* e = scores.data + row * r.n;
    T* y = w.data + row * r.n;
    const std::uint8_t* may = mask_row(mask, r, row);
    if (r.n == 0) break;
    const T b = beta ? beta.data[row] : T(1);
    const std::uint32_t empty = mask.empty ? mask.empty[row / r.queries] : 0;
    T top = -std::numeric_limits<T>::infinity();
    if (may) {
      bool any = false;  // a NaN is in no maximum, and its row is no masked one
      for (std::size_t i = 0; i < r.n; ++i) {
        y[i] = may[i] ? b * e[i] : -std::numeric_limits<T>::infinity();
        top = std::max(top, y[i]);
        any = any || may[i];
      }
      if (!any) {
        std::fill_n(y, r.n, T(0));
        continue;
      }
      if (empty) top = std::max(top, T(0));
      for (std::size_t i = 0; i < r.n; ++i) y[i] = may[i] ? y[i] - top : T(-1e4);  // exp gives 0, and no inf - inf
    } else {
      lanes<T>(r.n, [&](auto lane, std::size_t i) { lane.store(y + i, Simd<T>(b) * lane.load(e + i)); });
      top = largest(y, r.n);
      if (empty) top = std::max(top, T(0));
      lanes<T>(r.n, [&](auto lane, std::size_t i) { lane.store(y + i, lane.load(y + i) - Simd<T>(top)); });
    }
    T total = exponentials(r.n, y, [&](auto lane, std::size_t i) { return lane.load(y + i); });
    if (empty) total += static_cast<T>(empty) * std::exp(-top);  // in one rounding: the bits of stored runs
    scale_row(r.n, 1 / total, y);
  }
  // dz = w (dw - sum_j dw_j w_j)
  tape.node("softmax", {w}, [=](Tape<T>& t) {
    const T* dw = t.gradient(w);
    T* dz = t.allocate(w.size());
    for (std::size_t at = 0; at < w.size(); at += r.n)
      softmax_row_back(r.n, w.data + at, dw + at,
                       [&](auto lane, std::size_t i, Simd<T> z) { lane.store(dz + at + i, z); });
    back_through_strength(t, r, dz, scores, beta);
  });
  return w;
}

namespace {

template <class T>
using Softmax = PlainNormalizer<T, softmax<T>>;

const bool registered = register_normalizer<Softmax>("softmax", "exp(e) / sum exp(e): the elements compete", "");

}  // namespace

template Var<float> softmax(Tape<float>&, Var<float>, Mask, Var<float>);
template Var<double> softmax(Tape<double>&, Var<double>, Mask, Var<double>);

}  // namespace mneme
