// Room: tools. Help: examples first.
#include "tools/help.hpp"

#include "core/build_info.hpp"
#include "core/join.hpp"
#include "core/quote.hpp"
#include "tools/choices.hpp"
#include "tools/terminal.hpp"

#include <fmt/core.h>
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

std::string keys_text(const Command& c, const std::vector<std::string>& words) {
  const Keys keys = config_flags(c, words);
  const bool brief = c.config_keys == "all" && !keys.chosen;
  std::string text, title;
  std::vector<Pair> rows;
  const auto flush = [&] {
    if (!rows.empty()) text += heading("configuration keys: " + title) + two_columns(rows);
    rows.clear();
  };
  for (const experiments::OptionInfo& o : keys.list) {
    if (brief && o.key.find('.') != std::string::npos) continue;
    if (key_title(o) != title) flush();
    title = key_title(o);
    rows.push_back(key_row(o));
  }
  flush();
  if (!keys.source.empty()) text += fmt::format("\nIn brackets: as {} has it.\n", printable(keys.source));
  if (!brief) return text;
  text += heading("more keys");
  std::vector<Pair> more;
  if (c.parameters.find("PRESET") != std::string::npos)
    more.emplace_back(fmt::format("$ mneme {} PRESET --help", c.name),
                      "those of a preset's (a file's, a run's) task, model, memory, ..., with its values");
  more.emplace_back(fmt::format("$ mneme {} --memory NAME --help", c.name),
                    "those of one memory (or task, model, controller, optimizer), of training and of tracing");
  return text + two_columns(more, 46);
}

}  // namespace

std::string key_title(const experiments::OptionInfo& o) {
  if (!o.plugin.empty()) return o.plugin;
  if (o.key.starts_with("train.")) return "training";
  return o.key.starts_with("trace.") ? "tracing" : "any run";
}

Pair key_row(const experiments::OptionInfo& o) {
  const bool selector = o.domain == "a name";
  const std::string range = selector ? fmt::format("; {}", join(o.values, "|")) : fmt::format("; {}", o.domain);
  return {"--" + o.key, o.help + range + (o.standard.empty() ? "" : fmt::format(" [{}]", o.standard))};
}

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

std::vector<Pair> flag_rows(const Command& c) {
  std::vector<Pair> rows;
  for (const Option& o : c.flags.options()) rows.emplace_back(o.name + placeholder(c, o), flag_help(o));
  for (const auto& [name, key] : c.aliases) rows.emplace_back(name + " VALUE", "the same as --" + key);
  return rows;
}

const std::vector<Pair>& general_flags() {
  static const std::vector<Pair> rows = {{"-h, --help", "what a command takes, examples first"},
                                         {"--version[=json]", "program, compiler, libraries"},
                                         {"-q, --quiet", "no hints and no progress"},
                                         {"--no-color", "no colour (as with NO_COLOR set)"}};
  return rows;
}

const std::vector<Pair>& first_steps() {
  static const std::vector<Pair> steps = {
      {"train copy_ntm --trace.level params --out runs/first", "train a preset until it is solved"},
      {"eval runs/first --lengths 20,40,80", "how far it generalises"},
      {"replay runs/first", "step through what the heads attended to"},
      {"trace render runs/first", "draw it as in the paper"}};
  return steps;
}

std::string general_help() {
  std::string text = fmt::format("mneme {}: research on differentiable external memory\n", build_info().version);
  text += heading("to begin with") + examples_text(first_steps());
  text += heading("commands");
  std::vector<Pair> rows;
  for (const Command& c : commands()) rows.emplace_back(c.name, c.summary);
  text += two_columns(rows);
  text += heading("everywhere") + two_columns(general_flags());
  rows.clear();
  for (const auto& [code, meaning] : exit_codes()) rows.emplace_back(std::to_string(code), meaning);
  return text + heading("exit codes") + two_columns(rows);
}

std::string command_help(const Command& c, const std::vector<std::string>& words) {
  std::string text = styled("mneme " + c.name, "1") + ": " + c.summary + "\n";
  text += heading("examples") + examples_text(c.examples);
  text += heading("usage");
  text += "  mneme " + c.name + (c.parameters.empty() ? "" : " " + c.parameters) + " [flags]\n";
  text += heading("flags") + two_columns(flag_rows(c));
  if (!c.config_keys.empty()) text += keys_text(c, words);
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
