// Room: tools. The NTM paper's figure of an episode (Graves et al. 2014, figure 6) as data and as a gnuplot script.
//
//   Inputs           | Outputs            write side on the left, read side on the right, time on the x axis;
//   Adds             | Reads              with several heads a row more for each of them
//   Write Weightings | Read Weightings
//
// Invariants: the script draws from the data file beside it and nothing else, and may be edited and run by hand.
#pragma once

#include "replay/view.hpp"
#include "trace/schema.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mneme::tools {

struct FigureOptions {
  /// First and last slot shown, around the end where first > last; not given: those that are used.
  std::optional<std::pair<std::size_t, std::size_t>> slots;
  double width = 7;                      ///< inches
  std::string weights_palette = "grey";  ///< of inputs, outputs and weightings; adds and reads are viridis
};

/// One heat map: rows are channels, cells or slots, columns are steps; NaN stays blank.
struct Panel {
  std::string label;   ///< "Write Weightings"
  std::string site;    ///< "write_0", or ""
  std::string y_name;  ///< "Location"
  std::size_t row = 0;
  bool right = false;
  std::vector<std::vector<double>> values;  ///< [rows][steps]
  replay::SlotRange numbers;                ///< of the rows, from the lowest on
  double low = 0, high = 1;
  std::string palette;
  std::vector<std::pair<double, double>> crosses;  ///< wrong bits: step, channel
};

struct Figure {
  std::vector<Panel> panels;
  std::size_t rows = 0;
  std::size_t steps = 0;
  std::vector<double> lines;     ///< between steps, where the phase changes
  double width = 7, height = 0;  ///< inches

  /// Blocks of numbers for gnuplot, one a panel.
  std::string dat() const;
  /// Tidy: panel,site,step,row,value
  std::string csv() const;
  /// Draws NAME.svg, NAME.pdf and NAME.png from NAME.dat.
  std::string script(const std::string& name) const;

 private:
  friend Figure make_figure(const trace::Layout&, const trace::Episode&, const FigureOptions&);
  std::vector<double> row_heights_;  ///< inches
};

/// gnuplot's words for grey (white is 0) or viridis.
std::string palette_text(const std::string& name);

/// The start of a gnuplot script that draws NAME.svg, NAME.pdf and NAME.png in one loop, which the caller closes with
/// "}": `what` is a comment, width and height are in inches, `font` is its size in points.
std::string script_start(const std::string& name, const std::string& what, double width, double height, double font);

/// ArgumentError where the slots are out of range; FileError where there is nothing to draw. A trace without heads (a
/// plain controller) has inputs and outputs.
Figure make_figure(const trace::Layout& layout, const trace::Episode& episode, const FigureOptions& options);

}  // namespace mneme::tools
