// Room: replay. Rules: how replay recomputes each part of an addressing scheme, and what a write does, under the name
// that a trace stores for it.
//
// One file a rule in rules/, plain float64 loops over one row that share no code with attention/. What has no rule
// here is recomputed through the memory's own functions (own_memory.hpp).
#pragma once

#include "core/registry.hpp"
#include "replay/reference.hpp"

namespace mneme::replay {

/// key [M], contents [N M] -> [N]
using SimilarityRule = Row (*)(View key, View contents, const Constants&);
Registry<SimilarityRule>& similarity_rules();

/// What a normalizer's rule may look at beside the scores.
struct Beside {
  const std::vector<std::pair<std::string, double>>& constants;  ///< of the site, by name
  View logged;   ///< the weights that the trace has of these scores; {} = it has none
  double slack;  ///< scores nearer to each other than this may have stood the other way round in float32
};
struct NormalizerRule {
  /// beta times the similarities [N] -> weights [N]
  Row (*apply)(View scores, const Beside&);
  const char* constant = nullptr;  ///< the site's constant that it takes; null = none
};
Registry<NormalizerRule>& normalizer_rules();

struct MoveRule {
  const char* parameter;  ///< the head parameter that it takes: "gate"
  const char* stage;      ///< what its result is logged as where another move follows: "gated"
  bool uses_previous;     ///< looks at the weights of the step before
  /// weights [N], those of the step before [N], the parameter -> [N]
  Row (*apply)(View weights, View previous, View parameter, const Constants&);
};
Registry<MoveRule>& move_rules();

struct UpdateRule {
  std::vector<const char*> parameters;  ///< what it takes of each write site: "erase", "add"
  /// `heads`: of each write site the new weights [N], then its parameters; contents [N M] becomes what it is after them
  void (*apply)(std::span<const std::vector<Row>> heads, Row& contents);
};
Registry<UpdateRule>& update_rules();

}  // namespace mneme::replay
