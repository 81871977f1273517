// Room: models. Gradient cases of this room's ops: readout and loss for every kind of target.
#pragma once

#include "autodiff/gradcheck.hpp"

namespace mneme {

/// See autodiff/gradcheck.hpp; whole plug-ins are checked in experiments/proving/gradcheck.hpp.
std::vector<GradientCase> model_cases();

}  // namespace mneme
