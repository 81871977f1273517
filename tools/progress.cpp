// Room: tools. The progress bar.
#include "tools/progress.hpp"

#include "tools/terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace mneme::tools {

namespace {

Progress* current = nullptr;

void write_stderr(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

Progress::Progress() : bar_(moves_cursor(STDERR_FILENO)), silent_(screen().quiet), begin_(Clock::now()), last_(begin_) {
  current = this;
}

Progress::~Progress() {
  clear();
  current = nullptr;
}

void Progress::clear() {
  if (current && current->bar_ && current->shown_) write_stderr("\r\033[K");
}

void Progress::redraw() {
  if (current && current->bar_ && current->shown_) current->draw();
}

void Progress::show(std::uint64_t done, std::uint64_t all, double seconds, Left left, const std::string& detail,
                    bool last) {
  if (silent_) return;
  const Clock::time_point now = Clock::now();
  const bool due = std::chrono::duration<double>(now - last_).count() >= interval();
  if (!last && !due && (!bar_ || shown_)) return;
  last_ = now;
  shown_ = true;
  share_ = all ? std::min(1.0, static_cast<double>(done) / static_cast<double>(all)) : 0;
  const std::string time =
      left.seconds > 0 ? fmt::format(", {}{} left", left.at_most ? "at most " : "", clock_text(left.seconds)) : "";
  text_ = fmt::format("{}/{} [{}{}] {}", done, all, clock_text(seconds), time, detail);
  if (bar_)
    draw();
  else
    write_stderr(fmt::format("{:3.0f}% {}\n", 100 * share_, text_));
}

void Progress::show(std::uint64_t done, std::uint64_t all, const std::string& detail) {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double left = done ? seconds * static_cast<double>(all - std::min(all, done)) / static_cast<double>(done) : 0;
  show(done, all, seconds, {left, false}, detail);
}

void Progress::draw() const {
  const int columns = terminal_size(STDERR_FILENO).columns - 1;
  std::string line = fmt::format("{:3.0f}% ", 100 * share_);
  const int room = columns - static_cast<int>(line.size() + text_.size()) - 1;
  const bool fits = room >= 8;
  const std::string bar = fits ? bar_text(share_, std::min(room, 30), speaks_utf8()) + " " : "";
  line += bar + text_;
  if (!fits && static_cast<int>(line.size()) > columns) line.resize(static_cast<std::size_t>(std::max(columns, 0)));
  write_stderr("\r" + line + "\033[K");
}

std::string bar_text(double share, int columns, bool utf8) {
  const double clamped = std::clamp(std::isfinite(share) ? share : 0.0, 0.0, 1.0);
  const auto filled = static_cast<int>(std::floor(clamped * columns + 1e-9));
  std::string bar;
  for (int i = 0; i < columns; ++i) bar += utf8 ? (i < filled ? "\u2501" : "\u2500") : (i < filled ? "#" : "-");
  return bar;
}

std::string clock_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "?";
  const auto s = static_cast<std::int64_t>(seconds + 0.5);
  const std::int64_t days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60;
  if (days) return fmt::format("{}d {}:{:02}:{:02}", days, hours, minutes, s % 60);
  if (hours) return fmt::format("{}:{:02}:{:02}", hours, minutes, s % 60);
  return fmt::format("{}:{:02}", minutes, s % 60);
}

}  // namespace mneme::tools
