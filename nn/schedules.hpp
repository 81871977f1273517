// Room: nn. Learning-rate schedules: a factor on the base rate, a pure function of progress.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>

namespace mneme {

/// `kind`: constant; linear (1 to `floor` over the run); cosine (the same along half a cosine); step (times `factor`
/// every `every` sequences, never below `floor`). `warmup` sequences come first: a linear rise from 0, or a constant
/// factor `hold`.
struct Schedule {
  enum class Kind { constant, linear, cosine, step };
  Kind kind = Kind::constant;
  double total = 1;   ///< sequences of the whole run, warmup included
  double warmup = 0;  ///< sequences
  double hold = 0;    ///< factor during warmup; 0 = rise
  double floor = 0;   ///< factor at the end of linear and cosine, and the least of step
  double factor = 0.5;
  double every = 1;  ///< sequences

  double at(double sequences) const {
    if (warmup > 0 && sequences < warmup) return hold > 0 ? hold : sequences / warmup;
    const double span = total > warmup ? total - warmup : 1;
    const double x = sequences >= total ? 1 : (sequences - warmup) / span;
    switch (kind) {
      case Kind::constant: return 1;
      case Kind::linear: return 1 + (floor - 1) * x;
      case Kind::cosine: return floor + (1 - floor) * (1 + std::cos(std::numbers::pi * x)) / 2;
      case Kind::step: return std::max(floor, std::pow(factor, std::floor((sequences - warmup) / every)));
    }
    return 1;
  }
};

}  // namespace mneme
