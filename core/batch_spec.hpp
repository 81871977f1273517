// Room: core. BatchSpec: what a task promises of every batch, without the batch itself: models, memories and traces are
// built from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace mneme {

struct Batch;       // core/batch.hpp
struct ItemSet;     // core/batch.hpp
struct Prediction;  // core/prediction.hpp

enum class TargetKind {
  bits,     ///< K independent bits a scored step; loss: binary cross-entropy
  classes,  ///< one of K classes a scored step; loss: cross-entropy
  pointer,  ///< one item of the row's set a scored step; loss: cross-entropy over the items
  real,     ///< K real numbers a scored step; loss: squared error
};
/// "bits", "classes", ...: the spelling in traces.
const char* target_name(TargetKind kind);
/// Whether a scored step is one choice of several (Target::indices), not K numbers (Target::values).
inline bool chooses(TargetKind kind) {
  return kind == TargetKind::classes || kind == TargetKind::pointer;
}

enum class Phase : std::uint8_t { input = 0, delimiter = 1, answer = 2 };

/// What a row of a batch has so and so many of, each with numbers in some field.
enum class Along { steps, items, edges };

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
  bool edges = false;                           ///< the items are the nodes of a graph
  Along target_over = Along::steps;             ///< steps or items: what is scored one by one

  bool has_items() const { return item_width > 0 || item_vocabulary > 0; }
  /// The most items a row will have, whichever field says so; 0 = not known.
  std::size_t item_limit() const { return target == TargetKind::pointer && has_items() ? outputs : max_items; }
};

/// Sets allowed[k] to 1 where choice k may come next in row `row`'s answer, after those made so far. `allowed` comes as
/// zeros; where it stays so the answer is complete. An empty function allows everything.
using Validity = std::function<void(const Batch& batch, std::size_t row, std::span<const std::int32_t> made,
                                    std::span<std::uint8_t> allowed)>;

}  // namespace mneme
