// Room: tests. Text that goes into other programs: whatever it holds, the other program has it as text.
#include "core/quote.hpp"
#include "core/json.hpp"

#include <gtest/gtest.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace mneme {
namespace {

const std::vector<std::string>& hostile() {
  static const std::vector<std::string> texts = [] {
    std::vector<std::string> all = {"",
                                    "plain",
                                    "two words",
                                    "it's",
                                    "''",
                                    "a''''b",
                                    "\"quoted\"",
                                    "back\\slash",
                                    "ends in \\",
                                    "\\n",
                                    "line\nline",
                                    "\n",
                                    "tab\tcr\rvt\v",
                                    "$(touch ran)",
                                    "`touch ran`",
                                    "${HOME}$HOME$",
                                    "; touch ran #",
                                    "&& touch ran || |",
                                    "100%s%n%%",
                                    "-rf",
                                    "--flag",
                                    "~",
                                    "~root/x",
                                    "=ls",
                                    "* ? [a]",
                                    "{a,b}",
                                    "!!",
                                    "hey!\n!!",
                                    "\x1b[2J\x1b]0;title\x07",
                                    "\x01\x02\x7f",
                                    "\xff\xfe",
                                    "cut \xe2\x9c",
                                    "long form \xc0\xaf",
                                    "surrogate \xed\xa0\x80",
                                    "caf\xc3\xa9 \xe2\x9c\x93 \xf0\x9f\x99\x82",
                                    "right to left \xe2\x80\xae"
                                    "fdp.exe",
                                    "=cmd()",
                                    "+1+1",
                                    "-1+1",
                                    "@SUM(A1)",
                                    "a,b;c",
                                    "<in >out",
                                    "#comment"};
    std::string bytes;
    for (int c = 1; c < 256; ++c) bytes += static_cast<char>(c);
    all.push_back(bytes);
    return all;
  }();
  return texts;
}

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mneme_quote_XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("no folder for the test");
    path = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST(Quote, AShellTakesEveryWordAsItIs) {
  if (std::system("bash -c true") != 0) GTEST_SKIP() << "there is no bash";
  const Folder folder;
  for (const std::string& text : hostile()) {
    std::ofstream(folder.path / "script")
        << "cd '" << folder.path.string() << "'\nprintf '%s' a " << shell_word(text) << " b > said\n";
    ASSERT_EQ(std::system(("bash '" + (folder.path / "script").string() + "'").c_str()), 0) << printable(text);
    std::ostringstream said;
    said << std::ifstream(folder.path / "said", std::ios::binary).rdbuf();
    EXPECT_EQ(said.str(), "a" + text + "b") << shell_word(text);
    EXPECT_FALSE(std::filesystem::exists(folder.path / "ran")) << shell_word(text);
    for (const char c : shell_word(text)) EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20) << "shown and pasted";
  }
}

TEST(Quote, WordsThatNeedNoQuotesHaveNone) {
  for (const char* text : {"runs/copy", "--memory.slots=64", "a.trace.h5", "1:20", "-1", "50%", "a@b,c+d"})
    EXPECT_EQ(shell_word(text), text);
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("my run"), "'my run'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("a\nb!"), "$'a\\012b\\041'");
  EXPECT_EQ(shell_path("-rf"), "./-rf");
  EXPECT_EQ(shell_path("- a"), "'./- a'");
  EXPECT_EQ(shell_path("runs/-a"), "runs/-a");
}

TEST(Quote, PrintableTextCommandsNoTerminal) {
  EXPECT_EQ(printable("plain caf\xc3\xa9 \xe2\x9c\x93"), "plain caf\xc3\xa9 \xe2\x9c\x93");
  EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\nb\\tc\\x0d");
  EXPECT_EQ(printable_lines("a\nb\tc\r", false), "a\nb\tc\\x0d");
  EXPECT_EQ(printable_lines("\x1b[1mbold\x1b[0m\n\x1b[38;5;1mred\x1b[2J\x1b]0;t\x1b", true),
            "\x1b[1mbold\x1b[0m\n\x1b[38;5;1mred\\x1b[2J\\x1b]0;t\\x1b");
  EXPECT_EQ(printable_lines("\x1b[1mbold\n", false), "\\x1b[1mbold\n");
  EXPECT_EQ(printable("\xff"
                      "a\xe2\x9c"),
            "\\xffa\\xe2\\x9c");
  EXPECT_EQ(printable("\xc2\x9b"
                      "1m"),
            "\\xc2\\x9b1m")
      << "the control characters of eight bits";
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "x"),
            "\\xe2\\x80\\xaex");
  for (const std::string& text : hostile())
    for (const char c : printable(text)) EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7f);
}

/// What a reader of CSV has of one cell.
std::string read_cell(std::string cell) {
  if (cell.starts_with('"')) {
    cell = cell.substr(1, cell.size() - 2);
    for (std::size_t at = 0; (at = cell.find("\"\"", at)) != std::string::npos; ++at) cell.erase(at, 1);
  }
  return cell;
}

TEST(Quote, ACellIsNoFormulaAndComesBack) {
  for (const std::string& text : hostile()) {
    const std::string cell = csv_cell(text);
    const std::string read = read_cell(cell);
    EXPECT_TRUE(read.empty() || std::string("=+-@\t\r").find(read[0]) == std::string::npos) << cell;
    EXPECT_EQ(read.starts_with('\'') ? read.substr(1) : read, text) << cell;
    if (!cell.starts_with('"')) {
      EXPECT_EQ(cell.find_first_of(",\"\r\n"), std::string::npos) << cell;
    }
  }
  EXPECT_EQ(csv_cell("write_0"), "write_0");
  EXPECT_EQ(csv_cell("-1"), "\"-1\"") << "a number is no formula";
  EXPECT_EQ(csv_cell("-1.5e3"), "\"-1.5e3\"");
  EXPECT_EQ(csv_cell("=1+1"), "\"'=1+1\"");
  EXPECT_EQ(csv_cell("-inf"), "\"'-inf\"");
  EXPECT_EQ(csv_cell("say \"a\", b"), "\"say \"\"a\"\", b\"");
}

TEST(Quote, JsonOfAnyBytesIsWritten) {
  for (const std::string& text : hostile()) {
    const Json read = parse_json(json_text(Json{{"text", text}}, 2));
    if (printable(text) == text) {
      EXPECT_EQ(read["text"], text);
    }
  }
  EXPECT_EQ(json_text(Json("\xff")), "\"\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace mneme
