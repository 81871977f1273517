// Room: experiments. Jobs as processes: what they say comes through a socket, in frames; each progress is answered by
// the number of the signal that asks them to stop, 0 = none.
#include "experiments/compare/jobs.hpp"

#include "core/error.hpp"
#include "core/stopped.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <numeric>

namespace mneme::experiments {

namespace {

// What a frame tells. An error's text begins with its kind.
enum class Says : char { notice = 'n', progress = 'p', end = 'd', error = 'e', stopped = 's' };
enum class Fault : char { argument = 'a', file = 'f', not_finite = 'n', invariant = 'i', runtime = 'r', memory = 'm' };

struct Numbers {
  std::uint64_t sequences, begun;
  double loss;
  bool averaged, at_most;
};

/// False where nobody reads any more.
bool put_all(int to, const char* bytes, std::size_t count) {
  while (count > 0) {
    const ssize_t n = ::send(to, bytes, count, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    count -= static_cast<std::size_t>(n);
  }
  return true;
}

// ---- in the job's process ----

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
std::atomic<int> job_signal = 0;

void note_signal(int number) {
  job_signal = number;
}

void tell(int to, Says what, std::string_view text) {
  std::string frame(1, static_cast<char>(what));
  const auto size = static_cast<std::uint32_t>(text.size());
  frame.append(reinterpret_cast<const char*>(&size), sizeof size);
  frame += text;
  put_all(to, frame.data(), frame.size());
}

void tell_fault(int to, Fault kind, std::string_view message) {
  std::string text(1, static_cast<char>(kind));
  tell(to, Says::error, text += message);
}

[[noreturn]] void be_job(std::size_t i, int to, const JobsOptions& how, pid_t parent,
                         const std::function<JobEnd(std::size_t, const RunOptions&)>& work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before
  RunOptions options;
  options.threads = how.threads;
  options.signal = &job_signal;
  options.milestones = false;  // of many runs they are noise
  options.progress_seconds = how.progress_seconds;
  options.notice = [to](const std::string& text) { tell(to, Says::notice, text); };
  options.progress = [to](const Progress& now) {
    const Numbers n{now.sequences, now.begun, now.loss, now.averaged > 0, now.at_most};
    tell(to, Says::progress, {reinterpret_cast<const char*>(&n), sizeof n});
    char asked = 0;
    while (::read(to, &asked, 1) < 0 && errno == EINTR) {
    }
    if (asked) job_signal = asked;
  };
  try {
    const JobEnd end = work(i, options);
    std::string text(1, static_cast<char>(end.reason));
    tell(to, Says::end, text += end.found);
  } catch (const Stopped&) {
    tell(to, Says::stopped, "");  // an evaluation that a signal ended: the run itself is whole on disk
  } catch (const ArgumentError& e) {
    tell_fault(to, Fault::argument, e.what());
  } catch (const FileError& e) {
    tell_fault(to, Fault::file, e.what());
  } catch (const NonFiniteError& e) {
    tell_fault(to, Fault::not_finite, e.what());
  } catch (const InvariantError& e) {
    tell_fault(to, Fault::invariant, e.what());
  } catch (const std::bad_alloc&) {
    tell_fault(to, Fault::memory, "out of memory");
  } catch (const std::exception& e) {
    tell_fault(to, Fault::runtime, e.what());
  }
  ::_exit(0);  // nothing of the caller's is put away twice
}

// ---- in the caller's ----

[[noreturn]] void throw_fault(Fault kind, const std::string& message) {
  switch (kind) {
    case Fault::argument: throw ArgumentError(message);
    case Fault::file: throw FileError(message);
    case Fault::not_finite: throw NonFiniteError(message);
    case Fault::invariant: throw InvariantError(message);
    default: throw RuntimeFailure(message);
  }
}

struct Child {
  std::size_t job = 0;
  pid_t process = 0;
  int from = -1;
  std::string bytes = {};  // of a frame that is not whole yet
};

class Running {
 public:
  Running(const std::vector<Job>& jobs, const JobsOptions& how,
          const std::function<JobEnd(std::size_t, const RunOptions&)>& work,
          const std::function<void(std::size_t, const JobEnd&)>& done)
      : jobs_(jobs), how_(how), work_(work), done_(done), states_(jobs.size()) {
    progress_.jobs = jobs.size();
    for (const Job& job : jobs) progress_.max_sequences += job.sequences;
  }
  ~Running() {
    for (const Child& c : children_) {
      ::kill(c.process, SIGKILL);
      ::close(c.from);
      ::waitpid(c.process, nullptr, 0);
    }
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  int go() {
    const auto at_a_time = static_cast<std::size_t>(std::max(how_.jobs, 1));
    while (true) {
      const int number = how_.signal ? how_.signal->load() : 0;
      if (number && !told_to_stop_) {
        told_to_stop_ = halt_ = true;
        if (next_ < jobs_.size()) code_of(next_, exit_code(stop_reason(number)));
        for (const Child& c : children_) ::kill(c.process, number);
      }
      while (!halt_ && next_ < jobs_.size() && children_.size() < at_a_time) begin(next_++);
      if (children_.empty()) break;
      listen();
    }
    // Past those that did not end: what others found is not lost with them.
    for (std::size_t i = handed_over_; i < jobs_.size(); ++i)
      if (states_[i].end) done_(i, *states_[i].end);
    for (std::size_t i = 0; i < jobs_.size(); ++i)
      if (!states_[i].message.empty()) throw_fault(states_[i].fault, jobs_[i].name + ": " + states_[i].message);
    for (const State& s : states_)
      if (s.code != 0) return s.code;
    return 0;
  }

 private:
  struct State {
    std::uint64_t reached = 0;
    bool trained = false;
    std::optional<JobEnd> end = {};
    int code = 0;  // of what stopped it
    Fault fault = Fault::runtime;
    std::string message = {};  // of what failed
  };

  void code_of(std::size_t i, int code) {
    if (states_[i].code == 0) states_[i].code = code;
  }

  void begin(std::size_t i) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      fail<RuntimeFailure>(jobs_[i].name, "has no socket: {}", std::strerror(errno));
    std::fflush(nullptr);  // or the job's copy would say it again
    // A signal between fork() and the job's own handlers waits for these.
    sigset_t ours, before;
    ::sigemptyset(&ours);
    for (const int number : kSignals) ::sigaddset(&ours, number);
    ::pthread_sigmask(SIG_BLOCK, &ours, &before);
    const pid_t parent = ::getpid(), process = ::fork();
    if (process == 0) {
      ::close(ends[0]);
      for (const Child& c : children_) ::close(c.from);
      for (const int number : kSignals) std::signal(number, note_signal);
      ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
      be_job(i, ends[1], how_, parent, work_);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::close(ends[1]);
    if (process < 0) {
      ::close(ends[0]);
      fail<RuntimeFailure>(jobs_[i].name, "has no process: {}", std::strerror(errno));
    }
    children_.push_back({i, process, ends[0]});
  }

  void listen() {
    std::vector<pollfd> all;
    for (const Child& c : children_) all.push_back({c.from, POLLIN, 0});
    if (::poll(all.data(), all.size(), 100) <= 0) return;  // a signal, or nothing for a while
    for (std::size_t k = all.size(); k-- > 0;)
      if (all[k].revents && !hear(children_[k])) {
        bury(children_[k]);
        children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(k));
      }
  }

  /// False at the end of what it says.
  bool hear(Child& c) {
    std::array<char, 1 << 16> buffer;
    const ssize_t n = ::read(c.from, buffer.data(), buffer.size());
    if (n < 0) return errno == EINTR;  // ECONNRESET: it died in the middle of a word
    c.bytes.append(buffer.data(), static_cast<std::size_t>(n));
    constexpr std::size_t head = 1 + sizeof(std::uint32_t);
    std::size_t at = 0;
    while (c.bytes.size() - at >= head) {
      std::uint32_t size = 0;
      std::memcpy(&size, c.bytes.data() + at + 1, sizeof size);
      if (c.bytes.size() - at < head + size) break;
      const auto what = static_cast<Says>(c.bytes[at]);
      take(c.job, what, c.bytes.substr(at + head, size));
      if (what == Says::progress) {
        const auto asked = static_cast<char>(how_.signal ? how_.signal->load() : 0);
        put_all(c.from, &asked, 1);
      }
      at += head + size;
    }
    c.bytes.erase(0, at);
    return n > 0;
  }

  void take(std::size_t i, Says what, const std::string& text) {
    State& s = states_[i];
    switch (what) {
      case Says::notice:
        say_begun();
        if (how_.notice) how_.notice(jobs_[i].name + ": " + text);
        break;
      case Says::progress: {
        say_begun();
        Numbers n{};
        std::memcpy(&n, text.data(), sizeof n);
        s.reached = std::min(n.sequences, jobs_[i].sequences);
        if (!s.trained) read_ += std::min(n.begun, jobs_[i].sequences);
        s.trained = true;
        progress_.name = jobs_[i].name;
        progress_.loss = n.averaged ? std::optional<double>(n.loss) : std::nullopt;
        progress_.at_most = progress_.at_most || n.at_most;
        show();
        break;
      }
      case Says::end: ended(i, {static_cast<ExitReason>(text[0]), text.substr(1)}); break;
      case Says::stopped:
        halt_ = true;
        code_of(i, exit_code(stop_reason(how_.signal && *how_.signal ? how_.signal->load() : SIGTERM)));
        break;
      case Says::error:
        s.fault = static_cast<Fault>(text[0]);
        s.message = text.substr(1);
        halt_ = halt_ || s.fault != Fault::memory;
        break;
    }
  }

  void ended(std::size_t i, JobEnd end) {
    State& s = states_[i];
    const bool over = end.reason == ExitReason::solved || end.reason == ExitReason::max_sequences ||
                      end.reason == ExitReason::diverged;
    if (over) {
      s.reached = jobs_[i].sequences;
      if (!s.trained) read_ += jobs_[i].sequences;
      ++progress_.done;
    } else {
      halt_ = true;
      code_of(i, exit_code(end.reason));
    }
    s.end = std::move(end);
    while (handed_over_ < jobs_.size() && states_[handed_over_].end) {
      done_(handed_over_, *states_[handed_over_].end);
      ++handed_over_;
    }
    show();
  }

  /// A process that is gone; one that had not said how it ended has died.
  void bury(const Child& c) {
    ::close(c.from);
    int status = 0;
    while (::waitpid(c.process, &status, 0) < 0 && errno == EINTR) {
    }
    State& s = states_[c.job];
    if (s.end || s.code != 0 || !s.message.empty()) return;
    s.message = WIFSIGNALED(status) ? fmt::format("its process was ended by signal {} ({}){}", WTERMSIG(status),
                                                  ::strsignal(WTERMSIG(status)),
                                                  WTERMSIG(status) == SIGKILL ? "; was memory short?" : "")
                                    : fmt::format("its process ended with {} and said nothing", WEXITSTATUS(status));
    s.message += "; the same command goes on with it";
  }

  void say_begun() {
    if (begun_) return;
    begun_ = true;
    if (how_.begun) how_.begun();
  }

  void show() {
    if (!how_.progress) return;
    JobsProgress& p = progress_;
    p.sequences = std::accumulate(states_.begin(), states_.end(), std::uint64_t{0},
                                  [](std::uint64_t sum, const State& s) { return sum + s.reached; });
    p.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    const std::uint64_t here = p.sequences - read_;
    const auto left = static_cast<double>(p.max_sequences - p.sequences);
    p.eta = here ? p.seconds * left / static_cast<double>(here) : 0;
    how_.progress(p);
  }

  const std::vector<Job>& jobs_;
  const JobsOptions& how_;
  const std::function<JobEnd(std::size_t, const RunOptions&)>& work_;
  const std::function<void(std::size_t, const JobEnd&)>& done_;
  std::vector<State> states_;
  std::vector<Child> children_;
  std::size_t next_ = 0, handed_over_ = 0;
  bool halt_ = false, told_to_stop_ = false, begun_ = false;
  std::uint64_t read_ = 0;  // trained before this call: nothing to judge the speed by
  JobsProgress progress_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

int run_jobs(const std::vector<Job>& jobs, const JobsOptions& how,
             const std::function<JobEnd(std::size_t, const RunOptions&)>& work,
             const std::function<void(std::size_t, const JobEnd&)>& done) {
  return Running(jobs, how, work, done).go();
}

}  // namespace mneme::experiments
