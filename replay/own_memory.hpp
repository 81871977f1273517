// Room: replay. OwnMemory: the registered memory that made a trace, run in float64 on logged state and parameters.
//
// For: verify, where a part of a site's addressing or the update has no rule here, so that a memory written
// in one file is verified without a line for it here. Built from the trace's own config text; its trained parameters
// are not needed, because address, update and read are pure. A hop that has weights of
// its own is the exception: what follows from trained parameters is found out beforehand, and is not to be asked for.
// Requires: every state that the memory declares is in the trace (what is rebuilt starts as in a new sequence).
#pragma once

#include "memory/memory.hpp"
#include "replay/reference.hpp"
#include "trace/schema.hpp"

#include <memory>
#include <string>
#include <vector>

namespace mneme::replay {

class OwnMemory {
 public:
  /// FileError where the trace names no registered memory, or does not hold what its functions need.
  explicit OwnMemory(const trace::Layout& layout);

  const MemoryLayout& layout() const { return memory_->layout(); }
  bool declares(const std::string& full_name) const;
  bool has_site(const std::string& site) const;
  /// Whether the site's weights, or the state after update(), follow from trained parameters, which are not here.
  bool needs_trained_weights(const std::string& site) const;
  bool needs_trained_state(const std::string& full_name) const;

  /// Before the first step: zeros, and what is rebuilt as begin() makes it.
  void start();
  /// The state that stands now is the one that a step begins with.
  void begin_step();
  /// State by full name ("contents", "read_0.weights"), rows as the trace has them (slot x cell).
  void set(const std::string& full_name, View values);
  Row get(const std::string& full_name) const;
  /// The step's head parameters by full name.
  void set_parameter(const std::string& full_name, View values);

  // The memory's own functions; what they fill is in the state.
  void address(const Turn& turn);
  void update(const Turn& turn);
  void read(const Turn& turn);
  /// What the last address() passed on the way to the weights; empty where the memory declares no such stage.
  Row stage(const std::string& full_name) const;

 private:
  struct Slot {
    Declared declared;
    bool turned = false;   ///< declared cell x slot inside, slot x cell in the trace
    Row values;            ///< inside layout
    Row before = {};       ///< those that the step began with
    bool trained = false;  ///< update() takes it from trained parameters
  };
  void find_trained();
  static Slot make_slot(const Declared& declared);
  static void assign(Slot& slot, View values);
  std::size_t site_index(const std::string& site) const;
  Values<double> handles(const std::vector<Slot>& slots, Row Slot::*of = &Slot::values);
  /// f(pass, parameters, before, now) on a fresh tape; the state becomes `now`.
  template <class F>
  void run(const Turn& turn, Look<double>* look, F f);

  ParameterSet<double> parameters_set_;
  std::unique_ptr<Gradients<double>> gradients_;
  std::unique_ptr<Memory<double>> memory_;
  Tape<double> tape_;
  std::vector<Slot> state_, parameters_, stages_;
  std::vector<bool> trained_sites_;
};

/// The top-level keys `memory` and `controller` and the section [memory] of a config text.
struct MemoryConfig {
  std::string name;
  std::map<std::string, std::string> options;
  bool controlled = false;  ///< a controller asks it; else the question itself does (MemorySetup::question)
};
MemoryConfig read_memory_config(const std::string& config_ini);

}  // namespace mneme::replay
