// Room: core. Registry: plug-ins by name.
//
// A plug-in registers itself by one line in its own .cpp; an unknown name lists what exists. Registries are filled
// before main, where nobody could catch what is thrown, and only read afterwards: what is wrong with a registration is
// kept, and thrown at the first look.
#pragma once

#include "core/error.hpp"
#include "core/names.hpp"

#include <concepts>
#include <exception>
#include <map>
#include <source_location>
#include <string>
#include <vector>

namespace mneme {

/// Entry needs nothing but to be movable. `what` names the family in messages: "memory", "task".
template <class Entry>
class Registry {
 public:
  explicit Registry(std::string what) : what_(std::move(what)) {}

  /// False where the name is taken; looking then is an InvariantError that names both places.
  bool add(const std::string& name, Entry entry, std::source_location where = std::source_location::current()) {
    const std::string place = fmt::format("{}:{}", where.file_name(), where.line());
    const auto [at, added] = places_.emplace(name, place);
    if (added)
      entries_.emplace(name, std::move(entry));
    else
      complain(fmt::format("the name '{}' is registered twice: {} and {}", name, at->second, place));
    return added;
  }

  /// As add(name, make()); what `make` throws is thrown by the first look.
  template <std::invocable Make>
  bool add(const std::string& name, Make make, std::source_location where = std::source_location::current()) {
    try {
      return add(name, Entry(make()), where);
    } catch (const std::exception& e) {
      complain(fmt::format("'{}' cannot be registered: {}", name, e.what()));
      return false;
    }
  }

  const Entry& find(const std::string& name) const {
    const auto it = entries().find(name);
    if (it == entries_.end()) throw ArgumentError("[" + what_ + "] " + unknown_name(what_, name, names()));
    return it->second;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& [name, entry] : entries()) result.push_back(name);
    return result;
  }

  const std::map<std::string, Entry>& entries() const {
    if (!complaints_.empty()) fail<InvariantError>(what_, "{}", complaints_);
    return entries_;
  }

 private:
  void complain(const std::string& text) { complaints_ += (complaints_.empty() ? "" : "; ") + text; }

  std::string what_, complaints_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> places_;  // file and line of each name
};

}  // namespace mneme
