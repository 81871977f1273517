#include "core/shape.hpp"

#include "core/error.hpp"
#include "core/join.hpp"

#include <fmt/core.h>

#include <vector>

namespace mneme {

std::string Shape::text() const {
  std::string s = "[";
  for (std::size_t i = 0; i < rank(); ++i) s += (i ? " " : "") + std::to_string(extents_[i]);
  return s + "]";
}

void Shape::refuse(std::span<const std::size_t> extents) {
  if (extents.size() > most)
    fail<InvariantError>("shape", "[{}] has {} extents, a shape has at most {}", join(extents, " "), extents.size(),
                         most);
  fail<InvariantError>("shape", "[{}] has an extent above {}", join(extents, " "), largest);
}

void Shape::refuse_another(std::size_t extent) const {
  std::vector<std::size_t> extents(extents_.begin(), extents_.begin() + rank_);
  extents.push_back(extent);
  refuse(extents);
}

}  // namespace mneme
