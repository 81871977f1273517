// Room: experiments. train(): a run from its configuration to a finished directory; resume(): the same from its last
// checkpoint, to the bit.
//
//   DIR/config.ini     resolved, runs again as it is       DIR/metrics.jsonl  one JSON object a line
//   DIR/run.json       who, what, where, how it ended      DIR/log.txt        what was said, with times
//   DIR/checkpoints/   experiments/run/checkpoint.hpp          DIR/traces/        *.trace.h5
//   DIR/DONE           there when the run ended by itself (solved, max_sequences)
//
// A run is a loop of Session::step (experiments/run/session.hpp) with evaluation, checkpoints and the finite guard
// around it. It may be killed at any moment: resume() then ends with the bits of the run that was never killed. Errors:
// ArgumentError (options, a directory that holds a run), RuntimeFailure (disk), FileError (no good checkpoint).
// Signals, the time limit and divergence are no errors: see ExitReason.
#pragma once

#include "experiments/config/config.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mneme::experiments {

enum class ExitReason { solved, max_sequences, time_limit, interrupted, terminated, diverged };
/// "solved", ...: the spelling in run.json.
const char* exit_reason_name(ExitReason reason);
/// 0, 0, 75, 130, 75, 4
int exit_code(ExitReason reason);
/// What a signal's number asks for: SIGINT is an interruption; SIGTERM, SIGHUP and any other end the run as terminated.
ExitReason stop_reason(int signal);

/// What a progress bar shows.
struct Progress {
  std::uint64_t sequences = 0, max_sequences = 0;
  std::uint64_t begun = 0;     ///< sequences that this call began with
  double seconds = 0;          ///< training so far
  double rate = 0;             ///< sequences a second, lately
  double eta = 0;              ///< seconds until max_sequences at this rate; 0 = unknown
  bool at_most = false;        ///< the run ends earlier where it is solved
  std::uint64_t averaged = 0;  ///< sequences that loss and error are means of; 0 = none yet
  double loss = 0;   ///< mean, as it is minimised, of the last line of metrics.jsonl, or of what comes before it
  double error = 0;  ///< mean of the task's solved metric over the same
  std::optional<double> evaluation;  ///< the solved metric of the latest evaluation
  std::string_view error_name;       ///< "wrong_bits_per_sequence"
  std::string_view status;           ///< "training", "evaluating", "saving", "solved", ...
};

struct RunOptions {
  std::filesystem::path out;      ///< created; "" = default_run_directory()
  int threads = 1;                ///< no bit depends on it
  std::vector<std::string> argv;  ///< for run.json
  /// Set to a signal's number from outside: the run then ends by stop_reason(), an evaluation under way included.
  const std::atomic<int>* signal = nullptr;
  std::function<void(const Progress&)> progress;  ///< called at most every progress_seconds, and at the end
  double progress_seconds = 0.1;
  std::function<void(const std::string&)> notice;  ///< warnings and milestones; they are in log.txt too
  bool milestones = true;                          ///< false: `notice` gets the warnings alone
};

struct RunResult {
  ExitReason reason = ExitReason::max_sequences;
  std::string
      message;  ///< one sentence, for the caller to print; for `diverged` the op, site, step and sequence at fault
  std::filesystem::path directory;
  std::uint64_t sequences = 0, updates = 0;
  double seconds = 0;
  std::optional<std::uint64_t> solved_at_sequences;
  std::optional<double> evaluation, best;  ///< of the solved metric
  bool has_test = false;                   ///< the task has a test set (Task::test)
};

/// runs/TASK/PRESET/TIME-ID under the current directory (MODEL-MEMORY where there is no preset), where nothing is yet.
/// ArgumentError where the current directory is in a run.
std::filesystem::path default_run_directory(const Config& config);

/// What train() refuses before it makes anything: a configuration or data that nothing can be built from, a folder that
/// is used.
void check_start(const Config& config, const std::filesystem::path& out);

RunResult train(const Config& config, const RunOptions& options);

/// Goes on in `directory`, whose config.ini decides all but `given` (resumable_keys() and paths). ArgumentError where
/// the newest checkpoint or the data are of another run, naming the first difference. A run that is finished and has
/// nothing left to do returns at once and is not changed.
RunResult resume(const std::filesystem::path& directory, const std::vector<Assignment>& given,
                 const RunOptions& options);

/// Whether the run in `directory` has ended for good and `config` does not make it go on.
bool nothing_left(const std::filesystem::path& directory, const Config& config);

/// `config` in options.out: a new run, or the one that is there gone on with, `given` as for resume(). One that has
/// diverged, or has ended and holds all that is `given`, is only read. ArgumentError where another configuration is
/// there.
RunResult train_or_resume(const Config& config, const std::vector<Assignment>& given, const RunOptions& options);

}  // namespace mneme::experiments
