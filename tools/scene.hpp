// Room: tools. Scene: one episode as lines of text, around a time cursor. The viewer shows it, key by key; elsewhere it
// is printed once, whole.
//
//   input  raster                 all maps share the time axis; of many slots those that are used are shown, pooled
//   target raster                 where there is no room for each. Channels are never pooled: where not all fit, the
//   output raster                 same ones of target and output are shown
//   wrong  ....1..                how many bits of each step are wrong
//   phase  iiiiiidaaaaaa          i input, d delimiter, a answer
//   write_0, read_0, ...          weightings, slots upwards from the first
//   layer_0_h, layer_0_c          the controller's state, where the trace holds it (level full)
//   numbers of every head at the cursor
//
// An episode with items in words is laid out as a story instead: a line a sentence, the oldest first, supporting facts
// marked, with the weight that each hop gave it as a number and a shade; then question and answer. Classes are told by
// name, not drawn.
#pragma once

#include "replay/story.hpp"
#include "replay/view.hpp"
#include "tools/gnuplot.hpp"
#include "tools/paint.hpp"
#include "tools/terminal.hpp"
#include "trace/reader.hpp"

#include <map>
#include <string>
#include <vector>

namespace mneme::tools {

struct Cursor {
  std::size_t step = 0;
  std::size_t site = 0;  ///< the head in focus: its numbers are marked, its map comes first where room is short
  bool memory = false;   ///< the memory at the cursor instead of the maps
  bool help = false;
  std::size_t help_top = 0;  ///< of the help: the first line shown
  std::size_t channel = 0;   ///< the first channel shown, where not all fit
  std::size_t top = 0;       ///< of a story: the first sentence shown, where not all fit
};

class Scene {
 public:
  explicit Scene(const trace::Reader& reader) : reader_(reader) {}
  void load(std::size_t episode);

  std::size_t episode() const { return index_; }
  std::size_t steps() const { return e_.steps; }
  std::size_t sites() const { return reader_.layout().sites.size(); }
  bool story() const { return replay::tells_story(reader_.layout(), e_); }
  std::size_t sentences() const { return e_.items.count; }
  /// Where a reader begins: the step whose weights made the answer, and the sentence with the most weight in any hop.
  std::size_t answering_step() const { return replay::answering_step(e_); }
  std::size_t strongest_sentence() const;
  /// The first sentence of the last interactive().
  std::size_t top_shown() const { return top_shown_; }
  /// Of the help, as of the last interactive(): its first line.
  std::size_t help_shown() const { return help_shown_; }
  /// Where the channels after those of the last interactive() begin; 0 where those were the last.
  std::size_t next_channel() const { return next_channel_; }

  /// Exactly fits `size`: at most size.rows lines of at most size.columns characters.
  std::vector<std::string> interactive(const Cursor& cursor, const Size& size, const Style& style);
  /// No cursor, as many lines as it takes.
  std::vector<std::string> still(const Size& size, const Style& style) const;

 private:
  using Rows = std::vector<std::vector<double>>;
  /// Which steps are shown, and how.
  struct Frame {
    std::size_t begin = 0, count = 0;  ///< steps
    std::size_t stretch = 1;           ///< columns a step
    std::ptrdiff_t cursor = -1;        ///< step; -1 = none
  };
  struct Block {
    std::string label;
    Rows values;              ///< [rows][steps]
    std::string first, last;  ///< gutter beside the label, or below where it is long, and at the last line
    Scale scale;              ///< the same at every step and for every head
  };
  /// input, target, output; which scored ones there are.
  std::vector<Block> io_blocks() const;
  /// Where bits are wrong, 1; empty where the target is no bits or none is.
  Block wrong_block() const;
  /// A character a step: how many channels are wrong, or of real targets how far off the output is, 0 to 9; "" where
  /// there is no target to compare.
  std::string error_line(const Frame& frame) const;
  Block site_block(std::size_t site) const;
  /// A site's weights, or where `map` is past the sites, a value of the controller's state.
  Block map_block(std::size_t map) const;
  /// Sites, and what is logged of the controller's state.
  std::size_t maps() const;
  Frame frame(const Cursor& cursor, std::size_t columns) const;
  static std::vector<std::string> draw(const Block& block, std::size_t most_rows, const Frame& frame,
                                       const Style& style);
  /// What goes in and out, in at most so many lines.
  std::vector<std::string> io_lines(const Cursor& cursor, std::size_t most, const Frame& frame, const Style& style);
  /// Everything over time, in at most `room` lines.
  std::vector<std::string> map_lines(const Cursor& cursor, std::size_t room, std::size_t columns, const Style& style);
  std::vector<std::string> help_lines(const Cursor& cursor, std::size_t room, std::size_t columns);
  replay::Story story_at(std::size_t step) const;  ///< with words as they can be shown
  std::vector<replay::Answer> answers() const;     ///< so, too
  std::string title() const;
  std::string phase_line(const Frame& frame) const;
  std::vector<std::string> numbers_lines(std::size_t site, std::size_t step, bool focus, std::size_t columns) const;
  /// A head line, then sentences top .. top+count-1, each on one line; hops from `first_hop` on where not all fit.
  std::vector<std::string> story_lines(const replay::Story& story, std::size_t top, std::size_t count,
                                       std::size_t first_hop, std::size_t columns, const Style& style) const;
  std::vector<std::string> story_screen(const Cursor& cursor, std::size_t columns, std::size_t height,
                                        const Style& style);
  /// The words of the steps in lines, that of `step` in brackets and on line `line`; none where steps are no tokens.
  std::vector<std::string> text_lines(std::ptrdiff_t step, std::size_t columns, std::size_t& line) const;
  std::vector<std::string> memory_lines(const Cursor& cursor, std::size_t lines, std::size_t columns,
                                        const Style& style);

  const trace::Reader& reader_;
  std::size_t index_ = 0;
  trace::Episode e_;
  std::map<std::string, replay::SlotRange> used_;  ///< by the axis that sites lie along
  bool rebuilt_ = false;
  std::size_t top_shown_ = 0, help_shown_ = 0, next_channel_ = 0;
  Scale weights_scale_;
  std::vector<std::vector<double>> memory_;  ///< after each step; empty where the trace cannot tell
  double memory_high_ = 0;                   ///< largest number in it at any step
};

}  // namespace mneme::tools
