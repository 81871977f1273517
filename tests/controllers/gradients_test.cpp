// Every op of the room against central differences.
#include "controllers/cases.hpp"
#include "tests/support/gradient_cases.hpp"

namespace mneme {
namespace {

class ControllerGradients : public testing::TestWithParam<std::string> {};

TEST_P(ControllerGradients, MatchDifferences) {
  test::expect_gradients(controller_cases(), GetParam());
}

TEST_P(ControllerGradients, NanSurvives) {
  test::expect_nan_survives(controller_cases(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Op, ControllerGradients, testing::ValuesIn(test::op_names(controller_cases())),
                         [](const auto& info) { return info.param; });

TEST(ControllerCases, EveryDeclaredOpHasOne) {
  test::expect_listed(controller_cases(), "controllers/lstm.hpp", "LstmState<T>");
  test::expect_listed(controller_cases(), "controllers/gru.hpp");
}

}  // namespace
}  // namespace mneme
