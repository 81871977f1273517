#include "core/names.hpp"

#include "core/join.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

namespace mneme {

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& k : known) {
    const std::size_t d = edit_distance(name, k);
    // The end of a dotted key is what people remember: "slots" means "memory.slots".
    const bool tail = k.size() > name.size() + 1 && k.ends_with(name) && k[k.size() - name.size() - 1] == '.';
    if (tail || d < best_distance) {
      best = k;
      best_distance = tail ? 0 : d;
    }
  }
  return best;
}

std::string unknown_name(std::string_view what, std::string_view name, const std::vector<std::string>& known) {
  const std::string near = nearest_name(name, known);
  return fmt::format("unknown {} '{}'{} There are: {}", what, name,
                     near.empty() ? "." : fmt::format(", did you mean '{}'?", near), join(known, ", "));
}

}  // namespace mneme
