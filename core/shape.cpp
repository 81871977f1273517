#include "core/shape.hpp"

namespace mneme {

std::string Shape::text() const {
  std::string s = "[";
  for (std::size_t i = 0; i < rank(); ++i) s += (i ? " " : "") + std::to_string(extents_[i]);
  return s + "]";
}

}  // namespace mneme
