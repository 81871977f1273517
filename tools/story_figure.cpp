// Room: tools. A story's figure, laid out in inches.
#include "tools/story_figure.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/quote.hpp"
#include "tools/paint.hpp"

#include <algorithm>

namespace mneme::tools {

StoryFigure make_story_figure(const trace::Layout& layout, const trace::Episode& e, const FigureOptions& options) {
  StoryFigure f;
  f.story = replay::story_of(layout, e, replay::answering_step(e));
  f.width = options.width;
  f.palette = options.palette;
  f.count = f.story.sentences.size();
  if (options.slots) {
    const auto [first, last] = *options.slots;
    if (last < first || last >= f.count)
      fail<ArgumentError>("--slots", "{}:{} is out of range: the story has sentences 0:{}", first, last, f.count - 1);
    f.first = first;
    f.count = last - first + 1;
  }
  std::vector<std::string> title = options.title;
  title.push_back("Question: " + f.story.question);
  const std::size_t most = 4;  // answers of one figure; a story has one
  for (std::size_t i = 0; i < std::min(most, f.story.answers.size()); ++i) {
    const replay::Answer& a = f.story.answers[i];
    title.push_back(fmt::format("Answer: {} ({:.2f}); true answer: {} ({})", a.predicted, a.probability, a.truth,
                                a.right ? "right" : "wrong"));
  }
  if (!f.story.cut.empty()) title.push_back(f.story.cut);
  f.title = title_lines(title, f.width);
  double least = 0, largest = 0;
  for (std::size_t n = f.first; n < f.first + f.count; ++n) {
    f.ticks |= f.story.sentences[n].support;
    for (const double w : f.story.sentences[n].weights) {
      least = std::min(least, w);
      largest = std::max(largest, w);
    }
  }
  if (!promises_weightings(layout)) f.scale = scale_of(least, largest, true);
  const double line = font_points(f.width) / 72, foot = f.ticks ? 3.2 : 1.6;
  f.height = line * (1.45 * static_cast<double>(f.title.size()) + 3.4 + foot + 1.7 * static_cast<double>(f.count));
  return f;
}

std::string StoryFigure::dat() const {
  std::string text = fmt::format("# weights: a row a sentence, from {} on; a column for {}\n", first,
                                 printable(join(story.hops, ", ")));
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
    for (std::size_t h = 0; h < story.hops.size(); ++h)
      text += fmt::format("{},{},{},{},{:.9g}\n", n, story.sentences[n].support ? 1 : 0,
                          csv_cell(story.sentences[n].text), csv_cell(story.hops[h]), story.sentences[n].weights[h]);
  return text;
}

std::string StoryFigure::script(const std::string& name) const {
  const double line = font_points(width) / 72;
  const std::size_t hops = story.hops.size();
  // Sentences on the left as wide as they are, but no more than leaves room for the hops.
  std::size_t longest = 0;
  for (std::size_t n = first; n < first + count; ++n) longest = std::max(longest, characters(story.sentences[n].text));
  const double sides = 6 * character_width(width), cell = 3.4 * line;  // the number; a hop at its narrowest
  const double most = std::max(width - static_cast<double>(hops) * cell - sides - 2.2 * line, 1.0);
  const auto text = std::min(longest, static_cast<std::size_t>(most / character_width(width)));
  const double left = sides + static_cast<double>(text) * character_width(width);
  const double map = std::min(width - left - 2 * line, 9 * line * static_cast<double>(hops));
  const double head = line * (1.45 * static_cast<double>(title.size()) + 2.2), foot = (ticks ? 4.2 : 2.6) * line;

  std::string s = script_start(
      name, "The weight of each sentence in each hop, as a number and a shade; ticks mark supporting facts.", width,
      height, title);
  s += "unset key\nunset colorbox\nset border lw 0.5\nset autoscale noextend\n";
  s +=
      fmt::format("set palette {}\nset cbrange [{:.6g}:{:.6g}]\n", palette_text(palette, scale), scale.low, scale.high);
  s += fmt::format("set lmargin at screen {:.5f}\nset rmargin at screen {:.5f}\n", left / width, (left + map) / width);
  s += fmt::format("set tmargin at screen {:.5f}\nset bmargin at screen {:.5f}\n", 1 - head / height, foot / height);
  const bool viridis = palette == "viridis";
  const std::vector<std::string> legend = {
      scale.diverging()
          ? fmt::format("{:.6g} blue, 0 white, {:.6g} red", scale.low, scale.high)
          : fmt::format("0 {}, {:.6g} {}", viridis ? "dark" : "white", scale.high, viridis ? "bright" : "black"),
      "\u2713 supporting fact"};
  for (std::size_t i = 0; i < (ticks ? 2u : 1u); ++i)
    s += fmt::format("set label {} {} at screen {:.5f}, screen {:.5f} left\n", i + 1, gnuplot_text(legend[i]),
                     0.8 * line / width, (foot - line * (1.4 + 1.5 * static_cast<double>(i))) / height);
  s += fmt::format("set xrange [-0.5:{0}]\nset x2range [-0.5:{0}]\nset yrange [{1}:-0.5]\n",
                   static_cast<double>(hops) - 0.5, static_cast<double>(count) - 0.5);
  std::string names, sentences, marks;
  const std::size_t digits = std::to_string(first + count - 1).size();
  for (std::size_t h = 0; h < hops; ++h) names += fmt::format("{}{} {}", h ? ", " : "", gnuplot_tic(story.hops[h]), h);
  for (std::size_t i = 0; i < count; ++i) {
    const replay::Sentence& said = story.sentences[first + i];
    std::string number = std::to_string(first + i);
    for (std::size_t n = number.size(); n < digits; ++n) number.insert(0, "\u2007");  // as wide as a digit
    sentences += fmt::format("{}{} {}", i ? ", \\\n  " : "",
                             gnuplot_tic(shortened(said.text, std::max<std::size_t>(text, 3)) + "  " + number), i);
    if (said.support) marks += fmt::format("{}'\u2713' {}", marks.empty() ? "" : ", ", i);
  }
  s += fmt::format(
      "unset xtics\nset x2tics ({}) scale 0 offset 0,-0.4\nset ytics ({}) scale 0 offset 0.6,0\n"
      "set y2range [{}:-0.5]\n{}\n",
      names, sentences, static_cast<double>(count) - 0.5,
      ticks ? fmt::format("set y2tics ({}) scale 0 offset -0.6,0", marks) : "unset y2tics");
  // Numbers are light on dark cells: dark is the end of grey and both ends around zero, the beginning of viridis.
  const bool high_is_dark = scale.diverging() || !viridis;
  const std::string light =
      fmt::format("abs($3) {} {:.6g}", high_is_dark ? ">" : "<", scale.high * (high_is_dark ? 0.55 : 0.6));
  s += fmt::format(
      // Boxes, since gnuplot draws no image of one row or column.
      "plot {0} matrix using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \\\n"
      "  '' matrix using 1:2:(sprintf('%.2f', $3)):({1} ? 0xffffff : 0x000000) with labels tc rgb variable\n"
      "set output\n"
      "}}\n",
      gnuplot_file(name + ".dat"), light);
  return s;
}

}  // namespace mneme::tools
