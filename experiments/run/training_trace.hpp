// Room: experiments. The traces that a training run writes: its own sequences, and those that made it diverge.
//
// A trace that cannot be made or written (budget, disk, memory) ends the tracing with a notice, never the training; its
// file is then not marked complete.
#pragma once

#include "experiments/run/session.hpp"
#include "trace/sink.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace mneme::experiments {

class TrainingTrace {
 public:
  using Notice = std::function<void(const std::string&)>;
  /// `sequences`: where the run stands. Sequences that an earlier start has traced past that point are not traced
  /// again.
  TrainingTrace(const Config& config, Session& session, const std::filesystem::path& run, std::uint64_t sequences,
                Notice notice);

  /// After each step.
  void take(Session& session);
  /// Before each checkpoint: a run resumed from it misses no episode.
  void flush();
  void close();

  /// For Session::explain, made when it is asked for; null where it cannot be. Then write_divergence() puts what it
  /// recorded into traces/diverged.*.trace.h5.
  Recorder* divergence_recorder();
  void write_divergence();

 private:
  /// f(), or a notice of its error and `what_now`, and false.
  template <class F>
  bool attempt(F f, const char* what_now);
  template <class F>
  void guarded(F f);

  std::filesystem::path folder_;
  Notice notice_;
  Session* session_;
  std::uint64_t started_at_;
  trace::Layout divergence_layout_;
  std::optional<Recorder> divergence_;
  std::unique_ptr<trace::Sink> sink_;
};

/// Id of the next episode and the highest sequence among what is committed under a sink's path; `highest` = -1: none.
struct TracedSoFar {
  std::int64_t next_id = 0;
  std::int64_t highest = -1;
};
TracedSoFar traced_so_far(const std::filesystem::path& path);

}  // namespace mneme::experiments
