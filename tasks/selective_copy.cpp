// Room: tasks. selective_copy: give back the few symbols that stood among blanks, in order (Jing et al. 2019, denoise
// task; Gu & Dao 2023, Mamba, section 4.1.1, whose sequences have a vocabulary of 16, blank included, and 16 symbols).
//
//   step    0 .. L-1                               L .. L+M-1
//   token   M symbols at random places, else 0     V-1, the marker
//   target  -                                      the symbols, in order
//
// Symbols are 1 .. V-2. The length is shared by a batch or not, as copy's is.
#include "core/error.hpp"
#include "tasks/sequences.hpp"

#include <cmath>

namespace mneme {

namespace {

class SelectiveCopy final : public SymbolsTask {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("vocabulary", 16, 3, 100000, "V, tokens: blank, V-2 symbols, marker")
        .integer("tokens", 16, 1, 100000, "M, symbols to keep")
        .range("length", {64, 256}, 1, 1000000, "L, steps of symbols and blanks, uniform in the range")
        .flag("mixed-lengths", false, kMixedLengths);
  }

  explicit SelectiveCopy(const Options& o)
      : SymbolsTask(true),
        marker_(static_cast<std::int32_t>(o.integer("vocabulary")) - 1),
        kept_(o.size("tokens")),
        length_(o.range("length")),
        mixed_(o.flag("mixed-lengths")) {
    if (o.integer("tokens") > length_.low)
      fail<ArgumentError>("task.tokens", "{} symbols do not fit into {} steps (task.length)", kept_, length_.low);
    spec_.vocabulary = spec_.outputs = o.size("vocabulary");
    spec_.max_steps = static_cast<std::size_t>(length_.high) + kept_;
    spec_.parameters = {{"length", true, "L, steps of symbols and blanks"}};
  }

  void sample(const Draw& draw, Batch& batch) const override {
    sample_rows(
        spec_, draw, mixed_, batch, [&](Random& random) { return drawn(random, length_); },
        [&](std::size_t length) { return BatchSize{.steps = length + kept_}; },
        [&](std::size_t b, std::size_t length, Random& random) {
          std::size_t answer = length;
          for (std::size_t t = 0; t < length; ++t) {
            // So many of the steps that are left: each set of places is as likely as any other.
            const std::size_t missing = length + kept_ - answer;
            const auto left = static_cast<std::int64_t>(length - t);
            batch.tokens(t, b) = 0;
            if (random.integer(0, left - 1) >= static_cast<std::int64_t>(missing)) continue;
            const auto symbol = static_cast<std::int32_t>(random.integer(1, marker_ - 1));
            batch.tokens(t, b) = symbol;
            batch.tokens(answer, b) = marker_;
            batch.phase(answer, b) = static_cast<std::uint8_t>(Phase::answer);
            batch.target.scored(answer, b) = 1;
            batch.target.indices(answer, b) = symbol;
            ++answer;
          }
          batch.parameters[0].second[b] = static_cast<float>(length);
        });
  }

  std::vector<double> chance() const override {
    const double symbols = marker_ - 1;
    return {static_cast<double>(kept_) * std::log2(symbols), 100 - 100 / symbols};
  }

  std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const override {
    const std::size_t length = batch.lengths[row] - kept_, wide = std::to_string(marker_).size();
    std::string text = fmt::format("selective_copy, {} symbols in {} steps\ninput  ", kept_, length);
    for (std::size_t t = 0; t < length; ++t)
      text += batch.tokens(t, row) ? fmt::format(" {:>{}}", batch.tokens(t, row), wide) : " .";
    return text + '\n' + answered_symbols(batch, row, spec_.outputs, answer);
  }

 private:
  std::int32_t marker_;
  std::size_t kept_;
  Range length_;
  bool mixed_;
};

[[maybe_unused]] const bool registered = tasks().add("selective_copy", []() -> TaskPlugin {
  return {.summary = "give back the few symbols that stood among blanks, in order",
          .source = "Gu & Dao 2023, Mamba, section 4.1.1; Jing et al. 2019, Gated Orthogonal Recurrent Units",
          .options = SelectiveCopy::options(),
          .length_options = {"length"},
          .make = [](const Options& o) { return std::make_unique<SelectiveCopy>(o); }};
});

}  // namespace

}  // namespace mneme
