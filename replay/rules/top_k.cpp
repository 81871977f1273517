// Room: replay. Rule top_k.
#include "replay/rules.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mneme::replay {

namespace {

/// The slots from the largest score to the smallest, of equal ones the first slot first.
std::vector<std::size_t> by_score(View z) {
  std::vector<std::size_t> order(z.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return z[i] > z[j]; });
  return order;
}

/// The slots that the log shows, filled up with the largest of the others: a weight may have been rounded to 0.
std::vector<bool> logged_slots(View logged, const std::vector<std::size_t>& order, std::size_t k) {
  std::vector<bool> kept(order.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < logged.size(); ++i)
    if (logged[i] > 0) kept[i] = true, ++count;
  for (std::size_t i = 0; i < order.size() && count < k; ++i)
    if (!kept[order[i]]) kept[order[i]] = true, ++count;
  return kept;
}

/// Whether they are k, and no score that is left out is above one that is kept, but for what float32 rounds away.
bool largest(const std::vector<bool>& kept, View z, std::size_t k, double slack) {
  double least = INFINITY, most = -INFINITY;
  std::size_t count = 0;
  for (std::size_t i = 0; i < z.size(); ++i)
    if (kept[i])
      least = std::min(least, z[i]), ++count;
    else
      most = std::max(most, z[i]);
  return count == k && !(most > least + slack);
}

/// w(i) = softmax over the K largest scores, 0 elsewhere   (Rae et al. 2016, section 3.1). Which they are is the log's
/// word, where that is true of the scores here: of two that are nearly equal, float32 may have kept the other.
Row top_k(View z, const Beside& beside) {
  double constant = 0;
  for (const auto& [name, value] : beside.constants)
    if (name == "top_k") constant = value;
  const double all = static_cast<double>(z.size());
  const auto k = static_cast<std::size_t>(constant >= 1 ? std::min(constant, all) : 1);
  const std::vector<std::size_t> order = by_score(z);
  std::vector<bool> kept = logged_slots(beside.logged, order, k);
  if (!largest(kept, z, k, beside.slack)) kept = logged_slots({}, order, k);
  Row scores, w(z.size(), 0.0);
  for (std::size_t i = 0; i < z.size(); ++i)
    if (kept[i]) scores.push_back(z[i]);
  const Row weights = softmax(scores);
  std::size_t next = 0;
  for (std::size_t i = 0; i < z.size(); ++i)
    if (kept[i]) w[i] = weights[next++];
  return w;
}

const bool registered = normalizer_rules().add("top_k", {top_k, "top_k"});

}  // namespace

}  // namespace mneme::replay
