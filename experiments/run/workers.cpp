// Room: experiments. The threads of a run.
#include "experiments/run/workers.hpp"

#include "autodiff/products.hpp"
#include "core/error.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>

namespace mneme::experiments {

namespace {

constexpr std::size_t kBlasRoom = std::size_t{136} << 20;  // OpenBLAS 0.3.21's buffer of a thread: 128 MB and a bit

/// OpenBLAS asks for a buffer again and again, for ever, where a limit on the process (ulimit -v) leaves no room for
/// it.
bool room_for_blas(std::size_t threads) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return true;
  void* all = ::mmap(nullptr, threads * kBlasRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) return false;
  ::munmap(all, threads * kBlasRoom);
  return true;
}

}  // namespace

Workers::Workers(int threads) {
  use_one_blas_thread();  // two threads inside the BLAS change bits, and spin on a busy machine
  const auto n = static_cast<std::size_t>(std::max(threads, 1));
  errors_.resize(n);
  error_jobs_.resize(n);
  try {
    threads_.reserve(n - 1);
    for (std::size_t w = 1; w < n; ++w) threads_.emplace_back([this, w] { loop(w); });
  } catch (const std::exception& e) {
    const std::size_t begun = count();
    stop();
    fail<RuntimeFailure>("threads", "{} of {} begin, and no more: {}; ask for fewer", begun, n, e.what());
  }
  if (room_for_blas(n)) return;
  stop();
  fail<RuntimeFailure>("threads", "{} of them need {} MB of addresses each, and a limit on this process leaves fewer",
                       n, kBlasRoom >> 20);
}

Workers::~Workers() {
  stop();
}

void Workers::stop() {
  stop_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void Workers::work(std::size_t worker) {
  for (std::size_t job; (job = next_.fetch_add(1, std::memory_order_relaxed)) < jobs_;) {
    try {
      call_(f_, job, worker);
    } catch (...) {
      // A later job's error of the same worker is never looked at: jobs come in order.
      if (!errors_[worker]) {
        errors_[worker] = std::current_exception();
        error_jobs_[worker] = job;
      }
    }
  }
}

void Workers::loop(std::size_t worker) {
  for (std::uint32_t seen = 0;;) {
    round_.wait(seen, std::memory_order_acquire);
    ++seen;  // run_raw waits for every thread, so none can miss a round
    if (stop_) return;
    work(worker);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

void Workers::run_raw(std::size_t jobs, Call call, void* f) {
  jobs_ = jobs;
  call_ = call;
  f_ = f;
  next_.store(0, std::memory_order_relaxed);
  const bool together = !threads_.empty() && jobs > 1;
  if (together) {
    busy_.store(static_cast<std::uint32_t>(threads_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }
  work(0);
  if (together)
    for (std::uint32_t left; (left = busy_.load(std::memory_order_acquire)) != 0;) busy_.wait(left);
  std::size_t first = jobs;
  std::exception_ptr error;
  for (std::size_t w = 0; w < errors_.size(); ++w) {
    if (!errors_[w]) continue;
    if (error_jobs_[w] < first) {
      first = error_jobs_[w];
      error = errors_[w];
    }
    errors_[w] = nullptr;
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace mneme::experiments
