// Room: tools. Help texts, made from the command table and the registries' own option tables.
#pragma once

#include "tools/command.hpp"

#include <string>
#include <vector>

namespace mneme::tools {

/// What to type first, in this order, and what it does.
const std::vector<std::pair<std::string, std::string>>& first_steps();
std::string general_help();
/// `words`: those after the command; where they choose a preset or plug-ins, the help is about these.
std::string command_help(const Command& command, const std::vector<std::string>& words);
/// Rows of two columns: what is typed, what it does.
using HelpRow = std::pair<std::string, std::string>;
std::vector<HelpRow> flag_rows(const Command& command);
const std::vector<HelpRow>& general_flags();  ///< those of every command
HelpRow key_row(const experiments::OptionInfo& key);
/// What a key stands under: its plug-in, or for those of every run "training", "tracing", "any run".
std::string key_title(const experiments::OptionInfo& key);
/// "trace" is a group: its commands are "trace info", "trace check", ...
bool is_group(const std::string& word);
std::string group_help(const std::string& group);

/// `text` in lines of at most `columns`, the second and later ones indented.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t columns);

}  // namespace mneme::tools
