// Room: tools. Where the program writes: stdout for data, stderr for messages; colour only where it is wanted.
//
// A reader that goes away (a broken pipe) is no error: what is left is dropped and the exit code stays the command's.
// A full disk is one: stdout_failed() then says so at the end.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <string>
#include <string_view>

namespace mneme::tools {

/// Data, to stdout; to a terminal with control characters shown escaped: names of files and words are foreign text.
/// `styled`: it holds our own styles, which stay; foreign text in it went through printable().
void put(std::string_view text, bool styled = false);
template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  put(fmt::format(format, std::forward<Args>(args)...));
}
/// A message, to stderr, as a line of its own, control characters escaped; clears a progress bar that is in the way.
void say(std::string_view text, bool styled = false);
/// As say(), but not under --quiet: hints, warnings, milestones.
void note(std::string_view text);
/// Flushes stdout. A reason where something that was put could not be written; "" otherwise.
std::string stdout_failed();

struct Screen {
  bool quiet = false;
  bool no_color = false;  ///< --no-color
};
Screen& screen();

/// NO_COLOR, --no-color, TERM=dumb and anything but a terminal mean no.
bool color_on(int descriptor);
/// Text in bold or dim (SGR code "1", "2") where stdout takes colour.
std::string styled(std::string_view text, const char* code);
bool is_terminal(int descriptor);
/// A terminal on which the cursor can be moved: not TERM=dumb, nor without TERM.
bool moves_cursor(int descriptor);
/// UTF-8 by LC_ALL, LC_CTYPE or LANG.
bool speaks_utf8();

struct Size {
  int columns = 80;
  int rows = 24;
};
/// Of the terminal behind the descriptor; COLUMNS and LINES, else 80 x 24, where there is none.
Size terminal_size(int descriptor);

/// After catch_signals() SIGINT, SIGTERM and SIGHUP (a closed terminal; unless it is ignored, as under nohup) set this
/// to their number, the first of them, and stderr hears of it at once; a SIGINT after that ends the program at once
/// with exit code 1, and says what that loses. `saves`: there is work that a stop saves.
std::atomic<int>& caught_signal();
void catch_signals(bool saves);
/// Exit code of what a caught signal ended: 130 for SIGINT, 75 for any other.
int signal_code(int number);
/// Throws where a signal was caught; the program then ends with its exit code.
void stop_if_signalled();
void ignore_broken_pipes();

}  // namespace mneme::tools
