// Room: tools. Viewer: steps through a trace in the terminal, key by key.
#pragma once

#include "trace/reader.hpp"

#include <cstddef>

namespace mneme::tools {

/// Until q or a signal; the terminal is as before whatever happens. Needs stdin and stdout to be a terminal.
/// Returns the exit code: 0, or 130 / 75 after a signal.
int view(const trace::Reader& reader, std::size_t episode);

}  // namespace mneme::tools
