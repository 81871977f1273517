// Room: core. Registry: plug-ins by name.
//
// A plug-in registers itself by one line in its own .cpp; an unknown name lists what exists. Registries are filled
// before main, where nobody could catch what is thrown, and only read afterwards: what is wrong with a registration is
// kept, and thrown at the first look. What is made by a function is made by then too, when all registries are full: a
// plug-in's options may hold those of other plug-ins.
#pragma once

#include "core/error.hpp"
#include "core/names.hpp"

#include <concepts>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
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
    if (!place(name, where)) return false;
    entries_.emplace(name, std::move(entry));
    return true;
  }

  /// As add(name, make()), made by the first look, which throws what `make` throws: `make` holds what it needs.
  template <std::invocable Make>
  bool add(const std::string& name, Make make, std::source_location where = std::source_location::current()) {
    if (!place(name, where)) return false;
    const std::lock_guard lock(*settling_);
    waiting_.push_back({name, [make = std::move(make)] { return Entry(make()); }});
    return true;
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
    settle();
    if (!complaints_.empty()) fail<InvariantError>(what_, "{}", complaints_);
    return entries_;
  }

 private:
  struct Waiting {
    std::string name;
    std::function<Entry()> make;
  };

  bool place(const std::string& name, std::source_location where) {
    const std::string here = fmt::format("{}:{}", where.file_name(), where.line());
    const auto [at, added] = places_.emplace(name, here);
    if (!added) complain(fmt::format("the name '{}' is registered twice: {} and {}", name, at->second, here));
    return added;
  }
  void complain(const std::string& text) const { complaints_ += (complaints_.empty() ? "" : "; ") + text; }

  /// Makes what waits. Threads may look at once; what is made may look at other registries, and here.
  void settle() const {
    const std::lock_guard lock(*settling_);
    while (!waiting_.empty()) {
      const Waiting next = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
      try {
        entries_.emplace(next.name, next.make());
      } catch (const std::exception& e) {
        complain(fmt::format("'{}' cannot be registered: {}", next.name, e.what()));
      }
    }
  }

  std::string what_;
  mutable std::string complaints_;
  mutable std::map<std::string, Entry> entries_;
  mutable std::vector<Waiting> waiting_;
  std::unique_ptr<std::recursive_mutex> settling_ = std::make_unique<std::recursive_mutex>();
  std::map<std::string, std::string> places_;  // file and line of each name
};

}  // namespace mneme
