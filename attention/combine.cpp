// Room: attention. The registry of combiners.
#include "attention/combine.hpp"

namespace mneme {

Registry<CombinerPlugin>& combiners() {
  static Registry<CombinerPlugin> registry("combiner");
  return registry;
}

}  // namespace mneme
