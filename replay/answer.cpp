// Room: replay. Cross-entropy from probabilities, with the rounding that float32 brought in accounted for.
#include "replay/answer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme::replay {

namespace {

constexpr double ulp = std::numeric_limits<float>::epsilon();
constexpr double tiny = std::numeric_limits<float>::min();

/// -log p of a probability that was rounded to float32, or is 1 - q with q rounded.
Recomputed nats(double p) {
  const double kept = std::max(p, tiny);
  if (p >= 0 && p <= tiny) return {-std::log(tiny), std::numeric_limits<double>::infinity()};  // how much less?
  return {-std::log(kept), 4 * ulp / std::max(kept, ulp)};
}

}  // namespace

std::optional<Recomputed> answer_loss(const trace::Layout& layout, const trace::Episode& e) {
  const std::size_t k = layout.channels_out;
  if (k == 0 || layout.target_kind.empty()) return std::nullopt;
  Recomputed loss;
  const auto add = [&](const Recomputed& one) {
    loss.value += one.value;
    loss.slack += one.slack + 1e-6 * std::abs(one.value);
  };
  for (std::size_t t = 0; t < e.steps; ++t) {
    if (!e.mask[t]) continue;
    for (std::size_t i = 0; i < k; ++i) {
      const double y = static_cast<double>(e.target[t * k + i]), p = static_cast<double>(e.output[t * k + i]);
      if (layout.target_kind == "bits") {
        if (y > 0) add({y * nats(p).value, nats(p).slack});
        if (y < 1) add({(1 - y) * nats(1 - p).value, nats(1 - p).slack});
      } else if (layout.target_kind == "real") {
        add({0.5 * (p - y) * (p - y), 0});
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
