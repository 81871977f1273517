// Room: tools. Command: one row of the program's command table. The table gives parsing, help, examples and
// did-you-mean; a new subcommand is a function that returns its row, named in commands.cpp.
//
// Invariants: data goes to stdout, messages to stderr; with --json stdout holds one JSON value and nothing else. A
// command returns its exit code (exit_codes below) and throws mneme errors, which the dispatcher turns into theirs.
#pragma once

#include "core/options.hpp"
#include "experiments/config.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mneme::tools {

enum ExitCode {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,        ///< usage or configuration
  kBadFile = 3,      ///< invalid or newer file
  kDiverged = 4,     ///< a value stopped being finite
  kNotVerified = 5,  ///< a gate, check or verification failed
  kStopped = 75,     ///< stopped from outside or by the time limit; resumable
  kInterrupted = 130,
};

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
  /// "" = takes no configuration keys; "all", or a prefix ("trace."): these keys are flags too.
  std::string config_keys = {};
  std::map<std::string, std::string> aliases = {};  ///< "--max-sequences" -> "train.max-sequences"
  std::string notes = {};                           ///< paragraphs at the end of the help
  /// SIGINT and SIGTERM only set caught_signal(), which run() polls; any other command dies of them as usual.
  bool heeds_signals = false;
  int (*run)(const Arguments&) = nullptr;
};

/// The table, in the order of `mneme --help`.
const std::vector<Command>& commands();

/// Finds, parses, runs; every error becomes a message and its exit code.
int dispatch(const std::vector<std::string>& arguments);

}  // namespace mneme::tools
