// Room: replay. Rule sharpen.
#include "replay/rules.hpp"

namespace mneme::replay {

namespace {

const bool registered = move_rules().add(
    "sharpen", {"gamma", "sharpened", false,
                [](View w, View, View gamma, const Constants& c) { return sharpen(w, gamma[0], c.sharpen_epsilon); }});

}  // namespace

}  // namespace mneme::replay
