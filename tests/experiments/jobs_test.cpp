// Jobs: processes side by side, what they say in order, and what becomes of the others when one fails, dies or is
// stopped.
#include "experiments/compare/jobs.hpp"

#include "tests/experiments/support.hpp"

#include <csignal>
#include <new>
#include <set>
#include <thread>

namespace mneme::experiments {
namespace {

std::vector<Job> jobs_of(std::size_t count) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < count; ++i) jobs.push_back({"job" + std::to_string(i), 100});
  return jobs;
}

Progress at(std::uint64_t sequences, std::uint64_t begun = 0) {
  Progress now;
  now.sequences = sequences;
  now.begun = begun;
  return now;
}

/// Names of the jobs that were handed over, with what they found.
struct Found {
  std::vector<std::string> all;
  std::function<void(std::size_t, const JobEnd&)> done() {
    return [this](std::size_t i, const JobEnd& end) { all.push_back(std::to_string(i) + " " + end.found); };
  }
};

TEST(Jobs, AreProcessesAndHandedOverInOrder) {
  const pid_t here = ::getpid();
  for (const int together : {1, 3}) {
    Found found;
    std::set<std::string> processes;
    int changed = 0;
    const int code = run_jobs(
        jobs_of(6), {.jobs = together},
        [&](std::size_t i, const RunOptions&) -> JobEnd {
          changed = 1;
          if (i % 2 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
          return {ExitReason::solved, std::to_string(::getpid())};
        },
        [&](std::size_t i, const JobEnd& end) {
          found.all.push_back(std::to_string(i));
          processes.insert(end.found);
          EXPECT_EQ(end.reason, ExitReason::solved);
        });
    EXPECT_EQ(code, 0);
    EXPECT_EQ(found.all, (std::vector<std::string>{"0", "1", "2", "3", "4", "5"}));
    EXPECT_EQ(processes.size(), 6u);
    EXPECT_EQ(processes.count(std::to_string(here)), 0u);
    EXPECT_EQ(changed, 0) << "what a job changes in memory is its own";
  }
}

TEST(Jobs, OneThatDiesTakesNoOtherAlong) {
  Found found;
  const std::string message = message_of<RuntimeFailure>([&] {
    run_jobs(
        jobs_of(4), {.jobs = 2},
        [](std::size_t i, const RunOptions&) -> JobEnd {
          if (i == 1) ::raise(SIGKILL);
          return {ExitReason::max_sequences, "ended"};
        },
        found.done());
  });
  EXPECT_EQ(message,
            "job1: its process was ended by signal 9 (Killed); was memory short?; the same command goes on "
            "with it");
  EXPECT_EQ(found.all, (std::vector<std::string>{"0 ended", "2 ended", "3 ended"})) << "nothing of theirs is lost";
}

TEST(Jobs, OneWithoutMemoryStopsNoOther) {
  Found found;
  const std::string message = message_of<RuntimeFailure>([&] {
    run_jobs(
        jobs_of(3), {},
        [](std::size_t i, const RunOptions&) -> JobEnd {
          if (i == 0) throw std::bad_alloc();
          return {ExitReason::max_sequences, "ended"};
        },
        found.done());
  });
  EXPECT_EQ(message, "job0: out of memory");
  EXPECT_EQ(found.all, (std::vector<std::string>{"1 ended", "2 ended"}));
}

TEST(Jobs, AfterAnErrorNoOtherBegins) {
  Found found;
  const std::string message = message_of<ArgumentError>([&] {
    run_jobs(
        jobs_of(3), {},
        [](std::size_t i, const RunOptions&) -> JobEnd {
          if (i == 1) fail<ArgumentError>("--x", "is wrong");
          return {ExitReason::max_sequences, "ended"};
        },
        found.done());
  });
  EXPECT_EQ(message, "job1: [--x] is wrong");
  EXPECT_EQ(found.all, (std::vector<std::string>{"0 ended"}));
}

TEST(Jobs, AnErrorAfterASignalStaysAnErrorAndNamesItsJob) {
  std::atomic<int> signal = 0;
  JobsOptions how{.signal = &signal};
  how.progress = [&](const JobsProgress&) { signal = SIGTERM; };
  const auto run_one = [&](const std::function<void()>& work) {
    signal = 0;
    return run_jobs(
        {{"first", 10}}, how,
        [&](std::size_t, const RunOptions& options) -> JobEnd {
          options.progress(at(5));
          EXPECT_EQ(options.signal->load(), SIGTERM) << "the answer to its progress says so";
          work();
          return {};
        },
        [](std::size_t, const JobEnd&) {});
  };
  EXPECT_EQ(message_of<FileError>([&] { run_one([] { fail<FileError>("a.h5", "is damaged"); }); }),
            "first: [a.h5] is damaged");
  EXPECT_EQ(message_of<RuntimeFailure>([&] { run_one([] { throw std::runtime_error("lost"); }); }), "first: lost");
  EXPECT_EQ(run_one([] { fail<Stopped>("evaluate", "stopped by a signal"); }), 75);
}

TEST(Jobs, AStoppedOneSaysHowFarItCameAndNoOtherBegins) {
  std::atomic<int> signal = 0;
  JobsOptions how{.jobs = 2, .signal = &signal};
  how.progress = [&](const JobsProgress&) { signal = SIGINT; };
  Found found;
  const int code = run_jobs(
      jobs_of(4), how,
      [](std::size_t, const RunOptions& options) -> JobEnd {
        options.progress(at(5));
        for (int i = 0; i < 1000 && *options.signal == 0; ++i)
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return {*options.signal == SIGINT ? ExitReason::interrupted : ExitReason::max_sequences, "at 5"};
      },
      found.done());
  EXPECT_EQ(code, 130);
  EXPECT_EQ(found.all, (std::vector<std::string>{"0 at 5", "1 at 5"}));
  EXPECT_EQ(run_jobs(
                jobs_of(1), {.signal = &signal}, [](std::size_t, const RunOptions&) -> JobEnd { return {}; },
                [](std::size_t, const JobEnd&) { ADD_FAILURE() << "none begins"; }),
            130);
}

TEST(Jobs, WhatWasTrainedBeforeSaysNothingOfTheSpeed) {
  JobsOptions how;
  std::vector<JobsProgress> shown;
  how.progress = [&](const JobsProgress& p) { shown.push_back(p); };
  run_jobs(
      {{"resumed", 1000}, {"new", 1000}}, how,
      [&](std::size_t i, const RunOptions& options) -> JobEnd {
        if (i == 0) options.progress(at(900, 800));
        return {};
      },
      [](std::size_t, const JobEnd&) {});
  ASSERT_GE(shown.size(), 2u);
  EXPECT_EQ(shown[0].sequences, 900u);
  EXPECT_DOUBLE_EQ(shown[0].eta, shown[0].seconds * 1100 / 100);
  EXPECT_DOUBLE_EQ(shown[1].eta, shown[1].seconds * 1000 / 200);
}

TEST(Jobs, GoWhereTheirCallerIsKilled) {
  Folder folder;
  const pid_t caller = ::fork();
  ASSERT_GE(caller, 0);
  if (caller == 0) {
    run_jobs(
        jobs_of(1), {},
        [&](std::size_t, const RunOptions&) -> JobEnd {
          write_file(folder / "process", std::to_string(::getpid()));
          while (true) ::pause();
        },
        [](std::size_t, const JobEnd&) {});
    ::_exit(0);
  }
  std::string process;
  for (int i = 0; i < 500 && process.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    process = read_file(folder / "process");
  }
  ::kill(caller, SIGKILL);
  ::waitpid(caller, nullptr, 0);
  ASSERT_FALSE(process.empty());
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const std::string state = read_file("/proc/" + process + "/stat");
    gone = state.empty() || state.find(") Z") != std::string::npos;
  }
  EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace mneme::experiments
