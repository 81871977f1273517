// Room: tools. Paint: heat maps as lines of terminal text.
//
// Two rows of pixels a line (upper half blocks) where the terminal speaks UTF-8 and colour; one row a line of coloured
// blanks without UTF-8, of characters without colour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mneme::tools {

struct Style {
  enum class Color { none, indexed, full };  ///< full: 24 bits
  Color color = Color::none;
  bool utf8 = false;
  bool halves() const { return color != Color::none && utf8; }
};
/// What stdout's terminal can do (COLORTERM, TERM, NO_COLOR, --no-color, locale).
Style terminal_style();

struct Rgb {
  std::uint8_t r = 0, g = 0, b = 0;
};
/// 0..1 from dark to bright (viridis).
Rgb sequential(double x);
/// -1..1 from blue over white to red; both ends are as dark.
Rgb diverging(double x);

/// Values [rows][columns]; NaN is left blank.
struct Raster {
  enum class Scale { sequential, diverging };
  std::vector<std::vector<double>> values;
  Scale scale = Scale::sequential;
  double high = 1;                  ///< drawn brightest; diverging: -high..high
  std::ptrdiff_t marked = -1;       ///< this column stands out, lighter or darker: the cursor
  std::ptrdiff_t marked_count = 1;  ///< and so many with it
};
std::vector<std::string> paint(const Raster& raster, const Style& style);
/// How many lines paint() makes of so many rows.
std::size_t painted_lines(std::size_t rows, const Style& style);

/// Rows (or, with `columns`, columns) pooled so that at most `most` are left: of each group the value farthest from 0.
std::vector<std::vector<double>> pool_rows(const std::vector<std::vector<double>>& values, std::size_t most);
std::vector<std::vector<double>> pool_columns(const std::vector<std::vector<double>>& values, std::size_t most);

/// Each column so many times.
std::vector<std::vector<double>> stretch_columns(const std::vector<std::vector<double>>& values, std::size_t times);

/// Columns that a text takes: its characters, not its bytes.
std::size_t characters(std::string_view text);

/// Text in lines of at most so many characters; words are not cut.
std::vector<std::string> wrapped_lines(const std::string& text, std::size_t columns);

/// Text of at most `columns` characters, the end cut off and "..".
std::string shortened(const std::string& text, std::size_t columns);
/// Text cut to `columns` characters; escape sequences are not counted and not cut.
std::string cut(const std::string& text, std::size_t columns);

}  // namespace mneme::tools
