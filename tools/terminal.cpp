// Room: tools. Streams, colour, sizes and signals.
#include "tools/terminal.hpp"

#include "core/error.hpp"
#include "core/quote.hpp"
#include "core/stopped.hpp"
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

extern "C" void on_signal(int number) {
  if (number == SIGINT && caught_signal().load(std::memory_order_relaxed) == SIGINT) ::_exit(130);
  caught_signal().store(number, std::memory_order_relaxed);
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

void catch_signals() {
  caught_signal();  // made before a handler can ask for it
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

void stop_if_signalled() {
  const int number = caught_signal().load(std::memory_order_relaxed);
  if (number) throw Stopped(number == SIGTERM ? "terminated" : "interrupted");
}

void ignore_broken_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace mneme::tools
