// Room: replay. Rule shift.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

const bool registered = move_rules().add(
    "shift", {"shift", "shifted", false, [](View w, View, View kernel, const Constants&) { return shift(w, kernel); }});

}  // namespace

}  // namespace mneme::replay
