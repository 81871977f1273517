// The reader of golden files: what it takes, and what it says of a broken one.
#include "tests/golden/golden.hpp"

#include "core/error.hpp"

#include <cmath>
#include <sstream>

namespace mneme {
namespace {

std::vector<golden::Case> parse(const std::string& text) {
  std::istringstream stream(text);
  return golden::parse(stream, "some.txt");
}

std::string complaint(const std::string& text) {
  try {
    parse(text);
  } catch (const FileError& e) {
    return e.what();
  }
  return "no complaint";
}

TEST(GoldenParser, ReadsACase) {
  const auto cases = parse(
      "# a comment\n"
      "case first\nop Attention opset 23\nsource somewhere else\ntol 1e-04\nattr scale 0.5\nattr activations a,b\n"
      "in Q f32 3 1 2 2\n1 -2.5 inf nan\nin - none\nin n i64 1 1\n7\nout Y f32 2 0 3\nend\n\n"
      "case second\nop Softmax opset 13\nend\n");
  ASSERT_EQ(cases.size(), 2u);
  const golden::Case& c = cases[0];
  EXPECT_EQ(c.name, "first");
  EXPECT_EQ(c.op, "Attention");
  EXPECT_EQ(c.opset, 23);
  EXPECT_EQ(c.tolerance, 1e-4);
  EXPECT_EQ(c.number("scale", 1), 0.5);
  EXPECT_EQ(c.number("softcap", 3), 3);
  EXPECT_EQ(c.attributes.at("activations"), "a,b");
  ASSERT_EQ(c.inputs.size(), 3u);
  EXPECT_EQ(c.in("Q")->dims, (std::vector<std::size_t>{1, 2, 2}));
  EXPECT_EQ(c.in("Q")->values[1], -2.5);
  EXPECT_TRUE(std::isinf(c.in("Q")->values[2]));
  EXPECT_TRUE(std::isnan(c.in("Q")->values[3]));
  EXPECT_EQ(c.in("n")->values, (golden::Numbers{7}));
  EXPECT_EQ(c.in("V"), nullptr);
  EXPECT_TRUE(c.out("Y")->values.empty());
}

TEST(GoldenParser, NamesTheLineThatIsBroken) {
  EXPECT_EQ(complaint("op LSTM opset 1\n"), "[some.txt:1] 'op' outside of a case");
  EXPECT_EQ(complaint("case a\ncase b\n"), "[some.txt:2] a case begins before 'a' ended");
  EXPECT_EQ(complaint("case a\nin X f32 1 3\n1 2\nend\n"), "[some.txt:3] 'X' has 2 values for 3");
  EXPECT_EQ(complaint("case a\nin X f32 1 2\n1 x\nend\n"), "[some.txt:3] 'x' is no number");
  EXPECT_EQ(complaint("case a\nin X f32 2 3\n1 2 3\nend\n"), "[some.txt:2] 'X' has fewer than 2 dimensions");
  EXPECT_EQ(complaint("case a\nweights 3\nend\n"), "[some.txt:2] 'weights' is no word of this format");
  EXPECT_EQ(complaint("case a\n"), "[some.txt:2] 'a' has no end");
}

TEST(GoldenParser, AMissingFileIsNamed) {
  std::string missing;
  EXPECT_FALSE(golden::find_file("no such file.txt", missing));
  EXPECT_NE(missing.find("golden/no such file.txt is not there (MNEME_DATA names the folder that holds golden/)"),
            std::string::npos)
      << missing;
}

}  // namespace
}  // namespace mneme
