// Room: tests. `mneme replay` in a pseudo terminal: keys, sizes, colours, and the terminal as it was afterwards.
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>

#include <csignal>

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
