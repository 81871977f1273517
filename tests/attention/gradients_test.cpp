// Every op of the room, and every registered plug-in, against central differences.
#include "attention/addressing.hpp"
#include "attention/cases.hpp"
#include "attention/combine.hpp"
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

TEST(AttentionCases, EveryPluginHasOneByBeingRegistered) {
  std::set<std::string> labels;
  for (const GradientCase& c : attention_cases()) {
    labels.insert(c.name);
    labels.insert(c.name + " " + c.variant.substr(0, c.variant.find(',')));
  }
  for (const std::string& name : scores().names()) EXPECT_TRUE(labels.count("score " + name)) << name;
  for (const std::string& name : normalizers().names()) EXPECT_TRUE(labels.count(name)) << name;
  for (const std::string& name : combiners().names()) EXPECT_TRUE(labels.count(name)) << name;
  for (const std::string& name : addressing_schemes().names()) EXPECT_TRUE(labels.count("addressing " + name)) << name;
}

}  // namespace
}  // namespace mneme
