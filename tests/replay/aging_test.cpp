// Verification starts a site's state from what the trace says stood before the first step, and gives a memory both the
// state that a step began with and the one that it makes.
#include "replay/verify.hpp"
#include "tests/conformance/aging_memory.hpp"
#include "tests/replay/small_trace.hpp"
#include "trace/hdf5.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

using replay_test::Scratch;

const bool registered = register_memory<test::Aging>("test_aging", "usage of old and new write weights", "");

replay::Report changed(const char* dataset, std::size_t at, float by) {
  const Scratch folder("aging");
  const auto path = replay_test::small_trace(folder.path(), {{"memory", "test_aging"}});
  if (by != 0) {
    trace::File f = trace::File::open_for_writing(path);
    auto values = f.read<float>(dataset);
    values.at(at) += by;
    f.dataset(dataset).overwrite(trace::Scalar::f32, values.data());
    f.close();
  }
  return replay::verify(path);
}

TEST(StartingState, IsTheTraces) {
  const auto report = changed("", 0, 0);
  EXPECT_TRUE(report.ok()) << (report.failures.empty() ? report.faults.at(0) : report.failures[0].text());
  for (const auto& c : report.coverage) {
    EXPECT_EQ(c.how, "the memory's own functions in float64") << c.what;
    EXPECT_GT(c.values, 0u) << c.what;
  }
  EXPECT_TRUE(report.needs_model.empty());
}

// Episode 0, its first step: the weights follow from what freshness began with, and so does the freshness after it.
TEST(StartingState, OtherThanItWasIsFoundAtTheFirstStep) {
  const auto report = changed("/sites/write_0/initial_fresh", 0, 0.25f);
  ASSERT_GE(report.failures.size(), 2u);
  EXPECT_EQ(report.failures[0].dataset, "/sites/write_0/weights");
  EXPECT_EQ(report.failures[1].dataset, "/sites/write_0/fresh");
  for (std::size_t i : {0, 1}) {
    EXPECT_EQ(report.failures[i].episode, 0);
    EXPECT_EQ(report.failures[i].step, 0);
  }
}

// The usage at the next keyframe is made of the weights before step 0 and after it.
TEST(StartingState, OldWeightsAreThoseBeforeTheStep) {
  const auto report = changed("/sites/write_0/initial_weights", 0, -0.1f);
  EXPECT_TRUE(std::any_of(report.failures.begin(), report.failures.end(),
                          [](const auto& m) { return m.dataset == "/memory/usage" && m.episode == 0 && m.step == 4; }));
}

}  // namespace
}  // namespace mneme
