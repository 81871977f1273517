// Room: replay. Rule cosine.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

const bool registered = similarity_rules().add("cosine", [](View key, View contents, const Constants& c) {
  return cosine_similarity(key, contents, c.cosine_epsilon);
});

}  // namespace

}  // namespace mneme::replay
