// Room: tools. Streams, colour, sizes and signals.
#include "tools/terminal.hpp"

#include "core/error.hpp"
#include "core/quote.hpp"
#include "core/stopped.hpp"
#include "tools/command.hpp"
#include "tools/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace mneme::tools {

namespace {

int stdout_error = 0;

bool environment_has(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

struct StopTexts {
  std::string_view first, second;
};
constexpr StopTexts kSaving = {
    "mneme: stopping: the update under way is finished and a checkpoint saved (Ctrl-C now would stop without saving)\n",
    "mneme: stopped at once: what was trained since the last checkpoint is lost\n"};
constexpr StopTexts kPlain = {"mneme: stopping; Ctrl-C again stops at once\n", "mneme: stopped at once\n"};
const StopTexts* stop_texts = &kPlain;
std::atomic<bool> bar_in_the_way = false;  // stderr is a terminal, where a progress bar may stand

/// All that a handler may do: write(2).
void write_from_handler(std::string_view text) {
  const auto write_all = [](std::string_view rest) {
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, rest.data(), rest.size());
  };
  if (bar_in_the_way.load(std::memory_order_relaxed)) write_all("\r\033[K");
  write_all(text);
}

extern "C" void on_signal(int number) {
  const int error = errno;
  int before = 0;
  const bool first = caught_signal().compare_exchange_strong(before, number);
  if (first) write_from_handler(stop_texts->first);
  if (!first && number == SIGINT) {
    write_from_handler(stop_texts->second);
    ::_exit(1);  // 130 would say that all is saved
  }
  errno = error;
}

}  // namespace

void put(std::string_view raw, bool styled) {
  if (stdout_error || raw.empty()) return;
  static const bool shown = is_terminal(STDOUT_FILENO);
  const std::string escaped = shown ? printable_lines(raw, styled) : "";
  const std::string_view text = shown ? escaped : raw;
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) stdout_error = errno ? errno : EIO;
}

std::string stdout_failed() {
  errno = 0;
  if (!stdout_error && std::fflush(stdout) != 0) stdout_error = errno ? errno : EIO;
  return stdout_error == 0 || stdout_error == EPIPE ? "" : std::strerror(stdout_error);
}

void say(std::string_view text, bool styled) {
  Progress::clear();
  std::fflush(stdout);
  const std::string line = printable_lines(text, styled) + '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
  Progress::redraw();
}

void note(std::string_view text) {
  if (!screen().quiet) say(text);
}

Screen& screen() {
  static Screen one;
  return one;
}

bool is_terminal(int descriptor) {
  return ::isatty(descriptor) != 0;
}

bool moves_cursor(int descriptor) {
  return environment_has("TERM") && std::string_view(std::getenv("TERM")) != "dumb" && is_terminal(descriptor);
}

bool color_on(int descriptor) {
  return !screen().no_color && !environment_has("NO_COLOR") && moves_cursor(descriptor);
}

std::string styled(std::string_view text, const char* code) {
  return color_on(STDOUT_FILENO) ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

bool speaks_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (!environment_has(name)) continue;
    const std::string value = std::getenv(name);
    return value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

Size terminal_size(int descriptor) {
  Size size;
  const auto from_environment = [](const char* name, int otherwise) {
    const char* value = std::getenv(name);
    const int n = value ? std::atoi(value) : 0;
    return n > 0 && n < 10000 ? n : otherwise;
  };
  size.columns = from_environment("COLUMNS", size.columns);
  size.rows = from_environment("LINES", size.rows);
  winsize window{};
  if (::ioctl(descriptor, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0)
    size = {window.ws_col, window.ws_row};
  return size;
}

std::atomic<int>& caught_signal() {
  static std::atomic<int> number{0};
  return number;
}

void catch_signals(bool saves) {
  caught_signal();  // made before a handler can ask for it
  stop_texts = saves ? &kSaving : &kPlain;
  bar_in_the_way = is_terminal(STDERR_FILENO);
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
}

int signal_code(int number) {
  return number == SIGINT ? kInterrupted : kStopped;
}

void stop_if_signalled() {
  const int number = caught_signal().load(std::memory_order_relaxed);
  if (number) throw Stopped(number == SIGINT ? "interrupted" : "terminated");
}

void ignore_broken_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace mneme::tools
