// Room: memory. Memory: what every differentiable external memory is.
//
// Five small functions over explicit, named state (core/declared.hpp):
//
//   begin(start) -> state                    M_0, w_0, r_0; memories filled from data embed `start.items` here
//   head_parameters(control) -> parameters   what the controller's output asks of each head
//   address(site, parameters, state) -> w    pure; the site's new weights over the slots
//   update(parameters, state) -> state       pure; writes with the weights that the state holds
//   read(site, state) -> value               pure; what a read head returns
//
// and step(), which calls them in the paper's order. State and parameters are lists of handles in the order of the
// layout. Because address, update and read depend on their arguments alone, a trace can be verified, re-addressed and
// intervened in without the model. A module holds nothing that changes but parameters and declared buffers.
//
// Inside, a matrix of N slots of width M is [B M N], so that slots are contiguous.
#pragma once

#include "attention/addressing.hpp"
#include "core/batch.hpp"
#include "core/declared.hpp"
#include "core/options.hpp"
#include "core/registry.hpp"
#include "nn/parameters.hpp"

#include <functional>
#include <memory>
#include <span>

namespace mneme {

/// The declaration that trace, checkpoint and tests follow.
struct MemoryLayout {
  std::size_t slots = 0;  ///< N; 0 = no slots (memory none)
  std::size_t width = 0;  ///< M
  std::vector<Site> sites;
  std::vector<Declared> state;       ///< each site has a "weights" and each read site a "value" here
  std::vector<Declared> parameters;  ///< head parameters, by site
  std::vector<Declared> stages;  ///< what address() taps on its way to the weights (Tape::tap), by site; may be none
  std::string update = "none";   ///< the write rule by name ("ntm-erase-add"), for replay
  bool write_first = false;      ///< write, then read (else read, then write); a trace stores it

  /// Index in `state` or `parameters`. Throws InvariantError where there is none.
  std::size_t state_index(const std::string& site, const std::string& name) const;
  std::size_t parameter_index(const std::string& site, const std::string& name) const;
  /// Sum of the widths of all read sites' values: what the controller gets of the memory at each step.
  std::size_t read_size() const;
};

/// What begin() is told. Noise and linear start depend on nothing else, so a step runs again to the bit.
struct Start {
  std::size_t rows = 0;
  const ItemSet* items = nullptr;  ///< null unless the task gives item sets
  bool train = false;              ///< noise and linear start are on
  std::uint64_t seed = 0;          ///< of the stream "noise"
  std::uint64_t sequence = 0;      ///< number of row 0 in its stream: the noise stream's index, and how far training is
};

template <class T>
class Memory {
 public:
  virtual ~Memory() = default;
  virtual const MemoryLayout& layout() const = 0;

  /// State before the first step. An axis "item" may be shorter than declared: the longest set among these rows.
  virtual Values<T> begin(Tape<T>& tape, const Start& start) const = 0;
  /// control [B H] -> one handle per layout().parameters
  virtual Values<T> head_parameters(Tape<T>& tape, Var<T> control) const = 0;
  /// -> [B N], of the kind the layout declares for the site's weights
  virtual Var<T> address(Tape<T>& tape, std::size_t site, Values<T> parameters, Values<T> state) const = 0;
  /// -> a new state; `state` is not changed
  virtual Values<T> update(Tape<T>& tape, Values<T> parameters, Values<T> state) const = 0;
  /// -> [B width]
  virtual Var<T> read(Tape<T>& tape, std::size_t site, Values<T> state) const = 0;

  struct Step {
    Values<T> state;
    Values<T> parameters;
    Values<T> stages = {};  ///< by layout().stages where the tape is watched; else empty
  };
  /// One time step. Most memories return step_in_order().
  virtual Step step(Tape<T>& tape, Var<T> control, Values<T> state) const = 0;

  // Memories that are asked questions (MemorySetup::question) embed them, and the answers, themselves: their papers tie
  // both to the items' embeddings.
  /// The tokens of each row as one question -> u [B M], the control of the one step.
  virtual Var<T> question(Tape<T>& tape, const Batch& batch) const;
  /// After the step: how well each class answers -> logits [B K].
  virtual Var<T> answer(Tape<T>& tape, Values<T> state) const;
};

/// A new list with the same handles.
template <class T>
Values<T> copy_values(Tape<T>& tape, Values<T> values);

/// Reads (address, then read) and writes (address all write sites on one memory, then update), in the layout's order.
/// Each site sees the state so far: hop_1 sees the value of hop_0. Every read of every memory goes through here, and
/// is another where the tape says so (Tape::alter_reads).
template <class T>
typename Memory<T>::Step step_in_order(const Memory<T>& memory, Tape<T>& tape, Var<T> control, Values<T> state);

/// The same two phases from given head parameters: what replay runs, without a model.
template <class T>
typename Memory<T>::Step apply_parameters(const Memory<T>& memory, Tape<T>& tape, Values<T> parameters,
                                          Values<T> state);

/// address(), and on a watched tape what it tapped on the way, put into its places of `stages` (by layout().stages).
/// Throws InvariantError where a stage is tapped that is not declared, or the other way round.
template <class T>
Var<T> address_site(const Memory<T>& memory, Tape<T>& tape, std::size_t site, Values<T> parameters, Values<T> state,
                    Values<T> stages);

/// What a memory may know about its surroundings.
struct MemorySetup {
  std::size_t control_size = 0;  ///< H, width of the controller's output
  BatchSpec batch;               ///< for memories that are filled from items
  bool question = false;         ///< the control is question(), as wide as the slots, and answer() will be called
};

struct MemoryPlugin {
  std::string summary;
  std::string source;   ///< paper and equations
  OptionTable options;  ///< memory.* keys
  /// Checks how the options fit together (a start slot beyond N) before anything is built; may be empty.
  std::function<void(const Options&)> validate;
  std::function<std::unique_ptr<Memory<float>>(const Builder<float>&, const Options&, const MemorySetup&)> make_float;
  std::function<std::unique_ptr<Memory<double>>(const Builder<double>&, const Options&, const MemorySetup&)>
      make_double;

  template <class T>
  std::unique_ptr<Memory<T>> make(const Builder<T>& build, const Options& options, const MemorySetup& setup) const {
    if constexpr (std::is_same_v<T, float>)
      return make_float(build, options, setup);
    else
      return make_double(build, options, setup);
  }
};

Registry<MemoryPlugin>& memories();

/// The registration line of a memory's own file:
///   const bool registered = register_memory<Ntm>("ntm", "one-line summary", "paper, equations");
/// M<T> is constructible from (Builder<T>, Options, MemorySetup) and has static options() and, optionally,
/// static validate(Options).
template <template <class> class M>
bool register_memory(const std::string& name, std::string summary, std::string source,
                     std::source_location where = std::source_location::current()) {
  const auto make = [&] {
    MemoryPlugin plugin;
    plugin.summary = std::move(summary);
    plugin.source = std::move(source);
    plugin.options = M<float>::options();
    if constexpr (requires(const Options& o) { M<float>::validate(o); })
      plugin.validate = [](const Options& o) { M<float>::validate(o); };
    plugin.make_float = [](const Builder<float>& b, const Options& o, const MemorySetup& s) {
      return std::make_unique<M<float>>(b, o, s);
    };
    plugin.make_double = [](const Builder<double>& b, const Options& o, const MemorySetup& s) {
      return std::make_unique<M<double>>(b, o, s);
    };
    return plugin;
  };
  return memories().add(name, make, where);
}

}  // namespace mneme
