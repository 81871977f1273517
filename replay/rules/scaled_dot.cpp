// Room: replay. Rule scaled_dot.
#include "replay/rules.hpp"

#include <cmath>

namespace mneme::replay {

namespace {

/// K(i) = k . M(i) / sqrt(M)
Row scaled_dot(View key, View contents, const Constants&) {
  const std::size_t width = key.size();
  Row similarity(contents.size() / width, 0.0);
  for (std::size_t i = 0; i < similarity.size(); ++i)
    for (std::size_t m = 0; m < width; ++m)
      similarity[i] += key[m] * contents[i * width + m] / std::sqrt(static_cast<double>(width));
  return similarity;
}

const bool registered = similarity_rules().add("scaled_dot", scaled_dot);

}  // namespace

}  // namespace mneme::replay
