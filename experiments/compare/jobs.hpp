// Room: experiments. Jobs: a list of runs, some at a time, each in a process of its own; one line of progress.
//
// Jobs share nothing but the disk, so no bit of any depends on how many run at once, and one that dies takes no other
// along. What is done is handed over in the order of the list. Once a job was stopped from outside, or failed, no other
// begins; those under way go on to their end (or to their own stop). A job whose process died or ran out of memory
// stops nothing: the others run, and are handed over, before that is said.
#pragma once

#include "experiments/run/trainer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mneme::experiments {

struct Job {
  std::string name;
  std::uint64_t sequences = 0;  ///< that it trains at most
};

struct JobsProgress {
  std::size_t done = 0, jobs = 0;
  std::uint64_t sequences = 0, max_sequences = 0;  ///< of all jobs; one that ended counts as whole
  double seconds = 0, eta = 0;                     ///< of this call; 0 = unknown
  bool at_most = false;                            ///< a job ends earlier where it is solved
  std::string name;                                ///< the job that reported last
  std::optional<double> loss;                      ///< its training loss, once there is one
};

struct JobsOptions {
  int jobs = 1;     ///< at a time
  int threads = 1;  ///< of each
  const std::atomic<int>* signal = nullptr;
  double progress_seconds = 0.1;
  std::function<void(const std::string&)> notice = {};  ///< begins with the job's name
  std::function<void(const JobsProgress&)> progress = {};
  /// Before the first notice or progress of this call: a job has passed its checks and trains.
  std::function<void()> begun = {};
};

/// How a job ended, and what it found: a text for whoever reads it in the caller's process.
struct JobEnd {
  ExitReason reason = ExitReason::max_sequences;
  std::string found = {};
};

/// work(job, options) trains with these options (out and argv are left to it) in a copy of this process, so what it
/// changes in memory nobody sees: it returns what is to be known. done(job, end) follows in this process, one at a time
/// in the order of the list, also for one that was stopped (end.reason says so). Returns 0, or the exit code of the
/// first job that was stopped. Throws what the first failed job threw, its name before the message. The caller has no
/// other threads. A caller that is killed takes its jobs along.
int run_jobs(const std::vector<Job>& jobs, const JobsOptions& how,
             const std::function<JobEnd(std::size_t, const RunOptions&)>& work,
             const std::function<void(std::size_t, const JobEnd&)>& done);

}  // namespace mneme::experiments
