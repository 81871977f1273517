// Room: pictures. Pictures: what is drawn, as plain data; painters (terminal, gnuplot, pages) are in tools/.
//
// Curves: how runs learnt, panels beneath each other, in each a few series of several runs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mneme::pictures {

/// x and y of one run's points, x rising.
using Line = std::vector<std::pair<double, double>>;

/// Of several runs at one x.
struct Middle {
  double x = 0;
  double median = 0, low = 0, high = 0;  ///< and the quartiles
};

/// The runs of one series and what they come to together.
struct Series {
  std::string name;
  std::vector<Line> runs;
  std::vector<Middle> middle;
};

struct Panel {
  std::string title, y;  ///< the task; "bits per sequence"
  std::vector<Series> series;
};

struct Curves {
  std::vector<std::string> title;
  std::string x = "sequences";
  std::vector<Panel> panels;
};

/// Median and quartiles at every x that a run has a point at. A run that has ended keeps its last value; none counts
/// before its first.
std::vector<Middle> middle_of(const std::vector<Line>& runs);

}  // namespace mneme::pictures
