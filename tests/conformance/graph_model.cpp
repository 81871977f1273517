// Room: tests. neighbours: a model that exists in the tests alone and answers for each item of a graph, from its
// numbers and the mean of its neighbours'. The proof that targets over items and edges fit model, readout and loss.
#include "autodiff/ops.hpp"
#include "core/batch.hpp"
#include "core/error.hpp"
#include "models/model.hpp"
#include "models/readout.hpp"

namespace mneme {
namespace {

template <class T>
class Neighbours final : public Model<T> {
 public:
  static OptionTable options() { return OptionTable().integer("hidden", 12, 1, 1024, "width of a node's features"); }
  static void validate(const BatchSpec& spec) {
    if (!spec.item_width || spec.target_over != Along::items)
      fail<ArgumentError>("model neighbours", "answers for items that are numbers; the task gives other things");
  }
  Neighbours(const Builder<T>& build, const Options& o, const ModelSetup& setup)
      : width_(setup.batch.item_width), edges_(setup.batch.edges) {
    inner_.emplace(build.scope("inner"), 2 * width_, o.size("hidden"),
                   Initializer::xavier(2 * width_, o.size("hidden")));
    readout_.emplace(build.scope("readout"), setup.batch, o.size("hidden"));
  }
  const Components& components() const override { return components_; }

  Forward<T> forward(const Batch& batch, Pass<T>& pass) const override {
    Tape<T>& tape = pass.tape;
    if (pass.look) pass.look->start(pass, "answers", {});
    for (; pass.look && pass.step < batch.steps; ++pass.step) pass.look->state(pass, "answers", {});
    const std::size_t items = batch.target.count();
    auto* features = tape.template scratch<Var<T>>(items);
    for (std::size_t i = 0; i < items; ++i) {
      Var<T> x = tape.filled({batch.size, 2 * width_}, T(0));
      for (std::size_t b = 0; b < batch.size; ++b) gather(batch.items, b, i, x.data + b * 2 * width_);
      new (features + i) Var<T>(tanh(tape, (*inner_)(tape, x)));
    }
    const Var<T> logits = readout_->logits(pass, batch, {features, items}, 1);
    return {readout_->loss(tape, batch, logits, pass.loss_scale), logits};
  }

 private:
  /// The numbers of item i of row b, then the mean of its neighbours'; an edge joins both ways.
  void gather(const ItemSet& items, std::size_t b, std::size_t i, T* x) const {
    const auto add = [&](std::size_t n, T* to, T share) {
      for (std::size_t d = 0; d < width_; ++d) to[d] += share * static_cast<T>(items.values(b, n, d));
    };
    add(i, x, 1);
    std::size_t found = 0;
    for (const bool counting : {true, false})
      for (std::size_t e = 0; edges_ && e < items.edge_count[b]; ++e)
        for (std::size_t end = 0; end < 2; ++end)
          if (static_cast<std::size_t>(items.edges(b, e, end)) == i) {
            if (counting)
              ++found;
            else
              add(static_cast<std::size_t>(items.edges(b, e, 1 - end)), x + width_, T(1) / static_cast<T>(found));
          }
  }

  Declaration declared_;  // nothing: what a step comes to is in no trace
  Components components_{{"answers", "model neighbours", &declared_}};
  std::size_t width_;
  bool edges_;
  std::optional<Linear<T>> inner_;
  std::optional<Readout<T>> readout_;
};

const bool registered =
    register_model<Neighbours>("neighbours", "exists in the tests alone, answers for each item", "", false, false);

}  // namespace
}  // namespace mneme
