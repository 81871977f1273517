#include "models/readout.hpp"

#include "autodiff/lanes.hpp"
#include "core/prediction.hpp"
#include "models/decode/decode.hpp"

#include <algorithm>

namespace mneme {

namespace {

// x [B 1 N] -> [B N], masked_logit from count[b] on
template <class T>
Var<T> mask_items(Tape<T>& tape, Var<T> x, const std::uint32_t* count) {
  const std::size_t batch = x.shape[0], n = x.shape[2];
  Var<T> y = tape.result(Shape{batch, n}, x);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t i = 0; i < n; ++i)
      y.data[b * n + i] = i < count[b] ? x.data[b * n + i] : static_cast<T>(masked_logit);
  tape.node("mask_items", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(x, [&](auto into, T* dx) {
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t i = 0; i < n; ++i) into(dx[b * n + i], i < count[b] ? dy[b * n + i] : T(0));
    });
  });
  return y;
}

/// Logits of which given weights [B N] are the softmax.
template <class T>
Var<T> logits_of(Tape<T>& tape, Var<T> weights) {
  const Var<T> y = tape.constant(weights.shape);
  for (std::size_t i = 0; i < y.size(); ++i)
    y.data[i] = weights.data[i] > 0 ? std::log(weights.data[i]) : static_cast<T>(masked_logit);
  return y;
}

}  // namespace

template <class T>
Readout<T>::Readout(const Builder<T>& build, const BatchSpec& spec, std::size_t features) : spec_(spec) {
  const bool pointer = spec.target == TargetKind::pointer;
  const std::size_t width = pointer ? std::max<std::size_t>(features / 2, 1) : spec.outputs;
  linear_.emplace(build, features, width, Initializer::xavier(features, width));
  if (!pointer) return;
  declare_pointer(width);
  if (spec.item_width)
    item_values_.emplace(build.scope("items"), spec.item_width, width, Initializer::xavier(spec.item_width, width));
  if (spec.item_vocabulary)
    item_words_.emplace(build.scope("words"), spec.item_vocabulary, width, Initializer::normal(0.1));
}

template <class T>
void Readout<T>::declare_pointer(std::size_t width) {
  const std::size_t items = spec_.outputs;
  pointer_.state.add(
      {"pointer_keys", "", {items, width}, Kind::plain, "what items are found by e_j", {"item", "key_cell"}});
  const std::size_t weights = pointer_.state.add(
      {"weights", "pointer", {items}, Kind::weights, "weights over the items p(C_i | ...)", {"item"}});
  pointer_.parameters.add({"key", "pointer", {width}, Kind::plain, "query of the pointer d_i", {"key_cell"}});
  pointer_.sites.push_back({.name = "pointer",
                            .kind = "pointer",
                            .addressing = "dot",
                            .slot_axis = "item",
                            .parts = {"dot", "softmax", {}},
                            .weights = weights,
                            .looks_at = "pointer_keys"});
  check(pointer_, "readout pointer", items, 0);
}

/// What whoever looks is told of one step: the logits' softmax is the weights of the pointer. -> what they put in the
/// place of these weights, if anything
template <class T>
Var<T> Readout<T>::show(Pass<T>& pass, std::size_t step, Var<T> key, Var<T> scores, Values<T> state,
                        const Mask& present) const {
  pass.step = step;
  pass.at("pointer");
  pass.seen("key", key);
  Var<T>& weights = state[pointer_.sites[0].weights];
  const Var<T> own = softmax(pass.tape, scores.detached(), present).reshaped(weights.shape);
  weights = pass.taken("weights", own);
  pass.look->state(pass, "pointer", state);
  return weights.data == own.data ? Var<T>{} : weights;
}

template <class T>
Var<T> Readout<T>::logits(Pass<T>& pass, const Batch& batch, std::span<const Var<T>> steps, std::size_t parts) const {
  if (spec_.target == TargetKind::pointer) return pointer_logits(pass, batch, steps, parts);
  return (*linear_)(pass.tape, stack_steps(pass.tape, steps, parts));
}

template <class T>
Var<T> Readout<T>::pointer_logits(Pass<T>& pass, const Batch& batch, std::span<const Var<T>> steps,
                                  std::size_t parts) const {
  Tape<T>& tape = pass.tape;
  const std::size_t rows = batch.size, count = steps.size() / parts;
  const std::size_t items = item_values_ ? batch.items.values.shape()[1] : batch.items.tokens.shape()[1];
  Var<T> keys;
  if (item_values_) {
    Var<T> values = tape.constant({rows * items, spec_.item_width});
    std::copy(batch.items.values.storage().begin(), batch.items.values.storage().end(), values.data);
    keys = (*item_values_)(tape, values);
  }
  if (item_words_) {
    const auto& tokens = batch.items.tokens;
    const Var<T> words = (*item_words_)(tape, tokens.storage(), tokens.shape()[2]);
    keys = keys ? add(tape, keys, words) : words;
  }
  keys = keys.reshaped({rows, items, keys.shape.last()});
  Values<T> state;
  Mask present;
  if (pass.look) {
    auto* may = tape.template scratch<std::uint8_t>(rows * items);
    for (std::size_t i = 0; i < rows * items; ++i) may[i] = i % items < batch.items.count[i / items];
    present.data = may;
    state = empty_values(tape, 2);
    state[0] = keys.detached();
    state[1] = tape.filled({rows, items}, T(0));
    pass.look->start(pass, "pointer", state);
  }
  auto* all = tape.template scratch<Var<T>>(count);
  for (std::size_t t = 0; t < count; ++t) {
    const Var<T> query = (*linear_)(tape, concatenate(tape, steps.subspan(t * parts, parts)));
    const Var<T> scores = batched_product(tape, query.reshaped({rows, 1, query.shape.last()}), keys, true);
    new (all + t) Var<T>(mask_items(tape, scores, batch.items.count.data()));
    if (!pass.look) continue;
    if (const Var<T> put = show(pass, t, query, scores, state, present)) all[t] = logits_of(tape, put);
  }
  return stack_steps<T>(tape, {all, count}, 1);
}

template <class T>
Var<T> Readout<T>::loss(Tape<T>& tape, const Batch& batch, Var<T> logits, double scale) const {
  const std::uint8_t* scored = batch.target.scored.data();
  switch (spec_.target) {
    case TargetKind::bits: return bits_loss(tape, logits, batch.target.values.data(), scored, scale);
    case TargetKind::real: return squared_loss(tape, logits, batch.target.values.data(), scored, scale);
    case TargetKind::classes:
    case TargetKind::pointer: return class_loss(tape, logits, batch.target.indices.data(), scored, scale);
  }
  fail<InvariantError>("readout", "no loss for target kind {}", static_cast<int>(spec_.target));
}

template <class T>
void read_prediction(const Batch& batch, Var<T> logits, Prediction& out) {
  const std::size_t count = batch.target.count(), rows = count * batch.size, k = logits.shape.last();
  const TargetKind kind = batch.target.kind;
  out.values.resize({count, batch.size, k});
  out.indices.resize({chooses(kind) ? count : 0, batch.size});
  out.lengths = batch.target_lengths();
  float* to = out.values.storage().data();
  for (std::size_t r = 0; r < rows; ++r) {
    const T* x = logits.data + r * k;
    float* y = to + r * k;
    if (r / batch.size >= out.lengths[r % batch.size]) {  // past the row's end
      std::fill_n(y, k, 0.0f);
      if (chooses(kind)) out.indices.storage()[r] = -1;
      continue;
    }
    if (kind == TargetKind::bits)
      lanes<T>(k, [&](auto lane, std::size_t i) {
        alignas(64) T p[Simd<T>::size];
        sigmoid_of<T>(lane.load(x + i)).store_aligned(p);
        std::copy_n(p, std::size_t{lane.count}, y + i);
      });
    else if (kind == TargetKind::real)
      std::copy_n(x, k, y);
    else {
      const Choices<T> choices(x, k);
      for (std::size_t i = 0; i < k; ++i) y[i] = static_cast<float>(choices.probability(i));
      out.indices.storage()[r] = static_cast<std::int32_t>(std::max_element(x, x + k) - x);
    }
  }
}

template <class T>
void read_score(const Batch& batch, Var<T> logits, Prediction& out) {
  const std::size_t rows = batch.size, k = logits.shape.last();
  out.score.assign(rows, 0.0);
  for (std::size_t i = 0; i < batch.target.count(); ++i)
    for (std::size_t b = 0; b < rows; ++b) {
      if (!batch.target.scored(i, b)) continue;
      const T* x = logits.data + (i * rows + b) * k;
      if (batch.target.kind == TargetKind::bits)
        for (std::size_t n = 0; n < k; ++n) out.score[b] -= std::log1p(std::exp(-std::abs(static_cast<double>(x[n]))));
      else if (chooses(batch.target.kind))
        out.score[b] += Choices<T>(x, k).log_probability(static_cast<std::size_t>(out.indices(i, b)));
    }
}

template class Readout<float>;
template class Readout<double>;
template void read_prediction(const Batch&, Var<float>, Prediction&);
template void read_prediction(const Batch&, Var<double>, Prediction&);
template void read_score(const Batch&, Var<float>, Prediction&);
template void read_score(const Batch&, Var<double>, Prediction&);

}  // namespace mneme
