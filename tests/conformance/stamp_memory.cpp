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
    DeclaredList& state = layout_.state;
    contents_ = state.add({"contents", "", {width_, slots_}, Kind::plain, "memory matrix M_t", {"cell", "slot"}});
    usage_ = state.add({"usage", "", {slots_}, Kind::usage, "usage u_t", {"slot"}});
    stamp_ =
        state.add({"stamp", "", {slots_}, Kind::plain, "the step a slot was written at", {"slot"}, /*trains=*/false});
    read_ = state.add({"weights", "read_0", {slots_}, Kind::weights, "read weighting", {"slot"}});
    value_ = state.add({"value", "read_0", {width_}, Kind::plain, "read vector", {"cell"}});
    write_ = state.add({"weights", "write_0", {slots_}, Kind::sub_weights, "write weighting", {"slot"}});
    layout_.sites = {{.name = "read_0", .kind = "read", .weights = read_, .value = value_},
                     {.name = "write_0", .kind = "write", .weights = write_}};
    layout_.turns = {{"read", {0}}, {"write", {1}, true}};
    heads_ = {{{"key", "read_0", {width_}, Kind::plain, "content key", {"cell"}}, Squash::tanh},
              {{"gate", "write_0", {}, Kind::gate, "write gate"}, Squash::sigmoid},
              {{"add", "write_0", {width_}, Kind::plain, "add vector", {"cell"}}, Squash::tanh}};
    for (const HeadParameter& p : heads_) layout_.parameters.add(p.declared);
    const std::size_t raw = 2 * width_ + 1;
    projection_.emplace(build.scope("heads"), setup.control_size, raw, Initializer::xavier(setup.control_size, raw));
    start_ = &build.buffer("start", {slots_, width_}, Initializer::uniform(0.5));
  }
  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t rows = start.rows;
    const Values<T> state = empty_values(tape, layout_.state.size());
    const Var<T> contents = state[contents_] = tape.filled({rows, width_, slots_}, T(0));
    for (std::size_t i = 0; i < contents.size(); ++i)
      contents.data[i] = start_->values[i % slots_ * width_ + i / slots_ % width_];
    for (const std::size_t place : {usage_, stamp_, read_, write_}) state[place] = tape.filled({rows, slots_}, T(0));
    state[value_] = tape.filled({rows, width_}, T(0));
    return state;
  }
  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    return split_parameters<T>(pass.tape, (*projection_)(pass.tape, control), heads_);
  }
  void address(Pass<T>& pass, const Turn& turn, Values<T> p, Values<T>, Values<T> now) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t rows = p[0].shape[0];
    if (turn.writes)
      now[write_] = scale_rows(tape, normalized(tape, affine(tape, now[usage_], -3, 0)), p[1]);
    else if (newest_)
      now[read_] = normalized(tape, now[stamp_]);
    else
      now[read_] =
          softmax(tape, dot_score(tape, p[0].reshaped({rows, 1, width_}), now[contents_])).reshaped({rows, slots_});
  }
  void update(Pass<T>& pass, const Turn&, Values<T> p, Values<T>, Values<T> now) const override {
    Tape<T>& tape = pass.tape;
    const Var<T> w = now[write_], used = forget_ ? affine(tape, now[usage_], 0.5, 0) : now[usage_];
    now[contents_] = write(tape, now[contents_], w, p[2]);
    now[usage_] = subtract(tape, add(tape, used, w), multiply(tape, used, w));
    const Var<T> stamp = now[stamp_] = affine(tape, now[stamp_].detached(), 0.5, 0);
    for (std::size_t i = 0; i < w.size(); ++i) stamp.data[i] += w.data[i] > T(0.25) ? T(1) : T(0);
  }
  void read(Pass<T>& pass, const Turn& turn, Values<T> now) const override {
    if (turn.writes) return;
    const Var<T> w = now[read_];
    now[value_] =
        weighted_sum(pass.tape, w.reshaped({w.shape[0], 1, slots_}), now[contents_]).reshaped({w.shape[0], width_});
  }

 private:
  Var<T> normalized(Tape<T>& tape, Var<T> scores) const {
    return softmax(tape, scores.reshaped({scores.shape[0], 1, slots_})).reshaped({scores.shape[0], slots_});
  }

  std::size_t slots_, width_;
  bool newest_, forget_;
  MemoryLayout layout_;
  std::size_t contents_, usage_, stamp_, read_, value_, write_;  // in the state
  std::vector<HeadParameter> heads_;
  std::optional<Linear<T>> projection_;
  Buffer<T>* start_ = nullptr;
};

const bool registered = register_memory<Stamp>("stamp", "exists in the tests alone", "");

}  // namespace
}  // namespace mneme
