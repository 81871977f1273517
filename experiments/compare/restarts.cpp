// Room: experiments. Restarts: their runs, the record beside them, and the choice.
#include "experiments/compare/restarts.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/checkpoint.hpp"
#include "experiments/run/run_directory.hpp"
#include "trace/atomic_file.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

/// How far run.json says that a run has come.
std::uint64_t sequences_of(const fs::path& run) {
  const auto j = read_json(run / "run.json");
  return j.is_object() ? j.value("sequences", std::uint64_t{0}) : 0;
}

bool has_diverged(const Restart& run) {
  return run.exit_reason == exit_reason_name(ExitReason::diverged);
}

Json entry_of(const Restart& run) {
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
  return entry;
}

/// What entry_of() wrote, now or in an older version, of a run whose seed and directory are known.
void read_entry(const Json& e, Restart& run) {
  const auto number = [&](const char* key) {
    return e.contains(key) && !e[key].is_null() ? std::optional<double>(e[key].get<double>()) : std::nullopt;
  };
  run.exit_reason = e.contains("exit_reason") && !e["exit_reason"].is_null() ? e["exit_reason"] : "";
  run.message = e.value("message", "");
  run.sequences = e.contains("sequences") ? e["sequences"].get<std::uint64_t>() : sequences_of(run.directory);
  run.seconds = e.value("seconds", 0.0);
  run.training_loss = number("training_loss");
  if (!e.contains("training_loss") && !has_diverged(run)) run.training_loss = training_loss(run.directory);
  run.held_out = number("held_out");
  run.error = number("test_error");
  run.failed.reset();
  if (const auto failed = number("failed_tasks")) run.failed = static_cast<std::size_t>(*failed);
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
    j["runs"].push_back(entry_of(run));
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

std::string record_text(const Restarts& r, const Config& config) {
  Json j = record(r);
  j["config"] = config.text();
  return json_text(j, 2) + "\n";
}

void write_record(const Restarts& r, const Config& config) {
  trace::write_text_atomically(r.directory / kRestartsFile, record_text(r, config));
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

/// The rows and the choice of `j`, the record that is in `directory`, for runs of `config`.
Restarts from_record(const Json& j, const Config& config, const fs::path& directory) {
  Restarts r = empty_record(config, j.at("runs").size(), directory);
  try {
    for (std::size_t i = 0; i < r.runs.size(); ++i) {
      read_entry(j.at("runs").at(i), r.runs[i]);
      if (j.at("chosen") == r.runs[i].directory.filename().string()) r.chosen = i;
    }
  } catch (const Json::exception& e) {
    fail<FileError>((directory / kRestartsFile).string(), "is not as expected: {}", e.what());
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

Config config_of(const Restart& run, const Config& config) {
  return config.with({{"seed", std::to_string(run.seed), ""}});
}

/// ArgumentError where one of so many seeds is none.
void require_seeds(const Config& config, std::size_t count) {
  const std::string last = std::to_string(config.seed + std::max<std::size_t>(count, 1) - 1);
  config.with({{"seed", last, fmt::format("--restarts {}", count)}});
}

std::vector<Job> jobs_of(const Restarts& r, const Config& config) {
  std::vector<Job> jobs;
  for (const Restart& run : r.runs)
    jobs.push_back(
        {run.directory.filename().string(), static_cast<std::uint64_t>(config.train.integer("max-sequences"))});
  return jobs;
}

/// Refuses a run whose newest checkpoint that can be read is another run's. Damaged ones are left to the run itself.
void check_checkpoints(const fs::path& run, const Config& config, const Task& task) {
  const std::vector<fs::path> all = list_checkpoints(run);
  for (auto path = all.rbegin(); path != all.rend(); ++path) {
    std::optional<CheckpointInfo> found;
    try {
      found = inspect_checkpoint(*path);
    } catch (const FileError&) {
      continue;
    }
    return require_same_run(run, config, task, *found);
  }
}

/// Refuses, naming the run, where one that is to go on cannot: its folder is held by another process, or it, its newest
/// checkpoint or its data are of another configuration or other content. Changes nothing.
void require_all_can_go_on(const Restarts& r, const Config& config) {
  const auto task = tasks().find(config.task).make(config.task_options);
  const auto check = [&](std::size_t i, const RunOptions&) -> JobEnd {
    const fs::path& directory = r.runs[i].directory;
    const Config wanted = config_of(r.runs[i], config);
    if (!fs::exists(directory / "config.ini")) {
      refuse_used_directory(directory);
      return {};
    }
    if (nothing_left(directory, wanted) && read_run_config(directory).text() == wanted.text())
      return {};  // is only read
    const RunFolder folder = RunFolder::open(directory);
    const std::string differs = difference(folder.config(), "it", wanted, kRestartsFile);
    if (!differs.empty())
      fail<ArgumentError>(directory.string(), "holds a run of another configuration than {}: {}", kRestartsFile,
                          differs);
    check_task(directory, wanted, *task);
    check_checkpoints(directory, wanted, *task);
    return {};
  };
  run_jobs(jobs_of(r, config), {}, check, [](std::size_t, const JobEnd&) {});
}

/// restarts.json changes when the first run trains, and is as it was where none comes so far; a choice in it stands
/// until all have ended.
void go(Restarts& r, const Config& config, const std::vector<std::string>& argv, JobsOptions how) {
  const bool chosen = r.chosen.has_value();
  bool changed = false;
  how.begun = [&, first = record_text(r, config)] {
    trace::write_text_atomically(r.directory / kRestartsFile, first);
    changed = true;
  };
  // A run that an earlier start had not got to is still to learn how long it shall go.
  const std::vector<Assignment> given = resumable_items(config);
  const std::vector<Job> jobs = jobs_of(r, config);
  const auto work = [&](std::size_t i, RunOptions options) -> JobEnd {
    Restart run = r.runs[i];
    options.out = run.directory;
    options.argv = argv;
    const RunResult result = train_or_resume(config_of(run, config), given, options);
    const ExitReason reason = take(run, result, r.parts > 0, options.signal);
    return {reason, json_text(entry_of(run))};
  };
  const auto done = [&](std::size_t i, const JobEnd& end) {
    Restart& run = r.runs[i];
    read_entry(parse_json(end.found), run);
    if (!chosen) changed = true;  // it says how far they came
    if (has_diverged(run) && how.notice) how.notice(fmt::format("{}: diverged; {}", jobs[i].name, run.message));
  };
  const auto write_cut_short = [&] {
    if (!changed) return;
    if (r.chosen && has_diverged(r.runs[*r.chosen])) r.chosen.reset();
    write_record(r, config);
  };
  try {
    r.stopped = run_jobs(jobs, how, work, done);
  } catch (...) {
    write_cut_short();
    throw;
  }
  if (r.stopped != 0) return write_cut_short();
  choose(r);
  write_record(r, config);
}

/// Whether a row of the record is of a run that has come to the end that `config` says.
bool has_ended(const Restart& run, const Config& config) {
  return has_diverged(run) || run.exit_reason == exit_reason_name(ExitReason::solved) ||
         run.sequences >= static_cast<std::uint64_t>(config.train.integer("max-sequences"));
}

}  // namespace

std::optional<double> training_loss(const fs::path& run) {
  std::ifstream in(run / "metrics.jsonl");
  std::optional<double> loss;
  for (std::string line; std::getline(in, line);) {
    const auto j = parse_json(line);
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

std::optional<double> median(std::vector<double> known, std::size_t count) {
  if (count == 0 || known.size() <= count / 2) return std::nullopt;
  std::sort(known.begin(), known.end());
  return (known[(count - 1) / 2] + known[count / 2]) / 2;
}

void check_restarts(const Config& config, std::size_t count, const fs::path& out) {
  require_seeds(config, count);
  require_training_loss(config);
  check_start(config, out);
}

Restarts train_restarts(const Config& config, std::size_t count, const fs::path& out,
                        const std::vector<std::string>& argv, const JobsOptions& how) {
  check_restarts(config, count, out);
  Restarts r = empty_record(config, count, out);
  std::error_code error;
  fs::create_directories(out, error);
  if (error) fail<RuntimeFailure>(out.string(), "cannot make the folder: {}", error.message());
  const FolderLock lock(out);
  refuse_used_directory(out);  // by who held the lock a moment ago
  write_record(r, config);
  go(r, config, argv, how);
  return r;
}

Restarts resume_restarts(const fs::path& directory, const std::vector<Assignment>& given,
                         const std::vector<std::string>& argv, const JobsOptions& how) {
  const FolderLock lock(directory);
  const Json j = read_restarts(directory);
  const Config before = Config::stored(j.at("config").get<std::string>(), (directory / kRestartsFile).string());
  Config config = resumed_config(before, given);
  require_training_loss(config);
  require_seeds(config, j.at("runs").size());
  Restarts r = from_record(j, config, directory);
  // What gives no run anything to do is not written down as what they were trained by.
  const bool idle = std::all_of(r.runs.begin(), r.runs.end(),
                                [&](const Restart& run) { return nothing_left(run.directory, config); });
  if (idle) {
    std::vector<Assignment> moved;
    for (const auto& [key, value] : config.items())
      if (is_path(config, key)) moved.push_back({key, value, ""});
    config = before.with(moved);
  }
  require_all_can_go_on(r, config);
  go(r, config, argv, how);
  return r;
}

std::optional<Restarts> renew_restarts(const RunResult& result, const std::atomic<int>* signal) {
  const fs::path run = fs::weakly_canonical(result.directory), group = run.parent_path();
  if (!holds_restarts(group) || result.reason == ExitReason::interrupted || exit_code(result.reason) == 75)
    return std::nullopt;
  std::optional<FolderLock> lock;
  try {
    lock.emplace(group);
  } catch (const RuntimeFailure&) {
    return std::nullopt;  // who holds it writes the record anew
  }
  const Json j = read_restarts(group);
  const Config config = Config::stored(j.at("config").get<std::string>(), (group / kRestartsFile).string());
  Restarts r = from_record(j, config, group);
  const auto member = std::find_if(r.runs.begin(), r.runs.end(),
                                   [&](const Restart& one) { return one.directory.filename() == run.filename(); });
  if (!r.chosen || member == r.runs.end()) return std::nullopt;
  // Those that are yet to be gone on with as one are left to that.
  if (!std::all_of(r.runs.begin(), r.runs.end(),
                   [&](const Restart& one) { return &one == &*member || has_ended(one, config); }))
    return std::nullopt;
  take(*member, result, r.parts > 0, signal);
  choose(r);
  write_record(r, config);
  return r;
}

std::string restarts_json(const Restarts& restarts) {
  return json_text(record(restarts), 2);
}

}  // namespace mneme::experiments
