// Room: core. INI text: `key = value` under `[section]`, read with line numbers and written back.
//
// Top-level keys come first. A comment is a line, or the rest of a line after a blank, that begins with # or ;. A value
// in double quotes is taken as it is (\" and \\ inside). No continuation lines, no includes, no repeated keys.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace mneme {

struct IniEntry {
  std::string key;  ///< "section.key", or "key" before the first section
  std::string value;
  std::size_t line = 0;
};

/// Throws ArgumentError "[name:line] ..." for what is no INI or a repeated key.
std::vector<IniEntry> read_ini(const std::string& text, const std::string& name);

/// Entries in the order given, keys of one section together, top-level keys first.
std::string write_ini(const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace mneme
