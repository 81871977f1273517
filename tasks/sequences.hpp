// Room: tasks. What tasks of random sequences share: rows of one size or each of its own, answers in bits or symbols.
#pragma once

#include "core/batch.hpp"
#include "tasks/task.hpp"

#include <algorithm>

namespace mneme {

/// Of the flag "mixed-lengths".
inline constexpr const char* kMixedLengths =
    "each sequence its own length (rows of a batch then end at different steps)";

/// Uniform over the range.
inline std::size_t drawn(Random& random, const Range& range) {
  return static_cast<std::size_t>(random.integer(range.low, range.high));
}
/// The mean of that.
inline double mean(const Range& range) {
  return static_cast<double>(range.low + range.high) / 2;
}

/// Samples a batch row by row. A sequence's stream begins with its size, which draw_size(random) draws, used or not, so
/// that what follows does not depend on `mixed`; where that is false, all rows have the size that the batch's first
/// sequence would have, as published. extent(size): how large a BatchSize such a row is. fill(row, size, random) fills
/// the row, which holds nothing yet and has its lengths.
template <class DrawSize, class Extent, class Fill>
void sample_rows(const BatchSpec& spec, const Draw& draw, bool mixed, Batch& batch, const DrawSize& draw_size,
                 const Extent& extent, const Fill& fill) {
  Random batch_stream(draw.seed, draw.stream, draw.first);
  const auto shared = draw_size(batch_stream);
  const auto stream = [&](std::size_t row) {
    return Random(draw.seed, draw.stream, draw.first + draw.row_begin + row);
  };
  BatchSize most;
  if (!mixed) most = extent(shared);
  for (std::size_t b = 0; mixed && b < draw.rows; ++b) {
    Random random = stream(b);
    const BatchSize own = extent(draw_size(random));
    most.steps = std::max(most.steps, own.steps);
    most.items = std::max(most.items, own.items);
    most.words = std::max(most.words, own.words);
  }
  most.rows = draw.rows;
  batch.reset(spec, most);
  for (std::size_t b = 0; b < draw.rows; ++b) {
    Random random = stream(b);
    const auto own = draw_size(random), size = mixed ? own : shared;
    const BatchSize now = extent(size);
    batch.lengths[b] = static_cast<std::uint32_t>(now.steps);
    if (spec.has_items()) batch.items.count[b] = static_cast<std::uint32_t>(now.items);
    fill(b, size, random);
  }
}

/// Whether the answer is on the target's side of 0.5; what is no number is wrong.
inline bool right_bit(float probability, float target) {
  return target > 0 ? probability >= 0.5f : probability < 0.5f;
}
/// Whether the answer at a step is the target's class; what is no number is wrong.
bool right_symbol(const Batch& batch, std::size_t step, std::size_t row, const Prediction& answer);

/// A matrix of one letter each, as lines under a title of at most seven letters: symbol(column, row), columns in
/// groups of so many (0: all in one).
template <class Symbol>
std::string letter_rows(const char* title, std::size_t rows, std::size_t columns, std::size_t group,
                        const Symbol& symbol) {
  std::string text;
  for (std::size_t k = 0; k < rows; ++k) {
    text += k == 0 ? std::string(title) + std::string(8 - std::string_view(title).size(), ' ') : std::string(8, ' ');
    for (std::size_t t = 0; t < columns; ++t) {
      if (group > 0 && t > 0 && t % group == 0) text += ' ';
      text += symbol(t, k);
    }
    text += '\n';
  }
  return text;
}
/// Input channels 0..width-1 of steps first(0), first(1), ...: "#" for 1, "." for 0.
template <class Step>
std::string input_rows(const char* title, const Batch& batch, std::size_t row, std::size_t width, std::size_t columns,
                       std::size_t group, const Step& step) {
  return letter_rows(title, width, columns, group,
                     [&](std::size_t t, std::size_t k) { return batch.dense(step(t), row, k) > 0 ? '#' : '.'; });
}
/// The scored steps of a row whose answer is bits: target and, where there is an answer, output and what is wrong with
/// it.
std::string answered_bits(const Batch& batch, std::size_t row, const Prediction* answer, std::size_t group = 0);
/// The same of symbols below `classes`, which are shown by number.
std::string answered_symbols(const Batch& batch, std::size_t row, std::size_t classes, const Prediction* answer);

/// A task whose batches and metrics are known when it is built.
class SequenceTask : public Task {
 public:
  const BatchSpec& spec() const override { return spec_; }
  const std::vector<Metric>& metrics() const override { return metrics_; }
  std::size_t solved_metric() const override { return 1; }

 protected:
  explicit SequenceTask(std::vector<Metric> metrics) : metrics_(std::move(metrics)) {}
  BatchSpec spec_;

 private:
  std::vector<Metric> metrics_;
};

/// Answers are bits: their cross-entropy, and how many are on the wrong side of 0.5, of a sequence. Solved at 0.01
/// wrong bits.
class BitsTask : public SequenceTask {
 public:
  void score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
             std::span<double> out) const override;
  double solved_threshold() const override { return 0.01; }

 protected:
  /// `also` goes behind the definitions of the metrics: ", the end marker's included".
  explicit BitsTask(const std::string& also = "");
};

/// Answers are symbols: their cross-entropy in bits, and how many (or what percentage of them) are wrong, of a
/// sequence.
class SymbolsTask : public SequenceTask {
 public:
  void score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
             std::span<double> out) const override;
  /// Wrong symbols of a sequence: 0.01, or one in a hundred.
  double solved_threshold() const override { return percent_ ? 1 : 0.01; }

 protected:
  explicit SymbolsTask(bool percent);

 private:
  bool percent_;
};

}  // namespace mneme
