// Room: trace. See specs.hpp.
#include "trace/specs.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace mneme::trace {
namespace {

constexpr double most_i32 = std::numeric_limits<std::int32_t>::max();
constexpr double rounding = 1e-5;  // of a probability that float32 arithmetic made

/// The axes of a layout while its columns are being listed: those with a name of their own are found on the way.
class AxisBook {
 public:
  explicit AxisBook(const Layout& l) {
    const auto grows = [this](const char* name, Scalar type, const char* long_name) {
      axes_.push_back({name, type, 0, true, {}, "1", long_name});
    };
    grows("step", Scalar::i32, "time step within the episode");
    grows("episode", Scalar::i64, "episode id");
    if (l.logs_memory()) grows("keyframe", Scalar::i64, "row of /step that the keyframe belongs to");
    if (l.items) grows("item_row", Scalar::i64, "item within the episode");
    if (l.has_edges()) grows("edge_row", Scalar::i64, "edge within the episode");
    if (l.items && l.item_tokens) grows("token_row", Scalar::i64, "token within the item");
    const auto fixed = [this](const char* name, std::size_t size, const char* long_name) {
      if (size) axes_.push_back({name, Scalar::i32, size, false, {}, "1", long_name});
    };
    fixed("slot", l.slots, "memory slot");
    fixed("cell", l.cells, "column of the memory matrix");
    fixed("hidden_unit", l.hidden, "unit of the controller");
    fixed("channel_in", l.channels_in, "input channel");
    fixed("channel_out", l.channels_out, "output channel");
    fixed("shift_offset", l.shift_offsets.size(), "offset of the shift kernel");
    if (!l.shift_offsets.empty()) axes_.back().values.assign(l.shift_offsets.begin(), l.shift_offsets.end());
    fixed("item", l.items, "item of the episode");
    fixed("coordinate", l.item_width, "coordinate of an item");
    fixed("word", l.vocab.size(), "token id");
  }

  std::size_t size(const std::string& name) const {
    for (const AxisSpec& a : axes_) {
      if (a.name == name && !a.grows) return a.size;
    }
    return 0;
  }

  void want(const std::string& name, std::size_t size, const std::string& for_what) {
    static const std::set<std::string> groups = {"episodes", "io", "items", "memory", "controller", "sites", "meta"};
    for (const AxisSpec& a : axes_) {
      if (a.name != name) continue;
      if (a.grows || a.size != size) {
        fail<ArgumentError>("trace", "axis {} of {} has size {}, but {} is {}", name, for_what, size, name,
                            a.grows ? "a row axis" : "of size " + std::to_string(a.size));
      }
      return;
    }
    if (groups.count(name) || size == 0) {
      fail<ArgumentError>("trace", "axis {} of {}: {}", name, for_what,
                          size == 0 ? "its size is 0" : "a group has that name");
    }
    axes_.push_back({name, Scalar::i32, size, false, {}, "1", "index along " + name});
  }

  /// The axis names of a declared value.
  std::vector<std::string> name(const Logged& v, const Site* site) {
    const Declared& d = v.declared;
    const std::string what = d.full_name();
    if (!v.axes.empty() && v.axes.size() != d.dims.size()) {
      fail<ArgumentError>("trace", "{} has {} dims, but {} axis names", what, d.dims.size(), v.axes.size());
    }
    std::vector<std::string> names;
    for (std::size_t i = 0; i < d.dims.size(); ++i) {
      std::string axis = v.axes.empty() ? guess(d, i, site) : v.axes[i];
      if (std::find(names.begin(), names.end(), axis) != names.end()) axis.clear();  // links [N, N]: one of them is new
      if (axis.empty()) axis = own(d, i, site);
      want(axis, d.dims[i], what);
      names.push_back(axis);
    }
    return names;
  }

  std::vector<AxisSpec> take() { return std::move(axes_); }

 private:
  bool is(const char* axis, std::size_t n) const { return size(axis) == n && n > 0; }

  /// By what the value is, then by its size; "" = an axis of its own.
  std::string guess(const Declared& d, std::size_t i, const Site* site) const {
    const std::size_t n = d.dims[i];
    const bool last = i + 1 == d.dims.size();
    const char* rows = site && site->slot_axis == "item" ? "item" : "slot";
    const bool over_rows = d.kind == Kind::weights || d.kind == Kind::sub_weights || d.kind == Kind::usage;
    static const std::set<std::string> wide = {"key", "erase", "add", "read", "value", "write_vector"};
    if (d.name.find("shift") != std::string::npos && last && is("shift_offset", n)) return "shift_offset";
    if (last && over_rows && is(rows, n)) return rows;
    if (last && (wide.count(d.name) || d.dims.size() > 1) && is("cell", n)) return "cell";
    for (const char* axis : {rows, "slot", "item", "cell"}) {
      if (is(axis, n)) return axis;
    }
    if (!site && last && is("hidden_unit", n)) return "hidden_unit";
    return "";
  }

  std::string own(const Declared& d, std::size_t i, const Site* site) const {
    std::string base = d.name;
    std::replace(base.begin(), base.end(), '.', '_');
    std::string axis = base + "_axis" + (d.dims.size() > 1 ? std::to_string(i) : "");
    const auto taken = [&] { return size(axis) != 0 && size(axis) != d.dims[i]; };
    if (taken()) axis = (site ? site->name : d.site.empty() ? "state" : d.site) + "_" + axis;
    if (taken()) axis += "_" + std::to_string(d.dims[i]);
    return axis;
  }

  std::vector<AxisSpec> axes_;
};

ColumnSpec value_column(AxisBook& book, const Logged& v, const char* first_axis, const std::string& group,
                        const Site* site) {
  ColumnSpec c;
  c.path = group + "/" + dataset_name(v, site != nullptr);
  c.axes = book.name(v, site);
  c.axes.insert(c.axes.begin(), first_axis);
  c.row = v.declared.dims;
  c.units = v.units;
  c.long_name = v.declared.doc.empty() ? v.declared.name : v.declared.doc;
  c.kind = v.declared.kind;
  const std::string declared = site ? site->name + "." + v.declared.name : v.declared.full_name();
  c.attributes = {{"kind", kind_name(v.declared.kind)}, {"level", level_name(v.level)}, {"declared", declared}};
  if (!v.declared.trains) c.attributes.emplace_back("trains", "no");
  if (v.declared.life == Life::in_place) c.attributes.emplace_back("life", "in_place");
  return c;
}

std::vector<ColumnSpec> walk(const Layout& l, AxisBook& book) {
  std::vector<ColumnSpec> out;
  const auto add = [&](std::string path, Scalar type, std::vector<std::string> axes, const char* long_name) {
    ColumnSpec c{std::move(path), type, std::move(axes), {}, "1", long_name};
    for (std::size_t i = 1; i < c.axes.size(); ++i) c.row.push_back(book.size(c.axes[i]));
    out.push_back(std::move(c));
  };
  const auto within = [&](double least, double most) {
    out.back().least = least;
    out.back().most = most;
  };
  const double last_word = l.vocab.empty() ? most_i32 : static_cast<double>(l.vocab.size()) - 1;
  const bool shares = l.target_kind == "bits" || l.target_kind == "classes" || l.target_kind == "pointer";
  if (l.channels_in) add("/io/input", Scalar::f32, {"step", "channel_in"}, "input x_t");
  if (l.channels_out) {
    add("/io/target", Scalar::f32, {"step", "channel_out"}, "target");
    if (shares) within(0, 1);
    add("/io/output", Scalar::f32, {"step", "channel_out"}, "output y_t");
    if (shares) within(0, 1 + rounding);
  }
  add("/io/mask", Scalar::u8, {"step"}, "1 where the step is scored");
  within(0, 1);
  add("/io/phase", Scalar::u8, {"step"}, "0 input, 1 delimiter, 2 answer");
  within(0, 2);
  if (l.tokens) {
    add("/io/token", Scalar::i32, {"step"}, "token id");
    within(-1, last_word);
    if (!l.vocab.empty()) out.back().attributes = {{"vocab", "/meta/vocab"}};
  }
  if (l.items) {
    if (l.item_tokens) {
      add("/items/token_count", Scalar::i32, {"item_row"}, "tokens of the item");
      within(0, most_i32);
      add("/items/token", Scalar::i32, {"token_row"}, "token id");
      within(0, last_word);
      if (!l.vocab.empty()) out.back().attributes = {{"vocab", "/meta/vocab"}};
    }
    if (l.item_width) {
      // Not an axis called xy: xarray takes a dataset named after one of its axes for that axis' own values.
      add(l.item_width == 2 ? "/items/xy" : "/items/values", Scalar::f32, {"item_row", "coordinate"},
          "coordinates of the item");
    }
    if (l.item_support) {
      add("/items/support", Scalar::u8, {"item_row"}, "1 on supporting facts");
      within(0, 1);
    }
    if (l.item_truth) {
      add("/items/truth", Scalar::i32, {"item_row"}, "rank of the item in the answer, -1 = none");
      within(-1, static_cast<double>(l.items) - 1);
    }
  }
  for (const FieldLayout& f : l.fields) {
    std::vector<std::string> field_axes = {f.axis};
    if (f.width > 1) {
      field_axes.push_back(f.name + "_axis");
      book.want(field_axes[1], f.width, f.path());
    }
    add(f.path(), f.whole ? Scalar::i32 : Scalar::f32, field_axes, f.doc.empty() ? f.name.c_str() : f.doc.c_str());
    within(f.least, f.most);
    if (std::isfinite(f.least) && std::isfinite(f.most))
      out.back().attributes = {{"bounds", fmt::format("{},{}", f.least, f.most)}};
  }
  for (const Logged& v : l.memory) {
    if (l.logs(v)) out.push_back(value_column(book, v, "keyframe", "/memory", nullptr));
  }
  for (const Logged& v : l.controller) {
    if (l.logs(v)) out.push_back(value_column(book, v, "step", "/controller", nullptr));
  }
  for (const SiteLayout& s : l.sites) {
    const std::string group = "/sites/" + s.site.name;
    book.want(s.site.slot_axis, l.width(s), s.site.name + ".weights");
    add(group + "/weights", Scalar::f32, {"step", s.site.slot_axis}, "attention weights w_t");
    out.back().kind = s.weights_kind;
    out.back().attributes = {{"kind", kind_name(s.weights_kind)}, {"level", level_name(Level::weights)}};
    for (const Logged& v : s.values) {
      if (l.logs(v)) out.push_back(value_column(book, v, "step", group, &s.site));
    }
  }
  return out;
}

}  // namespace

std::string dataset_name(const Logged& v, bool inside_site) {
  static const std::set<std::string> axis_names = {"step", "episode",    "keyframe",    "item_row",    "token_row",
                                                   "slot", "cell",       "hidden_unit", "channel_in",  "channel_out",
                                                   "item", "coordinate", "word",        "shift_offset"};
  std::string name = inside_site ? v.declared.name : v.declared.full_name();
  for (char& c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) c = '_';
  }
  // xarray takes a variable named after an axis for that axis' coordinate.
  if (name.empty() || axis_names.count(name)) name += "_state";
  return name;
}

bool parse_kind(const std::string& name, Declared& d) {
  d.trains = name != "hard";
  d.life = name == "journaled" ? Life::in_place : Life::carried;
  d.kind = Kind::plain;
  if (!d.trains || d.life == Life::in_place) return true;
  for (int i = 0; i <= static_cast<int>(Kind::usage); ++i) {
    d.kind = static_cast<Kind>(i);
    if (name == kind_name(d.kind)) return true;
  }
  return false;
}

std::vector<AxisSpec> axes(const Layout& l) {
  AxisBook book(l);
  walk(l, book);
  return book.take();
}

std::vector<ColumnSpec> columns(const Layout& l) {
  AxisBook book(l);
  return walk(l, book);
}

std::vector<ColumnSpec> derived_columns(const Layout& l) {
  std::vector<ColumnSpec> out;
  for (const SiteLayout& s : l.sites) {
    const std::string group = "/sites/" + s.site.name;
    out.push_back({group + "/entropy", Scalar::f32, {"step"}, {}, "nat", "entropy of the weights"});
    out.push_back({group + "/argmax", Scalar::i32, {"step"}, {}, "1", "largest weight, -1 where all are zero"});
  }
  if (l.items && l.item_tokens) {
    out.push_back({"/items/token_begin", Scalar::i64, {"item_row"}, {}, "1", "first row on the token_row axis"});
  }
  return out;
}

std::vector<ColumnSpec> initial_columns(const Layout& l) {
  std::vector<ColumnSpec> out;
  AxisBook book(l);
  walk(l, book);
  for (const SiteLayout& s : l.sites) {
    out.push_back({"/sites/" + s.site.name + "/initial_weights",
                   Scalar::f32,
                   {"episode", s.site.slot_axis},
                   {l.width(s)},
                   "1",
                   "weights before the first step w_0"});
    out.back().kind = s.weights_kind;
    for (const Logged& v : s.values) {
      if (!v.state || !l.logs(v)) continue;
      std::vector<std::string> axes = book.name(v, &s.site);
      axes.insert(axes.begin(), "episode");
      out.push_back({"/sites/" + s.site.name + "/initial_" + dataset_name(v, true), Scalar::f32, std::move(axes),
                     v.declared.dims, v.units, v.declared.name + " before the first step"});
      out.back().kind = v.declared.kind;
    }
  }
  return out;
}

std::vector<ColumnSpec> episode_columns(const Layout& l) {
  std::vector<ColumnSpec> out;
  const auto add = [&](const std::string& name, Scalar type, const std::string& long_name) {
    out.push_back({"/episodes/" + name, type, {"episode"}, {}, "1", long_name});
  };
  add("step_begin", Scalar::i64, "first row on the step axis");
  add("step_count", Scalar::i32, "steps");
  add("keyframe_begin", Scalar::i64, "first row on the keyframe axis");
  add("keyframe_count", Scalar::i32, "keyframes");
  add("sequence", Scalar::i64, "number of the training sequence");
  out.back().least = 0;
  add("seed", Scalar::u64, "seed of the episode");
  add("checkpoint_hash", Scalar::u64, "hash of the parameters that made the episode");
  add("loss", Scalar::f32, "loss");
  add("error", Scalar::f32, "error in the task's own measure");
  add("correct", Scalar::u8, "1 where the whole answer is right");
  out.back().least = 0;
  out.back().most = 1;
  if (l.items) {
    add("item_begin", Scalar::i64, "first row on the item_row axis");
    add("item_count", Scalar::i32, "items");
  }
  if (l.has_edges()) {
    add("edge_begin", Scalar::i64, "first row on the edge_row axis");
    add("edge_count", Scalar::i32, "edges");
  }
  for (const EpisodeParam& p : l.episode_params) {
    add("param_" + p.name, p.integer ? Scalar::i32 : Scalar::f32, p.doc.empty() ? p.name : p.doc);
  }
  return out;
}

std::size_t first_param(const Layout& l) {
  return l.has_edges() ? kEdgeCount + 1 : l.items ? kItemCount + 1 : kItemBegin;
}

}  // namespace mneme::trace
