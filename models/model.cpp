#include "models/model.hpp"

#include <map>
#include <set>

namespace mneme {

void check(const Components& components) {
  std::set<std::string> names;
  std::map<std::string, const Component*> sites;
  for (const Component& c : components) {
    if (!names.insert(c.name).second) fail<InvariantError>(c.plugin, "is a second part of the name {}", c.name);
    for (const Site& site : c.declared->sites)
      if (const auto [at, added] = sites.emplace(site.name, &c); !added)
        fail<InvariantError>(c.plugin, "declares the site {}, and so does {}", site.name, at->second->plugin);
  }
}

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
