// Room: trace. The list of datasets of a trace file, made from a Layout: what the writer creates, the reader expects
// and `trace check` demands.
//
// Invariants: columns(layout) and each_column(layout, episode, f) walk the same columns in the same order.
#pragma once

#include "trace/hdf5.hpp"
#include "trace/schema.hpp"

#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace mneme::trace {

/// A shared axis: one dimension scale at the root.
struct AxisSpec {
  std::string name;
  Scalar type = Scalar::i32;
  std::size_t size = 0;                   ///< of a fixed axis
  bool grows = false;                     ///< step, episode, keyframe, item_row, token_row
  std::vector<std::int32_t> values = {};  ///< of a fixed axis; {} = 0, 1, 2, ...
  std::string units = "1", long_name = {};
};

/// One dataset; its first axis grows. Its numbers are finite, keep the promise of `kind`, and lie in [least, most].
struct ColumnSpec {
  std::string path;
  Scalar type = Scalar::f32;
  std::vector<std::string> axes;
  Dims row;  ///< sizes of axes past the first
  std::string units = "1", long_name = {};
  std::vector<std::pair<std::string, std::string>> attributes = {};
  Kind kind = Kind::plain;
  double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();

  bool filtered() const { return axes[0] == "step" || axes[0] == "keyframe"; }
  std::size_t row_size() const {
    std::size_t n = 1;
    for (std::size_t d : row) n *= d;
    return n;
  }
};

std::vector<AxisSpec> axes(const Layout& layout);
/// Columns of an Episode, in the order of each_column().
std::vector<ColumnSpec> columns(const Layout& layout);
/// What the writer derives: /sites/<s>/entropy and argmax, two a site in order; then /items/token_begin if any.
std::vector<ColumnSpec> derived_columns(const Layout& layout);
/// /sites/<s>/initial_weights and initial_<name> of each state that is logged, in the order of each_initial().
std::vector<ColumnSpec> initial_columns(const Layout& layout);
/// /episodes/*.
enum EpisodeColumn {
  kStepBegin,
  kStepCount,
  kKeyframeBegin,
  kKeyframeCount,
  kSequence,
  kSeed,
  kCheckpointHash,
  kLoss,
  kError,
  kCorrect,
  kItemBegin,
  kItemCount,  // only with items
  kEdgeBegin,
  kEdgeCount,  // only with fields along edges; the parameters come last
};
std::vector<ColumnSpec> episode_columns(const Layout& layout);
std::size_t first_param(const Layout& layout);  ///< index of param_<first> in episode_columns

/// Name of a value's dataset inside its group: letters, digits and _, never that of an axis.
std::string dataset_name(const Logged& value, bool inside_site);
/// Fills in what the attribute `kind` says; false where that is nothing known. Schema 1 has "hard" (plain, no gradient
/// flows) and "journaled" (plain, changed in place) there.
bool parse_kind(const std::string& text, Declared& declared);

/// f(vector) for everything that is stored once an episode; E = Episode or const Episode.
template <class E, class F>
void each_initial(const Layout& l, E& e, F&& f) {
  for (std::size_t s = 0; s < l.sites.size(); ++s) {
    f(e.sites[s].initial_weights);
    for (std::size_t v = 0; v < l.sites[s].values.size(); ++v)
      if (l.sites[s].values[v].state && l.logs(l.sites[s].values[v])) f(e.sites[s].initial[v]);
  }
}

/// f(vector) for every column of the episode that the layout logs; E = Episode or const Episode.
template <class E, class F>
void each_column(const Layout& l, E& e, F&& f) {
  if (l.channels_in) f(e.input);
  if (l.channels_out) {
    f(e.target);
    f(e.output);
  }
  f(e.mask);
  f(e.phase);
  if (l.tokens) f(e.token);
  if (l.items) {
    if (l.item_tokens) {
      f(e.items.token_count);
      f(e.items.token);
    }
    if (l.item_width) f(e.items.values);
    if (l.item_support) f(e.items.support);
    if (l.item_truth) f(e.items.truth);
  }
  for (auto& field : e.fields) std::visit(f, field);
  for (std::size_t i = 0; i < l.memory.size(); ++i) {
    if (l.logs(l.memory[i])) f(e.memory[i]);
  }
  for (std::size_t i = 0; i < l.controller.size(); ++i) {
    if (l.logs(l.controller[i])) f(e.controller[i]);
  }
  for (std::size_t s = 0; s < l.sites.size(); ++s) {
    f(e.sites[s].weights);
    for (std::size_t i = 0; i < l.sites[s].values.size(); ++i) {
      if (l.logs(l.sites[s].values[i])) f(e.sites[s].values[i]);
    }
  }
}

}  // namespace mneme::trace
