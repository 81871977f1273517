// Room: experiments. Plan: a list of runs, each a configuration in a folder of its own, trained to the end, judged, and
// reduced to rows.
//
// The one way in which many runs are made: a study, a comparison, a sweep are lists of them and what they make of the
// rows. A run lives in OUT/NAME and is taken up where it stopped: a finished one is only read, an unfinished one
// resumed. One whose row is known is not made at all.
#pragma once

#include "experiments/compare/jobs.hpp"
#include "experiments/compare/row.hpp"
#include "experiments/judge/evaluate.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace mneme::experiments {

struct PlannedRun {
  std::string name;                                          ///< of its folder
  std::vector<std::pair<std::string, std::string>> factors;  ///< of its rows
  Config config;
  std::vector<std::string> argv;  ///< the command that gives it, but for --out
  std::string label = {};         ///< in messages; "" = its name
};

/// What the folder of a run that has ended says of it.
struct EndedRun {
  std::filesystem::path directory;
  std::string record;  ///< run.json
  Config config;
  /// A number of run.json; none where it is null or not there. FileError where it is something else.
  std::optional<double> number(const char* key) const;
};

/// The rows of a run, from `begun`: its factors and what every run has. NonFiniteError: it counts as diverged.
using Judge = std::function<std::vector<Row>(const EndedRun& run, Row begun, EvaluationOptions how)>;

struct PlanOptions {
  std::filesystem::path out;
  std::uint64_t after = 0;  ///< sequences to go on for once solved
  JobsOptions how;
  std::vector<Row> known = {};                        ///< rows of earlier runs, known again by their config_hash
  std::function<void(const std::vector<Row>&)> done;  ///< the rows of each run that was made, in order
};

/// Rows in the order of the runs. A run that is there goes on where its configuration says so, by resumable_keys(); one
/// that is solved or longer than that is only read. Ends early where a run was stopped from outside: `stopped` then
/// holds its exit code.
std::vector<Row> run_plan(const std::vector<PlannedRun>& runs, const Judge& judge, const PlanOptions& options,
                          int& stopped);

}  // namespace mneme::experiments
