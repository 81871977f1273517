// Room: attention. Step 2 of 3, normalize.
#include "attention/normalize.hpp"

#include "autodiff/lanes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme {

namespace {

struct Rows {
  std::size_t batch, queries, n;
  std::size_t count() const { return batch * queries; }
};

template <class T>
Rows rows_of(const char* op, const Var<T>& scores, const Var<T>& beta) {
  if (scores.shape.rank() != 3) fail<ArgumentError>(op, "scores {} are not [B Q N]", scores.shape.text());
  const Rows r{scores.shape[0], scores.shape[1], scores.shape[2]};
  if (beta && beta.size() != r.count())
    fail<ArgumentError>(op, "beta {} for scores {}", beta.shape.text(), scores.shape.text());
  return r;
}

const std::uint8_t* mask_row(const Mask& mask, const Rows& r, std::size_t row) {
  return mask.data ? mask.data + (mask.per_query ? row : row / r.queries) * r.n : nullptr;
}

/// dz (the gradient at z = beta e, zero where masked) to e and beta
template <class T>
void back_through_strength(Tape<T>& t, const Rows& r, const T* dz, Var<T> scores, Var<T> beta) {
  t.accumulate(scores, [&](auto into, T* de) {
    for (std::size_t row = 0; row < r.count(); ++row) {
      const Simd<T> b(beta ? beta.data[row] : T(1));
      lanes<T>(r.n, [&](auto lane, std::size_t i) {
        into.store(lane, de + row * r.n + i, b * lane.load(dz + row * r.n + i));
      });
    }
  });
  if (beta)
    t.accumulate(beta, [&](auto into, T* db) {
      for (std::size_t row = 0; row < r.count(); ++row)
        into(db[row], lanes_sum<T>(r.n, [&](auto lane, std::size_t i) {
               return lane.load(dz + row * r.n + i) * lane.load(scores.data + row * r.n + i);
             }));
    });
}

}  // namespace

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
    T total = lanes_sum<T>(r.n, [&](auto lane, std::size_t i) {
      const auto x = xsimd::exp(lane.load(y + i));
      lane.store(y + i, x);
      return x;
    });
    if (empty) total += static_cast<T>(empty) * std::exp(-top);
    const Simd<T> scale(1 / total);
    lanes<T>(r.n, [&](auto lane, std::size_t i) { lane.store(y + i, scale * lane.load(y + i)); });
  }
  // dz = w (dw - sum_j dw_j w_j)
  tape.node("softmax", {w}, [=](Tape<T>& t) {
    const T* dw = t.gradient(w);
    T* dz = t.allocate(w.size());
    for (std::size_t at = 0; at < w.size(); at += r.n) {
      const Simd<T> mean(lanes_sum<T>(
          r.n, [&](auto lane, std::size_t i) { return lane.load(dw + at + i) * lane.load(w.data + at + i); }));
      lanes<T>(r.n, [&](auto lane, std::size_t i) {
        lane.store(dz + at + i, lane.load(w.data + at + i) * (lane.load(dw + at + i) - mean));
      });
    }
    back_through_strength(t, r, dz, scores, beta);
  });
  return w;
}

template <class T>
Var<T> sigmoid_normalize(Tape<T>& tape, Var<T> scores, Mask mask, Var<T> beta) {
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

const Registry<NormalizerPlugin>& normalizers() {
  static const Registry<NormalizerPlugin> registry = [] {
    Registry<NormalizerPlugin> r("normalizer");
    r.add("softmax", {"exp(e) / sum exp(e): the elements compete", true, softmax<float>, softmax<double>});
    r.add("sigmoid",
          {"1 / (1 + exp(-e)): each element on its own", false, sigmoid_normalize<float>, sigmoid_normalize<double>});
    return r;
  }();
  return registry;
}

#define MNEME_INSTANTIATE(T)                               \
  template Var<T> softmax(Tape<T>&, Var<T>, Mask, Var<T>); \
  template Var<T> sigmoid_normalize(Tape<T>&, Var<T>, Mask, Var<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
