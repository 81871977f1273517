// Room: tasks. copy: recall a sequence of random bits (Graves et al. 2014, section 4.1).
//
//   step            0 .. L-1      L            L+1 .. 2L
//   channels 0..W-1 random bits   0            0
//   channel W       0             1 delimiter  0
//   target          -             -            the bits, in order
//
// A sequence's bits depend on (seed, stream, number) alone. Its length is its own (mixed-lengths), or the one that the
// batch's first sequence would have, as published.
#include "core/prediction.hpp"
#include "tasks/task.hpp"

#include <algorithm>
#include <numbers>

namespace mneme {

namespace {

class Copy final : public Task {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("width", 8, 1, 1024, "W, bits a step; the input has one channel more, for the delimiter")
        .range("length", {1, 20}, 1, 100000, "L, steps to remember, uniform in the range")
        .flag("mixed-lengths", false, "each sequence its own length (rows of a batch then end at different steps)");
  }

  explicit Copy(const Options& o)
      : width_(o.size("width")), length_(o.range("length")), mixed_(o.flag("mixed-lengths")) {
    spec_.channels = width_ + 1;
    spec_.outputs = width_;
    spec_.max_steps = 2 * static_cast<std::size_t>(length_.high) + 1;
    spec_.parameters = {{"length", true, "L, steps to remember"}};
  }

  const BatchSpec& spec() const override { return spec_; }

  void sample(const Draw& draw, Batch& batch) const override {
    // Each stream's first draw is its sequence's length, used or not, so that the bits do not depend on mixed-lengths.
    const auto own_length = [&](Random& random) {
      return static_cast<std::size_t>(random.integer(length_.low, length_.high));
    };
    const auto stream = [&](std::size_t row) {
      return Random(draw.seed, draw.stream, draw.first + draw.row_begin + row);
    };
    Random batch_stream(draw.seed, draw.stream, draw.first);
    const std::size_t shared = own_length(batch_stream);
    std::size_t longest = shared;
    if (mixed_) {
      longest = 0;
      for (std::size_t b = 0; b < draw.rows; ++b) {
        Random random = stream(b);
        longest = std::max(longest, own_length(random));
      }
    }
    batch.reset(spec_, draw.rows, 2 * longest + 1);
    for (std::size_t b = 0; b < draw.rows; ++b) {
      Random random = stream(b);
      const std::size_t own = own_length(random), length = mixed_ ? own : shared;
      batch.parameters[0].second[b] = static_cast<float>(length);
      batch.lengths[b] = static_cast<std::uint32_t>(2 * length + 1);
      batch.dense(length, b, width_) = 1;
      batch.phase(length, b) = static_cast<std::uint8_t>(Phase::delimiter);
      for (std::size_t t = 0; t < length; ++t) {
        const std::size_t answer = length + 1 + t;
        for (std::size_t k = 0; k < width_; ++k)
          batch.dense(t, b, k) = batch.target.values(answer, b, k) = static_cast<float>(random.bits() >> 31);
        batch.phase(answer, b) = static_cast<std::uint8_t>(Phase::answer);
        batch.target.scored(answer, b) = 1;
      }
    }
  }

  const std::vector<Metric>& metrics() const override { return metrics_; }

  void score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
             std::span<double> out) const override {
    out[0] = nats / std::numbers::ln2;
    out[1] = 0;
    for (std::size_t t = 0; t < batch.steps; ++t)
      if (batch.target.scored(t, row))
        for (std::size_t k = 0; k < width_; ++k)
          out[1] += !right(answer.values(t, row, k), batch.target.values(t, row, k));
  }

  std::vector<double> chance() const override {
    const double bits = static_cast<double>(width_) * static_cast<double>(length_.low + length_.high) / 2;
    return {bits, bits / 2};
  }

  std::size_t solved_metric() const override { return 1; }
  double solved_threshold() const override { return 0.01; }

  std::string display(const Batch& batch, std::size_t row, const Prediction* given) const override {
    const std::size_t length = (batch.lengths[row] - 1) / 2, answer = length + 1;
    const auto block = [&](const char* title, const auto& symbol) {
      std::string s;
      for (std::size_t k = 0; k < width_; ++k) {
        s += fmt::format("{:<8}", k == 0 ? title : "");
        for (std::size_t t = 0; t < length; ++t) s += symbol(t, k);
        s += '\n';
      }
      return s;
    };
    std::string text = fmt::format("copy, {} steps of {} bits\n", length, width_);
    text += block("input", [&](std::size_t t, std::size_t k) { return batch.dense(t, row, k) > 0 ? "#" : "."; });
    text += block("target", [&](std::size_t t, std::size_t k) {
      return batch.target.values(answer + t, row, k) > 0 ? "#" : ".";
    });
    if (!given) return text;
    const auto& values = given->values;
    std::size_t wrong = 0;
    text += block("output", [&](std::size_t t, std::size_t k) {
      const float target = batch.target.values(answer + t, row, k);
      if (right(values(answer + t, row, k), target)) return target > 0 ? "#" : ".";
      ++wrong;
      return target > 0 ? "o" : "X";
    });
    return text +
           fmt::format("{} wrong of {} bits{}\n", wrong, length * width_, wrong ? " (X: 1 for 0, o: 0 for 1)" : "");
  }

 private:
  /// Thresholded at 0.5; what is no number is wrong.
  static bool right(float probability, float target) { return target > 0 ? probability >= 0.5f : probability < 0.5f; }

  std::size_t width_;
  Range length_;
  bool mixed_;
  BatchSpec spec_;
  std::vector<Metric> metrics_{
      {"bits_per_sequence", "bits", "cross-entropy of the answer, summed over its steps and bits, base 2"},
      {"wrong_bits_per_sequence", "bits", "bits of the answer on the wrong side of 0.5"},
  };
};

[[maybe_unused]] const bool registered = tasks().add("copy", []() -> TaskPlugin {
  return {.summary = "recall a sequence of random bits",
          .source = "Graves et al. 2014, Neural Turing Machines, section 4.1",
          .options = Copy::options(),
          .length_option = "length",
          .make = [](const Options& o) { return std::make_unique<Copy>(o); }};
});

}  // namespace

}  // namespace mneme
