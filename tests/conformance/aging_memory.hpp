// Room: tests. A memory whose usage is made of old and new write weights, as DNC's and LRUA's are: what `before` and
// `now` are for. A turn without sites settles it, and a state of the write head starts from a number that is not zero.
//
//   w_t = softmax((1 + f_{t-1}) (k . M_{t-1} - 3 u_{t-1}))      the write head keeps off what was used
//   M_t = M_{t-1} + w_t a,   r_t = sum_i softmax(q . M_t) M_t
//   u_t = u_{t-1} + (1 - u_{t-1}) (w_{t-1} + w_t) / 2,   f_t = (f_{t-1} + g_t) / 2,   f_0 = 1/4
#pragma once

#include "attention/attend.hpp"
#include "autodiff/ops.hpp"
#include "memory/erase_add.hpp"
#include "memory/heads.hpp"
#include "nn/linear.hpp"

#include <optional>

namespace mneme::test {

template <class T>
class Aging final : public Memory<T> {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("slots", 16, 1, 1024, "N, memory slots")
        .integer("width", 9, 1, 1024, "M, width of a slot");
  }

  Aging(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : slots_(o.size("slots")), width_(o.size("width")) {
    layout_.slots = slots_;
    layout_.width = width_;
    layout_.update = "aging";
    DeclaredList& state = layout_.state;
    contents_ = state.add({"contents", "", {width_, slots_}, Kind::plain, "memory matrix M_t", {"cell", "slot"}});
    usage_ = state.add({"usage", "", {slots_}, Kind::usage, "usage u_t", {"slot"}});
    write_ = state.add({"weights", "write_0", {slots_}, Kind::weights, "write weighting w_t", {"slot"}});
    fresh_ = state.add({"fresh", "write_0", {}, Kind::gate, "freshness f_t"});
    read_ = state.add({"weights", "read_0", {slots_}, Kind::weights, "read weighting", {"slot"}});
    value_ = state.add({"value", "read_0", {width_}, Kind::plain, "read vector r_t", {"cell"}});
    layout_.sites = {{.name = "write_0", .kind = "write", .addressing = "unused", .weights = write_},
                     {.name = "read_0", .kind = "read", .addressing = "by key", .weights = read_, .value = value_}};
    layout_.turns = {{"write", {0}, true}, {"read", {1}}, {"settle", {}, true}};
    heads_ = {{{"key", "write_0", {width_}, Kind::plain, "key k_t", {"cell"}}, Squash::tanh},
              {{"add", "write_0", {width_}, Kind::plain, "add vector a_t", {"cell"}}, Squash::tanh},
              {{"gate", "write_0", {}, Kind::gate, "gate g_t"}, Squash::sigmoid},
              {{"key", "read_0", {width_}, Kind::plain, "key q_t", {"cell"}}, Squash::tanh}};
    std::size_t raw = 0;
    for (const HeadParameter& p : heads_) {
      layout_.parameters.add(p.declared);
      raw += p.declared.count();
    }
    projection_.emplace(build.scope("heads"), setup.control_size, raw, Initializer::xavier(setup.control_size, raw));
    start_ = build.parameter("start", {width_, slots_}, Initializer::normal(0.5));
  }
  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t rows = start.rows;
    const Values<T> s = empty_values(tape, layout_.state.size());
    s[contents_] = repeat_rows(tape, tape.parameter(start_), rows);
    s[usage_] = s[read_] = tape.filled({rows, slots_}, T(0));
    s[write_] = tape.filled({rows, slots_}, T(1) / static_cast<T>(slots_));
    s[fresh_] = tape.filled({rows, 1}, T(0.25));
    s[value_] = tape.filled({rows, width_}, T(0));
    return s;
  }
  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    return split_parameters<T>(pass.tape, (*projection_)(pass.tape, control), heads_);
  }
  void address(Pass<T>& pass, const Turn& turn, Values<T> p, Values<T> before, Values<T> now) const override {
    if (turn.sites.empty()) return;
    Tape<T>& tape = pass.tape;
    const std::size_t rows = p[0].shape[0];
    const auto scores = [&](Var<T> key) { return dot_score(tape, key.reshaped({rows, 1, width_}), now[contents_]); };
    if (!turn.writes) {
      now[read_] = softmax(tape, scores(p[read_key])).reshaped({rows, slots_});
      return;
    }
    const Var<T> unused = subtract(tape, scores(p[key]).reshaped({rows, slots_}), affine(tape, before[usage_], 3, 0));
    const Var<T> w = softmax(tape, unused.reshaped({rows, 1, slots_}), {}, affine(tape, before[fresh_], 1, 1));
    now[write_] = w.reshaped({rows, slots_});
  }
  void update(Pass<T>& pass, const Turn& turn, Values<T> p, Values<T> before, Values<T> now) const override {
    Tape<T>& tape = pass.tape;
    if (!turn.sites.empty()) {
      now[contents_] = write(tape, before[contents_], now[write_], p[add]);
      return;
    }
    const Var<T> both = affine(tape, mneme::add(tape, before[write_], now[write_]), 0.5, 0);
    const Var<T> u = before[usage_];
    now[usage_] = mneme::add(tape, u, multiply(tape, affine(tape, u, -1, 1), both));
    now[fresh_] = affine(tape, mneme::add(tape, before[fresh_].reshaped(p[gate].shape), p[gate]), 0.5, 0);
  }
  void read(Pass<T>& pass, const Turn& turn, Values<T> now) const override {
    if (turn.writes) return;
    const Var<T> w = now[read_];
    now[value_] =
        weighted_sum(pass.tape, w.reshaped({w.shape[0], 1, slots_}), now[contents_]).reshaped({w.shape[0], width_});
  }

 private:
  enum { key, add, gate, read_key };  // in the order of heads_
  std::size_t slots_, width_, start_ = 0;
  std::size_t contents_ = 0, usage_ = 0, write_ = 0, fresh_ = 0, read_ = 0, value_ = 0;  // in the state
  MemoryLayout layout_;
  std::vector<HeadParameter> heads_;
  std::optional<Linear<T>> projection_;
};

}  // namespace mneme::test
