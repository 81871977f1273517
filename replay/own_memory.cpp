// Room: replay. Runs a registered memory's pure functions on one row in float64.
#include "replay/own_memory.hpp"

#include "core/batch.hpp"
#include "core/error.hpp"
#include "core/ini.hpp"
#include "core/random.hpp"

#include <algorithm>

namespace mneme::replay {

namespace {

/// Swaps the two axes of a matrix [rows columns].
Row swap_axes(View values, std::size_t rows) {
  const std::size_t columns = values.size() / rows;
  Row out(values.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) out[c * rows + r] = values[r * columns + c];
  return out;
}

}  // namespace

MemoryConfig read_memory_config(const std::string& config_ini) {
  static const std::string options = "memory.";
  MemoryConfig config;
  for (const IniEntry& e : read_ini(config_ini, "the trace's config_ini")) {
    if (e.key == "memory") config.name = e.value;
    if (e.key == "controller") config.controlled = true;
    if (e.key.starts_with(options)) config.options[e.key.substr(options.size())] = e.value;
  }
  return config;
}

OwnMemory::Slot OwnMemory::make_slot(const Declared& declared) {
  const bool turned = declared.axes == std::vector<std::string>{"cell", "slot"} ||
                      declared.axes == std::vector<std::string>{"cell", "item"};
  return {declared, turned, Row(declared.count(), 0.0)};
}

OwnMemory::OwnMemory(const trace::Layout& layout) {
  const MemoryConfig config = read_memory_config(layout.config_ini);
  const auto known = memories().names();
  if (std::find(known.begin(), known.end(), config.name) == known.end())
    fail<FileError>("verify", "the trace was made with the memory '{}', which this program does not have", config.name);
  const MemoryPlugin& plugin = memories().find(config.name);
  MemorySetup setup;
  setup.control_size = 1;  // address, update and read never see the controller
  setup.batch.channels = layout.channels_in;
  setup.batch.outputs = layout.channels_out;
  if (layout.items) {  // as many slots as it had; its tables are never looked up, so any number of words does
    setup.batch.max_items = layout.slots;
    setup.batch.item_width = layout.item_width;
    setup.batch.item_vocabulary = layout.item_tokens ? 1 : 0;
    setup.question = !config.controlled;
  }
  memory_ = plugin.make<double>(Builder<double>(parameters_set_).scope("memory"),
                                plugin.options.parse("memory", config.options), setup);
  parameters_set_.initialize(1);
  gradients_ = std::make_unique<Gradients<double>>(parameters_set_, 0);
  tape_.bind(gradients_->leaves());
  for (const Declared& d : memory_->layout().state) state_.push_back(make_slot(d));
  for (const Declared& d : memory_->layout().parameters) parameters_.push_back(make_slot(d));
  for (const Declared& d : memory_->layout().stages) stages_.push_back(make_slot(d));
  find_trained();
}

/// What follows from trained parameters is what a recording tape gives a gradient: parameters have one, and what is
/// known to follow from them; all else is constant. No drawn number hides it, as a unit that is shut would.
void OwnMemory::find_trained() {
  start();
  for (std::vector<Slot>* slots : {&state_, &parameters_})
    for (Slot& s : *slots) {
      Random random(1, "trained or not", static_cast<std::uint64_t>(&s - slots->data()));
      if (s.declared.life != Life::rebuilt)
        for (double& v : s.values) v = random.uniform(0.25, 0.75);
    }
  begin_step();
  const auto given = [&](Row Slot::*of) {
    const Values<double> list = handles(state_, of);
    for (std::size_t i = 0; i < state_.size(); ++i)
      if (state_[i].trained) {
        const Var<double> constant = list[i];
        list[i] = tape_.variable(constant.shape);
        std::copy_n(constant.data, constant.size(), list[i].data);
      }
    return list;
  };
  /// The state after f, a function of the memory for this turn.
  const auto after = [&](const Turn& turn, auto f) {
    tape_.begin(true);
    Pass<double> pass{.tape = tape_};
    enter(pass, memory_->layout(), turn);
    const Values<double> now = given(&Slot::values);
    f(pass, handles(parameters_), given(&Slot::before), now);
    tape_.end();
    return now;
  };
  for (bool more = true; more;) {
    more = false;
    for (const Turn& turn : memory_->layout().turns) {
      if (!turn.writes) continue;
      const Values<double> now = after(
          turn, [&](auto& pass, auto p, auto before, auto state) { memory_->update(pass, turn, p, before, state); });
      for (std::size_t i = 0; i < state_.size(); ++i)
        if (!state_[i].trained && now[i].needs_gradient()) state_[i].trained = more = true;
    }
  }
  trained_sites_.resize(memory_->layout().sites.size());
  for (const Turn& turn : memory_->layout().turns) {
    if (turn.sites.empty()) continue;
    const Values<double> now = after(
        turn, [&](auto& pass, auto p, auto before, auto state) { memory_->address(pass, turn, p, before, state); });
    for (const std::size_t site : turn.sites)
      trained_sites_[site] = now[memory_->layout().sites[site].weights].needs_gradient();
  }
}

bool OwnMemory::needs_trained_weights(const std::string& site) const {
  return trained_sites_[site_index(site)];
}

bool OwnMemory::needs_trained_state(const std::string& full_name) const {
  return std::any_of(state_.begin(), state_.end(),
                     [&](const Slot& s) { return s.trained && s.declared.full_name() == full_name; });
}

bool OwnMemory::declares(const std::string& full_name) const {
  return std::any_of(state_.begin(), state_.end(), [&](const Slot& s) { return s.declared.full_name() == full_name; });
}

bool OwnMemory::has_site(const std::string& site) const {
  const auto& sites = memory_->layout().sites;
  return std::any_of(sites.begin(), sites.end(), [&](const Site& s) { return s.name == site; });
}

void OwnMemory::start() {
  const auto rebuilt = [](const Slot& s) { return s.declared.life == Life::rebuilt; };
  for (Slot& s : state_) std::fill(s.values.begin(), s.values.end(), 0.0);
  if (std::none_of(state_.begin(), state_.end(), rebuilt)) return;
  tape_.begin(false);
  Pass<double> pass{tape_};
  const Values<double> fresh = memory_->begin(pass, {.rows = 1});
  for (std::size_t i = 0; i < state_.size(); ++i)
    if (rebuilt(state_[i])) state_[i].values.assign(fresh[i].data, fresh[i].data + fresh[i].size());
}

void OwnMemory::begin_step() {
  for (Slot& s : state_) s.before = s.values;
}

void OwnMemory::assign(Slot& slot, View values) {
  // A trace's axis "item" is as long as the task's largest set, which may have more than the memory takes.
  const bool items = slot.declared.axes == std::vector<std::string>{"item"};
  if (items && values.size() > slot.values.size()) values = values.first(slot.values.size());
  if (values.size() != slot.values.size())
    fail<FileError>("verify", "{} has {} numbers in the trace and {} in the memory", slot.declared.full_name(),
                    values.size(), slot.values.size());
  slot.values = slot.turned ? swap_axes(values, slot.declared.dims[1]) : Row(values.begin(), values.end());
}

void OwnMemory::set(const std::string& full_name, View values) {
  for (Slot& s : state_)
    if (s.declared.full_name() == full_name) return assign(s, values);
}

Row OwnMemory::get(const std::string& full_name) const {
  for (const Slot& s : state_)
    if (s.declared.full_name() == full_name) return s.turned ? swap_axes(s.values, s.declared.dims[0]) : s.values;
  return {};
}

void OwnMemory::set_parameter(const std::string& full_name, View values) {
  for (Slot& s : parameters_)
    if (s.declared.full_name() == full_name) return assign(s, values);
}

std::size_t OwnMemory::site_index(const std::string& site) const {
  const auto& sites = memory_->layout().sites;
  for (std::size_t i = 0; i < sites.size(); ++i)
    if (sites[i].name == site) return i;
  fail<FileError>("verify", "the memory has no site '{}'", site);
}

Values<double> OwnMemory::handles(const std::vector<Slot>& slots, Row Slot::*of) {
  const Values<double> list = empty_values(tape_, slots.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    list[i] = tape_.constant(slots[i].declared.shape(1));
    std::copy((slots[i].*of).begin(), (slots[i].*of).end(), list[i].data);
  }
  return list;
}

template <class F>
void OwnMemory::run(const Turn& turn, Look<double>* look, F f) {
  tape_.begin(false);
  Pass<double> pass{.tape = tape_, .look = look};
  enter(pass, memory_->layout(), turn);
  const Values<double> now = handles(state_);
  f(pass, handles(parameters_), handles(state_, &Slot::before), now);
  for (std::size_t i = 0; i < state_.size(); ++i) state_[i].values.assign(now[i].data, now[i].data + now[i].size());
}

void OwnMemory::address(const Turn& turn) {
  struct Stages final : Look<double> {
    explicit Stages(std::vector<Slot>& list) : stages(list) {}
    Slot* find(const Place& place) {
      for (Slot& s : stages)
        if (s.declared.site == place.site && s.declared.name == place.name) return &s;
      return nullptr;
    }
    bool wants(const Place& place) override { return find(place) != nullptr; }
    void seen(const Pass<double>&, const Place& place, const Var<double>& value) override {
      find(place)->values.assign(value.data, value.data + value.size());
    }
    std::vector<Slot>& stages;
  } look(stages_);
  run(turn, &look, [&](auto& pass, auto p, auto before, auto now) { memory_->address(pass, turn, p, before, now); });
}

void OwnMemory::update(const Turn& turn) {
  run(turn, nullptr, [&](auto& pass, auto p, auto before, auto now) { memory_->update(pass, turn, p, before, now); });
}

void OwnMemory::read(const Turn& turn) {
  run(turn, nullptr, [&](auto& pass, auto, auto, auto now) { memory_->read(pass, turn, now); });
}

Row OwnMemory::stage(const std::string& full_name) const {
  for (const Slot& s : stages_)
    if (s.declared.full_name() == full_name) return s.values;
  return {};
}

}  // namespace mneme::replay
