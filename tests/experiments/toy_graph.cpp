// Room: tests. toy_graph: a task that exists here alone. Small random graphs whose nodes are 0 or 1; asked of some of
// them is whether a neighbour is 1. Its figures are of the test set: the share of wrong nodes is a ratio of sums, and a
// set in which too many graphs are wrong throughout has none.
#include "tasks/task.hpp"

#include "core/prediction.hpp"

#include <algorithm>

namespace mneme {
namespace {

constexpr std::size_t kNodes = 6, kEdges = 7;

class ToyGraph final : public Task {
 public:
  static OptionTable options() {
    return OptionTable().real("fail-above", 1, 0, 1,
                              "share of graphs wrong throughout from which on the set has failed");
  }
  explicit ToyGraph(const Options& o) : fail_above_(o.real("fail-above")) {
    spec_ = {.item_width = 1,
             .target = TargetKind::classes,
             .outputs = 2,
             .max_items = kNodes,
             .max_steps = 1,
             .parameters = {{"nodes"}},
             .edges = true,
             .target_over = Along::items};
  }
  const BatchSpec& spec() const override { return spec_; }

  void sample(const Draw& draw, Batch& batch) const override {
    batch.reset(spec_, {.rows = draw.rows, .steps = 1, .items = kNodes, .edges = kEdges});
    for (std::size_t b = 0; b < draw.rows; ++b) {
      Random random(draw.seed, draw.stream, draw.first + draw.row_begin + b);
      const auto below = [&](std::size_t n) {
        return static_cast<std::int32_t>(random.integer(0, static_cast<std::int64_t>(n) - 1));
      };
      const auto nodes = static_cast<std::size_t>(2 + below(kNodes - 1));
      batch.items.count[b] = static_cast<std::uint32_t>(nodes);
      batch.items.edge_count[b] = static_cast<std::uint32_t>(1 + below(kEdges));
      batch.parameters[0].second[b] = static_cast<float>(nodes);
      for (std::size_t i = 0; i < nodes; ++i) batch.items.values(b, i, 0) = static_cast<float>(below(2));
      for (std::size_t i = 0; i < nodes; ++i) {
        batch.target.scored(i, b) = i == 0 || below(4) > 0;
        batch.target.indices(i, b) = 0;
      }
      for (std::size_t e = 0; e < batch.items.edge_count[b]; ++e) {
        std::size_t ends[2];
        for (std::size_t k = 0; k < 2; ++k) batch.items.edges(b, e, k) = below(nodes);
        for (std::size_t k = 0; k < 2; ++k) ends[k] = static_cast<std::size_t>(batch.items.edges(b, e, k));
        for (std::size_t k = 0; k < 2; ++k)
          if (batch.items.values(b, ends[1 - k], 0) > 0) batch.target.indices(ends[k], b) = 1;
      }
    }
  }

  const std::vector<Metric>& metrics() const override { return metrics_; }
  void score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
             std::span<double> out) const override {
    double wrong = 0, asked = 0;
    for (std::size_t i = 0; i < batch.items.count[row]; ++i)
      if (batch.target.scored(i, row)) {
        ++asked;
        wrong += answer.indices(i, row) != batch.target.indices(i, row);
      }
    const double values[] = {nats, wrong, asked, wrong == asked ? 1.0 : 0.0, wrong / asked};
    std::copy(std::begin(values), std::end(values), out.begin());
  }
  std::vector<Figure> summary(std::span<const double> rows) const override {
    std::vector<Figure> figures = Task::summary(rows);
    double wrong = 0, asked = 0;
    for (std::size_t i = 0; i < rows.size(); i += metrics_.size()) {
      wrong += rows[i + 1];
      asked += rows[i + 2];
    }
    figures[4] = {wrong / asked, {}};
    if (*figures[3].value > fail_above_) figures[4].value.reset();
    return figures;
  }
  std::vector<double> chance() const override { return {3, 2, 4, 0, 0.5}; }
  std::size_t solved_metric() const override { return 4; }
  double solved_threshold() const override { return 0.01; }

 private:
  double fail_above_;
  BatchSpec spec_;
  std::vector<Metric> metrics_{{"nats_per_graph", "nats", "cross-entropy of the nodes asked"},
                               {"wrong_nodes", "nodes", "wrong ones of those asked"},
                               {"nodes_asked", "nodes", "those asked"},
                               {"wrong_throughout", "graphs", "1 where every node asked is wrong"},
                               {"wrong_share", "1", "wrong nodes of all graphs by nodes asked of all graphs"}};
};

const bool registered = tasks().add("toy_graph", []() -> TaskPlugin {
  return {.summary = "exists in the tests alone",
          .source = "",
          .options = ToyGraph::options(),
          .length_options = {},
          .make = [](const Options& o) { return std::make_unique<ToyGraph>(o); }};
});

}  // namespace
}  // namespace mneme
