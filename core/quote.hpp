// Room: core. Text that goes into another program, one function a target: whatever the text holds, it stays text there.
//
// A file's name, a word of somebody's story, a name in somebody's trace are foreign text. Each of these functions takes
// any bytes, and none of them throws.
#pragma once

#include <string>
#include <string_view>

namespace mneme {

/// One word of a command that a user pastes into a POSIX shell (bash, zsh): as it is where that is safe, else in
/// quotes; control characters and bytes that are no UTF-8 as escapes in $'...'.
std::string shell_word(std::string_view text);
/// As shell_word(), for a path: one that begins with - would be taken for a flag, and is written ./-
std::string shell_path(const std::string& path);

/// Text for people on one line: control characters, bytes that are no UTF-8, and the characters that turn the
/// direction of writing around are shown as \n, \t, \xNN; a terminal takes none of it for a command.
std::string printable(std::string_view text);
/// As printable() of many lines: line ends and tabs stay, and with `styles` so do ESC [ numbers m, which only colour.
std::string printable_lines(std::string_view text, bool styles);

/// Text as a cell of a CSV file: quoted where it is more than plain words. Spreadsheets run what begins with = + - @, a
/// tab or a carriage return, so such text has an apostrophe put before it, unless it is a number; text that begins with
/// an apostrophe has one more. Whoever reads a cell of text drops one leading apostrophe. Numbers never pass through
/// here.
std::string csv_cell(std::string_view text);

}  // namespace mneme
