// Room: tests. toy_route and its model: numbers are to be named from the least to the largest, then the end. The
// answers feed back, under a rule, and rows end at different steps. The proof that such a model fits predict() and
// search.
#include "tasks/task.hpp"

#include "core/prediction.hpp"

#include <algorithm>
#include <numeric>

namespace mneme {
namespace {

constexpr std::size_t kMost = 4, kEnd = kMost;

class ToyRoute final : public Task {
 public:
  const BatchSpec& spec() const override { return spec_; }

  void sample(const Draw& draw, Batch& batch) const override {
    batch.reset(spec_, {.rows = draw.rows, .steps = kMost + 1, .items = kMost});
    for (std::size_t b = 0; b < draw.rows; ++b) {
      Random random(draw.seed, draw.stream, draw.first + draw.row_begin + b);
      const auto n = static_cast<std::size_t>(random.integer(2, kMost));
      batch.items.count[b] = static_cast<std::uint32_t>(n);
      batch.lengths[b] = static_cast<std::uint32_t>(n + 1);
      batch.parameters[0].second[b] = static_cast<float>(n);
      std::vector<std::int32_t> order(n);
      std::iota(order.begin(), order.end(), 0);
      for (std::size_t i = 0; i < n; ++i) batch.items.values(b, i, 0) = static_cast<float>(random.uniform(-1, 1));
      const auto value = [&](std::int32_t i) { return batch.items.values(b, static_cast<std::size_t>(i), 0); };
      std::sort(order.begin(), order.end(), [&](std::int32_t i, std::int32_t j) { return value(i) < value(j); });
      order.push_back(kEnd);
      for (std::size_t t = 0; t <= n; ++t) {
        batch.target.indices(t, b) = order[t];
        batch.target.scored(t, b) = 1;
        batch.phase(t, b) = static_cast<std::uint8_t>(Phase::answer);
      }
    }
  }

  /// Each number once, the end after one number or more, nothing after the end.
  Validity validity() const override {
    return
        [](const Batch& batch, std::size_t row, std::span<const std::int32_t> made, std::span<std::uint8_t> allowed) {
          const auto has = [&](std::size_t k) {
            return std::find(made.begin(), made.end(), static_cast<std::int32_t>(k)) != made.end();
          };
          if (has(kEnd)) return;
          for (std::size_t k = 0; k < batch.items.count[row]; ++k) allowed[k] = !has(k);
          allowed[kEnd] = !made.empty();
        };
  }

  const std::vector<Metric>& metrics() const override { return metrics_; }
  void score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
             std::span<double> out) const override {
    bool right = answer.lengths[row] == batch.lengths[row];
    for (std::size_t t = 0; right && t < batch.lengths[row]; ++t)
      right = answer.indices(t, row) == batch.target.indices(t, row);
    out[0] = nats;
    out[1] = answer.lengths[row];
    out[2] = right ? 0 : 100;
  }
  std::vector<double> chance() const override { return {4, 3, 90}; }
  std::size_t solved_metric() const override { return 2; }
  double solved_threshold() const override { return 1; }

 private:
  BatchSpec spec_ = {.item_width = 1,
                     .target = TargetKind::classes,
                     .outputs = kMost + 1,
                     .max_items = kMost,
                     .max_steps = kMost + 1,
                     .parameters = {{"numbers"}}};
  std::vector<Metric> metrics_{{"nats_per_route", "nats", "cross-entropy of the route"},
                               {"answered_steps", "steps", "length of the answer"},
                               {"error_percent", "%", "100 where the route is wrong"}};
};

const bool registered = tasks().add("toy_route", []() -> TaskPlugin {
  return {.summary = "exists in the tests alone",
          .source = "",
          .options = {},
          .length_options = {},
          .make = [](const Options&) { return std::make_unique<ToyRoute>(); }};
});

}  // namespace
}  // namespace mneme
