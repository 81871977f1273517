// Room: autodiff. Sums, and the two broadcasts that rows need.
#include "autodiff/lanes.hpp"
#include "autodiff/ops.hpp"

namespace mneme {

template <class T>
Var<T> sum(Tape<T>& tape, Var<T> x) {
  const std::size_t n = x.size();
  Var<T> y = tape.result(Shape{}, x);
  y.data[0] = lanes_sum<T>(n, [&](auto lane, std::size_t i) { return lane.load(x.data + i); });
  tape.node("sum", {y}, [=](Tape<T>& t) {
    const Simd<T> dy(t.gradient(y)[0]);
    t.accumulate(
        x, [&](auto into, T* dx) { lanes<T>(n, [&](auto lane, std::size_t i) { into.store(lane, dx + i, dy); }); });
  });
  return y;
}

template <class T>
Var<T> add_bias(Tape<T>& tape, Var<T> x, Var<T> b) {
  const std::size_t rows = x.shape.rows(), d = x.shape.last();
  if (b.size() != d) fail<ArgumentError>("add_bias", "rows of {} and bias {}", x.shape.text(), b.shape.text());
  Var<T> y = tape.result(x.shape, x, b);
  for (std::size_t r = 0; r < rows; ++r)
    lanes<T>(d, [&](auto lane, std::size_t i) {
      lane.store(y.data + r * d + i, lane.load(x.data + r * d + i) + lane.load(b.data + i));
    });
  tape.node("add_bias", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(x, [&](auto into, T* dx) {
      lanes<T>(rows * d, [&](auto lane, std::size_t i) { into.store(lane, dx + i, lane.load(dy + i)); });
    });
    t.accumulate(b, [&](auto into, T* db) {
      lanes<T>(d, [&](auto lane, std::size_t i) {
        Simd<T> total(T(0));
        for (std::size_t r = 0; r < rows; ++r) total += lane.load(dy + r * d + i);
        into.store(lane, db + i, total);
      });
    });
  });
  return y;
}

template <class T>
Var<T> scale_rows(Tape<T>& tape, Var<T> x, Var<T> s) {
  const std::size_t rows = x.shape.rows(), d = x.shape.last();
  if (s.size() != rows) fail<ArgumentError>("scale_rows", "rows of {} and scales {}", x.shape.text(), s.shape.text());
  Var<T> y = tape.result(x.shape, x, s);
  for (std::size_t r = 0; r < rows; ++r)
    lanes<T>(d, [&](auto lane, std::size_t i) {
      lane.store(y.data + r * d + i, lane.load(x.data + r * d + i) * Simd<T>(s.data[r]));
    });
  tape.node("scale_rows", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(x, [&](auto into, T* dx) {
      for (std::size_t r = 0; r < rows; ++r)
        lanes<T>(d, [&](auto lane, std::size_t i) {
          into.store(lane, dx + r * d + i, lane.load(dy + r * d + i) * Simd<T>(s.data[r]));
        });
    });
    t.accumulate(s, [&](auto into, T* ds) {
      for (std::size_t r = 0; r < rows; ++r)
        into(ds[r], lanes_sum<T>(d, [&](auto lane, std::size_t i) {
               return lane.load(dy + r * d + i) * lane.load(x.data + r * d + i);
             }));
    });
  });
  return y;
}

#define MNEME_INSTANTIATE(T)                          \
  template Var<T> sum(Tape<T>&, Var<T>);              \
  template Var<T> add_bias(Tape<T>&, Var<T>, Var<T>); \
  template Var<T> scale_rows(Tape<T>&, Var<T>, Var<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
