#include "memory/memory.hpp"

#include <algorithm>

namespace mneme {

namespace {

std::size_t index_of(const std::vector<Declared>& list, const std::string& site, const std::string& name) {
  for (std::size_t i = 0; i < list.size(); ++i)
    if (list[i].site == site && list[i].name == name) return i;
  fail<InvariantError>("memory", "nothing is declared as {}.{}", site, name);
}

/// What a step takes for the read `r` [B width]: r itself, unless the tape asks for another (Reads).
template <class T>
Var<T> taken_read(Tape<T>& tape, Var<T> r) {
  if (tape.reads() == Reads::as_read) return r;
  if (tape.reads() == Reads::zeroed) return tape.filled(r.shape, T(0));
  const Var<T> other = tape.constant(r.shape);
  const std::size_t first = r.size() / r.shape[0];  // row b takes that of b + 1
  std::rotate_copy(r.data, r.data + first, r.data + r.size(), other.data);
  return other;
}

/// Addresses and then reads, or addresses all and then writes. A site sees the sites before it: a hop follows from the
/// value of the last.
template <class T>
Values<T> run_phase(const Memory<T>& memory, Tape<T>& tape, bool writes, Values<T> parameters, Values<T> state,
                    Values<T> stages) {
  const MemoryLayout& layout = memory.layout();
  Values<T> next = copy_values(tape, state);
  for (std::size_t s = 0; s < layout.sites.size(); ++s) {
    const Site& site = layout.sites[s];
    if ((site.kind == "write") != writes) continue;
    tape.at(site.name.c_str());
    next[layout.state_index(site.name, "weights")] = address_site(memory, tape, s, parameters, next, stages);
    if (!writes) next[layout.state_index(site.name, "value")] = taken_read(tape, memory.read(tape, s, next));
  }
  return writes ? memory.update(tape, parameters, next) : next;
}

}  // namespace

std::size_t MemoryLayout::state_index(const std::string& site, const std::string& name) const {
  return index_of(state, site, name);
}

std::size_t MemoryLayout::parameter_index(const std::string& site, const std::string& name) const {
  return index_of(parameters, site, name);
}

std::size_t MemoryLayout::read_size() const {
  std::size_t n = 0;
  for (const Site& s : sites)
    if (s.kind != "write") n += state[state_index(s.name, "value")].count();
  return n;
}

template <class T>
Var<T> Memory<T>::question(Tape<T>&, const Batch&) const {
  fail<ArgumentError>("memory", "this one is not asked questions; those filled from items are");
}

template <class T>
Var<T> Memory<T>::answer(Tape<T>&, Values<T>) const {
  fail<ArgumentError>("memory", "this one gives no answers; those filled from items do");
}

template <class T>
Values<T> copy_values(Tape<T>& tape, Values<T> values) {
  auto* copy = tape.template scratch<Var<T>>(values.size());
  std::uninitialized_copy(values.begin(), values.end(), copy);
  return {copy, values.size()};
}

template <class T>
Var<T> address_site(const Memory<T>& memory, Tape<T>& tape, std::size_t site, Values<T> parameters, Values<T> state,
                    Values<T> stages) {
  tape.forget_taps();
  const Var<T> weights = memory.address(tape, site, parameters, state);
  if (!tape.watched()) return weights;
  const std::string& name = memory.layout().sites[site].name;
  const auto taps = tape.taps();
  std::size_t next = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Declared& stage = memory.layout().stages[i];
    if (stage.site != name) continue;
    if (next == taps.size() || stage.name != taps[next].name)
      fail<InvariantError>("memory", "{} declares the stage {} and its addressing taps {}", name, stage.name,
                           next == taps.size() ? "no more" : taps[next].name);
    new (&stages[i]) Var<T>(taps[next++].value);
  }
  if (next != taps.size()) fail<InvariantError>("memory", "{} taps a stage not declared: {}", name, taps[next].name);
  return weights;
}

template <class T>
typename Memory<T>::Step apply_parameters(const Memory<T>& memory, Tape<T>& tape, Values<T> parameters,
                                          Values<T> state) {
  const bool write_first = memory.layout().write_first;
  Values<T> stages;
  if (tape.watched())
    stages = {tape.template scratch<Var<T>>(memory.layout().stages.size()), memory.layout().stages.size()};
  const Values<T> between = run_phase(memory, tape, write_first, parameters, state, stages);
  return {run_phase(memory, tape, !write_first, parameters, between, stages), parameters, stages};
}

template <class T>
typename Memory<T>::Step step_in_order(const Memory<T>& memory, Tape<T>& tape, Var<T> control, Values<T> state) {
  return apply_parameters(memory, tape, memory.head_parameters(tape, control), state);
}

Registry<MemoryPlugin>& memories() {
  static Registry<MemoryPlugin> registry("memory");
  return registry;
}

#define MNEME_INSTANTIATE(T)                                                                              \
  template class Memory<T>;                                                                               \
  template Values<T> copy_values(Tape<T>&, Values<T>);                                                    \
  template Memory<T>::Step apply_parameters(const Memory<T>&, Tape<T>&, Values<T>, Values<T>);            \
  template Var<T> address_site(const Memory<T>&, Tape<T>&, std::size_t, Values<T>, Values<T>, Values<T>); \
  template Memory<T>::Step step_in_order(const Memory<T>&, Tape<T>&, Var<T>, Values<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
