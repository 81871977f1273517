// Room: core. Stopped: the end of work that a signal asked for, before it has a result.
#pragma once

#include "core/error.hpp"

namespace mneme {

/// Exit 130 for SIGINT, 75 for any other. Nobody's fault, so neither a RuntimeFailure nor any other of core/error.hpp.
class Stopped final : public Error {
 public:
  using Error::Error;
};

}  // namespace mneme
