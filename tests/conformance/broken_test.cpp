// The suite held to account: a memory that conforms, broken in one way at a time, must be complained about each time.
#include "attention/attend.hpp"
#include "autodiff/ops.hpp"
#include "core/join.hpp"
#include "memory/erase_add.hpp"
#include "memory/heads.hpp"
#include "nn/linear.hpp"
#include "tests/conformance/checks.hpp"

#include <gtest/gtest.h>

#include <fmt/core.h>

namespace mneme {
namespace {

enum class Fault {
  none,
  weights_sum,     // weights that sum to 1.01
  value_shape,     // a value of another shape than declared
  declaration,     // a site whose weights have no place
  impure_update,   // update writes into the memory it is given
  impure_address,  // address writes into the last weighting
  remembers,       // a module that changes with use
  another_seed,    // a number that comes from outside the parameters
  mixes_rows,      // a row's value depends on how many rows there are
  unused,          // a parameter nobody reads
  cut_gradient,    // the key's gradient is lost
  wrong_gradient,  // a derivative off by a tenth
  zero_division,   // 0 / 0 on zero memory
  allocates,       // takes memory at every step
  few_slots,       // fails where there is one slot
  few_places,      // the same, and the option that says how many has another name
  reads_early,     // address fills what read() does, with other numbers
  unshown,         // a stage that is declared and never shown
  undeclared,      // a stage that is shown and not declared
  look_matters,    // another result where someone looks
  own_read,        // a value that another read's turn has filled already
};
Fault fault = Fault::none;
int built = 0;

/// y = x, and dx = 1.1 dy
template <class T>
Var<T> slightly_wrong(Tape<T>& tape, Var<T> x) {
  Var<T> y = tape.result(x.shape, x);
  std::copy_n(x.data, x.size(), y.data);
  tape.node("slightly_wrong", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(x, [&](auto into, T* dx) {
      for (std::size_t i = 0; i < x.size(); ++i) into(dx[i], T(1.1) * dy[i]);
    });
  });
  return y;
}

template <class T>
class Faulty final : public Memory<T> {
 public:
  static std::string slots_name() { return fault == Fault::few_places ? "places" : "slots"; }
  static OptionTable options() {
    return OptionTable().integer(slots_name(), 16, 1, 1024, "N, memory slots").integer("width", 9, 1, 1024, "M, width");
  }

  Faulty(const Builder<T>& build, const Options& o, const MemorySetup& setup)
      : slots_(o.size(slots_name())), width_(o.size("width")), number_(++built) {
    layout_.slots = slots_;
    layout_.width = width_;
    layout_.state = {{"contents", "", {width_, slots_}, Kind::plain, "memory matrix", {"cell", "slot"}},
                     {"weights", "read_0", {slots_}, Kind::weights, "read weighting", {"slot"}},
                     {"value", "read_0", {width_}, Kind::plain, "read vector", {"cell"}},
                     {"weights", "write_0", {slots_}, Kind::weights, "write weighting", {"slot"}}};
    layout_.sites = {{.name = "read_0", .kind = "read", .weights = 1, .value = 2},
                     {.name = "write_0", .kind = "write", .weights = fault == Fault::declaration ? nowhere : 3}};
    layout_.turns = {{"read", {0}}, {"write", {1}, true}};
    for (const char* site : {"read_0", "write_0"}) {
      heads_.push_back({{"key", site, {width_}, Kind::plain, "content key", {"cell"}}, Squash::tanh});
      heads_.push_back({{"beta", site, {}, Kind::positive, "key strength"}, Squash::softplus});
    }
    heads_.push_back({{"add", "write_0", {width_}, Kind::plain, "add vector", {"cell"}}, Squash::tanh});
    for (const HeadParameter& p : heads_) layout_.parameters.push_back(p.declared);
    if (fault != Fault::undeclared)
      for (const Site& site : layout_.sites)
        layout_.stages.push_back({"similarity", site.name, {slots_}, Kind::plain, "similarity", {"slot"}});
    const std::size_t raw = 3 * width_ + 2;
    projection_.emplace(build.scope("heads"), setup.control_size, raw, Initializer::xavier(setup.control_size, raw));
    start_ = build.parameter("start", {width_, slots_}, Initializer::normal(0.5));
    if (fault == Fault::unused) build.parameter("spare", {3}, Initializer::constant(0));
  }
  const MemoryLayout& layout() const override { return layout_; }

  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t rows = start.rows;
    if ((fault == Fault::few_slots || fault == Fault::few_places) && slots_ == 1)
      fail<ArgumentError>("faulty", "one slot is too few");
    const Values<T> state = empty_values(tape, 4);
    state[0] = repeat_rows(tape, tape.parameter(start_), rows);
    state[1] = state[3] = tape.filled({rows, slots_}, T(0));
    state[2] = tape.filled({rows, width_}, T(0));
    return state;
  }
  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    return split_parameters<T>(pass.tape, (*projection_)(pass.tape, control), heads_);
  }
  void address(Pass<T>& pass, const Turn& turn, Values<T> p, Values<T>, Values<T> now) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t site = turn.sites[0];
    Var<T> key = p[2 * site];
    if (fault == Fault::cut_gradient) key = key.detached();
    if (fault == Fault::wrong_gradient) key = slightly_wrong(tape, key);
    if (fault == Fault::impure_address) now[0].data[0] += T(0.125);
    if (fault == Fault::remembers) ++calls_;
    const std::size_t rows = key.shape[0];
    const Var<T> scores = cosine_score(tape, key.reshaped({rows, 1, width_}), now[0]);
    if (fault != Fault::unshown) pass.seen("similarity", scores.reshaped({rows, slots_}));
    Var<T> w = softmax(tape, affine(tape, scores, 1 + 0.01 * calls_, 0), {}, p[2 * site + 1]).reshaped({rows, slots_});
    if (fault == Fault::look_matters && pass.wants("similarity")) w = affine(tape, now[3], 1, 0);
    now[2 * site + 1] = fault == Fault::weights_sum ? affine(tape, w, 1.01, 0) : w;
    if (fault == Fault::reads_early) now[2] = affine(tape, now[2], 0.5, 0.25);
  }
  void update(Pass<T>& pass, const Turn&, Values<T> p, Values<T> before, Values<T> now) const override {
    if (fault == Fault::impure_update)
      for (std::size_t i = 0; i < before[0].size(); ++i) before[0].data[i] += T(0.125);
    now[0] = write(pass.tape, now[0], now[3], p[4]);
    if (fault == Fault::own_read) now[2] = value(pass.tape, now);
  }
  void read(Pass<T>& pass, const Turn& turn, Values<T> now) const override {
    if (!turn.writes) now[2] = value(pass.tape, now);
  }

 private:
  Var<T> value(Tape<T>& tape, Values<T> now) const {
    const Var<T> w = now[1];
    Var<T> r = weighted_sum(tape, w.reshaped({w.shape[0], 1, slots_}), now[0]).reshaped({w.shape[0], width_});
    if (fault == Fault::another_seed) r = affine(tape, r, 1, number_);
    if (fault == Fault::mixes_rows) r = affine(tape, r, static_cast<double>(w.shape[0]), 0);
    if (fault == Fault::zero_division) r = add(tape, r, divide(tape, r, r));
    if (fault == Fault::allocates) r.data[0] += static_cast<T>(0 * std::make_unique<double[]>(8)[1]);
    if (fault == Fault::value_shape) r = r.reshaped({w.shape[0], 1, width_});
    return r;
  }

  std::size_t slots_, width_;
  int number_;
  mutable int calls_ = 0;
  MemoryLayout layout_;
  std::vector<HeadParameter> heads_;
  std::optional<Linear<T>> projection_;
  std::size_t start_ = 0;
};

/// As register_memory, but known to nobody.
MemoryPlugin plugin() {
  MemoryPlugin p;
  p.name = "faulty";
  p.options = Faulty<float>::options();
  p.make_float = [](const auto& b, const auto& o, const auto& s) { return std::make_unique<Faulty<float>>(b, o, s); };
  p.make_double = [](const auto& b, const auto& o, const auto& s) { return std::make_unique<Faulty<double>>(b, o, s); };
  return p;
}

class Broken : public testing::Test {
 protected:
  ~Broken() override { fault = Fault::none; }

  test::Complaints complaints(Fault f) {
    fault = f;
    const MemoryPlugin faulty = plugin();
    test::Complaints all;
    for (const auto& s : experiments::specimens_of("faulty", faulty))
      for (std::string& c : test::check_all(s)) all.push_back(std::move(c));
    return all;
  }
  /// At least one complaint holds all of `words`.
  void expect_complaint(Fault f, std::initializer_list<std::string> words) {
    const test::Complaints all = complaints(f);
    const bool found = std::any_of(all.begin(), all.end(), [&](const std::string& c) {
      return std::all_of(words.begin(), words.end(),
                         [&](const std::string& w) { return c.find(w) != std::string::npos; });
    });
    EXPECT_TRUE(found) << fmt::format("wanted '{}' among:\n{}", join(words, "' and '"), join(all, "\n"));
  }
};

TEST_F(Broken, NotAtAll) {
  EXPECT_EQ(complaints(Fault::none), test::Complaints{});
}

TEST_F(Broken, WeightsThatDoNotSumToOne) {
  expect_complaint(Fault::weights_sum, {"values: ", "read_0.weights sums to 1.01, declared weights"});
}

TEST_F(Broken, AValueOfAnotherShape) {
  expect_complaint(Fault::value_shape, {"values: ", "read_0.value has shape [3 1 4], declared [3 4]"});
}

TEST_F(Broken, ADeclarationThatDoesNotFit) {
  expect_complaint(Fault::declaration,
                   {"declaration: ", "[memory faulty] site write_0 has no place for its weights in the state"});
}

TEST_F(Broken, AnUpdateThatWritesIntoItsArgument) {
  expect_complaint(Fault::impure_update, {"purity: ", "update write changes contents of what it is given"});
}

TEST_F(Broken, AnAddressThatWritesIntoItsArgument) {
  expect_complaint(Fault::impure_address, {"purity: ", "address read changes contents of what it is given"});
}

TEST_F(Broken, AModuleThatRemembersBeyondItsState) {
  expect_complaint(Fault::remembers, {"bits: ", "evaluated again"});
  expect_complaint(Fault::remembers, {"purity: ", "address read, called twice", "read_0.weights"});
}

TEST_F(Broken, ANumberFromOutsideTheParameters) {
  expect_complaint(Fault::another_seed, {"bits: ", "two of one seed"});
  expect_complaint(Fault::another_seed, {"copy: ", "after copying every value"});
}

TEST_F(Broken, RowsThatKnowOfEachOther) {
  expect_complaint(Fault::mixes_rows, {"batch: ", "row 0 of 3", "read_0.value"});
}

TEST_F(Broken, AParameterNobodyReads) {
  expect_complaint(Fault::unused, {"reach: ", "parameter spare gets no gradient"});
}

TEST_F(Broken, AGradientThatIsLost) {
  expect_complaint(Fault::cut_gradient, {"gradient: ", "analytic"});
}

TEST_F(Broken, AGradientThatIsSlightlyWrong) {
  expect_complaint(Fault::wrong_gradient, {"gradient: ", "analytic"});
}

TEST_F(Broken, ZeroMemoryThatGivesNoNumber) {
  expect_complaint(Fault::zero_division, {"zero: ", "is not finite"});
}

TEST_F(Broken, AStepThatAllocates) {
  expect_complaint(Fault::allocates, {"allocations: ", "the second sequence allocates 4 times"});
}

TEST_F(Broken, OneSlotThatIsTooFew) {
  expect_complaint(Fault::few_slots, {"slots: slots=1: [faulty] one slot is too few"});
}

TEST_F(Broken, OnePlaceThatIsTooFewUnderAnotherName) {
  expect_complaint(Fault::few_places, {"slots: places=1: [faulty] one slot is too few"});
}

// Beside its weights a turn may put what it reads, if that is what read() gives.
TEST_F(Broken, AFunctionThatFillsWhatIsNotItsOwn) {
  expect_complaint(Fault::reads_early, {"purity: ", "turn by turn against step", "read_0.value"});
}

TEST_F(Broken, AStageThatIsDeclaredAndNotShown) {
  expect_complaint(Fault::unshown, {"stages: ", "read_0.similarity is declared and shown 0 times"});
}

TEST_F(Broken, AStageThatIsShownAndNotDeclared) {
  expect_complaint(Fault::undeclared, {"stages: ", "read_0.similarity is shown and not declared"});
}

TEST_F(Broken, ANumberThatDependsOnWhoLooks) {
  expect_complaint(Fault::look_matters, {"stages: ", "looked at: step 0 contents"});
}

TEST_F(Broken, AReadThatCannotBeAltered) {
  expect_complaint(Fault::own_read, {"stages: ", "read_0.value is not what was shown"});
  expect_complaint(Fault::own_read, {"reads: ", "read_0 still reads something where reads are zeroed"});
  expect_complaint(Fault::own_read, {"reads: ", "read_0 does not read the next row's where reads are shuffled"});
}

}  // namespace
}  // namespace mneme
