// Room: models. Readout: from the features of every step to logits and a loss, by the kind of the batch's target.
//
//   bits, classes, real   one linear layer over all steps at once
//   pointer               attention over the row's items: dot score of a projected query, masked by the row's count
#pragma once

#include "core/batch.hpp"
#include "nn/linear.hpp"

#include <optional>

namespace mneme {

template <class T>
class Readout {
 public:
  /// `features`: the sum of the widths of one step's parts.
  Readout(const Builder<T>& build, const BatchSpec& spec, std::size_t features);

  /// steps: `parts` handles [B D_i] a step -> [T*B K], row t*B + b; for pointers K is the batch's largest item set.
  Var<T> logits(Tape<T>& tape, const Batch& batch, std::span<const Var<T>> steps, std::size_t parts) const;

  /// The target's cross-entropy or squared error in nats over scored steps, times `scale`.
  Var<T> loss(Tape<T>& tape, const Batch& batch, Var<T> logits, double scale) const;

 private:
  Var<T> pointer_logits(Tape<T>& tape, const Batch& batch, std::span<const Var<T>> steps, std::size_t parts) const;

  BatchSpec spec_;
  std::optional<Linear<T>> linear_;  ///< to K outputs, or to the query of a pointer
  std::optional<Linear<T>> item_values_;
  std::optional<Embedding<T>> item_words_;
};

}  // namespace mneme
