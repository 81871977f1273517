// Room: attention. Gradient cases of this room's ops: scores, normalizers, combiners (as ops and as registered modules)
// and location addressing.
#pragma once

#include "autodiff/gradcheck.hpp"

namespace mneme {

/// See autodiff/gradcheck.hpp; whole plug-ins are checked in experiments/gradcheck.hpp.
std::vector<GradientCase> attention_cases();

}  // namespace mneme
