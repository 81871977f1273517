// Room: nn. Optimizers: one update of the flat parameters from the flat gradient, and clipping.
//
// Each has its options (optimizer.* keys); the list is optimizers() in optimizers.cpp. Its state is named flat arrays,
// which are all a checkpoint needs.
#pragma once

#include "core/options.hpp"
#include "core/registry.hpp"
#include "nn/parameters.hpp"

#include <functional>
#include <limits>
#include <memory>

namespace mneme {

/// What is left of clipping for an optimizer to do in its own pass: a number g of the gradient counts as scale g, cut
/// to
/// [-element, element].
struct Limits {
  double scale = 1;
  double element = std::numeric_limits<double>::infinity();
};

template <class T>
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// w <- w + step(g), g as `limits` have it. `rate` is the learning rate now; `count` is how many updates there were,
  /// this one included. InvariantError where the set has another size than the state, or rate and count are no such
  /// numbers.
  void update(ParameterSet<T>& set, const T* gradient, double rate, std::uint64_t count, const Limits& limits = {});

  struct State {
    std::string name;  ///< "momentum", "square", ...
    FlatArray<T> values;
  };
  std::vector<State>& state() { return state_; }

 protected:
  struct Gradient;  ///< reads as it counts
  virtual void step(ParameterSet<T>& set, const Gradient& gradient, double rate, std::uint64_t count) = 0;
  /// Adds a state array of the set's flat size, zero.
  T* add_state(const std::string& name, std::size_t flat_size);
  std::vector<State> state_;
};

struct OptimizerPlugin {
  std::string summary;
  OptionTable options;
  std::function<std::unique_ptr<Optimizer<float>>(const Options&, std::size_t flat_size)> make_float;
  std::function<std::unique_ptr<Optimizer<double>>(const Options&, std::size_t flat_size)> make_double;
};

/// sgd, rmsprop_graves, rmsprop, adam
Registry<OptimizerPlugin>& optimizers();

struct Clip {
  double element = 0;      ///< each number to [-element, element]; 0 = off
  double global_norm = 0;  ///< the whole gradient's 2-norm to at most this; 0 = off
  double usual_norm = 0;   ///< and to at most this many times its usual norm; 0 = off
};

/// Running mean of the gradient's norm after clipping: what is usual. After an update's worth of `clip_gradient`:
///   usual <- (1 - a) usual + a norm, a = 0.01;  the first norm alone at first
inline constexpr double usual_norm_rate = 0.01;

/// Zeroes what is frozen, applies the groups' own norm limits, then `clip`. `usual` is the running mean, 0 before the
/// first update; needed where clip.usual_norm is on. Returns the 2-norm before any clipping, not finite where any
/// gradient is not, or where what clipping leaves has no finite square in T, which optimizers keep running means of:
/// the cheap half of the finite guard. With `left`, what is done to all numbers alike is left to the optimizer.
template <class T>
double clip_gradient(const ParameterSet<T>& set, T* gradient, const Clip& clip, double* usual = nullptr,
                     Limits* left = nullptr);

}  // namespace mneme
