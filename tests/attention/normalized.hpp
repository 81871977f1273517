// Room: tests. One call of a normalizer by its plug-in, with its options as they would be typed.
#pragma once

#include "attention/normalize.hpp"

namespace mneme::test {

template <class T>
Var<T> normalized(const NormalizerPlugin& plugin, Tape<T>& tape, Var<T> scores, Mask mask = {}, Var<T> beta = {},
                  const std::map<std::string, std::string>& options = {}) {
  return (*plugin.make<T>(plugin.options.parse("normalizer", options)))(tape, scores, mask, beta);
}

}  // namespace mneme::test
