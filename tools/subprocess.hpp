// Room: tools. Running another program and hearing what it says.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mneme::tools {

struct Finished {
  int status = 0;      ///< exit status; 128 + signal where it was killed
  std::string output;  ///< stdout and stderr together, the first 64 kB
};

/// Runs `words[0]` from the PATH in `folder` and waits; empty where there is no such program.
std::optional<Finished> run_program(const std::vector<std::string>& words, const std::filesystem::path& folder = {});

}  // namespace mneme::tools
