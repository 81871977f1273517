// Room: models. Greedy decoding: at each step the likeliest of the allowed choices; of equals the first.
#include "models/decode/decode.hpp"

#include <algorithm>

namespace mneme {

void begin_answers(Prediction& out, std::size_t steps, std::size_t rows, std::size_t choices) {
  out.values.resize({steps, rows, choices});
  out.indices.resize({steps, rows});
  std::fill(out.values.storage().begin(), out.values.storage().end(), 0.0f);
  std::fill(out.indices.storage().begin(), out.indices.storage().end(), -1);
  out.lengths.assign(rows, 0);
  out.score.assign(rows, 0.0);
}

template <class T>
void greedy(Decoder<T>& decoder, const Batch& batch, const Validity& validity, std::size_t most, Prediction& out) {
  const std::size_t rows = batch.size;
  std::vector<std::int32_t> last(rows, -1);
  std::vector<std::vector<std::int32_t>> made(rows);
  std::vector<std::uint8_t> allowed, ended(rows, 0);
  begin_answers(out, most, rows, 0);
  for (std::size_t t = 0; t < most; ++t) {
    const Var<T> logits = decoder.next(last);
    const std::size_t k = logits.shape.last();
    if (t == 0) begin_answers(out, most, rows, k);
    for (std::size_t b = 0; b < rows; ++b) {
      ended[b] = ended[b] || !ask(validity, batch, b, made[b], allowed, k);
      if (ended[b]) continue;
      const T* x = logits.data + b * k;
      std::size_t best = k;
      for (std::size_t i = 0; i < k; ++i)
        if (allowed[i] && (best == k || x[i] > x[best])) best = i;
      const Choices<T> choices = choices_of(x, k, b, t);
      for (std::size_t i = 0; i < k; ++i) out.values(t, b, i) = static_cast<float>(choices.probability(i));
      last[b] = out.indices(t, b) = static_cast<std::int32_t>(best);
      made[b].push_back(last[b]);
      out.lengths[b] = static_cast<std::uint32_t>(t + 1);
      out.score[b] += choices.log_probability(best);
    }
    if (std::all_of(ended.begin(), ended.end(), [](std::uint8_t e) { return e; })) break;
  }
}

template void greedy(Decoder<float>&, const Batch&, const Validity&, std::size_t, Prediction&);
template void greedy(Decoder<double>&, const Batch&, const Validity&, std::size_t, Prediction&);

}  // namespace mneme
