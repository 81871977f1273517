// Room: controllers. All steps of a batch at once: which rows are there at each, and the products that all share.
#pragma once

#include "autodiff/ops.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace mneme {

/// The steps of x [T*B D], row t*B + b: row b has lengths[b] of them. ArgumentError where they are no whole number of
/// steps, or a row has more than there are.
template <class T>
class Steps {
 public:
  Steps(Tape<T>& tape, const Var<T>& x, std::span<const std::uint32_t> lengths, bool backwards);

  std::size_t count() const { return count_; }
  std::size_t rows() const { return rows_; }

  /// f(t, state) -> the output [B H] of step t, having replaced `state` by the one after it; in order, or from the last
  /// step to the first. Rows that are not there keep their state: backwards, a row starts at its own last step.
  /// -> outputs of all steps [T*B H], zeros where a row is not there
  template <class F>
  Var<T> each(Tape<T>& tape, std::span<Var<T>>& state, F f) const {
    auto* outputs = tape.template scratch<Var<T>>(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      const std::size_t t = backwards_ ? count_ - 1 - i : i;
      const std::span<Var<T>> old = state;
      new (outputs + t) Var<T>(f(t, state));
      if (active_) state = frozen(tape, t, state, old);
    }
    return masked(tape, stack_steps<T>(tape, {outputs, count_}, 1));
  }
  /// y [T*B H], zeros where a row is not there
  Var<T> masked(Tape<T>& tape, Var<T> y) const {
    return active_ ? choose_rows(tape, active_, y, tape.filled(y.shape, T(0))) : y;
  }

 private:
  /// `state` in the rows that are there at step t, `old` in the others.
  std::span<Var<T>> frozen(Tape<T>& tape, std::size_t t, std::span<Var<T>> state, std::span<Var<T>> old) const;

  std::size_t rows_, count_ = 0;
  bool backwards_;
  std::uint8_t* active_ = nullptr;  // [T*B], null where all rows have all steps
};

/// z_t = x_t W[:D] + h_{t-1} W[D:] + b for all steps of a layer, W [D+H G]: what is joined in a step is apart here, so
/// that the inputs of all steps are one product, and their gradients and W's are one each.
template <class T>
class JoinedSteps {
 public:
  /// x [T*B D], `rows` = B
  JoinedSteps(Tape<T>& tape, Var<T> x, Var<T> w, Var<T> b, std::size_t rows);
  /// Once for each t, in any order:  h [B H] -> z_t [B G]
  Var<T> operator()(Tape<T>& tape, std::size_t t, Var<T> h) const;

 private:
  Var<T> inputs_, w_;  // x W[:D] + b  [T*B G]
  std::size_t rows_, hidden_;
  T* before_;      // [T*B H], h_{t-1} of each step
  T* transposed_;  // W[D:] as [G H], null where it does not pay
};

extern template class Steps<float>;
extern template class Steps<double>;
extern template class JoinedSteps<float>;
extern template class JoinedSteps<double>;

}  // namespace mneme
