// Room: tests/trace. The page's Python snippets, run on real files: a finished one and a .part.
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
  for (const char* name : {"copy", "story"}) {
    const Layout layout = name[0] == 'c' ? ntm_layout(Level::full, 16, 8) : rich_layout();
    Sink sink(folder / name, layout);
    for (std::size_t i = 0; i < 20; ++i) {
      make_episode(layout, i, steps_of(i), e);
      sink.append(e);
    }
    sink.flush();
    std::filesystem::copy_file(sink.current(), folder / (std::string(name) + ".killed.trace.h5.part"));
    sink.close();
  }
  const std::string source = MNEME_SOURCE_DIR;
  const std::string command =
      fmt::format("/usr/bin/python3 '{}/tests/trace/read_snippets.py' '{}/docs/trace_format.md' '{}' '{}' '{}' '{}'",
                  source, source, (folder / "copy.000.trace.h5").string(), (folder / "story.000.trace.h5").string(),
                  (folder / "copy.killed.trace.h5.part").string(), (folder / "story.killed.trace.h5.part").string());
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "h5py, xarray or h5netcdf is not installed";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace mneme::trace::testing
