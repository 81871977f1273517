// Room: controllers. Gradient cases of this room's ops: the cells' fused ops.
#pragma once

#include "autodiff/gradcheck.hpp"

namespace mneme {

/// See autodiff/gradcheck.hpp; whole plug-ins are checked in experiments/proving/gradcheck.hpp.
std::vector<GradientCase> controller_cases();

}  // namespace mneme
