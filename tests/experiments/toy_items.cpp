// Room: tests. toy_items: a task that exists here alone, whose early sequences say little about the later ones: they
// have fewer items, and whole numbers for a parameter that is none.
#include "tasks/task.hpp"

#include "core/batch.hpp"

#include <algorithm>

namespace mneme {
namespace {

constexpr std::size_t kMost = 7;      // items of a sequence
constexpr std::uint64_t kEarly = 40;  // sequences with at most 3 items

class ToyItems final : public Task {
 public:
  static OptionTable options() {
    return OptionTable()
        .choice("answer", "class", {"class", "pointer"},
                "a class of all items, or the items from the last to the first")
        .choice("breaks", "nothing", {"nothing", "items", "whole", "steps", "silence"},
                "the declaration it does not keep");
  }
  explicit ToyItems(const Options& o) : pointer_(o.text("answer") == "pointer"), breaks_(o.text("breaks")) {
    spec_ = {.channels = 1,
             .item_vocabulary = 5,
             .target = pointer_ ? TargetKind::pointer : TargetKind::classes,
             .outputs = pointer_ ? kMost : 3,
             .max_items = breaks_ == "silence" ? 0
                          : breaks_ == "items" ? 2
                                               : kMost,
             .max_steps = breaks_ == "steps" ? 2 : kMost,
             .parameters = {{"share", breaks_ == "whole", "n, and a half more from sequence 40 on"}}};
    if (pointer_ && breaks_ == "items") spec_.outputs = 2;
  }
  const BatchSpec& spec() const override { return spec_; }

  void sample(const Draw& draw, Batch& batch) const override {
    const auto number = [&](std::size_t b) { return draw.first + draw.row_begin + b; };
    const auto count = [&](std::size_t b) {
      const std::size_t n = number(b) % kTestNumbers < kEarly ? number(b) % 4 : 1 + (number(b) * 5) % kMost;
      return pointer_ ? std::max<std::size_t>(n, 1) : n;
    };
    std::size_t most = 1;
    for (std::size_t b = 0; b < draw.rows; ++b) most = std::max(most, count(b));
    batch.reset(spec_, draw.rows, pointer_ ? most : 1, most, 2);
    for (std::size_t b = 0; b < draw.rows; ++b) {
      const std::size_t n = count(b);
      batch.lengths[b] = static_cast<std::uint32_t>(pointer_ ? n : 1);
      batch.items.count[b] = static_cast<std::uint32_t>(n);
      batch.dense(0, b, 0) = 1;
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t w = 0; w < 1 + i % 2; ++w)
          batch.items.tokens(b, i, w) = static_cast<std::int32_t>((draw.seed + number(b) + i + w) % 5);
      for (std::size_t t = 0; t < batch.lengths[b]; ++t) {
        batch.target.scored(t, b) = 1;
        batch.target.indices(t, b) = static_cast<std::int32_t>(pointer_ ? n - 1 - t : n % 3);
      }
      batch.parameters[0].second[b] = static_cast<float>(number(b)) + (number(b) < kEarly ? 0.0f : 0.5f);
    }
  }

  const std::vector<Metric>& metrics() const override { return metrics_; }
  void score(const Batch&, std::size_t, const Prediction&, double nats, std::span<double> out) const override {
    out[0] = nats;
  }
  std::vector<double> chance() const override { return {1}; }
  std::size_t solved_metric() const override { return 0; }
  double solved_threshold() const override { return 0; }

 private:
  bool pointer_;
  std::string breaks_;
  BatchSpec spec_;
  std::vector<Metric> metrics_{{"nats", "nats", "cross-entropy of the answer"}};
};

const bool registered = tasks().add("toy_items", []() -> TaskPlugin {
  return {.summary = "exists in the tests alone",
          .source = "",
          .options = ToyItems::options(),
          .length_options = {},
          .make = [](const Options& o) { return std::make_unique<ToyItems>(o); }};
});

}  // namespace
}  // namespace mneme
