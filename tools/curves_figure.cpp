// Room: tools. Curves by gnuplot: a thin line each run, the median thick, the quartiles a band.
#include "tools/curves_figure.hpp"

#include "core/quote.hpp"
#include "tools/gnuplot.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

namespace mneme::tools {

namespace {

using pictures::Curves;
using pictures::Panel;
using pictures::Series;

constexpr double kWidth = 6.5, kPanel = 2.6, kLine = 0.17;  // inches

/// Told apart by people who see few colours (Okabe & Ito 2008), then in other dashes.
const char* colour_of(std::size_t i) {
  static const char* const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
  return colours[i % std::size(colours)];
}

struct Range {
  double least = 0, most = 0;
  bool logarithmic = false;
};

Range range_of(const Panel& panel) {
  Range r;
  double least_positive = 0;
  for (const Series& s : panel.series)
    for (const auto& run : s.runs)
      for (const auto& [x, y] : run) {
        r.most = std::max(r.most, y);
        r.least = std::min(r.least, y);
        if (y > 0 && (least_positive == 0 || y < least_positive)) least_positive = y;
      }
  r.logarithmic = r.least >= 0 && least_positive > 0 && r.most / least_positive > 100;
  if (r.logarithmic) r.least = std::max(least_positive, r.most / 1000);
  return r;
}

double shown(double y, const Range& r) {
  return r.logarithmic ? std::max(y, r.least) : y;
}

}  // namespace

std::string curves_csv(const Curves& curves) {
  std::string text = "panel,series,run,x,y,low,high\n";
  for (const Panel& p : curves.panels)
    for (const Series& s : p.series) {
      const std::string start = csv_cell(p.title) + "," + csv_cell(s.name);
      for (std::size_t i = 0; i < s.runs.size(); ++i)
        for (const auto& [x, y] : s.runs[i]) text += fmt::format("{},{},{:.10g},{:.9g},,\n", start, i + 1, x, y);
      for (const auto& m : s.middle)
        text += fmt::format("{},0,{:.10g},{:.9g},{:.9g},{:.9g}\n", start, m.x, m.median, m.low, m.high);
    }
  return text;
}

std::string curves_script(const Curves& curves, const std::string& name) {
  const std::vector<std::string> title = title_lines(curves.title, kWidth);
  const double head = 0.25 + kLine * static_cast<double>(title.size());
  std::vector<double> heights;
  double height = head;
  for (const Panel& p : curves.panels) {
    heights.push_back(kPanel + kLine * static_cast<double>(p.series.size()));
    height += heights.back();
  }
  std::string data;
  for (std::size_t p = 0; p < curves.panels.size(); ++p) {
    const Range r = range_of(curves.panels[p]);
    for (std::size_t s = 0; s < curves.panels[p].series.size(); ++s) {
      const Series& series = curves.panels[p].series[s];
      data += fmt::format("$runs_{}_{} << EOD\n", p, s);
      for (const auto& run : series.runs) {
        for (const auto& [x, y] : run) data += fmt::format("{:.10g} {:.6g}\n", x, shown(y, r));
        data += "\n";
      }
      data += fmt::format("EOD\n$middle_{}_{} << EOD\n", p, s);
      for (const auto& m : series.middle)
        data +=
            fmt::format("{:.10g} {:.6g} {:.6g} {:.6g}\n", m.x, shown(m.median, r), shown(m.low, r), shown(m.high, r));
      data += "EOD\n";
    }
  }
  std::string s = data + script_start(name, "learning curves", kWidth, height, title);
  s += "set multiplot\n";
  double top = height - head;
  for (std::size_t p = 0; p < curves.panels.size(); ++p) {
    const Panel& panel = curves.panels[p];
    const Range r = range_of(panel);
    const double keys = kLine * static_cast<double>(panel.series.size());
    s += fmt::format("set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\n", 0.75 / kWidth, 1 - 0.2 / kWidth);
    s += fmt::format("set tmargin at screen {:.5f}\nset bmargin at screen {:.5f}\n", (top - keys - 0.3) / height,
                     (top - heights[p] + 0.5) / height);
    s += fmt::format("set title {} offset 0,{:.2f}\nset xlabel {}\nset ylabel {}\n", gnuplot_text(panel.title),
                     keys / kLine * 1.05 - 1, gnuplot_text(curves.x), gnuplot_text(panel.y));
    s +=
        fmt::format("set key at graph 0, graph 1 left bottom reverse Left samplen 2 maxrows {}\n", panel.series.size());
    s += "set border 3\nset tics nomirror out\nset grid ytics lt 1 lc rgb '#dddddd'\nset format x '%.0f'\n";
    s += r.logarithmic ? "set logscale y\nset format y '%g'\n" : "unset logscale y\nset format y '%g'\n";
    s += r.logarithmic  ? fmt::format("set yrange [{:.6g}:*]\n", r.least)
         : r.least >= 0 ? "set yrange [0:*]\n"
                        : "set yrange [*:*]\n";
    s += "plot ";
    for (std::size_t i = 0; i < panel.series.size(); ++i) {
      const Series& series = panel.series[i];
      const int dash = static_cast<int>(i / 7) + 1;
      const char* colour = colour_of(i);
      if (i) s += ", ";
      if (series.runs.size() > 1)
        s += fmt::format(
            "$middle_{0}_{1} using 1:3:4 with filledcurves fs transparent solid 0.18 noborder lc rgb '{2}' "
            "notitle, $runs_{0}_{1} using 1:2 with lines lw 0.4 dt {3} lc rgb '{2}' notitle, ",
            p, i, colour, dash);
      s += fmt::format("$middle_{}_{} using 1:2 with lines lw 2 dt {} lc rgb '{}' title {}", p, i, dash, colour,
                       gnuplot_text(series.name));
    }
    s += "\nunset title\nunset for [i=100:120] label i\n";
    top -= heights[p];
  }
  return s + "unset multiplot\nset output\n}\n";
}

}  // namespace mneme::tools
