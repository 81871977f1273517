// Room: tools. Text and scales for gnuplot.
#include "tools/gnuplot.hpp"

#include "core/quote.hpp"
#include "tools/paint.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace mneme::tools {

std::string gnuplot_text(std::string_view text) {
  // What neither ends a string nor begins an escape, a substitution, a macro, a block or a comment.
  constexpr std::string_view harmless = " .,:;?!()[]<>|/+-=*%_&~^";
  std::string out = "\"";
  for (const char c : printable(text)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) || byte >= 0x80 || harmless.find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("\\{:03o}", byte);
  }
  return out + "\"";
}

std::string gnuplot_tic(std::string_view text) {
  std::string format;
  for (const char c : text) format += c == '%' ? "%%" : std::string(1, c);
  return gnuplot_text(format);
}

std::string gnuplot_file(const std::string& name) {
  std::string out = "\"./";
  for (const char c : name)
    out += std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_'
               ? std::string(1, c)
               : fmt::format("\\{:03o}", static_cast<unsigned char>(c));
  return out + "\"";
}

double font_points(double width) {
  return width < 5 ? 7 : 8;
}

double character_width(double width) {
  return 0.54 * font_points(width) / 72;
}

std::vector<std::string> title_lines(const std::vector<std::string>& title, double width) {
  std::vector<std::string> lines;
  for (const std::string& text : title)
    for (std::string& line : wrapped_lines(text, static_cast<std::size_t>(0.94 * width / character_width(width))))
      lines.push_back(std::move(line));
  return lines;
}

Scale scale_of(double least, double most, bool whole) {
  const double farthest = std::max({whole ? 1.0 : 0.0, std::abs(least), std::abs(most)});
  const double power = std::pow(10.0, std::floor(std::log10(std::max(farthest, 1e-12))));
  const double high = std::ceil(farthest / power * 10 - 1e-9) / 10 * power;
  return {least < 0 ? -high : 0, high};
}

std::string palette_text(const std::string& name, const Scale& scale) {
  if (scale.diverging())
    return "defined (0 '#053061', 1 '#2f79b5', 2 '#9dcbe1', 3 '#ffffff', 4 '#f7b799', 5 '#ca4741', 6 '#67001f')";
  return name == "viridis"
             ? "defined (0 '#440154', 1 '#472c7a', 2 '#3b518b', 3 '#2c718e', 4 '#21908d', 5 '#27ad81', 6 '#5cc863', 7 "
               "'#aadc32', 8 '#fde725')"
             : "defined (0 '#ffffff', 1 '#000000')";
}

std::string script_start(const std::string& name, const std::string& what, double width, double height,
                         const std::vector<std::string>& title) {
  const double font = font_points(width), line = font / 72;
  std::string s = fmt::format(
      "# gnuplot draws the .svg, .pdf and .png of this name from the .dat beside it, with this file as its argument.\n"
      "# {}\n"
      "do for [kind in \"svg pdf png\"] {{\n"
      "if (kind eq \"svg\") {{ set terminal svg size {:.0f},{:.0f} font 'DejaVu Sans,{}' background '#ffffff' }}\n"
      "if (kind eq \"pdf\") {{ set terminal pdfcairo size {:.3f}in,{:.3f}in font 'DejaVu Sans,{}' fontscale 0.75 }}\n"
      "if (kind eq \"png\") {{ set terminal pngcairo size {:.0f},{:.0f} font 'DejaVu Sans,{}' fontscale {:.3f} "
      "linewidth 2.5 background '#ffffff' }}\n"
      "set termoption noenhanced\nset encoding utf8\n"
      "set output {}.kind\n",
      what, width * 72, height * 72, font, width, height, font, width * 250, height * 250, font, 250.0 / 96.0,
      gnuplot_file(name + "."));
  for (std::size_t i = 0; i < title.size(); ++i)
    s += fmt::format("set label {} {} at screen {:.5f}, screen {:.5f} left\n", i + 100, gnuplot_text(title[i]),
                     0.8 * line / width, 1 - line * (1.1 + 1.45 * static_cast<double>(i)) / height);
  return s;
}

}  // namespace mneme::tools
