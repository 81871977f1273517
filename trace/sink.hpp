// Room: trace. Writes a run's episodes into numbered trace files, safe against kills and a full disk.
//
// For: experiments, once per traced episode. Sink("DIR/traces/train.trace.h5", ...) writes train.000.trace.h5,
// train.001.trace.h5, ...; the newest is named .part until it is closed.
// Invariants: an episode counted by committed() is on disk, whole, and readable without repair whatever happens next; a
// file under its final name is never rewritten; existing files are never touched but to finish the name of a .part that
// a killed run left behind.
// Requires: one thread; one process per path (a second one is refused).
#pragma once

#include "trace/schema.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mneme::trace {

struct SinkOptions {
  std::uint64_t budget_bytes = 0;                     ///< for all files of this path, older ones included; 0 = no limit
  std::uint64_t rotate_bytes = 512ull * 1024 * 1024;  ///< a new file is begun past this size; 0 = never
  std::size_t chunk_steps = 64;                       ///< steps that are compressed and written at once
  std::int64_t first_episode = 0;                     ///< id of the first episode
  std::function<void(const std::string&)> notice;     ///< told once: the budget is used up; an old .part was finished
};

class Sink {
 public:
  /// Layout::level is the level. Finishes what a killed run left under this path, then starts the next free number.
  Sink(const std::filesystem::path& path, Layout layout, SinkOptions options = {});
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  /// Who did not come to close() did not come to the end: what was taken is written, but not marked complete.
  ~Sink();

  /// Takes one episode, sizes as the layout says (else ArgumentError names the column and nothing is taken).
  /// False when the budget is used up or an earlier write failed. A full disk, or no memory: RuntimeFailure, once.
  bool append(const Episode& episode);

  /// Puts every episode taken so far on disk, at the price of padding rows up to the next chunk. Call it when a
  /// checkpoint is written, so that a run resumed from there misses no episode.
  void flush(bool sync = false);

  /// Commits the rest, marks the file complete, fsync, final name. Nothing may be appended after it.
  void close();

  const Layout& layout() const;
  std::int64_t appended() const;          ///< episodes taken
  std::int64_t committed() const;         ///< episodes safe on disk
  bool exhausted() const;                 ///< the size budget is used up
  bool broken() const;                    ///< a write failed; the committed episodes stay in the .part
  std::filesystem::path current() const;  ///< the .part being written; empty = none
  const std::vector<std::filesystem::path>& files() const;  ///< finished by this sink

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The finished files and the .part of a path, in order of their numbers. For tools that are given a run.
std::vector<std::filesystem::path> trace_files(const std::filesystem::path& path);

}  // namespace mneme::trace
