// Room: replay. Rule softmax.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

const bool registered = normalizer_rules().add("softmax", {[](View z, const Beside&) { return softmax(z); }});

}  // namespace

}  // namespace mneme::replay
