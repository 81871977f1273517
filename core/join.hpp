// Room: core. join: a list in a message.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

namespace mneme {

/// Words or whole numbers, in order: join(names, ", ") -> "a, b, c".
template <class List>
std::string join(const List& list, std::string_view between) {
  std::string text;
  bool first = true;
  for (const auto& item : list) {
    if (!first) text += between;
    first = false;
    if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(item)>>)
      text += std::to_string(item);
    else
      text += item;
  }
  return text;
}

}  // namespace mneme
