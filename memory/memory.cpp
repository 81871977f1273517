#include "memory/memory.hpp"

#include <algorithm>
#include <set>

namespace mneme {

namespace {

/// Weights or values of the turn's sites as the step goes on with them: whoever looks may put others in their place.
/// -> whether somebody did
template <class T>
bool take(Pass<T>& pass, const MemoryLayout& layout, const Turn& turn, std::size_t Site::*place, const char* name,
          Values<T> now) {
  bool others = false;
  for (const std::size_t s : turn.sites) {
    const Site& site = layout.sites[s];
    if (site.*place == nowhere) continue;
    pass.at(site.name.c_str());
    const Var<T> own = now[site.*place];
    now[site.*place] = pass.taken(name, own);
    others = others || now[site.*place].data != own.data;
  }
  return others;
}

/// Whether address() has put what all of the turn's sites read into `now`.
template <class T>
bool has_read(const MemoryLayout& layout, const Turn& turn, Values<T> before, Values<T> now) {
  return std::all_of(turn.sites.begin(), turn.sites.end(), [&](std::size_t s) {
    const std::size_t value = layout.sites[s].value;
    return value != nowhere && now[value].data != before[value].data;
  });
}

}  // namespace

void check(const MemoryLayout& layout, const std::string& plugin) {
  check(layout, plugin, layout.slots, layout.width);
  std::vector<std::size_t> turns(layout.sites.size());
  std::set<std::string> names;
  for (const Turn& turn : layout.turns)
    if (!names.insert(turn.name).second) fail<InvariantError>(plugin, "declares the turn {} twice", turn.name);
  for (const Turn& turn : layout.turns)
    for (const std::size_t s : turn.sites) {
      if (s >= turns.size())
        fail<InvariantError>(plugin, "turn {} has site {}, of which there are {}", turn.name, s, turns.size());
      ++turns[s];
    }
  for (std::size_t s = 0; s < turns.size(); ++s)
    if (turns[s] != 1) fail<InvariantError>(plugin, "site {} is in {} turns, not one", layout.sites[s].name, turns[s]);
}

std::size_t MemoryLayout::read_size() const {
  std::size_t n = 0;
  for (const Site& s : sites)
    if (s.value != nowhere) n += state[s.value].count();
  return n;
}

template <class T>
Values<T> Memory<T>::step(Pass<T>& pass, Values<T> parameters, Values<T> before) const {
  const MemoryLayout& l = layout();
  if (parameters.size() != l.parameters.size() || before.size() != l.state.size())
    fail<InvariantError>("memory", "a step got {} head parameters and {} values of state; declared are {} and {}",
                         parameters.size(), before.size(), l.parameters.size(), l.state.size());
  Values<T> now = copy_values(pass.tape, before);
  for (std::size_t i = 0; pass.look && i < parameters.size(); ++i) {
    pass.at(l.parameters[i].site.c_str());
    pass.seen(l.parameters[i].name, parameters[i]);
  }
  for (const Turn& turn : l.turns) {
    enter(pass, l, turn);
    address(pass, turn, parameters, before, now);
    const bool others = pass.look && take(pass, l, turn, &Site::weights, "weights", now);
    enter(pass, l, turn);
    if (turn.writes) update(pass, turn, parameters, before, now);
    if (turn.writes || others || !has_read(l, turn, before, now)) read(pass, turn, now);
    if (pass.look) take(pass, l, turn, &Site::value, "value", now);
  }
  return now;
}

template <class T>
Var<T> Memory<T>::question(Pass<T>&, const Batch&) const {
  fail<ArgumentError>("memory", "this one is not asked questions; those filled from items are");
}

template <class T>
Var<T> Memory<T>::answer(Pass<T>&, Values<T>) const {
  fail<ArgumentError>("memory", "this one gives no answers; those filled from items do");
}

Registry<MemoryPlugin>& memories() {
  static Registry<MemoryPlugin> registry("memory");
  return registry;
}

template class Memory<float>;
template class Memory<double>;

}  // namespace mneme
