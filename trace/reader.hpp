// Room: trace. Reads traces: the layout, committed episodes one by one, and the checks and dumps of `mneme trace`.
//
// For: replay, tools. Opens finished files and the .part of a killed or running writer alike.
// Invariants: only committed episodes are shown; whatever is wrong with a file is a FileError that names it.
#pragma once

#include "trace/schema.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

namespace mneme::trace {

/// Sequences from this number on are held out: those of the test, which no training ever sees (kTestNumbers of tasks/).
inline constexpr std::int64_t kHeldOut = std::int64_t{1} << 40;
/// What a person calls a sequence: "sequence:1200" of training, "held-out:7" of the test.
std::string sequence_name(std::int64_t sequence);

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path);
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  const std::string& path() const;
  const Layout& layout() const;        ///< holds only what the file holds
  const std::string& version() const;  ///< schema version of the file
  std::size_t episodes() const;        ///< committed ones
  std::size_t steps() const;           ///< of the committed episodes
  std::size_t step_count(std::size_t i) const;
  bool complete() const;  ///< closed in an orderly way
  bool budget_exhausted() const;
  /// The i-th episode of the file (not its id). ArgumentError when there is none.
  Episode episode(std::size_t i) const;
  void episode(std::size_t i, Episode& into) const;  ///< reuses the buffers
  /// Without step, weight and memory columns: id, sequence, seed, loss, error, correct, steps, params.
  Episode summary(std::size_t i) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Everything wrong with the file, one sentence each, naming dataset, episode and step; empty = sound.
/// FileError only when it cannot be opened as a trace at all.
std::vector<std::string> check(const std::filesystem::path& path);

struct Info {
  std::string path, version;
  Layout layout;
  std::size_t episodes = 0, steps = 0;
  bool complete = false, budget_exhausted = false;
  std::uint64_t file_bytes = 0;
  struct Item {
    std::string name, type;
    std::vector<std::size_t> dims;
    std::uint64_t stored_bytes = 0;
  };
  std::vector<Item> datasets;
};
Info info(const std::filesystem::path& path);
void print_info(const Info& info, std::ostream& out);
std::string info_json(const Info& info);

/// One episode as text: its row of the table, then step by step phase, argmax, entropy and scalar parameters.
void show_episode(const Reader& reader, std::size_t i, std::ostream& out);

/// Tidy CSV (one observation a line) in `folder`: episodes, steps, weights, values, memory, io; where there are any,
/// items, and names of tokens and classes. Written beside, then renamed. `episodes` are indices; {} = all. Returns the
/// files.
std::vector<std::filesystem::path> export_csv(const Reader& reader, const std::filesystem::path& folder,
                                              const std::vector<std::size_t>& episodes = {});

/// Copies the committed episodes of a trace (complete or not) into a new complete file. Returns how many.
std::size_t repair(const std::filesystem::path& source, const std::filesystem::path& destination);

}  // namespace mneme::trace
