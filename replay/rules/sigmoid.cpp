// Room: replay. Rule sigmoid.
#include "replay/rules.hpp"

#include <cmath>

namespace mneme::replay {

namespace {

/// w(i) = 1 / (1 + exp(-z(i)))
Row sigmoid(View z, const Beside&) {
  Row w(z.size());
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = 1 / (1 + std::exp(-z[i]));
  return w;
}

const bool registered = normalizer_rules().add("sigmoid", {sigmoid});

}  // namespace

}  // namespace mneme::replay
