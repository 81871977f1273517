// Room: autodiff. Products: linear layers with gathered weight gradients, batched products, table rows.
#include "autodiff/lanes.hpp"
#include "autodiff/ops.hpp"
#include "autodiff/products.hpp"

#include <algorithm>
#include <memory>

namespace mneme {

namespace {

/// x W + b over rows; the shape of the result is that of x with another width.
template <class T>
Var<T> affine_rows(Tape<T>& tape, const Shape& x_shape, const T* x, const Var<T>& w, const Var<T>& b, bool needs) {
  const std::size_t rows = x_shape.rows(), in = x_shape.last(), out = w.shape.last();
  if (w.shape.rank() != 2 || w.shape[0] != in || (b && b.size() != out))
    fail<ArgumentError>("linear", "x {}, W {}, b {}", x_shape.text(), w.shape.text(), b ? b.shape.text() : "none");
  Shape shape;
  for (std::size_t a = 0; a + 1 < x_shape.rank(); ++a) shape.push_back(x_shape[a]);
  shape.push_back(out);
  Var<T> y = tape.result_if(needs, shape);
  if (b)
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(y.data + r * out, b.data, out * sizeof(T));
  gemm<T>(false, false, rows, out, in, x, w.data, y.data, static_cast<bool>(b));
  return y;
}

/// A parameter's uses are copied into its panel and become one product when the backward pass ends.
template <class T>
bool gathered(const Var<T>& w) {
  return w.slot && w.slot->leaf && w.slot->leaf->shape == w.shape;
}

/// dx [rows, in - first] (+)= dy W^T without the first inputs. Reads the transposed copy where there is one and rows
/// make it pay.
template <class T>
void to_inputs(const Var<T>& w, std::size_t rows, std::size_t first, const T* dy, T* dx, bool add) {
  const std::size_t in = w.shape[0], out = w.shape[1];
  const bool pays = rows > 2 && gathered(w) && w.slot->leaf->transposed;
  const T* transposed = pays ? w.slot->leaf->transposed->read() : nullptr;
  if (transposed && first)
    gemm_columns<T>(rows, in - first, out, dy, transposed + first, in, dx, add);
  else if (transposed)
    gemm<T>(false, false, rows, in, out, dy, transposed, dx, add);
  else
    gemm<T>(false, true, rows, in - first, out, dy, w.data + first * out, dx, add);
}

/// dW = x^T dy, db = sum of dy
template <class T>
void to_weights(Tape<T>& t, const Var<T>& w, const Var<T>& b, std::size_t rows, const T* x, const T* dy) {
  const std::size_t in = w.shape[0], out = w.shape[1];
  if (gathered(w)) {
    Panel<T>& panel = w.slot->panel;
    std::memcpy(panel.x + panel.used * in, x, rows * in * sizeof(T));
    std::memcpy(panel.dy + panel.used * out, dy, rows * out * sizeof(T));
    panel.used += rows;
  } else {
    t.accumulate(w, [&](auto into, T* dw) { gemm<T>(true, false, in, out, rows, x, dy, dw, decltype(into)::adds); });
  }
  if (b)
    t.accumulate(b, [&](auto into, T* db) {
      lanes<T>(out, [&](auto lane, std::size_t i) {
        Simd<T> total(T(0));
        for (std::size_t r = 0; r < rows; ++r) total += lane.load(dy + r * out + i);
        into.store(lane, db + i, total);
      });
    });
}

}  // namespace

// y = x W + b   x [R in], W [in out], b [out] -> [R out]
//
// dW = sum over uses of x^T dy: of a parameter one product of all uses; for any other W, a reshaped parameter too, the
// product is done at once.
template <class T>
Var<T> linear(Tape<T>& tape, Var<T> x, Var<T> w, Var<T> b) {
  const std::size_t rows = x.shape.rows();
  const Var<T> y = affine_rows(tape, x.shape, x.data, w, b, x.slot || w.slot || b.slot);
  if (y.slot && gathered(w)) w.slot->panel.rows += rows;
  tape.node("linear", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(x, [&](auto into, T* dx) { to_inputs<T>(w, rows, 0, dy, dx, decltype(into)::adds); });
    to_weights<T>(t, w, b, rows, x.data, dy);
  });
  return y;
}

// y = [x_1 x_2 ...] W + b: joined here, and the gradient of leading parts that need none is not made
template <class T>
Var<T> linear(Tape<T>& tape, std::span<const Var<T>> parts, Var<T> w, Var<T> b) {
  const std::size_t rows = parts.empty() ? 0 : parts[0].shape.rows(), count = parts.size();
  auto* kept = tape.template scratch<Var<T>>(count);
  std::uninitialized_copy(parts.begin(), parts.end(), kept);
  std::size_t in = 0, fixed = 0;
  bool needs = false;
  for (const Var<T>& x : parts) {
    if (x.shape.rows() != rows) fail<ArgumentError>("linear", "parts of {} and {} rows", rows, x.shape.rows());
    needs = needs || x.slot;
    in += x.shape.last();
    if (!needs) fixed = in;
  }
  T* joined = tape.allocate(rows * in);
  std::size_t column = 0;
  for (const Var<T>& x : parts) {
    const std::size_t d = x.shape.last();
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(joined + r * in + column, x.data + r * d, d * sizeof(T));
    column += d;
  }
  const Var<T> y = affine_rows(tape, Shape{rows, in}, joined, w, b, needs || w.slot || b.slot);
  if (y.slot && gathered(w)) w.slot->panel.rows += rows;
  tape.node("linear", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    if (needs) {
      const std::size_t width = in - fixed;
      T* dx = t.allocate(rows * width);
      to_inputs<T>(w, rows, fixed, dy, dx, false);
      std::size_t begin = 0;
      for (std::size_t p = 0; p < count; ++p) {
        const std::size_t d = kept[p].shape.last();
        t.accumulate(kept[p], [&](auto into, T* to) {
          for (std::size_t r = 0; r < rows; ++r)
            lanes<T>(d, [from = dx + r * width + begin - fixed, at = to + r * d, into](auto lane, std::size_t i) {
              into.store(lane, at + i, lane.load(from + i));
            });
        });
        begin += d;
      }
    }
    to_weights<T>(t, w, b, rows, joined, dy);
  });
  return y;
}

// y_b = a_b c_b (or a_b c_b^T)   a [B m k], c [B k n] (or [B n k]) -> [B m n]
template <class T>
Var<T> batched_product(Tape<T>& tape, Var<T> a, Var<T> c, bool transpose_c) {
  const auto bad = [&] {
    fail<ArgumentError>("batched_product", "a {}, c {}{}", a.shape.text(), c.shape.text(),
                        transpose_c ? " transposed" : "");
  };
  if (a.shape.rank() != 3 || c.shape.rank() != 3 || a.shape[0] != c.shape[0]) bad();
  const std::size_t batch = a.shape[0], m = a.shape[1], k = a.shape[2];
  const std::size_t n = transpose_c ? c.shape[1] : c.shape[2];
  if ((transpose_c ? c.shape[2] : c.shape[1]) != k) bad();
  Var<T> y = tape.result(Shape{batch, m, n}, a, c);
  for (std::size_t b = 0; b < batch; ++b)
    gemm<T>(false, transpose_c, m, n, k, a.data + b * m * k, c.data + b * k * n, y.data + b * m * n, false);
  tape.node("batched_product", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(a, [&](auto into, T* da) {
      for (std::size_t b = 0; b < batch; ++b)
        gemm<T>(false, !transpose_c, m, k, n, dy + b * m * n, c.data + b * k * n, da + b * m * k, decltype(into)::adds);
    });
    t.accumulate(c, [&](auto into, T* dc) {
      for (std::size_t b = 0; b < batch; ++b) {
        const T *ab = a.data + b * m * k, *dyb = dy + b * m * n;
        if (transpose_c)
          gemm<T>(true, false, n, k, m, dyb, ab, dc + b * k * n, decltype(into)::adds);
        else
          gemm<T>(true, false, k, n, m, ab, dyb, dc + b * k * n, decltype(into)::adds);
      }
    });
  });
  return y;
}

// y_b = w x_b   w [A D], x [B D N] -> [B A N];   dx_b = w^T dy_b   dw = sum_b dy_b x_b^T
template <class T>
Var<T> project(Tape<T>& tape, Var<T> w, Var<T> x) {
  if (w.shape.rank() != 2 || x.shape.rank() != 3 || w.shape[1] != x.shape[1])
    fail<ArgumentError>("project", "w {} is not [A D] for x {} = [B D N]", w.shape.text(), x.shape.text());
  const std::size_t batch = x.shape[0], a = w.shape[0], d = x.shape[1], n = x.shape[2];
  Var<T> y = tape.result(Shape{batch, a, n}, w, x);
  for (std::size_t b = 0; b < batch; ++b)
    gemm<T>(false, false, a, n, d, w.data, x.data + b * d * n, y.data + b * a * n, false);
  tape.node("project", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(x, [&](auto into, T* dx) {
      for (std::size_t b = 0; b < batch; ++b)
        gemm<T>(true, false, d, n, a, w.data, dy + b * a * n, dx + b * d * n, decltype(into)::adds);
    });
    t.accumulate(w, [&](auto into, T* dw) {
      for (std::size_t b = 0; b < batch; ++b)
        gemm<T>(false, true, a, d, n, dy + b * a * n, x.data + b * d * n, dw, b > 0 || decltype(into)::adds);
    });
  });
  return y;
}

// y[r] = sum_w table[index[r,w]], nothing for index -1   table [V D], index [R bag] -> [R D]
template <class T>
Var<T> gather_rows(Tape<T>& tape, Var<T> table, std::span<const std::int32_t> index, std::size_t bag) {
  if (table.shape.rank() != 2) fail<ArgumentError>("gather_rows", "table {}", table.shape.text());
  if (bag == 0 || index.size() % bag != 0)
    fail<ArgumentError>("gather_rows", "{} indices are no whole number of bags of {}", index.size(), bag);
  const std::size_t rows = index.size() / bag, d = table.shape[1];
  const auto vocabulary = static_cast<std::int64_t>(table.shape[0]);
  Var<T> y = tape.result(Shape{rows, d}, table);
  auto* kept = tape.template scratch<std::int32_t>(index.size());
  std::fill_n(y.data, y.size(), T(0));
  for (std::size_t w = 0; w < index.size(); ++w) {
    const std::int32_t i = kept[w] = index[w];
    if (i < -1 || i >= vocabulary) fail<ArgumentError>("gather_rows", "index {} into table {}", i, table.shape.text());
    if (i < 0) continue;
    T* to = y.data + w / bag * d;
    const T* from = table.data + static_cast<std::size_t>(i) * d;
    for (std::size_t m = 0; m < d; ++m) to[m] += from[m];
  }
  tape.node("gather_rows", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate_rows(table, [&](auto at) {
      for (std::size_t w = 0; w < rows * bag; ++w) {
        if (kept[w] < 0) continue;
        T* to = at(static_cast<std::size_t>(kept[w]));
        for (std::size_t m = 0; m < d; ++m) to[m] += dy[w / bag * d + m];
      }
    });
  });
  return y;
}

#define MNEME_INSTANTIATE(T)                                                 \
  template Var<T> linear(Tape<T>&, Var<T>, Var<T>, Var<T>);                  \
  template Var<T> linear(Tape<T>&, std::span<const Var<T>>, Var<T>, Var<T>); \
  template Var<T> batched_product(Tape<T>&, Var<T>, Var<T>, bool);           \
  template Var<T> project(Tape<T>&, Var<T>, Var<T>);                         \
  template Var<T> gather_rows(Tape<T>&, Var<T>, std::span<const std::int32_t>, std::size_t);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
