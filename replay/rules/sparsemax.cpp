// Room: replay. Rule sparsemax.
#include "replay/rules.hpp"

#include <algorithm>
#include <functional>

namespace mneme::replay {

namespace {

/// w(i) = max(z(i) - tau, 0), by sorting: the largest k whose k-th score is above (sum of the first k, less 1) / k says
/// tau   (Martins & Astudillo 2016, algorithm 1)
Row sparsemax(View z, const Beside&) {
  Row sorted(z.begin(), z.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0, tau = 0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    sum += sorted[k];
    const double of_first = (sum - 1) / static_cast<double>(k + 1);
    if (sorted[k] > of_first) tau = of_first;
  }
  Row w(z.size());
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = std::max(z[i] - tau, 0.0);
  return w;
}

const bool registered = normalizer_rules().add("sparsemax", {sparsemax});

}  // namespace

}  // namespace mneme::replay
