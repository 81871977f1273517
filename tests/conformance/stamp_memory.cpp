// A memory that exists only here, with the kinds that ntm has none of: registered, and nothing else. The suite picks it
// up by itself. (The one of CONTRIBUTING.md is compiled in too: cmake/tests.cmake.)
//
//   usage u' = u + w - u w, sub-weights w = g softmax(-u + key . memory), a stamp per slot that no gradient reaches
#include "attention/attend.hpp"
#include "autodiff/ops.hpp"
#include "memory/erase_add.hpp"
#include "memory/heads.hpp"
#include "nn/linear.hpp"

namespace mneme {
namespace {

template <class T>
class Stamp final : public Memory<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("slots", 16, 1, 1024, "N, memory slots")
        .integer("width", 9, 1, 1024, "M, width of a slot")
        .choice("reading", "softmax", {"softmax", "newest"}, "by content, or the slot written last")
        .flag("forget", false, "usage leaks by half a step");
  }

  Stamp(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : slots_(o.size("slots")),
        width_(o.size("width")),
        newest_(o.text("reading") == "newest"),
        forget_(o.flag("forget")) {
    layout_.slots = slots_;
    layout_.width = width_;
    layout_.sites = {{"read_0", "read", ""}, {"write_0", "write", ""}};
    layout_.state = {{"contents", "", {width_, slots_}, Kind::plain, "memory matrix M_t", {"cell", "slot"}},
                     {"usage", "", {slots_}, Kind::usage, "usage u_t", {"slot"}},
                     {"stamp", "", {slots_}, Kind::hard, "the step a slot was written at", {"slot"}},
                     {"weights", "read_0", {slots_}, Kind::weights, "read weighting", {"slot"}},
                     {"value", "read_0", {width_}, Kind::plain, "read vector", {"cell"}},
                     {"weights", "write_0", {slots_}, Kind::sub_weights, "write weighting", {"slot"}}};
    heads_ = {{{"key", "read_0", {width_}, Kind::plain, "content key", {"cell"}}, Squash::tanh},
              {{"gate", "write_0", {}, Kind::gate, "write gate"}, Squash::sigmoid},
              {{"add", "write_0", {width_}, Kind::plain, "add vector", {"cell"}}, Squash::tanh}};
    for (const HeadParameter& p : heads_) layout_.parameters.push_back(p.declared);
    const std::size_t raw = 2 * width_ + 1;
    projection_.emplace(build.scope("heads"), setup.control_size, raw, Initializer::xavier(setup.control_size, raw));
    start_ = &build.buffer("start", {slots_, width_}, Initializer::uniform(0.5));
  }
  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Tape<T>& tape, const Start& start) const override {
    const std::size_t rows = start.rows;
    Values<T> state{tape.template scratch<Var<T>>(6), 6};
    state[0] = tape.filled({rows, width_, slots_}, T(0));
    for (std::size_t i = 0; i < state[0].size(); ++i)
      state[0].data[i] = start_->values[i % slots_ * width_ + i / slots_ % width_];
    for (const std::size_t i : {1, 2, 3, 5}) state[i] = tape.filled({rows, slots_}, T(0));
    state[4] = tape.filled({rows, width_}, T(0));
    return state;
  }
  Values<T> head_parameters(Tape<T>& tape, Var<T> control) const override {
    return split_parameters<T>(tape, (*projection_)(tape, control), heads_);
  }
  Var<T> address(Tape<T>& tape, std::size_t site, Values<T> p, Values<T> state) const override {
    const std::size_t rows = p[0].shape[0];
    if (site == 1) return scale_rows(tape, normalized(tape, affine(tape, state[1], -3, 0)), p[1]);
    if (newest_) return normalized(tape, state[2]);
    return softmax(tape, dot_score(tape, p[0].reshaped({rows, 1, width_}), state[0])).reshaped({rows, slots_});
  }
  Values<T> update(Tape<T>& tape, Values<T> p, Values<T> state) const override {
    Values<T> next = copy_values(tape, state);
    const Var<T> w = state[5], used = forget_ ? affine(tape, state[1], 0.5, 0) : state[1];
    next[0] = write(tape, state[0], w, p[2]);
    next[1] = subtract(tape, add(tape, used, w), multiply(tape, used, w));
    next[2] = affine(tape, state[2].detached(), 0.5, 0);
    for (std::size_t i = 0; i < w.size(); ++i) next[2].data[i] += w.data[i] > T(0.25) ? T(1) : T(0);
    return next;
  }
  Var<T> read(Tape<T>& tape, std::size_t, Values<T> state) const override {
    const Var<T> w = state[3];
    return weighted_sum(tape, w.reshaped({w.shape[0], 1, slots_}), state[0]).reshaped({w.shape[0], width_});
  }
  typename Memory<T>::Step step(Tape<T>& tape, Var<T> control, Values<T> state) const override {
    return step_in_order(*this, tape, control, state);
  }

 private:
  Var<T> normalized(Tape<T>& tape, Var<T> scores) const {
    return softmax(tape, scores.reshaped({scores.shape[0], 1, slots_})).reshaped({scores.shape[0], slots_});
  }

  std::size_t slots_, width_;
  bool newest_, forget_;
  MemoryLayout layout_;
  std::vector<HeadParameter> heads_;
  std::optional<Linear<T>> projection_;
  Buffer<T>* start_ = nullptr;
};

const bool registered = register_memory<Stamp>("stamp", "exists in the tests alone", "");

}  // namespace
}  // namespace mneme
