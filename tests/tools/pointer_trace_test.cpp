// Room: tests. A pointer over points is seen in the terminal and in the figure, beside the heads of a memory that has
// more slots than there are points.
#include "tests/replay/picking_task.hpp"
#include "tests/replay/small_trace.hpp"
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>

namespace mneme::tools_test {
namespace {

const bool registered = test::register_picking();

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PointerTrace, IsShownInTheTerminalAndInTheFigure) {
  const Scratch folder;
  const fs::path trace = replay_test::small_trace(
      folder.path(), {{"task", "test_picking"}, {"memory.slots", "9"}, {"trace.level", "full"}});
  Terminal terminal{.columns = 140};
  terminal.environment = {{"NO_COLOR", "1"}};
  const Result view = mneme_in_terminal({"replay", trace.string()}, {"m", "q"}, terminal);
  EXPECT_EQ(view.code, 0) << view.err;
  EXPECT_TRUE(contains(view.out, "pointer  item ")) << "where it points, beside its numbers";
  EXPECT_TRUE(contains(view.out, "read_0   slot "));
  EXPECT_TRUE(contains(view.out, "then a column for read_0, write_0")) << "a column for each head of the memory alone";

  const Result check = mneme({"trace", "check", trace.string()});
  EXPECT_EQ(check.code, 0) << check.out << check.err;
  const Result verify = mneme({"replay", trace.string(), "--verify"});
  EXPECT_EQ(verify.code, 0) << verify.out << verify.err;
  EXPECT_TRUE(contains(verify.out, "pointer"));

  const Result figure = mneme({"trace", "render", trace.string(), "--out", (folder / "figures").string()});
  EXPECT_EQ(figure.code, 0) << figure.err;
  std::string script;
  for (const auto& entry : fs::directory_iterator(folder / "figures"))
    if (entry.path().extension() == ".gp") script = read_file(entry.path());
  EXPECT_TRUE(contains(script, "Pointer Weightings"));
  EXPECT_TRUE(contains(script, "Read Weightings"));
}

}  // namespace
}  // namespace mneme::tools_test
