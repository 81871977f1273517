#include "tests/conformance/checks.hpp"

#include "experiments/judge/reliance.hpp"
#include "experiments/proving/gradcheck.hpp"
#include "tests/conformance/promises.hpp"
#include "tests/core/allocations.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace mneme::test {

namespace {

using experiments::Rig;
using experiments::Trail;

constexpr std::size_t steps = 4, rows = 3;

/// A run from begin(), everything that came out of it.
template <class T>
Record record_run(Rig<T>& rig, bool recording, std::size_t first_row = 0, std::size_t row_count = rows) {
  rig.tape.begin(recording);
  const auto inputs = rig.inputs(steps, first_row, row_count);
  const Trail<T> trail = run(rig, rig.started(first_row, row_count), inputs);
  Record record;
  for (std::size_t t = 0; t < trail.state.size(); ++t)
    for (std::size_t i = 0; i < trail.state[t].size(); ++i)
      if (rig.module->state()[i].life != Life::rebuilt)
        keep(record, fmt::format("step {} {}", t, rig.module->state()[i].full_name()), trail.state[t][i],
             rig.module->state()[i]);
  for (std::size_t t = 0; t < trail.outputs.size(); ++t)
    for (std::size_t i = 0; i < trail.outputs[t].size(); ++i)
      keep(record, fmt::format("step {} {}", t + 1, rig.module->outputs()[i].full_name()), trail.outputs[t][i]);
  return record;
}

/// Shapes, kinds and finite gradients of a run from begin().
template <class T>
void expect_values(Complaints& out, const Specimen& s) {
  const char* scalar = std::is_same_v<T, float> ? "float" : "double";
  Rig<T> rig(s);
  rig.tape.begin(true);
  const auto inputs = rig.inputs(steps, 0, rows);
  const Trail<T> trail = run(rig, rig.started(0, rows), inputs);
  for (std::size_t t = 0; t < trail.state.size(); ++t)
    expect_promises<T>(out, fmt::format("{} step {}", scalar, t), rig.module->state(), trail.state[t], rows, t == 0);
  for (std::size_t t = 0; t < trail.outputs.size(); ++t)
    expect_promises<T>(out, fmt::format("{} step {}", scalar, t + 1), rig.module->outputs(), trail.outputs[t], rows,
                       false);
  if (!out.empty()) return;
  const Var<T> loss = trail_loss(rig.tape, trail);
  if (!loss.needs_gradient()) return;
  rig.tape.backward(loss);
  if (!finite(rig.gradients->flat(), rig.set.flat_size()))
    out.push_back(fmt::format("{}: a gradient is not finite", scalar));
}

/// From a state, inputs and, where asked for, parameters of nothing but zeros.
template <class T>
void expect_zero(Complaints& out, const Specimen& s, bool zero_parameters) {
  Rig<T> rig(s);
  const std::string where =
      fmt::format("{}{}", std::is_same_v<T, float> ? "float" : "double", zero_parameters ? ", zero parameters" : "");
  if (zero_parameters) {
    std::fill_n(rig.set.flat(), rig.set.flat_size(), T(0));
    rig.set.refresh();
  }
  rig.tape.begin(true);
  Values<T> state = copy_values(rig.tape, rig.started(0, rows));
  std::vector<Var<T>> nudged;
  for (std::size_t i = 0; i < state.size(); ++i) {
    if (!experiments::differentiable(rig.module->state()[i])) continue;
    state[i] = rig.tape.variable(state[i].shape);
    std::fill_n(state[i].data, state[i].size(), T(0));
    nudged.push_back(state[i]);
  }
  auto inputs = rig.inputs(steps, 0, rows);
  for (Var<T>& x : inputs) {
    std::fill_n(x.data, x.size(), T(0));
    nudged.push_back(x);
  }
  const Trail<T> trail = run(rig, state, inputs);
  for (std::size_t t = 1; t < trail.state.size(); ++t)
    for (std::size_t i = 0; i < state.size(); ++i)
      if (rig.module->state()[i].life != Life::rebuilt && !finite(trail.state[t][i].data, trail.state[t][i].size())) {
        out.push_back(fmt::format("{}: {} is not finite at step {}", where, rig.module->state()[i].full_name(), t));
        return;
      }
  const Var<T> loss = trail_loss(rig.tape, trail);
  if (!loss.needs_gradient()) return;
  rig.tape.backward(loss);
  if (!finite(rig.gradients->flat(), rig.set.flat_size()))
    out.push_back(where + ": the gradient of a parameter is not finite");
  for (const Var<T>& x : nudged)
    if (!finite(rig.tape.gradient(x), x.size())) {
      out.push_back(where + ": the gradient of the state or the input is not finite");
      return;
    }
}

/// One whole sequence, forward and back, by nothing but the framework.
template <class T>
void sequence(Rig<T>& rig) {
  rig.tape.begin(true);
  Values<T> state = rig.started(0, rows);
  Var<T> loss = rig.tape.filled({}, T(0));
  for (std::size_t t = 0; t < steps; ++t) {
    Var<T> x = rig.tape.variable({rows, rig.module->input_size()});
    for (std::size_t i = 0; i < x.size(); ++i)
      x.data[i] = static_cast<T>(0.1 * static_cast<double>((3 * t + 7 * i) % 11));
    const auto next = rig.module->step(rig.pass, x, state);
    state = next.state;
    for (const Values<T>& values : {next.state, next.outputs})
      for (const Var<T>& v : values)
        if (v) loss = add(rig.tape, loss, sum(rig.tape, v));
  }
  if (loss.needs_gradient()) rig.tape.backward(loss);
}

template <class T>
void expect_no_allocation(Complaints& out, const Specimen& s) {
  Rig<T> rig(s);
  sequence(rig);
  const std::uint64_t before = allocations();
  sequence(rig);
  const std::uint64_t count = allocations() - before;
  if (count)
    out.push_back(fmt::format("{}: the second sequence allocates {} times",
                              std::is_same_v<T, float> ? "float" : "double", count));
}

/// Calls f and complains about whatever it changed in `values`.
template <class T, class F>
auto watched(Complaints& out, const std::string& function, const std::vector<Declared>& declared, Values<T> values,
             F f) {
  std::vector<std::vector<T>> before;
  std::vector<const T*> where;
  for (const Var<T>& v : values) {
    before.emplace_back(v.data, v.data + v.size());
    where.push_back(v.data);
  }
  auto result = f();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (declared[i].life == Life::in_place) continue;
    if (values[i].data != where[i] || !std::equal(before[i].begin(), before[i].end(), values[i].data))
      out.push_back(fmt::format("{} changes {} of what it is given", function, declared[i].full_name()));
  }
  return result;
}

void expect_pure_memory(Complaints& out, Rig<double>& rig) {
  const Memory<double>& memory = *rig.module->memory();
  const MemoryLayout& layout = memory.layout();
  Pass<double>& pass = rig.pass;
  Tape<double>& tape = rig.tape;
  tape.begin(true);
  const auto inputs = rig.inputs(2, 0, rows);
  const Values<double> before =
      memory.step(pass, memory.head_parameters(pass, inputs[0]), rig.module->begin(pass, 0, rows));
  const Values<double> parameters = memory.head_parameters(pass, inputs[1]);
  const auto bits = [&](Values<double> values) {
    Record r;
    for (std::size_t i = 0; i < values.size(); ++i)
      if (layout.state[i].life != Life::rebuilt) keep(r, layout.state[i].full_name(), values[i]);
    return r;
  };
  // A function of a turn, twice from the same `now`: what it gives is the same, what it is given stays, and it fills
  // nothing but what is its own.
  const auto twice = [&](const std::string& function, Values<double>& now, auto f, auto fills) {
    const Values<double> given = now, once = copy_values(tape, now), again = copy_values(tape, now);
    watched<double>(out, function, layout.state, given, [&] {
      return watched<double>(out, function, layout.state, before, [&] {
        return watched<double>(out, function, layout.parameters, parameters, [&] {
          f(once);
          return 0;
        });
      });
    });
    f(again);
    expect_same(out, function + ", called twice", bits(once), bits(again), 0);
    for (std::size_t i = 0; i < now.size(); ++i)
      if (once[i].data != given[i].data && !fills(layout.state[i]))
        out.push_back(fmt::format("{} fills {}, which is not its own", function, layout.state[i].full_name()));
    now = once;
  };
  Values<double> now = copy_values(tape, before);
  for (const Turn& turn : layout.turns) {
    const auto of_turn = [&](const char* name) {
      return [&, name](const Declared& d) {
        return d.name == name && std::any_of(turn.sites.begin(), turn.sites.end(),
                                             [&](std::size_t s) { return layout.sites[s].name == d.site; });
      };
    };
    enter(pass, layout, turn);
    twice(
        "address " + turn.name, now, [&](Values<double> n) { memory.address(pass, turn, parameters, before, n); },
        // What was read may stand beside the weights where the turn writes nothing in between.
        [&](const Declared& d) { return of_turn("weights")(d) || (!turn.writes && of_turn("value")(d)); });
    if (turn.writes)
      twice(
          "update " + turn.name, now, [&](Values<double> n) { memory.update(pass, turn, parameters, before, n); },
          [](const Declared&) { return true; });
    twice(
        "read " + turn.name, now, [&](Values<double> n) { memory.read(pass, turn, n); }, of_turn("value"));
  }
  // What replay does with a log: no controller, no model.
  expect_same(out, "turn by turn against step", bits(now), bits(memory.step(pass, parameters, before)), 0);
}

Specimen with_option(const Specimen& s, const std::string& name, std::int64_t value) {
  std::map<std::string, std::string> given(s.options.items().begin(), s.options.items().end());
  given[name] = std::to_string(value);
  Specimen other = s;
  other.options = s.memory->options.parse("memory", given);
  if (s.memory->validate) s.memory->validate(other.options);
  return other;
}

/// N of every site, as the memory declares its weightings.
std::vector<std::size_t> slots_of_sites(const Specimen& s) {
  const Rig<double> rig(s);
  const MemoryLayout& layout = rig.module->memory()->layout();
  std::vector<std::size_t> n;
  for (const Site& site : layout.sites) n.push_back(layout.state[site.weights].count());
  return n;
}

/// Whatever they are called, the whole numbers that N follows.
std::vector<const Option*> slot_options(const Specimen& s) {
  std::vector<const Option*> found;
  const std::vector<std::size_t> n = slots_of_sites(s);
  for (const Option& o : s.memory->options.options()) {
    if (o.type != Option::Type::integer) continue;
    const std::int64_t now = s.options.integer(o.name);
    for (const std::int64_t other : {now + 1, now + 2, now - 1}) {
      try {
        const std::vector<std::size_t> then = slots_of_sites(with_option(s, o.name, other));
        if (then.size() == n.size() && then != n) found.push_back(&o);
        break;
      } catch (const ArgumentError&) {  // out of range, or refused beside the other options
      }
    }
  }
  return found;
}

}  // namespace

std::uint64_t allocation_total() {
  return allocations();
}

Complaints check_declaration(const Specimen& s) {
  Complaints out;
  const Rig<double> rig(s);
  const MemoryLayout* layout = rig.module->memory() ? &rig.module->memory()->layout() : nullptr;
  std::set<std::string> sites;
  std::vector<const DeclaredList*> lists{&rig.module->state(), &rig.module->outputs()};
  if (layout) lists.push_back(&layout->stages);
  for (const auto* list : lists) {
    std::set<std::string> names;
    for (const Declared& d : *list) {
      if (d.name.empty()) out.push_back("a value has no name");
      if (d.doc.empty()) out.push_back(fmt::format("{} does not say what it is", d.full_name()));
      if (!names.insert(d.full_name()).second) out.push_back(fmt::format("{} is declared twice", d.full_name()));
      if (d.dims.size() > 3) out.push_back(fmt::format("{} has {} dimensions", d.full_name(), d.dims.size()));
      if (d.count() == 0) out.push_back(fmt::format("{} has no numbers", d.full_name()));
      if (d.axes.size() != d.dims.size())
        out.push_back(fmt::format("{} names {} of its {} axes", d.full_name(), d.axes.size(), d.dims.size()));
    }
  }
  if (!layout) return out;
  const std::set<std::string> kinds{"read", "write", "hop", "pointer"};
  for (const Site& site : layout->sites) {
    if (!sites.insert(site.name).second) out.push_back(fmt::format("site {} is declared twice", site.name));
    if (!kinds.count(site.kind)) out.push_back(fmt::format("site {} is of no known kind: '{}'", site.name, site.kind));
    for (const char* name : {"weights", "value"}) {
      if (site.kind == "write" && *name == 'v') continue;
      const bool found = std::any_of(layout->state.begin(), layout->state.end(),
                                     [&](const Declared& d) { return d.site == site.name && d.name == name; });
      if (!found) out.push_back(fmt::format("site {} has no {} in the state", site.name, name));
    }
  }
  for (const auto* list : {&layout->state, &layout->parameters, &layout->stages})
    for (const Declared& d : *list)
      if (!d.site.empty() && !sites.count(d.site)) out.push_back(fmt::format("{} belongs to no site", d.full_name()));
  return out;
}

Complaints check_values(const Specimen& s) {
  Complaints out;
  expect_values<double>(out, s);
  expect_values<float>(out, s);
  return out;
}

Complaints check_bits(const Specimen& s) {
  Complaints out;
  Rig<float> a(s, 7), b(s, 7), other(s, 8);
  const Record first = record_run(a, true);
  expect_same(out, "two of one seed", first, record_run(b, true), 0);
  expect_same(out, "evaluated again", first, record_run(a, true), 0);
  expect_same(out, "without recording", first, record_run(a, false), 0);
  return out;
}

Complaints check_batch(const Specimen& s) {
  Complaints out;
  Rig<double> rig(s);
  const Record all = record_run(rig, true);
  for (std::size_t b = 0; b < rows; ++b) {
    Record row;
    for (const auto& [name, values] : all) {
      const std::size_t n = values.size() / rows;
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(b * n);
      row.emplace_back(name, std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(n)));
    }
    expect_same(out, fmt::format("row {} of {}", b, rows), row, record_run(rig, true, b, 1), 1e-12);
  }
  return out;
}

Complaints check_zero(const Specimen& s) {
  Complaints out;
  for (const bool zero_parameters : {false, true}) {
    expect_zero<float>(out, s, zero_parameters);
    expect_zero<double>(out, s, zero_parameters);
  }
  return out;
}

Complaints check_reach(const Specimen& s) {
  Complaints out;
  Rig<double> rig(s);
  if (rig.set.parameters().empty()) return out;
  rig.tape.begin(true);
  const auto inputs = rig.inputs(steps, 0, rows);
  const Var<double> loss = trail_loss(rig.tape, run(rig, rig.started(0, rows), inputs));
  if (!loss.needs_gradient()) return {"nothing depends on the parameters"};
  rig.tape.backward(loss);
  expect_reached(out, rig.set, *rig.gradients);
  return out;
}

Complaints check_gradient(const Specimen& s) {
  Rig<double> rig(s);
  if (rig.module->state().empty() && rig.module->outputs().empty()) return {};
  const GradientResult r = experiments::check_specimen(s);
  return r.ok() ? Complaints{} : Complaints{r.text()};
}

Complaints check_copy(const Specimen& s) {
  Complaints out;
  Rig<float> a(s, 3), b(s, 4);
  if (!copy_by_name(a.set, b.set)) return {"parameters or buffers of two of a kind differ in name or shape"};
  expect_same(out, "after copying every value", record_run(a, false), record_run(b, false), 0);
  return out;
}

Complaints check_allocations(const Specimen& s) {
  Complaints out;
  expect_no_allocation<float>(out, s);
  expect_no_allocation<double>(out, s);
  return out;
}

Complaints check_slots(const Specimen& s) {
  Complaints out;
  if (!s.memory) return out;
  for (const Option* o : slot_options(s))
    for (const std::int64_t n : {1, 2, 7, 128}) {
      if (static_cast<double>(n) < o->minimum || static_cast<double>(n) > o->maximum) continue;
      const std::string where = fmt::format("{}={}", o->name, n);
      std::optional<Specimen> other;
      try {
        other = with_option(s, o->name, n);
      } catch (const ArgumentError& e) {
        if (s.variant.empty()) out.push_back(fmt::format("{}: {}", where, e.what()));
        continue;  // a start slot beyond the end, for one
      }
      out += guarded(where, check_values, *other);
      out += guarded(where, check_zero, *other);
      if (n <= 2) out += guarded(where, check_gradient, *other);
    }
  return out;
}

Complaints check_purity(const Specimen& s) {
  Complaints out;
  Rig<double> rig(s);
  if (rig.module->memory()) {
    expect_pure_memory(out, rig);
    return out;
  }
  rig.tape.begin(true);
  auto inputs = rig.inputs(1, 0, rows);
  const Values<double> state = rig.interior(0, rows);
  watched<double>(out, "step", rig.module->state(), state, [&] {
    return watched<double>(out, "step", {{"input", "", {rig.module->input_size()}, Kind::plain, "input"}},
                           {inputs.data(), 1}, [&] { return rig.module->step(rig.pass, inputs[0], state); });
  });
  return out;
}

Complaints check_stages(const Specimen& s) {
  Complaints out;
  Rig<float> rig(s);
  const Memory<float>* memory = rig.module->memory();
  if (!memory) return out;
  const MemoryLayout& layout = memory->layout();
  struct Everything final : Look<float> {
    bool wants(const Place&) override { return true; }
    void seen(const Pass<float>&, const Place& place, const Var<float>& value) override {
      shown[fmt::format("{}{}{}", place.site, place.site.empty() ? "" : ".", place.name)].push_back(value);
    }
    std::map<std::string, std::vector<Var<float>>> shown;
  };
  Record records[2];
  for (const bool look : {false, true}) {
    rig.tape.begin(true);
    const auto inputs = rig.inputs(steps, 0, rows);
    Values<float> state = rig.started(0, rows);
    for (std::size_t t = 0; t < steps; ++t) {
      Everything all;
      rig.pass.look = look ? &all : nullptr;
      const auto next = rig.module->step(rig.pass, inputs[t], state);
      rig.pass.look = nullptr;
      state = next.state;
      for (std::size_t i = 0; i < state.size(); ++i)
        keep(records[look], fmt::format("step {} {}", t, layout.state[i].full_name()), state[i]);
      if (!look) continue;
      const auto take = [&](const Declared& d) {
        const auto found = all.shown.extract(d.full_name());
        if (!found || found.mapped().size() != 1) {
          out.push_back(fmt::format("step {}: {} is declared and shown {} times", t, d.full_name(),
                                    found ? found.mapped().size() : 0));
          return Var<float>{};
        }
        return found.mapped()[0];
      };
      for (const DeclaredList* list : {&layout.stages, &layout.parameters})
        for (const Declared& d : *list)
          if (const Var<float> v = take(d)) expect_promise<float>(out, fmt::format("step {}", t), d, v, rows, false);
      for (const Site& site : layout.sites)
        for (const std::size_t place : {site.weights, site.value})
          if (place != nowhere && take(layout.state[place]).data != state[place].data)
            out.push_back(fmt::format("step {}: {} is not what was shown", t, layout.state[place].full_name()));
      for (const auto& [name, values] : all.shown)
        out.push_back(fmt::format("step {}: {} is shown and not declared", t, name));
    }
  }
  expect_same(out, "looked at", records[0], records[1], 0);
  return out;
}

Complaints check_reads(const Specimen& s) {
  using Altered = experiments::AlteredReads<float>;
  Complaints out;
  Rig<float> rig(s);
  if (!rig.module->memory()) return out;
  const auto value = [&](Look<float>* look, const Site& site) {
    rig.tape.begin(false);
    const auto inputs = rig.inputs(1, 0, rows);
    const Values<float> start = rig.started(0, rows);
    rig.pass.look = look;
    const Var<float> v = rig.module->step(rig.pass, inputs[0], start).state[site.value];
    rig.pass.look = nullptr;
    return std::vector<float>(v.data, v.data + v.size());
  };
  Altered zeroed(Altered::How::zeroed), shuffled(Altered::How::shuffled);
  bool first = true;
  for (const Site& site : rig.module->memory()->layout().sites) {
    if (site.value == nowhere) continue;
    const std::vector<float> zeros = value(&zeroed, site);
    if (std::any_of(zeros.begin(), zeros.end(), [](float x) { return x != 0; }))
      out.push_back(fmt::format("{} still reads something where reads are zeroed", site.name));
    // Later hops follow from the first one's altered value.
    std::vector<float> next_row = value(nullptr, site);
    std::rotate(next_row.begin(), next_row.begin() + static_cast<std::ptrdiff_t>(next_row.size() / rows),
                next_row.end());
    if (first && value(&shuffled, site) != next_row)
      out.push_back(fmt::format("{} does not read the next row's where reads are shuffled", site.name));
    first = false;
  }
  return out;
}

Complaints check_all(const Specimen& s) {
  Complaints out = guarded("declaration", check_declaration, s);
  if (out.empty()) out = guarded("values", check_values, s);
  if (!out.empty()) return out;  // what follows relies on the shapes
  out += guarded("bits", check_bits, s);
  out += guarded("batch", check_batch, s);
  out += guarded("zero", check_zero, s);
  out += guarded("reach", check_reach, s);
  out += guarded("gradient", check_gradient, s);
  out += guarded("copy", check_copy, s);
  out += guarded("allocations", check_allocations, s);
  out += guarded("slots", check_slots, s);
  out += guarded("purity", check_purity, s);
  out += guarded("stages", check_stages, s);
  out += guarded("reads", check_reads, s);
  return out;
}

}  // namespace mneme::test
