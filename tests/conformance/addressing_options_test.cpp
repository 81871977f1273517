// The NTM's addressing taken apart by option: every combination keeps the contract, its derivatives among it.
#include "tests/memory/addressing_options.hpp"
#include "tests/conformance/checks.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

class AddressingOptions : public testing::TestWithParam<int> {};

TEST_P(AddressingOptions, KeepTheContract) {
  const std::vector<test::Given> all = test::addressing_options();
  const MemoryPlugin& ntm = memories().find("ntm");
  for (std::size_t i = static_cast<std::size_t>(GetParam()); i < all.size(); i += 8) {
    test::Given given = all[i];
    given["slots"] = "5";
    given["width"] = "4";
    const experiments::Specimen s{"memory", "ntm",  test::text(all[i]), ntm.options.parse("memory", given),
                                  &ntm,     nullptr};
    ntm.validate(s.options);
    for (const std::string& complaint : test::check_all(s)) ADD_FAILURE() << s.label() << ": " << complaint;
  }
}

INSTANTIATE_TEST_SUITE_P(Eighth, AddressingOptions, testing::Range(0, 8));

}  // namespace
}  // namespace mneme
