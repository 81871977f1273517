// Room: tasks. ngram: predict the next bit of a sequence whose n-gram distribution is its own (Graves et al. 2014,
// section 4.4, "dynamic N-grams").
//
//   step        0    ..  L-2
//   channel 0   b_1  ..  b_{L-1}
//   target      b_2  ..  b_L
//
// Each of the 2^(n-1) contexts has a probability of 1 drawn from Beta(1/2, 1/2) for this sequence alone; the first n-1
// bits, which have no whole context, are fair coins. The network sees a bit and is asked for the next one, so every bit
// but the first is scored. Of 200 bits of 6-grams the optimal estimator then pays 132.0 in the mean, which is the
// published 131 to 132 (read off a curve of 1,000 sequences, whose mean has a standard error of 1.1); without the four
// fair coins among them it would be 128.0. A test computes both.
//
// floor_bits is what the optimal estimator pays for this very sequence: a bit for each coin, and after a whole context
// P(1) = (N1 + 1/2) / (N0 + N1 + 1), by how often 0 and 1 have followed it so far.
#include "core/prediction.hpp"
#include "tasks/sequences.hpp"

#include <array>
#include <cmath>
#include <numbers>

namespace mneme {

namespace {

class Ngram final : public SequenceTask {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("order", 6, 2, 12, "n: a bit depends on the n-1 before it")
        .range("length", {200, 200}, 2, 1000000, "L, bits, uniform in the range")
        .flag("mixed-lengths", false, kMixedLengths);
  }

  explicit Ngram(const Options& o)
      : SequenceTask({{"bits_per_sequence", "bits", "cross-entropy of every bit but the first, base 2"},
                      {"excess_bits_per_sequence", "bits",
                       "the same less floor_bits, what the optimal estimator pays for the sequence"}}),
        context_(o.size("order") - 1),
        length_(o.range("length")),
        mixed_(o.flag("mixed-lengths")) {
    spec_.channels = spec_.outputs = 1;
    spec_.max_steps = static_cast<std::size_t>(length_.high) - 1;
    spec_.parameters = {{"length", true, "L, bits"}, {"floor_bits", false, "what the optimal estimator pays"}};
  }

  void sample(const Draw& draw, Batch& batch) const override {
    sample_rows(
        spec_, draw, mixed_, batch, [&](Random& random) { return drawn(random, length_); },
        [](std::size_t length) { return BatchSize{.steps = length - 1}; },
        [&](std::size_t b, std::size_t length, Random& random) {
          std::array<double, kContexts> one;  // the probability of 1 after each context
          std::array<std::array<double, 2>, kContexts> seen;
          for (std::size_t c = 0; c < contexts(); ++c) {
            const double sine = std::sin(std::numbers::pi / 2 * random.uniform());  // Beta(1/2, 1/2): arcsine law
            one[c] = sine * sine;
            seen[c] = {0, 0};
          }
          std::size_t context = 0;
          double floor = 0;
          for (std::size_t i = 0; i < length; ++i) {
            const bool whole = i >= context_;
            const bool bit = random.uniform() < (whole ? one[context] : 0.5);
            if (whole) {
              floor -= std::log2((seen[context][bit] + 0.5) / (seen[context][0] + seen[context][1] + 1));
              ++seen[context][bit];
            } else if (i > 0) {
              floor += 1;
            }
            if (i > 0) {
              batch.target.values(i - 1, b, 0) = bit;
              batch.target.scored(i - 1, b) = 1;
              batch.phase(i - 1, b) = static_cast<std::uint8_t>(Phase::answer);
            }
            if (i + 1 < length) batch.dense(i, b, 0) = bit;
            context = (context << 1 | bit) & (contexts() - 1);
          }
          batch.parameters[0].second[b] = static_cast<float>(length);
          batch.parameters[1].second[b] = static_cast<float>(floor);
        });
  }

  void score(const Batch& batch, std::size_t row, const Prediction&, double nats,
             std::span<double> out) const override {
    out[0] = nats / std::numbers::ln2;
    out[1] = out[0] - static_cast<double>(batch.parameters[1].second[row]);
  }

  /// A bit for each that is scored; its distance to the floor by the mean floor of 4,000 sequences.
  std::vector<double> chance() const override {
    const double bits = mean(length_) - 1;
    constexpr std::size_t count = 4000;
    Batch batch;
    double floor = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sample({.seed = 0, .stream = "chance", .first = i}, batch);
      floor += static_cast<double>(batch.parameters[1].second[0]) / count;
    }
    return {bits, bits - floor};
  }

  double solved_threshold() const override { return 2; }

  std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const override {
    return fmt::format("ngram, {} bits, contexts of {} bits; the optimal estimator pays {:.1f} bits\n",
                       batch.parameters[0].second[row], context_, batch.parameters[1].second[row]) +
           input_rows("first", batch, row, 1, 1, 0, [](std::size_t t) { return t; }) +
           answered_bits(batch, row, answer);
  }

 private:
  static constexpr std::size_t kContexts = 1 << 11;
  std::size_t contexts() const { return std::size_t{1} << context_; }

  std::size_t context_;  // n-1, bits
  Range length_;
  bool mixed_;
};

[[maybe_unused]] const bool registered = tasks().add("ngram", []() -> TaskPlugin {
  return {.summary = "predict the next bit of a sequence whose n-gram distribution is its own",
          .source = "Graves et al. 2014, Neural Turing Machines, section 4.4",
          .options = Ngram::options(),
          .length_options = {"length"},
          .make = [](const Options& o) { return std::make_unique<Ngram>(o); }};
});

}  // namespace

}  // namespace mneme
