// Worker threads: every job once, exceptions of the lowest job, many rounds.
#include "experiments/run/workers.hpp"

#include "tests/experiments/support.hpp"

#include <sys/resource.h>

#include <stdexcept>
#include <string>

namespace mneme::experiments {
namespace {

TEST(Workers, EveryJobOnceForAnyNumberOfThreads) {
  for (int threads : {0, 1, 2, 5}) {
    Workers workers(threads);
    EXPECT_EQ(workers.count(), static_cast<std::size_t>(std::max(threads, 1)));
    std::vector<std::atomic<int>> done(37);
    for (int round = 0; round < 300; ++round)
      workers.run(done.size(), [&](std::size_t job, std::size_t worker) {
        EXPECT_LT(worker, workers.count());
        ++done[job];
      });
    for (const auto& n : done) EXPECT_EQ(n.load(), 300);
    workers.run(0, [&](std::size_t, std::size_t) { ADD_FAILURE(); });
  }
}

TEST(Workers, TheErrorOfTheLowestJobIsThrownAndTheRestIsDone) {
  Workers workers(3);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> done = 0;
    try {
      workers.run(20, [&](std::size_t job, std::size_t) {
        ++done;
        if (job == 4 || job == 11) throw std::runtime_error(std::to_string(job));
      });
      FAIL();
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "4");
    }
    EXPECT_EQ(done.load(), 20);
    workers.run(3, [](std::size_t, std::size_t) {});
  }
}

// Each thread wants eight megabytes of addresses for its stack.
TEST(Workers, MoreThreadsThanThereIsRoomForAreAnError) {
  const Child child = in_child([] {
    std::ifstream pages("/proc/self/statm");
    rlim_t used = 0;
    pages >> used;
    const rlimit room{used * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + (rlim_t{64} << 20), RLIM_INFINITY};
    ::setrlimit(RLIMIT_AS, &room);
    return message_of<RuntimeFailure>([] { Workers workers(1024); });
  });
  if (child.code == 1) GTEST_SKIP() << "no limit on memory here: " << child.text;
  EXPECT_EQ(child.code, 0) << child.text;
  EXPECT_TRUE(
      std::regex_search(child.text, std::regex("^\\[threads\\] [0-9]+ of 1024 begin, and no more: .+; ask for fewer")))
      << child.text;
}

}  // namespace
}  // namespace mneme::experiments
