// Room: models. Readout: from the features of every step to logits and a loss, by the kind of the batch's target.
//
//   bits, classes, real   one linear layer over all steps at once
//   pointer               attention over the row's items: dot score of a projected query, masked by the row's count
#pragma once

#include "attention/normalize.hpp"
#include "autodiff/pass.hpp"
#include "core/batch_spec.hpp"
#include "core/declared.hpp"
#include "nn/linear.hpp"

#include <optional>

namespace mneme {

template <class T>
class Readout {
 public:
  /// `features`: the sum of the widths of one step's parts.
  Readout(const Builder<T>& build, const BatchSpec& spec, std::size_t features);

  /// Of a pointer: its site, what it is told at each step and what it looks at; without a site where nothing points.
  /// A Look hears of it as of the component "pointer", when all steps are done.
  const Declaration& pointer() const { return pointer_; }

  /// steps: `parts` handles [B D_i] a step -> [T*B K], row t*B + b; for pointers K is the batch's largest item set.
  Var<T> logits(Pass<T>& pass, const Batch& batch, std::span<const Var<T>> steps, std::size_t parts) const;

  /// The target's cross-entropy or squared error in nats over scored steps, times `scale`.
  Var<T> loss(Tape<T>& tape, const Batch& batch, Var<T> logits, double scale) const;

 private:
  Var<T> pointer_logits(Pass<T>& pass, const Batch& batch, std::span<const Var<T>> steps, std::size_t parts) const;
  void declare_pointer(std::size_t width);
  Var<T> show(Pass<T>& pass, std::size_t step, Var<T> key, Var<T> scores, Values<T> state, const Mask& present) const;

  BatchSpec spec_;
  Declaration pointer_;
  std::optional<Linear<T>> linear_;  ///< to K outputs, or to the query of a pointer
  std::optional<Linear<T>> item_values_;
  std::optional<Embedding<T>> item_words_;
};

}  // namespace mneme
