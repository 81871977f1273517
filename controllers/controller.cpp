#include "controllers/controller.hpp"

namespace mneme {

void check_controller(const DeclaredList& state, std::size_t output, std::size_t promised, const std::string& plugin) {
  Declaration declared;
  declared.state = state;
  check(declared, plugin, 0, 0);
  if (output != promised)
    fail<InvariantError>(plugin, "says that its output is {} wide, and makes one of {}", promised, output);
}

Registry<ControllerPlugin>& controllers() {
  static Registry<ControllerPlugin> registry("controller");
  return registry;
}

}  // namespace mneme
