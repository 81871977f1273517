// Room: experiments. Study: presets x seeds (x tasks) behind published figures: a plan of runs, and what judges them.
//
// Rows are what results/*.csv holds, with the figures' provenance beside them. A study judges its runs either at
// lengths of its own or on the task's test set (a row for each part of it).
#pragma once

#include "experiments/compare/plan.hpp"
#include "experiments/judge/task_length.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mneme::experiments {

/// A figure from a paper or project, printed beside ours.
struct Published {
  std::string source;  ///< who, where, and whether it is one run, a mean, a best-of
  std::string figure;
};
/// The same with a number for each task of a test set, 1 and up.
struct PublishedColumn {
  std::string name, preset;  ///< a short name, and whose rows it stands beside
  std::string source;
  std::vector<double> errors;
};

struct StudyPreset {
  std::string name;
  Range seeds{1, 5};
  std::vector<std::int64_t> numbers = {};  ///< one run for each value of Study::number_key; empty: the preset's own
  std::string remark = {};
  std::vector<TaskLength> lengths = {};  ///< of its task, where a study's presets learn several
};

struct Study {
  std::string name;  ///< "copy"
  std::string summary;
  std::vector<StudyPreset> presets;
  std::size_t standard = 0;         ///< so many of them are run unless others are asked for
  std::vector<TaskLength> lengths;  ///< evaluated after training; empty, and its presets have none: the task's test set
  std::size_t episodes = 200;       ///< for each length
  std::vector<Published> published;
  std::vector<PublishedColumn> columns = {};
  std::string number_key = {};     ///< "task.number"
  std::string data_key = {};       ///< names the published data; without it no published figure is comparable
  std::string test_data_key = {};  ///< may name a test set from elsewhere

  /// Whether each preset is judged at lengths of its own task.
  bool several_tasks() const;
  bool judges_lengths() const { return !lengths.empty() || several_tasks(); }
  std::vector<TaskLength> lengths_of(const std::string& preset) const;
};
const std::vector<Study>& studies();
/// Throws ArgumentError that lists what exists.
const Study& find_study(const std::string& name);

/// The columns of a study's CSV: factors preset, task (where it judges on a test set) and seed, and the figures
///   lengths   sequences and seconds until an evaluation of 0.1 and until solved; of the sequences after solving, where
///             the run went on (so many of them as StudyOptions::after says; all where it says none), the worst
///             evaluation of the solved metric and the worst means over train.log-every sequences of the task's first
///             metric and of the solved one; wrong_N, the solved metric at each length
///   lengths of several tasks   sequences and seconds until an evaluation of at most 0.05 of the first metric (bits of
///             cost) and until solved, both metrics of the last evaluation, the worst evaluation after solving as
///             above, then cost_N and wrong_N, both metrics at each length of the preset's task
///   test set  training_loss (compare/restarts.hpp), questions, the solved metric, its value for the commonest
///             answer, words and answers of the test that training lacks; where memory is read, the metric with reads
///             zeroed and shuffled, and of items the share of supporting facts and what the first three hops make of
///             them (experiments/judge/reliance.hpp)
RowColumns study_columns(const Study& study);

struct StudyOptions {
  std::vector<std::string> presets;  ///< empty = the study's
  std::optional<Range> seeds;        ///< the study's where not given
  std::vector<Assignment> given;
  std::filesystem::path out;
  std::uint64_t after = 0;  ///< sequences to go on for once solved, watching what happens
  JobsOptions how;
  std::vector<Row> known = {};                        ///< rows of earlier runs (PlanOptions::known)
  std::function<void(const std::vector<Row>&)> done;  ///< the rows of each run that was made, in order
};

/// Whether `given` names data that no `mneme stories` wrote, where the study has published data at all: published
/// figures are comparable then.
bool published_data(const Study& study, const std::vector<Assignment>& given);

/// Rows in order, of runs in OUT/PRESET[-taskN]-seedS. ArgumentError, before anything is trained, where a preset is
/// named twice or does not fit the study, where --after is asked of a test set, or a training loss could not be had.
/// Ends early where a run was stopped from outside: `stopped` then holds its exit code.
std::vector<Row> run_study(const Study& study, const StudyOptions& options, int& stopped);

/// Rows of one preset and part over its seeds: the one chosen by training loss, and all of them.
struct StudyCell {
  std::string preset;
  std::int64_t number = 0;
  std::size_t runs = 0;                    ///< those that diverged counted too
  std::optional<std::uint64_t> seed = {};  ///< the chosen one's
  std::optional<double> error = {};        ///< its error on the test
  double majority = 0;
  std::size_t questions = 0;
  std::size_t unknown_words = 0, unseen_answers = 0;
  std::vector<double> errors = {};  ///< of all that did not diverge
};
/// In the order of the rows' presets, then by number; none of a preset whose rows have no number, for all its joint
/// runs diverged. A joint run that diverged counts in every cell of its preset. For studies of a test set.
std::vector<StudyCell> study_cells(const std::vector<Row>& rows);

}  // namespace mneme::experiments
