// Room: experiments. The files of a run's folder that are text: config.ini, run.json, metrics.jsonl, log.txt, DONE.
//
// Invariants: config.ini, run.json and DONE are replaced whole; metrics.jsonl and log.txt only grow, by whole lines.
// One process trains in a folder at a time: metrics.jsonl is locked while a MetricsLog lives. Errors: RuntimeFailure
// naming the file.
#pragma once

#include "experiments/checkpoint.hpp"
#include "experiments/config.hpp"
#include "tasks/task.hpp"

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mneme::experiments {

/// Of a folder of restarts (experiments/restarts.hpp).
inline constexpr const char* kRestartsFile = "restarts.json";
/// Whether a folder holds restarts.
bool holds_restarts(const std::filesystem::path& directory);
/// restarts.json with its keys `config`, `chosen` and `runs` as they must be. FileError where it is damaged.
nlohmann::json read_restarts(const std::filesystem::path& directory);
/// A run's folder as it is; of a folder of restarts, that of the chosen one. ArgumentError where none is chosen yet.
std::filesystem::path chosen_run(const std::filesystem::path& directory);

/// ArgumentError where a folder holds a run or restarts already, or is a file.
void refuse_used_directory(const std::filesystem::path& directory);
/// Makes the folder of a new run and writes its config.ini. ArgumentError where it holds a run already.
void create_run_directory(const std::filesystem::path& run, const Config& config);
/// What a configuration has for resumable_keys().
std::vector<Assignment> resumable_items(const Config& config);
/// `before` with `given` on top, which must be resumable_keys().
Config resumed_config(const Config& before, const std::vector<Assignment>& given);
/// A run's configuration with `given` on top, as resumed_config(). ArgumentError where it is no run's folder.
Config read_run_config(const std::filesystem::path& run, const std::vector<Assignment>& given);

/// metrics.jsonl.
class MetricsLog {
 public:
  explicit MetricsLog(const std::filesystem::path& run);
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;
  ~MetricsLog();
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

/// What run.json says besides the state.
struct RunRecord {
  std::vector<std::string> argv;
  int threads = 1;
  std::string started_utc;  ///< of the first start
  int starts = 1;
  std::string exit_reason = "running";
  std::string message;
  std::size_t parameters = 0;
};
/// Start time and count of an earlier start, where run.json can be read.
void continue_record(const std::filesystem::path& run, RunRecord& record);
/// Digest of the names of a task's tokens and classes, in order: what their numbers mean to a model's weights.
std::string task_fingerprint(const Task& task);
/// ArgumentError where the task is no longer the one that run.json was written with: its data, on disk, are others.
/// Runs of older versions, which do not say, pass.
void check_task(const std::filesystem::path& run, const Config& config, const Task& task);
void write_run_json(const std::filesystem::path& run, const Config& config, const Task& task, const RunRecord& record,
                    const RunState& state);

}  // namespace mneme::experiments
