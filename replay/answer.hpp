// Room: replay. The second opinion on an episode's loss and error: from its logged outputs, targets and mask alone.
#pragma once

#include "trace/schema.hpp"

#include <optional>

namespace mneme::replay {

/// A number and how far rounding of the logged outputs may have moved it.
struct Recomputed {
  double value = 0;
  double slack = 0;
};

/// Nats over the scored steps (half the squared error for real targets); empty where the trace does not say what kind
/// of target it has. Outputs are probabilities in float32, so a bit that is wrong by p near 1 has much slack.
std::optional<Recomputed> answer_loss(const trace::Layout& layout, const trace::Episode& episode);

/// Scored bits on the wrong side of 0.5; empty where the episode's error counts something else.
std::optional<double> wrong_bits(const trace::Layout& layout, const trace::Episode& episode);

}  // namespace mneme::replay
