// Room: experiments. TaskLength: how long, or how hard, the sequences of a task are.
#pragma once

#include "core/join.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace mneme::experiments {

/// A number for each of TaskPlugin::length_options, in their order.
struct TaskLength {
  std::vector<std::int64_t> parts;

  TaskLength() = default;
  TaskLength(std::int64_t one) : parts{one} {}
  TaskLength(std::initializer_list<std::int64_t> each) : parts(each) {}
  /// "20", "10x20"
  std::string text() const { return join(parts, "x"); }
  bool operator==(const TaskLength&) const = default;
};

}  // namespace mneme::experiments
