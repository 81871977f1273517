// Room: benchmarks. The hand-written NTM training step. Equation numbers are those of Graves et al. 2014.
#include "benchmarks/handwritten_ntm.hpp"

#include "attention/location.hpp"
#include "attention/score.hpp"
#include "autodiff/lanes.hpp"
#include "core/batch.hpp"

#include <cblas.h>
#include <algorithm>
#include <cmath>

namespace mneme::bench {

namespace {

constexpr std::size_t H = 100, N = 128, M = 20, C = 9, K = 8;  // hidden, slots, width, channels, outputs
constexpr std::size_t G = 4 * H;

// A step's row of inputs: 1, x_t, r_{t-1}, h_{t-1}, 1. The ones make biases rows of the weights.
constexpr std::size_t row = 144, one_at = 2, r_at = 12, h_at = 32;
constexpr std::size_t F = M + H;  // [r h]

// A step's row of head numbers, by activation; 92..95 keep the softplus derivatives.
constexpr std::size_t P = 96;
enum Column : std::size_t {
  read_key = 0,
  write_key = 20,
  add_at = 40,
  erase_at = 60,
  gate_at = 80,
  shift_at = 82,
  beta_at = 88,
  gamma_at = 90,
  slope_at = 92
};
constexpr std::size_t tanh_count = 60, small_at = 80;

// The flat parameters.
constexpr std::size_t w_lstm = 0;                          // [1+C+M+H, 4H]
constexpr std::size_t w_heads = w_lstm + (1 + C + F) * G;  // [H+1, P]
constexpr std::size_t w_out = w_heads + (H + 1) * P;       // [M+H+1, K]
constexpr std::size_t h_first = w_out + 976, c_first = h_first + 112, r_first = c_first + 112, total = r_first + 32;
// and their transposed copies: of the rows of [r h] in the first, and of h in the second
constexpr std::size_t t_lstm = 0, t_heads = t_lstm + F * G, t_total = t_heads + H * P;

/// Our column of the raw head numbers -> Column.
std::size_t column_of(std::size_t ours) {
  const std::size_t writes = ours / 26, j = ours - 26 * std::min<std::size_t>(writes, 1);
  if (ours >= 72) return add_at + (ours - 72);
  if (ours >= 52) return erase_at + (ours - 52);
  if (j < 20) return (writes ? write_key : read_key) + j;
  if (j == 20) return beta_at + writes;
  if (j == 21) return gate_at + writes;
  if (j < 25) return shift_at + 3 * writes + (j - 22);
  return gamma_at + writes;
}

struct Entry {
  const char* name;
  Shape shape;
  std::size_t (*place)(std::size_t i);  ///< our index -> flat index
};
const Entry entries[] = {
    {"controller.layer_0.weight", {C + F, G}, [](std::size_t i) { return w_lstm + G + i; }},
    {"controller.layer_0.bias", {4, H}, [](std::size_t i) { return w_lstm + i; }},
    {"controller.layer_0.initial_h", {H}, [](std::size_t i) { return h_first + i; }},
    {"controller.layer_0.initial_c", {H}, [](std::size_t i) { return c_first + i; }},
    {"memory.read_0.initial_value", {M}, [](std::size_t i) { return r_first + i; }},
    {"memory.heads.weight", {H, 92}, [](std::size_t i) { return w_heads + i / 92 * P + column_of(i % 92); }},
    {"memory.heads.bias", {92}, [](std::size_t i) { return w_heads + H * P + column_of(i); }},
    {"readout.weight",
     {H + M, K},
     [](std::size_t i) { return w_out + (i / K < H ? i / K + M : i / K - H) * K + i % K; }},
    {"readout.bias", {K}, [](std::size_t i) { return w_out + F * K + i; }},
};

// clang-format off
void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda, const float* b,
          std::size_t ldb, float beta, float* c, std::size_t ldc) {
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, int(m), int(n), int(k), 1,
              a, int(lda), b, int(ldb), beta, c, int(ldc));
}
void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const double* a, std::size_t lda,
          const double* b, std::size_t ldb, double beta, double* c, std::size_t ldc) {
  cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, int(m), int(n), int(k), 1,
              a, int(lda), b, int(ldb), beta, c, int(ldc));
}
// clang-format on

template <class T>
constexpr std::size_t L = Simd<T>::size;
template <class T>
Simd<T> load(const T* p) {
  return Simd<T>::load_unaligned(p);
}

/// out[i] = sum of the numbers of acc[i]
template <class T, std::size_t count>
inline void sum_registers(const Simd<T>* acc, T* out) {
  // xsimd 8 adds up the wrong lanes of sixteen (AVX-512).
  constexpr std::size_t whole = L<T> < 16 ? count / L<T> * L<T> : 0;
  for (std::size_t i = 0; i < whole; i += L<T>) xsimd::haddp(acc + i).store_unaligned(out + i);
  if constexpr (whole < count)
    for (std::size_t i = whole; i < count; ++i) out[i] = xsimd::hadd(acc[i]);
}

// The two products of one row, eight rows of w at a time: 15 % (LSTM) to 45 % (heads) faster than sgemv.
/// y[n] += x[k] w[k n]
template <class T, std::size_t k, std::size_t n>
void row_product(const T* x, const T* w, T* y) {
  using V = Simd<T>;
  constexpr std::size_t whole = k / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    V xs[8];
    for (std::size_t r = 0; r < 8; ++r) xs[r] = V(x[i + r]);
    const T* p = w + i * n;
    for (std::size_t j = 0; j < n; j += L<T>) {
      V even = load(y + j), odd(T(0));
#pragma GCC unroll 4
      for (std::size_t r = 0; r < 8; r += 2) {
        even = xsimd::fma(xs[r], load(p + r * n + j), even);
        odd = xsimd::fma(xs[r + 1], load(p + (r + 1) * n + j), odd);
      }
      (even + odd).store_unaligned(y + j);
    }
  }
  if constexpr (whole < k)
    for (std::size_t i = whole; i < k; ++i)
      for (std::size_t j = 0; j < n; j += L<T>)
        xsimd::fma(V(x[i]), load(w + i * n + j), load(y + j)).store_unaligned(y + j);
}
/// dx[k] += w[k n] dy[n]
template <class T, std::size_t k, std::size_t n>
void row_product_back(const T* dy, const T* w, T* dx) {
  using V = Simd<T>;
  constexpr std::size_t whole = k / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    V s[8];
    for (auto& v : s) v = V(T(0));
    const T* p = w + i * n;
    for (std::size_t j = 0; j < n; j += L<T>) {
      const V d = load(dy + j);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < 8; ++r) s[r] = xsimd::fma(d, load(p + r * n + j), s[r]);
    }
    T sums[8];
    sum_registers<T, 8>(s, sums);
    for (std::size_t r = 0; r < 8; ++r) dx[i + r] += sums[r];
  }
  if constexpr (whole < k)
    for (std::size_t i = whole; i < k; ++i) {
      V s(T(0));
      for (std::size_t j = 0; j < n; j += L<T>) s = xsimd::fma(load(dy + j), load(w + i * n + j), s);
      dx[i] += xsimd::hadd(s);
    }
}

/// y[rows n] += x[rows k] w[k n]
template <class T, std::size_t k, std::size_t n>
void product(std::size_t rows, const T* x, std::size_t ldx, const T* w, T* y) {
  if (rows == 1)
    row_product<T, k, n>(x, w, y);
  else
    gemm(false, false, rows, n, k, x, ldx, w, n, T(1), y, n);
}
/// dx[rows k] += dy[rows n] w[k n]^T; wt is the transposed copy or null
template <class T, std::size_t k, std::size_t n>
void product_back(std::size_t rows, const T* dy, const T* w, const T* wt, T* dx, std::size_t ldx) {
  if (rows == 1)
    row_product_back<T, k, n>(dy, w, dx);
  else if (wt)
    gemm(false, false, rows, k, n, dy, n, wt, k, T(1), dx, ldx);
  else
    gemm(false, true, rows, k, n, dy, n, w, n, T(1), dx, ldx);
}

/// f(i) for every register of a row of N.
template <class T, class Fn>
inline void each(Fn&& f) {
#pragma GCC unroll 4
  for (std::size_t i = 0; i < N; i += L<T>) f(i);
}
/// Sums of f(i)[0..count) over a row of N, in two chains each.
template <class T, std::size_t count, class Fn>
inline std::array<T, count> sums(Fn&& f) {
  Simd<T> even[count], odd[count];
  for (std::size_t c = 0; c < count; ++c) even[c] = odd[c] = Simd<T>(T(0));
#pragma GCC unroll 4
  for (std::size_t i = 0; i < N; i += 2 * L<T>) {
    const std::array<Simd<T>, count> a = f(i), b = f(i + L<T>);
    for (std::size_t c = 0; c < count; ++c) even[c] += a[c], odd[c] += b[c];
  }
  std::array<T, count> result;
  for (std::size_t c = 0; c < count; ++c) result[c] = xsimd::hadd(even[c] + odd[c]);
  return result;
}
template <class T, class Fn>
inline T sum(Fn&& f) {
  return sums<T, 1>([&](std::size_t i) { return std::array<Simd<T>, 1>{f(i)}; })[0];
}
template <class T>
inline T highest(Simd<T> v) {
  alignas(64) T a[L<T>];
  v.store_aligned(a);
  for (std::size_t half = L<T> / 2; half; half /= 2)
    for (std::size_t j = 0; j < half; ++j) a[j] = a[j] > a[j + half] ? a[j] : a[j + half];
  return a[0];
}

// What a head keeps of a step, per row of the batch.
enum Kept : std::size_t {
  weights = 0,
  content = N,
  cosine = 2 * N,
  shifted = 3 * N,
  log_shifted = 4 * N,
  kept = 5 * N
};

/// From dots k . M(i) and 1/|M(i)| to the new weighting (eq. 5-9). p: the step's head numbers; h: 0 read, 1 write.
template <class T>
void address(const T* p, std::size_t h, const T* dot, const T* inverse_norm, T a, const T* previous, T* keep) {
  using V = Simd<T>;
  const V beta(p[beta_at + h]), scale(a);
  V top(-std::numeric_limits<T>::max());
  each<T>([&](std::size_t i) {
    const V c = load(dot + i) * load(inverse_norm + i) * scale;
    c.store_unaligned(keep + cosine + i);
    top = xsimd::max(top, beta * c);
  });
  const V peak(highest<T>(top));
  const V norm(1 / sum<T>([&](std::size_t i) {
                 const V e = xsimd::exp(beta * load(keep + cosine + i) - peak);
                 e.store_unaligned(keep + content + i);
                 return e;
               }));
  alignas(64) T gated[N + 2 * 16];
  T* centre = gated + 16;
  const V g(p[gate_at + h]), rest(1 - p[gate_at + h]);
  each<T>([&](std::size_t i) {
    const V wc = norm * load(keep + content + i);
    wc.store_unaligned(keep + content + i);
    (g * wc + rest * load(previous + i)).store_unaligned(centre + i);
  });
  centre[-1] = centre[N - 1];
  centre[N] = centre[0];
  const T* s = p + shift_at + 3 * h;
  const V s0(s[0]), s1(s[1]), s2(s[2]), eps(static_cast<T>(sharpen_epsilon)), gamma(p[gamma_at + h]);
  top = V(-std::numeric_limits<T>::max());
  each<T>([&](std::size_t i) {
    const V w = s0 * load(centre + i + 1) + s1 * load(centre + i) + s2 * load(centre + i - 1);
    w.store_unaligned(keep + shifted + i);
    const V l = xsimd::log(w + eps);
    l.store_unaligned(keep + log_shifted + i);
    top = xsimd::max(top, l);
  });
  const V summit = gamma * V(highest<T>(top));
  const V sharp(1 / sum<T>([&](std::size_t i) {
                  const V e = xsimd::exp(gamma * load(keep + log_shifted + i) - summit);
                  e.store_unaligned(keep + weights + i);
                  return e;
                }));
  each<T>([&](std::size_t i) { (sharp * load(keep + weights + i)).store_unaligned(keep + weights + i); });
}

/// Back from dw: dprevious (written over dw), `to_key` = dc b a and `shrink` = dc c b^2 with b = 1/|M(i)|; the
/// gradient of the head's scalars goes to dp (before the activations). Returns sum dc c.
template <class T>
T address_back(const T* p, std::size_t h, const T* inverse_norm, T a, const T* previous, const T* keep, T* dw,
               T* to_key, T* shrink, T* dp) {
  using V = Simd<T>;
  const T mean_w = sum<T>([&](std::size_t i) { return load(dw + i) * load(keep + weights + i); });
  const V mean(mean_w), gamma(p[gamma_at + h]), eps(static_cast<T>(sharpen_epsilon));
  const V g(p[gate_at + h]), rest(1 - p[gate_at + h]);
  alignas(64) T gated[N + 2 * 16], dshifted[N + 2 * 16];
  T *w = gated + 16, *d = dshifted + 16;
  const T dgamma = sum<T>([&](std::size_t i) {
    const V dz = load(keep + weights + i) * (load(dw + i) - mean);
    (gamma * dz / (load(keep + shifted + i) + eps)).store_unaligned(d + i);
    (g * load(keep + content + i) + rest * load(previous + i)).store_unaligned(w + i);
    return dz * load(keep + log_shifted + i);
  });
  w[-1] = w[N - 1], w[N] = w[0], d[-1] = d[N - 1], d[N] = d[0];
  const T* s = p + shift_at + 3 * h;
  const V s0(s[0]), s1(s[1]), s2(s[2]);
  // ds, dg and the mean of the content softmax in one pass
  const auto pass = sums<T, 5>([&](std::size_t i) {
    const V di = load(d + i);
    const V dg = s0 * load(d + i - 1) + s1 * di + s2 * load(d + i + 1);
    const V wc = load(keep + content + i);
    dg.store_unaligned(to_key + i);
    (rest * dg).store_unaligned(dw + i);
    return std::array<V, 5>{di * load(w + i + 1), di * load(w + i), di * load(w + i - 1),
                            dg * (wc - load(previous + i)), g * dg * wc};
  });
  const V mean_c(pass[4]), beta(p[beta_at + h]), scale(a);
  const T dbeta = sum<T>([&](std::size_t i) {
    const V c = load(keep + cosine + i), b = load(inverse_norm + i);
    const V dz = load(keep + content + i) * (g * load(to_key + i) - mean_c);
    const V dc = beta * dz;
    (dc * b * scale).store_unaligned(to_key + i);
    (dc * c * b * b).store_unaligned(shrink + i);
    return dz * c;
  });
  const T inner = pass[0] * s[0] + pass[1] * s[1] + pass[2] * s[2];
  for (std::size_t o = 0; o < 3; ++o) dp[shift_at + 3 * h + o] = s[o] * (pass[o] - inner);
  dp[gate_at + h] = pass[3] * p[gate_at + h] * (1 - p[gate_at + h]);
  dp[beta_at + h] = dbeta * p[slope_at + h];
  dp[gamma_at + h] = dgamma * p[slope_at + 2 + h];
  return p[beta_at + h] * dbeta;
}

/// 1 / sqrt(|u|^2 + eps)
template <class T>
T inverse_length(const T* u) {
  T square = 0;
  for (std::size_t m = 0; m < M; ++m) square += u[m] * u[m];
  return 1 / std::sqrt(square + static_cast<T>(cosine_epsilon));
}

/// Activations of a row of head numbers, in place.
template <class T>
void squash(T* p) {
  lanes<T>(tanh_count, [&](auto lane, std::size_t i) { lane.store(p + i, xsimd::tanh(lane.load(p + i))); });
  lanes<T>(M,
           [&](auto lane, std::size_t i) { lane.store(p + erase_at + i, sigmoid_of<T>(lane.load(p + erase_at + i))); });
  alignas(64) T e[16];  // exponentials of the small ones: 2 gates, 2 x 3 shifts, 4 strengths
  T* q = p + small_at;
  e[0] = -q[0], e[1] = -q[1];
  for (std::size_t h = 0; h < 2; ++h) {
    const T* s = q + 2 + 3 * h;
    const T top = std::max(s[0], std::max(s[1], s[2]));
    for (std::size_t o = 0; o < 3; ++o) e[2 + 3 * h + o] = s[o] - top;
  }
  for (std::size_t j = 8; j < 12; ++j) e[j] = -std::abs(q[j]);
  for (std::size_t j = 12; j < 16; ++j) e[j] = 0;
  for (std::size_t j = 0; j < 16; j += L<T>) xsimd::exp(load(e + j)).store_unaligned(e + j);
  q[0] = 1 / (1 + e[0]), q[1] = 1 / (1 + e[1]);
  for (std::size_t h = 0; h < 2; ++h) {
    const T* s = e + 2 + 3 * h;
    const T norm = 1 / (s[0] + s[1] + s[2]);
    for (std::size_t o = 0; o < 3; ++o) q[2 + 3 * h + o] = s[o] * norm;
  }
  alignas(64) T l[16] = {};
  std::copy_n(e + 8, 4, l);
  for (std::size_t j = 0; j < 4; j += L<T>) xsimd::log1p(load(l + j)).store_unaligned(l + j);
  for (std::size_t j = 0; j < 4; ++j) {
    const T x = q[8 + j];
    q[12 + j] = (x > 0 ? 1 : e[8 + j]) / (1 + e[8 + j]);           // sigmoid
    q[8 + j] = (x > 0 ? x : T(0)) + l[j] + (j < 2 ? T(0) : T(1));  // softplus, or one more for gamma
  }
}

template <class T>
void transpose(const T* from, std::size_t rows, std::size_t columns, std::size_t stride, T* to) {
  constexpr std::size_t tile = 16;
  for (std::size_t i0 = 0; i0 < rows; i0 += tile)
    for (std::size_t j0 = 0; j0 < columns; j0 += tile)
      for (std::size_t j = j0; j < std::min(j0 + tile, columns); ++j)
        for (std::size_t i = i0; i < std::min(i0 + tile, rows); ++i) to[j * rows + i] = from[i * stride + j];
}

}  // namespace

/// Everything a shard needs; rows of one time step are together. Slot 0 of the time axis is the initial state.
template <class T>
struct HandwrittenNtm<T>::Work {
  std::size_t rows = 0, steps = 0;
  FlatArray<T> x, z, cell, squashed, raw, logits, memory, inverse_norm, head[2], length[2], dx;
  FlatArray<T> dmemory, dweights[2], pending, dcell;  // carried from step to step, a row of the batch each

  static constexpr std::size_t pending_size = 2 * N + 32;  // of the write head: to_key, shrink, the key

  void resize(std::size_t r, std::size_t s) {
    if (r == rows && s <= steps) return;
    rows = r;
    steps = std::max(s, steps);
    const std::size_t all = (steps + 1) * rows;
    std::size_t stagger = 5;
    const auto make = [&](FlatArray<T>& a, std::size_t n) { a = FlatArray<T>(n, stagger += 3); };
    make(x, all * row), make(z, all * G), make(cell, all * H), make(squashed, all * H), make(raw, all * P);
    make(logits, all * K), make(memory, all * M * N), make(inverse_norm, all * N), make(dx, all * row);
    for (auto& h : head) make(h, all * kept);
    for (auto& a : length) make(a, all);
    make(dmemory, rows * M * N), make(pending, rows * pending_size), make(dcell, rows * H);
    for (auto& d : dweights) make(d, rows * N);
    for (std::size_t i = 0; i < all; ++i) x[i * row + one_at] = x[i * row + h_at + H] = 1;
    std::fill_n(memory.data(), rows * M * N, T(1e-6));
    std::fill_n(inverse_norm.data(), rows * N,
                1 / std::sqrt(T(M) * T(1e-6) * T(1e-6) + static_cast<T>(cosine_epsilon)));
    for (std::size_t b = 0; b < rows; ++b)
      for (auto& h : head) h[b * kept + weights] = 1;
  }
  std::size_t bytes() const {
    std::size_t n = 0;
    for (const auto* a : {&x, &z, &cell, &squashed, &raw, &logits, &memory, &inverse_norm, &head[0], &head[1], &dx,
                          &dmemory, &dweights[0], &dweights[1], &pending, &dcell})
      n += a->size() * sizeof(T);
    return n;
  }
};

template <class T>
HandwrittenNtm<T>::HandwrittenNtm(ParameterSet<T>& set, const HandwrittenOptions& options)
    : options_(options),
      value_(total, 0),
      gradient_(total, 2),
      square_(total, 4),
      mean_(total, 6),
      momentum_(total, 8),
      transposed_(t_total, 10),
      work_(std::make_unique<Work>()) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < set.parameters().size(); ++i)
    for (const Entry& e : entries)
      if (set.parameters()[i].name == e.name) {
        if (!(set.parameters()[i].shape == e.shape))
          fail<InvariantError>("handwritten", "{} is {}, not {}", e.name, set.parameters()[i].shape.text(),
                               e.shape.text());
        ++found;
        for (std::size_t j = 0; j < e.shape.size(); ++j) value_[e.place(j)] = set.value(i)[j];
      }
  if (found != std::size(entries) || found != set.parameters().size())
    fail<InvariantError>("handwritten", "found {} of {} parameters in a model of {}", found, std::size(entries),
                         set.parameters().size());
  make_transposed();
}

template <class T>
HandwrittenNtm<T>::~HandwrittenNtm() = default;

template <class T>
void HandwrittenNtm<T>::make_transposed() {
  if (!options_.transposed) return;
  transpose(value_.data() + w_lstm + (1 + C) * G, F, G, G, transposed_.data() + t_lstm);
  transpose(value_.data() + w_heads, H, P, P, transposed_.data() + t_heads);
}

template <class T>
void HandwrittenNtm<T>::begin() {
  fresh_ = true;
}

// Write first: address on M_{t-1}, erase and add (eq. 3-4), then read what was written (eq. 2). The pass that writes
// M_t also takes its norms and its dots with the read key.
template <class T>
void HandwrittenNtm<T>::forward_memory(std::size_t t, std::size_t b) {
  using V = Simd<T>;
  Work& k = *work_;
  const std::size_t before = t * k.rows + b, after = before + k.rows;
  T* p = k.raw.data() + before * P;
  squash(p);
  const T* old = k.memory.data() + before * M * N;
  T* mem = k.memory.data() + after * M * N;
  alignas(64) T dot[N];
  constexpr std::size_t U = 4;  // registers of slots at a time
  for (std::size_t i = 0; i < N; i += U * L<T>) {
    V d[U];
    for (auto& v : d) v = V(T(0));
    for (std::size_t m = 0; m < M; ++m) {
      const V key(p[write_key + m]);
#pragma GCC unroll 4
      for (std::size_t u = 0; u < U; ++u) d[u] = xsimd::fma(key, load(old + m * N + i + u * L<T>), d[u]);
    }
    for (std::size_t u = 0; u < U; ++u) d[u].store_unaligned(dot + i + u * L<T>);
  }
  T* write = k.head[1].data() + after * kept;
  const T a = k.length[1][after] = inverse_length(p + write_key);
  address(p, 1, dot, k.inverse_norm.data() + before * N, a, k.head[1].data() + before * kept, write);

  const V one(T(1)), eps(static_cast<T>(cosine_epsilon));
  T* inverse_norm = k.inverse_norm.data() + after * N;
  constexpr std::size_t W = L<T> * sizeof(T) == 64 ? 4 : 2;  // two sums and the weights stay in registers
  for (std::size_t i = 0; i < N; i += W * L<T>) {
    V d[W], norm[W], w[W];
    for (std::size_t u = 0; u < W; ++u) d[u] = norm[u] = V(T(0)), w[u] = load(write + weights + i + u * L<T>);
    for (std::size_t m = 0; m < M; ++m) {
      const V key(p[read_key + m]), erase(p[erase_at + m]), add(p[add_at + m]);
#pragma GCC unroll 4
      for (std::size_t u = 0; u < W; ++u) {
        const V x = load(old + m * N + i + u * L<T>);
        const V y = xsimd::fma(w[u], xsimd::fnma(erase, x, add), x);  // M + w (a - e M)
        y.store_unaligned(mem + m * N + i + u * L<T>);
        d[u] = xsimd::fma(key, y, d[u]);
        norm[u] = xsimd::fma(y, y, norm[u]);
      }
    }
    for (std::size_t u = 0; u < W; ++u) {
      d[u].store_unaligned(dot + i + u * L<T>);
      (one / xsimd::sqrt(norm[u] + eps)).store_unaligned(inverse_norm + i + u * L<T>);
    }
  }
  T* read = k.head[0].data() + after * kept;
  const T ra = k.length[0][after] = inverse_length(p + read_key);
  address(p, 0, dot, inverse_norm, ra, k.head[0].data() + before * kept, read);
  V acc[M];
  for (std::size_t m = 0; m < M; m += 4) {
    V s[4];
    for (auto& v : s) v = V(T(0));
    for (std::size_t i = 0; i < N; i += L<T>) {
      const V w = load(read + weights + i);
#pragma GCC unroll 4
      for (std::size_t u = 0; u < 4; ++u) s[u] = xsimd::fma(w, load(mem + (m + u) * N + i), s[u]);
    }
    for (std::size_t u = 0; u < 4; ++u) acc[m + u] = s[u];
  }
  sum_registers<T, M>(acc, k.x.data() + after * row + r_at);
}

// The gradient at M_t is put together, used and sent on to M_{t-1} in one pass over both. What the write head's score
// at t+1 sends to M_t waits in `pending` until then.
template <class T>
void HandwrittenNtm<T>::backward_memory(std::size_t t, std::size_t b) {
  using V = Simd<T>;
  Work& k = *work_;
  const std::size_t before = t * k.rows + b, after = before + k.rows;
  alignas(64) T p[P], dp[P];
  T* raw = k.raw.data() + before * P;
  std::copy_n(raw, P, p);
  const T *mem = k.memory.data() + after * M * N, *old = k.memory.data() + before * M * N;
  const T* dr = k.dx.data() + after * row + r_at;
  T *dwr = k.dweights[0].data() + b * N, *dww = k.dweights[1].data() + b * N, *dm = k.dmemory.data() + b * M * N;
  T* pending = k.pending.data() + b * Work::pending_size;
  T *to_write_key = pending, *write_shrink = pending + N, *later_key = pending + 2 * N;

  constexpr std::size_t U = 4;
  for (std::size_t i = 0; i < N; i += U * L<T>) {
    V d[U];
    for (std::size_t u = 0; u < U; ++u) d[u] = load(dwr + i + u * L<T>);
    for (std::size_t m = 0; m < M; ++m) {
      const V g(dr[m]);
#pragma GCC unroll 4
      for (std::size_t u = 0; u < U; ++u) d[u] = xsimd::fma(g, load(mem + m * N + i + u * L<T>), d[u]);
    }
    for (std::size_t u = 0; u < U; ++u) d[u].store_unaligned(dwr + i + u * L<T>);
  }
  alignas(64) T to_read_key[N], shrink[N];
  const T ra = k.length[0][after], wa = k.length[1][after];
  const T* read = k.head[0].data() + after * kept;
  const T* write = k.head[1].data() + after * kept;
  const T along_r = address_back(p, 0, k.inverse_norm.data() + after * N, ra, k.head[0].data() + before * kept, read,
                                 dwr, to_read_key, shrink, dp);
  each<T>([&](std::size_t i) { (load(shrink + i) + load(write_shrink + i)).store_unaligned(shrink + i); });

  // dM = dM + g' u' + dr w_r + g u - shrink M;  then through M_t = M (1 - e w) + a w
  V acc[3 * M];
  constexpr std::size_t R = L<T> * sizeof(T) == 64 ? 4 : 2;  // cells at a time
  for (std::size_t m0 = 0; m0 < M; m0 += R) {
    V dkey[R], dadd[R], derase[R];
    for (std::size_t u = 0; u < R; ++u) dkey[u] = dadd[u] = derase[u] = V(T(0));
    for (std::size_t i = 0; i < N; i += L<T>) {
      const V gw = load(to_write_key + i), w = load(read + weights + i), g = load(to_read_key + i),
              s = load(shrink + i), ww = load(write + weights + i);
      V dw = load(dww + i);
#pragma GCC unroll 4
      for (std::size_t u = 0; u < R; ++u) {
        const std::size_t m = m0 + u, at = m * N + i;
        const V x = load(mem + at), o = load(old + at);
        V d = load(dm + at);
        d = xsimd::fma(gw, V(later_key[m]), d);
        d = xsimd::fma(w, V(dr[m]), d);
        d = xsimd::fma(g, V(p[read_key + m]), d);
        d = xsimd::fnma(s, x, d);
        dkey[u] = xsimd::fma(g, x, dkey[u]);
        const V erase(p[erase_at + m]), through = d * ww;
        dw = xsimd::fma(d, xsimd::fnma(erase, o, V(p[add_at + m])), dw);
        dadd[u] += through;
        derase[u] = xsimd::fnma(through, o, derase[u]);
        xsimd::fnma(through, erase, d).store_unaligned(dm + at);
      }
      dw.store_unaligned(dww + i);
    }
    for (std::size_t u = 0; u < R; ++u)
      acc[m0 + u] = dkey[u], acc[M + m0 + u] = dadd[u], acc[2 * M + m0 + u] = derase[u];
  }
  alignas(64) T sums_of[3 * M + 16];
  sum_registers<T, 3 * M>(acc, sums_of);

  const T along_w = address_back(p, 1, k.inverse_norm.data() + before * N, wa, k.head[1].data() + before * kept, write,
                                 dww, to_write_key, write_shrink, dp);
  for (std::size_t m = 0; m < M; m += 4) {
    V s[4];
    for (auto& v : s) v = V(T(0));
    for (std::size_t i = 0; i < N; i += L<T>) {
      const V g = load(to_write_key + i);
#pragma GCC unroll 4
      for (std::size_t u = 0; u < 4; ++u) s[u] = xsimd::fma(g, load(old + (m + u) * N + i), s[u]);
    }
    for (std::size_t u = 0; u < 4; ++u) acc[m + u] = s[u];
  }
  alignas(64) T dkey[M + 16];
  sum_registers<T, M>(acc, dkey);
  const T pull_r = ra * ra * along_r, pull_w = wa * wa * along_w;
  for (std::size_t m = 0; m < M; ++m) {
    const T u = p[read_key + m], v = p[write_key + m], add = p[add_at + m], erase = p[erase_at + m];
    raw[read_key + m] = (sums_of[m] - pull_r * u) * (1 - u * u);
    raw[write_key + m] = (dkey[m] - pull_w * v) * (1 - v * v);
    raw[add_at + m] = sums_of[M + m] * (1 - add * add);
    raw[erase_at + m] = sums_of[2 * M + m] * erase * (1 - erase);
    later_key[m] = v;
  }
  std::copy_n(dp + small_at, slope_at - small_at, raw + small_at);
  std::fill_n(raw + slope_at, P - slope_at, T(0));
}

template <class T>
double HandwrittenNtm<T>::add_shard(const Batch& batch, double scale) {
  using V = Simd<T>;
  const std::size_t rows = batch.size, steps = batch.steps, all = rows * steps;
  Work& k = *work_;
  k.resize(rows, steps);
  const T* w = value_.data();
  const bool transposed = options_.transposed && rows > 2;

  // ---- forward
  for (std::size_t i = 0; i < all; ++i) std::copy_n(batch.dense.data() + i * C, C, k.x.data() + i * row + one_at + 1);
  for (std::size_t b = 0; b < rows; ++b) {
    std::copy_n(w + r_first, M, k.x.data() + b * row + r_at);
    std::copy_n(w + h_first, H, k.x.data() + b * row + h_at);
    std::copy_n(w + c_first, H, k.cell.data() + b * H);
  }
  gemm(false, false, all, G, 1 + C, k.x.data() + one_at, row, w + w_lstm, G, T(0), k.z.data(), G);
  for (std::size_t t = 0; t < steps; ++t) {
    const std::size_t now = t * rows;
    T* z = k.z.data() + now * G;
    product<T, F, G>(rows, k.x.data() + now * row + r_at, row, w + w_lstm + (1 + C) * G, z);
    for (std::size_t b = 0; b < rows; ++b) {
      T* zr = z + b * G;
      const T* c = k.cell.data() + (now + b) * H;
      T *next = k.cell.data() + (now + rows + b) * H, *s = k.squashed.data() + (now + b) * H;
      T* h = k.x.data() + (now + rows + b) * row + h_at;
      lanes<T>(H, [&](auto lane, std::size_t j) {
        const V i = sigmoid_of<T>(lane.load(zr + j)), f = sigmoid_of<T>(lane.load(zr + H + j));
        const V g = xsimd::tanh(lane.load(zr + 2 * H + j)), o = sigmoid_of<T>(lane.load(zr + 3 * H + j));
        const V cell = f * lane.load(c + j) + i * g, y = xsimd::tanh(cell);
        lane.store(zr + j, i), lane.store(zr + H + j, f), lane.store(zr + 2 * H + j, g), lane.store(zr + 3 * H + j, o);
        lane.store(next + j, cell), lane.store(s + j, y), lane.store(h + j, o * y);
      });
    }
    T* raw = k.raw.data() + now * P;
    for (std::size_t b = 0; b < rows; ++b) std::copy_n(w + w_heads + H * P, P, raw + b * P);
    product<T, H, P>(rows, k.x.data() + (now + rows) * row + h_at, row, w + w_heads, raw);
    for (std::size_t b = 0; b < rows; ++b) forward_memory(t, b);
  }
  const T* features = k.x.data() + rows * row;  // of step 0: r_t, h_t, 1
  gemm(false, false, all, K, F + 1, features + r_at, row, w + w_out, K, T(0), k.logits.data(), K);

  // ---- loss: sum of softplus(x) - y x over scored steps
  double loss = 0;
  const V one(T(1)), zero(T(0)), factor(static_cast<T>(scale));
  for (std::size_t i = 0; i < all; ++i) {
    T* x = k.logits.data() + i * K;
    if (!batch.target.scored.data()[i]) {
      std::fill_n(x, K, T(0));
      continue;
    }
    alignas(64) T y[K];
    std::copy_n(batch.target.values.data() + i * K, K, y);
    V sum_of(T(0));
    lanes<T>(K, [&](auto lane, std::size_t j) {
      const V v = lane.load(x + j), e = xsimd::exp(-xsimd::abs(v)), target = lane.load(y + j);
      sum_of += lane.keep(xsimd::max(v, zero) + xsimd::log1p(e) - target * v);
      lane.store(x + j, factor * (xsimd::select(v > zero, one, e) / (one + e) - target));
    });
    loss += static_cast<double>(xsimd::hadd(sum_of));
  }

  // ---- backward
  T* dw = gradient_.data();
  const T keep = fresh_ ? T(0) : T(1);
  gemm(true, false, F + 1, K, all, features + r_at, row, k.logits.data(), K, keep, dw + w_out, K);
  T* dfeatures = k.dx.data() + rows * row;
  gemm(false, true, all, F, K, k.logits.data(), K, w + w_out, K, T(0), dfeatures + r_at, row);
  std::fill_n(k.dx.data(), rows * row, T(0));
  std::fill_n(k.dmemory.data(), k.dmemory.size(), T(0));
  std::fill_n(k.pending.data(), k.pending.size(), T(0));
  std::fill_n(k.dcell.data(), k.dcell.size(), T(0));
  for (auto& d : k.dweights) std::fill_n(d.data(), d.size(), T(0));
  for (std::size_t t = steps; t-- > 0;) {
    const std::size_t now = t * rows;
    for (std::size_t b = 0; b < rows; ++b) backward_memory(t, b);
    T* dh = k.dx.data() + (now + rows) * row + h_at;
    product_back<T, H, P>(rows, k.raw.data() + now * P, w + w_heads,
                          transposed ? transposed_.data() + t_heads : nullptr, dh, row);
    T* z = k.z.data() + now * G;
    for (std::size_t b = 0; b < rows; ++b) {
      T *zr = z + b * G, *dc = k.dcell.data() + b * H;
      const T *c = k.cell.data() + (now + b) * H, *s = k.squashed.data() + (now + b) * H, *dhr = dh + b * row;
      lanes<T>(H, [&](auto lane, std::size_t j) {
        const V i = lane.load(zr + j), f = lane.load(zr + H + j), g = lane.load(zr + 2 * H + j),
                o = lane.load(zr + 3 * H + j), y = lane.load(s + j), dhj = lane.load(dhr + j);
        const V d = lane.load(dc + j) + dhj * o * (one - y * y);
        lane.store(zr + j, d * g * i * (one - i));
        lane.store(zr + H + j, d * lane.load(c + j) * f * (one - f));
        lane.store(zr + 2 * H + j, d * i * (one - g * g));
        lane.store(zr + 3 * H + j, dhj * y * o * (one - o));
        lane.store(dc + j, d * f);
      });
    }
    product_back<T, F, G>(rows, z, w + w_lstm + (1 + C) * G, transposed ? transposed_.data() + t_lstm : nullptr,
                          k.dx.data() + now * row + r_at, row);
  }
  gemm(true, false, 1 + C + F, G, all, k.x.data() + one_at, row, k.z.data(), G, keep, dw + w_lstm, G);
  gemm(true, false, H + 1, P, all, features + h_at, row, k.raw.data(), P, keep, dw + w_heads, P);
  if (fresh_) std::fill_n(dw + h_first, total - h_first, T(0));
  for (std::size_t b = 0; b < rows; ++b) {
    const T* d = k.dx.data() + b * row;
    for (std::size_t m = 0; m < M; ++m) dw[r_first + m] += d[r_at + m];
    for (std::size_t j = 0; j < H; ++j) dw[h_first + j] += d[h_at + j], dw[c_first + j] += k.dcell[b * H + j];
  }
  fresh_ = false;
  return loss * scale;
}

template <class T>
double HandwrittenNtm<T>::update(double rate) {
  using V = Simd<T>;
  static_assert(total % (4 * 16) == 0 || total % 16 == 0);
  T *g = gradient_.data(), *w = value_.data(), *n = square_.data(), *m = mean_.data(), *v = momentum_.data();
  V s[4];
  for (auto& a : s) a = V(T(0));
  std::size_t i = 0;
  for (; i + 4 * L<T> <= total; i += 4 * L<T>)
    for (std::size_t u = 0; u < 4; ++u) {
      const V x = load(g + i + u * L<T>);
      s[u] = xsimd::fma(x, x, s[u]);
    }
  for (; i < total; i += L<T>) s[0] = xsimd::fma(load(g + i), load(g + i), s[0]);
  const double norm = std::sqrt(static_cast<double>(xsimd::hadd((s[0] + s[1]) + (s[2] + s[3]))));
  if (!std::isfinite(norm)) return norm;
  const T decay = static_cast<T>(options_.decay);
  const V d(decay), rest(static_cast<T>(1 - options_.decay)), mu(static_cast<T>(options_.momentum)),
      eps(static_cast<T>(options_.epsilon)), zero(T(0)), r(static_cast<T>(rate)), high(static_cast<T>(options_.clip));
  for (i = 0; i < total; i += L<T>) {
    const V gi = xsimd::min(high, xsimd::max(-high, load(g + i)));
    const V ni = d * load(n + i) + rest * gi * gi, mi = d * load(m + i) + rest * gi;
    const V vi = mu * load(v + i) - r * gi / xsimd::sqrt(xsimd::max(ni - mi * mi, zero) + eps);
    ni.store_unaligned(n + i);
    mi.store_unaligned(m + i);
    vi.store_unaligned(v + i);
    (load(w + i) + vi).store_unaligned(w + i);
  }
  make_transposed();
  return norm;
}

template <class T>
std::map<std::string, std::vector<T>> HandwrittenNtm<T>::by_name(const T* flat) const {
  std::map<std::string, std::vector<T>> result;
  for (const Entry& e : entries) {
    std::vector<T>& to = result[e.name];
    for (std::size_t i = 0; i < e.shape.size(); ++i) to.push_back(flat[e.place(i)]);
  }
  return result;
}

template <class T>
std::map<std::string, std::vector<T>> HandwrittenNtm<T>::gradient() const {
  return by_name(gradient_.data());
}
template <class T>
std::map<std::string, std::vector<T>> HandwrittenNtm<T>::values() const {
  return by_name(value_.data());
}
template <class T>
std::size_t HandwrittenNtm<T>::bytes() const {
  return work_->bytes() + (5 * total + t_total) * sizeof(T);
}

template class HandwrittenNtm<float>;
template class HandwrittenNtm<double>;

}  // namespace mneme::bench
