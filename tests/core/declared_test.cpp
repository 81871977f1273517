// Declarations: what fits together, and what is said of one that does not.
#include "core/declared.hpp"
#include "core/error.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace mneme {
namespace {

Declaration two_heads() {
  Declaration d;
  d.state.add({"contents", "", {4, 5}, Kind::plain, "M", {"cell", "slot"}});
  const std::size_t r = d.state.add({"weights", "read_0", {5}, Kind::weights, "w", {"slot"}});
  const std::size_t v = d.state.add({"value", "read_0", {4}, Kind::plain, "r", {"cell"}});
  const std::size_t w = d.state.add({"weights", "write_0", {5}, Kind::weights, "w", {"slot"}});
  d.parameters.add({"key", "read_0", {4}, Kind::plain, "k", {"cell"}});
  d.stages.add({"similarity", "read_0", {5}, Kind::plain, "K", {"slot"}});
  d.sites = {{.name = "read_0", .kind = "read", .weights = r, .value = v},
             {.name = "write_0", .kind = "write", .weights = w}};
  return d;
}

std::string complaint(const std::function<void(Declaration&)>& change) {
  Declaration d = two_heads();
  change(d);
  try {
    check(d, "memory ring", 5, 4);
  } catch (const InvariantError& e) {
    return e.what();
  }
  return "none";
}

TEST(Declaration, PlacesAreThoseThatAddGave) {
  const Declaration d = two_heads();
  EXPECT_EQ(complaint([](Declaration&) {}), "none");
  EXPECT_EQ(d.state[d.sites[0].value].full_name(), "read_0.value");
  EXPECT_EQ(d.state_index("write_0", "weights"), d.sites[1].weights);
  EXPECT_EQ(d.parameter_index("read_0", "key"), 0u);
}

TEST(Declaration, WhatDoesNotFitNamesPlugInPlaceAndShapes) {
  EXPECT_EQ(complaint([](auto& d) { d.state.add(d.state[0]); }), "[memory ring] declares contents twice");
  EXPECT_EQ(complaint([](auto& d) {
              d.parameters.add({"weights", "read_0", {5}, Kind::plain, "w", {"slot"}});
            }),
            "[memory ring] declares read_0.weights twice");
  EXPECT_EQ(complaint([](auto& d) { d.sites[1].name = "read_0"; }), "[memory ring] declares the site read_0 twice");
  EXPECT_EQ(complaint([](auto& d) { d.state[3].site = "write_1"; }),
            "[memory ring] write_1.weights belongs to no site: there is none called write_1");
  EXPECT_EQ(complaint([](auto& d) { d.sites[1].weights = nowhere; }),
            "[memory ring] site write_0 has no place for its weights in the state");
  EXPECT_EQ(complaint([](auto& d) { d.sites[0].value = nowhere; }),
            "[memory ring] site read_0 has no place for its value in the state");
  EXPECT_EQ(complaint([](auto& d) { d.sites[0].value = 9; }),
            "[memory ring] site read_0 has its value at place 9 of 4");
  EXPECT_EQ(complaint([](auto& d) { d.sites[1].value = 9; }),
            "[memory ring] site write_0 has its value at place 9 of 4")
      << "whatever its kind: who reads its value, reads it there";
  EXPECT_EQ(complaint([](auto& d) {
              d.state[0] = {"contents", "", {4, 5, 2, 3}, Kind::plain, "M"};
            }),
            "[memory ring] contents [4 5 2 3] has 4 axes beside the rows, a shape has room for 3");
  EXPECT_EQ(complaint([](auto& d) { d.sites[0].weights = 3; }),
            "[memory ring] site read_0 has its weights at the place of write_0.weights");
  EXPECT_EQ(complaint([](auto& d) {
              d.state[0].dims = {4, 7};
            }),
            "[memory ring] contents is declared [4 7], its axes are [4 5]");
  EXPECT_EQ(complaint([](auto& d) { d.state[3] = {"weights", "write_0", {7}, Kind::weights, "w", {"place"}}; }),
            "[memory ring] write_0.weights is declared [7], there are [5] slots");
  EXPECT_EQ(complaint([](auto& d) { d.stages[0].axes = {}, d.stages[0].dims = {5, 2}; }), "none");
  EXPECT_EQ(complaint([](auto& d) {
              d.stages[0].dims = {5, 2};
            }),
            "[memory ring] read_0.similarity [5 2] names 1 axes");
}

TEST(Declaration, AValueFitsWhereItIsAsDeclared) {
  const Declared weights{"weights", "hop_0", {5}, Kind::weights, "p", {"item"}},
      slots{"weights", "read_0", {5}, Kind::weights, "w", {"slot"}},
      embedded{"keys", "", {4, 5}, Kind::plain, "k", {"cell", "item"}}, gate{"gate", "read_0", {}, Kind::gate, "g"};
  EXPECT_TRUE(weights.fits({2, 5}, 2));
  EXPECT_TRUE(weights.fits({2, 3}, 2)) << "the longest set among these rows";
  EXPECT_FALSE(weights.fits({2, 6}, 2));
  EXPECT_FALSE(weights.fits({3, 5}, 2));
  EXPECT_FALSE(slots.fits({2, 3}, 2));
  EXPECT_TRUE(embedded.fits({2, 4, 1}, 2));
  EXPECT_FALSE(embedded.fits({2, 3, 5}, 2));
  EXPECT_TRUE(gate.fits({2}, 2));
  EXPECT_TRUE(gate.fits({2, 1}, 2));
  EXPECT_FALSE(gate.fits({2, 2}, 2));
  EXPECT_NO_THROW(check_value(weights, "memory x", {1, 2}, 1));
  try {
    check_value(weights, "memory x", {1, 6}, 1);
    FAIL();
  } catch (const InvariantError& e) {
    EXPECT_STREQ(e.what(), "[memory x] hop_0.weights has shape [1 6], declared [1 5]");
  }
}

}  // namespace
}  // namespace mneme
