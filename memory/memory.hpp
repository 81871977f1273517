// Room: memory. Memory: what every differentiable external memory is.
//
// A step goes by turns. A turn addresses its sites, all at once; updates the memory, where it is one that writes; and
// reads at its sites, all at once. Four small functions over explicit, named state (core/declared.hpp):
//
//   begin(start) -> state                    M_0, w_0, r_0; memories filled from data embed `start.items` here
//   address(turn, parameters, before, now)   puts the weights of the turn's sites into `now`
//   update(turn, parameters, before, now)    puts what was written, and whatever else changes, into `now`
//   read(turn, now)                          puts what the turn's sites read into `now`
//
// and head_parameters(control), what the controller's output asks of each head. State and parameters are lists of
// handles in the order of the layout; a handle's place is what add() gave. `before` is the state that the step began
// with; `now` begins as a copy of its handles, so that what nobody fills stays as it was. Because the functions depend
// on their arguments alone, a trace can be verified, re-addressed and intervened in without the model: they put new
// handles into `now` and write into no array that they are given. A module holds nothing that changes but parameters
// and declared buffers.
//
// Inside, a matrix of N slots of width M is [B M N], so that slots are contiguous.
#pragma once

#include "attention/addressing.hpp"
#include "core/batch_spec.hpp"
#include "core/declared.hpp"
#include "core/options.hpp"
#include "core/registry.hpp"
#include "nn/parameters.hpp"

#include <functional>
#include <memory>
#include <span>

namespace mneme {

/// A part of a step: ntm has {"write", its write sites, true} and {"read", its read sites}, in the order of its option.
struct Turn {
  std::string name;
  std::vector<std::size_t> sites;  ///< of MemoryLayout::sites; {} where something only settles
  bool writes = false;             ///< update() is called, between address() and read()
};

/// The declaration that trace, checkpoint and tests follow.
struct MemoryLayout : Declaration {
  std::size_t slots = 0;        ///< N; 0 = no slots (memory none)
  std::size_t width = 0;        ///< M
  std::vector<Turn> turns;      ///< in the order of a step; each site has one
  std::string update = "none";  ///< the write rule by name ("ntm-erase-add"), for replay

  /// Sum of the widths of all that is read: what the controller gets of the memory at each step.
  std::size_t read_size() const;
};

/// Throws InvariantError as core/declared.hpp's, and where turns and sites do not fit.
void check(const MemoryLayout& layout, const std::string& plugin);

/// What begin() is told besides the pass. Noise and linear start depend on the pass alone, so a step runs again to the
/// bit.
struct Start {
  std::size_t rows = 0;
  const ItemSet* items = nullptr;  ///< null unless the task gives item sets
};

template <class T>
class Memory {
 public:
  virtual ~Memory() = default;
  virtual const MemoryLayout& layout() const = 0;

  /// State before the first step. An axis "item" may be shorter than declared: the longest set among these rows.
  virtual Values<T> begin(Pass<T>& pass, const Start& start) const = 0;
  /// control [B H] -> one handle per layout().parameters
  virtual Values<T> head_parameters(Pass<T>& pass, Var<T> control) const = 0;
  /// The new weights of the turn's sites [B N]. A turn of several says which one it is at (pass.at) before it shows
  /// a stage. Where the turn does not write, it may put what all its sites read beside them; read() is then called only
  /// if somebody has put other weights in their place.
  virtual void address(Pass<T>& pass, const Turn& turn, Values<T> parameters, Values<T> before,
                       Values<T> now) const = 0;
  virtual void update(Pass<T>& pass, const Turn& turn, Values<T> parameters, Values<T> before, Values<T> now) const = 0;
  /// What the turn's sites read [B width], by the weights and the memory of `now`.
  virtual void read(Pass<T>& pass, const Turn& turn, Values<T> now) const = 0;

  /// One time step, of head parameters that may come from a log: `before` -> the state after it.
  Values<T> step(Pass<T>& pass, Values<T> parameters, Values<T> before) const;

  // Memories that are asked questions (MemorySetup::question) embed them, and the answers, themselves: their papers tie
  // both to the items' embeddings.
  /// The tokens of each row as one question -> u [B M], the control of the one step.
  virtual Var<T> question(Pass<T>& pass, const Batch& batch) const;
  /// After the step: how well each class answers -> logits [B K].
  virtual Var<T> answer(Pass<T>& pass, Values<T> state) const;
};

/// At the turn's site where it is one alone, else at the turn: for messages and for whoever looks.
template <class T>
void enter(Pass<T>& pass, const MemoryLayout& layout, const Turn& turn) {
  pass.at(turn.sites.size() == 1 ? layout.sites[turn.sites[0]].name.c_str() : turn.name.c_str());
}

/// What a memory may know about its surroundings.
struct MemorySetup {
  std::size_t control_size = 0;  ///< H, width of the controller's output
  BatchSpec batch;               ///< for memories that are filled from items
  bool question = false;         ///< the control is question(), as wide as the slots, and answer() will be called
};

struct MemoryPlugin {
  std::string name;  ///< as registered, for messages
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
    std::unique_ptr<Memory<T>> memory;
    if constexpr (std::is_same_v<T, float>)
      memory = make_float(build, options, setup);
    else
      memory = make_double(build, options, setup);
    check(memory->layout(), "memory " + name);
    return memory;
  }
};

Registry<MemoryPlugin>& memories();

/// The registration line of a memory's own file:
///   const bool registered = register_memory<Ntm>("ntm", "one-line summary", "paper, equations");
/// M<T> is constructible from (Builder<T>, Options, MemorySetup) and has static options() and, optionally,
/// static validate(Options).
/// Own keeps two classes of one name in two files apart: it is not to be given.
template <template <class> class M, class Own = M<float>>
bool register_memory(const std::string& name, std::string summary, std::string source,
                     std::source_location where = std::source_location::current()) {
  const auto make = [=] {
    MemoryPlugin plugin;
    plugin.name = name;
    plugin.summary = summary;
    plugin.source = source;
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
