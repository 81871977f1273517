// Names and registries, shapes, declarations and error texts.
#include "core/names.hpp"
#include "core/build_info.hpp"
#include "core/declared.hpp"
#include "core/error.hpp"
#include "core/registry.hpp"
#include "core/shape.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <source_location>

namespace mneme {
namespace {

TEST(Names, Nearest) {
  const std::vector<std::string> known{"key_value", "none", "ntm", "memory.slots"};
  EXPECT_EQ(nearest_name("ntn", known), "ntm");
  EXPECT_EQ(nearest_name("keyvalue", known), "key_value");
  EXPECT_EQ(nearest_name("key_vlaue", known), "key_value");
  EXPECT_EQ(nearest_name("slots", known), "memory.slots") << "the end of a dotted key is what people remember";
  EXPECT_EQ(nearest_name("transformer", known), "");
  EXPECT_EQ(nearest_name("ntm", {}), "");
}

TEST(Names, Unknown) {
  EXPECT_EQ(unknown_name("memory", "ntn", {"key_value", "none", "ntm"}),
            "unknown memory 'ntn', did you mean 'ntm'? There are: key_value, none, ntm");
  EXPECT_EQ(unknown_name("memory", "transformer", {"none", "ntm"}),
            "unknown memory 'transformer'. There are: none, ntm");
}

TEST(Registry, FindsWhatWasAdded) {
  Registry<std::unique_ptr<int>> r("gadget");
  EXPECT_TRUE(r.add("b", std::make_unique<int>(2)));
  EXPECT_TRUE(r.add("a", std::make_unique<int>(1)));
  EXPECT_EQ(*r.find("b"), 2);
  EXPECT_EQ(r.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(r.entries().size(), 2u);
}

TEST(Registry, UnknownNameListsWhatExists) {
  Registry<int> r("gadget");
  r.add("hammer", 1);
  r.add("saw", 2);
  try {
    r.find("hamer");
    FAIL();
  } catch (const ArgumentError& e) {
    EXPECT_STREQ(e.what(), "[gadget] unknown gadget 'hamer', did you mean 'hammer'? There are: hammer, saw");
  }
}

/// The file and line where it is called.
std::string here(std::source_location at = std::source_location::current()) {
  return fmt::format("{}:{}", at.file_name(), at.line());
}

// Plug-ins register before main, where an exception would end in terminate: the first look says what is wrong.
TEST(Registry, TwoOfOneNameAreBothNamedAtTheFirstLook) {
  Registry<int> r("gadget");
  const auto complaint = [&](auto look) -> std::string {
    try {
      look();
    } catch (const InvariantError& e) {
      return e.what();
    }
    return "no complaint";
  };
  r.add("hammer", 1);
  EXPECT_EQ(complaint([&] { r.find("hammer"); }), "no complaint");
  const std::string first = here(), second = (r.add("saw", 1), here()), third = (r.add("saw", 2), here());
  const std::string wanted = fmt::format("[gadget] the name 'saw' is registered twice: {} and {}", second, third);
  EXPECT_EQ(complaint([&] { r.find("hammer"); }), wanted);
  EXPECT_EQ(complaint([&] { r.names(); }), wanted);
  EXPECT_EQ(complaint([&] { r.entries(); }), wanted);
}

TEST(Registry, WhatAPlugInThrowsWhileRegisteringWaitsForTheFirstLook) {
  Registry<int> r("gadget");
  EXPECT_TRUE(r.add("saw", []() -> int { fail<InvariantError>("options", "'teeth' is declared twice"); }));
  try {
    r.names();
    FAIL();
  } catch (const InvariantError& e) {
    EXPECT_STREQ(e.what(), "[gadget] 'saw' cannot be registered: [options] 'teeth' is declared twice");
  }
}

// So a plug-in's options may hold what plug-ins of other files declare, whichever file's line ran first.
TEST(Registry, WhatAFunctionMakesIsMadeByTheFirstLook) {
  Registry<int> teeth("teeth"), r("gadget");
  EXPECT_TRUE(r.add("saw", [&] { return teeth.find("fine"); }));
  EXPECT_TRUE(teeth.add("fine", 7));
  EXPECT_EQ(r.find("saw"), 7);
  EXPECT_FALSE(r.add("saw", [] { return 8; }));
}

TEST(Shape, ExtentsRowsAndText) {
  const Shape s{16, 20, 128};
  EXPECT_EQ(s.rank(), 3u);
  EXPECT_EQ(s.size(), 16u * 20 * 128);
  EXPECT_EQ(s.last(), 128u);
  EXPECT_EQ(s.rows(), 320u);
  EXPECT_EQ(s.text(), "[16 20 128]");
  EXPECT_EQ(Shape({7}).rows(), 1u);
  EXPECT_EQ((Shape{3, 0}).rows(), 0u);
}

TEST(Shape, ScalarHasRankZeroAndOneNumber) {
  const Shape s;
  EXPECT_EQ(s.rank(), 0u);
  EXPECT_EQ(s.size(), 1u);
  EXPECT_EQ(s.last(), 1u);
  EXPECT_EQ(s.rows(), 1u);
  EXPECT_EQ(s.text(), "[]");
}

TEST(Shape, WhatDoesNotFitIsRefused) {
  const auto complaint = [](auto make) -> std::string {
    try {
      make();
    } catch (const InvariantError& e) {
      return e.what();
    }
    return "no complaint";
  };
  Shape full{2, 3, 4, 5};
  EXPECT_EQ(complaint([&] { full.push_back(6); }), "[shape] [2 3 4 5 6] has 5 extents, a shape has at most 4");
  EXPECT_EQ(full.rank(), 4u) << "the fifth was written onto the rank";
  EXPECT_EQ(complaint([] { Shape{2, 3, 4, 5, 6, 7}; }), "[shape] [2 3 4 5 6 7] has 6 extents, a shape has at most 4");
  Shape grown{7};
  EXPECT_EQ(complaint([&] { grown.push_back(std::size_t{1} << 32); }),
            "[shape] [7 4294967296] has an extent above 4294967295");
  EXPECT_EQ(complaint([] { Shape{std::size_t{1} << 32, 2}; }), "[shape] [4294967296 2] has an extent above 4294967295");
}

TEST(Shape, Equality) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_FALSE((Shape{2, 3}) == (Shape{3, 2}));
  EXPECT_FALSE((Shape{2, 3}) == (Shape{2, 3, 1}));
  Shape grown{2};
  grown.push_back(3);
  EXPECT_EQ(grown, (Shape{2, 3}));
}

TEST(Declared, NamesAndCounts) {
  const Declared head{"shift", "read_0", {3}, Kind::weights, "shift weighting s_t"};
  EXPECT_EQ(head.full_name(), "read_0.shift");
  EXPECT_EQ(head.count(), 3u);
  const Declared contents{"contents", "", {128, 20}, Kind::plain, "memory M_t"};
  EXPECT_EQ(contents.full_name(), "contents");
  EXPECT_EQ(contents.count(), 2560u);
  const Declared gate{"gate", "read_0", {}, Kind::gate, "interpolation gate g_t"};
  EXPECT_EQ(gate.count(), 1u) << "no extents: one number per row";
}

TEST(Declared, KindNames) {
  EXPECT_STREQ(kind_name(Kind::plain), "plain");
  EXPECT_STREQ(kind_name(Kind::weights), "weights");
  EXPECT_STREQ(kind_name(Kind::sub_weights), "sub_weights");
  EXPECT_STREQ(kind_name(Kind::gate), "gate");
  EXPECT_STREQ(kind_name(Kind::positive), "positive");
  EXPECT_STREQ(kind_name(Kind::usage), "usage");
}

TEST(Error, TextStartsWithWhere) {
  try {
    fail<FileError>("cosine", "query width {}, memory width {} in {}", 24, 20, Shape({16, 20, 128}).text());
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[cosine] query width 24, memory width 20 in [16 20 128]");
  }
}

TEST(BuildInfo, SaysWhichBuildThisIs) {
  const BuildInfo& b = build_info();
  EXPECT_STRNE(b.version, "");
  EXPECT_STRNE(b.compiler, "");
  EXPECT_NE(std::string(b.flags).find("-fno-math-errno"), std::string::npos) << b.flags;
  EXPECT_EQ(std::string(b.flags).find("-ffast-math"), std::string::npos) << "it would compile the finite guard away";
  EXPECT_NE(b.git_rev, nullptr);
  EXPECT_NE(b.build_type, nullptr);
}

}  // namespace
}  // namespace mneme
