// Room: replay. Rule distance.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

/// K(i) = -|k - M(i)|^2
Row distance(View key, View contents, const Constants&) {
  const std::size_t width = key.size();
  Row similarity(contents.size() / width, 0.0);
  for (std::size_t i = 0; i < similarity.size(); ++i)
    for (std::size_t m = 0; m < width; ++m) {
      const double apart = key[m] - contents[i * width + m];
      similarity[i] -= apart * apart;
    }
  return similarity;
}

const bool registered = similarity_rules().add("distance", distance);

}  // namespace

}  // namespace mneme::replay
