// Room: tools. Raw terminal mode, keys, redrawing.
#include "tools/viewer.hpp"

#include "core/error.hpp"
#include "tools/command.hpp"
#include "tools/scene.hpp"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>

namespace mneme::tools {

namespace {

volatile std::sig_atomic_t resized = 0;
extern "C" void on_resize(int) {
  resized = 1;
}

void write_all(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    at += static_cast<std::size_t>(n);
  }
}

/// No echo, no line buffering, the alternate screen; undone by the destructor.
class RawTerminal {
 public:
  RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) fail<RuntimeFailure>("replay", "the terminal cannot be asked");
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;  // stopped in raw mode, the shell would be unusable
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    write_all("\033[?1049h\033[?25l");
    struct sigaction action {};
    action.sa_handler = on_resize;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGWINCH, &action, &resize_before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal() {
    ::sigaction(SIGWINCH, &resize_before_, nullptr);
    write_all("\033[0m\033[?25h\033[?1049l");
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }

 private:
  termios before_{};
  struct sigaction resize_before_ {};
};

enum class Key {
  none,
  left,
  right,
  far_left,
  far_right,
  home,
  end,
  up,
  down,
  page_up,
  page_down,
  next,
  previous,
  site,
  memory,
  channels,
  help,
  quit
};

Key escape_key(const std::string& s) {
  if (s == "[C" || s == "OC") return Key::right;
  if (s == "[D" || s == "OD") return Key::left;
  if (s == "[1;2C") return Key::far_right;
  if (s == "[1;2D") return Key::far_left;
  if (s == "[H" || s == "OH" || s == "[1~" || s == "[7~") return Key::home;
  if (s == "[F" || s == "OF" || s == "[4~" || s == "[8~") return Key::end;
  if (s == "[B" || s == "OB") return Key::down;
  if (s == "[A" || s == "OA") return Key::up;
  if (s == "[6~") return Key::page_down;
  if (s == "[5~") return Key::page_up;
  return s.empty() ? Key::quit : Key::none;
}

Key letter_key(char c) {
  switch (c) {
    case 'h': return Key::left;
    case 'l': return Key::right;
    case 'H': return Key::far_left;
    case 'L': return Key::far_right;
    case 'g': return Key::home;
    case 'G': return Key::end;
    case 'n':
    case 'J': return Key::next;
    case 'p':
    case 'K': return Key::previous;
    case 'j': return Key::down;
    case 'k': return Key::up;
    case 's':
    case '\t': return Key::site;
    case 'm': return Key::memory;
    case 'c': return Key::channels;
    case '?': return Key::help;
    case 'q': return Key::quit;
    default: return Key::none;
  }
}

/// One byte; -1 when nothing comes within the time (milliseconds, -1 = for ever), -2 at a signal, -3 at the end.
int read_byte(int milliseconds) {
  pollfd p{STDIN_FILENO, POLLIN, 0};
  const int ready = ::poll(&p, 1, milliseconds);
  if (ready < 0) return errno == EINTR ? -2 : -3;
  if (ready == 0) return -1;
  unsigned char c = 0;
  const ssize_t n = ::read(STDIN_FILENO, &c, 1);
  if (n < 0) return errno == EINTR ? -2 : -3;
  return n == 0 ? -3 : c;
}

/// Key::none where a signal came instead, or a key that means nothing.
Key read_key() {
  const int c = read_byte(-1);
  if (c == -3) return Key::quit;
  if (c < 0) return Key::none;
  if (c != 27) return letter_key(static_cast<char>(c));
  std::string sequence;
  for (int next; sequence.size() < 8 && (next = read_byte(30)) >= 0;) {
    sequence += static_cast<char>(next);
    const bool started = sequence.size() > 1 || (next != '[' && next != 'O');
    if (started && next >= 0x40) break;
  }
  return escape_key(sequence);
}

class View {
 public:
  View(const trace::Reader& reader, std::size_t episode) : reader_(reader), scene_(reader), style_(terminal_style()) {
    open(episode);
  }

  /// False: quit.
  bool handle(Key key) {
    const std::size_t far = key == Key::page_up || key == Key::page_down ? 10 : 1;
    if (cursor_.help) {
      const bool up = key == Key::up || key == Key::page_up, down = key == Key::down || key == Key::page_down;
      const std::size_t top = scene_.help_shown();
      cursor_.help_top = up ? top - std::min(top, far) : down ? top + far : 0;  // drawn as far as there is something
      if (up || down) return true;
    }
    if (scene_.story()) {
      const std::size_t top = scene_.top_shown();
      if (key == Key::up || key == Key::page_up) cursor_.top = top - std::min(top, far);
      if (key == Key::down || key == Key::page_down) cursor_.top = top + far;  // drawn as far as there is something
    } else {
      if (key == Key::up || key == Key::page_up) key = Key::previous;
      if (key == Key::down || key == Key::page_down) key = Key::next;
    }
    const std::size_t last = scene_.steps() - 1;
    const auto back = [&](std::size_t n) { cursor_.step -= std::min(n, cursor_.step); };
    const auto on = [&](std::size_t n) { cursor_.step = std::min(cursor_.step + n, last); };
    switch (key) {
      case Key::left: back(1); break;
      case Key::right: on(1); break;
      case Key::far_left: back(10); break;
      case Key::far_right: on(10); break;
      case Key::home: cursor_.step = 0; break;
      case Key::end: cursor_.step = last; break;
      case Key::next:
        if (scene_.episode() + 1 < reader_.episodes()) open(scene_.episode() + 1);
        break;
      case Key::previous:
        if (scene_.episode() > 0) open(scene_.episode() - 1);
        break;
      case Key::site:
        if (scene_.sites()) cursor_.site = (cursor_.site + 1) % scene_.sites();
        break;
      case Key::memory: cursor_.memory = !cursor_.memory; break;
      case Key::channels: cursor_.channel = scene_.next_channel(); break;
      case Key::help: cursor_.help = !cursor_.help; break;
      case Key::quit: return false;
      case Key::up:
      case Key::down:
      case Key::page_up:
      case Key::page_down:
      case Key::none: break;
    }
    if (key != Key::help && key != Key::none) cursor_.help = false;
    return true;
  }

  void draw() {
    std::string text = "\033[H";
    const auto lines = scene_.interactive(cursor_, terminal_size(STDOUT_FILENO), style_);
    for (std::size_t i = 0; i < lines.size(); ++i) text += (i ? "\r\n" : "") + lines[i] + "\033[K";
    write_all(text + "\033[J");
  }

 private:
  void open(std::size_t episode) {
    scene_.load(episode);
    cursor_.step = std::min(cursor_.step, scene_.steps() - 1);
    if (!scene_.story()) return;
    cursor_.step = scene_.answering_step();
    const std::size_t strongest = scene_.strongest_sentence();
    cursor_.top = strongest > 3 ? strongest - 3 : 0;
  }

  const trace::Reader& reader_;
  Scene scene_;
  Style style_;
  Cursor cursor_;
};

}  // namespace

int view(const trace::Reader& reader, std::size_t episode) {
  View one(reader, episode);
  const RawTerminal raw;
  one.draw();
  while (true) {
    const Key key = read_key();
    if (const int number = caught_signal().load()) return signal_code(number);
    if (!one.handle(key)) return kOk;
    const bool changed = resized != 0;
    resized = 0;  // before drawing: the next change is drawn again
    if (key != Key::none || changed) one.draw();
  }
}

}  // namespace mneme::tools
