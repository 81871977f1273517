#include "models/model.hpp"

namespace mneme {

Registry<ModelPlugin>& models() {
  static Registry<ModelPlugin> registry("model");
  return registry;
}

}  // namespace mneme
