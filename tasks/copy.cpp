// Room: tasks. copy: recall a sequence of random bits (Graves et al. 2014, section 4.1).
//
//   step            0 .. L-1      L            L+1 .. 2L
//   channels 0..W-1 random bits   0            0
//   channel W       0             1 delimiter  0
//   target          -             -            the bits, in order
//
// A sequence's bits depend on (seed, stream, number) alone. Its length is its own (mixed-lengths), or the one that the
// batch's first sequence would have, as published.
#include "tasks/sequences.hpp"

namespace mneme {

namespace {

class Copy final : public BitsTask {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("width", 8, 1, 1024, "W, bits a step; the input has one channel more, for the delimiter")
        .range("length", {1, 20}, 1, 100000, "L, steps to remember, uniform in the range")
        .flag("mixed-lengths", false, kMixedLengths);
  }

  explicit Copy(const Options& o)
      : width_(o.size("width")), length_(o.range("length")), mixed_(o.flag("mixed-lengths")) {
    spec_.channels = width_ + 1;
    spec_.outputs = width_;
    spec_.max_steps = 2 * static_cast<std::size_t>(length_.high) + 1;
    spec_.parameters = {{"length", true, "L, steps to remember"}};
  }

  void sample(const Draw& draw, Batch& batch) const override {
    sample_rows(
        spec_, draw, mixed_, batch, [&](Random& random) { return drawn(random, length_); },
        [](std::size_t length) { return BatchSize{.steps = 2 * length + 1}; },
        [&](std::size_t b, std::size_t length, Random& random) {
          batch.parameters[0].second[b] = static_cast<float>(length);
          batch.dense(length, b, width_) = 1;
          batch.phase(length, b) = static_cast<std::uint8_t>(Phase::delimiter);
          for (std::size_t t = 0; t < length; ++t) {
            const std::size_t answer = length + 1 + t;
            for (std::size_t k = 0; k < width_; ++k)
              batch.dense(t, b, k) = batch.target.values(answer, b, k) = static_cast<float>(random.bits() >> 31);
            batch.phase(answer, b) = static_cast<std::uint8_t>(Phase::answer);
            batch.target.scored(answer, b) = 1;
          }
        });
  }

  std::vector<double> chance() const override {
    const double bits = static_cast<double>(width_) * mean(length_);
    return {bits, bits / 2};
  }

  std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const override {
    const std::size_t length = (batch.lengths[row] - 1) / 2;
    return fmt::format("copy, {} steps of {} bits\n", length, width_) +
           input_rows("input", batch, row, width_, length, 0, [](std::size_t t) { return t; }) +
           answered_bits(batch, row, answer);
  }

 private:
  std::size_t width_;
  Range length_;
  bool mixed_;
};

[[maybe_unused]] const bool registered = tasks().add("copy", []() -> TaskPlugin {
  return {.summary = "recall a sequence of random bits",
          .source = "Graves et al. 2014, Neural Turing Machines, section 4.1",
          .options = Copy::options(),
          .length_options = {"length"},
          .make = [](const Options& o) { return std::make_unique<Copy>(o); }};
});

}  // namespace

}  // namespace mneme
