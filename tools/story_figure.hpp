// Room: tools. The figure of an episode that tells a story, as data and as a gnuplot script: sentences from the oldest
// down, hops to the right, the weight of each as a shade and a number; supporting facts ticked; question and answers
// above (Sukhbaatar et al. 2015, figure 2, is such a table).
//
// Invariants: as for tools/figure.hpp, the script draws from the data file beside it and may be edited and run by hand.
#pragma once

#include "replay/story.hpp"
#include "tools/figure.hpp"

#include <string>
#include <vector>

namespace mneme::tools {

struct StoryFigure {
  replay::Story story;
  std::vector<std::string> title;    ///< lines: whose story it is, the question, the answers
  std::size_t first = 0, count = 0;  ///< sentences shown
  double width = 7, height = 0;      ///< inches
  std::string palette;               ///< grey or viridis, of weights without signs
  Scale scale;                       ///< of the weights
  bool ticks = false;                ///< a sentence shown is a supporting fact

  /// [sentences][hops] for gnuplot.
  std::string dat() const;
  /// Tidy: sentence,support,text,hop,weight
  std::string csv() const;
  /// Draws NAME.svg, NAME.pdf and NAME.png from NAME.dat.
  std::string script(const std::string& name) const;
};

/// Options' slots are sentences here. ArgumentError where they are out of range.
StoryFigure make_story_figure(const trace::Layout& layout, const trace::Episode& episode, const FigureOptions& options);

}  // namespace mneme::tools
