// Room: attention. The registry of scores.
#include "attention/score.hpp"

namespace mneme {

Registry<ScorePlugin>& scores() {
  static Registry<ScorePlugin> registry("score");
  return registry;
}

}  // namespace mneme
