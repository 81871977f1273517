// Traces that a program of schema 1 wrote are verified as they were: two halves of a step, no start but of weights.
// Made at 0.1.0 before schema 2: copy with two read heads, read first, level full; a story in two hops.
#include "places.hpp"
#include "replay/story.hpp"
#include "replay/verify.hpp"
#include "trace/reader.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

std::filesystem::path older(const char* name) {
  return std::filesystem::path(MNEME_SOURCE_DIR) / "tests/replay/golden" / name;
}

TEST(Older, ATraceOfSchema1IsVerified) {
  const auto path = older("schema_1.1.1_copy.trace.h5");
  const trace::Reader reader(path);
  EXPECT_EQ(reader.version(), "1.1.1");
  ASSERT_EQ(reader.layout().turns.size(), 2u);
  EXPECT_EQ(reader.layout().turns[0].name, "read");
  EXPECT_EQ(reader.layout().turns[0].sites, (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(reader.layout().turns[1].writes);
  const auto report = replay::verify(path);
  EXPECT_TRUE(report.ok()) << (report.failures.empty() ? report.faults.at(0) : report.failures[0].text());
  EXPECT_EQ(report.values, 2208u) << "as many as the program that wrote it compared";
  for (const auto& c : report.coverage) EXPECT_EQ(c.how, "reference loops") << c.what;
}

TEST(Older, AStoryOfSchema1IsVerifiedHopByHop) {
  const auto path = older("schema_1.1.1_story.trace.h5");
  const auto report = replay::verify(path);
  EXPECT_TRUE(report.ok()) << (report.failures.empty() ? report.faults.at(0) : report.failures[0].text());
  EXPECT_EQ(report.values, 482u);
  const trace::Reader reader(path);
  const trace::Episode e = reader.episode(0);
  const replay::Story story = replay::story_of(reader.layout(), e, e.steps - 1);
  EXPECT_EQ(story.sentences.size(), e.items.count);
}

}  // namespace
}  // namespace mneme
