// Room: autodiff. Losses: sums over scored rows, in nats, times a scale.
#include "autodiff/ops.hpp"
#include "autodiff/softmax_row.hpp"

#include <algorithm>
#include <cmath>

namespace mneme {

// l = scale sum_r scored[r] sum_d softplus(x) - y x,   dx = scale (s(x) - y)
template <class T>
Var<T> bits_loss(Tape<T>& tape, Var<T> x, const float* targets, const std::uint8_t* scored, double scale) {
  const std::size_t rows = x.shape.rows(), d = x.shape.last();
  Var<T> loss = tape.result(Shape{}, x);
  auto* y = tape.allocate(rows * d);
  for (std::size_t i = 0; i < rows * d; ++i) y[i] = static_cast<T>(targets[i]);
  const T factor = static_cast<T>(scale);
  T total = 0;
  for (std::size_t r = 0; r < rows; ++r)
    if (scored[r])
      total += lanes_sum<T>(d, [&](auto lane, std::size_t i) {
        const auto v = lane.load(x.data + r * d + i);
        return softplus_of<T>(v) - lane.load(y + r * d + i) * v;
      });
  loss.data[0] = total * factor;
  tape.node("bits_loss", {loss}, [=](Tape<T>& t) {
    const Simd<T> g(t.gradient(loss)[0] * factor), zero(T(0));
    t.accumulate(x, [&](auto into, T* dx) {
      for (std::size_t r = 0; r < rows; ++r)
        lanes<T>(d, [&](auto lane, std::size_t i) {
          const auto at = r * d + i;
          into.store(lane, dx + at, scored[r] ? g * (sigmoid_of<T>(lane.load(x.data + at)) - lane.load(y + at)) : zero);
        });
    });
  });
  return loss;
}

// l = scale sum_r scored[r] (log sum_j e^x_j - x_k),   dx_j = scale (softmax(x)_j - [j = k])
template <class T>
Var<T> class_loss(Tape<T>& tape, Var<T> x, const std::int32_t* targets, const std::uint8_t* scored, double scale) {
  const std::size_t rows = x.shape.rows(), d = x.shape.last();
  Var<T> loss = tape.result(Shape{}, x);
  const T factor = static_cast<T>(scale);
  T* p = tape.allocate(rows * d);
  T total = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    if (!scored[r]) continue;
    const auto k = targets[r];
    if (k < 0 || static_cast<std::size_t>(k) >= d)
      fail<ArgumentError>("class_loss", "target {} of row {} in logits {}", k, r, x.shape.text());
    const T* row = x.data + r * d;
    const T top = *std::max_element(row, row + d);
    if (row[k] == static_cast<T>(masked_logit))
      fail<ArgumentError>("class_loss", "target {} of row {} is masked", k, r);
    const T norm =
        exponentials(d, p + r * d, [&](auto lane, std::size_t i) { return lane.load(row + i) - Simd<T>(top); });
    for (std::size_t i = 0; i < d; ++i) p[r * d + i] /= norm;
    total += std::log(norm) + (top - row[k]);  // in this order: top may be large
  }
  loss.data[0] = total * factor;
  tape.node("class_loss", {loss}, [=](Tape<T>& t) {
    const T g = t.gradient(loss)[0] * factor;
    t.accumulate(x, [&](auto into, T* dx) {
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t i = 0; i < d; ++i)
          into(dx[r * d + i],
               scored[r] ? g * (p[r * d + i] - (static_cast<std::int64_t>(i) == targets[r] ? T(1) : T(0))) : T(0));
    });
  });
  return loss;
}

// l = scale/2 sum_r scored[r] sum_d (x - y)^2,   dx = scale (x - y)
template <class T>
Var<T> squared_loss(Tape<T>& tape, Var<T> x, const float* targets, const std::uint8_t* scored, double scale) {
  const std::size_t rows = x.shape.rows(), d = x.shape.last();
  Var<T> loss = tape.result(Shape{}, x);
  T total = 0;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t i = 0; scored[r] && i < d; ++i) {
      const T e = x.data[r * d + i] - static_cast<T>(targets[r * d + i]);
      total += e * e;
    }
  const T factor = static_cast<T>(scale);
  loss.data[0] = total * factor / 2;
  tape.node("squared_loss", {loss}, [=](Tape<T>& t) {
    const T g = t.gradient(loss)[0] * factor;
    t.accumulate(x, [&](auto into, T* dx) {
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t i = 0; i < d; ++i)
          into(dx[r * d + i], scored[r] ? g * (x.data[r * d + i] - static_cast<T>(targets[r * d + i])) : T(0));
    });
  });
  return loss;
}

#define MNEME_INSTANTIATE(T)                                                                      \
  template Var<T> bits_loss(Tape<T>&, Var<T>, const float*, const std::uint8_t*, double);         \
  template Var<T> class_loss(Tape<T>&, Var<T>, const std::int32_t*, const std::uint8_t*, double); \
  template Var<T> squared_loss(Tape<T>&, Var<T>, const float*, const std::uint8_t*, double);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
