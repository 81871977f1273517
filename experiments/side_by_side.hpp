// Room: experiments. Runs side by side: a list of jobs, some at a time in threads of this process, one line of
// progress.
//
// Jobs share nothing but the disk, so no bit of any depends on how many run at once. What is done is handed over in the
// order of the list. Once a job was stopped from outside, or failed, no other begins; those under way go on to their
// end (or to their own stop).
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

struct SideBySideProgress {
  std::size_t done = 0, jobs = 0;
  std::uint64_t sequences = 0, max_sequences = 0;  ///< of all jobs; one that ended counts as whole
  double seconds = 0, eta = 0;                     ///< of this call; 0 = unknown
  bool at_most = false;                            ///< a job ends earlier where it is solved
  std::string name;                                ///< the job that reported last
  std::optional<double> loss;                      ///< its training loss, once there is one
};

struct SideBySide {
  int jobs = 1;     ///< at a time
  int threads = 1;  ///< of each
  const std::atomic<int>* signal = nullptr;
  double progress_seconds = 0.1;
  std::function<void(const std::string&)> notice = {};  ///< begins with the job's name
  std::function<void(const SideBySideProgress&)> progress = {};
};

/// work(job, options) trains with these options (out and argv are left to it) and returns how it ended, in one of the
/// threads; done(job) follows one at a time in the order of the list. Returns 0, or the exit code of the first job that
/// was stopped. Throws what the first failed job threw, its name before the message. One job at a time where the HDF5
/// library is not built for threads.
int run_side_by_side(const std::vector<Job>& jobs, const SideBySide& how,
                     const std::function<ExitReason(std::size_t, const RunOptions&)>& work,
                     const std::function<void(std::size_t)>& done);

}  // namespace mneme::experiments
