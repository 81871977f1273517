// Room: core. What to say when a name is unknown: what exists, and the nearest.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mneme {

/// The known name with the smallest edit distance, or "" where none is near enough to be meant.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// "unknown memory 'ntn', did you mean 'ntm'? There are: key_value, none, ntm"
std::string unknown_name(std::string_view what, std::string_view name, const std::vector<std::string>& known);

}  // namespace mneme
