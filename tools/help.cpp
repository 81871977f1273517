// Room: tools. Help: examples first.
#include "tools/help.hpp"

#include "core/build_info.hpp"
#include "tools/terminal.hpp"

#include <unistd.h>

#include <algorithm>

namespace mneme::tools {

namespace {

using Pair = std::pair<std::string, std::string>;

std::size_t columns() {
  return static_cast<std::size_t>(std::clamp(terminal_size(STDOUT_FILENO).columns, 60, 120));
}

/// Two columns: names of one width, texts wrapped beside them.
std::string two_columns(const std::vector<Pair>& rows, std::size_t most = 34) {
  std::size_t width = 0;
  for (const auto& [left, right] : rows)
    if (left.size() <= most) width = std::max(width, left.size());
  std::string text;
  for (const auto& [left, right] : rows) {
    const std::string gap =
        left.size() <= width ? std::string(width - left.size(), ' ') : "\n  " + std::string(width, ' ');
    text += "  " + left + gap + "  " + wrapped(right, width + 4, columns()) + "\n";
  }
  return text;
}

std::string heading(const std::string& title) {
  return "\n" + styled(title, "1") + "\n";
}

std::string examples_text(const std::vector<Pair>& examples) {
  std::vector<Pair> rows;
  for (const auto& [command, what] : examples) rows.emplace_back("$ mneme " + command, what);
  return two_columns(rows, 46);
}

std::string placeholder(const Command& c, const Option& o) {
  if (o.type == Option::Type::flag) return "";
  const auto it = c.values.find(o.name);
  if (it != c.values.end()) return " " + it->second;
  switch (o.type) {
    case Option::Type::integer: return " N";
    case Option::Type::real: return " X";
    case Option::Type::range: return " A:B";
    default: return " TEXT";
  }
}

std::string flag_help(const Option& o) {
  std::string text = o.help;
  if (o.type == Option::Type::choice) text += fmt::format("; {}", o.domain());
  if (o.type != Option::Type::flag && !o.standard.empty() && text.find("not given") == std::string::npos)
    text += fmt::format(" [{}]", o.standard);
  return text;
}

std::string keys_text(const Command& c) {
  std::string text;
  std::string plugin = "?";
  std::vector<Pair> rows;
  const auto flush = [&] {
    if (rows.empty()) return;
    const std::string title = plugin.empty() ? "any run" : plugin;
    text += heading("configuration keys: " + title) + two_columns(rows);
    rows.clear();
  };
  for (const experiments::OptionInfo& o : config_flags(c)) {
    if (o.plugin != plugin) flush();
    plugin = o.plugin;
    const std::string range = o.domain == "a name" ? "" : fmt::format("; {}", o.domain);
    rows.emplace_back("--" + o.key, o.help + range + (o.standard.empty() ? "" : fmt::format(" [{}]", o.standard)));
  }
  flush();
  return text;
}

}  // namespace

std::string wrapped(const std::string& text, std::size_t indent, std::size_t columns) {
  const std::size_t room = columns > indent + 20 ? columns - indent : 20;
  std::string out, line;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (!line.empty() && line.size() + 1 + word.size() > room) {
      out += line + "\n" + std::string(indent, ' ');
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return out + line;
}

std::string general_help() {
  std::string text = fmt::format("mneme {}: research on differentiable external memory\n", build_info().version);
  text += heading("to begin with") +
          examples_text({{"train copy_ntm --out runs/first", "train a preset until it is solved"},
                         {"eval runs/first --lengths 20,40,80", "how far it generalises"},
                         {"replay runs/first", "step through what the heads attended to"},
                         {"trace render runs/first", "draw it as in the paper"}});
  text += heading("commands");
  std::vector<Pair> rows;
  for (const Command& c : commands()) rows.emplace_back(c.name, c.summary);
  text += two_columns(rows);
  text += heading("everywhere") + two_columns({{"-h, --help", "what a command takes, examples first"},
                                               {"--version[=json]", "program, compiler, libraries"},
                                               {"-q, --quiet", "no hints and no progress"},
                                               {"--no-color", "no colour (as with NO_COLOR set)"}});
  text +=
      "\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 invalid file, 4 diverged, 5 not verified,\n"
      "75 stopped but resumable, 130 interrupted.\n";
  return text;
}

std::string command_help(const Command& c) {
  std::string text = styled("mneme " + c.name, "1") + ": " + c.summary + "\n";
  text += heading("examples") + examples_text(c.examples);
  text += heading("usage");
  text += "  mneme " + c.name + (c.parameters.empty() ? "" : " " + c.parameters) + " [flags]\n";
  std::vector<Pair> rows;
  for (const Option& o : c.flags.options()) rows.emplace_back(o.name + placeholder(c, o), flag_help(o));
  for (const auto& [name, key] : c.aliases) rows.emplace_back(name + " VALUE", "the same as --" + key);
  rows.emplace_back("-q, --quiet", "no hints and no progress");
  rows.emplace_back("--no-color", "no colour (as with NO_COLOR set)");
  text += heading("flags") + two_columns(rows);
  if (!c.config_keys.empty()) text += keys_text(c);
  if (!c.notes.empty()) text += "\n" + c.notes + "\n";
  return text;
}

bool is_group(const std::string& word) {
  const auto& all = commands();
  return std::any_of(all.begin(), all.end(), [&](const Command& c) { return c.name.rfind(word + " ", 0) == 0; });
}

std::string group_help(const std::string& group) {
  std::string text = styled("mneme " + group, "1") + ": one of\n";
  std::vector<Pair> rows, examples;
  for (const Command& c : commands()) {
    if (c.name.rfind(group + " ", 0) != 0) continue;
    rows.emplace_back(c.name, c.summary);
    if (!c.examples.empty()) examples.push_back(c.examples[0]);
  }
  return text + heading("examples") + examples_text(examples) + heading("commands") + two_columns(rows);
}

}  // namespace mneme::tools
