// Room: trace. See reader.hpp. The checks and dumps are in inspect.cpp.
#include "trace/reader.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "trace/reader_file.hpp"
#include "trace/specs.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <new>
#include <numeric>
#include <stdexcept>

namespace mneme::trace {

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> names;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    names.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return names;
}

namespace {

std::size_t axis_size(const File& f, const char* name) {
  if (!f.exists(name)) return 0;
  const Dims d = f.dims(name);
  if (d.size() != 1) fail<FileError>(f.path(), "dataset {} is not a list", name);
  return d[0];
}

/// Fills in what the attribute `kind` says.
void read_kind(const File& f, const std::string& path, Declared& d) {
  const std::string name = f.text_attr(path, "kind");
  if (!parse_kind(name, d)) fail<FileError>(f.path(), "dataset {}: unknown kind \"{}\"", path, name);
}

Level level_of(const File& f, const std::string& object, const char* attribute) {
  try {
    return parse_level(f.text_attr(object, attribute));
  } catch (const ArgumentError& e) {
    fail<FileError>(f.path(), "attribute {} of {}: {}", attribute, object, e.what());
  }
}

/// A declared value as its dataset and attributes tell it.
Logged load_value(const File& f, const std::string& path) {
  const Dims dims = f.dims(path);
  if (dims.empty()) fail<FileError>(f.path(), "dataset {} is one number, expected rows", path);
  Logged v;
  const std::string full = f.text_attr(path, "declared");
  const std::size_t dot = full.find('.');
  v.declared.name = dot == std::string::npos ? full : full.substr(dot + 1);
  v.declared.site = dot == std::string::npos ? "" : full.substr(0, dot);
  v.declared.dims.assign(dims.begin() + 1, dims.end());
  read_kind(f, path, v.declared);
  if (f.has_attr(path, "trains")) v.declared.trains = f.text_attr(path, "trains") != "no";
  if (f.has_attr(path, "life") && f.text_attr(path, "life") == "in_place") v.declared.life = Life::in_place;
  if (f.has_attr(path, "long_name")) v.declared.doc = f.text_attr(path, "long_name");
  if (f.has_attr(path, "units")) v.units = f.text_attr(path, "units");
  v.level = level_of(f, path, "level");
  // From the text, not from the attached scales: those are references, which HDF5 reads badly when they are damaged.
  v.axes = split_list(f.text_attr(path, "axes"));
  if (v.axes.size() != dims.size()) {
    fail<FileError>(f.path(), "dataset {} has {} axes, its attribute axes names {}", path, dims.size(), v.axes.size());
  }
  v.axes.erase(v.axes.begin());
  return v;
}

/// A field as its dataset and attributes tell it.
FieldLayout load_field(const File& f, const std::string& path) {
  FieldLayout field;
  const Dims dims = f.dims(path);
  const std::vector<std::string> axes = split_list(f.text_attr(path, "axes"));
  const bool fits = (dims.size() == 1 || dims.size() == 2) && axes.size() == dims.size();
  if (!fits)
    fail<FileError>(f.path(), "dataset {} has {} axes, its attribute axes names {}", path, dims.size(), axes.size());
  field.name = path.substr(path.rfind('/') + 1);
  field.axis = axes[0];
  field.width = dims.size() == 2 ? dims[1] : 1;
  field.whole = f.describe(path).type == scalar_name(Scalar::i32);
  if (f.has_attr(path, "long_name")) field.doc = f.text_attr(path, "long_name");
  if (!f.has_attr(path, "bounds")) return field;
  const std::vector<std::string> bounds = split_list(f.text_attr(path, "bounds"));
  if (bounds.size() != 2) fail<FileError>(f.path(), "attribute bounds of {} is no pair", path);
  field.least = std::strtod(bounds[0].c_str(), nullptr);
  field.most = std::strtod(bounds[1].c_str(), nullptr);
  return field;
}

/// The memory's turns; in schema 1 two halves.
std::vector<TurnLayout> load_turns(const File& f, const Layout& l) {
  if (!f.has_attr("/sites", "turns")) {
    const std::string order = f.text_attr("/memory", "step_order");
    if (order != "write-before-read" && order != "read-before-write")
      fail<FileError>(f.path(), "step order \"{}\" is none of read-before-write, write-before-read", order);
    return two_halves(l.sites, order == "write-before-read");
  }
  std::vector<TurnLayout> turns;
  const std::vector<std::string> writing = split_list(f.text_attr("/sites", "turns_that_write"));
  for (const std::string& name : split_list(f.text_attr("/sites", "turns")))
    turns.push_back({name, {}, std::find(writing.begin(), writing.end(), name) != writing.end()});
  for (std::size_t s = 0; s < l.sites.size(); ++s) {
    const std::string group = "/sites/" + l.sites[s].site.name;
    if (!f.has_attr(group, "turn")) continue;
    const std::string name = f.text_attr(group, "turn");
    const auto turn = std::find_if(turns.begin(), turns.end(), [&](const TurnLayout& t) { return t.name == name; });
    if (turn == turns.end()) fail<FileError>(f.path(), "site {} is of the turn {}, which is not listed", group, name);
    turn->sites.push_back(s);
  }
  return turns;
}

std::vector<std::pair<std::string, double>> load_constants(const File& f, const std::string& group) {
  std::vector<std::pair<std::string, double>> constants;
  if (f.has_attr(group, "constants"))
    for (const std::string& name : split_list(f.text_attr(group, "constants")))
      constants.emplace_back(name, f.attr<double>(group, "constant_" + name));
  return constants;
}

Layout load_layout(const File& f) {
  Layout l;
  const auto text = [&](const char* name) { return f.text_attr("/", name); };
  l.producer = text("producer");
  l.git_rev = text("git_rev");
  l.git_dirty = f.attr<std::uint8_t>("/", "git_dirty") != 0;
  l.created_utc = text("created_utc");
  l.run_id = text("run_id");
  l.task = text("task");
  l.model = text("model");
  l.addressing = text("addressing");
  l.phase = text("phase");
  l.checkpoint_step = f.attr<std::int64_t>("/", "checkpoint_step");
  if (f.has_attr("/", "repaired_from")) l.repaired_from = text("repaired_from");
  l.constants = load_constants(f, "/");
  if (f.has_attr("/io", "target_kind")) l.target_kind = f.text_attr("/io", "target_kind");
  if (f.has_attr("/episodes", "error_name")) l.error_name = f.text_attr("/episodes", "error_name");
  l.level = level_of(f, "/", "trace_level");

  l.slots = axis_size(f, "/slot");
  l.cells = axis_size(f, "/cell");
  l.hidden = axis_size(f, "/hidden_unit");
  l.channels_in = axis_size(f, "/channel_in");
  l.channels_out = axis_size(f, "/channel_out");
  l.items = axis_size(f, "/item");
  l.item_width = axis_size(f, "/coordinate");
  if (f.exists("/shift_offset")) {
    const auto offsets = f.read<std::int32_t>("/shift_offset");
    l.shift_offsets.assign(offsets.begin(), offsets.end());
  }
  l.tokens = f.exists("/io/token");
  l.item_tokens = f.exists("/items/token");
  l.item_support = f.exists("/items/support");
  l.item_truth = f.exists("/items/truth");
  if (f.has_attr("/meta", "fields"))
    for (const std::string& path : split_list(f.text_attr("/meta", "fields"))) l.fields.push_back(load_field(f, path));

  l.update = f.text_attr("/memory", "update");
  l.keyframe_position = f.text_attr("/memory", "keyframe_position");
  l.keyframe_every = f.attr<std::int32_t>("/memory", "keyframe_every");
  for (const std::string& name : split_list(f.text_attr("/memory", "values"))) {
    l.memory.push_back(load_value(f, "/memory/" + name));
  }
  if (f.exists("/controller")) {
    for (const std::string& name : split_list(f.text_attr("/controller", "values"))) {
      l.controller.push_back(load_value(f, "/controller/" + name));
    }
  }
  for (const std::string& name : split_list(f.text_attr("/sites", "order"))) {
    const std::string group = "/sites/" + name;
    SiteLayout s;
    s.site.name = name;
    s.site.kind = f.text_attr(group, "kind");
    s.site.addressing = f.text_attr(group, "addressing");
    if (f.has_attr(group, "similarity")) s.site.parts.similarity = f.text_attr(group, "similarity");
    if (f.has_attr(group, "normalizer")) s.site.parts.normalizer = f.text_attr(group, "normalizer");
    if (f.has_attr(group, "moves")) s.site.parts.moves = split_list(f.text_attr(group, "moves"));
    s.site.parts.constants = load_constants(f, group);
    s.site.slot_axis = f.text_attr(group, "slot_axis");
    if (f.has_attr(group, "looks_at")) s.site.looks_at = f.text_attr(group, "looks_at");
    const std::string encoding = f.text_attr(group, "encoding_type");
    if (encoding != "dense") {
      fail<FileError>(f.path(), "site {} is encoded as \"{}\"; this version reads dense", name, encoding);
    }
    if (!f.exists(group + "/weights")) fail<FileError>(f.path(), "dataset {}/weights is missing", group);
    Declared weights;
    read_kind(f, group + "/weights", weights);
    s.weights_kind = weights.kind;
    for (const std::string& value : split_list(f.text_attr(group, "values"))) {
      s.values.push_back(load_value(f, group + "/" + value));
      s.values.back().state = f.exists(group + "/initial_" + value);
    }
    if (s.site.slot_axis != "slot" && s.site.slot_axis != "item")
      s.size = axis_size(f, ("/" + s.site.slot_axis).c_str());
    l.sites.push_back(std::move(s));
  }
  l.turns = load_turns(f, l);
  for (const std::string& name : split_list(f.text_attr("/episodes", "params"))) {
    const std::string path = "/episodes/param_" + name;
    l.episode_params.push_back({name, f.type(path) == "i32", f.text_attr(path, "long_name")});
  }
  l.config_ini = f.read_text("/meta/config_ini");
  l.config_json = f.read_text("/meta/config_json");
  l.env_json = f.read_text("/meta/env_json");
  if (f.exists("/meta/vocab")) l.vocab = f.read_lines("/meta/vocab");
  if (f.exists("/meta/classes")) l.classes = f.read_lines("/meta/classes");
  return l;
}

/// The dataset of a column, with the shape and class that the layout promises.
Dataset open_column(const File& f, const ColumnSpec& c) {
  Dataset d = f.dataset(c.path);
  Dims want = c.row;
  want.insert(want.begin(), d.dims().empty() ? 0 : d.dims()[0]);
  if (d.dims() != want) {
    fail<FileError>(f.path(), "dataset {} has shape [{}], expected [rows{}{}]", c.path, join(d.dims(), ", "),
                    c.row.empty() ? "" : ", ", join(c.row, ", "));
  }
  f.expect_class(d, c.type);
  return d;
}

}  // namespace

File open_trace(const std::filesystem::path& path, std::string& version) {
  File f = File::open(path);
  if (!f.has_attr("/", "format") || f.text_attr("/", "format") != kFormat) {
    fail<FileError>(f.path(), "is not a mneme trace (an HDF5 file without the attribute format=\"{}\")", kFormat);
  }
  version = f.text_attr("/", "schema_version");
  char* end = nullptr;
  const long major = std::strtol(version.c_str(), &end, 10);
  if (end == version.c_str() || *end != '.' || major < 1) {
    fail<FileError>(f.path(), "schema version \"{}\" makes no sense", version);
  }
  if (major > kSchemaMajor) {
    fail<FileError>(f.path(), "has schema version {}, newer than the {} that this program reads: use a newer mneme",
                    version, kSchemaVersion);
  }
  return f;
}

struct Reader::Impl {
  std::string version;  // before file: opening fills it in
  File file;
  Layout layout;
  bool complete = false, exhausted = false;
  std::vector<ColumnSpec> specs, initial_specs;
  std::vector<Dataset> columns;  // as each_column
  std::vector<Dataset> initial;  // as each_initial
  std::vector<Dataset> derived;  // as derived_columns
  Dataset keyframe;
  mutable std::map<std::string, Dataset> scales;  // kept open, so that HDF5 unpacks a chunk once
  std::vector<std::int64_t> ids, step_begin, keyframe_begin, sequence, item_begin, edge_begin;
  std::vector<std::int32_t> step_count, keyframe_count, item_count, edge_count;
  std::vector<std::uint64_t> seed, hash;
  std::vector<float> loss, error;
  std::vector<std::uint8_t> correct;
  std::vector<std::vector<double>> params;
  std::size_t episodes = 0, steps = 0;

  explicit Impl(const std::filesystem::path& path) : file(open_trace(path, version)) {
    for (const char* group : {"/episodes", "/io", "/memory", "/sites", "/meta"}) {
      if (!file.is_group(group)) fail<FileError>(file.path(), "group {} is missing", group);
    }
    layout = load_layout(file);
    try {
      validate(layout);
    } catch (const ArgumentError& e) {
      fail<FileError>(file.path(), "does not fit together: {}", e.what());
    }
    complete = file.read_scalar<std::uint8_t>("/meta/complete") != 0;
    exhausted = file.has_attr("/", "budget_exhausted") && file.attr<std::uint8_t>("/", "budget_exhausted") != 0;
    specs = trace::columns(layout);
    for (const ColumnSpec& c : specs) columns.push_back(open_column(file, c));
    initial_specs = initial_columns(layout);
    for (const ColumnSpec& c : initial_specs) initial.push_back(open_column(file, c));
    for (const ColumnSpec& c : derived_columns(layout)) derived.push_back(open_column(file, c));
    if (layout.logs_memory()) keyframe = open_column(file, {"/keyframe", Scalar::i64, {"keyframe"}, {}});
    load_table();
    count_committed();
  }

  void load_table() {
    const std::vector<ColumnSpec> table = episode_columns(layout);
    for (const ColumnSpec& c : table) open_column(file, c);
    open_column(file, {"/episode", Scalar::i64, {"episode"}, {}});
    ids = file.read<std::int64_t>("/episode");
    step_begin = file.read<std::int64_t>(table[kStepBegin].path);
    step_count = file.read<std::int32_t>(table[kStepCount].path);
    keyframe_begin = file.read<std::int64_t>(table[kKeyframeBegin].path);
    keyframe_count = file.read<std::int32_t>(table[kKeyframeCount].path);
    sequence = file.read<std::int64_t>(table[kSequence].path);
    seed = file.read<std::uint64_t>(table[kSeed].path);
    hash = file.read<std::uint64_t>(table[kCheckpointHash].path);
    loss = file.read<float>(table[kLoss].path);
    error = file.read<float>(table[kError].path);
    correct = file.read<std::uint8_t>(table[kCorrect].path);
    episodes = std::min({ids.size(), step_begin.size(), step_count.size(), keyframe_begin.size(), keyframe_count.size(),
                         sequence.size(), seed.size(), hash.size(), loss.size(), error.size(), correct.size()});
    if (layout.items) {
      item_begin = file.read<std::int64_t>(table[kItemBegin].path);
      item_count = file.read<std::int32_t>(table[kItemCount].path);
      episodes = std::min({episodes, item_begin.size(), item_count.size()});
    }
    if (layout.has_edges()) {
      edge_begin = file.read<std::int64_t>(table[kEdgeBegin].path);
      edge_count = file.read<std::int32_t>(table[kEdgeCount].path);
      episodes = std::min({episodes, edge_begin.size(), edge_count.size()});
    }
    for (std::size_t p = 0; p < layout.episode_params.size(); ++p) {
      const ColumnSpec& c = table[first_param(layout) + p];
      std::vector<double> values;
      if (c.type == Scalar::i32) {
        const auto stored = file.read<std::int32_t>(c.path);
        values.assign(stored.begin(), stored.end());
      } else {
        const auto stored = file.read<float>(c.path);
        values.assign(stored.begin(), stored.end());
      }
      episodes = std::min(episodes, values.size());
      params.push_back(std::move(values));
    }
    for (const Dataset& d : initial) episodes = std::min(episodes, d.row_count());
  }

  /// Rows that are there along an axis: of the shortest dataset.
  std::size_t rows_there(const std::string& axis) const {
    std::size_t rows = std::numeric_limits<std::size_t>::max();
    if (axis == "keyframe" && layout.logs_memory()) rows = keyframe.row_count();
    for (std::size_t i = 0; i < specs.size(); ++i)
      if (specs[i].axes[0] == axis) rows = std::min(rows, columns[i].row_count());
    return rows;
  }

  /// An episode counts when all its rows are there. After a kill the table may be a row ahead, never in the middle.
  void count_committed() {
    struct Axis {
      const char* name;
      const std::vector<std::int64_t>& begin;
      const std::vector<std::int32_t>& count;
      std::size_t there, most;
      std::int64_t end = 0;
    };
    const std::size_t any = std::numeric_limits<std::size_t>::max();
    std::vector<Axis> owned = {{"step", step_begin, step_count, rows_there("step"), any},
                               {"keyframe", keyframe_begin, keyframe_count, rows_there("keyframe"), any}};
    if (layout.items) owned.push_back({"item", item_begin, item_count, rows_there("item_row"), layout.items});
    if (layout.has_edges()) owned.push_back({"edge", edge_begin, edge_count, rows_there("edge_row"), any});
    const std::size_t listed = episodes;
    for (episodes = 0; episodes < listed; ++episodes) {
      const std::size_t e = episodes;
      for (const Axis& a : owned) {
        const std::int64_t begin = a.begin[e], count = a.count[e], least = a.name == owned[0].name ? 1 : 0;
        const bool inside = begin >= a.end && static_cast<std::uint64_t>(begin) <= a.there && count >= least &&
                            static_cast<std::uint64_t>(count) <= a.there - static_cast<std::uint64_t>(begin) &&
                            static_cast<std::uint64_t>(count) <= a.most;
        if (inside) continue;
        if (!complete) return;
        fail<FileError>(
            file.path(),
            "dataset /episodes: episode {} owns {}s {} to {} by {}_begin and {}_count, which cannot be: the "
            "one before it ends at {}, the file at {}{}",
            e, a.name, begin, begin + count, a.name, a.name, a.end, a.there,
            a.most == any ? "" : fmt::format(", and an episode has at most {}", a.most));
      }
      for (Axis& a : owned) a.end = a.begin[e] + a.count[e];
      steps += static_cast<std::size_t>(step_count[e]);
    }
  }

  void expect(std::size_t i) const {
    if (i >= episodes) fail<ArgumentError>(file.path(), "there is no episode {}: it holds {}", i, episodes);
  }

  void load_row(std::size_t i, Episode& e) const {
    e.id = ids[i];
    e.sequence = sequence[i];
    e.seed = seed[i];
    e.checkpoint_hash = hash[i];
    e.loss = loss[i];
    e.error = error[i];
    e.correct = correct[i] != 0;
    e.steps = static_cast<std::size_t>(step_count[i]);
    e.params.resize(params.size());
    for (std::size_t p = 0; p < params.size(); ++p) e.params[p] = params[p][i];
    e.items.count = layout.items ? static_cast<std::size_t>(item_count[i]) : 0;
    e.items.edges = layout.has_edges() ? static_cast<std::size_t>(edge_count[i]) : 0;
  }

  void load(std::size_t i, Episode& e) const {
    const auto keyframes = static_cast<std::size_t>(keyframe_count[i]);
    expect_plausible(i);
    e.resize(layout, static_cast<std::size_t>(step_count[i]), keyframes,
             layout.items ? static_cast<std::size_t>(item_count[i]) : 0,
             layout.has_edges() ? static_cast<std::size_t>(edge_count[i]) : 0);
    load_row(i, e);
    std::size_t token_first = 0, tokens = 0;
    std::size_t k = 0;
    each_column(layout, e, [&](auto& values) {
      using T = typename std::decay_t<decltype(values)>::value_type;
      const Dataset& d = columns[k];
      const std::string& axis = specs[k].axes[0];
      ++k;
      std::size_t begin = 0, rows = 0;
      if (axis == "step") {
        begin = static_cast<std::size_t>(step_begin[i]);
        rows = e.steps;
      } else if (axis == "keyframe") {
        begin = static_cast<std::size_t>(keyframe_begin[i]);
        rows = keyframes;
      } else if (axis == "item_row") {
        begin = static_cast<std::size_t>(item_begin[i]);
        rows = e.items.count;
      } else if (axis == "edge_row") {
        begin = static_cast<std::size_t>(edge_begin[i]);
        rows = e.items.edges;
      } else {
        begin = token_first;
        rows = tokens;
        values.resize(rows);
      }
      if (rows == 0) return;
      d.read(begin, rows, scalar_of<T>(), values.data());
      if (d.name() == "/items/token_count") {
        std::int64_t first = 0;
        derived.back().read(begin, 1, Scalar::i64, &first);  // /items/token_begin is the last
        for (std::int32_t n : e.items.token_count) tokens += n > 0 ? static_cast<std::size_t>(n) : 0;
        const std::size_t there = columns[k].row_count();  // /items/token comes next
        if (first < 0 || static_cast<std::size_t>(first) > there || tokens > there - static_cast<std::size_t>(first)) {
          fail<FileError>(file.path(), "dataset /items/token_count: episode {} has tokens past the end", i);
        }
        token_first = static_cast<std::size_t>(first);
        expect_room(specs[k], tokens);
      }
    });
    std::size_t c = 0;
    each_initial(layout, e, [&](auto& values) { initial[c++].read(i, 1, Scalar::f32, values.data()); });
    if (keyframes > 0) {
      keyframe.read(static_cast<std::size_t>(keyframe_begin[i]), keyframes, Scalar::i64, e.keyframes.data());
      for (std::int64_t& t : e.keyframes) {
        t -= step_begin[i];
        if (t < 0 || t >= step_count[i]) {
          fail<FileError>(file.path(), "dataset /keyframe: a keyframe of episode {} lies at step {} of {}", i, t,
                          step_count[i]);
        }
      }
    }
  }

  const Dataset& scale(const char* name, Scalar type) const {
    Dataset& d = scales[name];
    if (d.name().empty()) d = open_column(file, {std::string("/") + name, type, {name}, {}});
    return d;
  }

  void load_derived(std::size_t i, const Episode& e, Derived& d) const {
    const auto first = static_cast<std::size_t>(step_begin[i]);
    const auto read = [](const Dataset& from, std::size_t begin, std::size_t rows, auto& into) {
      into.resize(rows);
      if (rows) from.read(begin, rows, scalar_of<typename std::decay_t<decltype(into)>::value_type>(), into.data());
    };
    d.entropy.resize(layout.sites.size());
    d.argmax.resize(layout.sites.size());
    for (std::size_t s = 0; s < layout.sites.size(); ++s) {
      read(derived[2 * s], first, e.steps, d.entropy[s]);
      read(derived[2 * s + 1], first, e.steps, d.argmax[s]);
    }
    read(scale("step", Scalar::i32), first, e.steps, d.step);
    if (layout.has_edges())
      read(scale("edge_row", Scalar::i64), static_cast<std::size_t>(edge_begin[i]), e.items.edges, d.edge_row);
    if (!layout.items) return;
    const auto item = static_cast<std::size_t>(item_begin[i]);
    read(scale("item_row", Scalar::i64), item, e.items.count, d.item_row);
    if (!layout.item_tokens) return;
    read(derived.back(), item, e.items.count, d.token_begin);
    d.token_row.clear();
    if (e.items.count)
      read(scale("token_row", Scalar::i64), static_cast<std::size_t>(d.token_begin[0]), e.items.token.size(),
           d.token_row);
  }

  /// Rows of an axis that the i-th episode owns; of token_row one, for only its items say how many it owns.
  std::uint64_t rows_of(const std::string& axis, std::size_t i) const {
    if (axis == "step") return static_cast<std::uint64_t>(step_count[i]);
    if (axis == "keyframe") return static_cast<std::uint64_t>(keyframe_count[i]);
    if (axis == "item_row") return static_cast<std::uint64_t>(item_count[i]);
    if (axis == "edge_row") return static_cast<std::uint64_t>(edge_count[i]);
    return 1;
  }

  /// A damaged extent must not make us ask for more memory than there is.
  void expect_room(const ColumnSpec& c, std::uint64_t rows) const {
    std::uint64_t bytes = scalar_size(c.type), most = 1100 * file.size() + 65536;
    bool fits = !__builtin_mul_overflow(bytes, rows, &bytes);
    for (const std::size_t d : c.row) fits = fits && !__builtin_mul_overflow(bytes, std::uint64_t{d}, &bytes);
    if (!fits || bytes > most) fail<FileError>(file.path(), "dataset {} promises more than the file can hold", c.path);
  }
  void expect_plausible(std::size_t i) const {
    for (const ColumnSpec& c : specs) expect_room(c, rows_of(c.axes[0], i));
    for (const ColumnSpec& c : initial_specs) expect_room(c, 1);
  }

  /// f(), which reads. FileError where there is no memory for what the file promises.
  template <class F>
  void reading(std::size_t i, F f) const {
    try {
      f();
    } catch (const std::bad_alloc&) {
      fail<FileError>(file.path(), "episode {} promises more than fits in memory", i);
    } catch (const std::length_error&) {
      fail<FileError>(file.path(), "episode {} promises more than fits in memory", i);
    }
  }
};

Reader::Reader(const std::filesystem::path& path) try : impl_(std::make_unique<Impl>(path)) {
} catch (const std::bad_alloc&) {
  fail<FileError>(path.string(), "promises more than fits in memory");
} catch (const std::length_error&) {
  fail<FileError>(path.string(), "promises more than fits in memory");
}

Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

const std::string& Reader::path() const {
  return impl_->file.path();
}
const Layout& Reader::layout() const {
  return impl_->layout;
}
const std::string& Reader::version() const {
  return impl_->version;
}
std::size_t Reader::episodes() const {
  return impl_->episodes;
}
std::size_t Reader::steps() const {
  return impl_->steps;
}
bool Reader::complete() const {
  return impl_->complete;
}
bool Reader::budget_exhausted() const {
  return impl_->exhausted;
}

std::size_t Reader::step_count(std::size_t i) const {
  impl_->expect(i);
  return static_cast<std::size_t>(impl_->step_count[i]);
}

Episode Reader::episode(std::size_t i) const {
  Episode e;
  episode(i, e);
  return e;
}

void Reader::episode(std::size_t i, Episode& into) const {
  impl_->expect(i);
  impl_->reading(i, [&] { impl_->load(i, into); });
}

void Reader::derived(std::size_t i, const Episode& episode, Derived& into) const {
  impl_->expect(i);
  impl_->reading(i, [&] { impl_->load_derived(i, episode, into); });
}

std::pair<std::size_t, std::size_t> Reader::rows(std::size_t i, bool of_keyframes) const {
  impl_->expect(i);
  const std::int64_t begin = (of_keyframes ? impl_->keyframe_begin : impl_->step_begin)[i];
  const std::int32_t count = (of_keyframes ? impl_->keyframe_count : impl_->step_count)[i];
  return {static_cast<std::size_t>(begin), static_cast<std::size_t>(begin + count)};
}

const File& Reader::file() const {
  return impl_->file;
}

Episode Reader::summary(std::size_t i) const {
  impl_->expect(i);
  Episode e;
  impl_->load_row(i, e);
  return e;
}

}  // namespace mneme::trace
