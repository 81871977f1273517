// Room: tools. Colours and heat maps of the terminal.
#include "tools/paint.hpp"

#include "tools/terminal.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace mneme::tools {

namespace {

Rgb mix(const Rgb& a, const Rgb& b, double x) {
  const auto part = [&](std::uint8_t u, std::uint8_t v) {
    return static_cast<std::uint8_t>(std::lround(u + (static_cast<double>(v) - u) * x));
  };
  return {part(a.r, b.r), part(a.g, b.g), part(a.b, b.b)};
}

template <std::size_t N>
Rgb along(const std::array<Rgb, N>& stops, double x) {
  const double at = std::clamp(x, 0.0, 1.0) * (N - 1);
  const auto i = std::min(static_cast<std::size_t>(at), N - 2);
  return mix(stops[i], stops[i + 1], at - static_cast<double>(i));
}

/// The nearest colour of the 6 x 6 x 6 cube of 256-colour terminals.
int cube_index(const Rgb& c) {
  const auto level = [](std::uint8_t v) { return v < 48 ? 0 : v < 115 ? 1 : (v - 35) / 40; };
  return 16 + 36 * level(c.r) + 6 * level(c.g) + level(c.b);
}

/// SGR parameters of a colour: "38;2;r;g;b" or "38;5;n"; base 38 = foreground, 48 = background.
std::string code(const Rgb& c, int base, Style::Color color) {
  if (color == Style::Color::full) return fmt::format("{};2;{};{};{}", base, c.r, c.g, c.b);
  return fmt::format("{};5;{}", base, cube_index(c));
}

double share(const Raster& r, double v) {
  return r.high > 0 ? std::clamp(v / r.high, -1.0, 1.0) : 0;
}

Rgb color_of(const Raster& r, std::size_t row, std::size_t column) {
  const double x = share(r, r.values[row][column]);
  const Rgb c = r.scale == Raster::Scale::diverging ? diverging(x) : sequential(std::max(0.0, x));
  const std::ptrdiff_t past = static_cast<std::ptrdiff_t>(column) - r.marked;
  if (r.marked < 0 || past < 0 || past >= r.marked_count) return c;
  const bool light = 2 * c.r + 5 * c.g + c.b > 8 * 150;
  return mix(c, light ? Rgb{0, 0, 0} : Rgb{255, 255, 255}, 0.35);
}

char symbol_of(const Raster& r, double v) {
  if (std::isnan(v)) return ' ';
  static const std::string ramp = ".:-=+*#%@";
  const double x = share(r, v);
  if (r.scale == Raster::Scale::diverging && x < -0.05) return static_cast<char>('a' + std::lround(-x * 4));
  const auto i = static_cast<std::size_t>(std::lround(std::abs(x) * static_cast<double>(ramp.size() - 1)));
  return ramp[i];
}

std::string half_line(const Raster& r, std::size_t top, const Style& style) {
  const auto& upper = r.values[top];
  std::string line, last;
  for (std::size_t c = 0; c < upper.size(); ++c) {
    const bool has_lower = top + 1 < r.values.size() && !std::isnan(r.values[top + 1][c]);
    const bool has_upper = !std::isnan(upper[c]);
    std::string look = "0", glyph = " ";
    if (has_upper) {
      look += ";" + code(color_of(r, top, c), 38, style.color);
      glyph = "\u2580";
      if (has_lower) look += ";" + code(color_of(r, top + 1, c), 48, style.color);
    } else if (has_lower) {
      look += ";" + code(color_of(r, top + 1, c), 38, style.color);
      glyph = "\u2584";
    }
    if (look != last) line += "\033[" + look + "m";
    last = look;
    line += glyph;
  }
  return line + "\033[0m";
}

std::string full_line(const Raster& r, std::size_t row, const Style& style) {
  std::string line, last;
  for (std::size_t c = 0; c < r.values[row].size(); ++c) {
    const double v = r.values[row][c];
    if (style.color == Style::Color::none) {
      line += symbol_of(r, v);
      continue;
    }
    const std::string look = std::isnan(v) ? "0" : "0;" + code(color_of(r, row, c), 48, style.color);
    if (look != last) line += "\033[" + look + "m";
    last = look;
    line += ' ';
  }
  return style.color == Style::Color::none ? line : line + "\033[0m";
}

double farther(double a, double b) {
  return std::isnan(a) || std::abs(b) > std::abs(a) ? b : a;
}

}  // namespace

Style terminal_style() {
  Style style;
  style.utf8 = speaks_utf8();
  if (!color_on(STDOUT_FILENO)) return style;
  const char* deep = std::getenv("COLORTERM");
  const std::string value = deep ? deep : "";
  style.color = value == "truecolor" || value == "24bit" ? Style::Color::full : Style::Color::indexed;
  return style;
}

Rgb sequential(double x) {
  static constexpr std::array<Rgb, 9> viridis = {{{68, 1, 84},
                                                  {71, 44, 122},
                                                  {59, 81, 139},
                                                  {44, 113, 142},
                                                  {33, 144, 141},
                                                  {39, 173, 129},
                                                  {92, 200, 99},
                                                  {170, 220, 50},
                                                  {253, 231, 37}}};
  return along(viridis, x);
}

Rgb diverging(double x) {
  static constexpr std::array<Rgb, 7> stops = {
      {{5, 48, 97}, {47, 121, 181}, {157, 203, 225}, {255, 255, 255}, {247, 183, 153}, {202, 71, 65}, {103, 0, 31}}};
  return along(stops, (x + 1) / 2);
}

std::size_t painted_lines(std::size_t rows, const Style& style) {
  return style.halves() ? (rows + 1) / 2 : rows;
}

std::vector<std::string> paint(const Raster& raster, const Style& style) {
  std::vector<std::string> lines;
  if (style.halves())
    for (std::size_t row = 0; row < raster.values.size(); row += 2) lines.push_back(half_line(raster, row, style));
  else
    for (std::size_t row = 0; row < raster.values.size(); ++row) lines.push_back(full_line(raster, row, style));
  return lines;
}

std::vector<std::vector<double>> pool_rows(const std::vector<std::vector<double>>& values, std::size_t most) {
  if (values.size() <= most || most == 0) return values;
  const std::size_t group = (values.size() + most - 1) / most;
  std::vector<std::vector<double>> out;
  for (std::size_t r = 0; r < values.size(); ++r) {
    if (r % group == 0)
      out.push_back(values[r]);
    else
      for (std::size_t c = 0; c < values[r].size(); ++c) out.back()[c] = farther(out.back()[c], values[r][c]);
  }
  return out;
}

std::vector<std::vector<double>> pool_columns(const std::vector<std::vector<double>>& values, std::size_t most) {
  std::vector<std::vector<double>> out;
  for (const auto& row : values) {
    std::vector<double> line;
    const std::size_t group = most ? (row.size() + most - 1) / most : 1;
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (c % group == 0)
        line.push_back(row[c]);
      else
        line.back() = farther(line.back(), row[c]);
    }
    out.push_back(std::move(line));
  }
  return out;
}

std::vector<std::vector<double>> stretch_columns(const std::vector<std::vector<double>>& values, std::size_t times) {
  std::vector<std::vector<double>> out;
  for (const auto& row : values) {
    std::vector<double> line;
    for (double v : row) line.insert(line.end(), times, v);
    out.push_back(std::move(line));
  }
  return out;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::vector<std::string> wrapped_lines(const std::string& text, std::size_t columns) {
  std::vector<std::string> lines(1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!lines.back().empty() && characters(lines.back()) + 1 + characters(word) > columns) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
    at = end + 1;
  }
  return lines;
}

std::string shortened(const std::string& text, std::size_t columns) {
  if (characters(text) <= columns) return text;
  return columns > 2 ? cut(text, columns - 2) + ".." : cut(text, columns);
}

std::string cut(const std::string& text, std::size_t columns) {
  std::string out;
  std::size_t shown = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '\033') {
      const std::size_t end = text.find('m', i);
      const std::size_t next = end == std::string::npos ? text.size() : end + 1;
      out += text.substr(i, next - i);
      i = next;
      continue;
    }
    std::size_t next = i + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
    if (shown < columns) out += text.substr(i, next - i);
    ++shown;
    i = next;
  }
  return out;
}

}  // namespace mneme::tools
