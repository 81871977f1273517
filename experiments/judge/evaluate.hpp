// Room: experiments. evaluate(): a trained run judged on fresh episodes, at its own lengths or at others, or on the
// test set of a task that has a finite one.
#pragma once

#include "experiments/config/config.hpp"
#include "experiments/judge/reliance.hpp"
#include "experiments/judge/task_length.hpp"
#include "tasks/task.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mneme::experiments {

struct EvaluationOptions {
  std::string checkpoint = "last";       ///< last, best, a number of sequences, or a file
  std::vector<TaskLength> lengths = {};  ///< of the task's length options; empty = the training distribution
  /// Numbers of memory.slots to judge with, each at each length; empty = the run's own. Only for memories none of whose
  /// trained or saved numbers depend on it.
  std::vector<std::int64_t> slots = {};
  /// For each length; where not given: all of the task's test set, or 200 where it has none. Of a test set never more
  /// than there is: each question is asked once.
  std::optional<std::size_t> episodes = {};
  std::optional<std::uint64_t> seed = {};  ///< the run's own where it is not given
  int threads = 1;
  std::vector<Assignment> given = {};        ///< trace.* keys: level, keyframe-every, budget-mb
  std::size_t traced = 8;                    ///< episodes of each length that are written where trace.level is not off
  bool reliance = false;                     ///< also reliance(), on the same episodes; of one length and size
  const std::atomic<int>* signal = nullptr;  ///< anything but 0 ends it with Stopped, a trace with what it has
  std::function<void(const std::string&)> notice = {};
  std::function<void(std::size_t done, std::size_t all)> progress = {};  ///< episodes
};

struct LengthResult {
  std::optional<TaskLength> length;
  std::optional<std::int64_t> slots;  ///< where EvaluationOptions::slots has some
  std::size_t episodes = 0;
  std::vector<Figure> figures;  ///< by Evaluation::metrics, as Task::summary makes them
};

/// A part of the test set with what the run scored there.
struct PartResult {
  TestPart part;
  std::size_t questions = 0;    ///< asked, which is part.questions unless episodes were counted out
  std::optional<double> error;  ///< the solved metric's figure
};

struct Evaluation {
  std::vector<Metric> metrics;
  std::size_t solved_metric = 0;  ///< index into metrics
  double solved_threshold = 0;
  std::vector<LengthResult> results;
  /// By part, of all lengths; empty where the task has no test set. Parts that no episode came from are left out.
  std::vector<PartResult> parts;
  std::size_t parts_not_asked = 0;  ///< those
  std::filesystem::path directory, checkpoint;
  std::uint64_t sequences = 0;  ///< trained on by the checkpoint
  std::string config_hash;
  std::string data_digest, test_digest;  ///< Task's; "" where nothing is read
  std::uint64_t parameter_hash = 0;
  std::uint64_t seed = 0;
  std::vector<std::filesystem::path> traces;
  std::optional<Reliance> reliance;  ///< where it was asked for

  /// Of the parts, each counting the same; none where a part has no figure.
  std::optional<double> mean_error() const;
  bool failed(const PartResult& part) const { return !part.error || *part.error > solved_threshold; }
  std::size_t failed_parts() const;  ///< with an error above the threshold, or without a figure
};

/// A configuration's task, with its length options set to `length` alone where one is given. ArgumentError naming
/// --lengths where the task has none, other ones, or not this value.
std::unique_ptr<Task> task_at(const Config& config, const std::optional<TaskLength>& length);

/// Of a folder of restarts, the chosen one is judged. NonFiniteError where a figure is not finite.
Evaluation evaluate(const std::filesystem::path& directory, const EvaluationOptions& options);

/// One object; `results` lists length (a number; of several parts the text "10x20"; null as trained), slots (where
/// other ones were asked for), episodes, then each metric by name and NAME_se (null where there is none: a set that has
/// failed by the task's rule, a single episode). With a test set, where METRIC is the solved metric: `tasks` lists
/// number, questions, METRIC, majority_METRIC, unknown_words, unseen_answers and cut_questions, and beside it stand
/// mean_METRIC, failed_tasks and tasks_not_asked. `memory_use`, where asked for, lists by task number, questions,
/// METRIC, reads_zeroed_METRIC, reads_shuffled_METRIC, chance_percent, and `hops`: site, top_percent, mass
/// (reliance.hpp).
std::string evaluation_json(const Evaluation& evaluation);
/// The same and what was asked, on one line without its end: what append_evaluation() (run_directory.hpp) takes.
std::string evaluation_line(const Evaluation& evaluation, const std::vector<std::string>& argv);

/// What `mneme show` says of a configuration.
struct ModelReport {
  std::string run_id;
  struct Entry {
    std::string name, shape;
    std::size_t count = 0;
    bool trained = true;
  };
  std::vector<Entry> parameters;  ///< buffers last, with trained = false
  std::size_t count = 0;          ///< trained numbers
  std::size_t parameter_bytes = 0, optimizer_bytes = 0;
  std::size_t step_bytes = 0;       ///< Session::step_bytes() after the measured steps
  double seconds_per_sequence = 0;  ///< measured on a few updates with `threads` threads
  double estimated_seconds = 0;     ///< times train.max-sequences
};
ModelReport report(const Config& config, int threads = 1);

}  // namespace mneme::experiments
