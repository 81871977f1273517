// Room: tests. Names and words of others, in hints that are pasted, scripts of other programs, terminals and tables:
// they stay text.
#include "core/json.hpp"
#include "core/quote.hpp"
#include "places.hpp"
#include "tests/tools/program.hpp"
#include "tests/trace/sample.hpp"
#include "trace/sink.hpp"

#include <gtest/gtest.h>

#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>

namespace mneme::tools_test {
namespace {

/// A name that shells, gnuplot and terminals would act upon.
const std::string hostile = "it's $(cd ..; touch ran) `cd ..; touch ran` \"; touch ran; #\\ {x} %s ''";

/// What follows `mneme ` in the hints of a command, one word of a shell each.
std::vector<std::string> hinted_commands(const std::string& text) {
  std::vector<std::string> found;
  const std::regex hint("(?:^|\n)(?:next:|go on with:|what led there:|     ) mneme ([^\n]*)");
  for (std::sregex_iterator at(text.begin(), text.end(), hint), end; at != end; ++at)
    for (std::string rest = (*at)[1]; !rest.empty();) {
      const std::string between = "   or   mneme ";
      const std::size_t cut = rest.find(between);
      found.push_back(rest.substr(0, cut));
      rest = cut == std::string::npos ? "" : rest.substr(cut + between.size());
    }
  return found;
}

/// Runs `mneme COMMAND` as a shell takes it, in `folder`; true where it ended with 0.
bool pasted(const std::string& command, const fs::path& folder) {
  std::ofstream(folder / "paste") << "mneme() { '" << MNEME_PROGRAM << "' \"$@\"; }\nmneme " << command
                                  << " </dev/null >/dev/null 2>paste.err\n";
  return std::system(fmt::format("cd '{}' && bash ./paste", folder.string()).c_str()) == 0;
}

// Before paths were quoted, the folder's $(...) ran in the shell that a hint was pasted into.
TEST(ForeignText, HintsCanBePasted) {
  const Scratch folder;
  if (std::system("bash -c true") != 0) GTEST_SKIP() << "there is no bash";
  for (const std::string& name : {hostile, std::string("-dash"), std::string("red \x1b[31m \xff")}) {
    Setting here;
    here.folder = folder.path();
    const Result train = mneme(tiny("./" + name, {"--max-sequences=60"}), here);
    ASSERT_EQ(train.code, 0) << train.err;
    std::string hints = train.err;
    const std::vector<std::vector<std::string>> more = {
        {"replay", "./" + name, "--verify"}, {"trace", "check", "./" + name}, {"train", "--resume", "./" + name}};
    for (const auto& words : more) hints += mneme(words, here).err;
    const auto commands = hinted_commands(hints);
    EXPECT_GE(commands.size(), 6u) << hints;
    for (const std::string& command : commands) {
      EXPECT_TRUE(pasted(command, folder.path())) << command << "\n" << read_file(folder / "paste.err");
      EXPECT_FALSE(fs::exists(folder / "ran")) << command;
    }
  }
}

/// A trace of one story whose words, answers and names are hostile, as somebody may send it.
fs::path hostile_trace(const fs::path& folder, const std::string& name) {
  trace::Layout l = trace::testing::rich_layout(trace::Level::params);
  l.task = hostile + "\x1b]0;title\x07";
  l.vocab = {"it's",
             "''",
             "$(cd ..; touch ran)",
             "`cd ..; touch ran`",
             "50%s%n",
             "\"{/Symbol a}_b^c@d",
             "back\\",
             "line\nline",
             "\x1b[2J",
             "=1+1",
             "\xff\xfe"};
  l.classes = {"a''b", "#`cd ..; touch ran`\n%g\\"};
  l.target_kind = "classes";
  trace::Episode e;
  trace::testing::make_episode(l, 13, 4, e);
  for (std::size_t i = 0; i < e.items.token.size(); ++i)
    e.items.token[i] = static_cast<std::int32_t>(i % l.vocab.size());
  for (std::size_t t = 0; t < e.steps; ++t) e.token[t] = static_cast<std::int32_t>((7 * t + 4) % l.vocab.size());
  trace::Sink sink(folder / (name + ".trace.h5"), l);
  sink.append(e);
  sink.close();
  return sink.files().at(0);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string xml(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return out;
}

// gnuplot was given the trace's name in a string that a shell took: `trace render` of "a$(...)" ran its command. Names
// that begin with < or | are commands to gnuplot itself, words with % are formats.
TEST(ForeignText, AFigureShowsItAndRunsNothing) {
  for (const std::string& name : {hostile, std::string("<cd ..; touch ran #"), std::string("|cd ..; touch ran #"),
                                  std::string("-e system('touch ran')"), std::string("@x \n\x1b[2J\xff '\\")}) {
    const Scratch folder;
    fs::create_directory(folder / "in");
    Setting here;
    here.folder = folder / "in";
    const std::string story = hostile_trace(here.folder, name + "-story").filename().string();
    fs::copy_file(tiny_run() / "traces" / "train.000.trace.h5", here.folder / (name + ".trace.h5"));
    const std::set<std::string> before = {story, name + ".trace.h5"};
    for (const std::string& file : before) {
      const Result r = mneme({"trace", "render", "./" + file, "--json"}, here);
      ASSERT_EQ(r.code, 0) << r.err;
      const auto files = parse_json(r.out)["files"];
      if (contains(r.err, "gnuplot is not installed")) GTEST_SKIP() << "no gnuplot here";
      EXPECT_EQ(files.size(), 6u);
      for (const auto& entry : fs::directory_iterator(here.folder)) {
        const std::string made = entry.path().filename().string();
        EXPECT_TRUE(made.starts_with(name)) << printable(made) << " of " << printable(name);
        if (made.ends_with(".gp")) {
          const std::string code = std::regex_replace(read_file(entry.path()), std::regex("\"[^\"]*\""), "");
          for (const char* way : {"system", "`", "shell", "!", "load", "eval"})
            EXPECT_FALSE(contains(code, way)) << "a script starts nothing";
        }
      }
      for (const char* where : {"ran", "in/ran"}) EXPECT_FALSE(fs::exists(folder / where)) << printable(file);
    }
    std::string svg;
    for (const auto& entry : fs::directory_iterator(here.folder))
      if (contains(entry.path().filename().string(), "-story.000-episode") && entry.path().extension() == ".svg")
        svg = read_file(entry.path());
    for (const char* word : {"it's", "''", "$(cd ..; touch ran)", "`cd ..; touch ran`", "50%s%n", "\"{/Symbol a}_b^c@d",
                             "back\\", "line\\nline", "\\x1b[2J", "=1+1", "\\xff\\xfe", "a''b"})
      EXPECT_TRUE(contains(svg, xml(word))) << word << "\n" << (word == std::string("it's") ? svg : "");
  }
}
/// What is left of `out` without the styles and moves that are ours.
std::string without_ours(const std::string& out) {
  return std::regex_replace(out, std::regex("\x1b\\[([0-9;]*m|H|K|J|\\?1049[hl]|\\?25[hl])"), "");
}

// A word, an answer or a file's name could move the cursor, clear the screen and name the window.
TEST(ForeignText, ATerminalObeysNone) {
  const Scratch folder;
  const std::string story = hostile_trace(folder.path(), "a\x1b[2J\x1b]0;title\x07 b\xff").string();
  Terminal terminal;
  terminal.environment = {{"LC_ALL", "C.UTF-8"}};
  for (const std::vector<std::string>& words : {std::vector<std::string>{"replay", story},
                                                {"replay", story, "--still"},
                                                {"trace", "show", story},
                                                {"trace", "info", story},
                                                {"trace", "check", story},
                                                {"trace", "show", story + "\x1b[2J"},
                                                {"eval", "\x1b[31mred"}}) {
    const Result r = mneme_in_terminal(
        words, words.size() == 2 && words[0] == "replay" ? std::vector<std::string>{"q"} : std::vector<std::string>{},
        terminal);
    const std::string left = without_ours(r.out);
    EXPECT_EQ(left.find('\x1b'), std::string::npos) << words[0] << " " << printable(left);
    EXPECT_EQ(left.find('\x07'), std::string::npos) << words[0];
    EXPECT_EQ(left.find('\xff'), std::string::npos) << words[0];
    if (words[0] != "eval") {
      EXPECT_TRUE(contains(left, "\\x1b")) << words[0] << " shows it escaped: " << left;
    }
  }
}

// JSON ended in the middle, by an exception, where text was no UTF-8.
TEST(ForeignText, JsonIsWholeAndTablesAreNoFormulas) {
  const Scratch folder;
  const std::string story = hostile_trace(folder.path(), "a\xff").string();
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"trace", "show", story, "--json"},
        {"trace", "show", story, "--list", "--json"},
        {"trace", "info", story, "--json"},
        {"trace", "check", story, "--json"},
        {"trace", "export", story, "--out", (folder / "csv\xff").string(), "--json"},
        {"trace", "repair", story, "--out", (folder / "r\xff.trace.h5").string(), "--json"},
        {"trace", "render", story, "--out", (folder / "f\xff").string(), "--json"}}) {
    const Result r = mneme(words);
    EXPECT_EQ(r.code, 0) << words[1] << r.err;
    EXPECT_FALSE(parse_json(r.out).is_discarded()) << words[1] << r.out;
  }
  const std::string names = read_file(folder / "csv\xff" / "names.csv");
  EXPECT_TRUE(contains(names, "token,9,\"'=1+1\"\n")) << names;
  EXPECT_TRUE(contains(names, "token,7,\"line\nline\"\n")) << names;
}

}  // namespace
}  // namespace mneme::tools_test
