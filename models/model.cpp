#include "models/model.hpp"

namespace mneme {

const Component* find(const Components& components, std::string_view name) {
  for (const Component& c : components)
    if (c.name == name) return &c;
  return nullptr;
}

Registry<ModelPlugin>& models() {
  static Registry<ModelPlugin> registry("model");
  return registry;
}

}  // namespace mneme
