// A memory that exists only here and is filled from the batch's items, never written: the suite's proof that such
// memories fit the same interface, rows with different numbers of items included.
#include "attention/attend.hpp"
#include "autodiff/ops.hpp"
#include "core/batch.hpp"
#include "memory/heads.hpp"
#include "nn/linear.hpp"

namespace mneme {
namespace {

template <class T>
class Shelf final : public Memory<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("places", 12, 1, 1024, "N, the most items a row may have")
        .integer("width", 9, 1, 1024, "M, width of an item's embedding");
  }

  Shelf(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : slots_(o.size("places")), width_(o.size("width")) {
    if (!setup.batch.item_width) fail<ArgumentError>("memory shelf", "needs a task that gives items");
    layout_.slots = slots_;
    layout_.width = width_;
    contents_ = layout_.state.add({"contents", "", {width_, slots_}, Kind::plain, "embedded items", {"cell", "item"}});
    present_ = layout_.state.add({"present", "", {slots_}, Kind::gate, "1 where there is an item", {"item"}});
    weights_ = layout_.state.add({"weights", "hop_0", {slots_}, Kind::weights, "hop weighting", {"item"}});
    value_ = layout_.state.add({"value", "hop_0", {width_}, Kind::plain, "what was found", {"cell"}});
    layout_.sites = {{"hop_0", "hop", "", "item", {}, weights_, value_}};
    layout_.turns = {{"hop_0", {0}}};
    heads_ = {{{"key", "hop_0", {width_}, Kind::plain, "content key", {"cell"}}, Squash::identity}};
    layout_.parameters = {heads_[0].declared};
    projection_.emplace(build.scope("heads"), setup.control_size, width_,
                        Initializer::xavier(setup.control_size, width_));
    embedding_.emplace(build.scope("items"), setup.batch.item_width, width_,
                       Initializer::xavier(setup.batch.item_width, width_));
  }
  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t rows = start.rows;
    const ItemSet* items = start.items;
    if (!items) fail<InvariantError>("memory shelf", "got no items");
    const std::size_t given = items->values.shape()[1], d = items->values.shape()[2];
    if (given > slots_) fail<ArgumentError>("memory shelf", "{} items for {} places", given, slots_);
    // Padded to all places, then slots made contiguous: [B N D] -> [B N M] -> [B M N].
    Var<T> padded = tape.filled({rows * slots_, d}, T(0));
    const Values<T> state = empty_values(tape, layout_.state.size());
    const Var<T> present = state[present_] = tape.filled({rows, slots_}, T(0));
    state[weights_] = tape.filled({rows, slots_}, T(0));
    state[value_] = tape.filled({rows, width_}, T(0));
    for (std::size_t b = 0; b < rows; ++b)
      for (std::size_t i = 0; i < items->count[b]; ++i) {
        present.data[b * slots_ + i] = 1;
        for (std::size_t k = 0; k < d; ++k)
          padded.data[(b * slots_ + i) * d + k] = static_cast<T>(items->values(b, i, k));
      }
    Var<T> identity = tape.filled({rows, width_, width_}, T(0));
    for (std::size_t i = 0; i < rows * width_; ++i) identity.data[i * width_ + i % width_] = 1;
    const Var<T> embedded = (*embedding_)(tape, padded).reshaped({rows, slots_, width_});
    state[contents_] = batched_product(tape, identity, embedded, true);
    return state;
  }
  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    return split_parameters<T>(pass.tape, (*projection_)(pass.tape, control), heads_);
  }
  void address(Pass<T>& pass, const Turn&, Values<T> p, Values<T>, Values<T> now) const override {
    const std::size_t rows = p[0].shape[0];
    auto* may = pass.tape.template scratch<std::uint8_t>(rows * slots_);
    for (std::size_t i = 0; i < rows * slots_; ++i) may[i] = now[present_].data[i] > 0;
    const Var<T> scores = scaled_dot_score(pass.tape, p[0].reshaped({rows, 1, width_}), now[contents_]);
    now[weights_] = softmax(pass.tape, scores, {may, false}).reshaped({rows, slots_});
  }
  void update(Pass<T>&, const Turn&, Values<T>, Values<T>, Values<T>) const override {}
  void read(Pass<T>& pass, const Turn&, Values<T> now) const override {
    const Var<T> w = now[weights_];
    now[value_] =
        weighted_sum(pass.tape, w.reshaped({w.shape[0], 1, slots_}), now[contents_]).reshaped({w.shape[0], width_});
  }

 private:
  std::size_t slots_, width_;
  MemoryLayout layout_;
  std::size_t contents_, present_, weights_, value_;  // in the state
  std::vector<HeadParameter> heads_;
  std::optional<Linear<T>> projection_, embedding_;
};

const bool registered = register_memory<Shelf>("shelf", "exists in the tests alone, filled from items", "");

}  // namespace
}  // namespace mneme
