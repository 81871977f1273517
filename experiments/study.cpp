// Room: experiments. The loop over a study's runs, and the rows that come of them.
#include "experiments/study.hpp"

#include "core/error.hpp"
#include "experiments/evaluate.hpp"
#include "experiments/restarts.hpp"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>

namespace mneme::experiments {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json read_json(const fs::path& path) {
  std::ifstream in(path);
  json j = json::parse(in, nullptr, false);
  if (!in || j.is_discarded()) throw FileError(fmt::format("[{}] is missing or no JSON", path.string()));
  return j;
}

std::optional<double> known(const json& j, const char* key) {
  const auto it = j.find(key);
  return it == j.end() || it->is_null() ? std::nullopt : std::optional<double>(it->get<double>());
}

/// What metrics.jsonl says of the time after `solved_at`: worst evaluation, worst mean cost, worst mean of the solved
/// metric.
std::vector<std::optional<double>> watch_after(const fs::path& directory, double solved_at, const Task& task) {
  const std::string& judged = task.metrics()[task.solved_metric()].name;
  const std::string& cost = task.metrics()[0].name;
  std::optional<double> worst_evaluation, worst_mean, worst_mean_solved;
  std::ifstream in(directory / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) {
    const json j = json::parse(line, nullptr, false);
    if (j.is_discarded() || j.value("sequences", 0.0) <= solved_at) continue;
    const bool evaluation = j.value("kind", "") == "eval";
    const auto note = [&](std::optional<double>& worst, const std::string& name) {
      worst = std::max(worst.value_or(0), j.at(name).get<double>());
    };
    note(evaluation ? worst_evaluation : worst_mean_solved, judged);
    if (!evaluation) note(worst_mean, cost);
  }
  return {worst_evaluation, worst_mean, worst_mean_solved};
}

/// One run of a study, which may give several rows.
struct StudyRun {
  StudyPreset preset;
  std::optional<std::int64_t> number;
  std::uint64_t seed = 0;
  Config config;
  std::string name;
};

std::vector<StudyRun> runs_of(const Study& study, const StudyOptions& options) {
  std::vector<StudyPreset> presets(study.presets.begin(),
                                   study.presets.begin() + static_cast<std::ptrdiff_t>(study.standard));
  if (!options.presets.empty()) {
    presets.clear();
    for (const std::string& name : options.presets) {
      const auto known = std::find_if(study.presets.begin(), study.presets.end(),
                                      [&](const StudyPreset& p) { return p.name == name; });
      presets.push_back(known == study.presets.end() ? StudyPreset{name} : *known);
    }
  }
  std::vector<StudyRun> runs;
  for (const StudyPreset& preset : presets) {
    const Config base = Config::load(preset.name, options.given);
    std::vector<std::optional<std::int64_t>> numbers(preset.numbers.begin(), preset.numbers.end());
    const bool chosen = std::any_of(options.given.begin(), options.given.end(),
                                    [&](const Assignment& a) { return a.key == study.number_key; });
    if (chosen && !numbers.empty()) {
      const Range range = base.task_options.range(study.number_key.substr(study.number_key.find('.') + 1));
      std::erase_if(numbers, [&](const auto& n) { return *n < range.low || *n > range.high; });
      if (numbers.empty())
        fail<ArgumentError>("--" + study.number_key, "{}:{} has none of the tasks that {} learns here: {}", range.low,
                            range.high, preset.name, fmt::join(preset.numbers, ", "));
    }
    if (numbers.empty()) numbers.emplace_back();
    const Range seeds = options.seeds.value_or(preset.seeds);
    for (const auto& number : numbers)
      for (std::int64_t seed = seeds.low; seed <= seeds.high; ++seed) {
        std::vector<Assignment> own = {{"seed", std::to_string(seed), "--seeds"}};
        if (number) own.push_back({study.number_key, std::to_string(*number), ""});
        runs.push_back({preset, number, static_cast<std::uint64_t>(seed), base.with(own),
                        fmt::format("{}{}-seed{}", preset.name, number ? fmt::format("-task{}", *number) : "", seed)});
      }
  }
  return runs;
}

StudyRow start_row(const StudyRun& run, const fs::path& directory, const RunResult& result) {
  const json j = read_json(directory / "run.json");
  const json& environment = j.at("environment");
  StudyRow row;
  row.preset = run.preset.name;
  row.number = run.number;
  row.seed = run.seed;
  row.config_hash = run.config.run_id();
  row.commit = environment.at("git_rev").get<std::string>() + (environment.value("git_dirty", false) ? "+" : "");
  // The BLAS picks its kernels by CPU, and bits depend on them.
  const auto blas = environment.at("blas").get<std::string>();
  row.cpu =
      fmt::format("{}, BLAS kernels {}", environment.at("cpu").get<std::string>(), blas.substr(blas.rfind(' ') + 1));
  row.parameters = j.at("parameters").get<std::size_t>();
  row.sequences = result.sequences;
  row.seconds = result.seconds;
  row.exit_reason = exit_reason_name(result.reason);
  return row;
}

/// Of a study with lengths.
void judge_lengths(const Study& study, const StudyOptions& options, const fs::path& directory, StudyRow& row) {
  const json j = read_json(directory / "run.json");
  const Config config = Config::load(directory.string());
  const auto task = tasks().find(config.task).make(config.task_options);
  const auto solved_at = known(j, "solved_at_sequences");
  row.figures = {known(j, "sequences_to_0.1"), known(j, "seconds_to_0.1"), solved_at, known(j, "solved_at_seconds")};
  const auto watched =
      solved_at && options.after ? watch_after(directory, *solved_at, *task) : std::vector<std::optional<double>>(3);
  row.figures.insert(row.figures.end(), watched.begin(), watched.end());
  EvaluationOptions evaluation;
  evaluation.lengths = study.lengths;
  evaluation.episodes = study.episodes;
  evaluation.threads = options.how.threads;
  evaluation.signal = options.how.signal;
  for (const LengthResult& r : evaluate(directory, evaluation).results)
    row.figures.emplace_back(r.mean[task->solved_metric()]);
}

constexpr std::size_t kHops = 3;  // of a memory with items, whose attention has columns

/// Of a study of a test set: a row for each part.
std::vector<StudyRow> judge_test(const StudyOptions& options, const fs::path& directory, const StudyRow& begun) {
  EvaluationOptions evaluation;
  evaluation.threads = options.how.threads;
  evaluation.signal = options.how.signal;
  evaluation.memory_use = Config::load(directory.string()).memory != "none";
  const auto loss = training_loss(directory);
  const Evaluation judged = evaluate(directory, evaluation);
  std::vector<StudyRow> rows;
  for (const PartResult& p : judged.parts) {
    StudyRow& row = rows.emplace_back(begun);
    row.number = p.part.number;
    row.figures = {loss,
                   static_cast<double>(p.questions),
                   p.error,
                   p.part.majority,
                   static_cast<double>(p.part.unknown_words),
                   static_cast<double>(p.part.unseen_answers)};
    for (const TaskUse& use : judged.memory_use ? judged.memory_use->tasks : std::vector<TaskUse>{}) {
      if (use.number != p.part.number) continue;
      row.figures.insert(row.figures.end(), {use.zeroed, use.shuffled});
      if (use.hops.empty()) continue;
      row.figures.emplace_back(use.chance);
      for (std::size_t h = 0; h < std::min(kHops, use.hops.size()); ++h)
        row.figures.insert(row.figures.end(), {use.hops[h].top_percent, use.hops[h].mass});
    }
  }
  return rows;
}

/// Whole numbers as they are, others with six digits.
std::string csv_number(const std::optional<double>& v) {
  if (!v) return "";
  return *v == std::floor(*v) && std::abs(*v) < 1e15 ? fmt::format("{:.0f}", *v) : fmt::format("{:.6g}", *v);
}

}  // namespace

std::vector<std::string> study_columns(const Study& study) {
  if (study.lengths.empty()) {
    std::vector<std::string> columns = {"training_loss",
                                        "questions",
                                        "error_percent",
                                        "majority_error_percent",
                                        "unknown_words",
                                        "unseen_answers",
                                        "reads_zeroed_error_percent",
                                        "reads_shuffled_error_percent",
                                        "support_share"};
    for (std::size_t h = 0; h < kHops; ++h) {
      columns.push_back(fmt::format("hop_{}_top_percent", h));
      columns.push_back(fmt::format("hop_{}_mass", h));
    }
    return columns;
  }
  std::vector<std::string> columns = {"sequences_to_0.1",      "seconds_to_0.1",         "solved_at_sequences",
                                      "solved_at_seconds",     "worst_evaluation_after", "worst_mean_bits_after",
                                      "worst_mean_wrong_after"};
  for (std::int64_t n : study.lengths) columns.push_back(fmt::format("wrong_{}", n));
  return columns;
}

std::optional<double> figure(const Study& study, const StudyRow& row, const std::string& column) {
  const std::vector<std::string> columns = study_columns(study);
  const auto at = static_cast<std::size_t>(std::find(columns.begin(), columns.end(), column) - columns.begin());
  return at < row.figures.size() ? row.figures[at] : std::nullopt;
}

std::string study_csv_header(const Study& study) {
  return fmt::format("preset,{}seed,config_hash,commit,cpu,parameters,sequences,seconds,exit_reason,{}\n",
                     study.lengths.empty() ? "task," : "", fmt::join(study_columns(study), ","));
}

std::string study_csv(const Study& study, const StudyRow& r) {
  const std::string number = study.lengths.empty() ? (r.number ? std::to_string(*r.number) : "") + "," : "";
  std::string text = fmt::format("{},{}{},{},{},\"{}\",{},{},{:.3f},{}", r.preset, number, r.seed, r.config_hash,
                                 r.commit, r.cpu, r.parameters, r.sequences, r.seconds, r.exit_reason);
  for (std::size_t i = 0; i < study_columns(study).size(); ++i)
    text += "," + (i < r.figures.size() ? csv_number(r.figures[i]) : "");
  return text + "\n";
}

std::vector<StudyRow> run_study(const Study& study, const StudyOptions& options, int& stopped) {
  const std::vector<StudyRun> runs = runs_of(study, options);
  std::vector<Job> jobs;
  for (const StudyRun& run : runs)
    jobs.push_back({run.name, static_cast<std::uint64_t>(run.config.train.integer("max-sequences"))});
  std::vector<std::vector<StudyRow>> found(runs.size());
  std::vector<StudyRow> rows;
  const auto work = [&](std::size_t i, RunOptions how) {
    const StudyRun& run = runs[i];
    const fs::path directory = options.out / run.name;
    how.out = directory;
    how.argv = {"mneme", "train", run.preset.name, "--seed", std::to_string(run.seed)};
    RunResult result = train_or_resume(run.config, {}, how);
    if (result.solved_at_sequences && options.after && result.sequences < *result.solved_at_sequences + options.after) {
      const auto end = std::to_string(*result.solved_at_sequences + options.after);
      result = resume(directory,
                      {{"train.max-sequences", end, "--after"}, {"train.stop-when-solved", "false", "--after"}}, how);
    }
    const bool diverged = result.reason == ExitReason::diverged;
    if (exit_code(result.reason) != 0 && !diverged) return result.reason;
    StudyRow row = start_row(run, directory, result);
    if (!diverged && study.lengths.empty()) {
      found[i] = judge_test(options, directory, row);
      return result.reason;
    }
    if (!diverged) judge_lengths(study, options, directory, row);
    found[i] = {row};
    return result.reason;
  };
  stopped = run_side_by_side(jobs, options.how, work, [&](std::size_t i) {
    rows.insert(rows.end(), found[i].begin(), found[i].end());
    options.done(found[i]);
  });
  return rows;
}

std::vector<StudyCell> study_cells(const Study& study, const std::vector<StudyRow>& rows) {
  std::vector<StudyCell> cells;
  std::vector<std::optional<double>> losses;  // the chosen one's, by cell
  std::vector<std::string> order;
  for (const StudyRow& row : rows) {
    if (!std::count(order.begin(), order.end(), row.preset)) order.push_back(row.preset);
    if (!row.number) continue;  // a joint run that diverged
    auto cell = std::find_if(cells.begin(), cells.end(),
                             [&](const StudyCell& c) { return c.preset == row.preset && c.number == *row.number; });
    if (cell == cells.end()) {
      cells.push_back({.preset = row.preset, .number = *row.number});
      losses.emplace_back();
      cell = cells.end() - 1;
    }
    ++cell->runs;
    const auto error = figure(study, row, "error_percent");
    if (!error) continue;
    cell->errors.push_back(*error);
    cell->majority = *figure(study, row, "majority_error_percent");
    const auto count = [&](const char* column) { return static_cast<std::size_t>(*figure(study, row, column)); };
    cell->questions = count("questions");
    cell->unknown_words = count("unknown_words");
    cell->unseen_answers = count("unseen_answers");
    const auto loss = figure(study, row, "training_loss");
    auto& best = losses[static_cast<std::size_t>(cell - cells.begin())];
    if (least({best, loss}) != std::size_t{1}) continue;
    best = loss;
    cell->seed = row.seed;
    cell->error = error;
  }
  std::stable_sort(cells.begin(), cells.end(), [&](const StudyCell& a, const StudyCell& b) {
    const auto place = [&](const StudyCell& c) { return std::find(order.begin(), order.end(), c.preset); };
    return std::pair(place(a), a.number) < std::pair(place(b), b.number);
  });
  return cells;
}

}  // namespace mneme::experiments
