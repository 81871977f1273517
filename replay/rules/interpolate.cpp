// Room: replay. Rule interpolate.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

const bool registered =
    move_rules().add("interpolate", {"gate", "gated", true, [](View w, View previous, View gate, const Constants&) {
                                       return interpolate(w, previous, gate[0]);
                                     }});

}  // namespace

}  // namespace mneme::replay
