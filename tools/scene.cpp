// Room: tools. Laying an episode out in lines.
#include "tools/scene.hpp"

#include "replay/verify.hpp"
#include "tools/trace_file.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme::tools {

namespace {

constexpr std::size_t gutter = 9;
constexpr double blank = std::numeric_limits<double>::quiet_NaN();

const char* const help_text[] = {
    "Left Right, h l      a step back, on",
    "Shift+Left/Right, H L  ten steps back, on",
    "Home End, g G        first, last step",
    "n p, J K             next, previous episode",
    "s                    next head",
    "m                    the memory at the cursor, and back to the maps",
    "?                    this page, and back",
    "q                    quit",
    "",
    "Maps: time to the right, slots downwards from the first used one; bright is 1.",
    "Memory: slots down, cells right; blue is negative, orange positive; a column a head at the end.",
    "Without colour: .:-=+*#%@ from 0 to 1; letters a to e below 0.",
    "The map `wrong`, where there is one, lights the bits of the answer that are wrong.",
};

std::string gutter_text(const std::string& text) {
  std::string t = text.substr(0, gutter - 1);
  t.resize(gutter, ' ');
  return t;
}

/// Columns begin .. begin+count.
std::vector<std::vector<double>> window(const std::vector<std::vector<double>>& rows, std::size_t begin,
                                        std::size_t count) {
  std::vector<std::vector<double>> out;
  for (const auto& r : rows) {
    const std::size_t from = std::min(begin, r.size()), to = std::min(from + count, r.size());
    out.emplace_back(r.begin() + static_cast<std::ptrdiff_t>(from), r.begin() + static_cast<std::ptrdiff_t>(to));
  }
  return out;
}

}  // namespace

void Scene::load(std::size_t episode) {
  reader_.episode(episode, e_);
  index_ = episode;
  slots_ = replay::used_slots(reader_.layout(), e_);
  rebuilt_ = false;
  memory_.clear();
}

std::vector<Scene::Block> Scene::io_blocks() const {
  const trace::Layout& l = reader_.layout();
  std::vector<Block> blocks;
  const auto add = [&](const char* label, const std::vector<float>& values, std::size_t channels, bool scored_only) {
    if (channels == 0) return;
    Block b;
    b.label = label;
    b.values.assign(channels, std::vector<double>(e_.steps, blank));
    for (std::size_t t = 0; t < e_.steps; ++t)
      for (std::size_t c = 0; c < channels; ++c)
        if (!scored_only || e_.mask[t]) b.values[c][t] = static_cast<double>(values[t * channels + c]);
    blocks.push_back(std::move(b));
  };
  add("input", e_.input, l.channels_in, false);
  add("target", e_.target, l.channels_out, true);
  add("output", e_.output, l.channels_out, true);
  if (l.channels_out && l.target_kind == "bits") {
    Block b = blocks.back();
    b.label = "wrong";
    bool any = false;
    for (std::size_t c = 0; c < b.values.size(); ++c)
      for (std::size_t t = 0; t < e_.steps; ++t) {
        if (std::isnan(b.values[c][t])) continue;
        const bool one = e_.target[t * l.channels_out + c] > 0;
        b.values[c][t] = one != (b.values[c][t] >= 0.5) ? 1 : 0;
        any |= b.values[c][t] > 0;
      }
    if (any) blocks.push_back(std::move(b));
  }
  return blocks;
}

Scene::Block Scene::site_block(std::size_t site) const {
  const trace::Layout& l = reader_.layout();
  const std::size_t n = l.width(l.sites[site]);
  Block b;
  b.site = true;
  b.label = l.sites[site].site.name;
  for (std::size_t i = 0; i < slots_.count; ++i) {
    const std::size_t slot = slots_.slot(i);
    if (slot >= n) continue;
    std::vector<double> row(e_.steps);
    for (std::size_t t = 0; t < e_.steps; ++t) row[t] = static_cast<double>(e_.sites[site].weights[t * n + slot]);
    b.values.push_back(std::move(row));
    if (b.first.empty()) b.first = std::to_string(slot);
    b.last = std::to_string(slot);
  }
  return b;
}

/// All steps as wide as they fit, or as many as fit around the cursor.
Scene::Frame Scene::frame(const Cursor& cursor, std::size_t columns) const {
  const std::size_t visible = columns - gutter;
  Frame f;
  f.cursor = static_cast<std::ptrdiff_t>(cursor.step);
  f.stretch = std::clamp<std::size_t>(visible / e_.steps, 1, 3);
  f.count = std::min(e_.steps, visible / f.stretch);
  f.begin = std::min(e_.steps - f.count, cursor.step > f.count / 2 ? cursor.step - f.count / 2 : 0);
  return f;
}

std::vector<std::string> Scene::draw(const Block& block, std::size_t most_rows, const Frame& frame,
                                     const Style& style) {
  Raster raster;
  raster.values = stretch_columns(pool_rows(window(block.values, frame.begin, frame.count), most_rows), frame.stretch);
  const auto stretch = static_cast<std::ptrdiff_t>(frame.stretch);
  raster.marked = frame.cursor < 0 ? -1 : (frame.cursor - static_cast<std::ptrdiff_t>(frame.begin)) * stretch;
  raster.marked_count = stretch;
  for (const auto& row : raster.values)
    for (double v : row)
      if (v < 0) raster.scale = Raster::Scale::diverging;
  std::vector<std::string> lines = paint(raster, style);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string side = i == 0 ? block.label : "";
    if (block.site && i == 1 && lines.size() > 2) side = " " + block.first;
    if (block.site && i + 1 == lines.size() && lines.size() > 1) side = " " + block.last;
    lines[i] = gutter_text(side) + lines[i];
  }
  return lines;
}

std::string Scene::phase_line(const Frame& frame) const {
  std::string line = gutter_text("phase");
  for (std::size_t t = frame.begin; t < frame.begin + frame.count; ++t)
    line += std::string(frame.stretch, e_.phase[t] == 0 ? 'i' : e_.phase[t] == 1 ? 'd' : 'a');
  return line;
}

std::vector<std::string> Scene::numbers_lines(std::size_t site, std::size_t step, bool focus,
                                              std::size_t columns) const {
  const trace::Layout& l = reader_.layout();
  const replay::HeadView h = replay::head_view(l, e_, site, step);
  std::string line = fmt::format("{} {:<8} slot {} {:.3f}  entropy {:.3f}", focus ? ">" : " ", l.sites[site].site.name,
                                 h.argmax, h.largest, h.entropy);
  for (const auto& [name, value] : h.numbers)
    line +=
        fmt::format("  {} {}", name, name == "shift" ? fmt::format("{:+.3f}", value) : fmt::format("{:.3g}", value));
  // The head in focus has all its numbers, on as many lines as they take.
  if (!focus || line.size() <= columns) return {line};
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t indent = lines.empty() ? 0 : 11, room = columns - indent;
    std::size_t end = line.size() - at <= room ? line.size() : line.rfind("  ", at + room);
    if (end == std::string::npos || end <= at) end = std::min(line.size(), at + room);
    lines.push_back(std::string(indent, ' ') + line.substr(at, end - at));
    at = std::min(line.size(), line.find_first_not_of(' ', end));
  }
  return lines;
}

std::vector<std::string> Scene::memory_lines(const Cursor& cursor, std::size_t lines, std::size_t columns,
                                             const Style& style) {
  const trace::Layout& l = reader_.layout();
  if (!rebuilt_) memory_ = replay::rebuild_memory(l, e_);
  rebuilt_ = true;
  if (memory_.empty() || l.cells == 0)
    return {"This trace does not hold the memory: it needs --trace.level params or full."};
  const std::vector<double>& now = memory_[cursor.step];
  Raster contents, weights;
  contents.scale = Raster::Scale::diverging;
  contents.high = 0;
  for (std::size_t i = 0; i < slots_.count; ++i) {
    const std::size_t slot = slots_.slot(i);
    if (slot >= now.size() / l.cells) continue;
    const auto row = now.begin() + static_cast<std::ptrdiff_t>(slot * l.cells);
    contents.values.emplace_back(row, row + static_cast<std::ptrdiff_t>(l.cells));
    for (double v : contents.values.back()) contents.high = std::max(contents.high, std::abs(v));
    std::vector<double> heads;
    for (std::size_t s = 0; s < l.sites.size(); ++s)
      heads.push_back(static_cast<double>(e_.sites[s].weights[cursor.step * l.width(l.sites[s]) + slot]));
    weights.values.push_back(std::move(heads));
  }
  const std::size_t rows = lines > 2 ? (lines - 2) * (style.halves() ? 2 : 1) : 1;
  const std::size_t room = columns > gutter + 2 + l.sites.size() ? columns - gutter - 2 - l.sites.size() : 1;
  contents.values = pool_columns(pool_rows(contents.values, rows), room);
  contents.values = stretch_columns(contents.values, std::clamp<std::size_t>(room / l.cells, 1, 3));
  weights.values = pool_rows(weights.values, rows);
  std::string names;
  for (const trace::SiteLayout& s : l.sites) names += (names.empty() ? "" : ", ") + s.site.name;
  std::vector<std::string> out = {
      fmt::format("memory after step {}: slots {}..{} down, {} cells right, |M| up to {:.3g}; then a column for {}",
                  cursor.step, slots_.first, slots_.last(), l.cells, contents.high, names)};
  const std::string first = std::to_string(slots_.first), last = std::to_string(slots_.last());
  const auto left = paint(contents, style), right = paint(weights, style);
  for (std::size_t i = 0; i < left.size(); ++i)
    out.push_back(gutter_text(i == 0 ? first : i + 1 == left.size() ? last : "") + left[i] + "  " + right[i]);
  return out;
}

std::vector<std::string> Scene::interactive(const Cursor& cursor, const Size& size, const Style& style) {
  const std::size_t columns = static_cast<std::size_t>(std::max(size.columns, 20)),
                    height = static_cast<std::size_t>(std::max(size.rows, 8));
  std::vector<std::string> lines = {episode_title(reader_, index_)}, tail;
  const std::size_t shown_numbers = std::min<std::size_t>(sites(), height > 20 ? 6 : 2);
  const std::size_t first_number = cursor.site + shown_numbers > sites() ? sites() - shown_numbers : cursor.site;
  tail.push_back(fmt::format("step {} of {} ({})", cursor.step, e_.steps,
                             e_.phase[cursor.step] == 0   ? "input"
                             : e_.phase[cursor.step] == 1 ? "delimiter"
                                                          : "answer"));
  for (std::size_t i = 0; i < shown_numbers; ++i)
    for (std::string& line : numbers_lines(first_number + i, cursor.step, first_number + i == cursor.site, columns))
      if (tail.size() < height / 2) tail.push_back(std::move(line));
  tail.push_back("arrows: step  H L: 10 steps  n p: episode  s: head  m: memory  ?: keys  q: quit");

  const std::size_t room = height - lines.size() - tail.size();
  std::vector<std::string> body;
  if (cursor.help) {
    body.assign(std::begin(help_text), std::end(help_text));
  } else if (cursor.memory) {
    body = memory_lines(cursor, room, columns, style);
  } else {
    const Frame f = frame(cursor, columns);
    std::string pointer = gutter_text("") + std::string((cursor.step - f.begin) * f.stretch, ' ');
    for (std::size_t i = 0; i < f.stretch; ++i) pointer += style.utf8 ? "\u25bc" : "v";
    const std::size_t rows_per_line = style.halves() ? 2 : 1;
    std::size_t left = room > 2 ? room - 2 : 0;  // pointer and phases
    // A third for what goes in and out, the rest for the heads, the one in focus first.
    std::vector<std::string> io;
    const auto blocks = io_blocks();
    const std::size_t io_lines = blocks.empty() ? 0 : left / 3 / blocks.size();
    if (io_lines > 0)
      for (const Block& b : blocks)
        for (std::string& line : draw(b, io_lines * rows_per_line, f, style)) io.push_back(std::move(line));
    left -= std::min(left, io.size());
    const std::size_t fitting = std::max<std::size_t>(1, std::min(sites(), left / 3));
    const std::size_t first = cursor.site + fitting > sites() ? sites() - fitting : cursor.site;
    const std::size_t each = fitting ? left / fitting : 0;
    body = std::move(io);
    body.push_back(std::move(pointer));
    body.push_back(phase_line(f));
    const std::size_t map_lines = each > 4 ? each - 1 : each;  // a line of air where there is room
    for (std::size_t i = 0; i < fitting && i < sites() && each > 0; ++i) {
      if (i > 0 && map_lines < each) body.emplace_back();
      for (std::string& line : draw(site_block(first + i), map_lines * rows_per_line, f, style))
        body.push_back(std::move(line));
    }
  }
  body.resize(std::min(body.size(), room));
  lines.insert(lines.end(), body.begin(), body.end());
  while (lines.size() + tail.size() < height) lines.emplace_back();
  lines.insert(lines.end(), tail.begin(), tail.end());
  for (std::string& line : lines) line = cut(line, columns);
  return lines;
}

std::vector<std::string> Scene::still(const Size& size, const Style& style) const {
  const std::size_t visible = static_cast<std::size_t>(std::max(size.columns, 40)) - gutter;
  const std::size_t group = (e_.steps + visible - 1) / visible;
  std::vector<std::string> lines = {reader_.path(), episode_title(reader_, index_)};
  if (group > 1) lines.push_back(fmt::format("a column is {} steps, the strongest of them shown", group));
  std::vector<Block> blocks = io_blocks();
  const std::size_t io = blocks.size();
  for (std::size_t s = 0; s < sites(); ++s) blocks.push_back(site_block(s));
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i == io && group == 1) lines.push_back(phase_line({0, e_.steps, 1, -1}));
    Block& b = blocks[i];
    b.values = pool_columns(b.values, visible);
    for (std::string& line : draw(b, 64, {0, b.values.empty() ? 0 : b.values[0].size(), 1, -1}, style))
      lines.push_back(std::move(line));
    lines.emplace_back();
  }
  return lines;
}

}  // namespace mneme::tools
