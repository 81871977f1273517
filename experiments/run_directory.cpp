// Room: experiments. The text files of a run's folder.
#include "experiments/run_directory.hpp"

#include "core/error.hpp"
#include "core/quote.hpp"
#include "experiments/environment.hpp"
#include "trace/hdf5.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace mneme::experiments {

namespace fs = std::filesystem;

bool holds_restarts(const fs::path& directory) {
  std::error_code error;
  return fs::exists(directory / kRestartsFile, error);
}

nlohmann::json read_restarts(const fs::path& directory) {
  const fs::path path = directory / kRestartsFile;
  std::ifstream in(path);
  auto j = nlohmann::json::parse(in, nullptr, false);
  const auto is = [&](const char* key, auto type) { return j.contains(key) && (j[key].*type)(); };
  using Value = nlohmann::json;
  if (!j.is_object() || !is("config", &Value::is_string) || !is("runs", &Value::is_array) || j["runs"].empty() ||
      !j["runs"].front().is_object() || !j.contains("chosen") || !(j["chosen"].is_null() || j["chosen"].is_string()))
    fail<FileError>(path.string(), "is no record of restarts: it is damaged or of another program");
  return j;
}

fs::path chosen_run(const fs::path& directory) {
  if (!holds_restarts(directory)) return directory;
  const nlohmann::json j = read_restarts(directory);
  if (j["chosen"].is_null())
    fail<ArgumentError>(directory.string(),
                        "holds restarts of which none is chosen yet: go on with them by --resume {}, or name one, such "
                        "as {}",
                        shell_path(directory.string()),
                        (directory / j["runs"].front().value("directory", std::string("seed1"))).string());
  return directory / j["chosen"].get<std::string>();
}

void refuse_used_directory(const fs::path& directory) {
  std::error_code error;
  for (const char* sign : {"config.ini", "run.json", "metrics.jsonl", kRestartsFile})
    if (fs::exists(directory / sign, error))
      fail<ArgumentError>(directory.string(), "holds {} already: go on with {} by --resume {}, or choose another --out",
                          sign == kRestartsFile ? "restarts" : "a run", sign == kRestartsFile ? "them" : "it",
                          shell_path(directory.string()));
  if (fs::exists(directory, error) && !fs::is_directory(directory, error))
    fail<ArgumentError>(directory.string(), "is a file and no folder");
}

void create_run_directory(const fs::path& run, const Config& config) {
  refuse_used_directory(run);
  std::error_code error;
  for (const char* folder : {"checkpoints", "traces"}) {
    fs::create_directories(run / folder, error);
    if (error) fail<RuntimeFailure>(run.string(), "cannot make the folder '{}': {}", folder, error.message());
  }
  trace::write_text_atomically(run / "config.ini", config.text());
}

std::vector<Assignment> resumable_items(const Config& config) {
  std::vector<Assignment> items;
  for (const auto& [key, value] : config.items())
    if (std::count(resumable_keys().begin(), resumable_keys().end(), key)) items.push_back({key, value, ""});
  return items;
}

Config resumed_config(const Config& before, const std::vector<Assignment>& given) {
  if (given.empty()) return before;
  for (const Assignment& a : given) {
    const auto& keys = resumable_keys();
    if (std::count(keys.begin(), keys.end(), a.key)) continue;
    const auto items = before.items();
    const bool same = std::any_of(items.begin(), items.end(),
                                  [&](const auto& item) { return item.first == a.key && item.second == a.value; });
    if (same) continue;
    std::string all;
    for (const std::string& k : keys) all += (all.empty() ? "" : ", ") + k;
    fail<ArgumentError>(a.origin.empty() ? a.key : a.origin, "{} cannot change when a run is resumed; these can: {}",
                        a.key, all);
  }
  const Config after = before.with(given);
  const std::string& schedule = before.train.text("schedule");
  if ((schedule == "linear" || schedule == "cosine") &&
      before.train.integer("max-sequences") != after.train.integer("max-sequences"))
    fail<ArgumentError>("train.max-sequences", "cannot change when a run is resumed: its schedule '{}' ends there",
                        schedule);
  return after;
}

Config read_run_config(const fs::path& run, const std::vector<Assignment>& given) {
  const fs::path path = run / "config.ini";
  std::error_code error;
  if (!fs::exists(path, error)) {
    const char* what = holds_restarts(run)      ? "holds restarts, not a run: name one of its folders"
                       : fs::exists(run, error) ? "is no run's folder: it has no config.ini"
                                                : "does not exist";
    fail<ArgumentError>(run.string(), "{}", what);
  }
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) fail<RuntimeFailure>(path.string(), "cannot be read");
  return resumed_config(Config::parse(text, path.string()), given);
}

MetricsLog::MetricsLog(const fs::path& run) : path_(run / "metrics.jsonl") {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) fail_with("cannot be opened");
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    fail<RuntimeFailure>(run.string(), "another process is training here");
  }
  bytes_ = static_cast<std::uint64_t>(::lseek(fd_, 0, SEEK_END));
}

MetricsLog::~MetricsLog() {
  if (fd_ >= 0) ::close(fd_);
}

void MetricsLog::fail_with(const char* what) const {
  fail<RuntimeFailure>(path_.string(), "{}: {}", what, std::strerror(errno));
}

void MetricsLog::append(std::string_view line) {
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = n < 0 ? errno : ENOSPC;
      // Half a line would read as damage.
      [[maybe_unused]] const int cut = ::ftruncate(fd_, static_cast<off_t>(bytes_));
      errno = error;
      fail_with("cannot be written");
    }
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  bytes_ += line.size();
}

bool MetricsLog::cut(std::uint64_t bytes) {
  if (bytes > bytes_) return false;
  if (bytes == bytes_) return true;
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail_with("cannot be cut");
  bytes_ = bytes;
  return true;
}

void MetricsLog::sync() {
  if (::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) fail_with("cannot be written");
}

void append_log(const fs::path& run, std::string_view text) noexcept {
  try {
    if (std::FILE* out = std::fopen((run / "log.txt").c_str(), "a")) {
      const std::string line = utc_now() + " " + std::string(text) + "\n";
      std::fwrite(line.data(), 1, line.size(), out);
      std::fclose(out);
    }
  } catch (...) {
  }
}

void continue_record(const fs::path& run, RunRecord& record) {
  std::ifstream in(run / "run.json");
  const auto before = nlohmann::json::parse(in, nullptr, false);
  if (!before.is_object()) return;
  if (before.contains("started_utc") && before["started_utc"].is_string()) record.started_utc = before["started_utc"];
  if (before.contains("starts") && before["starts"].is_number_integer())
    record.starts = before["starts"].get<int>() + 1;
}

std::string task_fingerprint(const Task& task) {
  std::string all;
  for (const auto& names : {task.token_names(), task.class_names()}) {
    all += std::to_string(names.size()) + '\n';
    for (const std::string& name : names) all += name + '\n';
  }
  return hex(hash_bytes(all));
}

void check_task(const fs::path& run, const Config& config, const Task& task) {
  std::ifstream in(run / "run.json");
  const auto j = nlohmann::json::parse(in, nullptr, false);
  if (!j.is_object() || !j.contains("task_fingerprint") || j["task_fingerprint"] == task_fingerprint(task)) return;
  std::string data;
  for (const auto& [key, value] : config.items())
    if (key == "task.data" && !value.empty()) data = value;
  fail<ArgumentError>(
      data.empty() ? run.string() : data,
      "has other words or answers than when {} was trained on it, so their numbers mean others: put the "
      "data back as they were, or train anew",
      data.empty() ? "the run" : run.string());
}

void write_run_json(const fs::path& run, const Config& config, const Task& task, const RunRecord& record,
                    const RunState& s) {
  nlohmann::ordered_json j;
  const auto where_known = [](bool known, auto value) {
    return known ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
  };
  const Metric& metric = task.metrics()[task.solved_metric()];
  const bool evaluated = s.evaluations > 0;
  j["run_id"] = config.run_id(task.data_digest());
  j["config_hash"] = j["run_id"];
  for (const auto& [key, value] : config.items())
    if (key.find('.') == std::string::npos && key != "seed") j[key] = value;
  j["seed"] = config.seed;
  j["task_fingerprint"] = task_fingerprint(task);
  j["data_digest"] = where_known(!task.data_digest().empty(), task.data_digest());
  j["test_digest"] = where_known(!task.test_digest().empty(), task.test_digest());
  j["argv"] = record.argv;
  j["threads"] = record.threads;
  j["started_utc"] = record.started_utc;
  j["written_utc"] = utc_now();
  j["starts"] = record.starts;
  j["exit_reason"] = record.exit_reason;
  j["message"] = record.message;
  j["parameters"] = record.parameters;
  j["sequences"] = s.sequences;
  j["updates"] = s.updates;
  j["seconds"] = s.seconds;
  j["wall_seconds"] = s.wall_seconds;
  j["solved_at_sequences"] = where_known(s.solved, s.solved_at);
  j["solved_at_seconds"] = where_known(s.solved, s.solved_seconds);
  j["sequences_to_0.1"] = where_known(s.tenth, s.tenth_at);
  j["seconds_to_0.1"] = where_known(s.tenth, s.tenth_seconds);
  j["solved_metric"] = metric.name;
  j["solved_threshold"] = task.solved_threshold();
  j["chance"] = task.chance()[task.solved_metric()];
  j["evaluations"] = s.evaluations;
  j["last_evaluation"] = where_known(evaluated, s.last_evaluation);
  j["best_evaluation"] = where_known(evaluated, s.best);
  j["best_at_sequences"] = where_known(evaluated, s.best_at);
  j["peak_memory_mb"] = peak_memory_mb();
  j["environment"] = nlohmann::ordered_json::parse(environment_json());
  trace::write_text_atomically(run / "run.json",
                               j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace mneme::experiments
