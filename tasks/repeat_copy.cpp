// Room: tasks. repeat_copy: recall a sequence of random bits so many times, then say that this was all (Graves et al.
// 2014, section 4.2).
//
//   step            0 .. L-1      L                 L+1 .. L+RL           L+RL+1
//   channels 0..W-1 random bits   0                 0                     0
//   channel W       0             1 delimiter       0                     0
//   channel W+1     0             (R - mean) / sd   0                     0
//   target 0..W-1   -             -                 the bits, R times     0
//   target W        -             -                 0                     1 end marker
//
// The number of repeats is normalised to mean 0 and variance 1 over the published range 1 to 10. Mean and deviation are
// those of task.repeats-scale, whatever task.repeats is, so that a test with more repeats keeps what a number means.
// Lengths and repeats are shared by a batch or not, as copy's lengths are.
#include "core/error.hpp"
#include "tasks/sequences.hpp"

#include <cmath>

namespace mneme {

namespace {

class RepeatCopy final : public BitsTask {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("width", 8, 1, 1024, "W, bits a step; the input has two channels more: delimiter, number of repeats")
        .range("length", {1, 10}, 1, 100000, "L, steps to remember, uniform in the range")
        .range("repeats", {1, 10}, 1, 100000, "R, how many times they are given back, uniform in the range")
        .range("repeats-scale", {1, 10}, 1, 100000, "R is told less the mean of this range, by its deviation")
        .flag("mixed-lengths", false, kMixedLengths);
  }

  explicit RepeatCopy(const Options& o)
      : BitsTask(", the end marker's included"),
        width_(o.size("width")),
        length_(o.range("length")),
        repeats_(o.range("repeats")),
        mixed_(o.flag("mixed-lengths")) {
    const Range scale = o.range("repeats-scale");
    if (scale.low == scale.high)
      fail<ArgumentError>("task.repeats-scale", "{}:{} has no deviation; its ends must differ", scale.low, scale.high);
    mean_ = mean(scale);
    const auto count = static_cast<double>(scale.high - scale.low + 1);
    deviation_ = std::sqrt((count * count - 1) / 12);
    spec_.channels = width_ + 2;
    spec_.outputs = width_ + 1;
    spec_.max_steps = extent({static_cast<std::size_t>(length_.high), static_cast<std::size_t>(repeats_.high)}).steps;
    spec_.parameters = {{"length", true, "L, steps to remember"},
                        {"repeats", true, "R, times that they are given back"}};
  }

  void sample(const Draw& draw, Batch& batch) const override {
    sample_rows(
        spec_, draw, mixed_, batch,
        [&](Random& random) {
          const std::size_t length = drawn(random, length_);
          return Size{length, drawn(random, repeats_)};
        },
        extent,
        [&](std::size_t b, Size size, Random& random) {
          const auto [length, repeats] = size;
          batch.parameters[0].second[b] = static_cast<float>(length);
          batch.parameters[1].second[b] = static_cast<float>(repeats);
          for (std::size_t t = 0; t < length; ++t)
            for (std::size_t k = 0; k < width_; ++k) batch.dense(t, b, k) = static_cast<float>(random.bits() >> 31);
          batch.dense(length, b, width_) = 1;
          batch.dense(length, b, width_ + 1) = static_cast<float>((static_cast<double>(repeats) - mean_) / deviation_);
          batch.phase(length, b) = static_cast<std::uint8_t>(Phase::delimiter);
          const std::size_t answer = length + 1, end = answer + repeats * length;
          for (std::size_t t = answer; t <= end; ++t) {
            for (std::size_t k = 0; t < end && k < width_; ++k)
              batch.target.values(t, b, k) = batch.dense((t - answer) % length, b, k);
            batch.phase(t, b) = static_cast<std::uint8_t>(Phase::answer);
            batch.target.scored(t, b) = 1;
          }
          batch.target.values(end, b, width_) = 1;
        });
  }

  /// Of a guess that knows how often and how long: the end marker costs it nothing.
  std::vector<double> chance() const override {
    const double bits = static_cast<double>(width_) * mean(length_) * mean(repeats_);
    return {bits, bits / 2};
  }

  std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const override {
    const auto length = static_cast<std::size_t>(batch.parameters[0].second[row]);
    return fmt::format("repeat_copy, {} steps of {} bits, {} times; the last row is the end marker\n", length, width_,
                       batch.parameters[1].second[row]) +
           input_rows("input", batch, row, width_, length, 0, [](std::size_t t) { return t; }) +
           answered_bits(batch, row, answer, length);
  }

 private:
  struct Size {
    std::size_t length, repeats;
  };
  static BatchSize extent(Size size) { return {.steps = size.length + 1 + size.repeats * size.length + 1}; }

  std::size_t width_;
  Range length_, repeats_;
  double mean_ = 0, deviation_ = 1;
  bool mixed_;
};

[[maybe_unused]] const bool registered = tasks().add("repeat_copy", []() -> TaskPlugin {
  return {.summary = "recall a sequence of random bits so many times, then mark the end",
          .source = "Graves et al. 2014, Neural Turing Machines, section 4.2",
          .options = RepeatCopy::options(),
          .length_options = {"length", "repeats"},
          .make = [](const Options& o) { return std::make_unique<RepeatCopy>(o); }};
});

}  // namespace

}  // namespace mneme
