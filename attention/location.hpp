// Room: attention. Location addressing: moving a weighting about instead of scoring elements (NTM section 3.3.2).
//
//   content weighting w^c, last weighting w_{t-1}  -> interpolate (g) -> shift (s) -> sharpen (gamma) -> w_t
//
// All weightings are [B N]; s is [B S], S odd: entry o moves the weighting by o - (S-1)/2 slots towards higher indices,
// around the end. location() is the three steps in one pass.
#pragma once

#include "autodiff/tape.hpp"

namespace mneme {

/// Added to a weighting before its logarithm is taken: sharpening in log space, where w^gamma cannot underflow to 0/0.
inline constexpr double sharpen_epsilon = 1e-16;

/// w(i) = g wc(i) + (1 - g) w'(i)   (NTM eq. 7)   g [B 1]
template <class T>
Var<T> interpolate(Tape<T>& tape, Var<T> content, Var<T> previous, Var<T> g);

/// w(i) = sum_j w'(j) s(i - j), indices modulo N   (NTM eq. 8)
template <class T>
Var<T> shift(Tape<T>& tape, Var<T> w, Var<T> s);

/// w(i) = w'(i)^gamma / sum_j w'(j)^gamma = softmax(gamma log(w' + eps))   (NTM eq. 9)   gamma [B 1]
template <class T>
Var<T> sharpen(Tape<T>& tape, Var<T> w, Var<T> gamma);

/// The weightings between.
template <class T>
struct Moved {
  Var<T> gated, shifted;
};

/// sharpen(shift(interpolate(content, previous, g), s), gamma), and where asked for `between`, without a gradient
template <class T>
Var<T> location(Tape<T>& tape, Var<T> content, Var<T> previous, Var<T> g, Var<T> s, Var<T> gamma,
                Moved<T>* between = nullptr);

}  // namespace mneme
