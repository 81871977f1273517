// Every op of the room, and every registered score with its parameters, against central differences.
#include "attention/cases.hpp"
#include "attention/score.hpp"
#include "tests/support/gradient_cases.hpp"

namespace mneme {
namespace {

class AttentionGradients : public testing::TestWithParam<std::string> {};

TEST_P(AttentionGradients, MatchDifferences) {
  test::expect_gradients(attention_cases(), GetParam());
}

TEST_P(AttentionGradients, NanSurvives) {
  test::expect_nan_survives(attention_cases(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Op, AttentionGradients, testing::ValuesIn(test::op_names(attention_cases())),
                         [](const auto& info) { return info.param; });

TEST(AttentionCases, EveryDeclaredOpHasOne) {
  const auto cases = attention_cases();
  for (const char* header : {"score", "normalize", "combine", "location"})
    test::expect_listed(cases, std::string("attention/") + header + ".hpp");
}

TEST(AttentionCases, EveryRegisteredScoreHasOne) {
  std::set<std::string> variants;
  for (const GradientCase& c : attention_cases())
    if (c.name == "score") variants.insert(c.variant);
  for (const std::string& name : scores().names()) EXPECT_TRUE(variants.count(name)) << name;
}

}  // namespace
}  // namespace mneme
