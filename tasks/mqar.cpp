// Room: tasks. mqar: pairs of a key and a value; later each key is asked again, among random tokens (multi-query
// associative recall: Arora et al. 2023, Zoology, section 3 and its program's multiquery_ar).
//
//   step    0   1   2   3  ..  2P-1   2P                ..               T-1
//   token   k_1 v_1 k_2 v_2 .. v_P    random tokens, and each k_i once, at 2P + 2 g_i
//   target  -                         v_i where k_i stands
//
// Of a vocabulary V, keys are 1 .. V/2-1, values V/2 .. V-1, in a sequence each at most once; what stands between the
// queries is any token. The gaps g_i are different whole numbers of 0 .. (T-2P)/2-1, drawn one after the other with
// weights (g+1)^(a-1): a = 1 is uniform, small a asks early. All T tokens are given at once or one by one; nothing
// marks a query but its key. T and P are shared by a batch or not, as copy's length is.
#include "core/error.hpp"
#include "tasks/sequences.hpp"

#include <cmath>

namespace mneme {

namespace {

class Mqar final : public SymbolsTask {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("vocabulary", 8192, 4, 1 << 20, "V, tokens: keys are of the lower half, values of the upper")
        .range("length", {64, 64}, 4, 100000, "T, tokens of a sequence, uniform in the range")
        .range("pairs", {4, 4}, 1, 25000, "P, pairs of key and value, uniform in the range")
        .real("power", 0.01, 0, 1, "a: weights of the gaps g between pairs and queries are (g+1)^(a-1)")
        .flag("mixed-lengths", false, kMixedLengths);
  }

  explicit Mqar(const Options& o)
      : SymbolsTask(true),
        half_(o.integer("vocabulary") / 2),
        tokens_(o.integer("vocabulary")),
        length_(o.range("length")),
        pairs_(o.range("pairs")),
        mixed_(o.flag("mixed-lengths")) {
    if (4 * pairs_.high > length_.low)
      fail<ArgumentError>("task.pairs", "{} pairs and their queries need {} tokens, task.length has {}", pairs_.high,
                          4 * pairs_.high, length_.low);
    if (pairs_.high > half_ - 1)
      fail<ArgumentError>("task.pairs", "{} pairs, and task.vocabulary {} has {} keys", pairs_.high, tokens_,
                          half_ - 1);
    const double power = o.real("power");
    const std::size_t most = gaps({static_cast<std::size_t>(length_.high), static_cast<std::size_t>(pairs_.low)});
    for (std::size_t g = 0; g < most; ++g)
      weights_.push_back((g ? weights_.back() : 0) + std::pow(static_cast<double>(g + 1), power - 1));
    spec_.vocabulary = spec_.outputs = o.size("vocabulary");
    spec_.max_steps = static_cast<std::size_t>(length_.high);
    spec_.parameters = {{"length", true, "T, tokens"}, {"pairs", true, "P, pairs of key and value"}};
  }

  void sample(const Draw& draw, Batch& batch) const override {
    sample_rows(
        spec_, draw, mixed_, batch,
        [&](Random& random) {
          const std::size_t length = drawn(random, length_);
          return Size{length, drawn(random, pairs_)};
        },
        [](Size size) { return BatchSize{.steps = size.length}; },
        [&](std::size_t b, Size size, Random& random) {
          for (std::size_t i = 0; i < size.pairs; ++i) {
            draw_other(batch, b, 2 * i, [&] { return random.integer(1, half_ - 1); });
            draw_other(batch, b, 2 * i + 1, [&] { return random.integer(half_, tokens_ - 1); });
          }
          for (std::size_t i = 0; i < size.pairs; ++i) {
            std::size_t at = 0;
            do at = 2 * size.pairs + 2 * gap(random, gaps(size));
            while (batch.target.scored(at, b));
            batch.tokens(at, b) = batch.tokens(2 * i, b);
            batch.target.scored(at, b) = 1;
            batch.target.indices(at, b) = batch.tokens(2 * i + 1, b);
            batch.phase(at, b) = static_cast<std::uint8_t>(Phase::answer);
          }
          for (std::size_t t = 2 * size.pairs; t < size.length; ++t)
            if (!batch.target.scored(t, b))
              batch.tokens(t, b) = static_cast<std::int32_t>(random.integer(0, tokens_ - 1));
          batch.parameters[0].second[b] = static_cast<float>(size.length);
          batch.parameters[1].second[b] = static_cast<float>(size.pairs);
        });
  }

  /// Of a guess among the values.
  std::vector<double> chance() const override {
    const auto values = static_cast<double>(tokens_ - half_);
    return {mean(pairs_) * std::log2(values), 100 - 100 / values};
  }

  std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const override {
    const auto pairs = static_cast<std::size_t>(batch.parameters[1].second[row]);
    const std::size_t wide = std::to_string(tokens_ - 1).size();
    std::string keys = "keys   ", values = "values ", asked = "asked  ";
    const auto put = [&](std::string& line, std::size_t t) {
      line += fmt::format(" {:>{}}", batch.tokens(t, row), wide);
    };
    for (std::size_t i = 0; i < pairs; ++i) {
      put(keys, 2 * i);
      put(values, 2 * i + 1);
    }
    for (std::size_t t = 2 * pairs; t < batch.lengths[row]; ++t)
      if (batch.target.scored(t, row)) put(asked, t);
    return fmt::format("mqar, {} pairs in {} tokens\n{}\n{}\n{}\n", pairs, batch.lengths[row], keys, values, asked) +
           answered_symbols(batch, row, spec_.outputs, answer);
  }

 private:
  struct Size {
    std::size_t length, pairs;
  };
  static std::size_t gaps(Size size) { return (size.length - 2 * size.pairs) / 2; }

  /// Fills token t with what is not yet at t-2, t-4, ...
  template <class Draw>
  static void draw_other(Batch& batch, std::size_t b, std::size_t t, const Draw& draw) {
    const auto taken = [&](std::int32_t token) {
      for (std::size_t before = t % 2; before < t; before += 2)
        if (batch.tokens(before, b) == token) return true;
      return false;
    };
    std::int32_t token = 0;
    do token = static_cast<std::int32_t>(draw());
    while (taken(token));
    batch.tokens(t, b) = token;
  }

  /// One of 0 .. count-1 by its weight.
  std::size_t gap(Random& random, std::size_t count) const {
    const double at = random.uniform() * weights_[count - 1];
    const auto end = weights_.begin() + static_cast<std::ptrdiff_t>(count) - 1;
    return static_cast<std::size_t>(std::upper_bound(weights_.begin(), end, at) - weights_.begin());
  }

  std::int64_t half_, tokens_;
  Range length_, pairs_;
  bool mixed_;
  std::vector<double> weights_;  // of the gaps, summed up
};

[[maybe_unused]] const bool registered = tasks().add("mqar", []() -> TaskPlugin {
  return {.summary = "pairs of key and value, then each key again: its value",
          .source = "Arora et al. 2023, Zoology: Measuring and Improving Recall, section 3",
          .options = Mqar::options(),
          .length_options = {"length", "pairs"},
          .make = [](const Options& o) { return std::make_unique<Mqar>(o); }};
});

}  // namespace

}  // namespace mneme
