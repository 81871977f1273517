// Room: tools. From an episode to panels, and from panels to text that gnuplot reads.
#include "tools/figure.hpp"

#include "core/error.hpp"
#include "core/quote.hpp"
#include "replay/verify.hpp"
#include "tools/paint.hpp"
#include "trace/specs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme::tools {

namespace {

constexpr double blank = std::numeric_limits<double>::quiet_NaN();

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
  const bool items = s.site.slot_axis == "item";
  Panel p;
  p.right = s.site.kind != "write";
  p.site = s.site.name;
  p.label = s.site.kind == "pointer" ? "Pointer Weightings"
                                     : head_label(p.right ? "Read Weightings" : "Write Weightings", s.site, several);
  p.y_name = items ? "Item" : "Location";
  p.numbers = slots;
  const auto all = turned(e.sites[site].weights, layout.width(s), e.steps);
  for (std::size_t i = 0; i < slots.count; ++i)
    p.values.push_back(slots.slot(i) < all.size() ? all[slots.slot(i)] : std::vector<double>(e.steps, blank));
  return p;
}

/// Panels begin .. end share a scale, which holds 0 to 1 where `whole`.
void share_scale(std::vector<Panel>& panels, std::size_t begin, bool whole) {
  double least = 0, most = 0;
  for (std::size_t i = begin; i < panels.size(); ++i)
    for (const auto& line : panels[i].values)
      for (const double v : line)
        if (std::isfinite(v)) {
          least = std::min(least, v);
          most = std::max(most, v);
        }
  for (std::size_t i = begin; i < panels.size(); ++i) panels[i].scale = scale_of(least, most, whole);
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

/// Characters of the longest number beside a panel's rows.
std::size_t digits(const Panel& p) {
  std::size_t most = 0;
  for (std::size_t r = 0; r < p.values.size(); ++r) most = std::max(most, p.numbers.slot(r));
  return std::to_string(most).size();
}

}  // namespace

std::vector<std::size_t> logged_state(const trace::Layout& layout) {
  std::vector<std::size_t> places;
  for (std::size_t v = 0; v < layout.controller.size(); ++v)
    if (layout.logs(layout.controller[v])) places.push_back(v);
  return places;
}

std::vector<std::vector<double>> turned(const std::vector<float>& values, std::size_t rows, std::size_t steps) {
  std::vector<std::vector<double>> out(rows, std::vector<double>(steps));
  for (std::size_t t = 0; t < steps; ++t)
    for (std::size_t r = 0; r < rows; ++r) out[r][t] = static_cast<double>(values[t * rows + r]);
  return out;
}

Scale scale_over(const std::vector<std::vector<double>>& values) {
  double least = 0, most = 0;
  for (const auto& line : values)
    for (const double v : line)
      if (std::isfinite(v)) {
        least = std::min(least, v);
        most = std::max(most, v);
      }
  return scale_of(least, most, false);
}

bool promises_weightings(const trace::Layout& layout) {
  return std::all_of(layout.sites.begin(), layout.sites.end(),
                     [](const trace::SiteLayout& s) { return s.weights_kind != Kind::plain; });
}

Figure make_figure(const trace::Layout& layout, const trace::Episode& e, const FigureOptions& options) {
  Figure f;
  std::vector<std::size_t> writes, reads;
  std::size_t slots = 0;
  const auto along = [](const trace::SiteLayout& s) { return s.site.slot_axis == "slot"; };
  for (std::size_t s = 0; s < layout.sites.size(); ++s) {
    (layout.sites[s].site.kind == "write" ? writes : reads).push_back(s);
  }
  const bool any = std::any_of(layout.sites.begin(), layout.sites.end(), along);
  const std::string axis = any || layout.sites.empty() ? "slot" : layout.sites[0].site.slot_axis;
  for (const trace::SiteLayout& s : layout.sites)
    if (s.site.slot_axis == axis) slots = std::max(slots, layout.width(s));
  replay::SlotRange range = replay::used_slots(layout, e, axis);
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
    f.panels.push_back(std::move(p));
  };
  std::size_t row = 0;
  if (layout.channels_in) add(input_panel(layout, e), row);
  if (layout.channels_out) add(output_panel(layout, e), row);
  row += !f.panels.empty();
  share_scale(f.panels, 0, true);
  const std::size_t heads = std::max(writes.size(), reads.size());
  for (const bool weights : {false, true}) {
    const std::size_t begin = f.panels.size();
    for (std::size_t h = 0; h < heads; ++h) {
      const std::size_t before = f.panels.size();
      for (const auto* side : {&writes, &reads}) {
        if (h >= side->size()) continue;
        const bool several = side->size() > 1;
        const std::size_t site = (*side)[h], n = layout.width(layout.sites[site]);
        const bool ranged = layout.sites[site].site.slot_axis == axis;  // the others are shown whole
        add(weights ? weights_panel(layout, e, site, several, ranged ? range : replay::SlotRange{0, n, n})
                    : value_panel(layout, e, (*side)[h], several),
            row);
      }
      row += f.panels.size() > before;
    }
    if (!weights || !promises_weightings(layout)) share_scale(f.panels, begin, weights);
  }
  for (const std::size_t v : logged_state(layout)) {
    const Declared& state = layout.controller[v].declared;
    Panel p;
    p.label = "Controller: " + trace::dataset_name(layout.controller[v], false);
    p.y_name = "Unit";
    p.values = turned(e.controller[v], state.count(), e.steps);
    p.scale = scale_over(p.values);
    add(std::move(p), row++);
  }
  if (f.panels.empty()) throw FileError("[render] the trace holds neither heads nor dense inputs and outputs to draw");
  f.rows = row;
  f.steps = e.steps;
  for (std::size_t t = 1; t < e.steps; ++t)
    if (e.phase[t] != e.phase[t - 1]) f.lines.push_back(static_cast<double>(t) - 0.5);

  // Cells about as high as they are wide, within what can be read and what fits on a page.
  f.width = options.width;
  f.palette = options.palette;
  f.title = title_lines(options.title, f.width);
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
  const double titles = f.title.empty() ? 0 : 1.45 * static_cast<double>(f.title.size()) + 0.4;
  f.height = font_points(f.width) / 72 * (1.9 * static_cast<double>(f.rows) + 3.2 + titles);
  for (double h : f.row_heights_) f.height += h;
  return f;
}

std::string Figure::dat() const {
  std::string text;
  for (const Panel& p : panels) {
    text += fmt::format("# {}{}: rows {} .. {}, a column a step\n", printable(p.label),
                        p.site.empty() ? "" : " (" + printable(p.site) + ")", p.numbers.first, p.numbers.last());
    for (const auto& row : p.values) {
      for (std::size_t t = 0; t < row.size(); ++t)
        text += (t ? " " : "") + (std::isfinite(row[t]) ? fmt::format("{:.6g}", row[t]) : "NaN");
      text += "\n";
    }
    text += "\n\n";
  }
  for (const Panel& p : panels) {
    if (p.crosses.empty()) continue;
    text += fmt::format("# {}: step and channel of wrong bits\n", printable(p.label));
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
          text += fmt::format("{},{},{},{},{:.9g}\n", csv_cell(p.label), csv_cell(p.site), t, p.numbers.slot(r),
                              p.values[r][t]);
  return text;
}

Figure::Page Figure::page() const {
  const double line = font_points(width) / 72, digit = 0.62 * line;
  std::size_t left = 1, right = 1, bar = 1;
  bool names_right = false;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const Panel& p = panels[i];
    std::size_t& most = p.right ? right : left;
    most = std::max(most, digits(p));
    names_right |= p.right && first_of_row(i);
    for (const double v : {p.scale.low, p.scale.high}) bar = std::max(bar, fmt::format("{:.6g}", v).size());
  }
  const auto numbers = [&](std::size_t n) { return 0.9 * line + digit * static_cast<double>(n); };
  Page page;
  page.line = line;
  page.left = numbers(left) + 2 * line;
  page.label = numbers(std::max(left, names_right ? right : 1)) + 0.9 * line;
  page.gap = numbers(right) + (names_right ? 2 : 0.9) * line;
  page.bar = 0.9 * line;
  page.panel = (width - page.left - page.gap - 2.4 * line - digit * static_cast<double>(bar)) / 2;
  return page;
}

std::string Figure::panel_script(std::size_t i, const Page& page, double bottom, double top) const {
  const Panel& p = panels[i];
  const double line = page.line, begin = p.right ? page.left + page.panel + page.gap : page.left;
  // gnuplot wants shares of the page.
  const auto x = [&](double inches) { return inches / width; };
  const auto y = [&](double inches) { return inches / height; };
  const auto below = [&](const Panel& other) { return other.right == p.right && other.row > p.row; };
  const bool last = std::none_of(panels.begin(), panels.end(), below);
  std::string s = fmt::format("\n# Panel {} of the data\n", i);
  s += fmt::format("set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\n", x(begin), x(begin + page.panel));
  s += fmt::format("set bmargin at screen {:.5f}\nset tmargin at screen {:.5f}\n", y(bottom), y(top));
  std::string label = p.crosses.empty() ? p.label : p.label + " (x: wrong)";
  const double room = (page.panel + page.gap / 2) / character_width(width);
  if (!p.site.empty() && static_cast<double>(characters(label)) > room) label = p.site;  // "Write Weightings 0"
  s += fmt::format("set label 1 {} at graph 0, graph 1 offset 0,0.55 left\n", gnuplot_text(label));
  s += fmt::format("set palette {}\nset cbrange [{:.6g}:{:.6g}]\n", palette_text(palette, p.scale), p.scale.low,
                   p.scale.high);
  // One scale for both panels of a row, on the right.
  s += last_of_row(i) ? fmt::format(
                            "set colorbox user origin screen {:.5f}, screen {:.5f} size screen {:.5f}, screen {:.5f}\n"
                            "set cbtics ({}{:.6g}, {:.6g}) scale 0.2 offset -0.6,0\n",
                            x(begin + page.panel + 0.6 * line), y(bottom), x(page.bar), y(top - bottom),
                            p.scale.diverging() ? "0, " : "", p.scale.low, p.scale.high)
                      : "unset colorbox\n";
  s += fmt::format("set xrange [-0.5:{}]\nset yrange [-0.5:{}]\n", static_cast<double>(steps) - 0.5,
                   static_cast<double>(p.values.size()) - 0.5);
  s += last ? "set format x '%g'\nset xlabel 'Time (steps)' offset 0,0.8\n" : "set format x ''\nunset xlabel\n";
  s += fmt::format("set ytics ({}) offset 0.6,0\n",
                   tics(p, static_cast<std::size_t>(std::clamp((top - bottom) / (2 * line), 1.0, 6.0))));
  s += first_of_row(i) ? fmt::format("set label 2 {} at screen {:.5f}, screen {:.5f} center rotate by 90\n",
                                     gnuplot_text(p.y_name), x(begin - page.label), y((bottom + top) / 2))
                       : "unset label 2\n";
  s += "unset arrow\n";
  for (const double at_step : lines)
    s += fmt::format("set arrow from {0},graph 0 to {0},graph 1 nohead lw 0.7 dt 3 lc rgb '#b03020' front\n", at_step);
  return s;
}

std::string Figure::script(const std::string& name) const {
  const Page page = this->page();
  std::string s =
      script_start(name, "Each row of panels has its scale on the right; dotted lines are where the phase changes.",
                   width, height, title);
  s += "set multiplot\n"
       "unset key\nset border lw 0.5\nset tics scale 0.3 nomirror out\nset autoscale noextend\n"
       "set datafile missing 'NaN'\n";
  s += fmt::format("set xtics {} offset 0,0.4\n",
                   tic_step(steps, static_cast<std::size_t>(std::max(1.0, page.panel / (4.5 * page.line)))));
  std::size_t crosses = panels.size();  // their blocks follow the panels'
  const double titles = title.empty() ? 0 : 1.45 * static_cast<double>(title.size()) + 0.4;
  double top = height - (1.5 + titles) * page.line;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const double bottom = top - row_heights_[panels[i].row];
    s += panel_script(i, page, bottom, top);
    s += fmt::format("plot {} index {} matrix with image", gnuplot_file(name + ".dat"), i);
    if (!panels[i].crosses.empty())
      s += fmt::format(", {} index {} with points pt 2 ps 0.6 lw 1.5 lc rgb '#d00000'", gnuplot_file(name + ".dat"),
                       crosses++);
    s += i == 0 && !title.empty() ? fmt::format("\nunset for [i=100:{}] label i\n", 99 + title.size()) : "\n";
    if (last_of_row(i)) top = bottom - 1.9 * page.line;
  }
  return s + "unset multiplot\nset output\n}\n";
}

}  // namespace mneme::tools
