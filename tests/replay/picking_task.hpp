// Room: tests. A task whose answers are items: steps say which of the row's points to point at. Registered by whoever
// includes it, under the name "test_picking".
#pragma once

#include "tasks/task.hpp"

#include "core/prediction.hpp"

#include <algorithm>

namespace mneme::test {

/// Each row has 2 to 5 points, and 2 to 4 steps that each show one of them; every step is scored.
class Picking final : public Task {
 public:
  explicit Picking(const Options&) {}
  const BatchSpec& spec() const override { return spec_; }
  void sample(const Draw& draw, Batch& batch) const override {
    batch.reset(spec_, draw.rows, 4, 5);
    for (std::size_t b = 0; b < draw.rows; ++b) {
      Random random(draw.seed, draw.stream, draw.first + draw.row_begin + b);
      const std::int64_t points = random.integer(2, 5);
      batch.parameters[0].second[b] = static_cast<float>(points);
      batch.items.count[b] = static_cast<std::uint32_t>(points);
      batch.lengths[b] = static_cast<std::uint32_t>(random.integer(2, 4));
      for (std::size_t i = 0; i < batch.items.count[b]; ++i)
        for (std::size_t k = 0; k < 2; ++k) batch.items.values(b, i, k) = static_cast<float>(random.uniform(-1, 1));
      for (std::size_t t = 0; t < batch.lengths[b]; ++t) {
        const auto shown = static_cast<std::size_t>(random.integer(0, points - 1));
        for (std::size_t k = 0; k < 2; ++k) batch.dense(t, b, k) = batch.items.values(b, shown, k);
        batch.target.indices(t, b) = static_cast<std::int32_t>(shown);
        batch.target.scored(t, b) = 1;
        batch.phase(t, b) = static_cast<std::uint8_t>(Phase::answer);
      }
    }
  }
  const std::vector<Metric>& metrics() const override {
    static const std::vector<Metric> list{{"wrong_percent", "%", "steps that point elsewhere"}};
    return list;
  }
  void score(const Batch& batch, std::size_t row, const Prediction& answer, double,
             std::span<double> out) const override {
    double wrong = 0;
    for (std::size_t t = 0; t < batch.lengths[row]; ++t)
      wrong += answer.indices(t, row) != batch.target.indices(t, row);
    out[0] = 100 * wrong / batch.lengths[row];
  }
  std::vector<double> chance() const override { return {70}; }
  std::size_t solved_metric() const override { return 0; }
  double solved_threshold() const override { return 1; }

 private:
  BatchSpec spec_{.channels = 2,
                  .item_width = 2,
                  .target = TargetKind::pointer,
                  .outputs = 5,
                  .max_items = 5,
                  .max_steps = 4,
                  .parameters = {{"points", true, "items of the row"}}};
};

inline bool register_picking() {
  TaskPlugin plugin;
  plugin.summary = "exists in the tests alone";
  plugin.make = [](const Options& o) { return std::make_unique<Picking>(o); };
  return tasks().add("test_picking", std::move(plugin));
}

}  // namespace mneme::test
