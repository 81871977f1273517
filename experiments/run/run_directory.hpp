// Room: experiments. A run's folder, and the files of it that are text: config.ini, run.json, metrics.jsonl,
// evaluations.jsonl, log.txt, DONE (docs/run_format.md).
//
// Invariants: config.ini, run.json and DONE are replaced whole; the .jsonl and log.txt only grow, by whole lines. One
// process writes in a folder at a time: it holds DIR/lock. Errors: RuntimeFailure naming the file.
#pragma once

#include "experiments/config/config.hpp"
#include "experiments/run/checkpoint.hpp"
#include "tasks/task.hpp"

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mneme::experiments {

/// Of a folder of restarts (experiments/compare/restarts.hpp).
inline constexpr const char* kRestartsFile = "restarts.json";
/// Whether a folder holds restarts.
bool holds_restarts(const std::filesystem::path& directory);
/// restarts.json with its keys `config`, `chosen` and `runs` as they must be. FileError where it is damaged.
nlohmann::ordered_json read_restarts(const std::filesystem::path& directory);
/// A run's folder as it is; of a folder of restarts, that of the chosen one. ArgumentError where none is chosen yet.
std::filesystem::path chosen_run(const std::filesystem::path& directory);

/// Whether a folder is a run's: it holds its config.ini, and what a start makes beside it.
bool holds_run(const std::filesystem::path& directory);
/// ArgumentError where a folder holds a run or restarts already, or checkpoints, traces or evaluations of one, or is a
/// file.
void refuse_used_directory(const std::filesystem::path& directory);

/// DIR/lock, held (flock) while this lives. RuntimeFailure where another process holds it.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& directory);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  int fd_ = -1;
};

/// A run's folder, opened once and held: nobody else trains in it while this lives.
class RunFolder {
 public:
  /// A new run's: made, locked, and only then written to. Of two at once one is refused and changes nothing. What a
  /// killed start left before its config.ini is taken over. ArgumentError where a run or restarts are there.
  static RunFolder create(const std::filesystem::path& directory, const Config& config);
  /// That of a run that is there. ArgumentError where it is none.
  static RunFolder open(const std::filesystem::path& directory);
  const std::filesystem::path& path() const { return path_; }
  const Config& config() const { return config_; }  ///< as config.ini has it
  void write(const Config& config);                 ///< into config.ini

 private:
  RunFolder(std::filesystem::path path, FolderLock lock, Config config)
      : path_(std::move(path)), lock_(std::move(lock)), config_(std::move(config)) {}
  std::filesystem::path path_;
  FolderLock lock_;
  Config config_;
};

/// How two configurations differ in what may not change while a run goes on: "train.batch is 4 in A and 2 in B, and 3
/// more differ", A and B being the names given. "" where they do not.
std::string difference(const Config& a, const std::string& a_name, const Config& b, const std::string& b_name);
/// What a configuration has for resumable_keys().
std::vector<Assignment> resumable_items(const Config& config);
/// `before` with `given` on top, which must be resumable_keys() or paths.
Config resumed_config(const Config& before, const std::vector<Assignment>& given);
/// A run's configuration as config.ini has it. ArgumentError where it is no run's folder.
Config read_run_config(const std::filesystem::path& run);

/// A file of one JSON object a line, locked while this lives: metrics.jsonl (which versions before DIR/lock look at),
/// evaluations.jsonl.
class LineLog {
 public:
  /// RuntimeFailure where another process holds it, unless it is to `wait` for it.
  LineLog(const std::filesystem::path& path, bool wait);
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;
  ~LineLog();
  std::uint64_t bytes() const { return bytes_; }
  /// One line, its newline included, on disk whole or not at all.
  void append(std::string_view line);
  /// Forgets what lies past `bytes`. False where the file is shorter than that already.
  bool cut(std::uint64_t bytes);
  void sync();

 private:
  [[noreturn]] void fail_with(const char* what) const;
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t bytes_ = 0;
};

/// Appends "time text" to log.txt. A full disk is not worth ending a run for: never throws.
void append_log(const std::filesystem::path& run, std::string_view text) noexcept;

/// Appends a whole line to DIR/evaluations.jsonl. RuntimeFailure where it cannot be written.
void append_evaluation(const std::filesystem::path& run, const std::string& line);

/// What run.json says besides the state.
struct RunRecord {
  std::vector<std::string> argv;  ///< of this start
  int threads = 1;
  std::string started_utc;           ///< of this start
  std::uint64_t from_sequences = 0;  ///< where it went on
  std::vector<std::string> before;   ///< the starts before it, each as its JSON text
  std::string exit_reason = "running";
  std::string message;
  std::size_t parameters = 0;
};
/// The starts before, where run.json can be read.
void continue_record(const std::filesystem::path& run, RunRecord& record);
/// Digest of the names of a task's tokens and classes, in order: what their numbers mean to a model's weights.
std::string task_fingerprint(const Task& task);
/// ArgumentError where the task is no longer the one that run.json was written with: its training data are others. Of
/// runs of versions before data_digest the words and answers are compared; where run.json does not say, all passes.
void check_task(const std::filesystem::path& run, const Config& config, const Task& task);
/// ArgumentError where a checkpoint is of another configuration or other training data than the run in whose folder it
/// lies: somebody put it there, or edited config.ini. Of versions before data_digest only the configuration is
/// compared.
void require_same_run(const std::filesystem::path& run, const Config& config, const Task& task,
                      const CheckpointInfo& found);
void write_run_json(const std::filesystem::path& run, const Config& config, const Task& task, const RunRecord& record,
                    const RunState& state);

}  // namespace mneme::experiments
