// Room: replay. Cross-entropy from probabilities, with the rounding that float32 brought in accounted for.
#include "replay/answer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme::replay {

namespace {

constexpr double ulp = std::numeric_limits<float>::epsilon();
constexpr double tiny = std::numeric_limits<float>::min();

constexpr double infinite = std::numeric_limits<double>::infinity();

/// -log p of a probability that was rounded to float32; of one that became nothing, at least what the least p gives.
Recomputed nats(double p) {
  if (p >= 0 && p <= tiny) return {-std::log(tiny), 4 * ulp, infinite};
  return {-std::log(p), 4 * ulp, 4 * ulp};
}

/// -log(1 - q) of a q that was rounded: to the last step below 1 or to 1 itself, half a step off.
Recomputed nats_beside(double q) {
  if (q >= 1 - ulp / 2 && q <= 1) return {-std::log(ulp / 2), std::log(2), infinite};
  return {-std::log(1 - q), 4 * ulp / (1 - q), 4 * ulp / (1 - q)};
}

Recomputed times(double share, const Recomputed& r) {
  return {share * r.value, share * r.below, share * r.above};
}

}  // namespace

std::optional<Recomputed> answer_loss(const trace::Layout& layout, const trace::Episode& e) {
  const std::size_t k = layout.channels_out;
  if (k == 0 || layout.target_kind.empty()) return std::nullopt;
  Recomputed loss;
  const auto add = [&](const Recomputed& one) {
    loss.value += one.value;
    loss.below += one.below + 1e-6 * std::abs(one.value);
    loss.above += one.above + 1e-6 * std::abs(one.value);
  };
  for (std::size_t t = 0; t < e.steps; ++t) {
    if (!e.mask[t]) continue;
    for (std::size_t i = 0; i < k; ++i) {
      const double y = static_cast<double>(e.target[t * k + i]), p = static_cast<double>(e.output[t * k + i]);
      if (layout.target_kind == "bits") {
        if (y > 0) add(times(y, nats(p)));
        if (y < 1) add(times(1 - y, nats_beside(p)));
      } else if (layout.target_kind == "real") {
        add({0.5 * (p - y) * (p - y), 0, 0});
      } else if (y > 0) {
        add(nats(p));
      }
    }
  }
  return loss;
}

std::optional<double> wrong_bits(const trace::Layout& layout, const trace::Episode& e) {
  const std::size_t k = layout.channels_out;
  if (layout.error_name != "wrong_bits_per_sequence" || layout.target_kind != "bits") return std::nullopt;
  double wrong = 0;
  for (std::size_t t = 0; t < e.steps; ++t) {
    if (!e.mask[t]) continue;
    for (std::size_t i = 0; i < k; ++i) {
      const bool one = e.target[t * k + i] > 0, said_one = e.output[t * k + i] >= 0.5f;
      wrong += one != said_one || std::isnan(e.output[t * k + i]);
    }
  }
  return wrong;
}

}  // namespace mneme::replay
