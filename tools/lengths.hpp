// Room: tools. Comma lists of task lengths and memory sizes, as flags take them.
#pragma once

#include "experiments/judge/task_length.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace mneme::tools {

/// "20,40" or "10x20,20x10": --lengths. ArgumentError where one is no number from 1 on, or there twice.
std::vector<experiments::TaskLength> lengths_of(const std::string& list);
/// "128,256": --slots.
std::vector<std::int64_t> slots_of(const std::string& list);

}  // namespace mneme::tools
