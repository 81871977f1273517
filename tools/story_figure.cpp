// Room: tools. A story's figure, laid out in inches.
#include "tools/story_figure.hpp"

#include "core/error.hpp"

#include <algorithm>

namespace mneme::tools {

namespace {

double font_of(double width) {
  return width < 5 ? 7 : 8;
}
/// Width of a character on average, DejaVu Sans, in inches.
double character(double width) {
  return 0.54 * font_of(width) / 72;
}

/// A gnuplot string in single quotes.
std::string gnuplot_text(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

std::string shortened(const std::string& text, std::size_t most) {
  return text.size() <= most ? text : text.substr(0, most - 2) + "..";
}

std::vector<std::string> lines_of(const std::string& text, std::size_t columns) {
  std::vector<std::string> lines(1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (!lines.back().empty() && lines.back().size() + 1 + end - at > columns) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + text.substr(at, end - at);
    at = end + 1;
  }
  return lines;
}

}  // namespace

StoryFigure make_story_figure(const trace::Layout& layout, const trace::Episode& e, const FigureOptions& options) {
  StoryFigure f;
  f.story = replay::story_of(layout, e, replay::answering_step(e));
  f.width = options.width;
  f.palette = options.weights_palette;
  f.count = f.story.sentences.size();
  if (options.slots) {
    const auto [first, last] = *options.slots;
    if (last < first || last >= f.count)
      fail<ArgumentError>("--slots", "{}:{} is out of range: the story has sentences 0:{}", first, last, f.count - 1);
    f.first = first;
    f.count = last - first + 1;
  }
  const auto columns = static_cast<std::size_t>(0.92 * f.width / character(f.width));
  f.title = lines_of("Question: " + f.story.question, columns);
  const std::size_t most = 4;  // answers of one figure; a story has one
  for (std::size_t i = 0; i < std::min(most, f.story.answers.size()); ++i) {
    const replay::Answer& a = f.story.answers[i];
    for (std::string& line : lines_of(fmt::format("Answer: {} ({:.2f}); true answer: {} ({})", a.predicted,
                                                  a.probability, a.truth, a.right ? "right" : "wrong"),
                                      columns))
      f.title.push_back(std::move(line));
  }
  const double line = font_of(f.width) / 72;
  if (!f.story.cut.empty()) f.title.push_back(f.story.cut);
  f.height = line * (1.45 * static_cast<double>(f.title.size()) + 3.4 + 1.7 * static_cast<double>(f.count));
  return f;
}

std::string StoryFigure::dat() const {
  std::string text =
      fmt::format("# weights: a row a sentence, from {} on; a column for {}\n", first, fmt::join(story.hops, ", "));
  for (std::size_t n = first; n < first + count; ++n) {
    for (std::size_t h = 0; h < story.hops.size(); ++h)
      text += fmt::format("{}{:.6g}", h ? " " : "", story.sentences[n].weights[h]);
    text += "\n";
  }
  return text;
}

std::string StoryFigure::csv() const {
  std::string text = "sentence,support,text,hop,weight\n";
  for (std::size_t n = first; n < first + count; ++n)
    for (std::size_t h = 0; h < story.hops.size(); ++h) {
      std::string said = story.sentences[n].text;
      for (std::size_t at = 0; (at = said.find('"', at)) != std::string::npos; at += 2) said.insert(at, 1, '"');
      text += fmt::format("{},{},\"{}\",{},{:.9g}\n", n, story.sentences[n].support ? 1 : 0, said, story.hops[h],
                          story.sentences[n].weights[h]);
    }
  return text;
}

std::string StoryFigure::script(const std::string& name) const {
  const double font = font_of(width), line = font / 72;
  const std::size_t hops = story.hops.size();
  // Sentences on the left as wide as they are, but no more than leaves room for the hops.
  std::size_t longest = 0;
  for (std::size_t n = first; n < first + count; ++n) longest = std::max(longest, story.sentences[n].text.size());
  const double sides = 6 * character(width), cell = 3.4 * line;  // the number; a hop at its narrowest
  const double most = std::max(width - static_cast<double>(hops) * cell - sides - 2.2 * line, 1.0);
  const auto text = std::min(longest, static_cast<std::size_t>(most / character(width)));
  const double left = sides + static_cast<double>(text) * character(width);
  const double map = std::min(width - left - 2 * line, 9 * line * static_cast<double>(hops));
  const double head = line * (1.45 * static_cast<double>(title.size()) + 2.2), foot = 1.0 * line;

  std::string s = script_start(name, "The weight of each sentence in each hop, 0 to 1; ticks mark supporting facts.",
                               width, height, font);
  s += fmt::format(
      "set termoption noenhanced\nset encoding utf8\n"
      "set output '{}.'.kind\n"
      "unset key\nunset colorbox\nset border lw 0.5\nset autoscale noextend\n",
      name);
  s += fmt::format("set palette {}\nset cbrange [0:1]\n", palette_text(palette));
  s += fmt::format("set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\n", left / width, (left + map) / width);
  s += fmt::format("set tmargin at screen {:.5f}\nset bmargin at screen {:.5f}\n", 1 - head / height, foot / height);
  for (std::size_t i = 0; i < title.size(); ++i)
    s += fmt::format("set label {} {} at screen {:.5f}, screen {:.5f} left\n", i + 1, gnuplot_text(title[i]),
                     0.8 * line / width, 1 - line * (1.1 + 1.45 * static_cast<double>(i)) / height);
  s += fmt::format("set xrange [-0.5:{0}]\nset x2range [-0.5:{0}]\nset yrange [{1}:-0.5]\n",
                   static_cast<double>(hops) - 0.5, static_cast<double>(count) - 0.5);
  std::string names, sentences, ticks;
  const std::size_t digits = std::to_string(first + count - 1).size();
  for (std::size_t h = 0; h < hops; ++h) names += fmt::format("{}{} {}", h ? ", " : "", gnuplot_text(story.hops[h]), h);
  for (std::size_t i = 0; i < count; ++i) {
    const replay::Sentence& said = story.sentences[first + i];
    std::string number = std::to_string(first + i);
    for (std::size_t n = number.size(); n < digits; ++n) number.insert(0, "\u2007");  // as wide as a digit
    sentences += fmt::format("{}{} {}", i ? ", \\\n  " : "",
                             gnuplot_text(shortened(said.text, std::max<std::size_t>(text, 3)) + "  " + number), i);
    if (said.support) ticks += fmt::format("{}'\u2713' {}", ticks.empty() ? "" : ", ", i);
  }
  s += fmt::format(
      "unset xtics\nset x2tics ({}) scale 0 offset 0,-0.4\nset ytics ({}) scale 0 offset 0.6,0\n"
      "set y2range [{}:-0.5]\n{}\n",
      names, sentences, static_cast<double>(count) - 0.5,
      ticks.empty() ? "unset y2tics" : fmt::format("set y2tics ({}) scale 0 offset -0.6,0", ticks));
  // Numbers are light on dark cells: dark is 1 in grey, 0 in viridis.
  const char* light = palette == "viridis" ? "$3 < 0.6" : "$3 > 0.45";
  s += fmt::format(
      // Boxes, since gnuplot draws no image of one row or column.
      "plot '{0}.dat' matrix using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \\\n"
      "  '' matrix using 1:2:(sprintf('%.2f', $3)):({1} ? 0xffffff : 0x000000) with labels tc rgb variable\n"
      "set output\n"
      "}}\n",
      name, light);
  return s;
}

}  // namespace mneme::tools
