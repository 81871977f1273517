// Room: autodiff. Elementwise ops, each one formula; derivatives by dual numbers (map.hpp).
#include "autodiff/map.hpp"
#include "autodiff/ops.hpp"

namespace mneme {

template <class T>
Var<T> add(Tape<T>& tape, Var<T> a, Var<T> b) {
  return map(
      tape, "add", [](auto x, auto y) { return x + y; }, a, b);
}
template <class T>
Var<T> subtract(Tape<T>& tape, Var<T> a, Var<T> b) {
  return map(
      tape, "subtract", [](auto x, auto y) { return x - y; }, a, b);
}
template <class T>
Var<T> multiply(Tape<T>& tape, Var<T> a, Var<T> b) {
  return map(
      tape, "multiply", [](auto x, auto y) { return x * y; }, a, b);
}
template <class T>
Var<T> divide(Tape<T>& tape, Var<T> a, Var<T> b) {
  return map(
      tape, "divide", [](auto x, auto y) { return x / y; }, a, b);
}
template <class T>
Var<T> affine(Tape<T>& tape, Var<T> x, double scale, double shift) {
  const T s = static_cast<T>(scale), c = static_cast<T>(shift);
  return map(
      tape, "affine", [s, c](auto v) { return decltype(v)(s) * v + decltype(v)(c); }, x);
}
template <class T>
Var<T> tanh(Tape<T>& tape, Var<T> x) {
  return map(
      tape, "tanh", [](auto v) { return tanh(v); }, x);
}
template <class T>
Var<T> sigmoid(Tape<T>& tape, Var<T> x) {
  return map(
      tape, "sigmoid", [](auto v) { return sigmoid(v); }, x);
}
template <class T>
Var<T> relu(Tape<T>& tape, Var<T> x) {
  return map(
      tape, "relu", [](auto v) { return relu(v); }, x);
}
template <class T>
Var<T> softplus(Tape<T>& tape, Var<T> x) {
  return map(
      tape, "softplus", [](auto v) { return softplus(v); }, x);
}
template <class T>
Var<T> exp(Tape<T>& tape, Var<T> x) {
  return map(
      tape, "exp", [](auto v) { return exp(v); }, x);
}
template <class T>
Var<T> log(Tape<T>& tape, Var<T> x) {
  return map(
      tape, "log", [](auto v) { return log(v); }, x);
}
template <class T>
Var<T> sqrt(Tape<T>& tape, Var<T> x) {
  return map(
      tape, "sqrt", [](auto v) { return sqrt(v); }, x);
}

#define MNEME_INSTANTIATE(T)                                \
  template Var<T> add(Tape<T>&, Var<T>, Var<T>);            \
  template Var<T> subtract(Tape<T>&, Var<T>, Var<T>);       \
  template Var<T> multiply(Tape<T>&, Var<T>, Var<T>);       \
  template Var<T> divide(Tape<T>&, Var<T>, Var<T>);         \
  template Var<T> affine(Tape<T>&, Var<T>, double, double); \
  template Var<T> tanh(Tape<T>&, Var<T>);                   \
  template Var<T> sigmoid(Tape<T>&, Var<T>);                \
  template Var<T> relu(Tape<T>&, Var<T>);                   \
  template Var<T> softplus(Tape<T>&, Var<T>);               \
  template Var<T> exp(Tape<T>&, Var<T>);                    \
  template Var<T> log(Tape<T>&, Var<T>);                    \
  template Var<T> sqrt(Tape<T>&, Var<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
