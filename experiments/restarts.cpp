// Room: experiments. Restarts: their runs, the record beside them, and the choice.
#include "experiments/restarts.hpp"

#include "core/error.hpp"
#include "core/quote.hpp"
#include "experiments/evaluate.hpp"
#include "experiments/run_directory.hpp"
#include "trace/atomic_file.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace mneme::experiments {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json record(const Restarts& r) {
  Json j;
  j["directory"] = r.directory.string();
  j["choice"] = "least training loss: the mean of the last whole window of train.log-every training sequences";
  j["chosen"] = r.chosen ? Json(r.runs[*r.chosen].directory.filename().string()) : Json(nullptr);
  j["chosen_seed"] = r.chosen ? Json(r.runs[*r.chosen].seed) : Json(nullptr);
  j["metric"] = r.metric;
  j["tasks"] = r.parts;
  j["runs"] = Json::array();
  std::vector<double> errors;
  for (const Restart& run : r.runs) {
    Json entry;
    entry["seed"] = run.seed;
    entry["directory"] = run.directory.filename().string();
    entry["exit_reason"] = run.exit_reason.empty() ? Json(nullptr) : Json(run.exit_reason);
    entry["message"] = run.message;
    entry["sequences"] = run.sequences;
    entry["seconds"] = run.seconds;
    entry["training_loss"] = or_null(run.training_loss);
    entry["held_out"] = or_null(run.held_out);
    entry["test_error"] = or_null(run.error);
    entry["failed_tasks"] = or_null(run.failed);
    j["runs"].push_back(entry);
    if (run.error) errors.push_back(*run.error);
  }
  const Spread s = spread(errors);
  j["test_error"] = nullptr;
  if (s.count > 0)
    j["test_error"] = {{"chosen", r.chosen ? or_null(r.runs[*r.chosen].error) : Json(nullptr)},
                       {"mean", s.mean},
                       {"standard_deviation", or_null(s.deviation)},
                       {"least", s.least},
                       {"most", s.most},
                       {"runs", s.count}};
  return j;
}

void write_record(const Restarts& r, const Config& config) {
  Json j = record(r);
  j["config"] = config.text();
  trace::write_text_atomically(r.directory / kRestartsFile, json_text(j, 2) + "\n");
}

Restarts empty_record(const Config& config, std::size_t count, const fs::path& out) {
  const auto task = tasks().find(config.task).make(config.task_options);
  Restarts r;
  r.directory = out;
  r.metric = task->metrics()[task->solved_metric()].name;
  r.parts = task->test().size();
  for (std::uint64_t seed = config.seed; seed < config.seed + count; ++seed) {
    Restart run;
    run.seed = seed;
    run.directory = out / fmt::format("seed{}", seed);
    r.runs.push_back(run);
  }
  return r;
}

/// What a run has come to, and what the test says of it.
ExitReason take(Restart& run, const RunResult& result, bool tested, const std::atomic<int>* signal) {
  run.exit_reason = exit_reason_name(result.reason);
  run.message = result.message;
  run.sequences = result.sequences;
  run.seconds = result.seconds;
  run.training_loss = run.held_out = run.error = std::nullopt;
  run.failed.reset();
  if (exit_code(result.reason) != 0) return result.reason;
  run.training_loss = training_loss(run.directory);
  run.held_out = result.evaluation;
  if (!tested) return result.reason;
  EvaluationOptions test;
  test.signal = signal;
  try {
    const Evaluation e = evaluate(run.directory, test);
    run.error = e.mean_error();
    run.failed = e.failed_parts();
  } catch (const NonFiniteError& e) {
    run.exit_reason = exit_reason_name(ExitReason::diverged);
    run.message = e.what();
    run.training_loss.reset();
    return ExitReason::diverged;
  }
  return result.reason;
}

void choose(Restarts& r) {
  std::vector<std::optional<double>> losses;
  for (const Restart& run : r.runs) losses.push_back(run.training_loss);
  r.chosen = least(losses);
}

/// `begun`: restarts.json is there, of this configuration; `chosen`, with a choice in it.
void go(Restarts& r, const Config& config, bool begun, bool chosen, const std::vector<std::string>& argv,
        const SideBySide& how) {
  if (!begun) write_record(r, config);
  // A run that an earlier start had not got to is still to learn how long it shall go.
  const std::vector<Assignment> given = resumable_items(config);
  std::vector<Job> jobs;
  for (const Restart& run : r.runs)
    jobs.push_back(
        {run.directory.filename().string(), static_cast<std::uint64_t>(config.train.integer("max-sequences"))});
  const auto work = [&](std::size_t i, RunOptions options) {
    Restart& run = r.runs[i];  // this job's alone
    options.out = run.directory;
    options.argv = argv;
    const RunResult result = train_or_resume(config.with({{"seed", std::to_string(run.seed), ""}}), given, options);
    return take(run, result, r.parts > 0, how.signal);
  };
  const auto done = [&](std::size_t i) {
    const Restart& run = r.runs[i];
    if (run.exit_reason == exit_reason_name(ExitReason::diverged) && how.notice)
      how.notice(fmt::format("{}: diverged; {}", jobs[i].name, run.message));
  };
  try {
    r.stopped = run_side_by_side(jobs, how, work, done);
  } catch (...) {
    if (!chosen) write_record(r, config);
    throw;
  }
  if (r.stopped == 0) choose(r);
  // A choice once made outlives a second look that was cut short.
  if (r.stopped == 0 || !chosen) write_record(r, config);
}

}  // namespace

std::optional<double> training_loss(const fs::path& run) {
  std::ifstream in(run / "metrics.jsonl");
  std::optional<double> loss;
  for (std::string line; std::getline(in, line);) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (!j.is_object() || j.value("kind", "") != "train" || !j.contains("loss")) continue;
    loss = j["loss"].is_number() ? std::optional<double>(j["loss"].get<double>()) : std::nullopt;
  }
  return loss;
}

void require_training_loss(const Config& config) {
  const std::int64_t window = config.train.integer("log-every"), all = config.train.integer("max-sequences");
  if (all < window)
    fail<ArgumentError>("train.log-every",
                        "{} is more than train.max-sequences = {}: no training loss, which is that of the last whole "
                        "window of train.log-every sequences, would be there to choose by",
                        window, all);
}

std::optional<std::size_t> least(const std::vector<std::optional<double>>& losses) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < losses.size(); ++i)
    if (losses[i] && (!best || *losses[i] < *losses[*best])) best = i;
  return best;
}

Spread spread(const std::vector<double>& values) {
  Spread s;
  s.count = values.size();
  if (values.empty()) return s;
  for (double v : values) s.mean += v / static_cast<double>(s.count);
  double squares = 0;
  for (double v : values) squares += (v - s.mean) * (v - s.mean);
  if (s.count > 1) s.deviation = std::sqrt(squares / static_cast<double>(s.count - 1));
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  s.least = *low;
  s.most = *high;
  return s;
}

void check_restarts(const Config& config, const fs::path& out) {
  require_training_loss(config);
  check_start(config, out);
}

Restarts train_restarts(const Config& config, std::size_t count, const fs::path& out,
                        const std::vector<std::string>& argv, const SideBySide& how) {
  check_restarts(config, out);
  Restarts r = empty_record(config, count, out);
  std::error_code error;
  fs::create_directories(out, error);
  if (error) fail<RuntimeFailure>(out.string(), "cannot make the folder: {}", error.message());
  const FolderLock lock(out);
  refuse_used_directory(out);  // by who held the lock a moment ago
  go(r, config, false, false, argv, how);
  return r;
}

Restarts resume_restarts(const fs::path& directory, const std::vector<Assignment>& given,
                         const std::vector<std::string>& argv, const SideBySide& how) {
  const FolderLock lock(directory);
  const nlohmann::json j = read_restarts(directory);
  const Config before = Config::stored(j.at("config").get<std::string>(), (directory / kRestartsFile).string());
  Config config = resumed_config(before, given);
  require_training_loss(config);
  Restarts r = empty_record(config, j.at("runs").size(), directory);
  // What gives no run anything to do is not written down as what they were trained by.
  const bool idle = std::all_of(r.runs.begin(), r.runs.end(),
                                [&](const Restart& run) { return nothing_left(run.directory, config); });
  if (idle) {
    std::vector<Assignment> moved;
    for (const auto& [key, value] : config.items())
      if (is_path(config, key)) moved.push_back({key, value, ""});
    config = before.with(moved);
  }
  const bool begun = config.text() == before.text();
  go(r, config, begun, begun && !j.at("chosen").is_null(), argv, how);
  return r;
}

std::optional<Restarts> renew_restarts(const RunResult& result, const std::atomic<int>* signal) {
  const fs::path run = fs::weakly_canonical(result.directory), group = run.parent_path();
  if (!holds_restarts(group) || result.reason == ExitReason::interrupted || exit_code(result.reason) == 75)
    return std::nullopt;
  const nlohmann::json j = read_restarts(group);
  if (j.at("chosen").is_null()) return std::nullopt;  // to be gone on with as one
  const fs::path path = group / kRestartsFile;
  const Config config = Config::stored(j.at("config").get<std::string>(), path.string());
  Restarts r = empty_record(config, j.at("runs").size(), group);
  bool member = false;
  try {
    for (std::size_t i = 0; i < r.runs.size(); ++i) {
      const nlohmann::json& e = j.at("runs").at(i);
      Restart& one = r.runs[i];
      const auto number = [&](const char* key) {
        return e.contains(key) && !e[key].is_null() ? std::optional<double>(e[key].get<double>()) : std::nullopt;
      };
      if (e.contains("exit_reason") && !e["exit_reason"].is_null()) one.exit_reason = e["exit_reason"];
      one.message = e.value("message", "");
      one.sequences = e.value("sequences", std::uint64_t{0});
      one.seconds = e.value("seconds", 0.0);
      one.training_loss = number("training_loss");
      if (!e.contains("training_loss") && one.exit_reason != exit_reason_name(ExitReason::diverged))
        one.training_loss = training_loss(one.directory);
      one.held_out = number("held_out");
      one.error = number("test_error");
      if (const auto failed = number("failed_tasks")) one.failed = static_cast<std::size_t>(*failed);
      if (one.directory.filename() != run.filename()) continue;
      member = true;
      take(one, result, r.parts > 0, signal);
    }
  } catch (const nlohmann::json::exception& e) {
    fail<FileError>(path.string(), "is not as expected: {}", e.what());
  }
  if (!member) return std::nullopt;
  choose(r);
  write_record(r, config);
  return r;
}

std::string restarts_json(const Restarts& restarts) {
  return json_text(record(restarts), 2);
}

}  // namespace mneme::experiments
