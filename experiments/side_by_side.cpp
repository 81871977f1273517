// Room: experiments. Jobs in threads, their notices, progress and ends put in order.
#include "experiments/side_by_side.hpp"

#include "core/error.hpp"
#include "core/stopped.hpp"
#include "experiments/run/workers.hpp"
#include "trace/hdf5.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <numeric>

namespace mneme::experiments {

namespace {

/// Throws the error being handled again, of the same kind, with the job's name before its message.
[[noreturn]] void rethrow_from(const std::string& job) {
  const auto named = [&](const Error& e) { return job + ": " + e.what(); };
  try {
    throw;
  } catch (const ArgumentError& e) {
    throw ArgumentError(named(e));
  } catch (const FileError& e) {
    throw FileError(named(e));
  } catch (const NonFiniteError& e) {
    throw NonFiniteError(named(e));
  } catch (const InvariantError& e) {
    throw InvariantError(named(e));
  } catch (const RuntimeFailure& e) {
    throw RuntimeFailure(named(e));
  } catch (const std::bad_alloc&) {
    throw RuntimeFailure(job + ": out of memory");
  } catch (const std::exception& e) {
    throw RuntimeFailure(job + ": " + e.what());
  }
}

}  // namespace

int run_side_by_side(const std::vector<Job>& jobs, const SideBySide& how,
                     const std::function<ExitReason(std::size_t, const RunOptions&)>& work,
                     const std::function<void(std::size_t)>& done) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  std::mutex mutex;  // of all below, and of the caller's functions
  std::vector<std::uint64_t> reached(jobs.size(), 0);
  std::uint64_t read = 0;  // trained before this call: nothing to judge the speed by
  std::vector<char> trained(jobs.size(), 0), ended(jobs.size(), 0);
  std::vector<int> codes(jobs.size(), 0);
  std::size_t handed_over = 0;
  bool halt = false;
  SideBySideProgress p;
  p.jobs = jobs.size();
  for (const Job& job : jobs) p.max_sequences += job.sequences;

  const auto show = [&] {
    if (!how.progress) return;
    p.done = static_cast<std::size_t>(std::count(ended.begin(), ended.end(), 1));
    p.sequences = std::accumulate(reached.begin(), reached.end(), std::uint64_t{0});
    p.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const std::uint64_t here = p.sequences - read;
    const auto left = static_cast<double>(p.max_sequences - p.sequences);
    p.eta = here ? p.seconds * left / static_cast<double>(here) : 0;
    how.progress(p);
  };
  const auto stop_code = [&] {
    const int number = how.signal ? how.signal->load() : 0;
    return number ? exit_code(stop_reason(number)) : 0;
  };
  const auto run = [&](std::size_t i) {
    {
      const std::lock_guard lock(mutex);
      if (halt || (how.signal && how.signal->load() != 0)) {
        codes[i] = stop_code();
        halt = true;
        return;
      }
    }
    RunOptions options;
    options.threads = how.threads;
    options.signal = how.signal;
    options.milestones = false;  // of many runs they are noise
    options.progress_seconds = how.progress_seconds;
    options.notice = [&, i](const std::string& text) {
      const std::lock_guard lock(mutex);
      if (how.notice) how.notice(jobs[i].name + ": " + text);
    };
    options.progress = [&, i](const Progress& now) {
      const std::lock_guard lock(mutex);
      reached[i] = std::min(now.sequences, jobs[i].sequences);
      if (!trained[i]) read += std::min(now.begun, jobs[i].sequences);
      trained[i] = 1;
      p.name = jobs[i].name;
      p.loss = now.averaged ? std::optional<double>(now.loss) : std::nullopt;
      p.at_most = p.at_most || now.at_most;
      show();
    };
    try {
      const ExitReason reason = work(i, options);
      const std::lock_guard lock(mutex);
      const bool over =
          reason == ExitReason::solved || reason == ExitReason::max_sequences || reason == ExitReason::diverged;
      if (!over) {
        codes[i] = exit_code(reason);
        halt = true;
        return;
      }
      reached[i] = jobs[i].sequences;
      if (!trained[i]) read += jobs[i].sequences;
      ended[i] = 1;
      for (; handed_over < jobs.size() && ended[handed_over]; ++handed_over) done(handed_over);
      show();
    } catch (const Stopped&) {
      // An evaluation that a signal ended: the run itself is whole on disk.
      const std::lock_guard lock(mutex);
      halt = true;
      codes[i] = stop_code();
    } catch (...) {
      {
        const std::lock_guard lock(mutex);
        halt = true;
      }
      rethrow_from(jobs[i].name);
    }
  };
  int at_a_time = std::min(how.jobs, static_cast<int>(std::max<std::size_t>(jobs.size(), 1)));
  if (at_a_time > 1 && !trace::library_is_threadsafe()) {
    if (how.notice) how.notice("this HDF5 library is not built for threads: one run at a time");
    at_a_time = 1;
  }
  Workers workers(at_a_time);
  workers.run(jobs.size(), [&](std::size_t i, std::size_t) { run(i); });
  const auto stopped = std::find_if(codes.begin(), codes.end(), [](int code) { return code != 0; });
  return stopped == codes.end() ? 0 : *stopped;
}

}  // namespace mneme::experiments
