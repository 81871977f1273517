// Room: tools. Laying an episode out in lines.
#include "tools/scene.hpp"

#include "core/quote.hpp"
#include "replay/verify.hpp"
#include "tools/figure.hpp"
#include "tools/trace_file.hpp"
#include "trace/specs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme::tools {

namespace {

constexpr std::size_t gutter = 9;
constexpr double blank = std::numeric_limits<double>::quiet_NaN();

const std::pair<const char*, const char*> help_text[] = {
    {"Left Right, h l", "a step back, on"},
    {"Shift+Left/Right, H L", "ten steps back, on"},
    {"Home End, g G", "first, last step"},
    {"n p, J K", "next, previous episode"},
    {"Up Down, k j", "a story or this page: lines up, down (PgUp PgDn: ten); else: previous, next episode"},
    {"s", "next head"},
    {"c", "further channels, where not all fit"},
    {"m", "the memory at the cursor, and back to the maps"},
    {"?", "this page, and back"},
    {"q", "quit"},
    {"Maps", "time to the right, slots downwards from the first used one; bright is 1"},
    {"Signs", "blue is negative, white 0, red positive, one scale for the whole episode"},
    {"Memory", "slots down, cells right; a column a head at the end"},
    {"Without colour", ".:-=+*#%@ from 0 to 1; letters a to e below 0"},
    {"Stories", "a line a sentence, a tick or * on supporting facts, the weight of each hop"},
    {"wrong", "how many bits of a step are wrong; of real targets how far off they are, 9 the farthest"},
};

/// Cut or filled up to exactly so many columns.
std::string fitted(const std::string& text, std::size_t columns) {
  const std::string short_text = shortened(text, columns);
  return short_text + std::string(columns - characters(short_text), ' ');
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

/// The last answer where there is no room for a sentence.
std::string brief(const std::vector<replay::Answer>& answers) {
  const replay::Answer& a = answers.back();
  return fmt::format("{}: {}, true {}", a.right ? "right" : "WRONG", a.predicted, a.truth);
}

std::string gutter_text(const std::string& text) {
  std::string t = text.substr(0, gutter - 1);
  t.resize(gutter, ' ');
  return t;
}

/// As many of the keys as fit whole, from the last back: help and quit come last.
std::string keys_line(const std::vector<std::string>& keys, std::size_t columns) {
  std::string line;
  for (std::size_t i = keys.size(); i-- > 0;) {
    const std::string longer = line.empty() ? keys[i] : keys[i] + "  " + line;
    if (longer.size() > columns) break;
    line = longer;
  }
  return line;
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
  used_.clear();
  for (const trace::SiteLayout& s : reader_.layout().sites)
    if (const std::string& axis = s.site.slot_axis; !used_.count(axis))
      used_[axis] = replay::used_slots(reader_.layout(), e_, axis);
  rebuilt_ = false;
  memory_.clear();
  double least = 0, most = 0;
  for (const trace::SiteRows& site : e_.sites)
    for (const float w : site.weights)
      if (std::isfinite(w)) {
        least = std::min(least, static_cast<double>(w));
        most = std::max(most, static_cast<double>(w));
      }
  weights_scale_ = promises_weightings(reader_.layout()) ? Scale{} : scale_of(least, most, true);
}

replay::Story Scene::story_at(std::size_t step) const {
  replay::Story story = replay::story_of(reader_.layout(), e_, step);
  for (replay::Sentence& s : story.sentences) s.text = printable(s.text);
  story.question = printable(story.question);
  story.answers = answers();
  return story;
}

std::vector<replay::Answer> Scene::answers() const {
  std::vector<replay::Answer> list = replay::answers_of(reader_.layout(), e_);
  for (replay::Answer& a : list) {
    a.predicted = printable(a.predicted);
    a.truth = printable(a.truth);
  }
  return list;
}

std::string Scene::title() const {
  return printable(episode_title(reader_, index_));
}

std::vector<Scene::Block> Scene::io_blocks() const {
  const trace::Layout& l = reader_.layout();
  std::vector<Block> blocks;
  double least = 0, most = 0;
  const auto add = [&](const char* label, const std::vector<float>& values, std::size_t channels, bool scored_only) {
    if (channels == 0) return;
    Block b;
    b.label = label;
    b.values.assign(channels, std::vector<double>(e_.steps, blank));
    for (std::size_t t = 0; t < e_.steps; ++t)
      for (std::size_t c = 0; c < channels; ++c)
        if (!scored_only || e_.mask[t]) {
          b.values[c][t] = static_cast<double>(values[t * channels + c]);
          if (!std::isfinite(b.values[c][t])) continue;
          least = std::min(least, b.values[c][t]);
          most = std::max(most, b.values[c][t]);
        }
    blocks.push_back(std::move(b));
  };
  add("input", e_.input, l.channels_in, false);
  if (l.target_kind != "classes") {  // one of so many: told by name
    add("target", e_.target, l.channels_out, true);
    add("output", e_.output, l.channels_out, true);
  }
  for (Block& b : blocks) b.scale = scale_of(least, most, true);
  return blocks;
}

Scene::Block Scene::wrong_block() const {
  const trace::Layout& l = reader_.layout();
  Block b;
  b.label = "wrong";
  if (l.target_kind != "bits" || l.channels_out == 0) return b;
  b.values.assign(l.channels_out, std::vector<double>(e_.steps, blank));
  bool any = false;
  for (std::size_t t = 0; t < e_.steps; ++t)
    for (std::size_t c = 0; c < l.channels_out; ++c) {
      if (!e_.mask[t]) continue;
      const std::size_t i = t * l.channels_out + c;
      const bool wrong = (e_.target[i] > 0) != (e_.output[i] >= 0.5f);
      b.values[c][t] = wrong ? 1 : 0;
      any |= wrong;
    }
  if (!any) b.values.clear();
  return b;
}

std::string Scene::error_line(const Frame& frame) const {
  const trace::Layout& l = reader_.layout();
  if (l.channels_out == 0 || l.target_kind == "classes") return "";
  const bool bits = l.target_kind == "bits";
  std::vector<double> off(e_.steps, 0);
  for (std::size_t t = 0; t < e_.steps; ++t)
    for (std::size_t c = 0; e_.mask[t] && c < l.channels_out; ++c) {
      const double target = static_cast<double>(e_.target[t * l.channels_out + c]),
                   output = static_cast<double>(e_.output[t * l.channels_out + c]);
      off[t] = bits ? off[t] + ((target > 0) != (output >= 0.5) ? 1 : 0) : std::max(off[t], std::abs(target - output));
    }
  const double most = bits ? 9 : std::max(1e-12, *std::max_element(off.begin(), off.end()));
  std::string line = gutter_text("wrong");
  for (std::size_t t = frame.begin; t < frame.begin + frame.count; ++t) {
    const double digit = std::round(9 * off[t] / most);
    const char c = !e_.mask[t] ? ' '
                   : digit < 1 ? '.'
                   : digit > 9 ? '+'
                               : static_cast<char>('0' + static_cast<int>(digit));
    line += std::string(frame.stretch, c);
  }
  return line;
}

Scene::Block Scene::site_block(std::size_t site) const {
  const trace::Layout& l = reader_.layout();
  const std::size_t n = l.width(l.sites[site]);
  Block b;
  b.scale = weights_scale_;
  b.label = l.sites[site].site.name;
  const replay::SlotRange& used = used_.at(l.sites[site].site.slot_axis);
  for (std::size_t i = 0; i < used.count; ++i) {
    const std::size_t slot = used.slot(i);
    if (slot >= n) continue;
    std::vector<double> row(e_.steps);
    for (std::size_t t = 0; t < e_.steps; ++t) row[t] = static_cast<double>(e_.sites[site].weights[t * n + slot]);
    b.values.push_back(std::move(row));
    if (b.first.empty()) b.first = std::to_string(slot);
    b.last = std::to_string(slot);
  }
  return b;
}

std::size_t Scene::maps() const {
  return sites() + logged_state(reader_.layout()).size();
}

Scene::Block Scene::map_block(std::size_t map) const {
  if (map < sites()) return site_block(map);
  const trace::Layout& l = reader_.layout();
  const std::size_t v = logged_state(l)[map - sites()], units = l.controller[v].declared.count();
  Block b;
  b.label = trace::dataset_name(l.controller[v], false);
  b.values = turned(e_.controller[v], units, e_.steps);
  b.first = "0";
  b.last = std::to_string(units - 1);
  b.scale = scale_over(b.values);
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
  raster.high = block.scale.high;
  if (block.scale.diverging()) raster.scale = Raster::Scale::diverging;
  std::vector<std::string> lines = paint(raster, style);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string side = i == 0 ? block.label : "";
    const bool beside = block.label.size() + 1 + block.first.size() < gutter;
    if (i == 0 && beside && !block.first.empty()) side += " " + block.first;
    if (i == 1 && !beside && lines.size() > 2) side = " " + block.first;
    if (i + 1 == lines.size() && lines.size() > 1 && !block.last.empty()) side = " " + block.last;
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
  const Site& about = l.sites[site].site;
  std::string line = fmt::format("{} {:<8} {} {} {:.3f}  entropy {:.3f}", focus ? ">" : " ", about.name,
                                 about.slot_axis, h.argmax, h.largest, h.entropy);
  for (const auto& [name, value] : h.numbers)
    line +=
        fmt::format("  {} {}", name, name == "shift" ? fmt::format("{:+.3f}", value) : fmt::format("{:.3g}", value));
  // The head in focus has all its numbers, on as many lines as they take.
  if (line.size() <= columns) return {line};
  if (!focus) return {line.substr(0, std::max<std::size_t>(line.rfind("  ", columns), 2))};
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
  if (!rebuilt_) {
    memory_ = replay::rebuild_memory(l, e_);
    memory_high_ = 0;
    for (const auto& step : memory_)
      for (const double v : step)
        if (std::isfinite(v)) memory_high_ = std::max(memory_high_, std::abs(v));
  }
  rebuilt_ = true;
  if (l.logs_memory() && trace::Layout::find(l.memory, "contents") < 0)
    return {"This memory is filled from items once: it has no contents that change from step to step."};
  if (memory_.empty() || l.cells == 0)
    return {"This trace does not hold the memory: it needs --trace.level params or full."};
  const std::vector<double>& now = memory_[cursor.step];
  Raster contents, weights;
  contents.scale = Raster::Scale::diverging;
  contents.high = memory_high_;
  weights.high = weights_scale_.high;
  if (weights_scale_.diverging()) weights.scale = Raster::Scale::diverging;
  const auto along = used_.find("slot");
  const replay::SlotRange slots = along == used_.end() ? replay::SlotRange{0, l.slots, l.slots} : along->second;
  std::vector<std::size_t> sites;
  for (std::size_t s = 0; s < l.sites.size(); ++s)
    if (l.sites[s].site.slot_axis == "slot") sites.push_back(s);
  for (std::size_t i = 0; i < slots.count; ++i) {
    const std::size_t slot = slots.slot(i);
    if (slot >= now.size() / l.cells) continue;
    const auto row = now.begin() + static_cast<std::ptrdiff_t>(slot * l.cells);
    contents.values.emplace_back(row, row + static_cast<std::ptrdiff_t>(l.cells));
    std::vector<double> heads;
    for (const std::size_t s : sites)
      heads.push_back(static_cast<double>(e_.sites[s].weights[cursor.step * l.slots + slot]));
    weights.values.push_back(std::move(heads));
  }
  const std::size_t rows = lines > 2 ? (lines - 2) * (style.halves() ? 2 : 1) : 1;
  const std::size_t room = columns > gutter + 2 + sites.size() ? columns - gutter - 2 - sites.size() : 1;
  contents.values = pool_columns(pool_rows(contents.values, rows), room);
  contents.values = stretch_columns(contents.values, std::clamp<std::size_t>(room / l.cells, 1, 3));
  weights.values = pool_rows(weights.values, rows);
  std::string names;
  for (const std::size_t s : sites) names += (names.empty() ? "" : ", ") + l.sites[s].site.name;
  std::vector<std::string> out = {
      fmt::format("memory after step {}: slots {}..{} down, {} cells right, |M| up to {:.3g}; then a column for {}",
                  cursor.step, slots.first, slots.last(), l.cells, contents.high, names)};
  const std::string first = std::to_string(slots.first), last = std::to_string(slots.last());
  const auto left = paint(contents, style), right = paint(weights, style);
  for (std::size_t i = 0; i < left.size(); ++i)
    out.push_back(gutter_text(i == 0 ? first : i + 1 == left.size() ? last : "") + left[i] + "  " + right[i]);
  return out;
}

std::size_t Scene::strongest_sentence() const {
  const replay::Story story = story_at(answering_step());
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
  constexpr std::size_t side = 6, good_text = 24;  // "* 12 " before, a blank after
  const std::size_t least_text = columns < 30 ? 6 : 10;
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
      if (cell != 9) continue;
      const auto kind = weights_scale_.diverging() ? Raster::Scale::diverging : Raster::Scale::sequential;
      line += " " + paint({{{w, w}}, kind, weights_scale_.high}, shade)[0];
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> Scene::story_screen(const Cursor& cursor, std::size_t columns, std::size_t height,
                                             const Style& style) {
  const replay::Story story = story_at(cursor.step);
  const bool low = height < 10;
  std::vector<std::string> tail = {"question: " + story.question};
  if (!low) tail = wrapped_lines(tail[0], columns);
  if (tail.size() > height / 4 + 1) tail.resize(height / 4 + 1);
  const std::string answer = answer_at(story.answers, cursor.step);
  if (!answer.empty()) tail.push_back(low ? brief(story.answers) : fmt::format("{}; loss {:.4g}", answer, e_.loss));
  if (height >= 14)
    for (std::string& line : numbers_lines(cursor.site, cursor.step, false, columns)) tail.push_back(std::move(line));
  const std::size_t around = low ? 2 : 4;  // head, keys; and where we are, title
  const std::size_t room = height > tail.size() + around ? height - tail.size() - around : 1;
  const std::size_t shown = std::min(room, sentences());
  top_shown_ = std::min(cursor.top, sentences() - shown);
  std::vector<std::string> lines;
  if (!low) lines.push_back(title());
  std::size_t hop = 0;
  for (std::size_t s = 0; s < cursor.site; ++s) hop += reader_.layout().sites[s].site.slot_axis == "item";
  for (std::string& line : story_lines(story, top_shown_, shown, hop, columns, style)) lines.push_back(std::move(line));
  while (lines.size() + tail.size() + around / 2 < height) lines.emplace_back();
  lines.insert(lines.end(), tail.begin(), tail.end());
  if (!low)
    lines.push_back(fmt::format("sentences {}..{} of {}, step {} of {}", top_shown_, top_shown_ + shown - 1,
                                sentences(), cursor.step, e_.steps));
  lines.push_back(
      keys_line({"left right: step", "s: hop", "m: memory", "n p: episode", "up down: sentences", "?: keys", "q: quit"},
                columns));
  return lines;
}

std::vector<std::string> Scene::text_lines(std::ptrdiff_t step, std::size_t columns, std::size_t& at) const {
  std::vector<std::string> lines;
  std::size_t used = 0;
  for (std::size_t t = 0; t < e_.token.size(); ++t) {
    if (e_.token[t] < 0) continue;
    const bool here = static_cast<std::ptrdiff_t>(t) == step;
    const std::string name = printable(reader_.layout().word(e_.token[t])), word = here ? "[" + name + "]" : name;
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

std::vector<std::string> Scene::io_lines(const Cursor& cursor, std::size_t most, const Frame& frame,
                                         const Style& style) {
  next_channel_ = 0;
  std::vector<Block> blocks = io_blocks();
  const Block wrong = wrong_block();
  const std::string errors = error_line(frame);
  const bool compared = !errors.empty();
  const auto lines_of = [&](const std::vector<Block>& list) {
    std::size_t n = 0;
    for (const Block& b : list) n += painted_lines(b.values.size(), style);
    return n;
  };
  std::vector<std::string> lines;
  if (most == 0 || (blocks.empty() && !compared)) return lines;
  // Everything; else without the map of wrong bits, then without the input; then as many channels as fit.
  bool map = !wrong.values.empty();
  const auto needed = [&] { return lines_of(blocks) + (map ? lines_of({wrong}) : compared ? 1 : 0); };
  if (needed() > most) map = false;
  if (needed() > most && compared && blocks.size() == 3) blocks.erase(blocks.begin());
  if (needed() > most) {
    const std::size_t each = (most - (compared ? 1 : 0)) / blocks.size();
    std::size_t channels = 0;
    for (const Block& b : blocks) channels = std::max(channels, b.values.size());
    const std::size_t shown = std::min(channels, each * (style.halves() ? 2 : 1));
    const std::size_t first = std::min(cursor.channel, channels - shown);
    if (shown == 0) blocks.clear();
    if (shown > 0 && first + shown < channels) next_channel_ = first + shown;
    for (Block& b : blocks) {
      const std::size_t from = std::min(first, b.values.size() - std::min(shown, b.values.size())),
                        to = std::min(from + shown, b.values.size());
      b.values = Rows(b.values.begin() + static_cast<std::ptrdiff_t>(from),
                      b.values.begin() + static_cast<std::ptrdiff_t>(to));
      b.first = std::to_string(from);
      b.last = std::to_string(to - 1);
    }
  }
  if (map) blocks.push_back(wrong);
  for (const Block& b : blocks)
    for (std::string& line : draw(b, b.values.size(), frame, style)) lines.push_back(std::move(line));
  if (compared && !map && lines.size() < most) lines.push_back(errors);
  return lines;
}

std::vector<std::string> Scene::map_lines(const Cursor& cursor, std::size_t room, std::size_t columns,
                                          const Style& style) {
  const Frame f = frame(cursor, columns);
  std::string pointer = gutter_text("") + std::string((cursor.step - f.begin) * f.stretch, ' ');
  for (std::size_t i = 0; i < f.stretch; ++i) pointer += style.utf8 ? "\u25bc" : "v";
  const std::size_t rows_per_line = style.halves() ? 2 : 1, frame_lines = room > 6 ? 2 : room > 2 ? 1 : 0;
  std::size_t left = room - frame_lines;  // pointer and phases
  std::vector<std::string> body;
  std::size_t at = 0;
  const auto text = text_lines(static_cast<std::ptrdiff_t>(cursor.step), columns, at);
  const std::size_t most = std::min(text.size(), std::max<std::size_t>(left / 4, 1));
  const std::size_t from = std::min(at > most / 2 ? at - most / 2 : 0, text.size() - most);
  body.insert(body.begin(), text.begin() + static_cast<std::ptrdiff_t>(from),
              text.begin() + static_cast<std::ptrdiff_t>(from + most));
  left -= std::min(left, body.size());
  // A third for the heads, the one in focus first, or what the rest leaves.
  const std::size_t least = maps() ? (left + 2) / 3 : 0;
  for (std::string& line : io_lines(cursor, left - std::min(left, least), f, style)) {
    body.push_back(std::move(line));
    --left;
  }
  const std::size_t fitting = std::max<std::size_t>(1, std::min(maps(), left / 3));
  const std::size_t first = cursor.site + fitting > maps() ? maps() - std::min(maps(), fitting) : cursor.site;
  const std::size_t each = left / fitting;
  if (frame_lines > 0) body.push_back(std::move(pointer));
  if (frame_lines > 1) body.push_back(phase_line(f));
  const std::size_t map_rows = (each > 4 ? each - 1 : each) * rows_per_line;  // a line of air where there is room
  for (std::size_t i = 0; i < fitting && first + i < maps() && each > 0; ++i) {
    if (i > 0 && each > 4) body.emplace_back();
    for (std::string& line : draw(map_block(first + i), map_rows, f, style)) body.push_back(std::move(line));
  }
  return body;
}

std::vector<std::string> Scene::help_lines(const Cursor& cursor, std::size_t room, std::size_t columns) {
  constexpr std::size_t wide = 60, names = 23;
  std::vector<std::string> all;
  for (const auto& [keys, what] : help_text) {
    const std::size_t indent = columns >= wide ? names : 2;
    std::vector<std::string> lines = wrapped_lines(what, columns - indent);
    for (std::string& line : lines) line.insert(0, indent, ' ');
    const std::string name = keys;
    if (columns >= wide)
      lines[0].replace(0, name.size(), name);
    else
      for (std::string& line : wrapped_lines(name, columns)) all.push_back(std::move(line));
    all.insert(all.end(), lines.begin(), lines.end());
  }
  help_shown_ = std::min(cursor.help_top, all.size() - std::min(room, all.size()));
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(help_shown_));
  all.resize(std::min(room, all.size()));
  return all;
}

std::vector<std::string> Scene::interactive(const Cursor& cursor, const Size& size, const Style& style) {
  const std::size_t columns = static_cast<std::size_t>(std::max(size.columns, 20)),
                    height = static_cast<std::size_t>(std::max(size.rows, 6));
  std::vector<std::string> lines, tail, body;
  const bool low = height < 10;
  if (cursor.help) {
    body = help_lines(cursor, height - 1, columns);
    tail.push_back(keys_line({"up down: more", "?: back", "q: quit"}, columns));
  } else if (story() && !cursor.memory) {
    body = story_screen(cursor, columns, height, style);
  } else {
    if (!low) lines.push_back(title());
    const std::string answer = answer_at(answers(), cursor.step);
    if (!answer.empty()) tail.push_back(low ? brief(answers()) : answer);
    tail.push_back(
        low ? fmt::format("ep {} step {} of {}", index_, cursor.step, e_.steps)
            : fmt::format("step {} of {} ({})", cursor.step, e_.steps, trace::phase_name(e_.phase[cursor.step])));
    const std::size_t shown_numbers = std::min<std::size_t>(sites(), height > 20 ? 6 : low ? 0 : 2);
    const std::size_t first_number = cursor.site + shown_numbers > sites() ? sites() - shown_numbers : cursor.site;
    for (std::size_t i = 0; i < shown_numbers; ++i)
      for (std::string& line : numbers_lines(first_number + i, cursor.step, first_number + i == cursor.site, columns))
        if (tail.size() < height / 3) tail.push_back(std::move(line));
    const std::size_t room = height - std::min(height, lines.size() + tail.size() + 1);
    body = cursor.memory ? memory_lines(cursor, room, columns, style) : map_lines(cursor, room, columns, style);
    std::vector<std::string> keys = {"H L: 10 steps", "n p: episode", "m: memory", "s: head",
                                     "arrows: step",  "?: keys",      "q: quit"};
    if (next_channel_ > 0 || cursor.channel > 0) keys.insert(keys.end() - 3, "c: channels");
    tail.push_back(keys_line(keys, columns));
    body.resize(std::min(body.size(), room));
  }
  lines.insert(lines.end(), body.begin(), body.end());
  while (lines.size() + tail.size() < height) lines.emplace_back();
  lines.insert(lines.end(), tail.begin(), tail.end());
  // A window smaller than any layout shows the end: where we are, and the keys.
  const auto rows = static_cast<std::size_t>(std::max(size.rows, 1));
  if (lines.size() > rows) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(rows));
  for (std::string& line : lines) line = cut(line, static_cast<std::size_t>(std::max(size.columns, 1)));
  return lines;
}

std::vector<std::string> Scene::still(const Size& size, const Style& style) const {
  const std::size_t visible = static_cast<std::size_t>(std::max(size.columns, 40)) - gutter;
  const std::size_t group = (e_.steps + visible - 1) / visible;
  std::vector<std::string> lines = {printable(reader_.path()), title()};
  const std::size_t columns = visible + gutter;
  if (story()) {
    const replay::Story story = story_at(answering_step());
    lines.emplace_back();
    for (std::string& line : story_lines(story, 0, story.sentences.size(), 0, columns, style))
      lines.push_back(std::move(line));
    lines.emplace_back();
    for (std::string& line : wrapped_lines("question: " + story.question, columns)) lines.push_back(std::move(line));
    for (const replay::Answer& a : story.answers) lines.push_back(answer_text(a, story.answers.size() > 1));
    return lines;
  }
  std::size_t at = 0;
  for (std::string& line : text_lines(-1, columns, at)) lines.push_back(std::move(line));
  const auto given = answers();
  for (const replay::Answer& a : given) lines.push_back(answer_text(a, given.size() > 1));
  std::vector<Block> blocks = io_blocks();
  if (Block wrong = wrong_block(); !wrong.values.empty()) blocks.push_back(std::move(wrong));
  // What goes in and out is compared bit by bit, so it is shown in as many parts as it takes; heads are pooled.
  for (std::size_t begin = 0; begin < e_.steps; begin += visible) {
    const Frame part{begin, std::min(visible, e_.steps - begin), 1, -1};
    if (group > 1) lines.push_back(fmt::format("steps {}..{}", begin, begin + part.count - 1));
    for (const Block& b : blocks) {
      for (std::string& line : draw(b, b.values.size(), part, style)) lines.push_back(std::move(line));
      lines.emplace_back();
    }
    lines.push_back(phase_line(part));
  }
  if (group > 1) lines.push_back(fmt::format("heads: a column is {} steps, the strongest of them shown", group));
  for (std::size_t s = 0; s < maps(); ++s) {
    Block b = map_block(s);
    b.values = pool_columns(b.values, visible);
    const std::size_t count = b.values.empty() ? 0 : b.values[0].size();
    const std::size_t most = s < sites() ? 64 : 24;
    for (std::string& line : draw(b, most, {0, count, 1, -1}, style)) lines.push_back(std::move(line));
    lines.emplace_back();
  }
  return lines;
}

}  // namespace mneme::tools
