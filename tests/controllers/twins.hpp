// Room: tests. Two files that register classes of one name: each must stay its own.
#pragma once

#include "controllers/controller.hpp"

namespace mneme::test {

bool register_first_twin();
bool register_second_twin();

}  // namespace mneme::test
