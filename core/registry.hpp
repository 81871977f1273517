// Room: core. Registry: plug-ins by name.
//
// A plug-in registers itself by one line in its own .cpp; an unknown name lists what exists. Registries are filled
// before main and only read afterwards.
#pragma once

#include "core/error.hpp"
#include "core/names.hpp"

#include <map>
#include <string>
#include <vector>

namespace mneme {

/// Entry needs nothing but to be movable. `what` names the family in messages: "memory", "task".
template <class Entry>
class Registry {
 public:
  explicit Registry(std::string what) : what_(std::move(what)) {}

  bool add(const std::string& name, Entry entry) {
    if (!entries_.emplace(name, std::move(entry)).second)
      fail<InvariantError>(what_, "the name '{}' is registered twice", name);
    return true;
  }

  const Entry& find(const std::string& name) const {
    const auto it = entries_.find(name);
    if (it == entries_.end()) throw ArgumentError("[" + what_ + "] " + unknown_name(what_, name, names()));
    return it->second;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& [name, entry] : entries_) result.push_back(name);
    return result;
  }

  const std::map<std::string, Entry>& entries() const { return entries_; }

 private:
  std::string what_;
  std::map<std::string, Entry> entries_;
};

}  // namespace mneme
