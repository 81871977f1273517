// Room: core. Batch: what a task gives a model, and Target: what it wants back.
//
// A batch holds dense or token steps, optional item sets with a count per row, phases, and one target. Everything that
// has a time axis is time-major, [T B ...], so that one step of all rows is contiguous. Rows may differ in length:
// steps past lengths(b) are zero, never scored, and freeze the model's state. What is scored are steps, or items where
// the task says so. A task knows neither readout nor loss; the target's kind picks both.
#pragma once

#include "core/batch_spec.hpp"

#include <limits>

#include <xtensor/xtensor.hpp>

namespace mneme {

/// xt::xtensor over std::vector, whose capacity survives shrinking: refilling a batch allocates nothing once warm.
template <class T, std::size_t R>
using Tensor = xt::xtensor_container<std::vector<T>, R, xt::layout_type::row_major>;

struct Target {
  TargetKind kind = TargetKind::bits;
  Along over = Along::steps;        ///< BatchSpec::target_over
  Tensor<float, 3> values;          ///< bits (0 or 1) and real: [T B K]; over items [N B K], as the next two
  Tensor<std::int32_t, 2> indices;  ///< classes and pointer: [T B]; -1 where not scored
  Tensor<std::uint8_t, 2> scored;   ///< [T B]: 1 where the step (or item) counts

  std::size_t count() const { return scored.shape()[0]; }  ///< T, or N over items
};

/// Sets of items, one a row: sentences of a story, points, candidates, nodes. Items past count(b) are padding.
struct ItemSet {
  Tensor<float, 3> values;                ///< [B N D]
  Tensor<std::int32_t, 3> tokens;         ///< [B N W], -1 = no word there
  std::vector<std::uint32_t> count;       ///< [B]
  Tensor<std::uint8_t, 2> support;        ///< [B N]: 1 on supporting facts
  Tensor<std::int32_t, 3> edges;          ///< [B E 2]: numbers of the two items, -1 past edge_count(b)
  std::vector<std::uint32_t> edge_count;  ///< [B]
};

/// How much there is in the largest row of a batch.
struct BatchSize {
  std::size_t rows = 0;   ///< B
  std::size_t steps = 0;  ///< T
  std::size_t items = 0;  ///< N
  std::size_t words = 0;  ///< W, of an item
  std::size_t edges = 0;  ///< E
};

/// What is known of one tensor of a batch, once: reset() shapes and fills by it, check() holds every number to it,
/// traces and terminals show it. A new tensor is a line in Batch::each.
struct BatchField {
  const char* name;  ///< as it is reached in a Batch: "items.support"
  const char* doc;
  Along along;
  bool across_rows;    ///< [n B width], one element of all rows side by side; else [B n width]
  std::size_t width;   ///< numbers of an element
  double nothing;      ///< what fills a row past its own end: 0 or -1
  double least, most;  ///< bounds; every number is finite
  bool whole;
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

  /// Shapes everything for rows of at most so much and fills with "nothing": zeros, -1. Lengths are set to T.
  /// Allocates only when larger than ever before.
  void reset(const BatchSpec& spec, const BatchSize& most);
  void reset(const BatchSpec& spec, std::size_t rows, std::size_t step_count, std::size_t item_count = 0,
             std::size_t word_count = 0, std::size_t edge_count = 0) {
    reset(spec, {rows, step_count, item_count, word_count, edge_count});
  }

  /// Throws InvariantError naming `whose` batch it is, the field and both shapes where it breaks `spec` or the rules
  /// above.
  void check(const BatchSpec& spec, const std::string& whose = "batch") const;

  /// f(field, tensor) for each tensor that batches of `spec` have; B = Batch or const Batch.
  template <class B, class F>
  static void each(const BatchSpec& spec, B& batch, F&& f) {
    fields(spec, batch.most_, [&](const BatchField& field, bool there, auto of) {
      if (there) f(field, of(batch));
    });
  }

  /// How many elements along this row b has.
  std::size_t count(Along along, std::size_t b) const;
  /// How many elements of the target each row has: steps, or items.
  const std::vector<std::uint32_t>& target_lengths() const {
    return target.over == Along::items ? items.count : lengths;
  }
  /// The numbers of element i of row b of one of its fields.
  template <class T>
  auto* element(const BatchField& field, T& tensor, std::size_t b, std::size_t i) const {
    return tensor.data() + (field.across_rows ? i * size + b : b * extent(field.along) + i) * field.width;
  }

  /// Row b alone, as if it had been sampled so: nothing of what the longest rows need.
  Batch row(const BatchSpec& spec, std::size_t b) const;
  /// Row b for a terminal, a line a field, elements apart by "|"; tokens by name where `names` has them.
  std::string text(const BatchSpec& spec, std::size_t b, const std::vector<std::string>& names = {}) const;

 private:
  std::size_t extent(Along along) const {
    return along == Along::steps ? most_.steps : along == Along::items ? most_.items : most_.edges;
  }
  void check_counts(const BatchSpec& spec, const std::string& whose) const;
  void check_choices(const BatchSpec& spec, const std::string& whose) const;
  void check_parameters(const BatchSpec& spec, const std::string& whose) const;

  /// f(field, whether such batches have it, its tensor in a batch) for all tensors: the one list.
  template <class F>
  static void fields(const BatchSpec& s, const BatchSize& most, F&& f) {
    constexpr double any = std::numeric_limits<double>::infinity();
    const auto last = [](std::size_t n) { return static_cast<double>(n) - 1; };
    const bool one = chooses(s.target), bits = s.target == TargetKind::bits, over_items = s.target_over == Along::items;
    const double last_item = last(s.item_limit() ? s.item_limit() : most.items);
    const std::size_t choices = s.target == TargetKind::pointer ? s.item_limit() : s.outputs;
    f(
        BatchField{"dense", "input x_t", Along::steps, true, s.channels, 0, -any, any, false}, s.channels > 0,
        [](auto& b) -> auto& { return b.dense; });
    f(
        BatchField{"tokens", "token id", Along::steps, true, 1, -1, -1, last(s.vocabulary), true}, s.vocabulary > 0,
        [](auto& b) -> auto& { return b.tokens; });
    f(
        BatchField{"phase", "0 input, 1 delimiter, 2 answer", Along::steps, true, 1, 0, 0, 2, true}, true,
        [](auto& b) -> auto& { return b.phase; });
    f(
        BatchField{"items.values", "numbers of the item", Along::items, false, s.item_width, 0, -any, any, false},
        s.item_width > 0, [](auto& b) -> auto& { return b.items.values; });
    f(
        BatchField{"items.tokens", "token ids of the item", Along::items, false, most.words, -1, -1,
                   last(s.item_vocabulary), true},
        s.item_vocabulary > 0, [](auto& b) -> auto& { return b.items.tokens; });
    f(
        BatchField{"items.support", "1 on supporting facts", Along::items, false, 1, 0, 0, 1, true}, s.has_items(),
        [](auto& b) -> auto& { return b.items.support; });
    f(
        BatchField{"items.edges", "numbers of the two items that it joins", Along::edges, false, 2, -1, -1, last_item,
                   true},
        s.edges, [](auto& b) -> auto& { return b.items.edges; });
    f(
        BatchField{"target.values", "target", s.target_over, true, s.outputs, 0, bits ? 0 : -any, bits ? 1 : any, bits},
        !one, [](auto& b) -> auto& { return b.target.values; });
    f(
        BatchField{"target.indices", "number of the target", s.target_over, true, 1, -1, -1, last(choices), true}, one,
        [](auto& b) -> auto& { return b.target.indices; });
    f(
        BatchField{"target.scored", over_items ? "1 where the item is scored" : "1 where the step is scored",
                   s.target_over, true, 1, 0, 0, 1, true},
        true, [](auto& b) -> auto& { return b.target.scored; });
  }

  BatchSize most_;
};

}  // namespace mneme
