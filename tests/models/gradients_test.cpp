// Readout and loss of every kind of target against central differences.
#include "models/cases.hpp"
#include "tests/support/gradient_cases.hpp"

namespace mneme {
namespace {

TEST(ModelGradients, MatchDifferences) {
  const auto cases = model_cases();
  for (const std::string& op : test::op_names(cases)) test::expect_gradients(cases, op);
  EXPECT_EQ(test::op_names(cases), (std::set<std::string>{"readout.logits", "readout.loss"}));
}

TEST(ModelGradients, NanSurvives) {
  const auto cases = model_cases();
  for (const std::string& op : test::op_names(cases)) test::expect_nan_survives(cases, op);
}

}  // namespace
}  // namespace mneme
