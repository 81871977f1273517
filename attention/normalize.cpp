// Room: attention. The registry of normalizers.
#include "attention/normalize.hpp"

namespace mneme {

Registry<NormalizerPlugin>& normalizers() {
  static Registry<NormalizerPlugin> registry("normalizer");
  return registry;
}

}  // namespace mneme
