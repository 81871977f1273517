#include "tasks/sequences.hpp"

#include "core/prediction.hpp"

#include <fmt/core.h>

#include <numbers>

namespace mneme {

namespace {

/// f(step) for each scored step of a row.
template <class F>
void each_scored(const Batch& batch, std::size_t row, const F& f) {
  for (std::size_t t = 0; t < batch.lengths[row]; ++t)
    if (batch.target.scored(t, row)) f(t);
}

}  // namespace

bool right_symbol(const Batch& batch, std::size_t step, std::size_t row, const Prediction& answer) {
  const std::int32_t given = answer.indices(step, row);
  return given == batch.target.indices(step, row) && answer.values(step, row, static_cast<std::size_t>(given)) > 0;
}

std::string answered_bits(const Batch& batch, std::size_t row, const Prediction* answer, std::size_t group) {
  const std::size_t width = batch.target.values.shape()[2];
  std::vector<std::size_t> steps;
  each_scored(batch, row, [&](std::size_t t) { steps.push_back(t); });
  const auto target = [&](std::size_t t, std::size_t k) { return batch.target.values(steps[t], row, k) > 0; };
  std::string text = letter_rows("target", width, steps.size(), group,
                                 [&](std::size_t t, std::size_t k) { return target(t, k) ? '#' : '.'; });
  if (!answer) return text;
  std::size_t wrong = 0;
  text += letter_rows("output", width, steps.size(), group, [&](std::size_t t, std::size_t k) {
    const bool one = target(t, k);
    if (right_bit(answer->values(steps[t], row, k), batch.target.values(steps[t], row, k))) return one ? '#' : '.';
    ++wrong;
    return one ? 'o' : 'X';
  });
  return text +
         fmt::format("{} wrong of {} bits{}\n", wrong, steps.size() * width, wrong ? " (X: 1 for 0, o: 0 for 1)" : "");
}

std::string answered_symbols(const Batch& batch, std::size_t row, std::size_t classes, const Prediction* answer) {
  const std::size_t wide = std::to_string(classes - 1).size();
  std::string target = "target ", output = "output ", marks = "       ";
  std::size_t wrong = 0, all = 0;
  each_scored(batch, row, [&](std::size_t t) {
    target += fmt::format(" {:>{}}", batch.target.indices(t, row), wide);
    ++all;
    if (!answer) return;
    const bool right = right_symbol(batch, t, row, *answer);
    wrong += !right;
    output += fmt::format(" {:>{}}", answer->indices(t, row), wide);
    marks += fmt::format(" {:>{}}", right ? "" : "^", wide);
  });
  target += '\n';
  if (!answer) return target;
  marks.resize(marks.find_last_not_of(' ') + 1);
  return target + output + '\n' + (wrong ? marks + '\n' : "") + fmt::format("{} wrong of {} symbols\n", wrong, all);
}

BitsTask::BitsTask(const std::string& also)
    : SequenceTask(
          {{"bits_per_sequence", "bits", "cross-entropy of the answer, summed over its steps and bits, base 2" + also},
           {"wrong_bits_per_sequence", "bits", "bits of the answer on the wrong side of 0.5" + also}}) {}

void BitsTask::score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
                     std::span<double> out) const {
  out[0] = nats / std::numbers::ln2;
  out[1] = 0;
  each_scored(batch, row, [&](std::size_t t) {
    for (std::size_t k = 0; k < spec().outputs; ++k)
      out[1] += !right_bit(answer.values(t, row, k), batch.target.values(t, row, k));
  });
}

SymbolsTask::SymbolsTask(bool percent)
    : SequenceTask({{"bits_per_sequence", "bits", "cross-entropy of the answer, summed over its steps, base 2"},
                    percent ? Metric{"wrong_percent", "%", "share of the answer's symbols that are wrong"}
                            : Metric{"wrong_symbols_per_sequence", "symbols", "symbols of the answer that are wrong"}}),
      percent_(percent) {
  spec_.target = TargetKind::classes;
}

void SymbolsTask::score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
                        std::span<double> out) const {
  double wrong = 0, all = 0;
  each_scored(batch, row, [&](std::size_t t) {
    wrong += !right_symbol(batch, t, row, answer);
    ++all;
  });
  out[0] = nats / std::numbers::ln2;
  out[1] = percent_ ? 100 * wrong / all : wrong;
}

}  // namespace mneme
