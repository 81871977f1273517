// Room: core. Batch: what a task gives a model, and Target: what it wants back.
//
// A batch holds dense or token steps, optional item sets with a count per row, phases, and one target. Everything that
// has a time axis is time-major, [T B ...], so that one step of all rows is contiguous. Rows may differ in length:
// steps past lengths(b) are zero, never scored, and freeze the model's state. A task knows neither readout nor loss;
// the target's kind picks both.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <xtensor/xtensor.hpp>

namespace mneme {

/// xt::xtensor over std::vector, whose capacity survives shrinking: refilling a batch allocates nothing once warm.
template <class T, std::size_t R>
using Tensor = xt::xtensor_container<std::vector<T>, R, xt::layout_type::row_major>;

enum class TargetKind {
  bits,     ///< K independent bits a scored step; loss: binary cross-entropy
  classes,  ///< one of K classes a scored step; loss: cross-entropy
  pointer,  ///< one item of the row's set a scored step; loss: cross-entropy over the items
  real,     ///< K real numbers a scored step; loss: squared error
};

enum class Phase : std::uint8_t { input = 0, delimiter = 1, answer = 2 };

/// One number a row of what the sampler chose, for traces and tables.
struct BatchParameter {
  std::string name;      ///< "length": letters, digits and _
  bool whole = true;     ///< a whole number in every row
  std::string doc = {};  ///< what it is, in a few words
};

/// The shapes a task promises for every batch: what models are built from, and what traces have room for.
struct BatchSpec {
  std::size_t channels = 0;         ///< C, width of a dense step; 0 = none
  std::size_t vocabulary = 0;       ///< V, number of step tokens; 0 = none
  std::size_t item_width = 0;       ///< D, width of a dense item (a point has 2); 0 = none
  std::size_t item_vocabulary = 0;  ///< number of item tokens (sentences share the step vocabulary); 0 = none
  TargetKind target = TargetKind::bits;
  std::size_t outputs = 0;  ///< K; for pointer targets the largest number of items
  /// Class k as a token, where classes are words: models may then share a word's row between stories and answers.
  /// Empty = classes are no words.
  std::vector<std::int32_t> output_tokens = {};
  std::size_t max_items = 0;     ///< the most items a row will have; 0 = not known (pointer targets: `outputs`)
  std::size_t longest_line = 0;  ///< words of training's longest item or question; 0 = not known, or items are no words
  std::size_t max_steps = 0;     ///< the most steps a row will have; 0 = not known
  std::vector<BatchParameter> parameters = {};  ///< of every batch, in this order

  bool has_items() const { return item_width > 0 || item_vocabulary > 0; }
  /// The most items a row will have, whichever field says so; 0 = not known.
  std::size_t item_limit() const { return target == TargetKind::pointer && has_items() ? outputs : max_items; }
};

struct Target {
  TargetKind kind = TargetKind::bits;
  Tensor<float, 3> values;          ///< bits (0 or 1) and real: [T B K]
  Tensor<std::int32_t, 2> indices;  ///< classes and pointer: [T B]; -1 where not scored
  Tensor<std::uint8_t, 2> scored;   ///< [T B]: 1 where the step counts
};

/// Sets of items, one a row: sentences of a story, points, candidates. Items past count(b) are padding.
struct ItemSet {
  Tensor<float, 3> values;           ///< [B N D]
  Tensor<std::int32_t, 3> tokens;    ///< [B N W], -1 = no word there
  std::vector<std::uint32_t> count;  ///< [B]
  Tensor<std::uint8_t, 2> support;   ///< [B N]: 1 on supporting facts; empty where a task has none
};

struct Batch {
  std::size_t size = 0;                ///< B
  std::size_t steps = 0;               ///< T, of the longest row
  std::vector<std::uint32_t> lengths;  ///< [B], steps of each row, 1..T
  Tensor<float, 3> dense;              ///< [T B C]
  Tensor<std::int32_t, 2> tokens;      ///< [T B], -1 past the end
  Tensor<std::uint8_t, 2> phase;       ///< [T B], a Phase
  ItemSet items;
  Target target;
  /// What the sampler chose, for traces and tables: names as BatchSpec::parameters, values [B] each.
  std::vector<std::pair<std::string, std::vector<float>>> parameters;

  /// True where some row ends before the last step.
  bool ragged() const;

  /// Shapes everything for B rows of at most T steps (and N items of W words) and fills with "nothing": zeros, -1.
  /// Lengths are set to T. Allocates only when larger than ever before.
  void reset(const BatchSpec& spec, std::size_t rows, std::size_t step_count, std::size_t item_count = 0,
             std::size_t word_count = 0);

  /// Throws InvariantError naming `whose` batch it is, the field and both shapes where it breaks `spec` or the rules
  /// above.
  void check(const BatchSpec& spec, const std::string& whose = "batch") const;

 private:
  void check_parameters(const BatchSpec& spec, const std::string& whose) const;
};

}  // namespace mneme
