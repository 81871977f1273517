// Room: tasks. reverse: give a sequence of symbols back from its end to its beginning (the reversal on which Joulin &
// Mikolov 2015 and Deletang et al. 2022, "reverse string", try memories).
//
//   form    steps                                        items
//   items   none                                         x_1 .. x_L, a symbol each, in order
//   steps   x_1 .. x_L, end marker, L times blank        end marker, L times blank
//   target  x_L .. x_1 at the blanks                     the same
//
// Tokens: symbols 0 .. V-1, the end marker V, blank V+1. A sequence is the same in both forms: an encoder of items
// reads what a cell reads step by step. The length is shared by a batch or not, as copy's is.
#include "tasks/sequences.hpp"

#include <cmath>

namespace mneme {

namespace {

class Reverse final : public SymbolsTask {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("vocabulary", 8, 2, 100000, "V, symbols; end marker and blank come on top")
        .range("length", {1, 20}, 1, 100000, "L, symbols of a sequence, uniform in the range")
        .choice("form", "steps", {"steps", "items"}, "the sequence step by step, or as an item set")
        .flag("mixed-lengths", false, kMixedLengths);
  }

  explicit Reverse(const Options& o)
      : SymbolsTask(false),
        symbols_(static_cast<std::int32_t>(o.integer("vocabulary"))),
        length_(o.range("length")),
        items_(o.text("form") == "items"),
        mixed_(o.flag("mixed-lengths")) {
    spec_.vocabulary = o.size("vocabulary") + 2;
    spec_.outputs = o.size("vocabulary");
    const BatchSize most = extent(static_cast<std::size_t>(length_.high));
    spec_.max_steps = most.steps;
    if (items_) {
      spec_.item_vocabulary = spec_.vocabulary;
      spec_.max_items = most.items;
      spec_.longest_line = 1;
    }
    spec_.parameters = {{"length", true, "L, symbols"}};
  }

  void sample(const Draw& draw, Batch& batch) const override {
    sample_rows(
        spec_, draw, mixed_, batch, [&](Random& random) { return drawn(random, length_); },
        [&](std::size_t length) { return extent(length); },
        [&](std::size_t b, std::size_t length, Random& random) {
          const std::size_t end = items_ ? 0 : length;
          batch.tokens(end, b) = symbols_;
          batch.phase(end, b) = static_cast<std::uint8_t>(Phase::delimiter);
          for (std::size_t i = 0; i < length; ++i) {
            const auto symbol = static_cast<std::int32_t>(random.integer(0, symbols_ - 1));
            if (items_)
              batch.items.tokens(b, i, 0) = symbol;
            else
              batch.tokens(i, b) = symbol;
            const std::size_t answer = end + length - i;
            batch.tokens(answer, b) = symbols_ + 1;
            batch.phase(answer, b) = static_cast<std::uint8_t>(Phase::answer);
            batch.target.scored(answer, b) = 1;
            batch.target.indices(answer, b) = symbol;
          }
          batch.parameters[0].second[b] = static_cast<float>(length);
        });
  }

  std::vector<double> chance() const override {
    const double length = mean(length_);
    return {length * std::log2(symbols_), length * (1 - 1.0 / symbols_)};
  }

  std::vector<std::string> token_names() const override {
    std::vector<std::string> names = class_names();
    names.insert(names.end(), {"end", "blank"});
    return names;
  }
  std::vector<std::string> class_names() const override {
    std::vector<std::string> names;
    for (std::int32_t s = 0; s < symbols_; ++s) names.push_back(std::to_string(s));
    return names;
  }

  std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const override {
    const auto length = static_cast<std::size_t>(batch.parameters[0].second[row]);
    const std::size_t wide = std::to_string(symbols_ - 1).size();
    std::string text =
        fmt::format("reverse, {} of {} symbols{}\ninput  ", length, symbols_, items_ ? ", as items" : "");
    for (std::size_t i = 0; i < length; ++i)
      text += fmt::format(" {:>{}}", items_ ? batch.items.tokens(row, i, 0) : batch.tokens(i, row), wide);
    return text + '\n' + answered_symbols(batch, row, spec_.outputs, answer);
  }

 private:
  BatchSize extent(std::size_t length) const {
    if (items_) return {.steps = 1 + length, .items = length, .words = 1};
    return {.steps = 2 * length + 1};
  }

  std::int32_t symbols_;
  Range length_;
  bool items_, mixed_;
};

[[maybe_unused]] const bool registered = tasks().add("reverse", []() -> TaskPlugin {
  return {.summary = "give a sequence of symbols back from its end to its beginning",
          .source = "Deletang et al. 2022, Neural Networks and the Chomsky Hierarchy, reverse string",
          .options = Reverse::options(),
          .length_options = {"length"},
          .make = [](const Options& o) { return std::make_unique<Reverse>(o); }};
});

}  // namespace

}  // namespace mneme
