#include "experiments/proving/specimens.hpp"

#include "core/batch.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

namespace mneme::experiments {

namespace {

using Given = std::map<std::string, std::string>;

constexpr std::size_t control_width = 7;  // H of a memory on its own, D of a controller on its own
constexpr std::size_t item_rows = 64;     // sequences whose items are drawn

/// Whether `table` and `validate` take these values.
bool accepted(const std::string& section, const OptionTable& table, const std::function<void(const Options&)>& validate,
              const Given& given) {
  try {
    const Options o = table.parse(section, given);
    if (validate) validate(o);
    return true;
  } catch (const ArgumentError&) {
    return false;
  }
}

/// Values worth a variant of their own, the default left out.
std::vector<std::string> other_values(const Option& o) {
  std::vector<std::string> values;
  switch (o.type) {
    case Option::Type::choice:
    case Option::Type::choices:
      for (const std::string& v : o.allowed())
        if (v != o.standard) values.push_back(v);
      break;
    case Option::Type::flag: values.push_back(o.standard == "true" ? "false" : "true"); break;
    case Option::Type::integer: {
      const double standard = std::stod(o.standard);
      for (double v : {standard + 1, standard + 2})  // a second chance for what must be odd
        if (v <= o.maximum) values.push_back(fmt::format("{:.0f}", v));
      break;
    }
    default: break;
  }
  return values;
}

/// A value that a variable of this kind may take, away from the borders.
template <class T>
void draw_interior(const Declared& d, Random& random, std::size_t n, std::size_t row, T* to) {
  for (std::size_t i = 0; i < n; ++i) {
    switch (d.kind) {
      case Kind::weights:
      case Kind::sub_weights: to[i] = static_cast<T>(random.uniform(0.5, 1.5)); break;
      case Kind::gate:
      case Kind::usage: to[i] = static_cast<T>(random.uniform(0.2, 0.8)); break;
      case Kind::positive: to[i] = static_cast<T>(random.uniform(0.3, 2)); break;
      default: to[i] = static_cast<T>(random.uniform(-1, 1));
    }
  }
  if (d.kind != Kind::weights && d.kind != Kind::sub_weights) return;
  for (std::size_t at = 0; at < n; at += row) {
    T total = 0;
    for (std::size_t i = 0; i < row; ++i) total += to[at + i];
    for (std::size_t i = 0; i < row; ++i) to[at + i] *= (d.kind == Kind::weights ? T(1) : T(0.8)) / total;
  }
}

template <class T>
class MemoryRecurrent final : public Recurrent<T> {
 public:
  MemoryRecurrent(const Builder<T>& build, const Specimen& s) {
    // A memory that is filled from items refuses a task without them, or with the other kind.
    BatchSpec spec{.channels = 3, .outputs = 2};
    bool filled = false;
    const auto refused = [&] {
      try {
        ParameterSet<T> scratch;
        s.memory->make<T>(Builder<T>(scratch), s.options, {control_width, spec});
        return false;
      } catch (const ArgumentError&) {
        return true;
      }
    };
    if (refused()) {
      spec.item_vocabulary = 6;
      spec.longest_line = 3;
      if (refused()) {
        spec.item_vocabulary = spec.longest_line = 0;
        spec.item_width = 2;
      }
      filled = true;
    }
    memory_ = s.memory->make<T>(build, s.options, {control_width, spec});
    if (filled) draw_items(spec, std::min<std::size_t>(memory_->layout().slots, 4));
  }
  const DeclaredList& state() const override { return memory_->layout().state; }
  const DeclaredList& outputs() const override { return memory_->layout().parameters; }
  std::size_t input_size() const override { return control_width; }
  Values<T> begin(Pass<T>& pass, std::size_t first_row, std::size_t rows) const override {
    if (!items_) return memory_->begin(pass, {.rows = rows});
    const auto [entry, fresh] = given_.try_emplace({first_row, rows});
    ItemSet& some = entry->second;
    if (fresh) {
      some = items_->items;
      const std::size_t n = some.support.shape()[1], d = some.values.shape()[2], words = some.tokens.shape()[2];
      some.count.assign(items_->items.count.begin() + static_cast<std::ptrdiff_t>(first_row),
                        items_->items.count.begin() + static_cast<std::ptrdiff_t>(first_row + rows));
      const auto part = [&](const auto& from, auto& to, std::size_t one) {
        to.resize({rows, one ? n : 0, one});
        std::copy_n(from.data() + first_row * n * one, rows * n * one, to.data());
      };
      part(items_->items.values, some.values, d);
      part(items_->items.tokens, some.tokens, some.tokens.shape()[1] ? words : 0);
      some.support.resize({rows, n});
    }
    return memory_->begin(pass, {.rows = rows, .items = &some});
  }
  typename Recurrent<T>::Stepped step(Pass<T>& pass, Var<T> input, Values<T> state) const override {
    const Values<T> parameters = memory_->head_parameters(pass, input);
    return {memory_->step(pass, parameters, state), parameters};
  }
  const Memory<T>* memory() const override { return memory_.get(); }

 private:
  /// Sets of 2, 3 and 4 items in turn, of no more than the memory has room for.
  void draw_items(const BatchSpec& spec, std::size_t most) {
    items_.emplace();
    items_->reset(spec, item_rows, 1, most, 3);
    for (std::size_t b = 0; b < item_rows; ++b) {
      Random random(1, "specimen items", b);
      const std::size_t count = std::min<std::size_t>(2 + b % 3, most);
      items_->items.count[b] = static_cast<std::uint32_t>(count);
      for (std::size_t i = 0; i < count; ++i)
        for (std::size_t k = 0; k < spec.item_width; ++k)
          items_->items.values(b, i, k) = static_cast<float>(random.uniform(-1, 1));
      for (std::size_t i = 0; spec.item_vocabulary && i < count; ++i)
        for (std::size_t w = 0; w <= (b + i) % 3; ++w)
          items_->items.tokens(b, i, w) = static_cast<std::int32_t>(random.integer(0, 5));
    }
  }

  std::unique_ptr<Memory<T>> memory_;
  std::optional<Batch> items_;
  mutable std::map<std::pair<std::size_t, std::size_t>, ItemSet> given_;  // by rows: the tape may point into them
};

template <class T>
class ControllerRecurrent final : public Recurrent<T> {
 public:
  ControllerRecurrent(const Builder<T>& build, const Specimen& s)
      : controller_(s.controller->make<T>(build, s.options, control_width)) {
    outputs_.add({"output", "", {controller_->output_size()}, Kind::plain, "controller output h_t", {"hidden"}});
  }
  const DeclaredList& state() const override { return controller_->state(); }
  const DeclaredList& outputs() const override { return outputs_; }
  std::size_t input_size() const override { return control_width; }
  Values<T> begin(Pass<T>& pass, std::size_t, std::size_t rows) const override {
    return controller_->begin(pass, rows);
  }
  typename Recurrent<T>::Stepped step(Pass<T>& pass, Var<T> input, Values<T> state) const override {
    const Values<T> output = empty_values(pass.tape, 1);
    output[0] = controller_->step(pass, {&input, 1}, state);
    return {state, output};
  }

 private:
  std::unique_ptr<Controller<T>> controller_;
  DeclaredList outputs_;
};

}  // namespace

bool differentiable(const Declared& d) {
  return d.trains && d.life != Life::rebuilt;
}

std::vector<Variant> small_variants(const std::string& section, const OptionTable& table,
                                    const std::function<void(const Options&)>& validate, const Given& fixed) {
  Given small = fixed;
  std::vector<const Option*> free;
  // No two alike, in one plug-in and among those that meet in a model: what mixes up two axes must not go unseen.
  constexpr double sizes[] = {5, 4, 6, 7, 3};
  std::size_t large = section == "controller" ? 2 : section == "model" ? 3 : 0;
  for (const Option& o : table.options()) {
    if (fixed.count(o.name)) continue;
    if (o.type == Option::Type::integer && std::stod(o.standard) > 8) {
      const double size = std::clamp(sizes[large++ % std::size(sizes)], o.minimum, o.maximum);
      small[o.name] = fmt::format("{:.0f}", size);
    } else {
      free.push_back(&o);
    }
  }
  const auto parsed = [&](const Given& given) {
    Options o = table.parse(section, given);
    if (validate) validate(o);
    return o;
  };
  std::vector<Variant> variants{{"", parsed(small)}};
  const auto with_partner = [&](const Option& o, const std::string& value) -> std::optional<Variant> {
    Given given = small;
    given[o.name] = value;
    const std::string text = o.name + "=" + value;
    if (accepted(section, table, validate, given)) return Variant{text, parsed(given)};
    for (const Option* other : free) {
      if (other == &o || other->type == Option::Type::integer) continue;
      for (const std::string& v : other_values(*other)) {
        Given both = given;
        both[other->name] = v;
        if (accepted(section, table, validate, both)) return Variant{text + " " + other->name + "=" + v, parsed(both)};
      }
    }
    return std::nullopt;
  };
  for (const Option* o : free)
    for (const std::string& value : other_values(*o)) {
      std::optional<Variant> v = with_partner(*o, value);
      if (v) variants.push_back(std::move(*v));
      if (v && o->type == Option::Type::integer) break;
    }
  return variants;
}

std::vector<Specimen> specimens_of(const std::string& name, const MemoryPlugin& plugin) {
  std::vector<Specimen> all;
  for (Variant& v : small_variants("memory", plugin.options, plugin.validate))
    all.push_back({"memory", name, std::move(v.text), std::move(v.options), &plugin, nullptr});
  return all;
}

std::vector<Specimen> specimens_of(const std::string& name, const ControllerPlugin& plugin) {
  std::vector<Specimen> all;
  for (Variant& v : small_variants("controller", plugin.options))
    all.push_back({"controller", name, std::move(v.text), std::move(v.options), nullptr, &plugin});
  return all;
}

std::vector<Specimen> specimens() {
  std::vector<Specimen> all;
  for (const auto& [name, plugin] : memories().entries())
    for (Specimen& s : specimens_of(name, plugin)) all.push_back(std::move(s));
  for (const auto& [name, plugin] : controllers().entries())
    for (Specimen& s : specimens_of(name, plugin)) all.push_back(std::move(s));
  return all;
}

template <class T>
Rig<T>::Rig(const Specimen& specimen, std::uint64_t seed) : label_(specimen.label()) {
  const Builder<T> build(set);
  if (specimen.memory)
    module = std::make_unique<MemoryRecurrent<T>>(build, specimen);
  else
    module = std::make_unique<ControllerRecurrent<T>>(build, specimen);
  set.initialize(seed);
  gradients = std::make_unique<Gradients<T>>(set, 2);
  tape.bind(gradients->leaves());
}

template <class T>
std::vector<Var<T>> Rig<T>::inputs(std::size_t steps, std::size_t first_row, std::size_t rows) {
  std::vector<Var<T>> all;
  const std::size_t width = module->input_size();
  for (std::size_t t = 0; t < steps; ++t) {
    all.push_back(tape.variable({rows, width}));
    for (std::size_t b = 0; b < rows; ++b) {
      Random random(t + 1, "specimen input", first_row + b);
      for (std::size_t i = 0; i < width; ++i) all.back().data[b * width + i] = static_cast<T>(random.uniform(-1, 1));
    }
  }
  return all;
}

template <class T>
Values<T> Rig<T>::started(std::size_t first_row, std::size_t rows) {
  const Values<T> state = module->begin(pass, first_row, rows);
  const DeclaredList& declared = module->state();
  if (state.size() != declared.size())
    fail<InvariantError>(label_, "begins with {} values of state, declared are {}", state.size(), declared.size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    if (!state[i]) fail<InvariantError>(label_, "begins without {}", declared[i].full_name());
    check_value(declared[i], label_, state[i].shape, rows);
  }
  return state;
}

template <class T>
Values<T> Rig<T>::interior(std::size_t first_row, std::size_t rows) {
  Values<T> state = copy_values(tape, started(first_row, rows));
  for (std::size_t i = 0; i < state.size(); ++i) {
    const Declared& d = module->state()[i];
    if (!differentiable(d)) continue;
    state[i] = tape.variable(state[i].shape);
    for (std::size_t b = 0; b < rows; ++b) {
      Random random(i + 1, "specimen state", first_row + b);
      const std::size_t n = state[i].size() / rows;  // an item axis may be shorter than declared
      draw_interior(d, random, n, d.dims.empty() ? 1 : state[i].shape.last(), state[i].data + b * n);
    }
  }
  return state;
}

template <class T>
Trail<T> run(Rig<T>& rig, Values<T> state, const std::vector<Var<T>>& inputs) {
  Trail<T> trail;
  trail.state.push_back(state);
  for (rig.pass.step = 0; rig.pass.step < inputs.size(); ++rig.pass.step) {
    const auto next = rig.module->step(rig.pass, inputs[rig.pass.step], state);
    state = next.state;
    trail.state.push_back(state);
    trail.outputs.push_back(next.outputs);
  }
  return trail;
}

template <class T>
Var<T> trail_loss(Tape<T>& tape, const Trail<T>& trail, double scale) {
  std::size_t number = 0;
  Var<T> loss = tape.filled({}, T(0));
  const auto count = [&](const Var<T>& y) {
    if (!y) return;
    Var<T> weights = tape.constant(y.shape);
    for (std::size_t i = 0; i < y.size(); ++i)
      weights.data[i] = static_cast<T>(scale * std::sin(1.3 * static_cast<double>(number++) + 0.7));
    loss = add(tape, loss, sum(tape, multiply(tape, weights, y)));
  };
  for (const Values<T>& values : trail.state)
    for (const Var<T>& y : values) count(y);
  for (const Values<T>& values : trail.outputs)
    for (const Var<T>& y : values) count(y);
  return loss;
}

std::vector<ModelSpecimen> model_specimens() {
  struct Kind {
    const char* name;
    BatchSpec spec;
  };
  const Kind kinds[] = {
      {"bits", {.channels = 3, .target = TargetKind::bits, .outputs = 2}},
      {"classes of tokens", {.vocabulary = 5, .target = TargetKind::classes, .outputs = 3}},
      {"real", {.channels = 2, .vocabulary = 4, .target = TargetKind::real, .outputs = 2}},
      {"pointer to points", {.channels = 2, .item_width = 2, .target = TargetKind::pointer, .outputs = 4}},
      {"class of a question",
       {.vocabulary = 6,
        .item_vocabulary = 6,
        .target = TargetKind::classes,
        .outputs = 3,
        .output_tokens = {4, 5, 1},
        .longest_line = 3}},
      {"class that is no word",
       {.vocabulary = 6, .item_vocabulary = 6, .target = TargetKind::classes, .outputs = 3, .longest_line = 3}},
      {"pointer to sentences",
       {.vocabulary = 6, .item_vocabulary = 6, .target = TargetKind::pointer, .outputs = 4, .longest_line = 3}},
      {"class of each node",
       {.item_width = 2,
        .target = TargetKind::classes,
        .outputs = 3,
        .max_items = 4,
        .edges = true,
        .target_over = Along::items}},
      {"bits of each item",
       {.item_width = 3, .target = TargetKind::bits, .outputs = 2, .max_items = 4, .target_over = Along::items}},
  };
  // At least one entry each, so that the loops below run for models that use none.
  std::vector<std::pair<std::string, const MemoryPlugin*>> all_memories;
  std::vector<std::pair<std::string, const ControllerPlugin*>> all_controllers;
  for (const auto& [name, plugin] : memories().entries()) all_memories.emplace_back(name, &plugin);
  for (const auto& [name, plugin] : controllers().entries()) all_controllers.emplace_back(name, &plugin);

  std::vector<ModelSpecimen> all;
  for (const auto& [name, plugin] : models().entries()) {
    const std::vector<Variant> variants = small_variants("model", plugin.options);
    bool first_kind = true;
    for (const Kind& kind : kinds) {
      try {
        plugin.validate(kind.spec);
      } catch (const ArgumentError&) {
        continue;
      }
      const std::size_t memory_count = plugin.uses_memory ? all_memories.size() : 1;
      const std::size_t controller_count = plugin.uses_controller ? all_controllers.size() : 1;
      for (std::size_t m = 0; m < memory_count; ++m)
        for (std::size_t c = 0; c < (first_kind || m + 1 == memory_count ? controller_count : 1); ++c)
          for (std::size_t v = 0; v < (m == 0 && c == 0 ? variants.size() : 1); ++v) {
            ModelSpecimen s{name, kind.name, &plugin, variants[v].options, {}};
            s.setup.batch = kind.spec;
            if (plugin.uses_memory) {
              s.variant += ", " + all_memories[m].first;
              s.setup.memory = all_memories[m].second;
              s.setup.memory_options =
                  small_variants("memory", s.setup.memory->options, s.setup.memory->validate)[0].options;
            }
            if (plugin.uses_controller) {
              s.variant += ", " + all_controllers[c].first;
              s.setup.controller = all_controllers[c].second;
              s.setup.controller_options = small_variants("controller", s.setup.controller->options)[0].options;
            }
            if (!variants[v].text.empty()) s.variant += ", " + variants[v].text;
            try {
              ParameterSet<float> scratch;  // some memories need a batch with items
              s.plugin->make<float>(Builder<float>(scratch), s.options, s.setup);
            } catch (const ArgumentError&) {
              continue;
            }
            all.push_back(std::move(s));
          }
      first_kind = false;
    }
  }
  return all;
}

template <class T>
ModelRig<T>::ModelRig(const ModelSpecimen& s, std::uint64_t seed) {
  model = s.plugin->make<T>(Builder<T>(set), s.options, s.setup);
  set.initialize(seed);
  gradients = std::make_unique<Gradients<T>>(set, 2);
  tape.bind(gradients->leaves());
}

template <class T>
Forward<T> ModelRig<T>::forward(const Batch& batch, bool record, double loss_scale, Look<T>* look) {
  tape.begin(record);
  Pass<T> pass{.tape = tape, .loss_scale = loss_scale, .look = look};
  return model->forward(batch, pass);
}

Batch random_batch(const BatchSpec& spec, std::size_t rows, std::size_t steps, std::uint64_t seed) {
  constexpr std::size_t words = 3;
  const bool has_items = spec.has_items(), over_items = spec.target_over == Along::items;
  const std::size_t items = spec.target == TargetKind::pointer ? spec.outputs : 4, edges = spec.edges ? 5 : 0;
  Batch batch;
  batch.reset(spec, rows, steps, has_items ? items : 0, spec.item_vocabulary ? words : 0, edges);
  const auto score = [&](std::size_t i, std::size_t b, Random& random) {
    const auto below = [&](std::size_t n) {
      return static_cast<std::int32_t>(random.integer(0, static_cast<std::int64_t>(n) - 1));
    };
    batch.target.scored(i, b) = 1;
    if (chooses(spec.target))
      batch.target.indices(i, b) = below(spec.target == TargetKind::pointer ? batch.items.count[b] : spec.outputs);
    else
      for (std::size_t k = 0; k < spec.outputs; ++k)
        batch.target.values(i, b, k) =
            spec.target == TargetKind::bits ? static_cast<float>(below(2)) : static_cast<float>(random.uniform(-1, 1));
  };
  for (std::size_t b = 0; b < rows; ++b) {
    Random random(seed, "specimen batch", b);
    const auto below = [&](std::size_t n) {
      return static_cast<std::int32_t>(random.integer(0, static_cast<std::int64_t>(n) - 1));
    };
    const std::size_t length = b == 0 ? steps : steps - (b - 1) % steps;
    batch.lengths[b] = static_cast<std::uint32_t>(length);
    if (has_items) {
      batch.items.count[b] = static_cast<std::uint32_t>(b == 0 ? items : 1 + b % items);
      for (std::size_t i = 0; i < batch.items.count[b]; ++i) {
        for (std::size_t k = 0; k < spec.item_width; ++k)
          batch.items.values(b, i, k) = static_cast<float>(random.uniform(-1, 1));
        if (spec.item_vocabulary)
          for (std::size_t w = 0; w < 1 + i % words; ++w) batch.items.tokens(b, i, w) = below(spec.item_vocabulary);
      }
    }
    for (std::size_t t = 0; t < length; ++t) {
      for (std::size_t c = 0; c < spec.channels; ++c) batch.dense(t, b, c) = static_cast<float>(random.uniform(-1, 1));
      if (spec.vocabulary) batch.tokens(t, b) = below(spec.vocabulary);
      if (over_items) continue;
      const bool scored = t + 1 == length || below(3) > 0;
      if (!scored) continue;
      batch.phase(t, b) = static_cast<std::uint8_t>(Phase::answer);
      score(t, b, random);
    }
    for (std::size_t i = 0; over_items && i < batch.items.count[b]; ++i)
      if (i == 0 || below(3) > 0) score(i, b, random);
    if (!spec.edges) continue;
    batch.items.edge_count[b] = static_cast<std::uint32_t>(std::min(edges, b + batch.items.count[b] - 1));
    for (std::size_t e = 0; e < batch.items.edge_count[b]; ++e)
      for (std::size_t end = 0; end < 2; ++end) batch.items.edges(b, e, end) = below(batch.items.count[b]);
  }
  batch.check(spec);
  return batch;
}

Batch single_row(const Batch& batch, const BatchSpec& spec, std::size_t b) {
  Batch one = batch.row(spec, b);
  one.check(spec);
  return one;
}

#define MNEME_INSTANTIATE(T)                                             \
  template class Rig<T>;                                                 \
  template class ModelRig<T>;                                            \
  template Trail<T> run(Rig<T>&, Values<T>, const std::vector<Var<T>>&); \
  template Var<T> trail_loss(Tape<T>&, const Trail<T>&, double);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme::experiments
