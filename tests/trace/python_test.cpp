// Room: tests/trace. The page's Python and shell snippets, run on real files: finished ones and a .part.
#include "places.hpp"
#include "sample.hpp"
#include "trace/reader.hpp"
#include "trace/sink.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/core.h>
#include <sys/wait.h>

namespace mneme::trace::testing {
namespace {

namespace fs = std::filesystem;

TEST(Python, SnippetsOfThePageRun) {
  // Debian's h5py belongs to Debian's python3, which may not be the first one on PATH.
  if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "no /usr/bin/python3";
  Folder folder;
  Episode e;
  const auto trace = [&](Sink& sink) {
    for (std::size_t i = 0; i < 20; ++i) {
      make_episode(sink.layout(), i, steps_of(i), e);
      sink.append(e);
    }
  };
  Layout write_first = ntm_layout(Level::full, 16, 8), words = rich_layout();
  for (Layout* l : {&write_first, &words}) std::swap(l->turns[0], l->turns[1]);  // though read_0 is declared first
  Sink copy(folder / "copy", write_first), story(folder / "story", words);
  trace(copy);
  copy.close();
  trace(story);  // stays open: read while it is being written
  const std::string source = MNEME_SOURCE_DIR;
  const std::string command =
      fmt::format("/usr/bin/python3 '{}/tests/trace/read_snippets.py' '{}/docs/trace_format.md' '{}' '{}'", source,
                  source, copy.files().at(0).string(), story.current().string());
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "h5py, xarray or h5netcdf is not installed";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

/// The page's shell block, line by line, each where its program is installed.
TEST(Shell, SnippetsOfThePageRun) {
  std::ifstream in(std::string(MNEME_SOURCE_DIR) + "/docs/trace_format.md");
  const std::string page((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::size_t begin = page.find("```sh\n") + 6, end = page.find("```", begin);
  ASSERT_LT(end, page.size());
  Folder folder;
  Sink sink(folder / "copy", ntm_layout());
  Episode e;
  for (std::size_t i = 0; i < 20; ++i) {
    make_episode(sink.layout(), i, steps_of(i), e);
    sink.append(e);
  }
  sink.close();
  ::setenv("TRACE", sink.files().at(0).c_str(), 1);
  ::setenv("SMALLER", (folder / "smaller.trace.h5").c_str(), 1);
  std::istringstream lines(page.substr(begin, end - begin));
  int run = 0, known = 0;
  for (std::string line; std::getline(lines, line); ++known) {
    const std::string program = line.substr(0, line.find(' '));
    if (std::system(("command -v " + program + " > /dev/null").c_str()) != 0) continue;
    ++run;
    const fs::path said = folder / "said";
    EXPECT_EQ(std::system(("( " + line.substr(0, line.find(" #")) + " ) > '" + said.string() + "' 2>&1").c_str()), 0)
        << line;
    if (program == "ncdump") {
      EXPECT_GT(fs::file_size(said), 1000u);
    }
  }
  if (fs::exists(folder / "smaller.trace.h5")) {
    EXPECT_TRUE(check(folder / "smaller.trace.h5").empty());
  }
  EXPECT_EQ(known, 3);
  if (run < known) GTEST_SKIP() << run << " of " << known << " programs are installed (netcdf-bin, hdf5-tools)";
}

}  // namespace
}  // namespace mneme::trace::testing
