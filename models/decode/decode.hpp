// Room: models. Answers that feed back: each choice is an input of the next (Sutskever et al. 2014, section 3.2).
//
// A model gives a Decoder: lines of choices that go on side by side. greedy() takes the likeliest allowed choice of
// each row; beam() keeps the best lines of each row, those that are complete beside those that go on. A line's score is
// the sum of the log probabilities of its choices by the model's own distribution, over all choices: what the rule
// forbids is not chosen, and its share is not given to others.
#pragma once

#include "autodiff/softmax_row.hpp"
#include "core/prediction.hpp"
#include "models/model.hpp"

#include <algorithm>

namespace mneme {

template <class T>
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Logits [R K] of the next choice of each of R lines, whose last choice was `last`; -1: none so far. The first lines
  /// are the rows of the batch.
  virtual Var<T> next(std::span<const std::int32_t> last) = 0;
  /// From now on there are from.size() lines; line r goes on as line from[r] did.
  virtual void keep(std::span<const std::size_t> from) = 0;
};

/// `most`: choices after which an answer ends, complete or not (BatchSpec::max_steps), not 0. Values of `out` are the
/// model's distributions at the choices made.
template <class T>
void greedy(Decoder<T>& decoder, const Batch& batch, const Validity& validity, std::size_t most, Prediction& out);
template <class T>
void beam(Decoder<T>& decoder, const Batch& batch, const Search& search, std::size_t most, Prediction& out);

/// As `search` says.
template <class T>
void decode(Decoder<T>& decoder, const Batch& batch, const Search& search, std::size_t most, Prediction& out) {
  if (most == 0)
    fail<InvariantError>("decode", "answers that feed back need a most: the task does not say how many steps one has");
  if (search.beam <= 1)
    greedy(decoder, batch, search.validity, most, out);
  else
    beam(decoder, batch, search, most, out);
}

/// Rows from[0], from[1], ... of x [R ...], as a constant: what keep() does to a decoder's state.
template <class T>
Var<T> take_rows(Tape<T>& tape, Var<T> x, std::span<const std::size_t> from) {
  const std::size_t n = x.size() / x.shape[0];
  Shape shape{from.size()};
  for (std::size_t i = 1; i < x.shape.rank(); ++i) shape.push_back(x.shape[i]);
  const Var<T> y = tape.constant(shape);
  for (std::size_t r = 0; r < from.size(); ++r) std::copy_n(x.data + from[r] * n, n, y.data + r * n);
  return y;
}

/// What the model makes of a line's next choice. Throws NonFiniteError, which names row and step.
template <class T>
Choices<T> choices_of(const T* logits, std::size_t count, std::size_t row, std::size_t step) {
  const Choices<T> choices(logits, count);
  if (!choices.finite())
    fail<NonFiniteError>("decode", "logits of row {} are not finite at step {}, as answers feed back", row, step);
  return choices;
}

/// Which of K choices may come next in a row; false where none may, so that the answer is complete.
inline bool ask(const Validity& validity, const Batch& batch, std::size_t row, std::span<const std::int32_t> made,
                std::vector<std::uint8_t>& allowed, std::size_t choices) {
  allowed.assign(choices, validity ? 0 : 1);
  if (validity) validity(batch, row, made, allowed);
  return std::find(allowed.begin(), allowed.end(), 1) != allowed.end();
}

/// Sizes `out` for answers of so many steps of K choices and fills it with "nothing".
void begin_answers(Prediction& out, std::size_t steps, std::size_t rows, std::size_t choices);

}  // namespace mneme
