// Room: controllers. Controller: what turns a step's input and the last reads into the memory's orders.
//
// State is explicit and named, as a memory's: a list of handles in the order of state(). A controller holds nothing
// that changes but its parameters.
#pragma once

#include "autodiff/pass.hpp"
#include "controllers/run.hpp"
#include "core/declared.hpp"
#include "core/options.hpp"
#include "core/registry.hpp"
#include "nn/parameters.hpp"

#include <functional>
#include <memory>
#include <span>

namespace mneme {

template <class T>
class Controller {
 public:
  virtual ~Controller() = default;
  /// Declared state; site is the layer ("layer_0"), empty for one layer's h and c alone.
  virtual const DeclaredList& state() const = 0;
  /// H, width of the output.
  virtual std::size_t output_size() const = 0;
  virtual std::span<Var<T>> begin(Pass<T>& pass, std::size_t rows) const = 0;
  /// inputs: [B D_i] each, joined inside; `state` is replaced by the new one -> [B H]
  virtual Var<T> step(Pass<T>& pass, std::span<const Var<T>> inputs, std::span<Var<T>>& state) const = 0;
  /// All steps at once: x [T*B D], row t*B + b, of rows that have lengths[b] <= T steps -> [T*B H], zeros past a row's
  /// end. `backwards`: from each row's last step to its first. A row's state stands still where it has no step; `state`
  /// is replaced by what all steps leave. Step by step, unless a controller has a shorter way to the same.
  virtual Var<T> run(Pass<T>& pass, Var<T> x, std::span<const std::uint32_t> lengths, bool backwards,
                     std::span<Var<T>>& state) const {
    const Steps<T> steps(pass.tape, x, lengths, backwards);
    return steps.each(pass.tape, state, [&](std::size_t t, std::span<Var<T>>& now) {
      const Var<T> here = slice_rows(pass.tape, x, t * steps.rows(), steps.rows());
      return step(pass, {&here, 1}, now);
    });
  }
};

/// Throws InvariantError, which names the plug-in, as core/declared.hpp's, and where its output is not as wide as its
/// options say (`promised`).
void check_controller(const DeclaredList& state, std::size_t output, std::size_t promised, const std::string& plugin);

struct ControllerPlugin {
  std::string name;  ///< as registered, for messages
  std::string summary;
  std::string source;
  OptionTable options;  ///< controller.* keys
  /// H from the options alone: memories are built before the controller that feeds them.
  std::function<std::size_t(const Options&)> output_size;
  std::function<std::unique_ptr<Controller<float>>(const Builder<float>&, const Options&, std::size_t input)>
      make_float;
  std::function<std::unique_ptr<Controller<double>>(const Builder<double>&, const Options&, std::size_t input)>
      make_double;

  template <class T>
  std::unique_ptr<Controller<T>> make(const Builder<T>& build, const Options& options, std::size_t input) const {
    std::unique_ptr<Controller<T>> controller;
    if constexpr (std::is_same_v<T, float>)
      controller = make_float(build, options, input);
    else
      controller = make_double(build, options, input);
    check_controller(controller->state(), controller->output_size(), output_size(options), "controller " + name);
    return controller;
  }
};

Registry<ControllerPlugin>& controllers();

/// The registration line of a controller's own file. C<T> is constructible from (Builder<T>, Options, input width) and
/// has static options() and width(Options), its output size.
/// Own keeps two classes of one name in two files apart: it is not to be given.
template <template <class> class C, class Own = C<float>>
bool register_controller(const std::string& name, std::string summary, std::string source,
                         std::source_location where = std::source_location::current()) {
  const auto make = [=]() -> ControllerPlugin {
    return {
        name,
        summary,
        source,
        C<float>::options(),
        C<float>::width,
        [](const Builder<float>& b, const Options& o, std::size_t n) { return std::make_unique<C<float>>(b, o, n); },
        [](const Builder<double>& b, const Options& o, std::size_t n) { return std::make_unique<C<double>>(b, o, n); }};
  };
  return controllers().add(name, make, where);
}

}  // namespace mneme
