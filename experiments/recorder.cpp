// Room: experiments. Declarations -> trace layout, and step views -> trace episodes.
#include "experiments/recorder.hpp"

#include "attention/location.hpp"
#include "attention/score.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "experiments/environment.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <variant>

namespace mneme::experiments {

namespace {

/// [M N] inside, N x M on paper.
bool swapped(const Declared& d) {
  return d.axes == std::vector<std::string>{"cell", "slot"} || d.axes == std::vector<std::string>{"cell", "item"};
}

trace::Logged logged(const Declared& d, trace::Level level) {
  trace::Logged v{d, level, d.axes, "1"};
  if (swapped(d)) {
    std::swap(v.declared.dims[0], v.declared.dims[1]);
    std::swap(v.axes[0], v.axes[1]);
    v.declared.axes = v.axes;
  }
  for (std::string& axis : v.axes)
    if (axis == "hidden") axis = "hidden_unit";
  return v;
}

/// The memory's own state, and a head's other than its weights: what is stored and what the recorder copies agree.
bool stored(const Declared& d) {
  return d.kind != Kind::opaque;
}

void add_memory(const MemoryLayout& memory, trace::Layout& layout) {
  layout.slots = memory.slots;
  layout.cells = memory.width;
  layout.update = memory.update;
  layout.step_order = memory.write_first ? "write-before-read" : "read-before-write";
  layout.keyframe_position = "before_write";
  layout.constants = {{"cosine_epsilon", cosine_epsilon}, {"sharpen_epsilon", sharpen_epsilon}};
  for (const Declared& d : memory.state)
    if (d.site.empty() && stored(d)) layout.memory.push_back(logged(d, trace::Level::params));
  std::vector<std::string> schemes;
  for (const Site& site : memory.sites) {
    const Declared& weights = memory.state[memory.state_index(site.name, "weights")];
    trace::SiteLayout s{site, weights.kind, {}};
    for (const Declared& d : memory.parameters) {
      if (d.site != site.name) continue;
      s.values.push_back(logged(d, trace::Level::params));
      if (d.name == "shift" && d.axes == std::vector<std::string>{"shift_offset"} && layout.shift_offsets.empty()) {
        const int reach = static_cast<int>(d.dims[0] / 2);
        for (int o = -reach; o <= reach; ++o) layout.shift_offsets.push_back(o);
      }
    }
    for (const Declared& d : memory.state)
      if (d.site == site.name && d.name != "weights" && stored(d)) s.values.push_back(logged(d, trace::Level::params));
    for (const Declared& d : memory.stages)
      if (d.site == site.name) s.values.push_back(logged(d, trace::Level::full));
    if (site.slot_axis == "item") layout.items = std::max(layout.items, weights.count());
    layout.sites.push_back(std::move(s));
    if (!std::count(schemes.begin(), schemes.end(), site.addressing)) schemes.push_back(site.addressing);
  }
  for (const std::string& s : schemes) layout.addressing += (layout.addressing.empty() ? "" : ",") + s;
}

using Column = std::variant<std::vector<float>*, std::vector<std::int32_t>*, std::vector<std::uint8_t>*>;

/// The fields of a batch that every trace has a column for; the others are Layout::fields.
const std::map<std::string_view, Column (*)(trace::Episode&)>& places() {
  static const std::map<std::string_view, Column (*)(trace::Episode&)> all = {
      {"dense", [](trace::Episode& e) -> Column { return &e.input; }},
      {"tokens", [](trace::Episode& e) -> Column { return &e.token; }},
      {"phase", [](trace::Episode& e) -> Column { return &e.phase; }},
      {"items.values", [](trace::Episode& e) -> Column { return &e.items.values; }},
      {"items.tokens", [](trace::Episode& e) -> Column { return &e.items.token; }},
      {"items.support", [](trace::Episode& e) -> Column { return &e.items.support; }},
      {"target.values", [](trace::Episode& e) -> Column { return &e.target; }},
      {"target.indices", [](trace::Episode& e) -> Column { return &e.target; }},
      {"target.scored", [](trace::Episode& e) -> Column { return &e.mask; }},
  };
  return all;
}

bool has_place(const BatchField& field) {
  const bool moved = std::string_view(field.name).starts_with("target") && field.along != Along::steps;
  return !moved && places().count(field.name) > 0;
}

Column place_of(const BatchField& field, trace::Episode& e) {
  return places().at(field.name)(e);
}

/// What the task gives or wants beside what every trace has a column for, in the order of Batch::each; the answers to
/// targets over items come last.
void add_fields(const BatchSpec& spec, trace::Layout& layout) {
  const auto axis = [](Along along) {
    return along == Along::steps ? "step" : along == Along::items ? "item_row" : "edge_row";
  };
  const Batch none;
  Batch::each(spec, none, [&](const BatchField& f, const auto&) {
    if (has_place(f)) return;
    std::string name = f.name;
    if (name.starts_with("items.")) name.erase(0, 6);
    std::replace(name.begin(), name.end(), '.', '_');
    layout.fields.push_back({name, axis(f.along), f.width, f.whole, f.doc, f.least, f.most});
  });
  if (spec.target_over != Along::items) return;
  layout.fields.push_back({"output", "item_row", spec.outputs, false, "output y_i"});
  if (spec.target == TargetKind::real) return;
  layout.fields.back().least = 0;
  layout.fields.back().most = 1 + 1e-5;  // of a probability that float32 arithmetic made
}

}  // namespace

trace::Layout make_layout(const Config& config, const Task& task, const ModelParts& parts, const std::string& phase,
                          std::uint64_t checkpoint_step, trace::Level level) {
  const BatchSpec& spec = task.spec();
  trace::Layout layout;
  layout.git_rev = build_info().git_rev;
  layout.git_dirty = build_info().git_dirty;
  layout.producer = std::string("mneme ") + build_info().version;
  layout.run_id = config.run_id(task.data_digest());
  layout.task = config.task;
  layout.model = config.model;
  layout.phase = phase;
  layout.checkpoint_step = static_cast<std::int64_t>(checkpoint_step);
  layout.level = level;
  layout.keyframe_every = static_cast<int>(config.trace.integer("keyframe-every"));
  layout.channels_in = spec.channels;
  const bool over_steps = spec.target_over == Along::steps;
  layout.channels_out = over_steps ? spec.outputs : 0;
  layout.tokens = spec.vocabulary > 0;
  layout.vocab = task.token_names();
  if (spec.target == TargetKind::classes && over_steps) layout.classes = task.class_names();
  layout.error_name = task.metrics()[task.solved_metric()].name;
  layout.target_kind = target_name(spec.target);
  if (parts.memory) add_memory(*parts.memory, layout);
  if (parts.controller)
    for (const Declared& d : *parts.controller) {
      if (!stored(d)) continue;
      layout.controller.push_back(logged(d, trace::Level::full));
      if (!d.axes.empty() && d.axes.back() == "hidden" && layout.hidden == 0) layout.hidden = d.dims.back();
    }
  // Controllers of several widths: only the first one's axis is shared, the others get one each.
  for (trace::Logged& v : layout.controller)
    for (std::size_t i = 0; i < v.axes.size(); ++i)
      if (v.axes[i] == "hidden_unit" && v.declared.dims[i] != layout.hidden) v.axes.clear();

  for (const BatchParameter& p : spec.parameters) layout.episode_params.push_back({p.name, p.whole, p.doc});
  if (spec.has_items()) {
    if (spec.item_limit() == 0)
      fail<InvariantError>("task " + config.task, "gives items and does not declare how many at most (max_items)");
    layout.items = std::max(layout.items, spec.item_limit());
    layout.item_width = spec.item_width;
    layout.item_tokens = spec.item_vocabulary > 0;
    layout.item_support = true;
  }
  add_fields(spec, layout);
  layout.config_ini = config.text();
  layout.config_json = config.json();
  layout.env_json = environment_json();
  return layout;
}

Recorder::Recorder(const trace::Layout& layout, const ModelParts& parts, const BatchSpec& spec)
    : layout_(layout), spec_(spec) {
  const auto logs = [&](const trace::Logged& v) { return layout_.logs(v); };
  if (parts.memory) {
    const MemoryLayout& m = *parts.memory;
    for (const trace::Logged& v : layout_.memory)
      memory_.push_back(source_of(From::memory, m.state_index("", v.declared.name),
                                  m.state[m.state_index("", v.declared.name)], logs(v)));
    for (const trace::SiteLayout& s : layout_.sites) {
      const std::string& site = s.site.name;
      const std::size_t w = m.state_index(site, "weights");
      SiteSource sources{source_of(From::memory, w, m.state[w], true), {}};
      for (const trace::Logged& v : s.values) {
        const auto named = [&](const Declared& d) { return d.site == site && d.name == v.declared.name; };
        for (const auto& [from, list] : {std::pair{From::memory, &m.state}, std::pair{From::parameters, &m.parameters},
                                         std::pair{From::stages, &m.stages}}) {
          const auto d = std::find_if(list->begin(), list->end(), named);
          if (d == list->end()) continue;
          sources.values.push_back(source_of(from, static_cast<std::size_t>(d - list->begin()), *d, logs(v)));
          wants_stages_ |= from == From::stages && logs(v);
          break;
        }
      }
      sites_.push_back(std::move(sources));
    }
  }
  for (const trace::Logged& v : layout_.controller)
    for (std::size_t i = 0; i < parts.controller->size(); ++i)
      if ((*parts.controller)[i].full_name() == v.declared.full_name())
        controller_.push_back(source_of(From::controller, i, (*parts.controller)[i], logs(v)));
}

Recorder::Source Recorder::source_of(From from, std::size_t index, const Declared& d, bool logged) const {
  Source s{from, index, d.count(), 0, 0, logged};
  if (swapped(d)) {
    s.swap_rows = d.dims[0];
    s.swap_columns = d.dims[1];
  }
  return s;
}

void Recorder::start(const Batch& batch, std::span<const std::size_t> rows) {
  rows_.assign(rows.begin(), rows.end());
  lengths_.clear();
  reached_ = 0;
  if (episodes_.size() < rows.size()) episodes_.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t steps = batch.lengths[rows[i]];
    lengths_.push_back(steps);
    trace::Episode& e = episodes_[i];
    const auto keyframes = trace::keyframe_steps(layout_, steps);
    e.resize(layout_, steps, keyframes.size(), spec_.has_items() ? batch.items.count[rows[i]] : 0,
             spec_.edges ? batch.items.edge_count[rows[i]] : 0);
    e.keyframes = keyframes;
  }
}

void Recorder::copy(const StepView<float>& view, const Source& s, std::size_t row, float* to) {
  const auto& list = s.from == From::memory       ? view.memory
                     : s.from == From::parameters ? view.parameters
                     : s.from == From::stages     ? view.stages
                                                  : view.controller;
  const Var<float>& v = list[s.index];
  const std::size_t rows = v.shape.rank() == 0 ? 1 : v.shape[0];
  const std::size_t own = v.size() / rows;  // an item axis may be shorter than declared
  const float* from = v.data + row * own;
  if (s.swap_rows) {
    const std::size_t columns = own / s.swap_rows;
    std::fill_n(to + own, s.count - own, 0.0f);
    for (std::size_t m = 0; m < s.swap_rows; ++m)
      for (std::size_t n = 0; n < columns; ++n) to[n * s.swap_rows + m] = from[m * columns + n];
    return;
  }
  const std::size_t n = std::min(own, s.count);
  std::copy_n(from, n, to);
  std::fill_n(to + n, s.count - n, 0.0f);
}

void Recorder::keyframe(const StepView<float>& view, std::size_t step) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    trace::Episode& e = episodes_[i];
    const auto at = std::find(e.keyframes.begin(), e.keyframes.end(), static_cast<std::int64_t>(step));
    if (at == e.keyframes.end()) continue;
    const auto k = static_cast<std::size_t>(at - e.keyframes.begin());
    for (std::size_t m = 0; m < memory_.size(); ++m)
      if (memory_[m].logged) copy(view, memory_[m], rows_[i], e.memory[m].data() + k * memory_[m].count);
  }
}

void Recorder::begin(const StepView<float>& view) {
  for (std::size_t i = 0; i < rows_.size(); ++i)
    for (std::size_t s = 0; s < sites_.size(); ++s)
      copy(view, sites_[s].weights, rows_[i], episodes_[i].sites[s].initial_weights.data());
  keyframe(view, 0);
}

void Recorder::step(const StepView<float>& view) {
  const std::size_t t = view.step;
  reached_ = t + 1;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (t >= lengths_[i]) continue;
    trace::Episode& e = episodes_[i];
    for (std::size_t s = 0; s < sites_.size(); ++s) {
      const SiteSource& site = sites_[s];
      copy(view, site.weights, rows_[i], e.sites[s].weights.data() + t * site.weights.count);
      for (std::size_t v = 0; v < site.values.size(); ++v)
        if (site.values[v].logged)
          copy(view, site.values[v], rows_[i], e.sites[s].values[v].data() + t * site.values[v].count);
    }
    for (std::size_t c = 0; c < controller_.size(); ++c)
      if (controller_[c].logged)
        copy(view, controller_[c], rows_[i], e.controller[c].data() + t * controller_[c].count);
  }
  keyframe(view, t + 1);  // the state before the next step's write
}

void Recorder::words(const Batch& batch, std::size_t b, trace::ItemRows& items) {
  items.token.clear();
  for (std::size_t n = 0; n < items.count; ++n) {
    items.token_count[n] = 0;
    for (std::size_t w = 0; w < batch.items.tokens.shape()[2]; ++w)
      if (const std::int32_t token = batch.items.tokens(b, n, w); token >= 0) {
        items.token.push_back(token);
        ++items.token_count[n];
      }
  }
}

void Recorder::choices(const Batch& batch, std::size_t b, trace::Episode& e) const {
  const std::size_t k = layout_.channels_out;
  std::fill(e.target.begin(), e.target.end(), 0.0f);
  for (std::size_t t = 0; t < e.steps; ++t)
    if (const std::int32_t chosen = batch.target.indices(t, b); chosen >= 0 && static_cast<std::size_t>(chosen) < k)
      e.target[t * k + static_cast<std::size_t>(chosen)] = 1;
}

void Recorder::answers(const Batch& batch, std::size_t b, const Prediction* prediction, trace::Episode& e) const {
  const bool over_items = spec_.target_over == Along::items;
  std::vector<float>& output = over_items ? std::get<std::vector<float>>(e.fields.back()) : e.output;
  std::fill(output.begin(), output.end(), 0.0f);  // a batch may have fewer choices than the task, or no answer
  if (!prediction) return;
  const std::size_t k = spec_.outputs, n = over_items ? batch.items.count[b] : e.steps;
  for (std::size_t i = 0; i < n; ++i)
    std::copy_n(&prediction->values(i, b, 0), std::min(k, prediction->values.shape()[2]), &output[i * k]);
}

void Recorder::finish(const Batch& batch, const Prediction* prediction) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    trace::Episode& e = episodes_[i];
    const std::size_t b = rows_[i];
    if (reached_ < lengths_[i]) {
      const std::size_t steps = std::max<std::size_t>(reached_, 1);
      lengths_[i] = steps;
      const auto keyframes = trace::keyframe_steps(layout_, steps);
      e.resize(layout_, steps, keyframes.size(), e.items.count, e.items.edges);
      e.keyframes = keyframes;
    }
    std::size_t further = 0;
    Batch::each(spec_, batch, [&](const BatchField& field, const auto& tensor) {
      const auto copy = [&](auto& column) {
        using Number = typename std::decay_t<decltype(column)>::value_type;
        for (std::size_t n = 0; n * field.width < column.size(); ++n) {
          const auto* from = batch.element(field, tensor, b, n);
          std::transform(from, from + field.width, column.data() + n * field.width,
                         [](auto v) { return static_cast<Number>(v); });
        }
      };
      if (!has_place(field)) return std::visit(copy, e.fields[further++]);
      if (field.name == std::string_view("items.tokens")) return words(batch, b, e.items);
      if (field.name == std::string_view("target.indices")) return choices(batch, b, e);
      std::visit([&](auto* column) { copy(*column); }, place_of(field, e));
    });
    answers(batch, b, prediction, e);
    for (std::size_t p = 0; p < e.params.size(); ++p) e.params[p] = static_cast<double>(batch.parameters[p].second[b]);
  }
}

}  // namespace mneme::experiments
