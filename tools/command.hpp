// Room: tools. Command: one row of the program's command table. The table gives parsing, help, examples and
// did-you-mean; a new subcommand is a function that returns its row, named in commands.cpp.
//
// Invariants: data goes to stdout, messages to stderr; with --json stdout holds one JSON value and nothing else. A
// command returns its exit code (exit_codes below) and throws mneme errors, which the dispatcher turns into theirs.
#pragma once

#include "core/options.hpp"
#include "experiments/config/config.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mneme::tools {

/// By the kind of mistake, the same in every command; exit_codes() says it to users.
enum ExitCode {
  kOk = 0,
  kFailure = 1,      ///< the world refused: disk full, no permission, no memory, a program is missing
  kUsage = 2,        ///< what was typed, or a configuration, is wrong: names, values, a path where nothing is
  kBadFile = 3,      ///< a file that is there but damaged, of another format, or newer
  kDiverged = 4,     ///< a value stopped being finite
  kNotVerified = 5,  ///< a gate, check or verification failed
  kStopped = 75,     ///< stopped from outside or by the time limit; resumable
  kInterrupted = 130,
};
/// Every code with its meaning: for --help, the manual page, and the test of README.md.
const std::vector<std::pair<int, std::string>>& exit_codes();

/// What a command was given.
struct Arguments {
  std::vector<std::string> positional;
  Options options;                                   ///< the command's own flags: options.integer("--threads")
  std::map<std::string, std::string> given;          ///< those of them that were typed
  std::vector<experiments::Assignment> assignments;  ///< configuration keys
  std::vector<std::string> argv;                     ///< as typed, for run.json

  bool has(const std::string& flag) const { return given.count(flag) > 0; }
  bool json() const { return has("--json"); }
};

struct Command {
  std::string name;                                           ///< "train", "trace info"
  std::string summary;                                        ///< one line, no full stop
  std::string parameters;                                     ///< "PRESET|FILE", "[KIND]"; words in [] may be left out
  std::vector<std::pair<std::string, std::string>> examples;  ///< what to type after "mneme ", what it does
  OptionTable flags;                                          ///< names with their dashes: "--threads"
  std::map<std::string, std::string> values = {};  ///< what a flag's value is called in help: "--out" -> "DIR"
  /// What the first parameter may be, where that can be listed: names, or runs that are there.
  std::vector<std::string> (*choices)() = nullptr;
  /// The first parameter ("") and flags ("--map") that name a file or folder which must be there.
  std::vector<std::string> reads = {};
  /// "" = takes no configuration keys; "all", or a prefix ("trace."): these keys are flags too.
  std::string config_keys = {};
  std::map<std::string, std::string> aliases = {};  ///< "--max-sequences" -> "train.max-sequences"
  std::string notes = {};                           ///< paragraphs at the end of the help
  /// SIGINT, SIGTERM and SIGHUP only set caught_signal(), which run() polls; any other command dies of them as usual.
  bool heeds_signals = false;
  bool saves_when_stopped = false;  ///< what it has done by then is on disk, and is gone on with
  int (*run)(const Arguments&) = nullptr;
};

/// The table, in the order of `mneme --help`.
const std::vector<Command>& commands();

/// The command whose name the words begin with, and how many words that takes; null where there is none.
const Command* find_command(const std::vector<std::string>& words, std::size_t& used);

/// Finds, parses, runs; every error becomes a message and its exit code.
int dispatch(const std::vector<std::string>& arguments);

}  // namespace mneme::tools
