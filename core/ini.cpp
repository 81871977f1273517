// Room: core. The INI reader and writer.
#include "core/ini.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <string_view>

namespace mneme {

namespace {

constexpr std::string_view kBlank = " \t\r";

bool is_blank(char c) {
  return kBlank.find(c) != std::string_view::npos;
}
bool is_comment(char c) {
  return c == '#' || c == ';';
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
  return s;
}

std::string_view without_comment(std::string_view s) {
  for (std::size_t i = 0; i < s.size(); ++i)
    if (is_comment(s[i]) && (i == 0 || is_blank(s[i - 1]))) return s.substr(0, i);
  return s;
}

bool is_name(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string unquote(std::string_view s, const std::string& where) {
  std::string value;
  for (std::size_t i = 1; i < s.size(); ++i) {
    if (s[i] == '"') {
      const std::string_view rest = trim(without_comment(s.substr(i + 1)));
      if (!rest.empty()) fail<ArgumentError>(where, "'{}' stands behind the closing quote", rest);
      return value;
    }
    if (s[i] == '\\' && i + 1 < s.size() && (s[i + 1] == '"' || s[i + 1] == '\\')) ++i;
    value += s[i];
  }
  fail<ArgumentError>(where, "the quote is not closed");
}

bool needs_quotes(const std::string& v) {
  return !v.empty() &&
         (is_blank(v.front()) || is_blank(v.back()) || v.front() == '"' || without_comment(v).size() != v.size());
}

std::string quoted(const std::string& v) {
  std::string text = "\"";
  for (char c : v) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

}  // namespace

std::vector<IniEntry> read_ini(const std::string& text, const std::string& name) {
  if (text.find('\0') != std::string::npos) fail<ArgumentError>(name, "is no INI file: it holds a zero byte");
  std::string_view rest = text;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
  std::vector<IniEntry> entries;
  std::string section;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = trim(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.empty() || is_comment(line.front())) continue;
    const std::string where = name + ":" + std::to_string(number);
    if (line.front() == '[') {
      const std::size_t close = line.find(']');
      if (close == std::string_view::npos) fail<ArgumentError>(where, "'{}' is not closed by ]", line);
      const std::string_view behind = trim(without_comment(line.substr(close + 1)));
      if (!behind.empty()) fail<ArgumentError>(where, "'{}' stands behind the section's name", behind);
      section = trim(line.substr(1, close - 1));
      if (!is_name(section)) fail<ArgumentError>(where, "'{}' is no name of a section", section);
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos)
      fail<ArgumentError>(where, "'{}' is neither [section], key = value nor a comment", line);
    const std::string_view key = trim(line.substr(0, equals));
    if (!is_name(key)) fail<ArgumentError>(where, "'{}' is no name of a key", key);
    const std::string_view value = trim(line.substr(equals + 1));
    IniEntry entry{section.empty() ? std::string(key) : section + "." + std::string(key),
                   value.starts_with('"') ? unquote(value, where) : std::string(trim(without_comment(value))), number};
    for (const IniEntry& before : entries)
      if (before.key == entry.key)
        fail<ArgumentError>(where, "{} is given again; line {} has it already", entry.key, before.line);
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string write_ini(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string text, section;
  for (const auto& [key, value] : entries) {
    if (value.find('\n') != std::string::npos) fail<ArgumentError>(key, "a value of several lines has no INI form");
    const std::size_t dot = key.find('.');
    const std::string own = dot == std::string::npos ? "" : key.substr(0, dot);
    if (own != section) text += (text.empty() ? "[" : "\n[") + own + "]\n";
    section = own;
    text += (dot == std::string::npos ? key : key.substr(dot + 1)) + " = " +
            (needs_quotes(value) ? quoted(value) : value) + "\n";
  }
  return text;
}

}  // namespace mneme
