#include "nn/initializers.hpp"

#include <cmath>

namespace mneme {

Initializer Initializer::xavier(std::size_t in, std::size_t out, double gain) {
  return uniform(gain * std::sqrt(6.0 / static_cast<double>(in + out)));
}

template <class T>
void Initializer::fill(T* to, const Shape& shape, std::uint64_t seed, const std::string& name) const {
  const std::size_t rows = shape.rank() < 2 ? 1 : shape[0], n = shape.size() / rows;
  for (std::size_t r = 0; r < rows; ++r) {
    Random random(seed, "init/" + name, r);
    for (std::size_t i = 0; i < n; ++i) {
      double v = value;
      if (kind == Kind::one_row && r != row) v = 0;
      if (kind == Kind::uniform) v = random.uniform(-value, value);
      if (kind == Kind::normal) v = value * random.normal();
      to[r * n + i] = static_cast<T>(v);
    }
  }
}

template void Initializer::fill<float>(float*, const Shape&, std::uint64_t, const std::string&) const;
template void Initializer::fill<double>(double*, const Shape&, std::uint64_t, const std::string&) const;

}  // namespace mneme
