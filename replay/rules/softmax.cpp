// Room: replay. Rule softmax.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

const bool registered = normalizer_rules().add("softmax", softmax);

}  // namespace

}  // namespace mneme::replay
