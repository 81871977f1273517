// Room: experiments. Declarations -> trace layout, and step views -> trace episodes.
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
  layout.config_ini = config.text();
  layout.config_json = config.json();
  layout.env_json = environment_json();
  return layout;
}

Recorder::Recorder(const trace::Layout& layout, const ModelParts& parts) : layout_(layout) {
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
    e.resize(layout_, steps, keyframes.size(), batch.items.count.empty() ? 0 : batch.items.count[rows[i]]);
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
      std::fill_n(&e.output[t * k], k, 0.0f);  // a pointer's batch may have fewer items than k
      if (prediction)
        std::copy_n(&prediction->values(t, b, 0), std::min(k, prediction->values.shape()[2]), &e.output[t * k]);
      e.mask[t] = batch.target.scored(t, b);
      e.phase[t] = batch.phase(t, b);
      if (layout_.tokens) e.token[t] = batch.tokens(t, b);
    }
    for (std::size_t p = 0; p < e.params.size() && p < batch.parameters.size(); ++p)
      e.params[p] = batch.parameters[p].second[b];
    e.items.token.clear();
    for (std::size_t n = 0; n < e.items.count; ++n) {
      if (layout_.item_width)
        std::copy_n(&batch.items.values(b, n, 0), layout_.item_width, &e.items.values[n * layout_.item_width]);
      if (layout_.item_support) e.items.support[n] = batch.items.support(b, n);
      if (!layout_.item_tokens) continue;
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
