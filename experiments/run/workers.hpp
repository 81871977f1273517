// Room: experiments. Workers: a fixed set of threads that run jobs 0..n-1, the caller among them.
//
// Jobs are handed out in order to whoever is free, so results must not depend on who runs which; run() returns when all
// are done and allocates nothing. An exception of a job is thrown again by run(), that of the lowest job. Idle threads
// sleep (after a short spin), so a run with more threads than cores costs no time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

namespace mneme::experiments {

class Workers {
 public:
  /// RuntimeFailure where the system has no room for so many.
  explicit Workers(int threads);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  std::size_t count() const { return threads_.size() + 1; }

  /// f(job, worker) for every job, worker < count().
  template <class F>
  void run(std::size_t jobs, F&& f) {
    run_raw(
        jobs, [](void* g, std::size_t job, std::size_t worker) { (*static_cast<F*>(g))(job, worker); }, &f);
  }

 private:
  using Call = void (*)(void*, std::size_t job, std::size_t worker);
  void run_raw(std::size_t jobs, Call call, void* f);
  void stop();
  void loop(std::size_t worker);
  void work(std::size_t worker);

  std::vector<std::thread> threads_;
  std::atomic<std::uint32_t> round_{0};  ///< a new value: there is work
  std::atomic<std::uint32_t> busy_{0};   ///< threads that have not finished the round
  std::atomic<std::size_t> next_{0};
  std::size_t jobs_ = 0;
  Call call_ = nullptr;
  void* f_ = nullptr;
  bool stop_ = false;
  std::vector<std::exception_ptr> errors_;  ///< by worker
  std::vector<std::size_t> error_jobs_;
};

}  // namespace mneme::experiments
