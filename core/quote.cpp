// Room: core. Quoting, by target.
#include "core/quote.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>

namespace mneme {

namespace {

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// How many bytes at the start of `text` are one UTF-8 character, and which; 0 where they are none.
std::size_t character_at(std::string_view text, char32_t& code) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t n = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
  if (n == 0 || n > text.size()) return 0;
  constexpr unsigned char marks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  code = lead & marks[n];
  for (std::size_t i = 1; i < n; ++i) {
    if (byte(i) >> 6 != 2) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < least[n] || code > 0x10ffff || surrogate ? 0 : n;
}

/// Moves the cursor, turns the direction of writing around, ends the line, or is nothing that can be seen.
bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0x061c || c == 0xfeff;
}

/// Calls plain(part) or hidden(part) for each character; bytes that are no UTF-8 are hidden, one by one.
template <class Plain, class Hidden>
void for_each_character(std::string_view text, const Plain& plain, const Hidden& hidden) {
  while (!text.empty()) {
    char32_t code = 0;
    const std::size_t n = character_at(text, code);
    const std::string_view part = text.substr(0, std::max<std::size_t>(n, 1));
    if (n == 0 || is_control(code))
      hidden(part);
    else
      plain(part);
    text.remove_prefix(part.size());
  }
}

bool is_plain(std::string_view text) {
  bool all = true;
  for_each_character(
      text, [](std::string_view) {}, [&](std::string_view) { all = false; });
  return all;
}

/// $'...': every byte that is not safe in three octal digits, which bash, zsh and ksh read alike.
std::string escaped_word(std::string_view text) {
  std::string out = "$'";
  const auto octal = [&](std::string_view part) {
    for (const char c : part) out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
  };
  const auto plain = [&](std::string_view part) {
    if (part == "'" || part == "\\" || part == "!")
      octal(part);
    else
      out += part;
  };
  for_each_character(text, plain, octal);
  return out + "'";
}

bool is_number(std::string_view text) {
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && std::isfinite(value);
}

}  // namespace

std::string shell_word(std::string_view text) {
  constexpr std::string_view harmless = "@%+=:,./-";
  const auto safe = [&](char c) { return is_word_character(c) || harmless.find(c) != std::string_view::npos; };
  if (!text.empty() && text[0] != '=' && std::all_of(text.begin(), text.end(), safe)) return std::string(text);
  if (!is_plain(text)) return escaped_word(text);
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string shell_path(const std::string& path) {
  return shell_word(path.starts_with('-') ? "./" + path : path);
}

std::string printable(std::string_view text) {
  std::string out;
  const auto plain = [&](std::string_view part) { out += part; };
  const auto hidden = [&](std::string_view part) {
    if (part == "\n" || part == "\t")
      out += part == "\n" ? "\\n" : "\\t";
    else
      for (const char c : part) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  };
  for_each_character(text, plain, hidden);
  return out;
}

std::string printable_lines(std::string_view text, bool styles) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\n\t\x1b"), text.size());
    out += printable(text.substr(0, end));
    text.remove_prefix(end);
    if (text.empty()) break;
    std::size_t stays = 1;
    if (text[0] == '\x1b') {
      const std::size_t stop =
          styles && text.starts_with("\x1b[") ? text.find_first_not_of("0123456789;", 2) : text.npos;
      stays = stop != text.npos && text[stop] == 'm' ? stop + 1 : 0;
    }
    out += stays ? std::string(text.substr(0, stays)) : printable(text.substr(0, 1));
    text.remove_prefix(std::max<std::size_t>(stays, 1));
  }
  return out;
}

std::string csv_cell(std::string_view text) {
  constexpr std::string_view commands = "=+-@\t\r";
  std::string cell(text);
  if (!text.empty() && (text[0] == '\'' || (commands.find(text[0]) != std::string_view::npos && !is_number(text))))
    cell.insert(0, 1, '\'');
  const auto plain = [](char c) { return is_word_character(c) || c == '.' || c == ' '; };
  const bool blank_ends = text.starts_with(' ') || text.ends_with(' ');
  if (!blank_ends && std::all_of(text.begin(), text.end(), plain)) return cell;
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace mneme
