// Room: memory. Gradient cases of this room's ops: erase, write, split_parameters, bags of words.
#pragma once

#include "autodiff/gradcheck.hpp"

namespace mneme {

/// See autodiff/gradcheck.hpp; whole plug-ins are checked in experiments/proving/gradcheck.hpp.
std::vector<GradientCase> memory_cases();

}  // namespace mneme
