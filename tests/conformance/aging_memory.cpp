// The specimen of `before` and `now`, registered, and nothing else: the suite picks it up by itself.
#include "tests/conformance/aging_memory.hpp"

namespace mneme {
namespace {

const bool registered = register_memory<test::Aging>("aging", "exists in the tests alone, usage of old and new", "");

}  // namespace
}  // namespace mneme
