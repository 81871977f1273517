// A memory whose writing follows from trained weights, which a trace does not hold: what cannot be recomputed is said,
// and no sound trace fails for it.
#include "autodiff/ops.hpp"
#include "memory/erase_add.hpp"
#include "memory/heads.hpp"
#include "nn/linear.hpp"
#include "replay/verify.hpp"
#include "tests/replay/small_trace.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace mneme {
namespace {

/// M_t = M_{t-1} + W a_t in the one slot that is written; r_t = M_t(0).
template <class T>
class TrainedWrite final : public Memory<T> {
 public:
  static OptionTable options() { return OptionTable().integer("slots", 3, 1, 9, "N").integer("width", 4, 1, 9, "M"); }
  TrainedWrite(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : slots_(o.size("slots")), width_(o.size("width")) {
    layout_.slots = slots_;
    layout_.width = width_;
    layout_.update = "trained";
    DeclaredList& state = layout_.state;
    state.add({"contents", "", {width_, slots_}, Kind::plain, "M_t", {"cell", "slot"}});
    state.add({"weights", "write_0", {slots_}, Kind::weights, "w_t", {"slot"}});
    state.add({"value", "write_0", {width_}, Kind::plain, "r_t", {"cell"}});
    layout_.sites = {{.name = "write_0", .kind = "glimpse", .addressing = "first slot", .weights = 1, .value = 2}};
    layout_.turns = {{"step", {0}, true}};
    heads_ = {{{"add", "write_0", {width_}, Kind::plain, "a_t", {"cell"}}, Squash::tanh}};
    layout_.parameters.add(heads_[0].declared);
    projection_.emplace(build.scope("heads"), setup.control_size, width_,
                        Initializer::xavier(setup.control_size, width_));
    turned_.emplace(build.scope("turned"), width_, width_, Initializer::normal(1));
  }
  const MemoryLayout& layout() const override { return layout_; }
  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    const Values<T> s = empty_values(pass.tape, 3);
    s[0] = pass.tape.filled({start.rows, width_, slots_}, T(0.5));
    s[1] = pass.tape.filled({start.rows, slots_}, T(0));
    for (std::size_t b = 0; b < start.rows; ++b) s[1].data[b * slots_] = 1;
    s[2] = pass.tape.filled({start.rows, width_}, T(0));
    return s;
  }
  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    return split_parameters<T>(pass.tape, (*projection_)(pass.tape, control), heads_);
  }
  void address(Pass<T>& pass, const Turn&, Values<T>, Values<T> before, Values<T> now) const override {
    now[1] = affine(pass.tape, before[1], 1, 0);
  }
  void update(Pass<T>& pass, const Turn&, Values<T> p, Values<T>, Values<T> now) const override {
    now[0] = write(pass.tape, now[0], now[1], (*turned_)(pass.tape, p[0]));
  }
  void read(Pass<T>& pass, const Turn&, Values<T> now) const override {
    now[2] = weighted_sum(pass.tape, now[1].reshaped({now[1].shape[0], 1, slots_}), now[0])
                 .reshaped({now[1].shape[0], width_});
  }

 private:
  std::size_t slots_, width_;
  MemoryLayout layout_;
  std::vector<HeadParameter> heads_;
  std::optional<Linear<T>> projection_, turned_;
};

const bool registered = register_memory<TrainedWrite>("test_trained_write", "writes by trained weights", "");

TEST(TrainedWrite, IsNotComparedAndSaidToBeSo) {
  const replay_test::Scratch folder("trained_write");
  const auto report = replay::verify(replay_test::small_trace(folder.path(), {{"memory", "test_trained_write"}}));
  EXPECT_TRUE(report.ok()) << (report.failures.empty() ? report.faults.at(0) : report.failures[0].text());
  EXPECT_EQ(report.needs_model, std::vector<std::string>{"/memory/contents"});
  EXPECT_GT(report.values, 9u) << "weights are compared, beside loss, error and correct";
}

}  // namespace
}  // namespace mneme
