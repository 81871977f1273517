// Room: experiments. The text files of a run's folder.
#include "experiments/run/run_directory.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "experiments/run/environment.hpp"
#include "trace/hdf5.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <utility>

namespace mneme::experiments {

namespace fs = std::filesystem;

bool holds_restarts(const fs::path& directory) {
  std::error_code error;
  return fs::exists(directory / kRestartsFile, error);
}

Json read_restarts(const fs::path& directory) {
  const fs::path path = directory / kRestartsFile;
  auto j = read_json(path);
  const auto is = [&](const char* key, auto type) { return j.contains(key) && (j[key].*type)(); };
  using Value = Json;
  if (!j.is_object() || !is("config", &Value::is_string) || !is("runs", &Value::is_array) || j["runs"].empty() ||
      !j["runs"].front().is_object() || !j.contains("chosen") || !(j["chosen"].is_null() || j["chosen"].is_string()))
    fail<FileError>(path.string(), "is no record of restarts: it is damaged or of another program");
  return j;
}

fs::path chosen_run(const fs::path& directory) {
  if (!holds_restarts(directory)) return directory;
  const Json j = read_restarts(directory);
  if (j["chosen"].is_null())
    fail<ArgumentError>(directory.string(),
                        "holds restarts of which none is chosen yet: go on with them by --resume {}, or name one, such "
                        "as {}",
                        shell_path(directory.string()),
                        (directory / j["runs"].front().value("directory", std::string("seed1"))).string());
  return directory / j["chosen"].get<std::string>();
}

bool holds_run(const fs::path& directory) {
  std::error_code error;
  const auto has = [&](const char* name) { return fs::exists(directory / name, error); };
  return has("config.ini") && (has("run.json") || has("lock") || has("checkpoints") || has("metrics.jsonl"));
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
  // A new run would take them for its own, and remove them as such.
  for (const char* of_a_run : {"checkpoints", "traces", "evaluations.jsonl"})
    if (const fs::path path = directory / of_a_run; fs::exists(path, error) && !fs::is_empty(path, error))
      fail<ArgumentError>(path.string(), "is left of a run whose config.ini is gone: choose another --out");
}

FolderLock::FolderLock(const fs::path& directory) {
  const fs::path path = directory / "lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) fail<RuntimeFailure>(path.string(), "cannot be opened: {}", std::strerror(errno));
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  ::close(fd_);
  if (error == EWOULDBLOCK) fail<RuntimeFailure>(directory.string(), "another process is training here");
  fail<RuntimeFailure>(path.string(), "cannot be locked: {}", std::strerror(error));
}

FolderLock::FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

RunFolder RunFolder::create(const fs::path& directory, const Config& config) {
  refuse_used_directory(directory);
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail<RuntimeFailure>(directory.string(), "cannot be made: {}", error.message());
  RunFolder folder(directory, FolderLock(directory), config);
  refuse_used_directory(directory);  // by who held the lock a moment ago
  for (const char* inner : {"checkpoints", "traces"}) {
    fs::create_directories(directory / inner, error);
    if (error) fail<RuntimeFailure>(directory.string(), "cannot make the folder '{}': {}", inner, error.message());
  }
  folder.write(config);
  return folder;
}

RunFolder RunFolder::open(const fs::path& directory) {
  read_run_config(directory);  // what is no run gets no lock
  FolderLock lock(directory);
  return {directory, std::move(lock), read_run_config(directory)};
}

void RunFolder::write(const Config& config) {
  trace::write_text_atomically(path_ / "config.ini", config.text());
  config_ = config;
}

namespace {

/// Whether a key may change while a run goes on.
bool may_change(const Config& config, const std::string& key) {
  const auto& keys = resumable_keys();
  return std::count(keys.begin(), keys.end(), key) || is_path(config, key);
}

/// The rate falls until train.max-sequences.
bool ends_with_schedule(const Config& config) {
  const std::string& schedule = config.train.text("schedule");
  return schedule == "linear" || schedule == "cosine";
}

}  // namespace

std::string difference(const Config& a, const std::string& a_name, const Config& b, const std::string& b_name) {
  std::map<std::string, std::string> theirs;
  for (const auto& [key, value] : b.items()) theirs[key] = value;
  std::string first;
  std::size_t more = 0;
  const auto note = [&](const std::string& key, const std::string& here, const std::string& there) {
    if (first.empty())
      first = fmt::format("{} is {} in {} and {} in {}", key, here, a_name, there, b_name);
    else
      ++more;
  };
  for (const auto& [key, value] : a.items()) {
    const auto it = theirs.find(key);
    const std::string there = it == theirs.end() ? "not there" : it->second;
    if (it != theirs.end()) theirs.erase(it);
    if (may_change(a, key) && !(key == "train.max-sequences" && ends_with_schedule(a))) continue;
    if (value != there) note(key, value, there);
  }
  for (const auto& [key, value] : theirs)
    if (!may_change(b, key)) note(key, "not there", value);
  return first + (more ? fmt::format(", and {} more differ{}", more, more == 1 ? "s" : "") : "");
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
    if (may_change(before, a.key)) continue;
    const auto items = before.items();
    const bool same = std::any_of(items.begin(), items.end(),
                                  [&](const auto& item) { return item.first == a.key && item.second == a.value; });
    if (same) continue;
    std::string all;
    for (const auto& [key, value] : items)
      if (may_change(before, key)) all += (all.empty() ? "" : ", ") + key;
    fail<ArgumentError>(a.origin.empty() ? a.key : a.origin, "{} cannot change when a run is resumed; these can: {}",
                        a.key, all);
  }
  const Config after = before.with(given);
  if (ends_with_schedule(before) && before.train.integer("max-sequences") != after.train.integer("max-sequences"))
    fail<ArgumentError>("train.max-sequences", "cannot change when a run is resumed: its schedule '{}' ends there",
                        before.train.text("schedule"));
  return after;
}

Config read_run_config(const fs::path& run) {
  const fs::path path = run / "config.ini";
  std::error_code error;
  if (!fs::exists(path, error)) {
    if (holds_restarts(run)) fail<ArgumentError>(run.string(), "holds restarts, not a run: name one of its folders");
    if (!fs::exists(run, error)) fail<ArgumentError>(run.string(), "does not exist");
    if (!list_checkpoints(run).empty())
      fail<ArgumentError>(run.string(),
                          "has no config.ini any more; each of its checkpoints holds the text of it as /config: write "
                          "that to {}",
                          path.string());
    if (fs::exists(run / "lock", error))
      fail<ArgumentError>(run.string(),
                          "holds a start that was cut off before its config.ini was written: there is nothing to go on "
                          "with and nothing is lost; give the train command again, with --out {}",
                          shell_path(run.string()));
    fail<ArgumentError>(run.string(), "is no run's folder: it has no config.ini");
  }
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) fail<RuntimeFailure>(path.string(), "cannot be read");
  return Config::stored(text, path.string());
}

LineLog::LineLog(const fs::path& path, bool wait) : path_(path) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) fail_with("cannot be opened");
  if (::flock(fd_, wait ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    fail<RuntimeFailure>(path.parent_path().string(), "another process is training here");
  }
  bytes_ = static_cast<std::uint64_t>(::lseek(fd_, 0, SEEK_END));
}

LineLog::~LineLog() {
  if (fd_ >= 0) ::close(fd_);
}

void LineLog::fail_with(const char* what) const {
  fail<RuntimeFailure>(path_.string(), "{}: {}", what, std::strerror(errno));
}

void LineLog::append(std::string_view line) {
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

bool LineLog::cut(std::uint64_t bytes) {
  if (bytes > bytes_) return false;
  if (bytes == bytes_) return true;
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) fail_with("cannot be cut");
  bytes_ = bytes;
  return true;
}

void LineLog::sync() {
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

void append_evaluation(const fs::path& run, const std::string& line) {
  const fs::path path = run / "evaluations.jsonl";
  LineLog log(path, true);
  // A line that a kill or a full disk cut stays by itself.
  std::ifstream in(path, std::ios::binary);
  in.seekg(-1, std::ios::end);
  log.append((log.bytes() > 0 && in.get() != '\n' ? "\n" : "") + line + "\n");
}

void continue_record(const fs::path& run, RunRecord& record) {
  auto before = read_json(run / "run.json");
  if (!before.is_object()) return;
  if (!before.contains("history") || !before["history"].is_array()) {
    // A version that kept the last start alone.
    Json only;
    for (const char* key : {"argv", "threads", "started_utc", "exit_reason", "message", "sequences"})
      if (before.contains(key)) only[key] = before[key];
    before["history"] = {only};
  }
  for (auto& start : before["history"]) {
    if (!start.is_object()) continue;
    if (start.value("exit_reason", "") == "running") start["exit_reason"] = "killed";
    record.before.push_back(start.dump());
  }
}

std::string task_fingerprint(const Task& task) {
  std::string all;
  for (const auto& names : {task.token_names(), task.class_names()}) {
    all += std::to_string(names.size()) + '\n';
    for (const std::string& name : names) all += name + '\n';
  }
  return hex(hash_bytes(all));
}

namespace {

[[noreturn]] void refuse_data(const Config& config, const std::string& what, const std::string& whose) {
  std::string data, key = "task.data";
  for (const auto& [name, value] : config.items())
    if (data.empty() && is_path(config, name) && !value.empty()) data = value, key = name;
  fail<ArgumentError>(data.empty() ? whose : data,
                      "has other {} than {} was trained on: put the data back as they were, or name the folder where "
                      "they are by train --resume DIR --{}",
                      what, data.empty() ? "the run" : whose, key);
}

void check_data(const std::string& digest, const std::string& whose, const Config& config, const Task& task) {
  if (digest == task.data_digest()) return;
  const auto known = [](const std::string& d) { return d.empty() ? "none" : d; };
  refuse_data(config, fmt::format("training data (digest {}, not {})", known(task.data_digest()), known(digest)),
              whose);
}

}  // namespace

void require_same_run(const fs::path& run, const Config& config, const Task& task, const CheckpointInfo& found) {
  const std::string name = found.path.filename().string();
  const Config then = Config::stored(found.config_text, found.path.string() + ": config");
  const std::string differs = difference(config, "config.ini", then, name);
  if (!differs.empty())
    fail<ArgumentError>((run / "config.ini").string(),
                        "{}: a run goes on as it began. Put back what {} says, or train anew with another --out",
                        differs, name);
  const bool older = found.provenance.run_id.empty();  // than the digest of the data
  if (!older) check_data(found.provenance.data_digest, found.path.string(), config, task);
}

void check_task(const fs::path& run, const Config& config, const Task& task) {
  const auto j = read_json(run / "run.json");
  if (!j.is_object()) return;
  if (const auto digest = j.find("data_digest"); digest != j.end()) {
    check_data(digest->is_string() ? digest->get<std::string>() : "", run.string(), config, task);
  } else if (j.contains("task_fingerprint") && j["task_fingerprint"] != task_fingerprint(task)) {
    refuse_data(config, "words or answers", run.string());
  }
}

void write_run_json(const fs::path& run, const Config& config, const Task& task, const RunRecord& record,
                    const RunState& s) {
  Json j;
  const auto where_known = [](bool known, auto value) { return known ? Json(value) : Json(nullptr); };
  const Metric& metric = task.metrics()[task.solved_metric()];
  const auto last = s.evaluation(), best = s.best_evaluation();
  j["run_id"] = config.run_id(task.data_digest());
  j["config_hash"] = j["run_id"];
  for (const auto& [key, value] : config.items())
    if (key.find('.') == std::string::npos && key != "seed") j[key] = value;
  j["seed"] = config.seed;
  j["task_fingerprint"] = task_fingerprint(task);
  j["data_digest"] = where_known(!task.data_digest().empty(), task.data_digest());
  j["test_digest"] = where_known(!task.test_digest().empty(), task.test_digest());
  Json now;
  now["argv"] = record.argv;
  now["threads"] = record.threads;
  now["version"] = build_info().version;
  now["git_rev"] = build_info().git_rev;
  now["started_utc"] = record.started_utc;
  now["from_sequences"] = record.from_sequences;
  now["sequences"] = s.sequences;
  now["exit_reason"] = record.exit_reason;
  now["message"] = record.message;
  auto history = Json::array();
  for (const std::string& start : record.before) history.push_back(parse_json(start));
  history.push_back(now);
  const auto first = [&](const char* key) { return history.front().value(key, now[key]); };
  j["argv"] = first("argv");
  j["threads"] = record.threads;
  j["started_utc"] = first("started_utc");
  j["written_utc"] = utc_now();
  j["starts"] = history.size();
  j["exit_reason"] = record.exit_reason;
  j["message"] = record.message;
  j["parameters"] = record.parameters;
  j["sequences"] = s.sequences;
  j["updates"] = s.updates;
  j["seconds"] = s.seconds;
  j["wall_seconds"] = s.wall_seconds;
  j["solved_at_sequences"] = where_known(s.solved, s.solved_at);
  j["solved_at_seconds"] = where_known(s.solved, s.solved_seconds);
  j["solved_metric"] = metric.name;
  j["solved_threshold"] = task.solved_threshold();
  j["chance"] = task.chance()[task.solved_metric()];
  j["evaluations"] = s.evaluations;
  j["last_evaluation"] = where_known(last.has_value(), last.value_or(0));
  j["best_evaluation"] = where_known(best.has_value(), best.value_or(0));
  j["best_at_sequences"] = where_known(best.has_value(), s.best_at);
  j["peak_memory_mb"] = peak_memory_mb();
  j["history"] = history;
  j["environment"] = parse_json(environment_json());
  trace::write_text_atomically(run / "run.json", json_text(j, 2) + "\n");
}

}  // namespace mneme::experiments
