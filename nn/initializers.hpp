// Room: nn. Initial values of parameters and buffers: what to draw, drawn later from a named stream.
#pragma once

#include "core/random.hpp"
#include "core/shape.hpp"

#include <cstddef>
#include <string>

namespace mneme {

/// Draws are made in double and rounded, so float and double models of one seed start from the same numbers. Each row
/// of the first axis has its own stream index: a tensor with more rows starts with the same rows.
struct Initializer {
  enum class Kind { constant, uniform, normal, one_row };
  Kind kind = Kind::constant;
  double value = 0;  ///< the constant; half-width of the uniform distribution; standard deviation of the normal
  std::size_t row = 0;

  static Initializer constant(double c) { return {Kind::constant, c}; }
  /// c in one row of the first axis, 0 elsewhere: the forget gate's bias
  static Initializer one_row(std::size_t row, double c) { return {Kind::one_row, c, row}; }
  /// U(-a, a)
  static Initializer uniform(double a) { return {Kind::uniform, a}; }
  /// N(0, sd^2)
  static Initializer normal(double sd) { return {Kind::normal, sd}; }
  /// Glorot & Bengio 2010: U(-a, a), a = gain sqrt(6 / (in + out))
  static Initializer xavier(std::size_t in, std::size_t out, double gain = 1);

  template <class T>
  void fill(T* to, const Shape& shape, std::uint64_t seed, const std::string& name) const;
};

}  // namespace mneme
