// Room: tools. What a word of the command line may be: for messages, help, completion and the manual page alike.
#pragma once

#include "tools/command.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace mneme::tools {

/// task, model, memory, controller, optimizer: the keys that choose a plug-in.
const std::vector<std::string>& selectors();
/// Names of the plug-ins that a selector chooses among; empty where `key` is none.
std::vector<std::string> plugin_names(const std::string& key);
std::vector<std::string> preset_names();
/// Runs and folders of restarts here and below runs/, as they would be typed, the newest first.
std::vector<std::string> known_runs();
/// Every run in a folder, those of restarts and comparisons too, by name; the folder itself where it is one.
std::vector<std::string> runs_below(const std::filesystem::path& folder);

/// The configuration keys that a command takes as flags; a key of several plug-ins once for each. Where `words` (those
/// after the command) name a preset, a file or a run, its plug-ins' keys alone, with its values as their defaults;
/// where they choose a plug-in (--memory NAME), keys of the plug-ins chosen, and those that every run has.
struct Keys {
  std::vector<experiments::OptionInfo> list;
  std::string source;   ///< the preset, file or run
  bool chosen = false;  ///< something is chosen
};
Keys config_flags(const Command& command, const std::vector<std::string>& words = {});

/// What other programs call an option, and we do not: "lr" -> "learning-rate"; "" where there is nothing to say.
std::string our_word(const std::string& theirs);

/// The known flags that `name` ("--lr", "--slots", "--memory.slot") may mean, the likeliest first; at most four.
std::vector<std::string> nearest_flags(const std::string& name, const std::vector<std::string>& known);

}  // namespace mneme::tools
