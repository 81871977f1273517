// Room: tools. Which run, which trace, and which of its episodes, somebody means.
#pragma once

#include "tools/command.hpp"
#include "trace/reader.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mneme::tools {

/// A run's folder as it is; of a folder of restarts, the chosen one's, which is said on stderr.
std::filesystem::path find_run(const std::string& directory);

/// A trace file, or the newest one of a run's directory (find_run); a copy that `trace repair` made only where there is
/// nothing else. ArgumentError where there is none.
std::filesystem::path find_trace(const std::string& file_or_run);

/// --episode (its index in the file, or its sequence's name) or, where it is not given, the longest correct one of the
/// last fifty (or the longest): the latest that is worth a look. ArgumentError where there is none.
std::size_t find_episode(const trace::Reader& reader, const Arguments& arguments);

/// Says on stderr what is wrong with the file's tables and, where one is given, with an episode. False = nothing.
bool say_faults(const trace::Reader& reader, std::optional<std::size_t> index);

/// "episode 12 of 40 (sequence:1200), 31 steps, length 15, loss 0.004, error 0, correct"
std::string episode_title(const trace::Reader& reader, std::size_t index);

/// What stands above a picture that may be found alone: task, parameters and errors; run, sequence and file.
std::vector<std::string> picture_title(const trace::Reader& reader, std::size_t index);

/// Declares --episode.
void add_episode_flag(Command& command, const std::string& standard = "the longest correct one of the last fifty");

}  // namespace mneme::tools
