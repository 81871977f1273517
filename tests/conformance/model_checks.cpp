#include "core/prediction.hpp"
#include "experiments/proving/gradcheck.hpp"
#include "tests/conformance/promises.hpp"

#include <algorithm>

namespace mneme::test {

namespace {

using experiments::ModelRig;
using experiments::random_batch;
using experiments::single_row;

constexpr std::size_t rows = 4, steps = 4;

/// Keeps every state value of every step, and holds them to their declaration; so what is shown on the way.
template <class T>
struct Watcher final : Look<T> {
  Watcher(const Components& components, std::size_t row_count) : components_(components), rows_(row_count) {}

  bool wants(const Place&) override { return true; }
  void seen(const Pass<T>& pass, const Place& place, const Var<T>& value) override {
    for (const Component& c : components_)
      for (const DeclaredList* list : {&c.declared->parameters, &c.declared->stages})
        for (const Declared& d : *list)
          if (d.site == place.site && d.name == place.name)
            expect_promise<T>(complaints, fmt::format("step {}", pass.step), d, value, rows_, false);
  }
  void start(const Pass<T>&, std::string_view component, std::span<const Var<T>> now) override {
    if (states.empty()) states.emplace_back();
    look(component, now, "before the first step", true);
  }
  void state(const Pass<T>& pass, std::string_view component, std::span<const Var<T>> now) override {
    if (states.size() < pass.step + 2) states.emplace_back();
    look(component, now, fmt::format("step {}", pass.step), false);
  }

  Complaints complaints;
  std::vector<Record> states;  ///< before the first step, and after each

 private:
  void look(std::string_view component, std::span<const Var<T>> now, const std::string& where, bool begun) {
    const Component* c = find(components_, component);
    if (!c) return complaints.push_back(fmt::format("{}: state of '{}', which is no component", where, component));
    const DeclaredList& state = c->declared->state;
    expect_promises<T>(complaints, where, state, now, rows_, begun);
    if (!complaints.empty()) return;
    if (!c->memory && !c->every_step) return;  // a pointer looks at every step anew, also past a row's end
    for (std::size_t i = 0; i < state.size(); ++i)
      if (state[i].life != Life::rebuilt) keep(states.back(), state[i].full_name(), now[i], state[i]);
  }

  const Components& components_;
  std::size_t rows_;
};

Record row_of(const Record& all, std::size_t b) {
  Record row;
  for (const auto& [name, values] : all) {
    const std::size_t n = values.size() / rows;
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(b * n);
    row.emplace_back(name, std::vector<double>(begin, begin + static_cast<std::ptrdiff_t>(n)));
  }
  return row;
}

template <class T>
Record outcome(ModelRig<T>& rig, const Batch& batch, bool recording) {
  const Forward<T> f = rig.forward(batch, recording);
  Record record;
  keep(record, "loss", f.loss);
  keep(record, "logits", f.logits);
  return record;
}

template <class T>
void expect_model_values(Complaints& out, const ModelSpecimen& s) {
  ModelRig<T> rig(s);
  const BatchSpec& spec = s.setup.batch;
  const Batch batch = random_batch(spec, rows, steps);
  Watcher<T> watcher(rig.model->components(), rows);
  const Forward<T> f = rig.forward(batch, true, 1, &watcher);
  for (const std::string& c : watcher.complaints) out.push_back((std::is_same_v<T, float> ? "float " : "double ") + c);
  if (!f.loss || f.loss.size() != 1 || !std::isfinite(f.loss.data[0]))
    out.push_back("the loss is not one finite number");
  const Shape shape{batch.target.count() * rows, spec.outputs};
  if (!f.logits || !(f.logits.shape == shape))
    out.push_back(fmt::format("logits {}, not [T*B K] = {}", f.logits.shape.text(), shape.text()));
  else if (!finite(f.logits.data, f.logits.size()))
    out.push_back("a logit is not finite");
  rig.tape.backward(f.loss);
  if (!finite(rig.gradients->flat(), rig.set.flat_size())) out.push_back("a gradient is not finite");
}

}  // namespace

Complaints check_values(const ModelSpecimen& s) {
  Complaints out;
  expect_model_values<double>(out, s);
  expect_model_values<float>(out, s);
  return out;
}

Complaints check_bits(const ModelSpecimen& s) {
  Complaints out;
  ModelRig<float> a(s, 7), b(s, 7);
  const Batch batch = random_batch(s.setup.batch, rows, steps);
  const Record first = outcome(a, batch, true);
  expect_same(out, "two of one seed", first, outcome(b, batch, true), 0);
  expect_same(out, "evaluated again", first, outcome(a, batch, true), 0);
  expect_same(out, "without recording", first, outcome(a, batch, false), 0);
  return out;
}

Complaints check_batch(const ModelSpecimen& s) {
  Complaints out;
  const BatchSpec& spec = s.setup.batch;
  const Batch batch = random_batch(spec, rows, steps);
  ModelRig<double> rig(s);
  const auto gradient = [&](const Var<double>& loss) {
    rig.tape.backward(loss);
    return std::vector<double>(rig.gradients->flat(), rig.gradients->flat() + rig.set.flat_size());
  };
  Watcher<double> all(rig.model->components(), rows);
  const Forward<double> f = rig.forward(batch, true, 1, &all);
  const std::size_t k = f.logits.shape.last();
  const std::vector<double> logits(f.logits.data, f.logits.data + f.logits.size());
  const double loss = f.loss.data[0];
  const Record together{{"gradient", gradient(f.loss)}, {"loss", {loss}}};

  std::vector<double> sum(rig.set.flat_size());
  double losses = 0;
  for (std::size_t b = 0; b < rows; ++b) {
    const std::string where = fmt::format("row {} of {}", b, rows);
    const Batch one = single_row(batch, spec, b);
    Watcher<double> alone(rig.model->components(), 1);
    const Forward<double> single = rig.forward(one, true, 1, &alone);
    const std::size_t own_k = single.logits.shape.last();
    Record mine, its;
    mine.emplace_back("logits", std::vector<double>(single.logits.data, single.logits.data + single.logits.size()));
    its.emplace_back("logits", std::vector<double>());
    for (std::size_t t = 0; t < one.target.count(); ++t)
      for (std::size_t i = 0; i < own_k; ++i) its.back().second.push_back(logits[(t * rows + b) * k + i]);
    expect_same(out, where, mine, its, 1e-12);
    losses += single.loss.data[0];
    const auto g = gradient(single.loss);
    for (std::size_t i = 0; i < g.size(); ++i) sum[i] += g[i];
    if (!all.complaints.empty() || !alone.complaints.empty()) return {"see values"};
    for (std::size_t t = 0; t < all.states.size(); ++t) {
      const std::size_t own = std::min<std::size_t>(t, one.steps);
      expect_same(out, fmt::format("{}, state after {} steps", where, t), row_of(all.states[t], b), alone.states[own],
                  1e-12);
      if (t > own)
        expect_same(out, fmt::format("{}, state past its end", where), row_of(all.states[t], b),
                    row_of(all.states[own], b), 0);
    }
  }
  expect_same(out, "sum over single rows", together, {{"gradient", sum}, {"loss", {losses}}}, 1e-12);
  return out;
}

Complaints check_reach(const ModelSpecimen& s) {
  Complaints out;
  ModelRig<double> rig(s);
  rig.tape.backward(rig.forward(random_batch(s.setup.batch, rows, steps), true).loss);
  expect_reached(out, rig.set, *rig.gradients);
  return out;
}

Complaints check_gradient(const ModelSpecimen& s) {
  const GradientResult r = experiments::check_model(s);
  return r.ok() ? Complaints{} : Complaints{r.text()};
}

Complaints check_copy(const ModelSpecimen& s) {
  Complaints out;
  ModelRig<float> a(s, 3), b(s, 4);
  const Batch batch = random_batch(s.setup.batch, rows, steps);
  if (!copy_by_name(a.set, b.set)) return {"parameters or buffers of two of a kind differ in name or shape"};
  expect_same(out, "after copying every value", outcome(a, batch, false), outcome(b, batch, false), 0);
  return out;
}

Complaints check_allocations(const ModelSpecimen& s) {
  Complaints out;
  ModelRig<float> rig(s);
  const Batch batch = random_batch(s.setup.batch, rows, steps);
  Prediction prediction;
  const auto train = [&] { rig.tape.backward(rig.forward(batch, true).loss); };
  const auto judge = [&] {
    const Var<float> logits = rig.forward(batch, false).logits;
    Pass<float> pass{.tape = rig.tape};
    rig.model->predict(batch, pass, {}, logits, prediction);
  };
  train();
  judge();
  const std::uint64_t before = allocation_total();
  train();
  const std::uint64_t between = allocation_total();
  judge();
  const std::uint64_t after = allocation_total();
  if (between != before) out.push_back(fmt::format("the second training step allocates {} times", between - before));
  if (after != between) out.push_back(fmt::format("the second prediction allocates {} times", after - between));
  return out;
}

Complaints check_predictions(const ModelSpecimen& s) {
  Complaints out;
  ModelRig<float> rig(s);
  const BatchSpec& spec = s.setup.batch;
  const Batch batch = random_batch(spec, rows, steps);
  Prediction p;
  const Var<float> logits = rig.forward(batch, false).logits;
  Pass<float> pass{.tape = rig.tape};
  rig.model->predict(batch, pass, {}, logits, p);
  const std::size_t count = batch.target.count();
  if (p.values.shape()[0] != count || p.values.shape()[1] != rows || p.values.shape()[2] != spec.outputs)
    return {fmt::format("values are [{} {} {}], not [T B K] = [{} {} {}]", p.values.shape()[0], p.values.shape()[1],
                        p.values.shape()[2], count, rows, spec.outputs)};
  if (p.indices.size() != (chooses(spec.target) ? count * rows : 0))
    return {fmt::format("{} choices for {} steps of {} rows", p.indices.size(), count, rows)};
  for (std::size_t t = 0; t < count; ++t)
    for (std::size_t b = 0; b < rows; ++b) {
      const std::string where = fmt::format("step {} row {}", t, b);
      if (t >= batch.target_lengths()[b]) {
        bool nothing = !chooses(spec.target) || p.indices(t, b) == -1;
        for (std::size_t k = 0; k < spec.outputs; ++k) nothing = nothing && p.values(t, b, k) == 0;
        if (!nothing) out.push_back(where + ": an answer past the row's end");
        continue;
      }
      double total = 0;
      std::size_t best = 0;
      for (std::size_t k = 0; k < spec.outputs; ++k) {
        const double v = p.values(t, b, k);
        total += v;
        if (v > p.values(t, b, best)) best = k;
        if (!std::isfinite(v) || (spec.target != TargetKind::real && (v < 0 || v > 1)))
          out.push_back(fmt::format("{}: value {} is {}", where, k, v));
        if (spec.target == TargetKind::pointer && k >= batch.items.count[b] && v != 0)
          out.push_back(fmt::format("{}: item {} of {} has probability {}", where, k, batch.items.count[b], v));
      }
      if (!chooses(spec.target)) continue;
      if (std::abs(total - 1) > 1e-5) out.push_back(fmt::format("{}: probabilities sum to {}", where, total));
      if (p.indices(t, b) < 0 || static_cast<std::size_t>(p.indices(t, b)) >= spec.outputs ||
          p.values(t, b, static_cast<std::size_t>(p.indices(t, b))) < p.values(t, b, best))
        out.push_back(fmt::format("{}: {} is chosen, {} is likelier", where, p.indices(t, b), best));
    }
  return out;
}

Complaints check_all(const ModelSpecimen& s) {
  Complaints out = guarded("values", check_values, s);
  if (!out.empty()) return out;
  out += guarded("bits", check_bits, s);
  out += guarded("batch", check_batch, s);
  out += guarded("reach", check_reach, s);
  out += guarded("gradient", check_gradient, s);
  out += guarded("copy", check_copy, s);
  out += guarded("allocations", check_allocations, s);
  out += guarded("predictions", check_predictions, s);
  return out;
}

}  // namespace mneme::test
