// Room: experiments. Declarations -> trace layout, and what a run shows -> trace episodes.
#include "experiments/run/recorder.hpp"

#include "attention/location.hpp"
#include "attention/score.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/prediction.hpp"
#include "experiments/run/environment.hpp"

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
  return d.life != Life::rebuilt;
}

/// Weights, then parameters, state and stages of each site, in the order of the declaration.
void add_sites(const Declaration& declared, trace::Layout& layout) {
  for (const Site& site : declared.sites) {
    const Declared& weights = declared.state[site.weights];
    trace::SiteLayout s{site, weights.kind, {}};
    for (const Declared& d : declared.parameters) {
      if (d.site != site.name) continue;
      s.values.push_back(logged(d, trace::Level::params));
      if (d.name == "shift" && d.axes == std::vector<std::string>{"shift_offset"} && layout.shift_offsets.empty()) {
        const int reach = static_cast<int>(d.dims[0] / 2);
        for (int o = -reach; o <= reach; ++o) layout.shift_offsets.push_back(o);
      }
    }
    for (const Declared& d : declared.state) {
      if (d.site != site.name || d.name == "weights" || !stored(d)) continue;
      s.values.push_back(logged(d, trace::Level::params));
      s.values.back().state = true;
    }
    for (const Declared& d : declared.stages)
      if (d.site == site.name) s.values.push_back(logged(d, d.decided ? trace::Level::params : trace::Level::full));
    if (site.slot_axis == "item") layout.items = std::max(layout.items, weights.count());
    if (site.slot_axis != "item" && site.slot_axis != "slot") s.size = weights.count();
    layout.sites.push_back(std::move(s));
  }
}

void add_memory(const MemoryLayout& memory, trace::Layout& layout) {
  layout.slots = memory.slots;
  layout.cells = memory.width;
  layout.update = memory.update;
  for (const Turn& turn : memory.turns) {
    layout.turns.push_back({turn.name, turn.sites, turn.writes});
    for (std::size_t& s : layout.turns.back().sites) s += layout.sites.size();
  }
}

/// State of no site: at keyframes, or where the component says so at every step.
void add_own_state(const Component& component, trace::Layout& layout) {
  const auto of_a_site = [&](const Declared& d) {
    return std::any_of(component.declared->sites.begin(), component.declared->sites.end(),
                       [&](const Site& s) { return s.name == d.site; });
  };
  for (const Declared& d : component.declared->state) {
    if (of_a_site(d) || !stored(d)) continue;
    if (!component.every_step) {
      layout.memory.push_back(logged(d, trace::Level::params));
      continue;
    }
    layout.controller.push_back(logged(d, trace::Level::full));
    if (!d.axes.empty() && d.axes.back() == "hidden" && layout.hidden == 0) layout.hidden = d.dims.back();
  }
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

trace::Layout make_layout(const Config& config, const Task& task, const Components& components,
                          const std::string& phase, std::uint64_t checkpoint_step, trace::Level level) {
  const BatchSpec spec = task.spec();
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
  layout.keyframe_position = "before_write";
  layout.constants = {{"cosine_epsilon", cosine_epsilon}, {"sharpen_epsilon", sharpen_epsilon}};
  for (const Component& c : components) {
    if (c.memory) add_memory(*c.memory, layout);
    add_sites(*c.declared, layout);
    add_own_state(c, layout);
  }
  std::vector<std::string> schemes;
  for (const trace::SiteLayout& s : layout.sites)
    if (!std::count(schemes.begin(), schemes.end(), s.site.addressing)) schemes.push_back(s.site.addressing);
  for (const std::string& s : schemes) layout.addressing += (layout.addressing.empty() ? "" : ",") + s;
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

Recorder::Recorder(const trace::Layout& layout, const Components& components, const BatchSpec& spec)
    : layout_(layout), spec_(spec) {
  for (const Component& c : components) add_columns(c);
}

void Recorder::add_column(Column c) {
  // An axis "item" may be longer in the trace: the task's largest set.
  const std::size_t count = c.declared->count();
  const bool items = std::count(c.declared->axes.begin(), c.declared->axes.end(), "item") > 0;
  if (count > c.count || (count < c.count && !items))
    fail<InvariantError>(c.component->plugin, "{} is declared {}, and has {} numbers in the trace",
                         c.declared->full_name(), c.declared->shape(1).text(), c.count);
  if (c.seen) {
    c.index = handles_.size();
    handles_.emplace_back();
  }
  columns_.push_back(c);
}

void Recorder::add_columns(const Component& component) {
  const Declaration& d = *component.declared;
  const auto add_of_site = [&](const Site& own, const Declared& value, bool seen, std::size_t index) {
    const auto site = static_cast<std::size_t>(layout_.find_site(own.name));
    const trace::SiteLayout& s = layout_.sites.at(site);
    if (!seen && index == own.weights)
      return add_column({&component, &value, false, index, To::weights, site, 0, layout_.width(s)});
    for (std::size_t v = 0; v < s.values.size(); ++v)
      if (s.values[v].declared.name == value.name && layout_.logs(s.values[v]))
        add_column({&component, &value, seen, index, To::site, site, v, s.values[v].declared.count()});
  };
  const auto add_own = [&](const Declared& value, std::size_t index) {
    const std::vector<trace::Logged>& list = component.every_step ? layout_.controller : layout_.memory;
    for (std::size_t v = 0; v < list.size(); ++v)
      if (list[v].declared.full_name() == value.full_name() && layout_.logs(list[v]))
        add_column({&component, &value, false, index, component.every_step ? To::controller : To::memory, 0, v,
                    list[v].declared.count()});
  };
  for (const DeclaredList* list : {&d.state, &d.parameters, &d.stages})
    for (std::size_t i = 0; i < list->size(); ++i) {
      const Declared& value = (*list)[i];
      const auto at = std::find_if(d.sites.begin(), d.sites.end(), [&](const Site& s) { return s.name == value.site; });
      if (at != d.sites.end())
        add_of_site(*at, value, list != &d.state, i);
      else if (list == &d.state)
        add_own(value, i);
    }
}

void Recorder::start(const Batch& batch, std::span<const std::size_t> rows) {
  rows_.assign(rows.begin(), rows.end());
  batch_rows_ = batch.size;
  std::fill(handles_.begin(), handles_.end(), Var<float>{});
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
    // What a pass that ends early does not come to is zero, not what stood there for an earlier one.
    const auto clear = [](std::vector<float>& column) { std::fill(column.begin(), column.end(), 0.0f); };
    for (const Column& c : columns_) {
      if (c.to == To::memory || c.to == To::controller) {
        clear((c.to == To::memory ? e.memory : e.controller)[c.value]);
        continue;
      }
      clear(c.to == To::weights ? e.sites[c.site].initial_weights : e.sites[c.site].initial[c.value]);
      clear(c.to == To::weights ? e.sites[c.site].weights : e.sites[c.site].values[c.value]);
    }
  }
}

Recorder::Column* Recorder::column_of(const Place& place) {
  for (Column& c : columns_)
    if (c.seen && c.declared->site == place.site && c.declared->name == place.name) return &c;
  return nullptr;
}

bool Recorder::wants(const Place& place) {
  return column_of(place) != nullptr;
}

void Recorder::seen(const Pass<float>&, const Place& place, const Var<float>& value) {
  handles_[column_of(place)->index] = value;
}

void Recorder::copy(const Column& c, const Var<float>& v, std::size_t row, float* to) const {
  const std::size_t own = v.size() / batch_rows_;  // an item axis may be shorter than declared
  const float* from = v.data + row * own;
  if (!swapped(*c.declared)) {
    std::copy_n(from, own, to);
  } else {
    const std::size_t cells = c.declared->dims[0], slots = own / cells;
    for (std::size_t m = 0; m < cells; ++m)
      for (std::size_t n = 0; n < slots; ++n) to[n * cells + m] = from[m * slots + n];
  }
  std::fill_n(to + own, c.count - own, 0.0f);
}

float* Recorder::place_in(trace::Episode& e, const Column& c, std::ptrdiff_t step) {
  const std::size_t row = static_cast<std::size_t>(step) * c.count;
  if (c.to == To::weights)
    return step < 0 ? e.sites[c.site].initial_weights.data() : e.sites[c.site].weights.data() + row;
  if (c.to == To::memory) {  // as the next step finds it
    const auto at = std::find(e.keyframes.begin(), e.keyframes.end(), step + 1);
    return at == e.keyframes.end()
               ? nullptr
               : e.memory[c.value].data() + static_cast<std::size_t>(at - e.keyframes.begin()) * c.count;
  }
  if (step < 0 && c.to == To::controller) return nullptr;
  if (step < 0) return e.sites[c.site].initial[c.value].empty() ? nullptr : e.sites[c.site].initial[c.value].data();
  return (c.to == To::site ? e.sites[c.site].values[c.value] : e.controller[c.value]).data() + row;
}

void Recorder::copy_all(std::string_view component, std::span<const Var<float>> now, std::ptrdiff_t step) {
  for (const Column& c : columns_) {
    if (c.component->name != component || (c.seen && step < 0)) continue;
    const Var<float>& v = c.seen ? handles_[c.index] : now[c.index];
    if (c.seen && !v)
      fail<InvariantError>(c.component->plugin, "declares {} and never shows it", c.declared->full_name());
    check_value(*c.declared, c.component->plugin, v.shape, batch_rows_);
    for (std::size_t i = 0; i < rows_.size(); ++i)
      if (step < static_cast<std::ptrdiff_t>(lengths_[i]))
        if (float* to = place_in(episodes_[i], c, step)) copy(c, v, rows_[i], to);
  }
}

void Recorder::start(const Pass<float>&, std::string_view component, std::span<const Var<float>> now) {
  copy_all(component, now, -1);
}

void Recorder::state(const Pass<float>& pass, std::string_view component, std::span<const Var<float>> now) {
  reached_ = std::max(reached_, pass.step + 1);  // a pointer is shown when all steps are done
  copy_all(component, now, static_cast<std::ptrdiff_t>(pass.step));
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
      const std::size_t steps = lengths_[i] = std::max<std::size_t>(reached_, 1);
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
