#include "autodiff/gradcheck.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <deque>

namespace mneme {

namespace {

double weight(std::size_t i) {
  return std::sin(1.3 * static_cast<double>(i) + 0.7);
}

/// The inputs' values, and a tape that can evaluate the function of them again and again.
class Checked {
 public:
  Checked(const GradientFunction& function, std::span<const GradientInput> inputs, const GradientOptions& options)
      : function_(function), inputs_(inputs), uses_(options.uses), values_(inputs.size()), gradients_(inputs.size()) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      Random random(options.seed, "gradcheck", i);
      values_[i].resize(inputs[i].shape.size());
      for (double& v : values_[i]) v = random.uniform(inputs[i].low, inputs[i].high);
      gradients_[i].resize(values_[i].size());
      if (inputs[i].role != GradientInput::Role::parameter) continue;
      TransposedCopy<double>* transposed =
          inputs[i].shape.rank() == 2 ? &transposed_.emplace_back(values_[i].data(), inputs[i].shape) : nullptr;
      leaves_.push_back({values_[i].data(), transposed, gradients_[i].data(), inputs[i].shape});
    }
    tape_.bind(leaves_);
  }

  double loss() {
    tape_.begin(false);
    return run().data[0];
  }

  /// Fills all buffers that differentiate() will find with NaN.
  void poison() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    tape_.begin(true);
    tape_.backward(run(nan));
    tape_.poison(nan);
  }

  void differentiate() {
    tape_.begin(true);
    tape_.backward(run());
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      if (inputs_[i].role == GradientInput::Role::variable) {
        const double* d = tape_.gradient(given_[i]);
        std::copy_n(d, gradients_[i].size(), gradients_[i].begin());
      }
  }

  std::vector<GradientBlock> blocks() {
    std::vector<GradientBlock> result;
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      if (inputs_[i].role != GradientInput::Role::constant)
        result.push_back({fmt::format("input {} {}", i, inputs_[i].shape.text()), values_[i].data(),
                          gradients_[i].data(), values_[i].size()});
    return result;
  }

 private:
  Var<double> run(double scale = 1) {
    for (TransposedCopy<double>& copy : transposed_) copy.renew();
    given_.clear();
    std::size_t leaf = 0;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const GradientInput& input = inputs_[i];
      if (input.role == GradientInput::Role::parameter) {
        given_.push_back(tape_.parameter(leaf++));
        continue;
      }
      Var<double> x =
          input.role == GradientInput::Role::variable ? tape_.variable(input.shape) : tape_.constant(input.shape);
      std::copy(values_[i].begin(), values_[i].end(), x.data);
      given_.push_back(x);
    }
    std::vector<Var<double>> outputs;
    for (std::size_t u = 0; u < uses_; ++u) outputs.push_back(function_(tape_, given_));
    return asymmetric_loss(tape_, outputs, scale);
  }

  const GradientFunction& function_;
  std::span<const GradientInput> inputs_;
  std::size_t uses_;
  std::vector<std::vector<double>> values_, gradients_;
  std::deque<TransposedCopy<double>> transposed_;  // a deque: they do not move
  std::vector<Leaf<double>> leaves_;
  std::vector<Var<double>> given_;
  Tape<double> tape_;
};

}  // namespace

std::string GradientResult::text() const {
  if (compared == 0) return "nothing was compared";
  return fmt::format("{}, element {}: analytic {:.12g}, numeric {:.12g}, error {:.3g} of {:g} allowed", where, element,
                     analytic, numeric, error, tolerance);
}

GradientResult compare_gradient(const std::function<double()>& loss, std::span<const GradientBlock> blocks,
                                const GradientOptions& options) {
  GradientResult worst;
  worst.tolerance = options.tolerance;
  worst.error = -1;
  for (const GradientBlock& block : blocks) {
    const std::size_t stride = options.per_block == 0 ? 1 : std::max<std::size_t>(1, block.size / options.per_block);
    for (std::size_t i = 0; i < block.size; i += stride) {
      const double x = block.values[i], a = block.gradient[i];
      const double h = options.step * std::max(1.0, std::abs(x));
      const auto at = [&](double k) {
        block.values[i] = x + k * h;
        return loss();
      };
      // f'(x) = (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h + O(h^4)
      const double n = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h);
      block.values[i] = x;
      double error = std::abs(a - n) / std::max({1.0, std::abs(a), std::abs(n)});
      if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
      ++worst.compared;
      if (error > worst.error) {
        worst.where = block.name;
        worst.element = i;
        worst.analytic = a;
        worst.numeric = n;
        worst.error = error;
      }
    }
  }
  return worst;
}

Var<double> asymmetric_loss(Tape<double>& tape, std::span<const Var<double>> outputs, double scale) {
  bool needs = false;
  for (const Var<double>& y : outputs) needs = needs || y.needs_gradient();
  Var<double> loss = tape.result_if(needs, Shape{});
  auto* kept = tape.scratch<Var<double>>(outputs.size());
  std::uninitialized_copy(outputs.begin(), outputs.end(), kept);
  loss.data[0] = 0;
  std::size_t number = 0;
  for (const Var<double>& y : outputs)
    for (std::size_t i = 0; i < y.size(); ++i) loss.data[0] += weight(number++) * y.data[i];
  const std::size_t count = outputs.size();
  tape.node("asymmetric_loss", {loss}, [=](Tape<double>& t) {
    const double g = t.gradient(loss)[0] * scale;
    std::size_t first = 0;
    for (std::size_t k = 0; k < count; ++k) {
      t.accumulate(kept[k], [&](auto into, double* dy) {
        for (std::size_t i = 0; i < kept[k].size(); ++i) into(dy[i], g * weight(first + i));
      });
      first += kept[k].size();
    }
  });
  return loss;
}

GradientResult check_gradient(const GradientFunction& function, std::span<const GradientInput> inputs,
                              const GradientOptions& options) {
  Checked checked(function, inputs, options);
  checked.poison();
  checked.differentiate();
  const std::vector<GradientBlock> blocks = checked.blocks();
  return compare_gradient([&] { return checked.loss(); }, blocks, options);
}

GradientResult check_case(const GradientCase& one) {
  const GradientResult once = check_gradient(one.function, one.inputs);
  const GradientResult twice = check_gradient(one.function, one.inputs, {.uses = 2});
  return once.error >= twice.error ? once : twice;
}

}  // namespace mneme
