// Room: models. Beam search: of each row the best `beam` lines, complete ones among them; of equals the first found.
#include "models/decode/decode.hpp"

#include <algorithm>

namespace mneme {

namespace {

/// One choice of one line; lines share what they have in common.
struct Choice {
  std::size_t before;  ///< place of the choice before it; none at the first
  std::int32_t chosen;
  std::size_t values;  ///< where its distribution is kept
};
constexpr std::size_t none = static_cast<std::size_t>(-1);

struct Line {
  std::size_t row = 0;
  std::size_t last = none;  ///< place of its last choice
  std::size_t from = 0;     ///< the decoder's line that it goes on from
  double score = 0;
};

template <class T>
class Beam {
 public:
  Beam(Decoder<T>& decoder, const Batch& batch, const Search& search)
      : decoder_(decoder), batch_(batch), search_(search) {
    going_.resize(batch.size);
    for (std::size_t b = 0; b < batch.size; ++b) going_[b] = {.row = b, .from = b};
  }

  void run(std::size_t most, Prediction& out) {
    for (std::size_t t = 0; t < most && !going_.empty(); ++t) {
      std::vector<std::size_t> from;
      std::vector<std::int32_t> last;
      for (const Line& l : going_) {
        from.push_back(l.from);
        last.push_back(l.last == none ? -1 : choices_[l.last].chosen);
      }
      if (t > 0) decoder_.keep(from);
      advance(decoder_.next(last));
    }
    complete_.insert(complete_.end(), going_.begin(), going_.end());
    write(most, out);
  }

 private:
  std::vector<std::int32_t> made(std::size_t last) const {
    std::vector<std::int32_t> all;
    for (std::size_t at = last; at != none; at = choices_[at].before) all.push_back(choices_[at].chosen);
    std::reverse(all.begin(), all.end());
    return all;
  }

  /// Of each row's lines, each with every allowed choice, and those that are complete: the best go on.
  void advance(Var<T> logits) {
    k_ = logits.shape.last();
    std::vector<Line> complete = std::move(complete_), next;
    complete_.clear();
    for (std::size_t row = 0; row < batch_.size; ++row) {
      std::vector<Line> lines;
      std::vector<std::int32_t> chosen;  // -1: complete
      const auto found = [&](const Line& l, std::int32_t choice) {
        lines.push_back(l);
        chosen.push_back(choice);
      };
      for (const Line& l : complete)
        if (l.row == row) found(l, -1);
      for (std::size_t i = 0; i < going_.size(); ++i) {
        Line l = going_[i];
        if (l.row != row) continue;
        l.from = i;
        if (!ask(search_.validity, batch_, row, made(l.last), allowed_, k_)) {
          found(l, -1);
          continue;
        }
        const Choices<T> choices = choices_of(logits.data + i * k_, k_, row, made(l.last).size());
        for (std::size_t k = 0; k < k_; ++k) {
          if (!allowed_[k]) continue;
          Line longer = l;
          longer.score += choices.log_probability(k);
          found(longer, static_cast<std::int32_t>(k));
        }
      }
      std::vector<std::size_t> order(lines.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return lines[a].score > lines[b].score; });
      order.resize(std::min(order.size(), search_.beam));
      for (const std::size_t i : order) {
        Line l = lines[i];
        if (chosen[i] < 0) {
          complete_.push_back(l);
          continue;
        }
        choices_.push_back({l.last, chosen[i], keep_values(logits.data + l.from * k_)});
        l.last = choices_.size() - 1;
        next.push_back(l);
      }
    }
    going_ = std::move(next);
  }

  std::size_t keep_values(const T* x) {
    const Choices<T> choices(x, k_);
    for (std::size_t k = 0; k < k_; ++k) values_.push_back(static_cast<float>(choices.probability(k)));
    return values_.size() - k_;
  }

  void write(std::size_t most, Prediction& out) const {
    begin_answers(out, most, batch_.size, k_);
    for (std::size_t b = 0; b < batch_.size; ++b) {
      const Line* best = nullptr;
      for (const Line& l : complete_)
        if (l.row == b && (!best || l.score > best->score)) best = &l;
      if (!best) continue;
      out.score[b] = best->score;
      const std::size_t steps = made(best->last).size();
      out.lengths[b] = static_cast<std::uint32_t>(steps);
      std::size_t t = steps;
      for (std::size_t at = best->last; at != none; at = choices_[at].before) {
        out.indices(--t, b) = choices_[at].chosen;
        std::copy_n(values_.data() + choices_[at].values, k_, &out.values(t, b, 0));
      }
    }
  }

  Decoder<T>& decoder_;
  const Batch& batch_;
  const Search& search_;
  std::size_t k_ = 0;
  std::vector<Choice> choices_;
  std::vector<float> values_;
  std::vector<Line> going_, complete_;
  std::vector<std::uint8_t> allowed_;
};

}  // namespace

template <class T>
void beam(Decoder<T>& decoder, const Batch& batch, const Search& search, std::size_t most, Prediction& out) {
  Beam<T>(decoder, batch, search).run(most, out);
}

template void beam(Decoder<float>&, const Batch&, const Search&, std::size_t, Prediction&);
template void beam(Decoder<double>&, const Batch&, const Search&, std::size_t, Prediction&);

}  // namespace mneme
