// Room: trace. See writer.hpp.
#include "trace/writer.hpp"

#include "core/error.hpp"
#include "core/join.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <limits>
#include <numeric>

namespace mneme::trace {
namespace {

constexpr std::size_t kWidestStepChunk = std::size_t{1} << 20;
constexpr std::size_t kKeyframeChunk = std::size_t{64} << 10;
constexpr std::size_t kMostKeyframes = 8;       // in a chunk: an episode waits for its last keyframe's chunk to fill
constexpr std::size_t kTableChunk = 256;        // rows of the unfiltered per-episode and per-item tables
constexpr std::size_t kTableBytes = 32u << 10;  // ... and of wide ones (initial weights)

/// After "mneme trace, schema VERSION. ".
constexpr const char* kSchemaDoc =
    "One row of /step is one time step, hop or decoding step; episode e owns rows "
    "[episodes/step_begin[e], + step_count[e]) of every dataset on the step axis, and rows [keyframe_begin, + "
    "keyframe_count) of /memory/*. Trust only the episodes listed in /episodes; rows that none of them owns are "
    "padding. "
    "/sites/<site>/weights are the attention weights of one head, hop or pointer; initial_weights are those before the "
    "first step. See docs/trace_format.md.";

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string names_of(const Layout& l, const std::vector<Logged>& values, bool inside_site) {
  std::vector<std::string> names;
  for (const Logged& v : values) {
    if (l.logs(v)) names.push_back(dataset_name(v, inside_site));
  }
  return join(names, ",");
}

void annotate(File& f, const std::string& path, const std::string& units, const std::string& long_name) {
  f.set_attr(path, "units", units);
  f.set_attr(path, "long_name", long_name);
}

void write_constants(File& f, const std::string& group, const std::vector<std::pair<std::string, double>>& constants) {
  std::vector<std::string> names;
  for (const auto& [name, value] : constants) {
    f.set_attr(group, "constant_" + name, value);
    names.push_back(name);
  }
  f.set_attr(group, "constants", join(names, ","));
}

void write_root(File& f, const Layout& l) {
  f.set_attr("/", "format", kFormat);
  f.set_attr("/", "schema_version", kSchemaVersion);
  f.set_attr("/", "producer", l.producer);
  f.set_attr("/", "git_rev", l.git_rev);
  f.set_attr("/", "git_dirty", std::uint8_t{l.git_dirty});
  f.set_attr("/", "created_utc", l.created_utc.empty() ? now_utc() : l.created_utc);
  f.set_attr("/", "run_id", l.run_id);
  f.set_attr("/", "task", l.task);
  f.set_attr("/", "model", l.model);
  f.set_attr("/", "addressing", l.addressing);
  f.set_attr("/", "phase", l.phase);
  f.set_attr("/", "checkpoint_step", l.checkpoint_step);
  if (!l.repaired_from.empty()) f.set_attr("/", "repaired_from", l.repaired_from);
  f.set_attr("/", "trace_level", level_name(l.level));
  write_constants(f, "/", l.constants);
  f.set_attr("/", "budget_exhausted", std::uint8_t{0});
  std::vector<std::string> scales;
  for (const AxisSpec& a : trace::axes(l)) scales.push_back(a.name);
  f.set_attr("/", "scales", join(scales, ","));
  f.set_attr("/", "NX_class", "NXroot");
  f.set_attr("/", "default", "sites");
}

void write_groups(File& f, const Layout& l) {
  for (const char* group : {"/episodes", "/io", "/memory", "/sites", "/meta"}) f.make_group(group);
  f.set_attr("/episodes", "encoding_type", "table");
  f.set_attr("/episodes", "encoding_version", "1");
  f.set_attr("/episodes", "error_name", l.error_name);
  f.set_attr("/io", "target_kind", l.target_kind);
  std::vector<std::string> names;
  for (const EpisodeParam& p : l.episode_params) names.push_back(p.name);
  f.set_attr("/episodes", "params", join(names, ","));
  f.set_attr("/memory", "update", l.update);
  f.set_attr("/memory", "keyframe_position", l.keyframe_position);
  f.set_attr("/memory", "keyframe_every", std::int32_t{l.keyframe_every});
  f.set_attr("/memory", "values", names_of(l, l.memory, false));
  const std::string controller = names_of(l, l.controller, false);
  if (!controller.empty()) {
    f.make_group("/controller");
    f.set_attr("/controller", "values", controller);
  }
  names.clear();
  for (const SiteLayout& s : l.sites) {
    const std::string group = "/sites/" + s.site.name;
    names.push_back(s.site.name);
    f.make_group(group);
    f.set_attr(group, "NX_class", "NXdata");
    f.set_attr(group, "signal", "weights");
    f.set_attr(group, "axes", std::vector<std::string>{".", "."});
    f.set_attr(group, "kind", s.site.kind);
    f.set_attr(group, "slot_axis", s.site.slot_axis);
    f.set_attr(group, "addressing", s.site.addressing);
    const AddressingParts& parts = s.site.parts;
    if (!parts.similarity.empty()) f.set_attr(group, "similarity", parts.similarity);
    if (!parts.normalizer.empty()) f.set_attr(group, "normalizer", parts.normalizer);
    if (!parts.moves.empty()) f.set_attr(group, "moves", join(parts.moves, ","));
    if (!parts.constants.empty()) write_constants(f, group, parts.constants);
    if (s.site.looks_at != "contents") f.set_attr(group, "looks_at", s.site.looks_at);
    f.set_attr(group, "encoding_type", "dense");
    f.set_attr(group, "encoding_version", "1");
    f.set_attr(group, "values", names_of(l, s.values, true));
  }
  f.set_attr("/sites", "NX_class", "NXentry");
  f.set_attr("/sites", "default", names.empty() ? "" : names.front());
  f.set_attr("/sites", "order", join(names, ","));
  std::vector<std::string> turns, writing;
  for (const TurnLayout& t : l.turns) {
    turns.push_back(t.name);
    if (t.writes) writing.push_back(t.name);
    for (const std::size_t s : t.sites) f.set_attr("/sites/" + l.sites[s].site.name, "turn", t.name);
  }
  f.set_attr("/sites", "turns", join(turns, ","));
  f.set_attr("/sites", "turns_that_write", join(writing, ","));
}

void write_meta(File& f, const Layout& l) {
  const auto text = [&](const std::string& name, const std::string& value, const std::string& long_name) {
    f.write("/meta/" + name, value);
    annotate(f, "/meta/" + name, "1", long_name);
  };
  text("config_ini", l.config_ini, "configuration of the run, as INI");
  text("config_json", l.config_json, "configuration of the run, as JSON");
  text("env_json", l.env_json, "environment of the run, as JSON: compiler, CPU, libraries");
  text("schema_doc", fmt::format("mneme trace, schema {}. {}", kSchemaVersion, kSchemaDoc), "how to read this file");
  f.write("/meta/complete", std::uint8_t{0});
  annotate(f, "/meta/complete", "1", "1 after an orderly close");
  if (!l.vocab.empty()) {
    f.write_lines("/meta/vocab", l.vocab);
    annotate(f, "/meta/vocab", "1", "word of each token id");
    f.attach_scale("/meta/vocab", 0, "/word");
  }
  if (!l.classes.empty()) {
    f.write_lines("/meta/classes", l.classes);
    annotate(f, "/meta/classes", "1", "name of each class of target and output");
    f.attach_scale("/meta/classes", 0, "/channel_out");
  }
}

}  // namespace

Writer::Writer(std::filesystem::path path, Layout layout, std::size_t chunk_steps, std::int64_t first_episode)
    : path_(std::move(path)), layout_(std::move(layout)), next_id_(first_episode) {
  std::size_t widest_step = 1, widest_keyframe = 1;
  for (const ColumnSpec& c : trace::columns(layout_)) {
    std::size_t& widest = c.axes[0] == "keyframe" ? widest_keyframe : widest_step;
    if (c.filtered()) widest = std::max(widest, c.row_size() * scalar_size(c.type));
  }
  rows_[kStep].chunk =
      std::clamp<std::size_t>(kWidestStepChunk / widest_step, 1, std::max<std::size_t>(chunk_steps, 1));
  rows_[kKeyframe].chunk = std::clamp<std::size_t>(kKeyframeChunk / widest_keyframe, 1, kMostKeyframes);
  std::filesystem::path fresh = path_;
  fresh += ".new";
  create(fresh);
  const auto discard = [&] {
    std::error_code ignored;
    std::filesystem::remove(fresh, ignored);
  };
  std::error_code none;
  const auto bytes = std::filesystem::file_size(path_, none);
  if (!none && bytes > 0) {
    discard();
    fail<RuntimeFailure>(path_.string(), "is there already, and is not overwritten");
  }
  if (std::rename(fresh.c_str(), path_.c_str()) != 0) {
    const int e = errno;
    discard();
    fail<RuntimeFailure>(fresh.string(), "cannot become {}: {}", path_.string(), std::strerror(e));
  }
  // Closed and opened again: HDF5 forgets the holes that creation left, and everything new goes to the end.
  file_ = File::open_for_writing(path_);
  open_columns();
}

void Writer::create(const std::filesystem::path& path) const {
  File f = File::create(path);  // throws where another process writes it: that file stays
  try {
    fill(f);
    f.close();
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    throw;
  }
}

void Writer::fill(File& f) const {
  const Layout& l = layout_;
  write_root(f, l);
  write_groups(f, l);
  for (const AxisSpec& a : trace::axes(l)) {
    const std::string name = "/" + a.name;
    if (a.grows) {
      f.create_growing(name, {a.type, {}, 4 * kTableChunk, false});
    } else {
      std::vector<std::int32_t> values = a.values;
      if (values.empty()) {
        values.resize(a.size);
        std::iota(values.begin(), values.end(), 0);
      }
      f.write(name, {a.size}, values.data(), false);
    }
    f.make_scale(name);
    annotate(f, name, a.units, a.long_name);
  }
  for (const auto& list : {trace::columns(l), derived_columns(l), initial_columns(l), episode_columns(l)}) {
    for (const ColumnSpec& c : list) {
      Growing how{c.type, c.row, 0, c.filtered()};
      if (how.filtered) {
        how.chunk_rows = rows_[axis_id(c.axes[0])].chunk;
      } else {
        const std::size_t row = std::max<std::size_t>(c.row_size() * scalar_size(c.type), 1);
        how.chunk_rows = std::clamp<std::size_t>(kTableBytes / row, 1, kTableChunk);
      }
      f.create_growing(c.path, how);
      annotate(f, c.path, c.units, c.long_name);
      f.set_attr(c.path, "axes", join(c.axes, ","));
      for (const auto& [name, value] : c.attributes) f.set_attr(c.path, name, value);
      for (std::size_t i = 0; i < c.axes.size(); ++i) f.attach_scale(c.path, i, "/" + c.axes[i]);
    }
  }
  write_meta(f, l);
  std::vector<std::string> names;
  for (const char* group : {"/io", "/items", "/meta"})
    if (f.is_group(group)) f.set_attr(group, "values", join(f.list(group), ","));
  for (const FieldLayout& field : l.fields) names.push_back(field.path());
  if (!names.empty()) f.set_attr("/meta", "fields", join(names, ","));
}

Writer::AxisId Writer::axis_id(const std::string& name) {
  if (name == "step") return kStep;
  if (name == "keyframe") return kKeyframe;
  if (name == "item_row") return kItemRow;
  if (name == "edge_row") return kEdgeRow;
  if (name == "token_row") return kTokenRow;
  return kEpisode;
}

std::size_t Writer::add_column(ColumnSpec spec) {
  Column c;
  c.dataset = file_.dataset(spec.path);
  c.axis = axis_id(spec.axes[0]);
  c.row_bytes = spec.row_size() * scalar_size(spec.type);
  c.spec = std::move(spec);
  columns_.push_back(std::move(c));
  return columns_.size() - 1;
}

void Writer::open_columns() {
  for (ColumnSpec& c : trace::columns(layout_)) add_column(std::move(c));
  first_derived_ = columns_.size();
  for (ColumnSpec& c : derived_columns(layout_)) add_column(std::move(c));
  first_initial_ = columns_.size();
  for (ColumnSpec& c : initial_columns(layout_)) add_column(std::move(c));
  first_episode_ = columns_.size();
  for (ColumnSpec& c : episode_columns(layout_)) add_column(std::move(c));
  scale_.fill(-1);
  for (const AxisSpec& a : trace::axes(layout_)) {
    if (a.grows) scale_[axis_id(a.name)] = static_cast<int>(add_column({"/" + a.name, a.type, {a.name}, {}}));
  }
  complete_ = file_.dataset("/meta/complete");
}

// ---- Taking an episode ----------------------------------------------------------------------------------------------

void Writer::check(const Episode& e) const {
  const std::string where = path_.string();
  const Layout& l = layout_;
  if (e.steps == 0) fail<ArgumentError>(where, "an episode of no steps");
  if (e.steps > std::numeric_limits<std::int32_t>::max()) fail<ArgumentError>(where, "an episode of {} steps", e.steps);
  const auto expect = [&](const std::string& what, std::size_t have, std::size_t want) {
    if (have != want) fail<ArgumentError>(where, "{} has {} numbers, expected {}", what, have, want);
  };
  expect("sites", e.sites.size(), l.sites.size());
  expect("memory", e.memory.size(), l.memory.size());
  expect("controller", e.controller.size(), l.controller.size());
  expect("fields", e.fields.size(), l.fields.size());
  expect("episode parameters", e.params.size(), l.episode_params.size());
  for (std::size_t s = 0; s < l.sites.size(); ++s) {
    expect("values of site " + l.sites[s].site.name, e.sites[s].values.size(), l.sites[s].values.size());
    expect("initial values of site " + l.sites[s].site.name, e.sites[s].initial.size(), l.sites[s].values.size());
  }
  std::size_t c = first_initial_;
  each_initial(l, e, [&](const auto& values) {
    if (values.size() != columns_[c].spec.row_size())
      expect(columns_[c].spec.path, values.size(), columns_[c].spec.row_size());
    ++c;
  });
  if (l.logs_memory()) {
    const bool rising =
        std::adjacent_find(e.keyframes.begin(), e.keyframes.end(), std::greater_equal<>{}) == e.keyframes.end();
    if (e.keyframes.empty() || e.keyframes.front() != 0 || !rising ||
        e.keyframes.back() >= static_cast<std::int64_t>(e.steps)) {
      fail<ArgumentError>(where, "keyframes must rise from step 0 and end before step {}", e.steps);
    }
  } else {
    expect("keyframes", e.keyframes.size(), 0);
  }
  if (e.items.count > l.items) fail<ArgumentError>(where, "an episode of {} items, at most {}", e.items.count, l.items);
  std::size_t tokens = 0;
  for (std::int32_t n : e.items.token_count) {
    if (n < 0) fail<ArgumentError>(where, "an item of {} tokens", n);
    tokens += static_cast<std::size_t>(n);
  }
  const std::array<std::size_t, kAxes> count = {e.steps, e.keyframes.size(), e.items.count, e.items.edges, tokens, 1};
  std::size_t i = 0;
  each_column(l, e, [&](const auto& values) {
    const Column& c = columns_[i++];
    // The message is built only when it is needed: this runs once per column and episode.
    const std::size_t want = count[c.axis] * c.spec.row_size();
    if (values.size() != want) expect(c.spec.path, values.size(), want);
  });
}

void Writer::put(std::size_t column, const void* values, std::size_t bytes) {
  const auto* from = static_cast<const unsigned char*>(values);
  auto& pending = columns_[column].pending;
  pending.insert(pending.end(), from, from + bytes);
  pending_bytes_ += bytes;
}

void Writer::put_derived(const Episode& e) {
  entropy_.resize(e.steps);
  argmax_.resize(e.steps);
  for (std::size_t s = 0; s < e.sites.size(); ++s) {
    const std::size_t n = layout_.width(layout_.sites[s]);
    for (std::size_t t = 0; t < e.steps; ++t) {
      const float* w = e.sites[s].weights.data() + t * n;
      float entropy = 0.0f, most = 0.0f;
      std::int32_t at = -1;
      for (std::size_t i = 0; i < n; ++i) {
        if (w[i] > 0.0f) entropy -= w[i] * std::log(w[i]);
        if (w[i] > most) {
          most = w[i];
          at = static_cast<std::int32_t>(i);
        }
      }
      entropy_[t] = entropy;
      argmax_[t] = at;
    }
    put(first_derived_ + 2 * s, entropy_.data(), e.steps * sizeof(float));
    put(first_derived_ + 2 * s + 1, argmax_.data(), e.steps * sizeof(std::int32_t));
  }
}

void Writer::append(const Episode& e) {
  check(e);
  std::size_t i = 0;
  each_column(layout_, e, [&](const auto& values) { put(i++, values.data(), values.size() * sizeof(values[0])); });
  put_derived(e);
  for (std::size_t t = 0; t < e.steps; ++t) put_one(scale_[kStep], static_cast<std::int32_t>(t));
  const auto end = [&](AxisId a) { return static_cast<std::int64_t>(rows_[a].written + rows_[a].pending); };
  const std::int64_t step_begin = end(kStep), keyframe_begin = end(kKeyframe), item_begin = end(kItemRow),
                     edge_begin = end(kEdgeRow);
  for (std::int64_t t : e.keyframes) put_one(scale_[kKeyframe], step_begin + t);
  rows_[kStep].pending += e.steps;
  rows_[kKeyframe].pending += e.keyframes.size();
  if (layout_.items) {
    for (std::size_t k = 0; k < e.items.count; ++k) put_one(scale_[kItemRow], static_cast<std::int64_t>(k));
    if (layout_.item_tokens) {
      std::int64_t begin = end(kTokenRow);
      for (std::int32_t n : e.items.token_count) {
        put_one(first_initial_ - 1, begin);
        begin += n;
        for (std::int64_t k = 0; k < n; ++k) put_one(scale_[kTokenRow], k);
      }
      rows_[kTokenRow].pending += e.items.token.size();
    }
    rows_[kItemRow].pending += e.items.count;
  }
  if (layout_.has_edges()) {
    for (std::size_t k = 0; k < e.items.edges; ++k) put_one(scale_[kEdgeRow], static_cast<std::int64_t>(k));
    rows_[kEdgeRow].pending += e.items.edges;
  }
  std::size_t c = first_initial_;
  each_initial(layout_, e, [&](const auto& v) { put(c++, v.data(), v.size() * sizeof(float)); });
  const std::size_t row = first_episode_;
  put_one(row + kStepBegin, step_begin);
  put_one(row + kStepCount, static_cast<std::int32_t>(e.steps));
  put_one(row + kKeyframeBegin, keyframe_begin);
  put_one(row + kKeyframeCount, static_cast<std::int32_t>(e.keyframes.size()));
  put_one(row + kSequence, e.sequence);
  put_one(row + kSeed, e.seed);
  put_one(row + kCheckpointHash, e.checkpoint_hash);
  put_one(row + kLoss, e.loss);
  put_one(row + kError, e.error);
  put_one(row + kCorrect, std::uint8_t{e.correct});
  if (layout_.items) {
    put_one(row + kItemBegin, item_begin);
    put_one(row + kItemCount, static_cast<std::int32_t>(e.items.count));
  }
  if (layout_.has_edges()) {
    put_one(row + kEdgeBegin, edge_begin);
    put_one(row + kEdgeCount, static_cast<std::int32_t>(e.items.edges));
  }
  for (std::size_t p = 0; p < e.params.size(); ++p) {
    const std::size_t column = row + first_param(layout_) + p;
    if (layout_.episode_params[p].integer) {
      put_one(column, static_cast<std::int32_t>(std::llround(e.params[p])));
    } else {
      put_one(column, static_cast<float>(e.params[p]));
    }
  }
  put_one(scale_[kEpisode], next_id_++);
  ++rows_[kEpisode].pending;
  ++appended_;
  waiting_.push_back({static_cast<std::size_t>(end(kStep)), static_cast<std::size_t>(end(kKeyframe))});
  commit(false);
}

// ---- Committing -----------------------------------------------------------------------------------------------------

void Writer::write_rows(AxisId axis, std::size_t rows) {
  if (rows == 0) return;
  for (Column& c : columns_) {
    if (c.axis != axis) continue;
    c.dataset.append(rows, c.spec.type, c.pending.data());
    const std::size_t bytes = rows * c.row_bytes;
    c.pending.erase(c.pending.begin(), c.pending.begin() + static_cast<std::ptrdiff_t>(bytes));
    pending_bytes_ -= bytes;
  }
  rows_[axis].written += rows;
  rows_[axis].pending -= rows;
}

void Writer::commit(bool everything) {
  const auto whole = [&](AxisId a) {
    return everything ? rows_[a].pending : rows_[a].pending / rows_[a].chunk * rows_[a].chunk;
  };
  // 1. Rows of the episodes.
  const std::size_t steps = rows_[kStep].written + whole(kStep),
                    keyframes = rows_[kKeyframe].written + whole(kKeyframe);
  write_rows(kStep, whole(kStep));
  write_rows(kKeyframe, whole(kKeyframe));
  std::size_t ready = 0;
  while (ready < waiting_.size() && waiting_[ready].step_end <= steps && waiting_[ready].keyframe_end <= keyframes) {
    ++ready;
  }
  if (ready == 0) return;
  write_rows(kItemRow, rows_[kItemRow].pending);
  write_rows(kEdgeRow, rows_[kEdgeRow].pending);
  write_rows(kTokenRow, rows_[kTokenRow].pending);
  file_.flush();
  // 2. Their rows in the table, once all that they point to is safe.
  write_rows(kEpisode, ready);
  file_.flush();
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(ready));
  committed_ += static_cast<std::int64_t>(ready);
}

void Writer::pad(AxisId axis) {
  Rows& r = rows_[axis];
  const std::size_t missing = (r.chunk - r.pending % r.chunk) % r.chunk;
  if (missing == 0) return;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    Column& c = columns_[i];
    if (c.axis != axis) continue;
    const std::size_t n = missing * c.spec.row_size();
    switch (c.spec.type) {
      case Scalar::f32: {
        const std::vector<float> fill(n, std::numeric_limits<float>::quiet_NaN());
        put(i, fill.data(), n * sizeof(float));
        break;
      }
      case Scalar::u8: {
        const std::vector<std::uint8_t> fill(n, c.spec.path == "/io/phase" ? 255 : 0);
        put(i, fill.data(), n);
        break;
      }
      default: {  // -1 in every width
        const std::vector<unsigned char> fill(missing * c.row_bytes, 255);
        put(i, fill.data(), fill.size());
        break;
      }
    }
  }
  r.pending += missing;
}

void Writer::commit_all(bool sync) {
  if (!waiting_.empty()) {
    pad(kStep);
    pad(kKeyframe);
    commit(false);
  }
  if (sync) file_.flush_and_sync();
}

void Writer::mark_exhausted() {
  file_.set_attr("/", "budget_exhausted", std::uint8_t{1});
}

void Writer::close(bool complete) {
  commit(true);
  const std::uint8_t one = 1;
  if (complete) complete_.overwrite(Scalar::u8, &one);
  file_.flush_and_sync();
  columns_.clear();
  complete_ = Dataset();
  file_.close();
}

}  // namespace mneme::trace
