// Room: controllers. rnn: Elman layers, h' = f(x W + h U + b)   (Elman 1990)
//
// A layer has one weight [in + H, H], rows of the inputs first and then of h.
#include "autodiff/ops.hpp"
#include "controllers/stack.hpp"

#include <cmath>

namespace mneme {

namespace {

template <class T>
class Rnn final : public Controller<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("hidden", 100, 1, 65536, "H, units of a layer")
        .integer("layers", 1, 1, 16, "stacked layers")
        .choice("activation", "tanh", {"tanh", "relu"}, "f")
        .real("init-scale", 1, 0.001, 100, "weights start in U(-a, a), a = init-scale / sqrt(inputs + H)")
        .choice("initial-state", "learned", {"learned", "zero"}, "h_0");
  }
  static std::size_t width(const Options& o) { return o.size("hidden"); }

  Rnn(const Builder<T>& build, const Options& o, std::size_t input)
      : relu_(o.text("activation") == "relu"), stack_(build, o, {"h"}) {
    const std::size_t h = stack_.hidden();
    for (std::size_t l = 0; l < stack_.layers(); ++l) {
      const std::size_t in = (l ? h : input) + h;
      const double a = o.real("init-scale") / std::sqrt(static_cast<double>(in));
      layers_.push_back({stack_.scope(build, l).parameter("weight", {in, h}, Initializer::uniform(a)),
                         stack_.scope(build, l).parameter("bias", {h}, Initializer::constant(0))});
    }
  }

  const DeclaredList& state() const override { return stack_.state(); }
  std::size_t output_size() const override { return stack_.hidden(); }
  std::span<Var<T>> begin(Pass<T>& pass, std::size_t rows) const override { return stack_.begin(pass.tape, rows); }

  Var<T> step(Pass<T>& pass, std::span<const Var<T>> inputs, std::span<Var<T>>& state) const override {
    Tape<T>& tape = pass.tape;
    return stack_.run(tape, inputs, state,
                      [&](std::size_t l, std::span<const Var<T>> x, std::span<Var<T>> old, std::span<Var<T>> next) {
                        const Var<T> z = linear(tape, Stack<T>::join(tape, x, old[0]),
                                                tape.parameter(layers_[l].weight), tape.parameter(layers_[l].bias));
                        next[0] = relu_ ? relu(tape, z) : tanh(tape, z);
                      });
  }

  Var<T> run(Pass<T>& pass, Var<T> x, std::span<const std::uint32_t> lengths, bool backwards,
             std::span<Var<T>>& state) const override {
    Tape<T>& tape = pass.tape;
    return stack_.run_all(
        tape, x, lengths, backwards, state, [&](std::size_t l, const Var<T>& inputs, std::size_t rows) {
          const JoinedSteps<T> z(tape, inputs, tape.parameter(layers_[l].weight), tape.parameter(layers_[l].bias),
                                 rows);
          return [&tape, z, relu_here = relu_](std::size_t t, std::span<Var<T>> old, std::span<Var<T>> next) {
            const Var<T> sums = z(tape, t, old[0]);
            next[0] = relu_here ? relu(tape, sums) : tanh(tape, sums);
          };
        });
  }

 private:
  struct Layer {
    std::size_t weight, bias;
  };
  bool relu_;
  Stack<T> stack_;
  std::vector<Layer> layers_;
};

const bool registered = register_controller<Rnn>("rnn", "Elman network, 1 to k layers", "Elman 1990");

}  // namespace

}  // namespace mneme
