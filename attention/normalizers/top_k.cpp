// Room: attention. Normalizer top_k: a softmax over the K largest scores, exactly 0 elsewhere (Rae et al. 2016, section
// 3.1: sparse reads).
#include "attention/cases.hpp"
#include "attention/normalizers/rows.hpp"
#include "autodiff/softmax_row.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme {

using namespace normalizing;

namespace {

/// How many of `count` scores, `above` of them 0 or more, are among the K largest where `empty` more are 0 and stand
/// behind their equals; how many of the empty are.
struct Kept {
  std::size_t elements, empty;
};
Kept kept_of(std::size_t k, std::size_t count, std::size_t above, std::size_t empty) {
  const std::size_t places = k - std::min(k, above), zeros = std::min(places, empty);
  return {std::min(k, above) + std::min(places - zeros, count - above), zeros};
}

}  // namespace

// z = beta e;  S = the K largest z_i, of equal ones those of lower index, among what the mask lets through
// w_i = exp(z_i - max z) / sum_{j in S} exp(z_j - max z) for i in S, else 0; `empty` times z = 0 may be in S too
template <class T>
Var<T> top_k(Tape<T>& tape, std::size_t k, Var<T> scores, Mask mask, Var<T> beta) {
  const Rows r = rows_of("top_k", scores, beta);
  if (k == 0) fail<ArgumentError>("top_k", "the largest 0 scores are none");
  Var<T> w = tape.result(scores.shape, scores, beta);
  auto* order = tape.template scratch<std::uint32_t>(r.n);
  for (std::size_t row = 0; row < r.count(); ++row) {
    const T* e = scores.data + row * r.n;
    T* y = w.data + row * r.n;
    const std::uint8_t* may = mask_row(mask, r, row);
    const T b = beta ? beta.data[row] : T(1);
    std::size_t count = 0, above = 0;
    bool numbers = true;
    for (std::size_t i = 0; i < r.n; ++i) {
      if (may && !may[i]) continue;
      y[i] = b * e[i];
      numbers = numbers && !std::isnan(y[i]);
      above += y[i] >= 0;
      order[count++] = static_cast<std::uint32_t>(i);
    }
    if (!numbers || count == 0) {  // zeros where nothing may be attended to; else NaN, for the guard
      std::fill_n(y, r.n, count ? std::numeric_limits<T>::quiet_NaN() : T(0));
      continue;
    }
    const Kept kept = kept_of(k, count, above, mask.empty ? mask.empty[row / r.queries] : 0);
    if (kept.elements < count)
      std::nth_element(order, order + kept.elements, order + count,
                       [y](std::uint32_t i, std::uint32_t j) { return y[i] > y[j] || (y[i] == y[j] && i < j); });
    std::sort(order, order + kept.elements);  // so that the sum has one order
    T top = kept.empty ? T(0) : -std::numeric_limits<T>::infinity();
    for (std::size_t s = 0; s < kept.elements; ++s) top = std::max(top, y[order[s]]);
    T total = kept.empty ? static_cast<T>(kept.empty) * std::exp(-top) : T(0);
    for (std::size_t s = 0; s < kept.elements; ++s) total += y[order[s]] = std::exp(y[order[s]] - top);
    std::size_t s = 0;
    for (std::size_t i = 0; i < r.n; ++i)
      if (s < kept.elements && order[s] == i)
        y[i] /= total, ++s;
      else
        y[i] = 0;
  }
  // dz = w (dw - sum_j dw_j w_j), which is 0 outside S because w is
  tape.node("top_k", {w}, [=](Tape<T>& t) {
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
class TopK final : public Normalizer<T> {
 public:
  static constexpr bool continuous = false;
  static OptionTable options() {
    return OptionTable().integer("top-k", 8, 1, 1 << 20, "K, how many of the largest scores top_k keeps");
  }
  explicit TopK(const Options& o) : k_(o.size("top-k")) {}
  Var<T> operator()(Tape<T>& tape, Var<T> scores, Mask mask, Var<T> beta) const override {
    return top_k(tape, k_, scores, mask, beta);
  }

 private:
  std::size_t k_;
};

const bool registered = register_normalizer<TopK>("top_k", "softmax of the K largest scores, exactly 0 elsewhere",
                                                  "Rae et al. 2016, section 3.1");

// Fewer than there are, with and without masks; as many and more. No two scores lie within a step of each other.
const bool cases = register_cases("top_k", [](CaseList& list) {
  static constexpr std::uint8_t rows[] = {1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1};  // [2 9]
  static constexpr std::uint32_t empty[] = {2, 0};
  for (std::size_t k : {1, 2, 3, 8, 9, 20})
    for (const Mask mask : {Mask{}, Mask{rows}, Mask{rows, false, empty}})
      list.add(fmt::format("K={}{}{}", k, mask.data ? ", mask" : "", mask.empty ? ", empty elements" : ""),
               {{{2, 3, 9}, -2, 2}, {{2, 3}, 0.3, 3}},
               [=](Tape<double>& t, std::span<const Var<double>> x) { return top_k(t, k, x[0], mask, x[1]); });
});

}  // namespace

template Var<float> top_k(Tape<float>&, std::size_t, Var<float>, Mask, Var<float>);
template Var<double> top_k(Tape<double>&, std::size_t, Var<double>, Mask, Var<double>);

}  // namespace mneme
