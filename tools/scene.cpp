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
    "Up Down, k j         a story: sentences up, down (PgUp PgDn: ten); else: previous, next episode",
    "s                    next head",
    "m                    the memory at the cursor, and back to the maps",
    "?                    this page, and back",
    "q                    quit",
    "",
    "Maps: time to the right, slots downwards from the first used one; bright is 1.",
    "Memory: slots down, cells right; blue is negative, orange positive; a column a head at the end.",
    "Without colour: .:-=+*#%@ from 0 to 1; letters a to e below 0.",
    "Stories: a line a sentence, a tick or * on supporting facts, the weight of each hop.",
    "The map `wrong`, where there is one, lights the bits of the answer that are wrong.",
};

/// Cut or filled up to exactly so many columns.
std::string fitted(const std::string& text, std::size_t columns) {
  const std::string short_text = shortened(text, columns);
  return short_text + std::string(columns - characters(short_text), ' ');
}

std::vector<std::string> wrapped(const std::string& text, std::size_t columns) {
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

std::string answer_text(const replay::Answer& a, bool several) {
  return fmt::format("{}answered {} ({:.2f}), true answer {}: {}", several ? fmt::format("step {}: ", a.step) : "",
                     a.predicted, a.probability, a.truth, a.right ? "right" : "WRONG");
}

/// The answer at the first scored step from `step` on, else the last one; "" where there are none.
std::string answer_at(const std::vector<replay::Answer>& answers, std::size_t step) {
  for (const replay::Answer& a : answers)
    if (a.step >= step) return answer_text(a, answers.size() > 1);
  return answers.empty() ? "" : answer_text(answers.back(), answers.size() > 1);
}

const char* phase_name(std::uint8_t phase) {
  return phase == 0 ? "input" : phase == 1 ? "delimiter" : "answer";
}

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
  if (l.target_kind == "classes") return blocks;  // one of so many: told by name
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
  if (l.logs_memory() && trace::Layout::find(l.memory, "contents") < 0)
    return {"This memory is filled from items once: it has no contents that change from step to step."};
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

std::size_t Scene::strongest_sentence() const {
  const replay::Story story = replay::story_of(reader_.layout(), e_, answering_step());
  std::size_t best = 0;
  double most = 0;
  for (std::size_t n = 0; n < story.sentences.size(); ++n)
    for (double w : story.sentences[n].weights)
      if (w > most) {
        most = w;
        best = n;
      }
  return best;
}

std::vector<std::string> Scene::story_lines(const replay::Story& story, std::size_t top, std::size_t count,
                                            std::size_t first_hop, std::size_t columns, const Style& style) const {
  constexpr std::size_t side = 6, least_text = 10, good_text = 24;  // "* 12 " before, a blank after
  std::size_t longest = 0;
  for (const replay::Sentence& s : story.sentences) longest = std::max(longest, characters(s.text));
  // "  0.97 @@"; where sentences would suffer, the number alone; then fewer hops.
  std::size_t hops = story.hops.size(), cell = 9;
  if (side + std::min(longest, good_text) + hops * cell > columns) cell = 6;
  if (side + least_text + hops * cell > columns) {
    hops = columns > side + least_text ? (columns - side - least_text) / cell : 0;
    first_hop = std::min(first_hop, story.hops.size() - hops);
  } else {
    first_hop = 0;
  }
  const std::size_t room = columns > side + hops * cell ? columns - side - hops * cell : 0;
  const std::size_t text = std::min(longest, room);
  std::vector<std::string> lines = {fitted(story.cut, side + text)};
  for (std::size_t h = 0; h < hops; ++h)
    lines[0] += fmt::format("{:>{}}", story.hops[first_hop + h].substr(0, cell - 1), cell);
  Style shade = style;
  shade.utf8 = false;  // one row of pixels a line
  const std::string tick = style.utf8 ? "\u2713" : "*";
  for (std::size_t n = top; n < std::min(top + count, story.sentences.size()); ++n) {
    const replay::Sentence& s = story.sentences[n];
    std::string line = fmt::format("{} {:>3} ", s.support ? tick : " ", n) + fitted(s.text, text) + " ";
    for (std::size_t h = 0; h < hops; ++h) {
      const double w = s.weights[first_hop + h];
      line += fmt::format("{:>{}.2f}", w, h == 0 ? 5 : 6);
      if (cell == 9) line += " " + paint({{{w, w}}}, shade)[0];
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> Scene::story_screen(const Cursor& cursor, std::size_t columns, std::size_t height,
                                             const Style& style) {
  const replay::Story story = replay::story_of(reader_.layout(), e_, cursor.step);
  std::vector<std::string> tail = {"question: " + story.question};
  const std::string answer = answer_at(story.answers, cursor.step);
  if (!answer.empty()) tail.push_back(fmt::format("{}; loss {:.4g}", answer, e_.loss));
  if (height >= 14)
    for (std::string& line : numbers_lines(cursor.site, cursor.step, false, columns)) tail.push_back(std::move(line));
  const std::size_t room = height - tail.size() - 4;  // title, head, where we are, keys
  const std::size_t shown = std::min(room, sentences());
  top_shown_ = std::min(cursor.top, sentences() - shown);
  std::vector<std::string> lines = {episode_title(reader_, index_)};
  std::size_t hop = 0;
  for (std::size_t s = 0; s < cursor.site; ++s) hop += reader_.layout().sites[s].site.slot_axis == "item";
  for (std::string& line : story_lines(story, top_shown_, shown, hop, columns, style)) lines.push_back(std::move(line));
  while (lines.size() + tail.size() + 2 < height) lines.emplace_back();
  lines.insert(lines.end(), tail.begin(), tail.end());
  lines.push_back(fmt::format("sentences {}..{} of {}, weights of step {} of {}", top_shown_, top_shown_ + shown - 1,
                              sentences(), cursor.step, e_.steps));
  lines.push_back("up down: sentences  n p: episode  left right: step  s: hop  m: memory  ?: keys  q: quit");
  return lines;
}

std::vector<std::string> Scene::text_lines(std::ptrdiff_t step, std::size_t columns, std::size_t& at) const {
  std::vector<std::string> lines;
  std::size_t used = 0;
  for (std::size_t t = 0; t < e_.token.size(); ++t) {
    if (e_.token[t] < 0) continue;
    const bool here = static_cast<std::ptrdiff_t>(t) == step;
    const std::string name = reader_.layout().word(e_.token[t]), word = here ? "[" + name + "]" : name;
    if (lines.empty() || used + 1 + characters(word) > columns) {
      lines.emplace_back();
      used = 0;
    }
    if (used) lines.back() += ' ';
    lines.back() += word;
    used += characters(word) + (used ? 1 : 0);
    if (here) at = lines.size() - 1;
  }
  return lines;
}

std::vector<std::string> Scene::interactive(const Cursor& cursor, const Size& size, const Style& style) {
  const std::size_t columns = static_cast<std::size_t>(std::max(size.columns, 20)),
                    height = static_cast<std::size_t>(std::max(size.rows, 8));
  if (story() && !cursor.memory && !cursor.help) {
    std::vector<std::string> lines = story_screen(cursor, columns, height, style);
    for (std::string& line : lines) line = cut(line, columns);
    return lines;
  }
  std::vector<std::string> lines = {episode_title(reader_, index_)}, tail;
  const std::string answer = answer_at(replay::answers_of(reader_.layout(), e_), cursor.step);
  if (!answer.empty()) tail.push_back(answer);
  const std::size_t shown_numbers = std::min<std::size_t>(sites(), height > 20 ? 6 : 2);
  const std::size_t first_number = cursor.site + shown_numbers > sites() ? sites() - shown_numbers : cursor.site;
  tail.push_back(fmt::format("step {} of {} ({})", cursor.step, e_.steps, phase_name(e_.phase[cursor.step])));
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
    std::size_t at = 0;
    const auto text = text_lines(static_cast<std::ptrdiff_t>(cursor.step), columns, at);
    const std::size_t most = std::min(text.size(), std::max<std::size_t>(left / 4, 1));
    const std::size_t from = std::min(at > most / 2 ? at - most / 2 : 0, text.size() - most);
    io.insert(io.begin(), text.begin() + static_cast<std::ptrdiff_t>(from),
              text.begin() + static_cast<std::ptrdiff_t>(from + most));
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
  const std::size_t columns = visible + gutter;
  if (story()) {
    const replay::Story story = replay::story_of(reader_.layout(), e_, answering_step());
    lines.emplace_back();
    for (std::string& line : story_lines(story, 0, story.sentences.size(), 0, columns, style))
      lines.push_back(std::move(line));
    lines.emplace_back();
    for (std::string& line : wrapped("question: " + story.question, columns)) lines.push_back(std::move(line));
    for (const replay::Answer& a : story.answers) lines.push_back(answer_text(a, story.answers.size() > 1));
    return lines;
  }
  std::size_t at = 0;
  for (std::string& line : text_lines(-1, columns, at)) lines.push_back(std::move(line));
  const auto answers = replay::answers_of(reader_.layout(), e_);
  for (const replay::Answer& a : answers) lines.push_back(answer_text(a, answers.size() > 1));
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
