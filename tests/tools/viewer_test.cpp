// Room: tests. `mneme replay` in a pseudo terminal: keys, sizes, colours, and the terminal as it was afterwards.
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <regex>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace mneme::tools_test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// What the last full screen says.
std::string last_screen(const std::string& out) {
  const std::size_t at = out.rfind("\033[H");
  const std::size_t end = out.find("\033[J", at);
  return at == std::string::npos ? "" : out.substr(at, end - at);
}

std::vector<std::string> replay() {
  return {"replay", tiny_run().string(), "--episode", "2"};
}

TEST(Viewer, StepsAndRestoresTheTerminal) {
  Terminal terminal;
  terminal.environment = {{"NO_COLOR", "1"}};
  const Result r = mneme_in_terminal(replay(), {"\033[C", "l", "\033[C", "h", "s", "q"}, terminal);
  EXPECT_EQ(r.code, 0);
  EXPECT_TRUE(contains(r.out, "step 0 of "));
  EXPECT_TRUE(contains(r.out, "step 3 of "));
  EXPECT_TRUE(contains(last_screen(r.out), "step 2 of ")) << last_screen(r.out);
  EXPECT_TRUE(contains(r.out, "episode 2 of 6"));
  for (const char* word : {"write_0", "read_0", "entropy", "beta", "gate", "shift", "gamma", "|erase|", "|add|"})
    EXPECT_TRUE(contains(r.out, word)) << word;
  EXPECT_TRUE(terminal.restored);
  EXPECT_TRUE(contains(r.out, "\033[?25h\033[?1049l")) << "cursor shown, first screen back";
}

TEST(Viewer, HomeEndEpisodesHeadsMemoryAndHelp) {
  Terminal terminal;
  terminal.environment = {{"NO_COLOR", "1"}};
  const Result end = mneme_in_terminal(replay(), {"G", "q"}, terminal);
  EXPECT_FALSE(contains(last_screen(end.out), "step 0 of "));
  const Result home = mneme_in_terminal(replay(), {"\033[F", "\033[H", "q"}, terminal);
  EXPECT_TRUE(contains(last_screen(home.out), "step 0 of "));
  const Result next = mneme_in_terminal(replay(), {"n", "n", "p", "q"}, terminal);
  EXPECT_TRUE(contains(last_screen(next.out), "episode 3 of 6")) << last_screen(next.out);
  const Result first = mneme_in_terminal(replay(), {"K", "K", "K", "K", "q"}, terminal);
  EXPECT_TRUE(contains(last_screen(first.out), "episode 0 of 6"));
  const Result head = mneme_in_terminal(replay(), {"s", "q"}, terminal);
  EXPECT_TRUE(contains(last_screen(head.out), "> write_0")) << last_screen(head.out);
  const Result memory = mneme_in_terminal(replay(), {"L", "m", "q"}, terminal);
  EXPECT_TRUE(contains(last_screen(memory.out), "memory after step")) << last_screen(memory.out);
  const Result help = mneme_in_terminal(replay(), {"?", "q"}, terminal);
  EXPECT_TRUE(contains(last_screen(help.out), "Shift+Left/Right, H L")) << last_screen(help.out);
}

TEST(Viewer, ColoursAsTheTerminalHasThem) {
  Terminal terminal;
  EXPECT_TRUE(contains(mneme_in_terminal(replay(), {"q"}, terminal).out, "48;5;"));
  terminal.environment = {{"COLORTERM", "truecolor"}, {"LC_ALL", "C.UTF-8"}};
  const Result full = mneme_in_terminal(replay(), {"q"}, terminal);
  EXPECT_TRUE(contains(full.out, "48;2;"));
  EXPECT_TRUE(contains(full.out, "\u2580")) << "two rows a line";
  terminal.environment = {{"NO_COLOR", "1"}};
  EXPECT_FALSE(contains(mneme_in_terminal(replay(), {"q"}, terminal).out, "48;"));
}

TEST(Viewer, FitsSmallScreens) {
  Terminal terminal;
  terminal.environment = {{"NO_COLOR", "1"}};
  terminal.rows = 12;
  terminal.columns = 30;
  const Result r = mneme_in_terminal(replay(), {"l", "m", "q"}, terminal);
  EXPECT_EQ(r.code, 0);
  const std::string screen = last_screen(r.out);
  std::size_t lines = 1;
  for (std::size_t at = 0; (at = screen.find("\r\n", at)) != std::string::npos; at += 2) ++lines;
  EXPECT_LE(lines, 12u);
}

/// The lines of a screen.
std::vector<std::string> lines_of(const std::string& screen) {
  std::istringstream text(std::regex_replace(screen, std::regex("\x1b\\[[0-9;]*[A-Za-z]|\r"), "") + "\n");
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// Keys were cut at the right border, and a window of less than 8 lines was scrolled away.
TEST(Viewer, EveryWindowHasWholeKeysAndFits) {
  for (const auto& [columns, rows] : {std::pair{20, 6}, {20, 24}, {30, 8}, {40, 10}, {60, 12}, {80, 24}, {200, 60}}) {
    Terminal terminal;
    terminal.environment = {{"NO_COLOR", "1"}};
    terminal.rows = rows;
    terminal.columns = columns;
    for (const char* key : {"l", "m", "?", "s"}) {
      const Result r = mneme_in_terminal(replay(), {key, "q"}, terminal);
      EXPECT_EQ(r.code, 0);
      const auto lines = lines_of(last_screen(r.out));
      EXPECT_EQ(lines.size(), static_cast<std::size_t>(rows)) << key << " in " << columns << "x" << rows;
      for (const std::string& line : lines) EXPECT_LE(line.size(), static_cast<std::size_t>(columns)) << line;
      EXPECT_TRUE(lines.back().ends_with("q: quit")) << lines.back();
      for (std::size_t at = 0; at < lines.back().size();) {
        const std::size_t end = std::min(lines.back().find("  ", at), lines.back().size());
        EXPECT_TRUE(contains(lines.back().substr(at, end - at), ": ")) << "a key without its meaning: " << lines.back();
        at = end + 2;
      }
    }
  }
}

// The page of keys was cut where the window ended.
TEST(Viewer, HelpScrolls) {
  Terminal terminal;
  terminal.environment = {{"NO_COLOR", "1"}};
  terminal.rows = 6;
  terminal.columns = 24;
  std::vector<std::string> keys = {"?"};
  for (int i = 0; i < 60; ++i) keys.push_back(i % 2 ? "j" : "\033[B");
  keys.push_back("q");
  const Result r = mneme_in_terminal(replay(), keys, terminal);
  EXPECT_EQ(r.code, 0);
  for (const char* word : {"Left Right, h l", "first, last step", "next head", "Without colour", "farthest"})
    EXPECT_TRUE(contains(r.out, word)) << word;
  EXPECT_FALSE(contains(last_screen(r.out), "Left Right")) << "scrolled away";
  keys.insert(keys.end() - 1, {"\033[5~", "\033[5~", "\033[5~", "\033[5~", "\033[5~", "\033[5~", "\033[5~"});
  EXPECT_TRUE(contains(last_screen(mneme_in_terminal(replay(), keys, terminal).out), "Left Right")) << "and back";
  keys.insert(keys.end() - 1, "?");
  EXPECT_TRUE(contains(last_screen(mneme_in_terminal(replay(), keys, terminal).out), "step 0 of")) << "the maps";
}

// Channels were pooled each for itself, so that target and output could not be told apart.
TEST(Viewer, TargetAndOutputShowTheSameChannels) {
  const Scratch folder;
  const std::string run = (folder / "run").string();
  std::vector<std::string> words = tiny(run);
  std::replace(words.begin(), words.end(), std::string("--task.width=4"), std::string("--task.width=8"));
  ASSERT_EQ(mneme(words).code, 0);
  Terminal terminal;
  terminal.environment = {{"NO_COLOR", "1"}};
  std::size_t windows = 0;
  for (const int rows : {8, 10, 12, 16, 20, 24, 30, 60}) {
    terminal.rows = rows;
    for (const std::vector<std::string>& keys : {std::vector<std::string>{"q"}, {"c", "q"}, {"c", "c", "q"}}) {
      const Result r = mneme_in_terminal({"replay", run, "--episode", "1"}, keys, terminal);
      std::map<std::string, std::vector<std::string>> gutters;
      std::string block;
      for (const std::string& line : lines_of(last_screen(r.out))) {
        const std::string gutter = line.substr(0, 9);
        for (const char* name : {"input", "target", "output", "wrong", "phase", "read_0", "write_0"})
          if (gutter.starts_with(name)) block = name;
        gutters[block].push_back(gutter.substr(std::min(gutter.size(), block.size())));
      }
      ASSERT_EQ(gutters["target"].size(), gutters["output"].size()) << last_screen(r.out);
      EXPECT_TRUE(gutters["target"].empty() || gutters["target"] == gutters["output"]) << last_screen(r.out);
      if (gutters["target"].size() < 8) {
        ++windows;
        EXPECT_TRUE(contains(last_screen(r.out), "wrong ")) << "an error stays visible\n" << last_screen(r.out);
      } else {
        EXPECT_EQ(gutters["target"].size(), 8u);
      }
    }
  }
  EXPECT_GT(windows, 3u) << "some windows are too small for all channels";
}

TEST(Viewer, ResizingDrawsAgain) {
  Terminal terminal;
  terminal.environment = {{"NO_COLOR", "1"}};
  terminal.end = [](int process) {
    const int tty = ::open(("/proc/" + std::to_string(process) + "/fd/0").c_str(), O_RDWR | O_NOCTTY);
    winsize size{};
    size.ws_row = 7;
    size.ws_col = 25;
    ASSERT_EQ(::ioctl(tty, TIOCSWINSZ, &size), 0);
    ::close(tty);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ::kill(process, SIGINT);
  };
  const Result r = mneme_in_terminal(replay(), {"l"}, terminal);
  EXPECT_EQ(r.code, 130);
  EXPECT_EQ(lines_of(last_screen(r.out)).size(), 7u) << last_screen(r.out);
}

TEST(Viewer, WhiteIsZeroInTheMemory) {
  Terminal terminal;
  terminal.environment = {{"COLORTERM", "truecolor"}, {"LC_ALL", "C.UTF-8"}};
  const Result r = mneme_in_terminal(replay(), {"m", "q"}, terminal);
  EXPECT_TRUE(std::regex_search(last_screen(r.out), std::regex(";2;2[3-5][0-9];2[3-5][0-9];2[3-5][0-9][;m]")))
      << "slots that next to nothing was written to";
}

TEST(Viewer, ADumbTerminalGetsOnePicture) {
  Terminal terminal;
  terminal.environment = {{"TERM", "dumb"}};
  const Result r = mneme_in_terminal(replay(), {}, terminal);
  EXPECT_EQ(r.code, 0);
  EXPECT_TRUE(contains(r.out, "phase"));
  EXPECT_FALSE(contains(r.out, "\033")) << r.out;
}

TEST(Viewer, ASignalRestoresTheTerminal) {
  for (const int number : {SIGINT, SIGTERM}) {
    Terminal terminal;
    terminal.end = [number](int process) { ::kill(process, number); };
    const Result r = mneme_in_terminal(replay(), {"l"}, terminal);
    EXPECT_EQ(r.code, number == SIGINT ? 130 : 75);
    EXPECT_TRUE(terminal.restored);
    EXPECT_TRUE(contains(r.out, "\033[?25h\033[?1049l"));
  }
}

TEST(Viewer, APipeGetsOnePicture) {
  const Result r = mneme({"replay", tiny_run().string(), "--episode", "2"});
  EXPECT_EQ(r.code, 0);
  for (const char* word : {"input", "target", "output", "phase", "read_0", "write_0"})
    EXPECT_TRUE(contains(r.out, word)) << word;
  EXPECT_FALSE(contains(r.out, "\033"));
}

TEST(ProgressBar, OnATerminalAndPlainElsewhere) {
  const Scratch folder;
  Terminal terminal;
  const Result r = mneme_in_terminal(tiny(folder / "run", {"--max-sequences=300"}), {}, terminal);
  EXPECT_EQ(r.code, 0) << r.out;
  EXPECT_TRUE(contains(r.out, "/300 [")) << r.out;
  EXPECT_TRUE(contains(r.out, "\r")) << "drawn over itself";
  EXPECT_TRUE(contains(r.out, "wrong bits"));
  const Result quiet = mneme(tiny(folder / "quiet", {"-q"}));
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.err, "");
}

}  // namespace
}  // namespace mneme::tools_test
