// Room: tests. A memory whose addressing and update replay has never heard of, written in this one file, is verified
// through its own functions in float64.
#include "replay/own_memory.hpp"
#include "attention/combine.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"
#include "autodiff/ops.hpp"
#include "memory/erase_add.hpp"
#include "memory/memory.hpp"
#include "nn/linear.hpp"
#include "replay/verify.hpp"
#include "tests/replay/small_trace.hpp"
#include "trace/hdf5.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace mneme {
namespace {

/// w = softmax(3 k . M) over slots that are each tired by their usage u; M <- 0.9 M + w a, u <- 0.5 u + 0.5 w.
template <class T>
class Tired final : public Memory<T> {
 public:
  static OptionTable options() { return OptionTable().integer("slots", 5, 1, 100, "N, slots"); }

  Tired(const Builder<T>& build, const Options& o, const MemorySetup& setup) : n_(o.size("slots")) {
    layout_.slots = n_;
    layout_.width = 4;
    layout_.sites = {{"read_0", "read", "tired"}, {"write_0", "write", "tired"}};
    layout_.state = {{"contents", "", {4, n_}, Kind::plain, "memory M_t", {"cell", "slot"}},
                     {"usage", "", {n_}, Kind::usage, "usage u_t", {"slot"}},
                     {"weights", "read_0", {n_}, Kind::weights, "w^r_t", {"slot"}},
                     {"value", "read_0", {4}, Kind::plain, "r_t", {"cell"}},
                     {"weights", "write_0", {n_}, Kind::weights, "w^w_t", {"slot"}}};
    layout_.parameters = {{"key", "read_0", {4}, Kind::plain, "k_t", {"cell"}},
                          {"key", "write_0", {4}, Kind::plain, "k_t", {"cell"}},
                          {"add", "write_0", {4}, Kind::plain, "a_t", {"cell"}}};
    for (const char* site : {"read_0", "write_0"})
      layout_.stages.push_back({"rested", site, {n_}, Kind::plain, "score less usage", {"slot"}});
    layout_.update = "tired-add";
    layout_.write_first = true;
    heads_.emplace(build.scope("heads"), setup.control_size, 12, Initializer::normal(0.5), Initializer::normal(0.5));
    start_ = build.parameter("start", {4, n_}, Initializer::normal(0.5));
  }

  const MemoryLayout& layout() const override { return layout_; }
  Values<T> begin(Tape<T>& tape, const Start& start) const override {
    const std::size_t rows = start.rows;
    auto* s = tape.template scratch<Var<T>>(5);
    new (s) Var<T>(repeat_rows(tape, tape.parameter(start_), rows));
    new (s + 1) Var<T>(tape.filled({rows, n_}, T(0)));
    new (s + 2) Var<T>(tape.filled({rows, n_}, T(1) / static_cast<T>(n_)));
    new (s + 3) Var<T>(tape.filled({rows, 4}, T(0)));
    new (s + 4) Var<T>(tape.filled({rows, n_}, T(1) / static_cast<T>(n_)));
    return {s, 5};
  }
  Values<T> head_parameters(Tape<T>& tape, Var<T> control) const override {
    const Var<T> raw = (*heads_)(tape, control);
    auto* p = tape.template scratch<Var<T>>(3);
    for (std::size_t i = 0; i < 3; ++i) new (p + i) Var<T>(tanh(tape, slice(tape, raw, 4 * i, 4)));
    return {p, 3};
  }
  Var<T> address(Tape<T>& tape, std::size_t site, Values<T> p, Values<T> s) const override {
    const std::size_t rows = p[site].shape[0];
    const Var<T> score = affine(tape, dot_score(tape, p[site].reshaped({rows, 1, 4}), s[0]), 3, 0);
    const Var<T> tired = subtract(tape, score.reshaped({rows, n_}), s[1].reshaped({rows, n_}));
    tape.tap("rested", tired);
    return softmax(tape, tired.reshaped({rows, 1, n_})).reshaped({rows, n_});
  }
  Values<T> update(Tape<T>& tape, Values<T> p, Values<T> s) const override {
    Values<T> next = copy_values(tape, s);
    next[0] = write(tape, affine(tape, s[0], 0.9, 0), s[4], p[2]);
    next[1] = add(tape, affine(tape, s[1], 0.5, 0), affine(tape, s[4], 0.5, 0));
    return next;
  }
  Var<T> read(Tape<T>& tape, std::size_t, Values<T> s) const override {
    const std::size_t rows = s[2].shape[0];
    return weighted_sum(tape, s[2].reshaped({rows, 1, n_}), s[0]).reshaped({rows, 4});
  }
  typename Memory<T>::Step step(Tape<T>& tape, Var<T> control, Values<T> state) const override {
    return step_in_order(*this, tape, control, state);
  }

 private:
  std::size_t n_, start_ = 0;
  MemoryLayout layout_;
  std::optional<Linear<T>> heads_;
};

[[maybe_unused]] const bool registered = register_memory<Tired>("test_tired", "for this test", "");

TEST(OwnMemory, AMemoryOfOneFileIsVerified) {
  const replay_test::Scratch folder("own");
  const auto path = replay_test::small_trace(folder.path(), {{"memory", "test_tired"}});
  const auto report = replay::verify(path);
  EXPECT_TRUE(report.ok()) << (report.failures.empty() ? "" : report.failures[0].text());
  EXPECT_GT(report.max_abs_difference, 0);
  ASSERT_EQ(report.coverage.size(), 3u);
  for (const auto& c : report.coverage) {
    EXPECT_EQ(c.how, "the memory's own functions in float64") << c.what;
    EXPECT_GT(c.values, 0u) << c.what;
  }
}

TEST(OwnMemory, AChangeInItsOwnStateIsFound) {
  const replay_test::Scratch folder("own_change");
  const auto path = replay_test::small_trace(folder.path(), {{"memory", "test_tired"}, {"trace.keyframe-every", "3"}});
  {
    trace::File f = trace::File::open_for_writing(path);
    auto usage = f.read<float>("/memory/usage");
    usage[1 * 5 + 2] += 0.1f;  // the second keyframe of episode 0
    f.dataset("/memory/usage").overwrite(trace::Scalar::f32, usage.data());
    f.close();
  }
  const auto report = replay::verify(path);
  ASSERT_FALSE(report.failures.empty());
  EXPECT_EQ(report.failures[0].text().find("/memory/usage episode 0 step 3: logged"), 0u) << report.failures[0].text();
}

TEST(OwnMemory, AChangeOnTheWayToItsWeightsIsFound) {
  const replay_test::Scratch folder("own_stage");
  const auto path = replay_test::small_trace(folder.path(), {{"memory", "test_tired"}, {"trace.level", "full"}});
  EXPECT_TRUE(replay::verify(path).ok());
  {
    trace::File f = trace::File::open_for_writing(path);
    auto rested = f.read<float>("/sites/write_0/rested");
    rested[2 * 5 + 1] += 0.1f;
    f.dataset("/sites/write_0/rested").overwrite(trace::Scalar::f32, rested.data());
    f.close();
  }
  const auto report = replay::verify(path);
  ASSERT_EQ(report.failures.size(), 1u);
  EXPECT_EQ(report.failures[0].text().find("/sites/write_0/rested episode 0 step 2: logged"), 0u)
      << report.failures[0].text();
}

TEST(OwnMemory, AMemoryThatIsNotHereIsNamed) {
  trace::Layout layout;
  layout.config_ini = "task = copy\nmemory = \"gone\"\n\n[memory]\nslots = 3\n";
  try {
    const replay::OwnMemory memory(layout);
    FAIL();
  } catch (const FileError& e) {
    EXPECT_NE(std::string(e.what()).find("the memory 'gone', which this program does not have"), std::string::npos)
        << e.what();
  }
}

TEST(OwnMemory, ReadsItsOptionsFromTheConfigText) {
  const auto c =
      replay::read_memory_config("# x\nseed = 1\nmemory = ntm\n[task]\nslots = 9\n[memory]\nslots=7\n a = \"b\\\"\"\n");
  EXPECT_EQ(c.name, "ntm");
  EXPECT_EQ(c.options, (std::map<std::string, std::string>{{"slots", "7"}, {"a", "b\""}}));
}

}  // namespace
}  // namespace mneme
