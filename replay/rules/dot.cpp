// Room: replay. Rule dot.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

/// K(i) = k . M(i)
Row dot(View key, View contents, const Constants&) {
  const std::size_t width = key.size();
  Row similarity(contents.size() / width, 0.0);
  for (std::size_t i = 0; i < similarity.size(); ++i)
    for (std::size_t m = 0; m < width; ++m) similarity[i] += key[m] * contents[i * width + m];
  return similarity;
}

const bool registered = similarity_rules().add("dot", dot);

}  // namespace

}  // namespace mneme::replay
