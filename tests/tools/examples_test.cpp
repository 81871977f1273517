// Room: tests. What the program and its pages tell people to type is typed here, in order, in an empty folder: the
// first steps and examples of every help, the commands of README.md, and the snippets of docs/checkpoint_format.md.
//
// Training is cut short by limits that are appended (limits_for); nothing else is changed but the words DIR, which
// stands for the reader's own files, and a few files that an example takes from elsewhere are made first (prepare).
// With MNEME_EXAMPLES=whole nothing is cut short: the slow test of ctest.
#include "core/json.hpp"
#include "places.hpp"
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace mneme::tools_test {
namespace {

using Words = std::vector<std::string>;

bool whole() {
  const char* value = std::getenv("MNEME_EXAMPLES");
  return value && std::string(value) == "whole";
}

Words lines_of(const std::string& text) {
  Words lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

Words words_of(const std::string& line) {
  Words words;
  std::istringstream in(line);
  for (std::string w; in >> w;) words.push_back(w);
  return words;
}

/// What stands after `prompt` in each line, up to the explanation: two blanks or a comment.
Words typed_in(const std::string& page, const std::string& prompt) {
  Words typed;
  for (const std::string& line : lines_of(page)) {
    const std::size_t begin = line.find(prompt);
    if (begin == std::string::npos || begin < 2 || line.find_first_not_of(' ') != begin) continue;
    std::string rest = line.substr(begin + prompt.size());
    rest = rest.substr(0, std::min(rest.find("  "), rest.find(" #")));
    typed.push_back(rest);
  }
  return typed;
}

bool begins(const Words& words, const std::string& with) {
  const Words first = words_of(with);
  return words.size() >= first.size() && std::equal(first.begin(), first.end(), words.begin());
}

bool has(const Words& words, const std::string& flag) {
  return std::find(words.begin(), words.end(), flag) != words.end();
}

/// What is appended so that an example takes seconds.
Words limits_for(const Words& words) {
  if (whole()) return {};
  if (begins(words, "train") && has(words, "--restarts")) return {"--max-sequences=1800", "--train.eval-every=100000"};
  if (begins(words, "train") && !has(words, "--dry-run") && !has(words, "--max-sequences"))
    return has(words, "--resume") ? Words{"--max-sequences=700"}
                                  : Words{"--max-sequences=600", "--train.eval-every=500"};
  if (begins(words, "compare"))
    return {"--train.max-sequences=40", "--train.eval-every=20", "--train.eval-episodes=2", "--episodes=2"};
  if (begins(words, "reproduce")) return {"--train.max-sequences=32", "--train.log-every=32"};
  if (begins(words, "bench") && !has(words, "--rounds")) return {"--rounds=1", "--sequences=16"};
  if (begins(words, "bench")) return {"--sequences=16"};
  return {};
}

/// Files that an example takes from elsewhere: another program's weights, a trace that a kill cut short.
void prepare(const Words& words, const fs::path& folder) {
  Setting setting;
  setting.folder = folder;
  if (has(words, "torch.safetensors") || has(words, "t.safetensors")) {
    const std::string out = has(words, "t.safetensors") ? "t.safetensors" : "torch.safetensors";
    const std::string run = "runs/for_" + out;
    ASSERT_EQ(mneme({"train", "copy_lstm_1x100", "--max-sequences=5", "--out", run}, setting).code, 0);
    ASSERT_EQ(mneme({"checkpoint", "export", run, "--out", out}, setting).code, 0);
    std::ofstream(folder / "names.txt") << "# every name stands for itself\n";
  }
  for (const std::string& w : words)
    if (w.ends_with(".trace.h5.part")) fs::copy_file(folder / w.substr(0, w.size() - 5), folder / w);
}

/// Types one line, without "mneme", in the folder.
void type(const std::string& line, const fs::path& folder) {
  SCOPED_TRACE("mneme " + line);
  Words words = words_of(line);
  std::string into;
  if (words.size() > 2 && words[words.size() - 2] == ">") {
    into = words.back();
    words.resize(words.size() - 2);
  }
  prepare(words, folder);
  for (std::string& w : words)
    if (w == "DIR") w = "stories_for_reproduce";
  const Words more = limits_for(words);
  words.insert(words.end(), more.begin(), more.end());
  Setting setting;
  setting.folder = folder;
  if (whole()) setting.patience = std::chrono::hours(2);
  const Result r = mneme(words, setting);
  EXPECT_EQ(r.code, 0) << r.out.substr(0, 2000) << r.err;
  if (!into.empty()) std::ofstream(folder / into) << r.out;
}

/// Every command's name, of the program itself.
Words command_names() {
  Words names;
  for (const std::string& first : lines_of(mneme({"completion", "words", ""}).out)) {
    const std::string word = first.substr(0, first.find('\t'));
    if (word.starts_with("-")) continue;
    const Words second = lines_of(mneme({"completion", "words", word, ""}).out);
    if (first.ends_with("a group of commands"))
      for (const std::string& s : second) names.push_back(word + " " + s.substr(0, s.find('\t')));
    else
      names.push_back(word);
  }
  // Behind what makes runs.
  names.push_back("list runs");
  return names;
}

void make_stories(const fs::path& folder) {
  Setting setting;
  setting.folder = folder;
  ASSERT_EQ(mneme({"stories", "stories_for_reproduce"}, setting).code, 0);
}

TEST(Examples, OfEveryHelpWorkInOrderInAnEmptyFolder) {
  const Scratch folder;
  make_stories(folder.path());
  const Words first = typed_in(mneme({"--help"}).out, "$ mneme ");
  ASSERT_GE(first.size(), 4u);
  for (const std::string& line : first) type(line, folder.path());
  for (const std::string& name : command_names()) {
    Words help = words_of(name);
    help.push_back("--help");
    Setting setting;
    setting.environment = {{"COLUMNS", "120"}};
    std::string page = mneme(help, setting).out;
    page = page.substr(0, page.find("\nusage"));
    const Words examples = typed_in(page, "$ mneme ");
    EXPECT_FALSE(examples.empty()) << name;
    for (const std::string& line : examples) type(line, folder.path());
  }
}

TEST(Examples, OfTheReadmeWork) {
  const Scratch folder;
  make_stories(folder.path());
  std::string page = read_file(fs::path(MNEME_SOURCE_DIR) / "README.md");
  page = page.substr(page.find("## Use"));
  const Words lines = typed_in(page, "mneme ");
  ASSERT_GE(lines.size(), 15u);
  for (const std::string& line : lines) type(line, folder.path());
}

TEST(Examples, OfTheCheckpointPageWork) {
  const Scratch folder;
  Setting setting;
  setting.folder = folder.path();
  ASSERT_EQ(mneme({"train", "copy_ntm", "--max-sequences=5", "--out", "runs/first"}, setting).code, 0);
  const std::string page = read_file(fs::path(MNEME_SOURCE_DIR) / "docs/checkpoint_format.md");
  const Words lines = typed_in(page, "mneme ");
  ASSERT_EQ(lines.size(), 5u);
  for (const std::string& line : lines) type(line, folder.path());

  const std::size_t begin = page.find("```python\n") + 10;
  std::ofstream(folder / "snippet.py") << page.substr(begin, page.find("\n```", begin) - begin)
                                       << "\nmetadata, arrays = read_safetensors('first.safetensors')\n"
                                          "print(metadata['sequences'], sum(a.size for a in arrays.values()))\n";
  if (std::system("/usr/bin/python3 -c 'import numpy' > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "no /usr/bin/python3 with numpy here";
  const std::string shell = "cd '" + folder.path().string() + "' && /usr/bin/python3 snippet.py > said 2>&1";
  EXPECT_EQ(std::system(shell.c_str()), 0) << read_file(folder / "said");
  const auto info = parse_json(mneme({"checkpoint", "info", "runs/first", "--json"}, setting).out);
  EXPECT_EQ(read_file(folder / "said"), "5 " + std::to_string(info.at("count").get<int>()) + "\n");
}

TEST(Examples, TheReadmeSaysTheExitCodesThatThereAre) {
  const std::string page = read_file(fs::path(MNEME_SOURCE_DIR) / "README.md");
  std::string help = mneme({"--help"}, {.environment = {{"COLUMNS", "120"}}}).out;
  help = help.substr(help.find("exit codes\n") + 11);
  std::size_t codes = 0;
  for (const std::string& line : lines_of(help)) {
    const Words words = words_of(line);
    if (words.empty() || !std::isdigit(words[0][0])) continue;
    ++codes;
    const std::string meaning = line.substr(line.find(words[1]));
    EXPECT_NE(page.find("| " + words[0] + " | " + meaning + " |\n"), std::string::npos) << line;
  }
  EXPECT_EQ(codes, 8u);
}

}  // namespace
}  // namespace mneme::tools_test
