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
    contents_ = layout_.state.add({"contents", "", {4, n_}, Kind::plain, "memory M_t", {"cell", "slot"}});
    usage_ = layout_.state.add({"usage", "", {n_}, Kind::usage, "usage u_t", {"slot"}});
    read_ = layout_.state.add({"weights", "read_0", {n_}, Kind::weights, "w^r_t", {"slot"}});
    value_ = layout_.state.add({"value", "read_0", {4}, Kind::plain, "r_t", {"cell"}});
    write_ = layout_.state.add({"weights", "write_0", {n_}, Kind::weights, "w^w_t", {"slot"}});
    layout_.sites = {{"read_0", "read", "tired", "slot", {}, read_, value_},
                     {"write_0", "write", "tired", "slot", {}, write_}};
    layout_.turns = {{"write", {1}, true}, {"read", {0}}};
    layout_.parameters = {{"key", "read_0", {4}, Kind::plain, "k_t", {"cell"}},
                          {"key", "write_0", {4}, Kind::plain, "k_t", {"cell"}},
                          {"add", "write_0", {4}, Kind::plain, "a_t", {"cell"}}};
    for (const char* site : {"read_0", "write_0"})
      layout_.stages.add({"rested", site, {n_}, Kind::plain, "score less usage", {"slot"}});
    layout_.update = "tired-add";
    heads_.emplace(build.scope("heads"), setup.control_size, 12, Initializer::normal(0.5), Initializer::normal(0.5));
    start_ = build.parameter("start", {4, n_}, Initializer::normal(0.5));
  }

  const MemoryLayout& layout() const override { return layout_; }
  Values<T> begin(Pass<T>& pass, const Start& start) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t rows = start.rows;
    const Values<T> s = empty_values(tape, 5);
    s[contents_] = repeat_rows(tape, tape.parameter(start_), rows);
    s[usage_] = tape.filled({rows, n_}, T(0));
    s[value_] = tape.filled({rows, 4}, T(0));
    s[read_] = s[write_] = tape.filled({rows, n_}, T(1) / static_cast<T>(n_));
    return s;
  }
  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const override {
    const Var<T> raw = (*heads_)(pass.tape, control);
    const Values<T> p = empty_values(pass.tape, 3);
    for (std::size_t i = 0; i < 3; ++i) p[i] = tanh(pass.tape, slice(pass.tape, raw, 4 * i, 4));
    return p;
  }
  void address(Pass<T>& pass, const Turn& turn, Values<T> p, Values<T>, Values<T> now) const override {
    Tape<T>& tape = pass.tape;
    const std::size_t site = turn.sites[0], rows = p[site].shape[0];
    const Var<T> score = affine(tape, dot_score(tape, p[site].reshaped({rows, 1, 4}), now[contents_]), 3, 0);
    const Var<T> tired = subtract(tape, score.reshaped({rows, n_}), now[usage_].reshaped({rows, n_}));
    pass.seen("rested", tired);
    now[layout_.sites[site].weights] = softmax(tape, tired.reshaped({rows, 1, n_})).reshaped({rows, n_});
  }
  void update(Pass<T>& pass, const Turn&, Values<T> p, Values<T> before, Values<T> now) const override {
    Tape<T>& tape = pass.tape;
    now[contents_] = write(tape, affine(tape, before[contents_], 0.9, 0), now[write_], p[2]);
    now[usage_] = add(tape, affine(tape, before[usage_], 0.5, 0), affine(tape, now[write_], 0.5, 0));
  }
  void read(Pass<T>& pass, const Turn& turn, Values<T> now) const override {
    if (turn.writes) return;
    const std::size_t rows = now[read_].shape[0];
    now[value_] = weighted_sum(pass.tape, now[read_].reshaped({rows, 1, n_}), now[contents_]).reshaped({rows, 4});
  }

 private:
  std::size_t n_, start_ = 0;
  std::size_t contents_, usage_, read_, value_, write_;  // in the state
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
