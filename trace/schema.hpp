// Room: trace. What a trace file holds (Layout) and one logged episode (Episode). Schema version 2.1.0,
// docs/trace_format.md.
//
// For: whoever logs (experiments) and whoever reads (replay, tools). Memories and controllers never see it: their
// declarations (core/declared.hpp) are the layout.
// Invariants: every array is row-major over [step or keyframe, the declared dims]; slots come first: contents is N x M
// as in the papers. A column whose level is above Layout::level is not in the file and stays empty.
#pragma once

#include "core/declared.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mneme::trace {

inline constexpr int kSchemaMajor = 2;
inline constexpr const char* kSchemaVersion = "2.1.0";
inline constexpr const char* kFormat = "mneme-trace";

/// How much is logged. Each level holds the ones before it.
/// weights: io, weights, entropy, argmax; params: head parameters and memory keyframes; full: the weightings between
/// (similarity, content, gated, shifted) and controller state.
enum class Level { off, weights, params, full };
const char* level_name(Level level);
Level parse_level(const std::string& name);  ///< ArgumentError lists the levels

/// A declared value that is logged at `level` and above.
struct Logged {
  Declared declared;
  Level level = Level::params;
  /// Names of the axes of declared.dims: slot, cell, hidden_unit, channel_in, channel_out, shift_offset, item, or a
  /// name of its own. {} = found from name and sizes; an axis that fits none gets a scale named after the value.
  std::vector<std::string> axes = {};
  std::string units = "1";
  /// Of a site: a state, so what stands before the first step is stored too. No file of schema 1 says so.
  bool state = false;
};

/// A head, hop or pointer: its weights are always logged; `values` are its parameters, state and stages.
struct SiteLayout {
  Site site;
  Kind weights_kind = Kind::weights;
  std::vector<Logged> values = {};
  std::size_t size = 0;  ///< of its slot_axis, where that is neither "slot" nor "item"
};

/// A part of a step: a memory's turn, its sites by number.
struct TurnLayout {
  std::string name;
  std::vector<std::size_t> sites = {};
  bool writes = false;
};

/// One number per episode that tells episodes apart: length, repeats, ... (dataset /episodes/param_<name>).
struct EpisodeParam {
  std::string name;
  bool integer = true;
  std::string doc = {};
};

/// What a task gives or wants beside the columns that every trace may have: numbers of each step, item or edge (dataset
/// /io/<name> for steps, else /items/<name>). Edges are pairs of items, so they come with items.
struct FieldLayout {
  std::string name;       ///< "edges", "target_values"
  std::string axis;       ///< step, item_row or edge_row
  std::size_t width = 1;  ///< numbers of one
  bool whole = false;     ///< stored as i32, else f32
  std::string doc = {};
  double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();

  std::string path() const { return (axis == "step" ? "/io/" : "/items/") + name; }
};

struct Layout {
  // Root attributes.
  std::string producer = "mneme";
  std::string git_rev = {};
  bool git_dirty = false;
  std::string created_utc = {};  ///< filled in by the writer when empty
  std::string run_id = {};       ///< 16 hex digits
  std::string task = {};
  std::string model = {};
  std::string addressing = {};
  std::string phase = "train";  ///< train | eval | replay
  std::int64_t checkpoint_step = 0;
  std::string repaired_from = {};  ///< the file of which this one is a mended copy; "" = none
  Level level = Level::params;

  // Sizes of the shared axes; 0 = none.
  std::size_t slots = 0, cells = 0, hidden = 0;
  std::size_t channels_in = 0, channels_out = 0;
  std::size_t items = 0;                ///< most items (sentences, points) in an episode
  std::vector<int> shift_offsets = {};  ///< {-1, 0, 1}
  bool tokens = false;                  ///< /io/token
  std::size_t item_width = 0;           ///< numbers per item; a point has 2
  bool item_tokens = false, item_support = false, item_truth = false;

  std::vector<FieldLayout> fields = {};

  // Where attention is paid, in the order of the model's declaration, and the memory's turns in the order of a step. A
  // site in no turn (a pointer) is visited when the steps are done.
  std::vector<SiteLayout> sites = {};
  std::vector<TurnLayout> turns = {};

  // Memory: "contents" and whatever else the memory keeps, all stored at keyframes.
  std::string update = "none";                     ///< rule that rebuilds contents between keyframes: "ntm-erase-add"
  std::string keyframe_position = "before_write";  ///< or "after_write": of the step that the keyframe names
  int keyframe_every = 0;                          ///< steps; 0 = only at an episode's first step
  std::vector<Logged> memory = {};
  std::vector<Logged> controller = {};  ///< stored at every step

  /// Numbers that the rules need besides their parameters (cosine_epsilon, sharpen_epsilon), so that replay needs no
  /// constant from elsewhere: f64 attributes constant_<name> of the root.
  std::vector<std::pair<std::string, double>> constants = {};
  std::string target_kind = {};  ///< bits, classes, pointer, real: attribute of /io; "" = not said
  std::string error_name = {};   ///< what /episodes/error counts ("wrong_bits_per_sequence"); "" = not said

  std::vector<EpisodeParam> episode_params = {};
  std::string config_ini = {}, config_json = {}, env_json = {};
  std::vector<std::string> vocab = {};    ///< word of each token; {} = tokens are only numbers
  std::vector<std::string> classes = {};  ///< name of each class of the target, channels_out of them; {} = none

  /// Weights in one row of this site: slots or items.
  std::size_t width(const SiteLayout& s) const {
    return s.site.slot_axis == "item" ? items : s.site.slot_axis == "slot" ? slots : s.size;
  }
  bool logs(const Logged& v) const { return v.level <= level && v.declared.life != Life::rebuilt; }
  bool logs_memory() const;
  bool has_edges() const;  ///< a field is along edges
  /// A token or class in words: "kitchen", or "#17" where there is no name.
  std::string word(std::int32_t token) const;
  std::string class_name(std::size_t k) const;
  /// Index of the site or value; -1 = none. For readers that look one up by name.
  int find_site(const std::string& name) const;
  static int find(const std::vector<Logged>& values, const std::string& full_or_plain_name);
};

/// The turns of schema 1: write sites in one, all others in another.
std::vector<TurnLayout> two_halves(const std::vector<SiteLayout>& sites, bool write_first);

/// Names unique and legal, sizes positive where used. ArgumentError says which is not.
void validate(const Layout& layout);

/// One site's rows of one episode.
struct SiteRows {
  std::vector<float> weights;               ///< [steps, width]
  std::vector<float> initial_weights;       ///< [width]: w_0, before the first step
  std::vector<std::vector<float>> values;   ///< as SiteLayout::values: [steps, dims]
  std::vector<std::vector<float>> initial;  ///< as values: [dims] of those that are state, before the first step
};

/// One field's numbers, row by row.
using FieldRows = std::variant<std::vector<float>, std::vector<std::int32_t>>;

/// The sentences or points of one episode. Flat; what the layout does not declare stays empty.
struct ItemRows {
  std::size_t count = 0;
  std::vector<std::int32_t> token_count;  ///< [count]
  std::vector<std::int32_t> token;        ///< [sum of token_count]
  std::vector<float> values;              ///< [count, item_width]
  std::vector<std::uint8_t> support;      ///< [count]
  std::vector<std::int32_t> truth;        ///< [count]
  std::size_t edges = 0;                  ///< of a graph of the items
};

/// One episode: one row of a batch. Reuse the object: resize() keeps the buffers.
struct Episode {
  std::int64_t id = -1;       ///< given by the sink; read back from /episode
  std::int64_t sequence = 0;  ///< number of the training sequence (or evaluation episode)
  std::uint64_t seed = 0;
  std::uint64_t checkpoint_hash = 0;  ///< of the parameters that made it
  float loss = 0.0f, error = 0.0f;
  bool correct = false;
  std::size_t steps = 0;
  std::vector<double> params;  ///< as Layout::episode_params

  std::vector<float> input, target, output;    ///< [steps, channels]
  std::vector<std::uint8_t> mask, phase;       ///< [steps]; phase 0 input, 1 delimiter, 2 answer
  std::vector<std::int32_t> token;             ///< [steps]
  std::vector<SiteRows> sites;                 ///< as Layout::sites
  std::vector<std::int64_t> keyframes;         ///< step within the episode, rising, the first is 0
  std::vector<std::vector<float>> memory;      ///< as Layout::memory: [keyframes, dims]
  std::vector<std::vector<float>> controller;  ///< as Layout::controller: [steps, dims]
  ItemRows items;
  std::vector<FieldRows> fields;  ///< as Layout::fields: [steps, items or edges, width]

  /// Sizes every column that `layout` logs (zeros where new) and empties the others; `item_count` items without tokens.
  void resize(const Layout& layout, std::size_t step_count, std::size_t keyframe_count, std::size_t item_count = 0,
              std::size_t edge_count = 0);
  /// Rows that a field has in this episode.
  std::size_t rows_of(const FieldLayout& field) const {
    return field.axis == "step" ? steps : field.axis == "item_row" ? items.count : items.edges;
  }
};

/// What a number of Episode::phase is called: "input", "delimiter", "answer"; the number itself where it is none.
std::string phase_name(std::uint8_t phase);

/// Steps of an episode at which a keyframe stands: 0, every, 2 every, ...
std::vector<std::int64_t> keyframe_steps(const Layout& layout, std::size_t steps);

}  // namespace mneme::trace
