// Room: tests. replay/view: numbers beside a head, and which slots of a ring are worth showing.
#include "replay/view.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace mneme {
namespace {

/// One head over `slots` slots that stands on one slot a step, with a beta, a shift and a key.
struct Walk {
  trace::Layout layout;
  trace::Episode episode;

  Walk(std::size_t slots, const std::vector<std::size_t>& path) {
    layout.slots = slots;
    layout.cells = 2;
    layout.shift_offsets = {-1, 0, 1};
    trace::SiteLayout site;
    site.site = {"read_0", "read", "content_location"};
    site.values = {{{"key", "read_0", {2}, Kind::plain, ""}},
                   {{"beta", "read_0", {}, Kind::positive, ""}},
                   {{"shift", "read_0", {3}, Kind::weights, ""}}};
    layout.sites = {site};
    episode.resize(layout, path.size(), 0);
    for (std::size_t t = 0; t < path.size(); ++t) episode.sites[0].weights[t * slots + path[t]] = 1;
  }
};

TEST(HeadView, ReducesEachParameterToOneNumber) {
  Walk w(4, {2});
  w.episode.sites[0].values[0] = {3, 4};
  w.episode.sites[0].values[1] = {7};
  w.episode.sites[0].values[2] = {0.0f, 0.25f, 0.75f};
  const replay::HeadView h = replay::head_view(w.layout, w.episode, 0, 0);
  EXPECT_EQ(h.argmax, 2u);
  EXPECT_EQ(h.largest, 1);
  EXPECT_EQ(h.entropy, 0);
  ASSERT_EQ(h.numbers.size(), 3u) << "scalars first, then norms";
  EXPECT_EQ(h.numbers[0], (std::pair<std::string, double>("beta", 7)));
  EXPECT_EQ(h.numbers[1], (std::pair<std::string, double>("shift", 0.75)));
  EXPECT_EQ(h.numbers[2], (std::pair<std::string, double>("|key|", 5)));
}

TEST(HeadView, ShowsWhereAWeightingBetweenIsLargest) {
  Walk w(4, {2});
  w.layout.sites[0].values.push_back(
      {{"gated", "read_0", {4}, Kind::sub_weights, "", {"slot"}}, trace::Level::params, {"slot"}, "1"});
  w.layout.level = trace::Level::params;
  w.episode.resize(w.layout, 1, 0);
  w.episode.sites[0].values[3] = {0.125f, 0.25f, 0.0f, 0.5f};
  const replay::HeadView h = replay::head_view(w.layout, w.episode, 0, 0);
  EXPECT_EQ(h.numbers.back(), (std::pair<std::string, double>("gated slot 3", 0.5)));
}

TEST(UsedSlots, AreWidenedByOne) {
  const Walk w(20, {5, 6, 7});
  const auto r = replay::used_slots(w.layout, w.episode, "slot");
  EXPECT_EQ(r.first, 4u);
  EXPECT_EQ(r.last(), 8u);
  EXPECT_EQ(r.count, 5u);
}

TEST(UsedSlots, GoAroundTheEnd) {
  const Walk w(20, {1, 0, 19, 18});
  const auto r = replay::used_slots(w.layout, w.episode, "slot");
  EXPECT_EQ(r.first, 17u);
  EXPECT_EQ(r.slot(3), 0u);
  EXPECT_EQ(r.last(), 2u);
}

TEST(UsedSlots, BeginAtSlotZeroWhereTheyDo) {
  const Walk w(20, {0, 1, 2});
  const auto r = replay::used_slots(w.layout, w.episode, "slot");
  EXPECT_EQ(r.first, 0u);
  EXPECT_EQ(r.last(), 3u);
}

TEST(UsedSlots, AreAllWhereNothingStandsOut) {
  const Walk all(5, {0, 1, 2, 3, 4});
  EXPECT_EQ(replay::used_slots(all.layout, all.episode, "slot").count, 5u);
  const Walk one(1, {0});
  EXPECT_EQ(replay::used_slots(one.layout, one.episode, "slot").count, 1u);
  Walk nothing(6, {0});
  nothing.episode.sites[0].weights.assign(6, 0.0f);
  EXPECT_EQ(replay::used_slots(nothing.layout, nothing.episode, "slot").count, 6u);
}

}  // namespace
}  // namespace mneme
