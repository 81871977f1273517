// Room: tools. `mneme man`: the manual page, made from the command table and the option tables.
#include "core/build_info.hpp"
#include "core/quote.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/help.hpp"
#include "tools/terminal.hpp"

#include <algorithm>

namespace mneme::tools {

namespace {

/// Text as roff prints it: what begins a request, an escape or a hyphen is the character itself.
std::string roff(const std::string& text) {
  std::string out;
  bool begins = true;
  for (const char ch : printable_lines(text, false)) {
    if (begins && (ch == '.' || ch == '\'')) out += "\\&";
    if (ch == '\\')
      out += "\\e";
    else if (ch == '-')
      out += "\\-";
    else if (ch == '"')
      out += "\\(dq";
    else
      out += ch;
    begins = ch == '\n';
  }
  return out;
}

std::string section(const std::string& title) {
  return ".SH " + roff(title) + "\n";
}

/// A paragraph with a tag: what is typed, and what it does.
std::string item(const std::string& typed, const std::string& what) {
  return ".TP\n\\fB" + roff(typed) + "\\fR\n" + roff(what) + "\n";
}

std::string example(const std::string& command, const std::string& what) {
  return item("mneme " + command, what);
}

std::string command_text(const Command& c) {
  std::string text = ".SS \"mneme " + roff(c.name + (c.parameters.empty() ? "" : " " + c.parameters)) + "\"\n";
  text += roff(c.summary) + ".\n";
  for (const auto& [flag, what] : flag_rows(c)) text += item(flag, what);
  if (c.config_keys == "all") text += ".PP\nTakes configuration keys.\n";
  if (!c.config_keys.empty() && c.config_keys != "all")
    text += ".PP\nTakes the configuration keys that begin with " + roff(c.config_keys) + ".\n";
  if (!c.notes.empty()) text += ".PP\n.nf\n" + roff(c.notes) + "\n.fi\n";
  text += ".PP\nExamples:\n";
  for (const auto& [typed, what] : c.examples) text += example(typed, what);
  return text;
}

std::string keys_text() {
  Command all;
  all.config_keys = "all";
  std::string text, title;
  for (const experiments::OptionInfo& o : config_flags(all).list) {
    if (key_title(o) != title) text += ".SS \"" + roff(key_title(o)) + "\"\n";
    title = key_title(o);
    const auto [typed, what] = key_row(o);
    text += item(typed, what);
  }
  return text;
}

int run(const Arguments&) {
  const BuildInfo& b = build_info();
  std::string text = fmt::format(".TH MNEME 1 \"\" \"mneme {}\" \"User Commands\"\n", roff(b.version));
  text += section("NAME") + "mneme \\- research on differentiable external memory\n";
  text += section("SYNOPSIS") + ".B mneme\n.I COMMAND\n[words] [flags]\n";
  text += section("DESCRIPTION") +
          "Trains, judges, replays and draws neural networks with an external memory. Each command says what it takes "
          "with\n.BR \\-\\-help .\nData goes to standard output, messages to standard error.\n";
  text += section("TO BEGIN WITH");
  for (const auto& [typed, what] : first_steps()) text += example(typed, what);
  text += section("COMMANDS");
  for (const Command& c : commands()) text += command_text(c);
  text += section("EVERYWHERE");
  for (const auto& [typed, what] : general_flags()) text += item(typed, what);
  text += section("CONFIGURATION KEYS") +
          "Each is a flag of the commands that take keys, and a line of an INI file: memory.slots is slots under "
          "[memory].\n" +
          keys_text();
  text += section("EXIT STATUS");
  for (const auto& [code, meaning] : exit_codes()) text += item(std::to_string(code), meaning);
  text += section("ENVIRONMENT");
  text += item("MNEME_CONFIGS", "a folder of *.ini files that are presets too, before the built-in ones");
  text += item("NO_COLOR", "where it is set and not empty: no colour");
  text += item("COLUMNS, LINES", "the size of the screen where it is no terminal");
  text += section("SEE ALSO") + ".BR gnuplot (1),\n.BR h5dump (1)\n";
  put(text);
  return kOk;
}

}  // namespace

Command man_command() {
  Command c;
  c.name = "man";
  c.summary = "the manual page, mneme(1), as roff";
  c.examples = {{"man > mneme.1", "then: man ./mneme.1"}};
  c.run = run;
  return c;
}

}  // namespace mneme::tools
