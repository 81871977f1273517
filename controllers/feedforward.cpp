// Room: controllers. feedforward: 1 to k layers and no state; what it must remember, the memory must.
#include "autodiff/ops.hpp"
#include "controllers/controller.hpp"
#include "nn/linear.hpp"

namespace mneme {

namespace {

template <class T>
class Feedforward final : public Controller<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("hidden", 100, 1, 65536, "H, units of a layer")
        .integer("layers", 1, 1, 16, "stacked layers")
        .choice("activation", "tanh", {"tanh", "relu", "sigmoid"}, "of every layer");
  }
  static std::size_t width(const Options& o) { return o.size("hidden"); }

  Feedforward(const Builder<T>& build, const Options& o, std::size_t input)
      : hidden_(o.size("hidden")), activation_(o.text("activation")) {
    for (std::size_t l = 0; l < o.size("layers"); ++l) {
      const std::size_t in = l ? hidden_ : input;
      layers_.emplace_back(build.scope("layer_" + std::to_string(l)), in, hidden_, Initializer::xavier(in, hidden_));
    }
  }

  const DeclaredList& state() const override { return state_; }
  std::size_t output_size() const override { return hidden_; }
  std::span<Var<T>> begin(Pass<T>&, std::size_t) const override { return {}; }

  Var<T> step(Pass<T>& pass, std::span<const Var<T>> inputs, std::span<Var<T>>&) const override {
    Tape<T>& tape = pass.tape;
    Var<T> x = concatenate(tape, inputs);
    for (const Linear<T>& layer : layers_) {
      x = layer(tape, x);
      x = activation_ == "tanh" ? tanh(tape, x) : activation_ == "relu" ? relu(tape, x) : sigmoid(tape, x);
    }
    return x;
  }

  /// No step knows of another: all are rows of one.
  Var<T> run(Pass<T>& pass, Var<T> x, std::span<const std::uint32_t> lengths, bool backwards,
             std::span<Var<T>>& state) const override {
    const Steps<T> steps(pass.tape, x, lengths, backwards);
    return steps.masked(pass.tape, step(pass, {&x, 1}, state));
  }

 private:
  std::size_t hidden_;
  std::string activation_;
  std::vector<Linear<T>> layers_;
  DeclaredList state_;
};

const bool registered =
    register_controller<Feedforward>("feedforward", "layers without state", "Graves et al. 2014, section 4");

}  // namespace

}  // namespace mneme
