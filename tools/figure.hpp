// Room: tools. The NTM paper's figure of an episode (Graves et al. 2014, figure 6) as data and as a gnuplot script.
//
//   Inputs           | Outputs            write side on the left, read side on the right, time on the x axis;
//   Adds             | Reads              with several heads a row more for each of them
//   Write Weightings | Read Weightings
//   Controller State | ...                where the trace holds it (level full)
//
// Invariants: the script draws from the data file beside it and nothing else, and may be edited and run by hand.
#pragma once

#include "replay/view.hpp"
#include "tools/gnuplot.hpp"
#include "trace/schema.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mneme::tools {

struct FigureOptions {
  /// First and last slot shown, around the end where first > last; not given: those that are used.
  std::optional<std::pair<std::size_t, std::size_t>> slots;
  double width = 7;                     ///< inches
  std::string palette = "grey";         ///< of values without signs; those with signs are blue, white at 0, red
  std::vector<std::string> title = {};  ///< stands above: what this is and where it is from
};

/// One heat map: rows are channels, cells or slots, columns are steps; NaN stays blank.
struct Panel {
  std::string label;   ///< "Write Weightings"
  std::string site;    ///< "write_0", or ""
  std::string y_name;  ///< "Location"
  std::size_t row = 0;
  bool right = false;
  std::vector<std::vector<double>> values;         ///< [rows][steps]
  replay::SlotRange numbers;                       ///< of the rows, from the lowest on
  Scale scale;                                     ///< one for all panels of its kind, whichever head's
  std::vector<std::pair<double, double>> crosses;  ///< wrong bits: step, channel
};

struct Figure {
  std::vector<Panel> panels;
  std::size_t rows = 0;
  std::size_t steps = 0;
  std::vector<double> lines;       ///< between steps, where the phase changes
  std::vector<std::string> title;  ///< lines
  std::string palette;             ///< grey or viridis, of scales without signs
  double width = 7, height = 0;    ///< inches

  /// Blocks of numbers for gnuplot, one a panel.
  std::string dat() const;
  /// Tidy: panel,site,step,row,value
  std::string csv() const;
  /// Draws NAME.svg, NAME.pdf and NAME.png from NAME.dat.
  std::string script(const std::string& name) const;

 private:
  /// Inches between the parts of the page.
  struct Page {
    double line = 0, left = 0, gap = 0, bar = 0, panel = 0;
    double label = 0;  ///< from a panel to the middle of the name of its y axis
  };
  Page page() const;
  bool first_of_row(std::size_t i) const { return i == 0 || panels[i - 1].row != panels[i].row; }
  bool last_of_row(std::size_t i) const { return i + 1 == panels.size() || panels[i + 1].row != panels[i].row; }
  std::string panel_script(std::size_t i, const Page& page, double bottom, double top) const;

  friend Figure make_figure(const trace::Layout&, const trace::Episode&, const FigureOptions&);
  std::vector<double> row_heights_;  ///< inches
};

/// What the trace holds of the controller's state: places in Layout::controller.
std::vector<std::size_t> logged_state(const trace::Layout& layout);
/// [steps rows] -> [rows][steps]
std::vector<std::vector<double>> turned(const std::vector<float>& values, std::size_t rows, std::size_t steps);
/// A scale for finite numbers of any sign.
Scale scale_over(const std::vector<std::vector<double>>& values);

/// Whether the weights of all sites are weightings, 0 to 1; during a linear start, say, they are scores of any sign.
bool promises_weightings(const trace::Layout& layout);

/// ArgumentError where the slots are out of range; FileError where there is nothing to draw. A trace without heads (a
/// plain controller) has inputs and outputs.
Figure make_figure(const trace::Layout& layout, const trace::Episode& episode, const FigureOptions& options);

}  // namespace mneme::tools
