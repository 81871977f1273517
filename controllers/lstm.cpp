// Room: controllers. lstm: 1 to k stacked layers.
//
// A layer has weight [in + H, 4H], rows of the inputs first and then of h, columns by gate i f g o; bias [4 H] by gate.
#include "controllers/lstm.hpp"

#include "autodiff/lanes.hpp"
#include "autodiff/ops.hpp"
#include "controllers/stack.hpp"

#include <cmath>

namespace mneme {

template <class T>
LstmState<T> lstm_cell(Tape<T>& tape, Var<T> z, Var<T> c) {
  const std::size_t rows = c.shape.rows(), n = c.shape.last();
  if (z.shape.rows() != rows || z.shape.last() != 4 * n)
    fail<ArgumentError>("lstm_cell", "z {} for a state of {}", z.shape.text(), c.shape.text());
  const LstmState<T> y{tape.result(c.shape, z, c), tape.result(c.shape, z, c)};
  T* gates = tape.allocate(rows * 4 * n);  // s(i) s(f) tanh(g) s(o)
  T* squashed = tape.allocate(rows * n);   // tanh(c')
  for (std::size_t r = 0; r < rows; ++r) {
    const T *zr = z.data + r * 4 * n, *old = c.data + r * n;
    T *gr = gates + r * 4 * n, *cells = y.c.data + r * n, *kept = squashed + r * n, *out = y.h.data + r * n;
    lanes<T>(n, [&](auto lane, std::size_t j) {
      const auto i = sigmoid_of<T>(lane.load(zr + j)), f = sigmoid_of<T>(lane.load(zr + n + j));
      const auto g = xsimd::tanh(lane.load(zr + 2 * n + j)), o = sigmoid_of<T>(lane.load(zr + 3 * n + j));
      const auto cell = f * lane.load(old + j) + i * g;
      const auto s = xsimd::tanh(cell);
      lane.store(gr + j, i);
      lane.store(gr + n + j, f);
      lane.store(gr + 2 * n + j, g);
      lane.store(gr + 3 * n + j, o);
      lane.store(cells + j, cell);
      lane.store(kept + j, s);
      lane.store(out + j, o * s);
    });
  }
  tape.node("lstm_cell", {y.h, y.c}, [=](Tape<T>& t) {
    const T* dh = t.gradient(y.h);
    const T* dc_next = t.gradient(y.c);
    const Simd<T> one(T(1));
    t.accumulate_always(z, [&](auto into_z, T* dz) {
      t.accumulate_always(c, [&](auto into_c, T* dc) {
        for (std::size_t r = 0; r < rows; ++r) {
          const T *gr = gates + r * 4 * n, *kept = squashed + r * n, *old = c.data + r * n, *dhr = dh + r * n,
                  *dcr = dc_next + r * n;
          T *to_z = dz + r * 4 * n, *to_c = dc + r * n;
          const std::size_t stride = n;
          lanes<T>(stride, [&](auto lane, std::size_t j) {
            const auto i = lane.load(gr + j), f = lane.load(gr + stride + j), g = lane.load(gr + 2 * stride + j),
                       o = lane.load(gr + 3 * stride + j), s = lane.load(kept + j), dhj = lane.load(dhr + j);
            const auto d = lane.load(dcr + j) + dhj * o * (one - s * s);
            into_z.store(lane, to_z + j, d * g * i * (one - i));
            into_z.store(lane, to_z + stride + j, d * lane.load(old + j) * f * (one - f));
            into_z.store(lane, to_z + 2 * stride + j, d * i * (one - g * g));
            into_z.store(lane, to_z + 3 * stride + j, dhj * s * o * (one - o));
            into_c.store(lane, to_c + j, d * f);
          });
        }
      });
    });
  });
  return y;
}

template LstmState<float> lstm_cell(Tape<float>&, Var<float>, Var<float>);
template LstmState<double> lstm_cell(Tape<double>&, Var<double>, Var<double>);

namespace {

template <class T>
class Lstm final : public Controller<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("hidden", 100, 1, 65536, "H, cells of a layer")
        .integer("layers", 1, 1, 16, "stacked layers")
        .real("forget-bias", 1, -10, 10, "initial bias of the forget gate")
        .real("init-scale", 1, 0.001, 100, "weights start in U(-a, a), a = init-scale / sqrt(inputs + H)")
        .choice("initial-state", "learned", {"learned", "zero"}, "h_0 and c_0");
  }
  static std::size_t width(const Options& o) { return o.size("hidden"); }

  Lstm(const Builder<T>& build, const Options& o, std::size_t input) : stack_(build, o, {"h", "c"}) {
    const std::size_t h = stack_.hidden();
    for (std::size_t l = 0; l < stack_.layers(); ++l) {
      const std::size_t in = (l ? h : input) + h;
      const double a = o.real("init-scale") / std::sqrt(static_cast<double>(in));
      const Builder<T> here = stack_.scope(build, l);
      layers_.push_back({here.parameter("weight", {in, 4 * h}, Initializer::uniform(a)),
                         here.parameter("bias", {4, h}, Initializer::one_row(1, o.real("forget-bias")))});
    }
  }

  const DeclaredList& state() const override { return stack_.state(); }
  std::size_t output_size() const override { return stack_.hidden(); }
  std::span<Var<T>> begin(Pass<T>& pass, std::size_t rows) const override { return stack_.begin(pass.tape, rows); }

  Var<T> step(Pass<T>& pass, std::span<const Var<T>> inputs, std::span<Var<T>>& state) const override {
    Tape<T>& tape = pass.tape;
    return stack_.run(tape, inputs, state,
                      [&](std::size_t l, std::span<const Var<T>> x, std::span<Var<T>> old, std::span<Var<T>> next) {
                        const Var<T> z =
                            linear(tape, Stack<T>::join(tape, x, old[0]), tape.parameter(layers_[l].weight),
                                   tape.parameter(layers_[l].bias).reshaped({4 * stack_.hidden()}));
                        const LstmState<T> y = lstm_cell(tape, z, old[1]);
                        next[0] = y.h;
                        next[1] = y.c;
                      });
  }

  Var<T> run(Pass<T>& pass, Var<T> x, std::span<const std::uint32_t> lengths, bool backwards,
             std::span<Var<T>>& state) const override {
    Tape<T>& tape = pass.tape;
    return stack_.run_all(
        tape, x, lengths, backwards, state, [&](std::size_t l, const Var<T>& inputs, std::size_t rows) {
          const JoinedSteps<T> z(tape, inputs, tape.parameter(layers_[l].weight),
                                 tape.parameter(layers_[l].bias).reshaped({4 * stack_.hidden()}), rows);
          return [&tape, z](std::size_t t, std::span<Var<T>> old, std::span<Var<T>> next) {
            const LstmState<T> y = lstm_cell(tape, z(tape, t, old[0]), old[1]);
            next[0] = y.h;
            next[1] = y.c;
          };
        });
  }

 private:
  struct Layer {
    std::size_t weight, bias;
  };
  Stack<T> stack_;
  std::vector<Layer> layers_;
};

const bool registered = register_controller<Lstm>("lstm", "long short-term memory, 1 to k layers",
                                                  "Hochreiter & Schmidhuber 1997; gates i f g o");

}  // namespace

}  // namespace mneme
