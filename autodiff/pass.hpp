// Room: autodiff. Pass: one run through a model, as its modules are told of it. Look: whoever looks at a run, or
// reaches into it.
//
// Modules take a Pass, ops take its tape. A Look is told what a run passes by (stages on the way to weights, weights,
// what was read, head parameters, the state after each step), and may put another value in the place of a site's
// weights or of what it read. Without a Look nothing of this is done or kept.
#pragma once

#include "autodiff/tape.hpp"
#include "core/random.hpp"

#include <string_view>

namespace mneme {

/// Handles in the order of a declaration; lives in the tape's arena.
template <class T>
using Values = std::span<Var<T>>;

/// A new list with the same handles.
template <class T>
Values<T> copy_values(Tape<T>& tape, Values<T> values) {
  auto* copy = tape.template scratch<Var<T>>(values.size());
  std::uninitialized_copy(values.begin(), values.end(), copy);
  return {copy, values.size()};
}

/// A new list of so many empty handles.
template <class T>
Values<T> empty_values(Tape<T>& tape, std::size_t count) {
  auto* list = tape.template scratch<Var<T>>(count);
  std::uninitialized_default_construct_n(list, count);
  return {list, count};
}

/// "read_0", "weights": a value by the names of its declaration. Site "" = the memory itself.
struct Place {
  std::string_view site, name;
};

template <class T>
struct Pass;

template <class T>
class Look {
 public:
  virtual ~Look() = default;
  /// Whether seen() is to hear of this place. Asked at each step.
  virtual bool wants(const Place&) { return false; }
  /// The value there, all rows, at step pass.step. Its gradient is not for looking; the handle is void after the run.
  virtual void seen(const Pass<T>&, const Place&, const Var<T>&) {}
  /// What the run takes in the place of `value`, a site's weights or what it read: of the same shape. Only where
  /// nothing is recorded.
  virtual Var<T> instead(const Pass<T>&, const Place&, const Var<T>& value) { return value; }
  /// The state of a part of the model ("memory", "controller") before the first step ...
  virtual void start(const Pass<T>&, std::string_view /*component*/, std::span<const Var<T>>) {}
  /// ... and after step pass.step. Where a model takes one step for all of a sequence, it says so for each of them, and
  /// what was seen before holds for all.
  virtual void state(const Pass<T>&, std::string_view /*component*/, std::span<const Var<T>>) {}
};

template <class T>
struct Pass {
  Tape<T>& tape;
  bool train = false;          ///< dropout, noise and linear start are on
  double loss_scale = 1;       ///< factor on the loss summed over rows and scored steps (1/B, 1/numbers, ...)
  std::uint64_t seed = 0;      ///< of the streams
  std::uint64_t sequence = 0;  ///< number of row 0: its streams' index, and how far training is
  Look<T>* look = nullptr;
  std::size_t step = 0, steps = 0;       ///< now, and of the longest row
  const std::uint8_t* active = nullptr;  ///< [B]: 1 in rows that have not ended; null = all
  const char* site = "";                 ///< where we are: at()

  /// Where in the model we are, for messages and for whoever looks. The text must outlive the run.
  void at(const char* where) {
    site = where;
    tape.at(step, where);
  }

  /// Random numbers of a row, the same whatever batch it is in.
  Random stream(std::string_view name, std::size_t row) const { return Random(seed, name, sequence + row); }

  /// Whether somebody wants to see `name` of this site: a stage need not be made otherwise.
  bool wants(std::string_view name) const { return look && look->wants({site, name}); }
  void seen(std::string_view name, const Var<T>& value) const {
    if (wants(name)) look->seen(*this, {site, name}, value.detached());
  }
  /// `value` or what a Look puts in its place, and seen.
  Var<T> taken(std::string_view name, const Var<T>& value) const {
    if (!look) return value;
    const Var<T> other = look->instead(*this, {site, name}, value);
    if (other.data != value.data && tape.recording())
      fail<InvariantError>("look", "another {}.{} has no gradient, and this pass is recorded", site, name);
    if (!(other.shape == value.shape))
      fail<InvariantError>("look", "{}.{} has shape {}, another of {} was put in its place", site, name,
                           value.shape.text(), other.shape.text());
    seen(name, other);
    return other;
  }
};

}  // namespace mneme
