// Room: core. Prediction: a model's answers in a batch's own terms.
#pragma once

#include "core/batch.hpp"

namespace mneme {

/// Answers, one a step (or item, where targets are over items) and row. Answers that feed back may have fewer or more
/// steps than the target.
struct Prediction {
  Tensor<float, 3> values = {};  ///< [T B K]: probability of each bit or class, or the real value; 0 past the row's end
  Tensor<std::int32_t, 2> indices =
      {};  ///< [T B]: chosen class or item, -1 past the row's end; empty for bits and real
  std::vector<std::uint32_t> lengths = {};  ///< [B]: of each row's answer
  /// [B]: log probability of what was chosen, over the scored steps, or all that were searched for: of the side of 0.5
  /// that each bit is on, 0 for real values. Not of training, which asks for none.
  std::vector<double> score = {};
};

}  // namespace mneme
