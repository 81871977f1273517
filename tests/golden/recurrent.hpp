// Room: tests. A recurrent controller with given weights, run over whole sequences, for golden values.
#pragma once

#include "autodiff/ops.hpp"
#include "controllers/controller.hpp"
#include "tests/golden/golden.hpp"

#include <functional>

namespace mneme::golden {

template <class T>
struct Sequences {
  std::size_t steps = 0, rows = 0, hidden = 0;
  std::vector<Numbers> h;     ///< of each step: [rows hidden]; zeros past a row's end
  std::vector<Numbers> last;  ///< final state by slot
};

/// One layer of `name` and its parameters by name.
template <class T>
class Recurrent {
 public:
  Recurrent(const std::string& name, std::map<std::string, std::string> options, std::size_t input,
            std::size_t hidden) {
    options["hidden"] = std::to_string(hidden);
    options["initial-state"] = "zero";
    const ControllerPlugin& plugin = controllers().find(name);
    controller_ = plugin.make<T>(Builder<T>(set_), plugin.options.parse("controller", options), input);
    set_.initialize(1);
    gradients_ = std::make_unique<Gradients<T>>(set_, 2);
    tape_.bind(gradients_->leaves());
  }

  /// Every number of the named parameter of the first layer, from f(index).
  void set(const std::string& name, const std::function<double(std::size_t)>& f) {
    for (std::size_t i = 0; i < set_.parameters().size(); ++i)
      if (set_.parameters()[i].name == "layer_0." + name) {
        for (std::size_t k = 0; k < set_.parameters()[i].shape.size(); ++k) set_.value(i)[k] = static_cast<T>(f(k));
        set_.refresh();
        return;
      }
    ADD_FAILURE() << "no parameter " << name;
  }

  /// x(t, b, i) read forwards or backwards within each row's length; `initial` by state slot, [rows hidden], or empty.
  Sequences<T> run(std::size_t steps, std::size_t rows, std::size_t input, const std::vector<std::size_t>& lengths,
                   bool backwards, const std::vector<Numbers>& initial,
                   const std::function<double(std::size_t, std::size_t, std::size_t)>& x) {
    tape_.begin(false);
    Sequences<T> out{steps, rows, controller_->output_size(), {}, {}};
    out.h.assign(steps, Numbers(rows * out.hidden));
    std::span<Var<T>> state = controller_->begin(pass_, rows);
    for (std::size_t s = 0; s < initial.size(); ++s)
      for (std::size_t i = 0; i < initial[s].size(); ++i) state[s].data[i] = static_cast<T>(initial[s][i]);
    for (std::size_t t = 0; t < steps; ++t) {
      Var<T> in = tape_.filled({rows, input}, T(0));
      auto* active = tape_.template scratch<std::uint8_t>(rows);
      const auto place = [&](std::size_t b) { return backwards ? lengths[b] - 1 - t : t; };
      for (std::size_t b = 0; b < rows; ++b) {
        active[b] = t < lengths[b];
        for (std::size_t i = 0; active[b] && i < input; ++i) in.data[b * input + i] = static_cast<T>(x(place(b), b, i));
      }
      std::span<Var<T>> next = state;
      const Var<T> h = controller_->step(pass_, {&in, 1}, next);
      for (std::size_t s = 0; s < next.size(); ++s) next[s] = choose_rows(tape_, active, next[s], state[s]);
      state = next;
      for (std::size_t b = 0; b < rows; ++b)
        for (std::size_t j = 0; active[b] && j < out.hidden; ++j)
          out.h[place(b)][b * out.hidden + j] = static_cast<double>(h.data[b * out.hidden + j]);
    }
    for (const Var<T>& s : state) out.last.emplace_back(s.data, s.data + s.size());
    return out;
  }

 private:
  ParameterSet<T> set_;
  std::unique_ptr<Controller<T>> controller_;
  std::unique_ptr<Gradients<T>> gradients_;
  Tape<T> tape_;
  Pass<T> pass_{tape_};
};

}  // namespace mneme::golden
