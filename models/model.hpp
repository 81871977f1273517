// Room: models. Model: what joins controller, memory and readout, and turns a batch into a loss and predictions.
//
// The kind of the batch's target picks readout and loss (models/readout.hpp), so one model serves every task whose
// inputs it understands.
#pragma once

#include "autodiff/pass.hpp"
#include "controllers/controller.hpp"
#include "core/batch_spec.hpp"
#include "memory/memory.hpp"

#include <functional>
#include <memory>

namespace mneme {

template <class T>
struct Forward {
  Var<T> loss;    ///< [], nats times loss_scale
  Var<T> logits;  ///< [T*B K], row t*B + b; for real targets the values; for pointer targets masked_logit past count
};

/// How answers that feed back are searched for.
struct Search {
  std::size_t beam = 1;    ///< lines of choices kept side by side; 1 = greedy
  Validity validity = {};  ///< the task's rule
};

/// A part of a model that declares something, for run.json, `mneme show`, the trace and whoever looks: its state is
/// told to Look::start() and Look::state() under this name.
struct Component {
  std::string name;    ///< "memory", "controller", "pointer"
  std::string plugin;  ///< "memory ntm": in messages
  const Declaration* declared = nullptr;
  const MemoryLayout* memory = nullptr;  ///< of a memory: the same with its turns and sizes
  bool every_step = false;               ///< a trace stores its own state at each step (level full), else at keyframes
};
using Components = std::vector<Component>;

/// Throws InvariantError where two parts have one name, or a site of one name.
void check(const Components& components);

/// Null where a model has no such part.
const Component* find(const Components& components, std::string_view name);

/// Logits [T*B K] -> values, choices and lengths, by the target's kind.
template <class T>
void read_prediction(const Batch& batch, Var<T> logits, Prediction& out);
/// And the score of what was read.
template <class T>
void read_score(const Batch& batch, Var<T> logits, Prediction& out);

template <class T>
class Model {
 public:
  virtual ~Model() = default;
  virtual const Components& components() const = 0;
  /// The pass is this run's alone: its step and rows are set as the run goes.
  virtual Forward<T> forward(const Batch& batch, Pass<T>& pass) const = 0;
  /// The way answers are made, on a tape that does not record. `forced`: the logits of forward(), which has seen the
  /// targets; without feedback they are the answer, and this reads them. A model whose answers feed back makes its own
  /// by models/decode/.
  virtual void predict(const Batch& batch, Pass<T>&, const Search&, Var<T> forced, Prediction& out) const {
    read_prediction(batch, forced, out);
    read_score(batch, forced, out);
  }
};

/// Everything a model is built from: names resolved, options validated.
struct ModelSetup {
  BatchSpec batch;
  const MemoryPlugin* memory = nullptr;
  Options memory_options;
  const ControllerPlugin* controller = nullptr;
  Options controller_options;
};

struct ModelPlugin {
  std::string summary;
  std::string source;
  OptionTable options;  ///< model.* keys
  bool uses_memory = true;
  bool uses_controller = true;
  /// Throws ArgumentError where the model does not understand what the task gives.
  std::function<void(const BatchSpec&)> validate;
  std::function<std::unique_ptr<Model<float>>(const Builder<float>&, const Options&, const ModelSetup&)> make_float;
  std::function<std::unique_ptr<Model<double>>(const Builder<double>&, const Options&, const ModelSetup&)> make_double;

  template <class T>
  std::unique_ptr<Model<T>> make(const Builder<T>& build, const Options& options, const ModelSetup& setup) const {
    std::unique_ptr<Model<T>> model;
    if constexpr (std::is_same_v<T, float>)
      model = make_float(build, options, setup);
    else
      model = make_double(build, options, setup);
    check(model->components());
    return model;
  }
};

Registry<ModelPlugin>& models();

/// The registration line of a model's own file. M<T> is constructible from (Builder<T>, Options, ModelSetup) and has
/// static options() and validate(BatchSpec).
/// Own keeps two classes of one name in two files apart: it is not to be given.
template <template <class> class M, class Own = M<float>>
bool register_model(const std::string& name, std::string summary, std::string source, bool uses_memory,
                    bool uses_controller, std::source_location where = std::source_location::current()) {
  const auto make = [=]() -> ModelPlugin {
    return {summary,
            source,
            M<float>::options(),
            uses_memory,
            uses_controller,
            M<float>::validate,
            [](const Builder<float>& b, const Options& o, const ModelSetup& s) {
              return std::make_unique<M<float>>(b, o, s);
            },
            [](const Builder<double>& b, const Options& o, const ModelSetup& s) {
              return std::make_unique<M<double>>(b, o, s);
            }};
  };
  return models().add(name, make, where);
}

}  // namespace mneme
