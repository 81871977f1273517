// Room: experiments. Curves: how a run learnt, read off its metrics.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mneme::experiments {

struct CurvePoint {
  std::uint64_t sequences = 0;
  double seconds = 0;           ///< of training so far
  std::optional<double> value;  ///< none where it was not finite, or the set failed by the task's rule
};
using Curve = std::vector<CurvePoint>;

/// `metric` in the lines of `kind` ("train", "eval") of the run's metrics.jsonl, in their order. Lines without a number
/// of sequences are left out; a run without the file has no points.
Curve learning_curve(const std::filesystem::path& run, const std::string& kind, const std::string& metric);
/// The first point at or under `threshold`.
std::optional<CurvePoint> first_at_most(const Curve& curve, double threshold);

}  // namespace mneme::experiments
