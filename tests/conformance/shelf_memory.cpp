// A memory that exists only here and is filled from the batch's items, never written: the suite's proof that such
// memories fit the same interface, rows with different numbers of items included.
#include "attention/attend.hpp"
#include "autodiff/ops.hpp"
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
    layout_.sites = {{"hop_0", "hop", "", "item"}};
    layout_.state = {{"contents", "", {width_, slots_}, Kind::plain, "embedded items", {"cell", "item"}},
                     {"present", "", {slots_}, Kind::gate, "1 where there is an item", {"item"}},
                     {"weights", "hop_0", {slots_}, Kind::weights, "hop weighting", {"item"}},
                     {"value", "hop_0", {width_}, Kind::plain, "what was found", {"cell"}}};
    heads_ = {{{"key", "hop_0", {width_}, Kind::plain, "content key", {"cell"}}, Squash::identity}};
    layout_.parameters = {heads_[0].declared};
    projection_.emplace(build.scope("heads"), setup.control_size, width_,
                        Initializer::xavier(setup.control_size, width_));
    embedding_.emplace(build.scope("items"), setup.batch.item_width, width_,
                       Initializer::xavier(setup.batch.item_width, width_));
  }
  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Tape<T>& tape, const Start& start) const override {
    const std::size_t rows = start.rows;
    const ItemSet* items = start.items;
    if (!items) fail<InvariantError>("memory shelf", "got no items");
    const std::size_t given = items->values.shape()[1], d = items->values.shape()[2];
    if (given > slots_) fail<ArgumentError>("memory shelf", "{} items for {} places", given, slots_);
    // Padded to all places, then slots made contiguous: [B N D] -> [B N M] -> [B M N].
    Var<T> padded = tape.filled({rows * slots_, d}, T(0));
    Values<T> state{tape.template scratch<Var<T>>(4), 4};
    state[1] = tape.filled({rows, slots_}, T(0));
    state[2] = tape.filled({rows, slots_}, T(0));
    state[3] = tape.filled({rows, width_}, T(0));
    for (std::size_t b = 0; b < rows; ++b)
      for (std::size_t i = 0; i < items->count[b]; ++i) {
        state[1].data[b * slots_ + i] = 1;
        for (std::size_t k = 0; k < d; ++k)
          padded.data[(b * slots_ + i) * d + k] = static_cast<T>(items->values(b, i, k));
      }
    Var<T> identity = tape.filled({rows, width_, width_}, T(0));
    for (std::size_t i = 0; i < rows * width_; ++i) identity.data[i * width_ + i % width_] = 1;
    const Var<T> embedded = (*embedding_)(tape, padded).reshaped({rows, slots_, width_});
    state[0] = batched_product(tape, identity, embedded, true);
    return state;
  }
  Values<T> head_parameters(Tape<T>& tape, Var<T> control) const override {
    return split_parameters<T>(tape, (*projection_)(tape, control), heads_);
  }
  Var<T> address(Tape<T>& tape, std::size_t, Values<T> p, Values<T> state) const override {
    const std::size_t rows = p[0].shape[0];
    auto* may = tape.template scratch<std::uint8_t>(rows * slots_);
    for (std::size_t i = 0; i < rows * slots_; ++i) may[i] = state[1].data[i] > 0;
    return softmax(tape, scaled_dot_score(tape, p[0].reshaped({rows, 1, width_}), state[0]), {may, false})
        .reshaped({rows, slots_});
  }
  Values<T> update(Tape<T>& tape, Values<T>, Values<T> state) const override { return copy_values(tape, state); }
  Var<T> read(Tape<T>& tape, std::size_t, Values<T> state) const override {
    const Var<T> w = state[2];
    return weighted_sum(tape, w.reshaped({w.shape[0], 1, slots_}), state[0]).reshaped({w.shape[0], width_});
  }
  typename Memory<T>::Step step(Tape<T>& tape, Var<T> control, Values<T> state) const override {
    return step_in_order(*this, tape, control, state);
  }

 private:
  std::size_t slots_, width_;
  MemoryLayout layout_;
  std::vector<HeadParameter> heads_;
  std::optional<Linear<T>> projection_, embedding_;
};

const bool registered = register_memory<Shelf>("shelf", "exists in the tests alone, filled from items", "");

}  // namespace
}  // namespace mneme
