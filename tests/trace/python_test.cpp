// Room: tests/trace. The page's Python snippets, run on real files: a finished one and a .part.
#include "places.hpp"
#include "sample.hpp"
#include "trace/sink.hpp"

#include <cstdlib>

#include <fmt/format.h>
#include <sys/wait.h>

namespace mneme::trace::testing {
namespace {

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
  Sink copy(folder / "copy", ntm_layout(Level::full, 16, 8)), story(folder / "story", rich_layout());
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

}  // namespace
}  // namespace mneme::trace::testing
