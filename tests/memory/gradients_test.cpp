// Every op of the room against central differences.
#include "memory/cases.hpp"
#include "tests/support/gradient_cases.hpp"

namespace mneme {
namespace {

class MemoryGradients : public testing::TestWithParam<std::string> {};

TEST_P(MemoryGradients, MatchDifferences) {
  test::expect_gradients(memory_cases(), GetParam());
}

TEST_P(MemoryGradients, NanSurvives) {
  test::expect_nan_survives(memory_cases(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Op, MemoryGradients, testing::ValuesIn(test::op_names(memory_cases())),
                         [](const auto& info) { return info.param; });

TEST(MemoryCases, EveryDeclaredOpHasOne) {
  test::expect_listed(memory_cases(), "memory/erase_add.hpp");
  test::expect_listed(memory_cases(), "memory/heads.hpp", "Values<T>");
  test::expect_listed(memory_cases(), "memory/bags.hpp");
}

}  // namespace
}  // namespace mneme
