#include "controllers/controller.hpp"

namespace mneme {

Registry<ControllerPlugin>& controllers() {
  static Registry<ControllerPlugin> registry("controller");
  return registry;
}

}  // namespace mneme
