// Room: experiments. Config: every option of a run, resolved and validated, and its text.
//
// Layers: defaults < preset or file < assignments (the command line). A Config is complete: what is not given holds its
// default, so its text() says everything that decides the run's bits, and text -> Config -> text is the identity.
//
//   Config c = Config::load("copy_ntm", {{"memory.slots", "64", "--memory.slots"}});
//   c.memory_options.size("slots");
//
// Errors are ArgumentError: an unknown name lists what exists and the nearest; a key that does not fit the chosen
// plug-ins, or a value out of range, names the key and where it came from (copy_ntm.ini:12, --memory.slots).
#pragma once

#include "core/options.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mneme::experiments {

/// One value that somebody gave: key "memory.slots", and where, for messages.
struct Assignment {
  std::string key, value, origin;
};

class Config {
 public:
  /// Defaults and `given` alone; `given` must name a task.
  static Config from(const std::vector<Assignment>& given);
  /// A preset by name, a file, or a run directory (its config.ini), then `given` on top. Where `given` chooses another
  /// plug-in than the file, keys of the file that the new one does not know are dropped: see notices.
  static Config load(const std::string& preset, const std::vector<Assignment>& given = {});
  /// INI text; `name` stands for the file in messages.
  static Config parse(const std::string& text, const std::string& name, const std::vector<Assignment>& given = {});

  std::string task, model, memory, controller, optimizer;  ///< "" where the model uses no memory or controller
  std::uint64_t seed = 1;
  Options task_options, model_options, memory_options, controller_options, optimizer_options;
  Options train;  ///< train.*: batch, max-sequences, ...
  Options trace;  ///< trace.*: level, every, budget-mb, keyframe-every

  /// The canonical INI text: what config.ini, checkpoints and traces hold.
  std::string text() const;
  /// The same as a JSON object by section; numbers and flags as such.
  std::string json() const;
  /// Every key with its value, in the order of text(): "seed", "task", ..., "task.width", ...
  std::vector<std::pair<std::string, std::string>> items() const;
  /// What the configuration computes, a line each, whatever version of the program wrote it down: the seed, the names
  /// of the plug-ins, and each option that is not as it stood before it existed (OptionTable::absent), by the name that
  /// it was born with. Left out: where data lie (data are known by their digest), resumable_keys(), which only say how
  /// long a run goes and what it writes (but train.max-sequences where the schedule ends there), and the number of
  /// threads.
  std::string identity() const;
  /// The run's name: the hash of identity() and of what it is trained on, Task::data_digest(), as 16 hex digits.
  std::string run_id(const std::string& data_digest) const;

  /// What text() gave, now or in an older version: what it does not have stands as before it existed.
  static Config stored(const std::string& text, const std::string& name);

  /// This configuration with some keys set anew.
  Config with(const std::vector<Assignment>& given) const;

  /// The preset or file that load() took, by its name without folder and ending; "" where there was none. No part of
  /// text(): it names the default folder.
  std::string source;

  /// What was dropped or assumed while loading, a sentence each.
  std::vector<std::string> notices;

 private:
  friend class Resolver;
};

/// Whether a key of a configuration is a path: free to change where the content is the same.
bool is_path(const Config& config, const std::string& key);

/// Keys that may change when a run is resumed: they decide how long it goes and what it writes, not what it computes.
const std::vector<std::string>& resumable_keys();

/// One line of help.
struct OptionInfo {
  std::string key;       ///< "memory.slots"
  std::string plugin;    ///< "memory ntm"; "" for what every run has
  std::string standard;  ///< default
  std::string domain;    ///< "1..1048576"
  std::string help;
  std::vector<std::string> values = {};  ///< of a choice, a list of choices, a flag: what may be given
};
/// All options of a run: of the plug-ins that `chosen` names, or of every one that is registered where it is null.
std::vector<OptionInfo> list_options(const Config* chosen = nullptr);

/// train.* and trace.*, declared once.
const OptionTable& train_table();
const OptionTable& trace_table();

struct Preset {
  std::string name;     ///< "copy_ntm"
  std::string summary;  ///< the file's first comment line
  std::string text;
  std::filesystem::path path = {};  ///< of one from $MNEME_CONFIGS; empty where it is built in
};
/// Those built in (experiments/configs/*.ini at the time of the build) and those of the folder $MNEME_CONFIGS, which
/// stand before a built-in one of the same name. ArgumentError where that folder cannot be read.
std::vector<Preset> presets();

/// hash as 16 hex digits.
std::string hex(std::uint64_t hash);

}  // namespace mneme::experiments
