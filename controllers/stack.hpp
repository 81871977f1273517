// Room: controllers. Stack: what recurrent controllers of k layers share: declared state, learned or zero starts, and
// feeding each layer's h to the next.
#pragma once

#include "autodiff/ops.hpp"
#include "controllers/controller.hpp"

#include <memory>

namespace mneme {

template <class T>
class Stack {
 public:
  /// `names`: the state of one layer, h first ({"h"}, {"h", "c"}). Reads the options hidden, layers and initial-state.
  Stack(const Builder<T>& build, const Options& o, std::vector<std::string> names)
      : hidden_(o.size("hidden")), layers_(o.size("layers")), names_(std::move(names)) {
    for (std::size_t l = 0; l < layers_; ++l)
      for (const std::string& name : names_) {
        state_.add(
            {name, site(l), {hidden_}, Kind::plain, name == "h" ? "hidden state h_t" : "cell state c_t", {"hidden"}});
        if (o.text("initial-state") == "learned")
          initial_.push_back(scope(build, l).parameter("initial_" + name, {hidden_}, Initializer::constant(0)));
      }
  }

  std::size_t hidden() const { return hidden_; }
  std::size_t layers() const { return layers_; }
  const DeclaredList& state() const { return state_; }
  /// Where layer l declares its parameters: "layer_0."
  Builder<T> scope(const Builder<T>& build, std::size_t l) const { return build.scope(site(l)); }

  std::span<Var<T>> begin(Tape<T>& tape, std::size_t rows) const {
    auto* state = tape.template scratch<Var<T>>(state_.size());
    for (std::size_t i = 0; i < state_.size(); ++i)
      new (state + i) Var<T>(initial_.empty() ? tape.filled({rows, hidden_}, T(0))
                                              : repeat_rows(tape, tape.parameter(initial_[i]), rows));
    return {state, state_.size()};
  }

  /// layer(l, inputs, old, next) fills next, the layer's new state; returns the top layer's h.
  template <class F>
  Var<T> run(Tape<T>& tape, std::span<const Var<T>> inputs, std::span<Var<T>>& state, F layer) const {
    const std::size_t k = names_.size();
    std::span<Var<T>> next{tape.template scratch<Var<T>>(state_.size()), state_.size()};
    for (std::size_t l = 0; l < layers_; ++l) {
      layer(l, inputs, state.subspan(l * k, k), next.subspan(l * k, k));
      inputs = next.subspan(l * k, 1);
    }
    state = next;
    return next[(layers_ - 1) * k];
  }

  /// As Controller::run: layer(l, x, rows) is told the inputs of all steps and returns f(t, old, next), which fills
  /// next.
  template <class F>
  Var<T> run_all(Tape<T>& tape, Var<T> x, std::span<const std::uint32_t> lengths, bool backwards,
                 std::span<Var<T>>& state, F layer) const {
    const std::size_t k = names_.size();
    std::span<Var<T>> last{tape.template scratch<Var<T>>(state_.size()), state_.size()};
    for (std::size_t l = 0; l < layers_; ++l) {
      const Steps<T> steps(tape, x, lengths, backwards);
      const auto step = layer(l, x, steps.rows());
      std::span<Var<T>> own = state.subspan(l * k, k);
      x = steps.each(tape, own, [&](std::size_t t, std::span<Var<T>>& now) {
        const std::span<Var<T>> next{tape.template scratch<Var<T>>(k), k};
        step(t, now, next);
        now = next;
        return next[0];
      });
      std::uninitialized_copy(own.begin(), own.end(), last.begin() + static_cast<std::ptrdiff_t>(l * k));
    }
    state = last;
    return x;
  }

  /// inputs..., h: what one product over all of a layer's rows wants.
  static std::span<const Var<T>> join(Tape<T>& tape, std::span<const Var<T>> inputs, Var<T> h) {
    auto* parts = tape.template scratch<Var<T>>(inputs.size() + 1);
    std::uninitialized_copy(inputs.begin(), inputs.end(), parts);
    new (parts + inputs.size()) Var<T>(h);
    return {parts, inputs.size() + 1};
  }

 private:
  static std::string site(std::size_t l) { return "layer_" + std::to_string(l); }

  std::size_t hidden_, layers_;
  std::vector<std::string> names_;
  DeclaredList state_;
  std::vector<std::size_t> initial_;  // parameters by state, empty where states start at zero
};

}  // namespace mneme
