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
#include <utility>
#include <vector>

namespace mneme::trace {

class File;

/// What the writer derived from an episode, and the rows of the scales that it owns.
struct Derived {
  std::vector<std::int32_t> step;                 ///< [steps]
  std::vector<std::vector<float>> entropy;        ///< [sites] of [steps]
  std::vector<std::vector<std::int32_t>> argmax;  ///< [sites] of [steps]
  std::vector<std::int64_t> token_begin;          ///< [items]
  std::vector<std::int64_t> item_row, token_row;  ///< [items], [tokens of all items]
  std::vector<std::int64_t> edge_row;             ///< [edges]
};

/// Sequences from this number on are held out: those of the test, which no training ever sees (kTestNumbers of tasks/).
inline constexpr std::int64_t kHeldOut = std::int64_t{1} << 40;
/// What a person calls a sequence: "sequence:1200" of training, "held-out:7" of the test.
std::string sequence_name(std::int64_t sequence);
/// The error to so many digits; "-" where training diverged before there was one.
std::string error_text(const Episode& episode, int digits);

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
  /// Of an episode that was just read into `episode`. FileError where such a dataset is missing or misshapen.
  void derived(std::size_t i, const Episode& episode, Derived& into) const;
  /// Rows of the step axis, or of the keyframe axis, that the i-th episode owns.
  std::pair<std::size_t, std::size_t> rows(std::size_t i, bool of_keyframes) const;
  const File& file() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Judges a trace while somebody reads it, so that the file is read once.
class Checker {
 public:
  explicit Checker(const Reader& reader);  ///< attributes, tables, scales and texts; the reader outlives it
  ~Checker();
  /// Reads the i-th episode and judges all of its numbers. FileError where it cannot be read, which take() tells too.
  void read(std::size_t i, Episode& into);
  /// Everything wrong, one sentence each, naming dataset, episode and step (or row); empty = sound. With `rest`, all
  /// rows that no episode owns are read before, for their checksums.
  std::vector<std::string> take(bool rest = true);
  /// What is no fault, but worth knowing: data without checksums.
  const std::vector<std::string>& remarks() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct Findings {
  std::vector<std::string> problems;  ///< one sentence each, as Checker::take()
  std::vector<std::string> remarks;
};
/// Reads all of a trace once. FileError only when it cannot be opened as a trace at all.
Findings examine(const std::filesystem::path& path);
std::vector<std::string> check(const std::filesystem::path& path);  ///< examine()'s problems

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
/// items, fields, and names of tokens and classes. Step -1 is what stood before the first step: weights, and values
/// that are a site's state. Written beside, then renamed. `episodes` are indices; {} = all. Returns the files.
/// ArgumentError where one of these tables exists, unless `force`, which removes those that this trace does not have.
std::vector<std::filesystem::path> export_csv(const Reader& reader, const std::filesystem::path& folder,
                                              const std::vector<std::size_t>& episodes = {}, bool force = false);

/// Copies the committed episodes of a trace (complete or not) into a new complete file, whose attribute `repaired_from`
/// names the source. Returns how many. ArgumentError where the destination exists, unless `force`; and where its part
/// does, be it the source or not: nothing is lost.
std::size_t repair(const std::filesystem::path& source, const std::filesystem::path& destination, bool force = false);
/// Whether a trace is such a copy; false where it cannot be opened.
bool is_repaired_copy(const std::filesystem::path& path);

}  // namespace mneme::trace
