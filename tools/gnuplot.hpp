// Room: tools. What the scripts of all figures are made of: text, file names, palettes, the loop over formats, scales.
//
// Invariants: foreign text (words of a story, names of heads and files) goes into a script through gnuplot_text,
// gnuplot_tic or gnuplot_file and in no other way; a script starts no shell and no other program.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mneme::tools {

/// A string of gnuplot: in double quotes, whatever has a meaning there in octal. Control characters are shown escaped.
std::string gnuplot_text(std::string_view text);
/// As gnuplot_text(), for the label of a tic, which gnuplot takes for a format.
std::string gnuplot_tic(std::string_view text);
/// A file in the folder of the script: ./NAME, since names that begin with < or | are commands to gnuplot.
std::string gnuplot_file(const std::string& name);

/// Points of the text of a figure so wide (inches), and inches that a character takes on average, DejaVu Sans.
double font_points(double width);
double character_width(double width);
/// Lines of a title, as many as fit the width.
std::vector<std::string> title_lines(const std::vector<std::string>& title, double width);

/// What white, black and colours stand for. Values with signs have a scale around zero, which is white.
struct Scale {
  double low = 0, high = 1;
  bool diverging() const { return low < 0; }
};
/// Of numbers from `least` to `most`: 0 to a round number, or that around zero where there are negative ones.
/// `whole` keeps at least 0 to 1.
Scale scale_of(double least, double most, bool whole);

/// gnuplot's words for blue over white to red, for grey (white is 0) or viridis.
std::string palette_text(const std::string& name, const Scale& scale);

/// The start of a script that draws NAME.svg, NAME.pdf and NAME.png in one loop, which the caller closes with "}":
/// `what` is a comment of ours, width and height are in inches; the title stands above.
std::string script_start(const std::string& name, const std::string& what, double width, double height,
                         const std::vector<std::string>& title);

}  // namespace mneme::tools
