// Room: tests/trace. What kills, full disks and failing calls leave behind: every committed episode, and no crash.
#include "fault.hpp"
#include "core/error.hpp"
#include "sample.hpp"
#include "trace/reader.hpp"
#include "trace/sink.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

namespace mneme::trace::testing {
namespace {

namespace fs = std::filesystem;

struct Marker {
  std::size_t operations;
  std::int64_t committed;
};

/// Every file that the disk ever held while `layout` was traced, one after another, must read right.
void stop_after_every_write(const Layout& layout, std::size_t chunk_steps, const std::vector<std::size_t>& lengths,
                            std::size_t read_every, int index_levels) {
  Folder folder;
  fault().reset();
  std::vector<Marker> markers;
  std::vector<Episode> episodes(lengths.size());
  SinkOptions options;
  options.chunk_steps = chunk_steps;
  {
    Sink sink(folder / "run", layout, options);
    // Creation goes to another name: what is recorded starts with the empty trace.
    fs::copy_file(sink.current(), folder / "replica.h5");
    fault().recording = true;
    markers.push_back({0, 0});
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      make_episode(layout, i, lengths[i], episodes[i]);
      ASSERT_TRUE(sink.append(episodes[i]));
      if (i % 7 == 5) sink.flush();
      markers.push_back({fault().log.size(), sink.committed()});
    }
    sink.close();
    markers.push_back({fault().log.size(), static_cast<std::int64_t>(lengths.size())});
    fault().recording = false;
  }
  const std::vector<DiskOperation> log = std::move(fault().log);
  fault().reset();
  ASSERT_GT(log.size(), 100u);
  int levels = 0;
  for (const DiskOperation& op : log) {
    if (op.bytes.size() > 5 && std::equal(op.bytes.begin(), op.bytes.begin() + 4, "TREE")) {
      levels = std::max(levels, op.bytes[5] + 1);
    }
  }
  ASSERT_EQ(levels, index_levels);  // else the test proves less than it says

  const fs::path path = folder / "replica.h5";
  std::FILE* file = std::fopen(path.c_str(), "r+b");
  ASSERT_TRUE(file);
  std::setvbuf(file, nullptr, _IONBF, 0);
  std::size_t marker = 0;
  Episode e;
  for (std::size_t n = 0; n <= log.size(); ++n) {
    if (n > 0) {
      const DiskOperation& op = log[n - 1];
      if (op.truncate) {
        fs::resize_file(path, op.offset);
      } else {
        std::fseek(file, static_cast<long>(op.offset), SEEK_SET);
        ASSERT_EQ(std::fwrite(op.bytes.data(), 1, op.bytes.size(), file), op.bytes.size());
      }
    }
    while (marker + 1 < markers.size() && markers[marker + 1].operations <= n) ++marker;
    try {
      const Reader reader(path);
      ASSERT_GE(static_cast<std::int64_t>(reader.episodes()), markers[marker].committed) << "after write " << n;
      for (std::size_t i = 0; i < reader.episodes(); ++i) {
        if (i % read_every != n % read_every && i + 2 < reader.episodes()) continue;
        reader.episode(i, e);
        expect_same(layout, episodes[i], reader.layout(), e);
        ASSERT_FALSE(::testing::Test::HasFailure()) << "episode " << i << " after write " << n << " of " << log.size();
      }
    } catch (const Error& error) {
      std::fclose(file);
      FAIL() << "after write " << n << " of " << log.size() << ": " << error.what();
    }
  }
  std::fclose(file);
}

TEST(Fault, EveryWriteLeavesAReadableTrace) {
  std::vector<std::size_t> lengths;
  for (std::size_t i = 0; i < 6; ++i) lengths.push_back(1 + (i * 13) % 37);
  stop_after_every_write(rich_layout(), 1, lengths, 5, 2);
}

TEST(Fault, EveryWriteLeavesAReadableTraceWhileTheIndexGrowsThreeLevels) {
  Layout layout = ntm_layout(Level::weights);
  layout.sites.resize(1);
  layout.turns = two_halves(layout.sites, false);
  layout.channels_in = layout.channels_out = 0;
  // One step a chunk, 48 chunks an index node: the second level fills after some 1,100 to 2,300 steps.
  std::vector<std::size_t> lengths(8, 230);
  lengths.insert(lengths.end(), 7, 50);
  stop_after_every_write(layout, 1, lengths, 8, 3);
}

TEST(Fault, NoMemoryAtAnyMomentLeavesWhatWasCommitted) {
  const Layout layout = ntm_layout();
  std::vector<Episode> episodes(5);
  for (std::size_t i = 0; i < episodes.size(); ++i) make_episode(layout, i, 9 + i, episodes[i]);
  int failures = 0;
  bool last = false;  // no allocation is left to fail
  for (long k = 0; !last; k += 1 + k / 8) {
    Folder folder;
    fault().reset();
    Sink sink(folder / "run", layout);
    for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(sink.append(episodes[i]));
    sink.flush();
    const fs::path part = sink.current();
    fault().news = 0;
    fault().fail_new = k;
    try {
      for (std::size_t i = 3; i < 5; ++i) sink.append(episodes[i]);
      sink.flush();
      last = fault().news <= k;
    } catch (const RuntimeFailure& e) {
      ++failures;
      EXPECT_TRUE(sink.broken());
      EXPECT_FALSE(sink.append(episodes[0]));
    }
    fault().reset();
    const Reader reader(part);
    EXPECT_FALSE(reader.complete());
    ASSERT_GE(reader.episodes(), 3u) << "allocation " << k;
    for (std::size_t i = 0; i < reader.episodes(); ++i)
      expect_same(layout, episodes[i], reader.layout(), reader.episode(i));
  }
  EXPECT_GT(failures, 10);
}

TEST(Fault, NoMemoryToReadAnEpisodeNamesTheFile) {
  const Layout layout = ntm_layout();
  Folder folder;
  Episode e;
  make_episode(layout, 1, 20, e);
  {
    Sink sink(folder / "run", layout);
    sink.append(e);
    sink.close();
  }
  const Reader reader(folder / "run.000.trace.h5");
  std::string text;
  fault().reset();
  fault().fail_new = 0;
  try {
    reader.episode(0);
  } catch (const FileError& error) {
    text = error.what();
  }
  fault().reset();
  EXPECT_EQ(text, "[" + reader.path() + "] episode 0 promises more than fits in memory");
  expect_same(layout, e, reader.layout(), reader.episode(0));
}

TEST(Fault, DiskFullAtAnyWrite) {
  Layout layout = ntm_layout();
  for (SiteLayout& s : layout.sites) s.values.resize(1);  // fewer columns, fewer places to fail
  std::vector<Episode> episodes(5);
  for (std::size_t i = 0; i < episodes.size(); ++i) make_episode(layout, i, 9 + i, episodes[i]);
  SinkOptions options;
  options.chunk_steps = 16;
  long total = 0;
  {
    Folder folder;
    fault().reset();
    Sink sink(folder / "run", layout, options);
    for (const Episode& e : episodes) sink.append(e);
    sink.close();
    total = fault().writes;
  }
  for (const bool recovers : {false, true}) {
    for (long k = 0; k < total; k += recovers ? 3 : 1) {
      Folder folder;
      fault().reset();
      fault().fail_from = k;
      fault().fail_until = recovers ? k + 1 : -1;
      fault().error = ENOSPC;
      std::int64_t committed = 0;
      bool created = false;
      try {
        Sink sink(folder / "run", layout, options);
        created = true;
        try {
          for (const Episode& e : episodes) {
            sink.append(e);
            committed = sink.committed();
          }
          sink.close();
          FAIL() << "write " << k << " failed and nobody noticed";
        } catch (const RuntimeFailure& error) {
          EXPECT_NE(std::string(error.what()).find("No space left on device"), std::string::npos) << error.what();
          EXPECT_NE(std::string(error.what()).find("run.000.trace.h5.part"), std::string::npos) << error.what();
          EXPECT_TRUE(sink.broken());
          EXPECT_GE(sink.committed(), committed);  // close() may fail after its commit
          committed = sink.committed();
          EXPECT_FALSE(sink.append(episodes[0]));  // once said, no more
          sink.close();
        }
      } catch (const RuntimeFailure& error) {
        EXPECT_NE(std::string(error.what()).find("No space left on device"), std::string::npos) << error.what();
      }
      fault().reset();
      EXPECT_FALSE(fs::exists(folder / "run.000.trace.h5"));
      ASSERT_EQ(fs::exists(folder / "run.000.trace.h5.part"), created) << k;
      if (!created) {
        EXPECT_TRUE(fs::is_empty(folder.path()));
        continue;
      }
      const Reader reader(folder / "run.000.trace.h5.part");
      ASSERT_GE(static_cast<std::int64_t>(reader.episodes()), committed) << "write " << k;
      for (std::size_t i = 0; i < reader.episodes(); ++i) {
        expect_same(layout, episodes[i], reader.layout(), reader.episode(i));
      }
      ASSERT_FALSE(HasFailure()) << "write " << k;
    }
  }
}

TEST(Fault, FailingSyncOrRenameIsReportedAndLeavesThePart) {
  const Layout layout = ntm_layout();
  Episode e;
  make_episode(layout, 1, 20, e);
  for (const bool sync : {true, false}) {
    Folder folder;
    fault().reset();
    Sink sink(folder / "run", layout);
    sink.append(e);
    (sync ? fault().fail_fsync : fault().fail_rename) = true;
    try {
      sink.close();
      FAIL();
    } catch (const RuntimeFailure& error) {
      EXPECT_NE(std::string(error.what()).find("run.000.trace.h5.part"), std::string::npos) << error.what();
    }
    fault().reset();
    EXPECT_FALSE(fs::exists(folder / "run.000.trace.h5"));
    const Reader reader(folder / "run.000.trace.h5.part");
    ASSERT_EQ(reader.episodes(), 1u);
    expect_same(layout, e, reader.layout(), reader.episode(0));
  }
  fault().reset();
}

/// Traces until killed; tells its parent through a pipe how many episodes are safe.
[[noreturn]] void trace_for_ever(const fs::path& path, const Layout& layout, int pipe_end) {
  SinkOptions options;
  options.chunk_steps = 16;
  options.rotate_bytes = 400000;
  Sink sink(path, layout, options);
  Episode e;
  for (std::uint64_t i = 0;; ++i) {
    make_episode(layout, i, steps_of(i), e);
    sink.append(e);
    const std::int64_t safe = sink.committed();
    if (::write(pipe_end, &safe, sizeof safe) != sizeof safe) ::_exit(1);
  }
}

TEST(Fault, KilledAtRandomMoments) {
  const Layout layout = ntm_layout();
  std::mt19937 random(5);
  std::int64_t most = 0;
  const char* more = std::getenv("MNEME_KILLS");  // as many as you have patience for
  const int rounds = more ? std::atoi(more) : 20;
  for (int round = 0; round < rounds; ++round) {
    Folder folder;
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    std::fflush(nullptr);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      trace_for_ever(folder / "run.trace.h5", layout, ends[1]);
    }
    ::close(ends[1]);
    if (round % 5 == 4) {  // while the file is being made, or soon after
      ::usleep(static_cast<useconds_t>(random() % 20000));
      ::kill(child, SIGKILL);
    }
    // Counted in episodes, then a little at random, so that a slow machine is killed at the same places.
    std::int64_t safe = 0, value = 0;
    for (long left = static_cast<long>(random() % 120); ::read(ends[0], &value, sizeof value) == sizeof value; --left) {
      safe = value;
      if (left == 0) {
        ::usleep(static_cast<useconds_t>(random() % 5000));
        ::kill(child, SIGKILL);
      }
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));

    std::uint64_t found = 0;
    Episode e;
    for (const fs::path& file : trace_files(folder / "run.trace.h5")) {
      const Reader reader(file);
      for (std::size_t i = 0; i < reader.episodes(); ++i, ++found) {
        make_episode(layout, found, steps_of(found), e);
        expect_same(layout, e, reader.layout(), reader.episode(i));
      }
      EXPECT_TRUE(check(file).empty()) << check(file).front();
    }
    ASSERT_GE(static_cast<std::int64_t>(found), safe) << "round " << round;
    most = std::max(most, safe);

    // A resumed run keeps what is there and goes on in the next file.
    const auto before = trace_files(folder / "run.trace.h5");
    {
      Sink sink(folder / "run.trace.h5", layout);
      make_episode(layout, 3, 22, e);
      sink.append(e);
      sink.close();
    }
    std::uint64_t kept = 0;
    for (const fs::path& file : trace_files(folder / "run.trace.h5")) {
      EXPECT_EQ(file.extension(), ".h5") << file;
      kept += Reader(file).episodes();
    }
    EXPECT_EQ(kept, found + 1);
    for (const auto& entry : fs::directory_iterator(folder.path())) EXPECT_EQ(entry.path().extension(), ".h5");
  }
  EXPECT_GT(most, 0);
}

/// In a process of its own: 0 = the sink reported the full disk and its part reads right.
int fill_the_disk(const fs::path& path, const Layout& layout) {
  try {
    Sink sink(path, layout);
    Episode e;
    try {
      for (std::uint64_t i = 0; i < 5000; ++i) {
        make_episode(layout, i, steps_of(i), e);
        sink.append(e);
      }
      return 2;
    } catch (const RuntimeFailure&) {
    }
    const Reader reader(sink.current().empty() ? trace_files(path).back() : sink.current());
    if (static_cast<std::int64_t>(reader.episodes()) < sink.committed() || reader.episodes() == 0) return 3;
    for (std::size_t i = 0; i < reader.episodes(); ++i) {
      make_episode(layout, i, steps_of(i), e);
      if (reader.episode(i).sites[0].weights != e.sites[0].weights) return 4;
    }
    return check(trace_files(path).back()).empty() ? 0 : 5;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 6;
  }
}

int status_of(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(Fault, FileSizeLimit) {
  Folder folder;
  const Layout layout = ntm_layout();
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {300000, 300000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(fill_the_disk(folder / "run", layout));
  }
  EXPECT_EQ(status_of(child), 0);
}

TEST(Fault, FullFileSystem) {
  Folder folder;
  const fs::path mounted = folder / "small";
  fs::create_directory(mounted);
  if (::mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=512k") != 0) GTEST_SKIP() << "no right to mount a tmpfs";
  std::fflush(nullptr);
  const Layout layout = ntm_layout();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(fill_the_disk(mounted / "run", layout));
  EXPECT_EQ(status_of(child), 0);
  ::umount(mounted.c_str());
}

}  // namespace
}  // namespace mneme::trace::testing
