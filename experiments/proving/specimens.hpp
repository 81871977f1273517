// Room: experiments. Specimens: every registered plug-in at small, unequal sizes, as what checks need: something to run
// for a few steps. What `mneme gradcheck` and the conformance suite go over; a new plug-in is in it by being
// registered.
//
// Option sets come from the plug-in's own declaration: the defaults with every large size brought down, then every
// value of every choice, every flag and every count one up, each alone or, where validate() refuses it so, with the
// first other value that makes it acceptable.
#pragma once

#include "autodiff/ops.hpp"
#include "models/model.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mneme::experiments {

/// One option set; `text` names what differs from the small defaults: "order=read-first", "" for the defaults.
struct Variant {
  std::string text;
  Options options;
};

/// The small defaults first. `fixed` is set in all of them. Throws ArgumentError where the small defaults are refused.
std::vector<Variant> small_variants(const std::string& section, const OptionTable& table,
                                    const std::function<void(const Options&)>& validate = {},
                                    const std::map<std::string, std::string>& fixed = {});

/// A memory or a controller at small sizes.
struct Specimen {
  std::string family;  ///< "memory" or "controller"
  std::string name;
  std::string variant;
  Options options;
  const MemoryPlugin* memory = nullptr;
  const ControllerPlugin* controller = nullptr;

  std::string label() const { return family + " " + name + (variant.empty() ? "" : " (" + variant + ")"); }
};

std::vector<Specimen> specimens_of(const std::string& name, const MemoryPlugin& plugin);
std::vector<Specimen> specimens_of(const std::string& name, const ControllerPlugin& plugin);
/// All registered memories and controllers.
std::vector<Specimen> specimens();

/// False for state that has no gradient by design, or is rebuilt.
bool differentiable(const Declared& d);

/// What memories and controllers have in common: a step from an input and a state to outputs and a state.
template <class T>
class Recurrent {
 public:
  struct Stepped {
    Values<T> state, outputs;
  };
  virtual ~Recurrent() = default;
  virtual const DeclaredList& state() const = 0;
  virtual const DeclaredList& outputs() const = 0;  ///< head parameters; a controller's one output
  virtual std::size_t input_size() const = 0;
  /// Rows first_row .. first_row+rows-1 of the sequences: a memory filled from items gets theirs.
  virtual Values<T> begin(Pass<T>& pass, std::size_t first_row, std::size_t rows) const = 0;
  virtual Stepped step(Pass<T>& pass, Var<T> input, Values<T> state) const = 0;
  virtual const Memory<T>* memory() const { return nullptr; }
};

/// A specimen built and ready to run: parameters, gradient and tape of its own.
template <class T>
class Rig {
 public:
  explicit Rig(const Specimen& specimen, std::uint64_t seed = 1);
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  ParameterSet<T> set;
  std::unique_ptr<Recurrent<T>> module;
  std::unique_ptr<Gradients<T>> gradients;
  Tape<T> tape;
  Pass<T> pass{tape};  ///< of all runs: a test, no training

  /// Inputs [rows D] of so many steps, in -1..1: a row has numbers of its own, whatever batch it is in.
  std::vector<Var<T>> inputs(std::size_t steps, std::size_t first_row, std::size_t rows);
  /// A state with a gradient, away from the borders of what each slot's kind allows; slots without a gradient by
  /// design are as begin() makes them.
  Values<T> interior(std::size_t first_row, std::size_t rows);
  /// The module's own start. InvariantError, which names the plug-in, where it is not as declared.
  Values<T> started(std::size_t first_row, std::size_t rows);

 private:
  std::string label_;
};

/// Everything that came out of a run.
template <class T>
struct Trail {
  std::vector<Values<T>> state;    ///< before the first step, and after each
  std::vector<Values<T>> outputs;  ///< of each step
};

/// A step for each input, from `state`.
template <class T>
Trail<T> run(Rig<T>& rig, Values<T> state, const std::vector<Var<T>>& inputs);

/// sum_i sin(1.3 i + 0.7) y_i over all numbers of a trail, times `scale`: no two errors cancel.
template <class T>
Var<T> trail_loss(Tape<T>& tape, const Trail<T>& trail, double scale = 1);

/// A model with everything it is made of, at small sizes.
struct ModelSpecimen {
  std::string name;
  std::string variant;  ///< "bits, ntm, lstm"
  const ModelPlugin* plugin = nullptr;
  Options options;
  ModelSetup setup;

  std::string label() const { return "model " + name + " (" + variant + ")"; }
};

/// Every model with every kind of batch it accepts, every memory and every controller where it uses them.
std::vector<ModelSpecimen> model_specimens();

template <class T>
class ModelRig {
 public:
  explicit ModelRig(const ModelSpecimen& specimen, std::uint64_t seed = 1);
  ModelRig(const ModelRig&) = delete;
  ModelRig& operator=(const ModelRig&) = delete;

  ParameterSet<T> set;
  std::unique_ptr<Model<T>> model;
  std::unique_ptr<Gradients<T>> gradients;
  Tape<T> tape;

  /// Loss and logits on a tape begun anew.
  Forward<T> forward(const Batch& batch, bool record, double loss_scale = 1, Look<T>* look = nullptr);
};

/// A batch of this shape, drawn from `seed`: rows end at different steps (the first at the last) and have different
/// numbers of items; the last step of a row is always scored.
Batch random_batch(const BatchSpec& spec, std::size_t rows, std::size_t steps, std::uint64_t seed = 1);
/// Row b of a batch as a batch of its own, with no step and no item more than it needs.
Batch single_row(const Batch& batch, const BatchSpec& spec, std::size_t b);

}  // namespace mneme::experiments
