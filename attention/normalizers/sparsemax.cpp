// Room: attention. Normalizer sparsemax: the point of the simplex nearest to the scores, so that weights can be exactly
// 0 (Martins & Astudillo 2016).
#include "attention/normalizers/rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme {

using namespace normalizing;

namespace {

/// Those of a row above the threshold tau.
struct Support {
  double tau = 0;
  double size = 0;  ///< empty elements count too
};

/// The tau with sum_i max(y_i - tau, 0) + empty max(zero - tau, 0) = 1 (eq. 4), where the largest of all is 0:
/// beginning with all that may be above it (tau >= -1), those at or below the tau of the others leave, until nobody
/// does. The largest never does, since tau < 0: a support is never empty.
template <class T>
Support support_of(const T* y, std::size_t n, double zero, std::uint32_t empty) {
  Support s{-1, 0};
  for (double before = -1; s.size != before;) {
    before = s.size;
    double sum = 0, size = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (static_cast<double>(y[i]) > s.tau) sum += static_cast<double>(y[i]), ++size;
    if (empty && zero > s.tau) sum += empty * zero, size += empty;
    s = {(sum - 1) / size, size};
  }
  return s;
}

// z = beta e;  w = max(z - tau, 0) over what the mask lets through
template <class T>
Var<T> sparsemax(Tape<T>& tape, Var<T> scores, Mask mask, Var<T> beta) {
  const Rows r = rows_of("sparsemax", scores, beta);
  constexpr T nowhere = -std::numeric_limits<T>::infinity();
  Var<T> w = tape.result(scores.shape, scores, beta);
  T* sizes = tape.allocate(r.count());
  for (std::size_t row = 0; row < r.count(); ++row) {
    const T* e = scores.data + row * r.n;
    T* y = w.data + row * r.n;
    const std::uint8_t* may = mask_row(mask, r, row);
    const std::uint32_t empty = mask.empty ? mask.empty[row / r.queries] : 0;
    const T b = beta ? beta.data[row] : T(1);
    T top = nowhere;
    bool any = false, finite = true;
    for (std::size_t i = 0; i < r.n; ++i) {
      if (may && !may[i]) continue;
      const T z = b * e[i];
      any = true;
      finite = finite && !std::isnan(z);
      if (z > top) top = z;
    }
    if (empty && top < 0) top = 0;
    sizes[row] = 1;
    if (!any || !finite || std::isinf(top)) {  // zeros where nothing may be attended to; else NaN, for the guard
      std::fill_n(y, r.n, any ? std::numeric_limits<T>::quiet_NaN() : T(0));
      continue;
    }
    for (std::size_t i = 0; i < r.n; ++i) y[i] = !may || may[i] ? b * e[i] - top : nowhere;
    const Support s = support_of(y, r.n, static_cast<double>(-top), empty);
    for (std::size_t i = 0; i < r.n; ++i)
      y[i] = static_cast<double>(y[i]) > s.tau ? static_cast<T>(static_cast<double>(y[i]) - s.tau) : T(0);
    sizes[row] = static_cast<T>(s.size);
  }
  // dz = s (dw - sum_j s_j dw_j / |S|), s = 1 on the support, else 0   (eq. 12)
  tape.node("sparsemax", {w}, [=](Tape<T>& t) {
    const T* dw = t.gradient(w);
    T* dz = t.allocate(w.size());
    for (std::size_t row = 0; row < r.count(); ++row) {
      const std::size_t at = row * r.n;
      T mean = 0;
      for (std::size_t i = at; i < at + r.n; ++i)
        if (w.data[i] != 0) mean += dw[i];
      mean /= sizes[row];
      for (std::size_t i = at; i < at + r.n; ++i) dz[i] = w.data[i] != 0 ? dw[i] - mean : T(0);
    }
    back_through_strength(t, r, dz, scores, beta);
  });
  return w;
}

template <class T>
using Sparsemax = PlainNormalizer<T, sparsemax<T>>;

const bool registered = register_normalizer<Sparsemax>(
    "sparsemax", "the nearest point of the simplex: far elements get exactly 0", "Martins & Astudillo 2016, eq. 2");

}  // namespace

}  // namespace mneme
