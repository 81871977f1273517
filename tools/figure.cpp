// Room: tools. From an episode to panels, and from panels to text that gnuplot reads.
#include "tools/figure.hpp"

#include "core/error.hpp"
#include "replay/verify.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme::tools {

namespace {

constexpr double blank = std::numeric_limits<double>::quiet_NaN();

/// [steps rows] -> [rows][steps]
std::vector<std::vector<double>> turned(const std::vector<float>& values, std::size_t rows, std::size_t steps) {
  std::vector<std::vector<double>> out(rows, std::vector<double>(steps));
  for (std::size_t t = 0; t < steps; ++t)
    for (std::size_t r = 0; r < rows; ++r) out[r][t] = static_cast<double>(values[t * rows + r]);
  return out;
}

Panel input_panel(const trace::Layout& layout, const trace::Episode& e) {
  Panel p;
  p.label = "Inputs";
  p.y_name = "Channel";
  p.values = turned(e.input, layout.channels_in, e.steps);
  return p;
}

/// Outputs where they count; elsewhere nobody asked for any.
Panel output_panel(const trace::Layout& layout, const trace::Episode& e) {
  Panel p;
  p.label = "Outputs";
  p.y_name = "Channel";
  p.right = true;
  p.values = turned(e.output, layout.channels_out, e.steps);
  for (std::size_t t = 0; t < e.steps; ++t)
    for (std::size_t r = 0; r < layout.channels_out; ++r) {
      if (!e.mask[t]) {
        p.values[r][t] = blank;
      } else if (layout.target_kind == "bits") {
        const bool one = e.target[t * layout.channels_out + r] > 0;
        if (one != (e.output[t * layout.channels_out + r] >= 0.5f))
          p.crosses.emplace_back(static_cast<double>(t), static_cast<double>(r));
      }
    }
  return p;
}

std::string head_label(const char* what, const Site& site, bool several) {
  const std::size_t digit = site.name.rfind('_');
  return several && digit != std::string::npos ? fmt::format("{} {}", what, site.name.substr(digit + 1)) : what;
}

std::vector<std::vector<double>> rows_over_time(const std::vector<replay::Row>& steps) {
  const std::size_t rows = steps.empty() ? 0 : steps[0].size();
  std::vector<std::vector<double>> out(rows, std::vector<double>(steps.size()));
  for (std::size_t t = 0; t < steps.size(); ++t)
    for (std::size_t r = 0; r < rows; ++r) out[r][t] = steps[t][r];
  return out;
}

/// What a write head adds, or what a read head returned; empty where the trace does not tell.
Panel value_panel(const trace::Layout& layout, const trace::Episode& e, std::size_t site, bool several) {
  const trace::SiteLayout& s = layout.sites[site];
  Panel p;
  p.right = s.site.kind != "write";
  p.site = s.site.name;
  p.label = head_label(p.right ? "Reads" : "Adds", s.site, several);
  p.y_name = "Cell";
  p.palette = "viridis";
  if (p.right) {
    p.values = rows_over_time(replay::read_values(layout, e, site));
    return p;
  }
  const int add = trace::Layout::find(s.values, "add");
  if (add < 0 || !layout.logs(s.values[static_cast<std::size_t>(add)])) return p;
  const auto a = static_cast<std::size_t>(add);
  p.values = turned(e.sites[site].values[a], s.values[a].declared.count(), e.steps);
  return p;
}

Panel weights_panel(const trace::Layout& layout, const trace::Episode& e, std::size_t site, bool several,
                    const replay::SlotRange& slots) {
  const trace::SiteLayout& s = layout.sites[site];
  Panel p;
  p.right = s.site.kind != "write";
  p.site = s.site.name;
  p.label = head_label(p.right ? "Read Weightings" : "Write Weightings", s.site, several);
  p.y_name = "Location";
  p.numbers = slots;
  const auto all = turned(e.sites[site].weights, layout.width(s), e.steps);
  for (std::size_t i = 0; i < slots.count; ++i)
    p.values.push_back(slots.slot(i) < all.size() ? all[slots.slot(i)] : std::vector<double>(e.steps, blank));
  return p;
}

/// Panels of one row share a scale, symmetric around zero for values that have signs.
void scale_row(std::vector<Panel>& panels, std::size_t row) {
  double most = 0;
  for (const Panel& p : panels)
    if (p.row == row)
      for (const auto& line : p.values)
        for (double v : line)
          if (std::isfinite(v)) most = std::max(most, std::abs(v));
  const double power = std::pow(10.0, std::floor(std::log10(std::max(most, 1e-12))));
  const double high = std::ceil(most / power * 10 - 1e-9) / 10 * power;
  for (Panel& p : panels)
    if (p.row == row && p.palette == "viridis") {
      p.low = -high;
      p.high = high;
    }
}

/// The roundest distance of tics that leaves at most `most` of them.
std::size_t tic_step(std::size_t rows, std::size_t most) {
  for (std::size_t power = 1;; power *= 10)
    for (const std::size_t digit : {1, 2, 5})
      if (rows / (digit * power) <= most) return digit * power;
}

std::string tics(const Panel& p, std::size_t most) {
  const std::size_t step = tic_step(p.values.size(), most);
  std::string text;
  for (std::size_t r = 0; r < p.values.size(); ++r)
    if (p.numbers.slot(r) % step == 0)
      text += fmt::format("{}\"{}\" {}", text.empty() ? "" : ", ", p.numbers.slot(r), r);
  return text;
}

const char* const viridis =
    "defined (0 '#440154', 1 '#472c7a', 2 '#3b518b', 3 '#2c718e', 4 '#21908d', 5 '#27ad81', 6 '#5cc863', 7 '#aadc32', "
    "8 '#fde725')";

}  // namespace

std::string palette_text(const std::string& name) {
  return name == "viridis" ? viridis : "defined (0 '#ffffff', 1 '#000000')";
}

Figure make_figure(const trace::Layout& layout, const trace::Episode& e, const FigureOptions& options) {
  Figure f;
  std::vector<std::size_t> writes, reads;
  std::size_t slots = 0;
  for (std::size_t s = 0; s < layout.sites.size(); ++s) {
    (layout.sites[s].site.kind == "write" ? writes : reads).push_back(s);
    slots = std::max(slots, layout.width(layout.sites[s]));
  }
  replay::SlotRange range = replay::used_slots(layout, e);
  if (options.slots) {
    const auto [first, last] = *options.slots;
    if (slots == 0) fail<ArgumentError>("--slots", "the trace has no heads, and so no slots");
    if (first >= slots || last >= slots)
      fail<ArgumentError>("--slots", "{}:{} is out of range: the memory has slots 0:{}", first, last, slots - 1);
    range = {first, (last + slots - first) % slots + 1, slots};
  }

  const auto add = [&](Panel p, std::size_t row) {
    if (p.values.empty() || p.values[0].empty()) return;
    p.row = row;
    if (p.numbers.total == 1) p.numbers = {0, p.values.size(), p.values.size()};
    if (p.palette.empty()) p.palette = options.weights_palette;
    f.panels.push_back(std::move(p));
  };
  std::size_t row = 0;
  if (layout.channels_in) add(input_panel(layout, e), row);
  if (layout.channels_out) add(output_panel(layout, e), row);
  row += !f.panels.empty();
  const std::size_t heads = std::max(writes.size(), reads.size());
  for (const bool weights : {false, true})
    for (std::size_t h = 0; h < heads; ++h) {
      const std::size_t before = f.panels.size();
      for (const auto* side : {&writes, &reads}) {
        if (h >= side->size()) continue;
        const bool several = side->size() > 1;
        add(weights ? weights_panel(layout, e, (*side)[h], several, range)
                    : value_panel(layout, e, (*side)[h], several),
            row);
      }
      scale_row(f.panels, row);
      row += f.panels.size() > before;
    }
  if (f.panels.empty()) throw FileError("[render] the trace holds neither heads nor dense inputs and outputs to draw");
  f.rows = row;
  f.steps = e.steps;
  for (std::size_t t = 1; t < e.steps; ++t)
    if (e.phase[t] != e.phase[t - 1]) f.lines.push_back(static_cast<double>(t) - 0.5);

  // Cells about as high as they are wide, within what can be read and what fits on a page.
  f.width = options.width;
  const double cell = f.width / 2.6 / static_cast<double>(e.steps);
  f.row_heights_.assign(f.rows, 0.0);
  for (const Panel& p : f.panels) {
    const double wish = cell * static_cast<double>(p.values.size());
    double& height = f.row_heights_[p.row];
    height = std::max(height, std::clamp(wish, std::max(f.width * 0.075, 0.4), std::max(f.width * 0.24, 0.8)));
  }
  double sum = 0;
  for (double h : f.row_heights_) sum += h;
  const double squeeze = std::min(1.0, 1.25 * f.width / sum);  // many heads still fit on a page
  for (double& h : f.row_heights_) h = std::max(h * squeeze, 0.4);
  const double font = f.width < 5 ? 7 : 8;
  f.height = font / 72 * (1.9 * static_cast<double>(f.rows) + 3.2);
  for (double h : f.row_heights_) f.height += h;
  return f;
}

std::string Figure::dat() const {
  std::string text;
  for (const Panel& p : panels) {
    text += fmt::format("# {}{}: rows {} .. {}, a column a step\n", p.label, p.site.empty() ? "" : " (" + p.site + ")",
                        p.numbers.first, p.numbers.last());
    for (const auto& row : p.values) {
      for (std::size_t t = 0; t < row.size(); ++t)
        text += (t ? " " : "") + (std::isfinite(row[t]) ? fmt::format("{:.6g}", row[t]) : "NaN");
      text += "\n";
    }
    text += "\n\n";
  }
  for (const Panel& p : panels) {
    if (p.crosses.empty()) continue;
    text += fmt::format("# {}: step and channel of wrong bits\n", p.label);
    for (const auto& [step, channel] : p.crosses) text += fmt::format("{} {}\n", step, channel);
    text += "\n\n";
  }
  return text;
}

std::string Figure::csv() const {
  std::string text = "panel,site,step,row,value\n";
  for (const Panel& p : panels)
    for (std::size_t r = 0; r < p.values.size(); ++r)
      for (std::size_t t = 0; t < p.values[r].size(); ++t)
        if (std::isfinite(p.values[r][t]))
          text += fmt::format("{},{},{},{},{:.9g}\n", p.label, p.site, t, p.numbers.slot(r), p.values[r][t]);
  return text;
}

std::string script_start(const std::string& name, const std::string& what, double width, double height, double font) {
  return fmt::format(
      "# Draws {0}.svg, {0}.pdf and {0}.png from {0}.dat:  gnuplot {0}.gp\n"
      "# {9}\n"
      "do for [kind in \"svg pdf png\"] {{\n"
      "if (kind eq \"svg\") {{ set terminal svg size {1:.0f},{2:.0f} font 'DejaVu Sans,{3}' background '#ffffff' }}\n"
      "if (kind eq \"pdf\") {{ set terminal pdfcairo size {4:.3f}in,{5:.3f}in font 'DejaVu Sans,{3}' fontscale 0.75 "
      "}}\n"
      "if (kind eq \"png\") {{ set terminal pngcairo size {6:.0f},{7:.0f} font 'DejaVu Sans,{3}' fontscale {8:.3f} "
      "linewidth 2.5 background '#ffffff' }}\n",
      name, width * 72, height * 72, font, width, height, width * 250, height * 250, 250.0 / 96.0, what);
}

std::string Figure::script(const std::string& name) const {
  const double font = width < 5 ? 7 : 8, line = font / 72;
  // Inches from the left and the bottom; gnuplot wants shares of the page.
  const double left = 4.6 * line, gap = 4.4 * line, bar = 0.9 * line, right = 5.2 * line;
  const double panel = (width - left - gap - right) / 2;
  const auto x = [&](double inches) { return inches / width; };
  const auto y = [&](double inches) { return inches / height; };

  std::string s =
      script_start(name, "White to black is 0 to 1; adds and reads have the scale beside them.", width, height, font);
  s += fmt::format("set output '{}.'.kind\n", name);
  s += "set multiplot\n"
       "unset key\nset border lw 0.5\nset tics scale 0.3 nomirror out\nset autoscale noextend\n"
       "set datafile missing 'NaN'\n";

  std::size_t crosses = panels.size();  // their blocks follow the panels'
  s += fmt::format("set xtics {} offset 0,0.4\n", tic_step(steps, static_cast<std::size_t>(panel / (4.5 * line))));
  double top = height - 1.5 * line;
  for (std::size_t row = 0; row < rows; ++row) {
    const double bottom = top - row_heights_[row];
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const Panel& p = panels[i];
      if (p.row != row) continue;
      const double begin = p.right ? left + panel + gap : left;
      const auto below = [&](const Panel& other) { return other.right == p.right && other.row > row; };
      const bool last = std::none_of(panels.begin(), panels.end(), below);
      const bool alone = !p.right && (i + 1 == panels.size() || panels[i + 1].row != row);
      s += fmt::format("\n# {}\n", p.label);
      s += fmt::format("set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\n", x(begin), x(begin + panel));
      s += fmt::format("set bmargin at screen {:.5f}\nset tmargin at screen {:.5f}\n", y(bottom), y(top));
      s += fmt::format("set label 1 '{}' at graph 0, graph 1 offset 0,0.55 left\n", p.label);
      s += fmt::format("set palette {}\nset cbrange [{:.6g}:{:.6g}]\n", palette_text(p.palette), p.low, p.high);
      // One scale for both panels of a row, on the right.
      const bool scale = (p.right || alone) && p.palette == "viridis";
      const double at = begin + panel + 0.6 * line;
      s += scale ? fmt::format(
                       "set colorbox user origin screen {:.5f}, screen {:.5f} size screen {:.5f}, screen {:.5f} "
                       "noborder\nset cbtics ({:.6g}, 0, {:.6g}) scale 0.2 offset -0.6,0\n",
                       x(at), y(bottom), x(bar), y(top - bottom), p.low, p.high)
                 : "unset colorbox\n";
      s += fmt::format("set xrange [-0.5:{}]\nset yrange [-0.5:{}]\n", static_cast<double>(steps) - 0.5,
                       static_cast<double>(p.values.size()) - 0.5);
      s += last ? "set format x '%g'\nset xlabel 'Time (steps)' offset 0,0.8\n" : "set format x ''\nunset xlabel\n";
      s += fmt::format("set ytics ({}) offset 0.6,0\n",
                       tics(p, static_cast<std::size_t>(std::clamp((top - bottom) / (2 * line), 1.0, 6.0))));
      if (p.right)
        s += "unset ylabel\n";
      else
        s += fmt::format("set ylabel '{}' offset 0.6,0\n", p.y_name);
      s += "unset arrow\n";
      for (double at_step : lines)
        s += fmt::format("set arrow from {0},graph 0 to {0},graph 1 nohead lw 0.7 dt 3 lc rgb '#b03020' front\n",
                         at_step);
      s += fmt::format("plot '{}.dat' index {} matrix with image", name, i);
      if (!p.crosses.empty())
        s += fmt::format(", '{}.dat' index {} with points pt 2 ps 0.6 lw 1.5 lc rgb '#d00000'", name, crosses++);
      s += "\n";
    }
    top = bottom - 1.9 * line;
  }
  return s + fmt::format(
                 "unset multiplot\nset output\n"
                 "# Viewers smooth small pictures in SVG files unless they are told not to.\n"
                 "if (kind eq \"svg\") {{ system(\"sed -i 's/<image /<image image-rendering=\\\"optimizeSpeed\\\" "
                 "style=\\\"image-rendering:pixelated\\\" /' "
                 "{}.svg\") }}\n"
                 "}}\n",
                 name);
}

}  // namespace mneme::tools
