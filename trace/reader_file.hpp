// Room: trace. How reader.cpp and inspect.cpp open a trace: HDF5 file, format and major version checked.
#pragma once

#include "trace/hdf5.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace mneme::trace {

/// FileError when it is truncated, foreign or of a newer major schema.
File open_trace(const std::filesystem::path& path, std::string& version);

/// "a,b" -> a and b: lists of names in attributes.
std::vector<std::string> split_list(const std::string& list);

}  // namespace mneme::trace
