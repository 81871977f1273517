// Room: experiments. Row by row: the cross-entropy of a batch, and the task's metrics.
#pragma once

#include "models/model.hpp"
#include "tasks/task.hpp"

#include <span>
#include <string>
#include <vector>

namespace mneme::experiments {

/// Nats of each row over its scored steps (half the squared error for real targets), from logits [T*B K] (over items
/// [N*B K]). Accurate where a probability has rounded to 0 or 1, which is where a trained model lives.
void row_nats(const Batch& batch, const float* logits, std::size_t outputs, std::span<double> out);

/// How many numbers are scored: K a scored step for bits and real, 1 for classes and pointers.
std::size_t scored_numbers(const Batch& batch);

/// NonFiniteError naming `what` where a figure made of finite ones is not finite itself.
void require_finite(const std::string& what, double value);

}  // namespace mneme::experiments
