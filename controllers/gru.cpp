// Room: controllers. gru: gated recurrent units, 1 to k layers.
//
// A layer has input.weight [in, 3H], input.bias [3H], hidden.weight [H, 3H], hidden.bias [3H]; columns by gate r z n.
// With reset = before, n = tanh(x W_n + (r h) U_n + b) as in Cho et al. 2014: two products from h instead of one.
#include "controllers/gru.hpp"

#include "autodiff/lanes.hpp"
#include "autodiff/ops.hpp"
#include "controllers/stack.hpp"
#include "nn/linear.hpp"

#include <cmath>

namespace mneme {

template <class T>
Var<T> gru_cell(Tape<T>& tape, Var<T> a, Var<T> b, Var<T> h) {
  const std::size_t rows = h.shape.rows(), n = h.shape.last();
  if (!(a.shape == b.shape) || a.shape.rows() != rows || a.shape.last() != 3 * n)
    fail<ArgumentError>("gru_cell", "a {} and b {} for a state of {}", a.shape.text(), b.shape.text(), h.shape.text());
  Var<T> y = tape.result(h.shape, a, b, h);
  T* gates = tape.allocate(rows * 3 * n);  // r z n
  const Simd<T> one(T(1));
  for (std::size_t row = 0; row < rows; ++row) {
    const T *ar = a.data + row * 3 * n, *br = b.data + row * 3 * n;
    T* g = gates + row * 3 * n;
    lanes<T>(n, [&](auto lane, std::size_t j) {
      const auto r = sigmoid_of<T>(lane.load(ar + j) + lane.load(br + j));
      const auto z = sigmoid_of<T>(lane.load(ar + n + j) + lane.load(br + n + j));
      const auto c = xsimd::tanh(lane.load(ar + 2 * n + j) + r * lane.load(br + 2 * n + j));
      lane.store(g + j, r);
      lane.store(g + n + j, z);
      lane.store(g + 2 * n + j, c);
      lane.store(y.data + row * n + j, (one - z) * c + z * lane.load(h.data + row * n + j));
    });
  }
  tape.node("gru_cell", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    T* d = t.allocate(rows * 3 * n);  // at the gates' sums: da; db differs by a factor r in its last part
    for (std::size_t row = 0; row < rows; ++row) {
      const T* g = gates + row * 3 * n;
      T* dr = d + row * 3 * n;
      lanes<T>(n, [&](auto lane, std::size_t j) {
        const auto r = lane.load(g + j), z = lane.load(g + n + j), c = lane.load(g + 2 * n + j),
                   dh = lane.load(dy + row * n + j);
        const auto dc = dh * (one - z) * (one - c * c);
        lane.store(dr + j, dc * lane.load(b.data + row * 3 * n + 2 * n + j) * r * (one - r));
        lane.store(dr + n + j, dh * (lane.load(h.data + row * n + j) - c) * z * (one - z));
        lane.store(dr + 2 * n + j, dc);
      });
    }
    t.accumulate(a, [&](auto into, T* da) {
      lanes<T>(rows * 3 * n, [&](auto lane, std::size_t i) { into.store(lane, da + i, lane.load(d + i)); });
    });
    t.accumulate(b, [&](auto into, T* db) {
      for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t at = row * 3 * n;
        lanes<T>(2 * n, [&](auto lane, std::size_t j) { into.store(lane, db + at + j, lane.load(d + at + j)); });
        lanes<T>(n, [&](auto lane, std::size_t j) {
          into.store(lane, db + at + 2 * n + j, lane.load(d + at + 2 * n + j) * lane.load(gates + at + j));
        });
      }
    });
    t.accumulate(h, [&](auto into, T* dh) {
      for (std::size_t row = 0; row < rows; ++row)
        lanes<T>(n, [&](auto lane, std::size_t j) {
          into.store(lane, dh + row * n + j, lane.load(dy + row * n + j) * lane.load(gates + row * 3 * n + n + j));
        });
    });
  });
  return y;
}

template Var<float> gru_cell(Tape<float>&, Var<float>, Var<float>, Var<float>);
template Var<double> gru_cell(Tape<double>&, Var<double>, Var<double>, Var<double>);

namespace {

template <class T>
class Gru final : public Controller<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("hidden", 100, 1, 65536, "H, units of a layer")
        .integer("layers", 1, 1, 16, "stacked layers")
        .choice("reset", "after", {"after", "before"}, "the reset gate acts after or before the product with h")
        .real("init-scale", 1, 0.001, 100, "weights start in U(-a, a), a = init-scale / sqrt(inputs + H)")
        .choice("initial-state", "learned", {"learned", "zero"}, "h_0");
  }
  static std::size_t width(const Options& o) { return o.size("hidden"); }

  Gru(const Builder<T>& build, const Options& o, std::size_t input)
      : reset_after_(o.text("reset") == "after"), stack_(build, o, {"h"}) {
    const std::size_t h = stack_.hidden();
    for (std::size_t l = 0; l < stack_.layers(); ++l) {
      const std::size_t in = l ? h : input;
      const auto weight = Initializer::uniform(o.real("init-scale") / std::sqrt(static_cast<double>(in + h)));
      const Builder<T> here = stack_.scope(build, l);
      layers_.push_back({Linear<T>(here.scope("input"), in, 3 * h, weight),
                         here.parameter("hidden.weight", {h, 3 * h}, weight),
                         here.parameter("hidden.bias", {3 * h}, Initializer::constant(0))});
    }
  }

  const DeclaredList& state() const override { return stack_.state(); }
  std::size_t output_size() const override { return stack_.hidden(); }
  std::span<Var<T>> begin(Pass<T>& pass, std::size_t rows) const override { return stack_.begin(pass.tape, rows); }

  Var<T> step(Pass<T>& pass, std::span<const Var<T>> inputs, std::span<Var<T>>& state) const override {
    Tape<T>& tape = pass.tape;
    return stack_.run(tape, inputs, state,
                      [&](std::size_t l, std::span<const Var<T>> x, std::span<Var<T>> old, std::span<Var<T>> next) {
                        const Cell cell = cell_of(tape, l);
                        next[0] = cell(tape, layers_[l].input(tape, concatenate(tape, x)), old[0]);
                      });
  }

  Var<T> run(Pass<T>& pass, Var<T> x, std::span<const std::uint32_t> lengths, bool backwards,
             std::span<Var<T>>& state) const override {
    Tape<T>& tape = pass.tape;
    return stack_.run_all(tape, x, lengths, backwards, state,
                          [&](std::size_t l, const Var<T>& inputs, std::size_t rows) {
                            return [&tape, rows, cell = cell_of(tape, l), all = layers_[l].input(tape, inputs)](
                                       std::size_t t, std::span<Var<T>> old, std::span<Var<T>> next) {
                              next[0] = cell(tape, slice_rows(tape, all, t * rows, rows), old[0]);
                            };
                          });
  }

 private:
  struct Layer {
    Linear<T> input;
    std::size_t weight, bias;
  };
  /// What a step makes of a [B 3H], what the inputs give, and h.
  struct Cell {
    Var<T> w{}, b{};                      // reset after the product: of all gates
    Var<T> w_rz{}, w_n{}, b_rz{}, b_n{};  // before it: by gate
    bool reset_after;

    Var<T> operator()(Tape<T>& tape, Var<T> a, Var<T> h) const {
      if (reset_after) return gru_cell(tape, a, linear(tape, h, w, b), h);
      const std::size_t n = h.shape.last();
      const Var<T> rz = sigmoid(tape, add(tape, slice(tape, a, 0, 2 * n), linear(tape, h, w_rz, b_rz)));
      const Var<T> r = slice(tape, rz, 0, n), z = slice(tape, rz, n, n);
      const Var<T> c = tanh(tape, add(tape, slice(tape, a, 2 * n, n), linear(tape, multiply(tape, r, h), w_n, b_n)));
      return add(tape, c, multiply(tape, z, subtract(tape, h, c)));
    }
  };
  Cell cell_of(Tape<T>& tape, std::size_t l) const {
    const std::size_t n = stack_.hidden();
    const Var<T> w = tape.parameter(layers_[l].weight), b = tape.parameter(layers_[l].bias);
    if (reset_after_) return {.w = w, .b = b, .reset_after = true};
    return {.w_rz = slice(tape, w, 0, 2 * n),
            .w_n = slice(tape, w, 2 * n, n),
            .b_rz = slice(tape, b, 0, 2 * n),
            .b_n = slice(tape, b, 2 * n, n),
            .reset_after = false};
  }

  bool reset_after_;
  Stack<T> stack_;
  std::vector<Layer> layers_;
};

const bool registered =
    register_controller<Gru>("gru", "gated recurrent units, 1 to k layers", "Cho et al. 2014; gates r z n");

}  // namespace

}  // namespace mneme
