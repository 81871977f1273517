// Room: tools. Progress: a bar on a terminal, a plain line every ten seconds elsewhere, always on stderr.
//
//   12% ###-----------------  12300/100000 [1:02, at most 6:40 left] loss 23.1, wrong bits 12.3 (mean of 100), 198/s
//
// At most one is shown at a time; say() clears it, writes and draws it again. Nothing is shown under --quiet.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace mneme::tools {

class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  ///< clears the bar

  struct Left {
    double seconds = 0;    ///< 0 = unknown
    bool at_most = false;  ///< it may be over before
  };
  /// `detail` follows the clock. `last` shows it whatever the time.
  void show(std::uint64_t done, std::uint64_t all, double seconds, Left left, const std::string& detail,
            bool last = false);
  /// With a clock of its own, for work whose speed is even.
  void show(std::uint64_t done, std::uint64_t all, const std::string& detail);
  /// How often it is worth calling show().
  double interval() const { return bar_ ? 0.1 : 10; }

  static void clear();
  static void redraw();

 private:
  void draw() const;

  using Clock = std::chrono::steady_clock;
  bool bar_ = false, silent_ = false;
  Clock::time_point begin_, last_;
  bool shown_ = false;
  double share_ = 0;
  std::string text_;
};

/// "0:07", "12:34", "1:02:03", "3d 4:05:06"
std::string clock_text(double seconds);

/// The bar alone: `columns` characters wide, `share` of it filled.
std::string bar_text(double share, int columns, bool utf8);

}  // namespace mneme::tools
