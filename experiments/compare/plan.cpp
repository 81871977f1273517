// Room: experiments. The loop over a plan's runs, and the rows that come of them.
#include "experiments/compare/plan.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "experiments/run/run_directory.hpp"
#include "tasks/task.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

std::string existing_json(const fs::path& path) {
  const Json j = read_json(path);
  if (j.is_discarded()) fail<FileError>(path.string(), "is missing or no JSON");
  return json_text(j);
}

/// f(), which looks into the JSON of a file. FileError naming that where it is not as it should be.
template <class F>
auto reading(const fs::path& path, F f) {
  try {
    return f();
  } catch (const Json::exception& e) {
    fail<FileError>(path.string(), "is not as expected: {}", e.what());
  }
}

/// What a run that is there is to learn of how long it shall go.
std::vector<Assignment> changes(const PlannedRun& run, std::uint64_t after, const fs::path& directory) {
  const fs::path path = directory / "run.json";
  if (!fs::exists(path)) return resumable_items(run.config);
  const EndedRun there{directory, existing_json(path), run.config};
  // Of a solved run --after decides, then and now.
  const bool over = there.number("solved_at_sequences") && (after || run.config.train.flag("stop-when-solved"));
  const bool longer =
      there.number("sequences").value_or(0) > static_cast<double>(run.config.train.integer("max-sequences"));
  return over || longer ? std::vector<Assignment>{} : resumable_items(run.config);
}

Row begin_row(const PlannedRun& run, const EndedRun& ended, const RunResult& result) {
  Row row;
  row.factors = run.factors;
  reading(ended.directory / "run.json", [&] {
    const Json record = parse_json(ended.record), &environment = record.at("environment");
    row.commit = environment.at("git_rev").get<std::string>() + (environment.value("git_dirty", false) ? "+" : "");
    // The BLAS picks its kernels by CPU, and bits depend on them.
    const auto blas = environment.at("blas").get<std::string>();
    row.cpu =
        fmt::format("{}, BLAS kernels {}", environment.at("cpu").get<std::string>(), blas.substr(blas.rfind(' ') + 1));
    row.parameters = record.at("parameters").get<std::size_t>();
    const auto digest = record.find("data_digest");
    row.config_hash =
        ended.config.run_id(digest != record.end() && digest->is_string() ? digest->get<std::string>() : "");
  });
  row.sequences = result.sequences;
  row.seconds = result.seconds;
  row.exit_reason = exit_reason_name(result.reason);
  return row;
}

std::string rows_text(const std::vector<Row>& rows) {
  Json j = Json::array();
  for (const Row& row : rows) j.push_back(row_json(row));
  return json_text(j);
}

std::vector<Row> rows_from(const std::string& text) {
  std::vector<Row> rows;
  for (const Json& j : parse_json(text)) rows.push_back(row_of(j));
  return rows;
}

/// One run to its end, in a process of its own.
JobEnd make(const PlannedRun& run, const Judge& judge, const PlanOptions& options, RunOptions how) {
  const fs::path directory = options.out / run.name;
  how.out = directory;
  how.argv = run.argv;
  how.argv.insert(how.argv.end(), {"--out", directory.string()});
  RunResult result = train_or_resume(run.config, changes(run, options.after, directory), how);
  if (result.solved_at_sequences && options.after && result.sequences < *result.solved_at_sequences + options.after) {
    const auto end = std::to_string(*result.solved_at_sequences + options.after);
    how.argv = {
        "mneme", "train", "--resume", directory.string(), "--train.max-sequences", end, "--train.stop-when-solved",
        "false"};
    result = resume(directory,
                    {{"train.max-sequences", end, "--after"}, {"train.stop-when-solved", "false", "--after"}}, how);
  }
  const bool diverged = result.reason == ExitReason::diverged;
  if (exit_code(result.reason) != 0 && !diverged) return {result.reason};
  const EndedRun ended{directory, existing_json(directory / "run.json"), Config::load(directory.string())};
  Row row = begin_row(run, ended, result);
  if (diverged) {
    if (const auto solved = ended.number("solved_at_sequences"))  // before, as --after watches
      row.figures.emplace_back("solved_at_sequences", solved);
    return {result.reason, rows_text({row})};
  }
  EvaluationOptions judging;
  judging.threads = how.threads;
  judging.signal = how.signal;
  try {
    return {result.reason, rows_text(judge(ended, row, judging))};
  } catch (const NonFiniteError& e) {
    // A row of this kind has no figures; the other runs are judged all the same.
    if (how.notice) how.notice(fmt::format("diverged when it was judged: {}", e.what()));
    row.exit_reason = exit_reason_name(ExitReason::diverged);
    return {ExitReason::diverged, rows_text({row})};
  }
}

/// Of each run the rows that make it unnecessary: of its identity, and as long as it would be.
std::vector<std::vector<Row>> find_known(const std::vector<PlannedRun>& runs, const PlanOptions& options) {
  std::vector<std::vector<Row>> found(runs.size());
  if (options.known.empty()) return found;
  std::map<std::string, std::string> digests;  // by the task's name and options
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Config& config = runs[i].config;
    std::string data = config.task;
    for (const auto& [key, value] : config.task_options.items()) data += "\n" + key + "=" + value;
    auto digest = digests.find(data);
    if (digest == digests.end())
      digest = digests.emplace(data, tasks().find(config.task).make(config.task_options)->data_digest()).first;
    const std::string hash = config.run_id(digest->second);
    for (const Row& row : options.known) {
      if (row.config_hash != hash) continue;
      const auto solved = row.figure("solved_at_sequences");
      const auto all = static_cast<std::uint64_t>(config.train.integer("max-sequences"));
      const std::uint64_t wanted = solved && options.after ? static_cast<std::uint64_t>(*solved) + options.after : 0;
      const bool over = row.diverged() || (solved && (options.after || config.train.flag("stop-when-solved")));
      if (over ? row.diverged() || row.sequences >= wanted : row.sequences >= all) found[i].push_back(row);
    }
  }
  return found;
}

}  // namespace

std::optional<double> EndedRun::number(const char* key) const {
  const Json j = parse_json(record);
  const auto it = j.find(key);
  return reading(directory / "run.json", [&] {
    return it == j.end() || it->is_null() ? std::nullopt : std::optional<double>(it->get<double>());
  });
}

std::vector<Row> run_plan(const std::vector<PlannedRun>& runs, const Judge& judge, const PlanOptions& options,
                          int& stopped) {
  std::vector<std::vector<Row>> found = find_known(runs, options);
  std::vector<std::size_t> left;
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!found[i].empty()) continue;
    left.push_back(i);
    jobs.push_back({runs[i].label.empty() ? runs[i].name : runs[i].label,
                    static_cast<std::uint64_t>(runs[i].config.train.integer("max-sequences"))});
  }
  const auto work = [&](std::size_t k, const RunOptions& how) { return make(runs[left[k]], judge, options, how); };
  stopped = run_jobs(jobs, options.how, work, [&](std::size_t k, const JobEnd& end) {
    if (end.found.empty()) return;  // it was stopped
    found[left[k]] = rows_from(end.found);
    if (options.done) options.done(found[left[k]]);
  });
  std::vector<Row> rows;
  for (const std::vector<Row>& of_run : found) rows.insert(rows.end(), of_run.begin(), of_run.end());
  return rows;
}

}  // namespace mneme::experiments
