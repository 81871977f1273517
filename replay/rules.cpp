// Room: replay. The registries of rules.
#include "replay/rules.hpp"

namespace mneme::replay {

Registry<SimilarityRule>& similarity_rules() {
  static Registry<SimilarityRule> registry("similarity rule");
  return registry;
}

Registry<NormalizerRule>& normalizer_rules() {
  static Registry<NormalizerRule> registry("normalizer rule");
  return registry;
}

Registry<MoveRule>& move_rules() {
  static Registry<MoveRule> registry("move rule");
  return registry;
}

Registry<UpdateRule>& update_rules() {
  static Registry<UpdateRule> registry("update rule");
  return registry;
}

}  // namespace mneme::replay
