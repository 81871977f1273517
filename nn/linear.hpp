// Room: nn. Linear and Embedding: the two modules that hold a table.
#pragma once

#include "autodiff/ops.hpp"
#include "nn/parameters.hpp"

#include <cmath>
#include <optional>

namespace mneme {

/// y = x W + b;  parameters weight [in out], bias [out]
template <class T>
class Linear {
 public:
  Linear(const Builder<T>& build, std::size_t in, std::size_t out, Initializer weight,
         std::optional<Initializer> bias = Initializer::constant(0), const Group& group = {})
      : weight_(build.parameter("weight", {in, out}, weight, group)) {
    if (bias) bias_ = build.parameter("bias", {out}, *bias, group);
  }

  Var<T> operator()(Tape<T>& tape, Var<T> x) const {
    return linear(tape, x, tape.parameter(weight_), bias_ ? tape.parameter(*bias_) : Var<T>{});
  }

 private:
  std::size_t weight_;
  std::optional<std::size_t> bias_;
};

/// Rows of table [V D], `bag` of them summed; index -1 adds nothing.
template <class T>
class Embedding {
 public:
  Embedding(const Builder<T>& build, std::size_t vocabulary, std::size_t width, Initializer values,
            const Group& group = {})
      : table_(build.parameter("table", {vocabulary, width}, values, group)) {}

  Var<T> operator()(Tape<T>& tape, std::span<const std::int32_t> index, std::size_t bag = 1) const {
    return gather_rows(tape, tape.parameter(table_), index, bag);
  }

 private:
  std::size_t table_;
};

}  // namespace mneme
