// Room: autodiff. The gradient checker: analytic derivatives against central differences, in float64.
//
//   GradientResult r = check_gradient([](auto& tape, auto x) { return tanh(tape, x[0]); }, {{.shape = {3, 5}}});
//   if (!r.ok()) puts(r.text().c_str());   // "input 0 [3 5], element 7: analytic 0.52, numeric 0.61"
//
// The result of any shape is reduced by fixed, asymmetric weights, so that errors of opposite sign cannot cancel.
// Before the real run the tape is driven once with gradients that are not numbers, so that an op that leaves a part of
// its gradient unwritten, or reads a stale buffer, shows NaN instead of last step's right answer.
//
// Ops list their cases where they live: gradient_cases() below for autodiff/ops.hpp, attention_cases() in attention/,
// and so on; `mneme gradcheck` and the tests run the lists. Models and modules, whose parameters are not inputs of a
// function, use compare_gradient on their flat arrays.
#pragma once

#include "autodiff/tape.hpp"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace mneme {

struct GradientOptions {
  double tolerance = 1e-6;    ///< on |a - n| / max(1, |a|, |n|)
  double step = 2e-4;         ///< h of the fourth-order central difference, times max(1, |x|)
  std::uint64_t seed = 1;     ///< of the drawn inputs
  std::size_t uses = 1;       ///< apply the function so many times to the same inputs: gradients are then added
  std::size_t per_block = 0;  ///< compare only about so many elements of each block, evenly spread; 0 = all
};

/// The comparison with the largest |a - n| / max(1, |a|, |n|).
struct GradientResult {
  std::string where;  ///< "input 0 [3 5]" or the block's name
  std::size_t element = 0;
  double analytic = 0;
  double numeric = 0;
  double error = 0;  ///< |a - n| / max(1, |a|, |n|); infinite where either is not finite
  double tolerance = 1e-6;
  std::size_t compared = 0;  ///< how many derivatives

  bool ok() const { return compared > 0 && error <= tolerance; }
  std::string text() const;
};

/// Numbers that a loss depends on, and the gradient claimed for them.
struct GradientBlock {
  std::string name;
  double* values = nullptr;
  const double* gradient = nullptr;  ///< must not change while the loss is evaluated
  std::size_t size = 0;
};

/// Nudges every value in place, evaluates `loss`, puts the value back. `loss` must be a pure function of the values.
GradientResult compare_gradient(const std::function<double()>& loss, std::span<const GradientBlock> blocks,
                                const GradientOptions& options = {});

/// sum_i sin(1.3 i + 0.7) y_i over all numbers of all outputs: the loss of every check, and how a case that has several
/// outputs returns one. `scale` multiplies the gradient only.
Var<double> asymmetric_loss(Tape<double>& tape, std::span<const Var<double>> outputs, double scale = 1);
inline Var<double> asymmetric_loss(Tape<double>& tape, std::initializer_list<Var<double>> outputs) {
  return asymmetric_loss(tape, std::span<const Var<double>>(outputs.begin(), outputs.size()));
}

struct GradientInput {
  enum class Role {
    variable,   ///< a value with a gradient
    constant,   ///< no gradient: the op must leave it alone
    parameter,  ///< a leaf, with a transposed copy if of rank 2: uses are gathered into one product
  };
  Shape shape;
  double low = -1;  ///< values are uniform in low..high; keep 2 steps away from kinks and poles
  double high = 1;
  Role role = Role::variable;
};

/// Must be a pure function of the inputs; arrays that an op keeps by pointer may live in its captures.
using GradientFunction = std::function<Var<double>(Tape<double>&, std::span<const Var<double>>)>;

GradientResult check_gradient(const GradientFunction& function, std::span<const GradientInput> inputs,
                              const GradientOptions& options = {});
inline GradientResult check_gradient(const GradientFunction& function, std::initializer_list<GradientInput> inputs,
                                     const GradientOptions& options = {}) {
  return check_gradient(function, std::span<const GradientInput>(inputs.begin(), inputs.size()), options);
}

struct GradientCase {
  std::string name;     ///< the op as declared: "linear"
  std::string variant;  ///< what this case is about: "parameter weight, 5 rows"
  std::vector<GradientInput> inputs;
  GradientFunction function;

  std::string label() const { return variant.empty() ? name : name + " (" + variant + ")"; }
};

/// check_gradient once as it is and once with every input used twice; the worse result.
GradientResult check_case(const GradientCase& one);

/// Every op of autodiff/ops.hpp (cases.cpp).
std::vector<GradientCase> gradient_cases();

}  // namespace mneme
