// Room: tools. A drawing: gnuplot's script with its data, and what comes of it, all files or none.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace mneme::tools {

struct Drawn {
  std::vector<std::string> files;  ///< names in the folder
  bool pictures = false;           ///< false: gnuplot is not installed, and there are data and script alone
};

/// Writes `texts` (endings and contents: ".gp" the script, which draws NAME.svg, NAME.pdf and NAME.png) into `folder`
/// and runs gnuplot on the script. RuntimeFailure where it fails; nothing is left then.
Drawn draw(const std::filesystem::path& folder, const std::string& name,
           const std::vector<std::pair<std::string, std::string>>& texts);

/// What to say where gnuplot is missing.
std::string how_to_draw(const std::filesystem::path& folder, const std::string& name);

}  // namespace mneme::tools
