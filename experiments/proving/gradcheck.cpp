#include "experiments/proving/gradcheck.hpp"

#include "attention/cases.hpp"
#include "controllers/cases.hpp"
#include "core/batch.hpp"
#include "memory/cases.hpp"
#include "models/cases.hpp"

#include <cmath>

namespace mneme::experiments {

namespace {

constexpr std::size_t steps = 3, rows = 2;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

std::vector<GradientBlock> parameter_blocks(ParameterSet<double>& set, Gradients<double>& gradients) {
  std::vector<GradientBlock> blocks;
  for (std::size_t i = 0; i < set.parameters().size(); ++i) {
    const Parameter& p = set.parameters()[i];
    blocks.push_back({p.name, set.value(i), gradients.flat() + p.offset, p.shape.size()});
  }
  return blocks;
}

/// A specimen whose inputs and initial state are numbers that may be nudged.
class Nudged {
 public:
  Nudged(const Specimen& specimen, bool interior) : rig_(specimen), interior_(interior) {
    rig_.tape.begin(true);
    for (const Var<double>& x : rig_.inputs(steps, 0, rows)) keep(inputs_, x, fmt::format("input {}", inputs_.size()));
    if (!interior) return;
    const Values<double> state = rig_.interior(0, rows);
    for (std::size_t i = 0; i < state.size(); ++i) {
      const Declared& d = rig_.module->state()[i];
      if (differentiable(d)) keep(state_, state[i], "initial " + d.full_name());
    }
  }

  GradientResult check(const GradientOptions& options) {
    differentiate(not_a_number);  // a part of a gradient that is left unwritten then shows
    rig_.tape.poison(not_a_number);
    differentiate(1);
    std::vector<GradientBlock> blocks = parameter_blocks(rig_.set, *rig_.gradients);
    for (auto* list : {&inputs_, &state_})
      for (Number& n : *list) blocks.push_back({n.name, n.values.data(), n.gradient.data(), n.values.size()});
    return compare_gradient(
        [&] {
          rig_.tape.begin(false);
          return loss(1).data[0];
        },
        blocks, options);
  }

 private:
  struct Number {
    std::string name;
    Shape shape;
    std::vector<double> values, gradient;
    Var<double> var;
  };

  static void keep(std::vector<Number>& list, const Var<double>& x, std::string name) {
    list.push_back({std::move(name), x.shape, {x.data, x.data + x.size()}, std::vector<double>(x.size()), {}});
  }

  Var<double> given(Number& n) {
    n.var = rig_.tape.variable(n.shape);
    std::copy(n.values.begin(), n.values.end(), n.var.data);
    return n.var;
  }

  Var<double> loss(double scale) {
    rig_.set.refresh();
    Values<double> state = rig_.started(0, rows);
    if (interior_) {
      state = copy_values(rig_.tape, state);
      std::size_t k = 0;
      for (std::size_t i = 0; i < state.size(); ++i)
        if (differentiable(rig_.module->state()[i])) state[i] = given(state_[k++]);
    }
    std::vector<Var<double>> inputs;
    for (Number& n : inputs_) inputs.push_back(given(n));
    return trail_loss(rig_.tape, run(rig_, state, inputs), scale);
  }

  void differentiate(double scale) {
    rig_.tape.begin(true);
    rig_.tape.backward(loss(scale));
    for (auto* list : {&inputs_, &state_})
      for (Number& n : *list) std::copy_n(rig_.tape.gradient(n.var), n.gradient.size(), n.gradient.begin());
  }

  Rig<double> rig_;
  bool interior_;
  std::vector<Number> inputs_, state_;
};

/// A value may lie within a step of a kink (relu): what fails is judged again by a step a hundred times smaller. Right
/// derivatives agree with either, wrong ones with neither.
template <class F>
GradientResult away_from_kinks(GradientOptions options, F check) {
  const GradientResult first = check(options);
  if (first.ok()) return first;
  options.step /= 100;
  const GradientResult second = check(options);
  return second.error < first.error ? second : first;
}

void add_cases(std::vector<GradientJob>& jobs, const char* family, const std::vector<GradientCase>& cases) {
  for (const GradientCase& c : cases) jobs.push_back({family, c.name, c.variant, [c] { return check_case(c); }});
}

}  // namespace

GradientResult check_specimen(const Specimen& specimen, const GradientOptions& options) {
  const auto check = [&](bool interior) {
    return away_from_kinks(options, [&](const GradientOptions& o) { return Nudged(specimen, interior).check(o); });
  };
  const GradientResult begun = check(false), interior = check(true);
  GradientResult worst = begun.error >= interior.error ? begun : interior;
  worst.compared = begun.compared + interior.compared;
  return worst;
}

GradientResult check_model(const ModelSpecimen& specimen, const GradientOptions& options) {
  ModelRig<double> rig(specimen);
  const Batch batch = random_batch(specimen.setup.batch, rows, steps);
  for (double scale : {not_a_number, 0.7}) {
    rig.tape.backward(rig.forward(batch, true, scale).loss);
    rig.tape.poison(not_a_number);
  }
  const auto loss = [&] {
    rig.set.refresh();
    return rig.forward(batch, false, 0.7).loss.data[0];
  };
  return away_from_kinks(options, [&](const GradientOptions& o) {
    return compare_gradient(loss, parameter_blocks(rig.set, *rig.gradients), o);
  });
}

std::vector<GradientJob> plugin_jobs() {
  std::vector<GradientJob> jobs;
  for (const Specimen& s : specimens()) {
    const Rig<double> rig(s);
    if (rig.module->state().empty() && rig.module->outputs().empty()) continue;  // memory none
    jobs.push_back({s.family, s.name, s.variant, [s] { return check_specimen(s); }});
  }
  for (const ModelSpecimen& s : model_specimens())
    jobs.push_back({"model", s.name, s.variant, [s] { return check_model(s); }});
  return jobs;
}

std::vector<GradientJob> gradient_jobs() {
  std::vector<GradientJob> jobs;
  add_cases(jobs, "autodiff", gradient_cases());
  add_cases(jobs, "attention", attention_cases());
  add_cases(jobs, "memory", memory_cases());
  add_cases(jobs, "controllers", controller_cases());
  add_cases(jobs, "models", model_cases());
  for (GradientJob& job : plugin_jobs()) jobs.push_back(std::move(job));
  return jobs;
}

}  // namespace mneme::experiments
