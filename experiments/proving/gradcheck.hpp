// Room: experiments. Gradient checks of whole plug-ins: every registered memory, controller and model with every value
// of its options (experiments/proving/specimens.hpp), in float64 over three steps, with respect to inputs, parameters
// and initial state. Together with the lists of cases of the rooms below: what `mneme gradcheck` runs.
#pragma once

#include "autodiff/gradcheck.hpp"
#include "experiments/proving/specimens.hpp"

namespace mneme::experiments {

/// One thing to check and how it is called.
struct GradientJob {
  std::string family;   ///< autodiff, attention, ...: the room of a case; memory, controller, model: whole plug-ins
  std::string name;     ///< "cosine_score", "ntm", "cell"
  std::string variant;  ///< "order=read-first"
  std::function<GradientResult()> run;

  std::string label() const { return family + " " + name + (variant.empty() ? "" : " (" + variant + ")"); }
};

/// Every op (the rooms' lists of cases), then every memory, controller and model, whole.
std::vector<GradientJob> gradient_jobs();
/// The whole plug-ins alone.
std::vector<GradientJob> plugin_jobs();

/// Three steps of two rows, once from begin() and once from a state away from all borders; the worse result.
GradientResult check_specimen(const Specimen& specimen, const GradientOptions& options = {});
/// One batch of three steps with rows of different lengths, with respect to all parameters.
GradientResult check_model(const ModelSpecimen& specimen, const GradientOptions& options = {});

}  // namespace mneme::experiments
