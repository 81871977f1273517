// Room: replay. OwnMemory: the registered memory that made a trace, run in float64 on logged state and parameters.
//
// For: verify, where a part of a site's addressing or the update has no rule here, so that a memory written
// in one file is verified without a line for it here. Built from the trace's own config text; its trained parameters
// are not needed, because address, update and read are pure. A hop that has weights of
// its own is the exception: what follows from trained parameters is found out beforehand, and is not to be asked for.
// Requires: every state that the memory declares is in the trace (opaque ones start as in a new sequence).
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
  /// Whether the site's weights, or the state after update(), follow from trained parameters, which are not here.
  bool needs_trained_weights(const std::string& site) const;
  bool needs_trained_state(const std::string& full_name) const;

  /// Before the first step: zeros, and opaque state as begin() makes it.
  void start();
  /// State by full name ("contents", "read_0.weights"), rows as the trace has them (slot x cell).
  void set(const std::string& full_name, View values);
  Row get(const std::string& full_name) const;
  /// The step's head parameters by full name.
  void set_parameter(const std::string& full_name, View values);

  Row address(const std::string& site);  ///< the site's new weights; the state stays
  /// What the last address() passed on the way to the weights; empty where the memory declares no such stage.
  Row stage(const std::string& full_name) const;
  Row read(const std::string& site);  ///< with the weights that the state holds
  void update();                      ///< the state becomes the new one

 private:
  struct Slot {
    Declared declared;
    bool turned = false;   ///< declared cell x slot inside, slot x cell in the trace
    Row values;            ///< inside layout
    bool trained = false;  ///< update() takes it from trained parameters
  };
  void find_trained();
  static Slot make_slot(const Declared& declared);
  static void assign(Slot& slot, View values);
  std::size_t site_index(const std::string& site) const;
  Values<double> handles(const std::vector<Slot>& slots);

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
