// Room: replay. The second opinion on an episode's loss and error: from its logged outputs, targets and mask alone.
#pragma once

#include "trace/schema.hpp"

#include <optional>

namespace mneme::replay {

/// A number, and how far below and above it the true one may be, since the logged outputs are rounded.
struct Recomputed {
  double value = 0;
  double below = 0, above = 0;
};

/// Nats over the scored steps (half the squared error for real targets); empty where the trace does not say what kind
/// of target it has. Outputs are probabilities in float32: one that was rounded to nothing says only how large its loss
/// is at least.
std::optional<Recomputed> answer_loss(const trace::Layout& layout, const trace::Episode& episode);

/// Scored bits on the wrong side of 0.5; empty where the episode's error counts something else.
std::optional<double> wrong_bits(const trace::Layout& layout, const trace::Episode& episode);

}  // namespace mneme::replay
