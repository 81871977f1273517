// Room: tasks. Task: a pure sampler of batches, with its metrics and a display a person can read.
//
// A sequence's content depends on (seed, stream, number) alone, so a run can be resumed, sharded and re-evaluated to
// the bit. Tasks never see models: they judge predictions given in the batch's own terms.
#pragma once

#include "core/batch_spec.hpp"
#include "core/options.hpp"
#include "core/random.hpp"
#include "core/registry.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mneme {

/// Numbers of the "eval" stream from here on are the test that `mneme eval` asks; the evaluations that stop a training
/// stay below. Tasks with a fixed set of sequences keep a validation and a test set apart by it.
inline constexpr std::uint64_t kTestNumbers = std::uint64_t{1} << 40;

/// Which sequences to sample. A batch of training is `batch_rows` sequences from number `first` on; a shard asks for
/// `rows` of them from `row_begin` on. What one batch shares (a length, as published) is drawn from (seed, stream,
/// first).
struct Draw {
  std::uint64_t seed = 1;
  std::string_view stream = "task";  ///< "task" (training) or "eval" (validation, and test from kTestNumbers on)
  std::uint64_t first = 0;
  std::size_t row_begin = 0;
  std::size_t rows = 1;
};

/// A number per sequence, and the figure of many (Task::summary): lower is better.
struct Metric {
  std::string name;  ///< "wrong_bits_per_sequence"
  std::string unit;  ///< "bits"
  std::string doc;   ///< its definition in one line
};

/// What a metric says of many sequences.
struct Figure {
  std::optional<double> value;           ///< none where the task's rule says that they failed
  std::optional<double> standard_error;  ///< none where there is none, as of a single sequence
  bool operator==(const Figure&) const = default;
};

/// A part of a finite test set, with a figure of its own.
struct TestPart {
  std::int64_t number = 0;         ///< what the one of TaskPlugin::length_options is set to for this part
  std::size_t questions = 0;       ///< sequences
  double majority = 0;             ///< the solved metric of always giving the commonest training answer of this part
  std::size_t unknown_words = 0;   ///< in its text, each time that one occurs: words that training lacks
  std::size_t unseen_answers = 0;  ///< questions whose answer training lacks: no model gets them right
  std::size_t cut = 0;             ///< questions whose oldest items are left out: there are more than models take
};

class Task {
 public:
  virtual ~Task() = default;
  /// What every batch of sample() keeps to: most items, most steps, names of its parameters and which are whole numbers
  /// included. A task with items says how many at most.
  virtual const BatchSpec& spec() const = 0;
  virtual void sample(const Draw& draw, Batch& batch) const = 0;

  virtual const std::vector<Metric>& metrics() const = 0;
  /// Metrics of row b, in the order of metrics(); `nats` is the row's cross-entropy over scored steps (half the squared
  /// error for real targets).
  virtual void score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
                     std::span<double> out) const = 0;
  /// The rule that answers which feed back are held to; empty = every choice is allowed.
  virtual Validity validity() const { return {}; }
  /// The figure of each metric over sequences, whose rows of metrics stand one after the other: the mean and its
  /// standard error, unless a task says otherwise (a ratio of sums, a set that has failed as a whole).
  virtual std::vector<Figure> summary(std::span<const double> rows) const;
  /// Expected metrics of a guess that knows the distribution but not the input, at the configured lengths.
  virtual std::vector<double> chance() const = 0;

  /// Index into metrics() of the figure that says whether the task is solved, and the threshold on it.
  virtual std::size_t solved_metric() const = 0;
  virtual double solved_threshold() const = 0;

  /// The test set part by part, where it is finite: as many numbers from kTestNumbers on ask each question once. Empty
  /// where episodes are drawn without end.
  virtual std::vector<TestPart> test() const { return {}; }
  /// Index into test() of a sequence's part; `number` is the sequence's, from kTestNumbers on.
  virtual std::size_t test_part(std::uint64_t /*seed*/, std::uint64_t /*number*/) const { return 0; }

  /// Word of each step and item token, and name of each class, by number; empty where they are only numbers.
  virtual std::vector<std::string> token_names() const { return {}; }
  virtual std::vector<std::string> class_names() const { return {}; }

  /// Digests of what was read from files, 16 hex digits; "" where nothing was. Data are known by content, wherever they
  /// lie: data_digest() is of all that training and its evaluations see, and tells one run from another; test_digest()
  /// is of the test, which shapes no run and is asked of it.
  virtual std::string data_digest() const { return ""; }
  virtual std::string test_digest() const { return ""; }

  /// Row b for a terminal: input, target and, where `answer` is given, output with errors marked. By default a line for
  /// each of the batch's fields.
  virtual std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const;
};

struct TaskPlugin {
  std::string summary;
  std::string source;
  OptionTable options;  ///< task.* keys
  /// What makes its sequences longer or harder, in the order in which `eval --lengths` names it: {"length"}, or
  /// {"length", "repeats"} for 10x20. Range options; empty where a task has none.
  std::vector<std::string> length_options;
  std::function<std::unique_ptr<Task>(const Options&)> make;
};

Registry<TaskPlugin>& tasks();

}  // namespace mneme
