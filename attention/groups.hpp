// Room: attention. Heads that share a pass over one set: as many as registers hold.
#pragma once

#include <cstddef>
#include <type_traits>

namespace mneme {

/// f(count, first) for groups of four, two and one heads, count an integral constant.
template <class F>
inline void head_groups(std::size_t heads, F&& f) {
  std::size_t first = 0;
  for (; first + 4 <= heads; first += 4) f(std::integral_constant<std::size_t, 4>{}, first);
  if (first + 2 <= heads) {
    f(std::integral_constant<std::size_t, 2>{}, first);
    first += 2;
  }
  if (first < heads) f(std::integral_constant<std::size_t, 1>{}, first);
}

}  // namespace mneme
