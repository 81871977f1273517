// Room: tools. Help texts, made from the command table and the registries' own option tables.
#pragma once

#include "tools/command.hpp"

#include <string>
#include <vector>

namespace mneme::tools {

/// The configuration keys that a command takes as flags; a key of several plug-ins once for each.
std::vector<experiments::OptionInfo> config_flags(const Command& command);

std::string general_help();
std::string command_help(const Command& command);
/// "trace" is a group: its commands are "trace info", "trace check", ...
bool is_group(const std::string& word);
std::string group_help(const std::string& group);

/// `text` in lines of at most `columns`, the second and later ones indented.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t columns);

}  // namespace mneme::tools
