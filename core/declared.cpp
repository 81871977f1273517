#include "core/declared.hpp"

namespace mneme {

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::plain: return "plain";
    case Kind::weights: return "weights";
    case Kind::sub_weights: return "sub_weights";
    case Kind::gate: return "gate";
    case Kind::positive: return "positive";
    case Kind::usage: return "usage";
    case Kind::hard: return "hard";
    case Kind::journaled: return "journaled";
    case Kind::opaque: return "opaque";
  }
  return "?";
}

}  // namespace mneme
