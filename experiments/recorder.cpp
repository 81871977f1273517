// Room: experiments. Declarations -> trace layout, and what a run shows -> trace episodes.
#include "experiments/recorder.hpp"

#include "attention/location.hpp"
#include "attention/score.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "experiments/environment.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

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
      if (d.site == site.name) s.values.push_back(logged(d, trace::Level::full));
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
  layout.channels_out = spec.outputs;
  layout.tokens = spec.vocabulary > 0;
  layout.vocab = task.token_names();
  if (spec.target == TargetKind::classes) layout.classes = task.class_names();
  layout.error_name = task.metrics()[task.solved_metric()].name;
  switch (spec.target) {
    case TargetKind::bits: layout.target_kind = "bits"; break;
    case TargetKind::classes: layout.target_kind = "classes"; break;
    case TargetKind::pointer: layout.target_kind = "pointer"; break;
    case TargetKind::real: layout.target_kind = "real"; break;
  }
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

  Batch probe;
  task.sample({config.seed, "eval", 0, 0, 32}, probe);
  for (const auto& [name, values] : probe.parameters) {
    const bool whole = std::all_of(values.begin(), values.end(), [](float v) { return v == std::floor(v); });
    layout.episode_params.push_back({name, whole, ""});
  }
  if (spec.item_width || spec.item_vocabulary) {
    layout.items =
        std::max(layout.items, spec.target == TargetKind::pointer ? spec.outputs : probe.items.support.shape()[1]);
    layout.item_width = spec.item_width;
    layout.item_tokens = spec.item_vocabulary > 0;
    layout.item_support = true;
  }
  layout.config_ini = config.text();
  layout.config_json = config.json();
  layout.env_json = environment_json();
  return layout;
}

Recorder::Recorder(const trace::Layout& layout, const Components& components) : layout_(layout) {
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
    e.resize(layout_, steps, keyframes.size(), batch.items.count.empty() ? 0 : batch.items.count[rows[i]]);
    e.keyframes = keyframes;
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

void Recorder::finish(const Batch& batch, const Prediction* prediction) {
  const bool indexed = batch.target.kind == TargetKind::classes || batch.target.kind == TargetKind::pointer;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    trace::Episode& e = episodes_[i];
    const std::size_t b = rows_[i], k = layout_.channels_out;
    if (reached_ < lengths_[i]) {
      const std::size_t steps = std::max<std::size_t>(reached_, 1);
      lengths_[i] = steps;
      const auto keyframes = trace::keyframe_steps(layout_, steps);
      e.resize(layout_, steps, keyframes.size(), e.items.count);
      e.keyframes = keyframes;
    }
    for (std::size_t t = 0; t < e.steps; ++t) {
      if (layout_.channels_in)
        std::copy_n(&batch.dense(t, b, 0), layout_.channels_in, &e.input[t * layout_.channels_in]);
      if (indexed) {
        std::fill_n(&e.target[t * k], k, 0.0f);
        const std::int32_t chosen = batch.target.indices(t, b);
        if (chosen >= 0 && static_cast<std::size_t>(chosen) < k) e.target[t * k + static_cast<std::size_t>(chosen)] = 1;
      } else {
        std::copy_n(&batch.target.values(t, b, 0), k, &e.target[t * k]);
      }
      if (prediction)
        std::copy_n(&prediction->values(t, b, 0), std::min(k, prediction->values.shape()[2]), &e.output[t * k]);
      else
        std::fill_n(&e.output[t * k], k, 0.0f);
      e.mask[t] = batch.target.scored(t, b);
      e.phase[t] = batch.phase(t, b);
      if (layout_.tokens) e.token[t] = batch.tokens(t, b);
    }
    for (std::size_t p = 0; p < e.params.size() && p < batch.parameters.size(); ++p)
      e.params[p] = batch.parameters[p].second[b];
    for (std::size_t n = 0; n < e.items.count; ++n) {
      if (layout_.item_width)
        std::copy_n(&batch.items.values(b, n, 0), layout_.item_width, &e.items.values[n * layout_.item_width]);
      if (layout_.item_support) e.items.support[n] = batch.items.support(b, n);
      if (!layout_.item_tokens) continue;
      if (n == 0) e.items.token.clear();
      e.items.token_count[n] = 0;
      for (std::size_t w = 0; w < batch.items.tokens.shape()[2]; ++w)
        if (const std::int32_t token = batch.items.tokens(b, n, w); token >= 0) {
          e.items.token.push_back(token);
          ++e.items.token_count[n];
        }
    }
  }
}

}  // namespace mneme::experiments
