// Room: tests. Names and words of others, in hints that are pasted, scripts of other programs, terminals and tables:
// they stay text.
#include "places.hpp"
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <regex>

namespace mneme::tools_test {
namespace {

/// A name that shells, gnuplot and terminals would act upon.
const std::string hostile = "it's $(touch ran) `touch ran` \"; touch ran; #\\ {x} %s ''";

/// What follows `mneme ` in the hints of a command, one word of a shell each.
std::vector<std::string> hinted_commands(const std::string& text) {
  std::vector<std::string> found;
  const std::regex hint("(?:^|\n)(?:next:|go on with:|what led there:|     ) mneme ([^\n]*)");
  for (std::sregex_iterator at(text.begin(), text.end(), hint), end; at != end; ++at)
    for (std::string rest = (*at)[1]; !rest.empty();) {
      const std::string between = "   or   mneme ";
      const std::size_t cut = rest.find(between);
      found.push_back(rest.substr(0, cut));
      rest = cut == std::string::npos ? "" : rest.substr(cut + between.size());
    }
  return found;
}

/// Runs `mneme COMMAND` as a shell takes it, in `folder`; true where it ended with 0.
bool pasted(const std::string& command, const fs::path& folder) {
  std::ofstream(folder / "paste") << "mneme() { '" << MNEME_PROGRAM << "' \"$@\"; }\nmneme " << command
                                  << " </dev/null >/dev/null 2>paste.err\n";
  return std::system(fmt::format("cd '{}' && bash ./paste", folder.string()).c_str()) == 0;
}

// Before paths were quoted, the folder's $(...) ran in the shell that a hint was pasted into.
TEST(ForeignText, HintsCanBePasted) {
  const Scratch folder;
  if (std::system("bash -c true") != 0) GTEST_SKIP() << "there is no bash";
  for (const std::string& name : {hostile, std::string("-dash"), std::string("red \x1b[31m \xff")}) {
    Setting here;
    here.folder = folder.path();
    const Result train = mneme(tiny("./" + name, {"--max-sequences=60"}), here);
    ASSERT_EQ(train.code, 0) << train.err;
    std::string hints = train.err;
    const std::vector<std::vector<std::string>> more = {
        {"replay", "./" + name, "--verify"}, {"trace", "check", "./" + name}, {"train", "--resume", "./" + name}};
    for (const auto& words : more) hints += mneme(words, here).err;
    const auto commands = hinted_commands(hints);
    EXPECT_GE(commands.size(), 6u) << hints;
    for (const std::string& command : commands) {
      EXPECT_TRUE(pasted(command, folder.path())) << command << "\n" << read_file(folder / "paste.err");
      EXPECT_FALSE(fs::exists(folder / "ran")) << command;
    }
  }
}

}  // namespace
}  // namespace mneme::tools_test
