// Room: autodiff. The general differentiable ops; those of attention live in attention/, of memories in memory/.
//
// Every op is a function of a tape and handles, checks its shapes on its first lines (ArgumentError, with the shapes),
// and has its backward closure right under its forward loop. R stands for all leading axes folded into rows.
// Each has a case in gradient_cases(), which `mneme gradcheck` and the tests run in float64.
#pragma once

#include "autodiff/tape.hpp"

#include <cstdint>
#include <span>

namespace mneme {

// --- elementwise (elementwise.cpp), all operands of one shape
// ---------------------------------------------------------
template <class T>
Var<T> add(Tape<T>& tape, Var<T> a, Var<T> b);  ///< y = a + b
template <class T>
Var<T> subtract(Tape<T>& tape, Var<T> a, Var<T> b);  ///< y = a - b
template <class T>
Var<T> multiply(Tape<T>& tape, Var<T> a, Var<T> b);  ///< y = a b
template <class T>
Var<T> divide(Tape<T>& tape, Var<T> a, Var<T> b);  ///< y = a / b
template <class T>
Var<T> affine(Tape<T>& tape, Var<T> x, double scale, double shift);  ///< y = scale x + shift
template <class T>
Var<T> tanh(Tape<T>& tape, Var<T> x);
template <class T>
Var<T> sigmoid(Tape<T>& tape, Var<T> x);
template <class T>
Var<T> relu(Tape<T>& tape, Var<T> x);
template <class T>
Var<T> softplus(Tape<T>& tape, Var<T> x);  ///< log(1 + e^x)
template <class T>
Var<T> exp(Tape<T>& tape, Var<T> x);
template <class T>
Var<T> log(Tape<T>& tape, Var<T> x);  ///< requires x > 0
template <class T>
Var<T> sqrt(Tape<T>& tape, Var<T> x);  ///< requires x > 0

// --- shapes (shapes.cpp)
// ----------------------------------------------------------------------------------------------
/// Joins along the last axis: [R D_1], [R D_2], ... -> [R D_1+D_2+...].
template <class T>
Var<T> concatenate(Tape<T>& tape, std::span<const Var<T>> parts);
/// Steps of rows on top of each other: `parts` handles a step, [B D_i] each -> [steps*B, sum D_i].
template <class T>
Var<T> stack_steps(Tape<T>& tape, std::span<const Var<T>> steps, std::size_t parts);
/// Columns begin..begin+count of the last axis: [R D] -> [R count].
template <class T>
Var<T> slice(Tape<T>& tape, Var<T> x, std::size_t begin, std::size_t count);
/// Rows begin..begin+count, read where they lie: [R D] -> [count D].
template <class T>
Var<T> slice_rows(Tape<T>& tape, Var<T> x, std::size_t begin, std::size_t count);
/// One row for each of B: [D...] -> [B D...]; the gradient is summed over B.
template <class T>
Var<T> repeat_rows(Tape<T>& tape, Var<T> x, std::size_t rows);
/// Row b of `updated` where active[b], of `old` elsewhere: freezes rows whose sequence has ended. [B ...]
template <class T>
Var<T> choose_rows(Tape<T>& tape, const std::uint8_t* active, Var<T> updated, Var<T> old);

// --- sums (sums.cpp)
// --------------------------------------------------------------------------------------------------
template <class T>
Var<T> sum(Tape<T>& tape, Var<T> x);  ///< all numbers -> []
/// y[r,d] = x[r,d] + b[d]
template <class T>
Var<T> add_bias(Tape<T>& tape, Var<T> x, Var<T> b);
/// y[r,d] = x[r,d] s[r];  x [R D], s [R] or [R 1]
template <class T>
Var<T> scale_rows(Tape<T>& tape, Var<T> x, Var<T> s);

// --- products (linear.cpp)
// --------------------------------------------------------------------------------------------
/// y = x W + b;  x [R in], W [in out], b [out] or none -> [R out]. W's gradient is gathered over all uses.
template <class T>
Var<T> linear(Tape<T>& tape, Var<T> x, Var<T> w, Var<T> b = {});
/// The same of [x_1 x_2 ...], parts [R in_i] joined along the last axis.
template <class T>
Var<T> linear(Tape<T>& tape, std::span<const Var<T>> parts, Var<T> w, Var<T> b = {});
/// y_b = a_b op(c_b);  a [B m k], c [B k n], or [B n k] when transposed -> [B m n]
template <class T>
Var<T> batched_product(Tape<T>& tape, Var<T> a, Var<T> c, bool transpose_c = false);
/// y_b = w x_b, every element of every set by one weight, nothing repeated;  w [A D], x [B D N] -> [B A N]
template <class T>
Var<T> project(Tape<T>& tape, Var<T> w, Var<T> x);
/// Rows of a table, `bag` of them summed (a sentence's words): table [V D], index i32 [R*bag], -1 adds nothing -> [R D]
template <class T>
Var<T> gather_rows(Tape<T>& tape, Var<T> table, std::span<const std::int32_t> index, std::size_t bag = 1);

// --- losses (losses.cpp): sums over scored rows, times `scale`
// -------------------------------------------------------- Targets are read from the batch and must outlive the step;
// scored[r] = 0 drops a row.
/// -sum_d y log s(x) + (1-y) log(1 - s(x)), from logits;  x [R D], y [R D] -> []
template <class T>
Var<T> bits_loss(Tape<T>& tape, Var<T> logits, const float* targets, const std::uint8_t* scored, double scale);
/// What stands in logits where a choice is not allowed: finite, and exp of it minus anything usual is 0.
inline constexpr double masked_logit = -1e30;
/// -log softmax(x)[k];  x [R K], k i32 [R] -> []. A target whose logit is masked_logit is an ArgumentError.
template <class T>
Var<T> class_loss(Tape<T>& tape, Var<T> logits, const std::int32_t* targets, const std::uint8_t* scored, double scale);
/// 1/2 sum_d (x - y)^2;  x [R D], y [R D] -> []
template <class T>
Var<T> squared_loss(Tape<T>& tape, Var<T> x, const float* targets, const std::uint8_t* scored, double scale);

}  // namespace mneme
