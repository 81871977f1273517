// A pointer readout is a site like any other: its trace holds where it looked and what it was told, and verify computes
// that again from the items by rules of its parts' names.
#include "replay/verify.hpp"
#include "tests/replay/picking_task.hpp"
#include "tests/replay/small_trace.hpp"
#include "trace/hdf5.hpp"
#include "trace/reader.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

using replay_test::Scratch;

const bool registered = test::register_picking();

std::filesystem::path picking_trace(const Scratch& folder, const std::string& memory) {
  return replay_test::small_trace(folder.path(),
                                  {{"task", "test_picking"}, {"memory", memory}, {"trace.level", "full"}});
}

TEST(Pointer, IsInTheTraceAndVerified) {
  for (const char* memory : {"none", "ntm"}) {
    const Scratch folder("pointer");
    const auto path = picking_trace(folder, memory);
    const trace::Reader reader(path);
    const trace::Layout& l = reader.layout();
    const auto site = static_cast<std::size_t>(l.find_site("pointer"));
    ASSERT_LT(site, l.sites.size()) << memory;
    EXPECT_EQ(l.sites[site].site.kind, "pointer");
    EXPECT_EQ(l.sites[site].site.slot_axis, "item");
    EXPECT_EQ(l.sites[site].site.looks_at, "pointer_keys");
    for (const trace::TurnLayout& turn : l.turns) EXPECT_EQ(std::count(turn.sites.begin(), turn.sites.end(), site), 0);
    for (std::size_t i = 0; i < reader.episodes(); ++i) {
      const trace::Episode e = reader.episode(i);
      for (std::size_t t = 0; t < e.steps; ++t)
        for (std::size_t n = 0; n < l.items; ++n) {
          // What is pointed at is what is answered.
          EXPECT_NEAR(e.sites[site].weights[t * l.items + n], e.output[t * l.items + n], 1e-6);
          if (n >= e.items.count) {
            EXPECT_EQ(e.sites[site].weights[t * l.items + n], 0);
          }
        }
      for (const std::vector<float>& h : e.controller)
        EXPECT_TRUE(std::any_of(h.begin(), h.end(), [](float x) { return x != 0; })) << "the controller's state too";
    }
    const auto report = replay::verify(path);
    EXPECT_TRUE(report.ok()) << (report.failures.empty() ? report.faults.at(0) : report.failures[0].text());
    const auto covered =
        std::find_if(report.coverage.begin(), report.coverage.end(), [](const auto& c) { return c.what == "pointer"; });
    ASSERT_NE(covered, report.coverage.end());
    EXPECT_EQ(covered->how, "reference loops");
    EXPECT_GT(covered->values, 0u);
  }
}

TEST(Pointer, AChangeOfWhatItWasToldOrLooksAtIsFound) {
  for (const char* dataset : {"/sites/pointer/weights", "/sites/pointer/key", "/memory/pointer_keys"}) {
    const Scratch folder("pointer_change");
    const auto path = picking_trace(folder, "ntm");
    {
      trace::File f = trace::File::open_for_writing(path);
      auto values = f.read<float>(dataset);
      values[1] += 0.25f;
      f.dataset(dataset).overwrite(trace::Scalar::f32, values.data());
      f.close();
    }
    const auto report = replay::verify(path);
    ASSERT_FALSE(report.failures.empty()) << dataset;
    EXPECT_EQ(report.failures[0].dataset, "/sites/pointer/weights");
    EXPECT_EQ(report.failures[0].episode, 0);
    EXPECT_EQ(report.failures[0].step, 0);
  }
}

}  // namespace
}  // namespace mneme
