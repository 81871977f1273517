// Room: experiments. The loop over a study's runs, and the rows that come of them.
#include "experiments/study.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/restarts.hpp"
#include "experiments/run/run_directory.hpp"
#include "tasks/babi_format.hpp"
#include "trace/atomic_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <tuple>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

Json existing_json(const fs::path& path) {
  Json j = read_json(path);
  if (j.is_discarded()) throw FileError(fmt::format("[{}] is missing or no JSON", path.string()));
  return j;
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

std::optional<double> known(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it == j.end() || it->is_null() ? std::nullopt : std::optional<double>(it->get<double>());
}

/// The time after a run was solved, in its sequences.
struct Watch {
  double solved_at = 0;
  double end = HUGE_VAL;       ///< of what counts
  bool only_if_longer = true;  ///< nothing counts where the run ended with the evaluation that confirmed it
};

/// What metrics.jsonl says of that time: worst evaluation, worst mean cost, worst mean of the solved metric.
std::vector<std::optional<double>> watch_after(const fs::path& directory, const Watch& watch, double sequences,
                                               const Task& task) {
  const std::string& judged = task.metrics()[task.solved_metric()].name;
  const std::string& cost = task.metrics()[0].name;
  std::optional<double> worst_evaluation, worst_mean, worst_mean_solved, confirmed_at;
  std::ifstream in(directory / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) {
    const Json j = parse_json(line);
    const double at = j.is_object() ? known(j, "sequences").value_or(0) : 0;
    if (at <= watch.solved_at) continue;
    const bool evaluation = j.value("kind", "") == "eval";
    if (evaluation && !confirmed_at) confirmed_at = at;
    if (at > watch.end) continue;
    const auto note = [&](std::optional<double>& worst, const std::string& name) {
      const auto value = known(j, name.c_str());
      if (value && (!worst || *value > *worst)) worst = value;
    };
    note(evaluation ? worst_evaluation : worst_mean_solved, judged);
    if (!evaluation) note(worst_mean, cost);
  }
  if (watch.only_if_longer && confirmed_at && sequences <= *confirmed_at) return std::vector<std::optional<double>>(3);
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

void require_fit(const Study& study, const std::string& preset, const Config& config) {
  if (study.lengths.empty()) {
    if (task_at(config, {})->test().empty())
      fail<ArgumentError>("--presets", "{}: study {} judges on a test set, and the task '{}' has none", preset,
                          study.name, config.task);
    require_training_loss(config);
    return;
  }
  try {
    for (const std::int64_t n : study.lengths) task_at(config, n);
  } catch (const ArgumentError& e) {
    fail<ArgumentError>("--presets", "{}: study {} judges at the lengths {}; {}", preset, study.name,
                        join(study.lengths, ", "), e.what());
  }
}

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
  for (std::size_t i = 0; i < presets.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (presets[i].name == presets[j].name) fail<ArgumentError>("--presets", "{} is there twice", presets[i].name);
  if (options.after && study.lengths.empty())
    fail<ArgumentError>("--after", "is for studies of lengths; {} judges its runs on a test set", study.name);
  std::vector<StudyRun> runs;
  for (const StudyPreset& preset : presets) {
    const Config base = Config::load(preset.name, options.given);
    require_fit(study, preset.name, base);
    std::vector<std::optional<std::int64_t>> numbers(preset.numbers.begin(), preset.numbers.end());
    const bool chosen = std::any_of(options.given.begin(), options.given.end(),
                                    [&](const Assignment& a) { return a.key == study.number_key; });
    if (chosen && !numbers.empty()) {
      const Range range = base.task_options.range(study.number_key.substr(study.number_key.find('.') + 1));
      std::erase_if(numbers, [&](const auto& n) { return *n < range.low || *n > range.high; });
      if (numbers.empty())
        fail<ArgumentError>("--" + study.number_key, "{}:{} has none of the tasks that {} learns here: {}", range.low,
                            range.high, preset.name, join(preset.numbers, ", "));
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

/// What the folder of a run that has ended says of it.
struct Ended {
  fs::path directory;
  Json record;  ///< run.json
  Config config;
};

StudyRow start_row(const StudyRun& run, const Ended& ended, const RunResult& result) {
  StudyRow row;
  reading(ended.directory / "run.json", [&] {
    const Json& environment = ended.record.at("environment");
    row.commit = environment.at("git_rev").get<std::string>() + (environment.value("git_dirty", false) ? "+" : "");
    // The BLAS picks its kernels by CPU, and bits depend on them.
    const auto blas = environment.at("blas").get<std::string>();
    row.cpu =
        fmt::format("{}, BLAS kernels {}", environment.at("cpu").get<std::string>(), blas.substr(blas.rfind(' ') + 1));
    row.parameters = ended.record.at("parameters").get<std::size_t>();
    const auto digest = ended.record.find("data_digest");
    row.config_hash =
        ended.config.run_id(digest != ended.record.end() && digest->is_string() ? digest->get<std::string>() : "");
  });
  row.preset = run.preset.name;
  row.number = run.number;
  row.seed = run.seed;
  row.sequences = result.sequences;
  row.seconds = result.seconds;
  row.exit_reason = exit_reason_name(result.reason);
  return row;
}

/// Of a study with lengths.
void judge_lengths(const Study& study, const StudyOptions& options, const Ended& ended, StudyRow& row) {
  const auto task = task_at(ended.config, {});
  std::optional<double> solved_at;
  reading(ended.directory / "run.json", [&] {
    const Json& j = ended.record;
    solved_at = known(j, "solved_at_sequences");
    row.figures = {known(j, "sequences_to_0.1"), known(j, "seconds_to_0.1"), solved_at, known(j, "solved_at_seconds")};
  });
  std::vector<std::optional<double>> watched(3);
  if (solved_at) {
    const double end = options.after ? *solved_at + static_cast<double>(options.after) : HUGE_VAL;
    const Watch watch{*solved_at, end, options.after == 0};
    watched = reading(ended.directory / "metrics.jsonl",
                      [&] { return watch_after(ended.directory, watch, static_cast<double>(row.sequences), *task); });
  }
  row.figures.insert(row.figures.end(), watched.begin(), watched.end());
  EvaluationOptions evaluation;
  evaluation.lengths = study.lengths;
  evaluation.episodes = study.episodes;
  evaluation.threads = options.how.threads;
  evaluation.signal = options.how.signal;
  for (const LengthResult& r : evaluate(ended.directory, evaluation).results)
    row.figures.push_back(r.figures[task->solved_metric()].value);
}

constexpr std::size_t kHops = 3;  // of a memory with items, whose attention has columns

/// Of a study of a test set: a row for each part.
std::vector<StudyRow> judge_test(const StudyOptions& options, const Ended& ended, const StudyRow& begun) {
  EvaluationOptions evaluation;
  evaluation.threads = options.how.threads;
  evaluation.signal = options.how.signal;
  evaluation.reliance = ended.config.memory != "none";
  const auto loss = training_loss(ended.directory);
  const Evaluation judged = evaluate(ended.directory, evaluation);
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
    for (const TaskReliance& use : judged.reliance ? judged.reliance->tasks : std::vector<TaskReliance>{}) {
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

/// What a run that is there is to learn of how long it shall go.
std::vector<Assignment> changes(const StudyRun& run, const StudyOptions& options, const fs::path& directory) {
  const fs::path path = directory / "run.json";
  if (!fs::exists(path)) return resumable_items(run.config);
  const Json j = existing_json(path);
  const auto sequences = reading(path, [&] { return j.value("sequences", std::uint64_t{0}); });
  const bool solved = reading(path, [&] { return known(j, "solved_at_sequences").has_value(); });
  // Of a solved run --after decides, then and now.
  const bool over = solved && (options.after || run.config.train.flag("stop-when-solved"));
  const bool longer = sequences > static_cast<std::uint64_t>(run.config.train.integer("max-sequences"));
  return over || longer ? std::vector<Assignment>{} : resumable_items(run.config);
}

/// The command that gives a run.
std::vector<std::string> argv_of(const Study& study, const StudyRun& run, const std::vector<Assignment>& given,
                                 const fs::path& directory) {
  std::vector<std::string> argv = {"mneme", "train", run.preset.name, "--seed", std::to_string(run.seed)};
  if (run.number) argv.insert(argv.end(), {"--" + study.number_key, std::to_string(*run.number)});
  for (const Assignment& a : given)
    if (a.key != "seed" && !(run.number && a.key == study.number_key)) argv.insert(argv.end(), {"--" + a.key, a.value});
  argv.insert(argv.end(), {"--out", directory.string()});
  return argv;
}

/// A line of a study's CSV: what it is ordered and replaced by.
struct CsvLine {
  std::string preset, number, seed, text;
};

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
                     study.lengths.empty() ? "task," : "", join(study_columns(study), ","));
}

std::string study_csv(const Study& study, const StudyRow& r) {
  const std::string number = study.lengths.empty() ? (r.number ? std::to_string(*r.number) : "") + "," : "";
  std::string text = fmt::format("{},{}{},{},{},{},{},{},{:.3f},{}", r.preset, number, r.seed, r.config_hash, r.commit,
                                 csv_cell(r.cpu), r.parameters, r.sequences, r.seconds, r.exit_reason);
  for (std::size_t i = 0; i < study_columns(study).size(); ++i)
    text += "," + (i < r.figures.size() ? csv_number(r.figures[i]) : "");
  return text + "\n";
}

std::string merged_csv(const Study& study, const std::string& before, const std::string& name,
                       const std::vector<StudyRow>& rows) {
  const bool tested = study.lengths.empty();
  const std::string header = study_csv_header(study);
  std::vector<CsvLine> lines;
  const auto read = [&](const std::string& text) {
    CsvLine line;
    std::istringstream in(text);
    std::getline(in, line.preset, ',');
    if (tested) std::getline(in, line.number, ',');
    std::getline(in, line.seed, ',');
    line.text = text + "\n";
    const auto digits = [](const std::string& s) { return s.find_first_not_of("0123456789") == std::string::npos; };
    if (line.preset.empty() || line.seed.empty() || !digits(line.seed) || !digits(line.number))
      fail<FileError>(name, "'{}' is no row of the study {}", text, study.name);
    return line;
  };
  if (!before.empty()) {
    if (!before.starts_with(header))
      fail<FileError>(name, "has other columns than the study {} here; move it away, or choose another --out",
                      study.name);
    std::istringstream in(before.substr(header.size()));
    for (std::string text; std::getline(in, text);) lines.push_back(read(text));
  }
  std::vector<CsvLine> own;
  for (const StudyRow& row : rows) {
    const std::string text = study_csv(study, row);
    own.push_back(read(text.substr(0, text.size() - 1)));
  }
  std::erase_if(lines, [&](const CsvLine& old) {
    return std::any_of(own.begin(), own.end(), [&](const CsvLine& now) {
      // A joint run that diverged has one row for all tasks.
      return old.preset == now.preset && old.seed == now.seed &&
             (old.number == now.number || old.number.empty() || now.number.empty());
    });
  });
  lines.insert(lines.end(), own.begin(), own.end());
  const auto less = [&](const CsvLine& a, const CsvLine& b) {
    const auto key = [&](const CsvLine& line) {
      const auto preset = std::find_if(study.presets.begin(), study.presets.end(),
                                       [&](const StudyPreset& p) { return p.name == line.preset; });
      const auto number = [](const std::string& s) { return std::pair(s.size(), s); };  // orders digits by their value
      const bool joint = preset == study.presets.end() || preset->numbers.empty();
      return std::tuple(preset - study.presets.begin(), preset == study.presets.end() ? line.preset : "",
                        number(joint ? line.seed : line.number), number(joint ? line.number : line.seed));
    };
    return key(a) < key(b);
  };
  std::stable_sort(lines.begin(), lines.end(), less);
  std::string text = header;
  for (const CsvLine& line : lines) text += line.text;
  return text;
}

namespace {

/// "" where there is no such file.
std::string text_of(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return "";
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) fail<RuntimeFailure>(path.string(), "cannot be read");
  return text;
}

/// The folder's lock, tried for again until `patience` is over.
FolderLock wait_for_lock(const fs::path& folder, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    try {
      return FolderLock(folder);
    } catch (const RuntimeFailure&) {
      if (std::chrono::steady_clock::now() >= end) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

void check_csv(const Study& study, const fs::path& csv) {
  merged_csv(study, text_of(csv), csv.string(), {});
}

void add_rows(const Study& study, const fs::path& csv, const std::vector<StudyRow>& rows,
              std::chrono::milliseconds patience) {
  std::optional<FolderLock> lock;
  try {
    lock.emplace(wait_for_lock(csv.has_parent_path() ? csv.parent_path() : ".", patience));
  } catch (const RuntimeFailure& e) {
    fail<RuntimeFailure>(csv.string(), "takes no rows now, and the same command adds them later: {}", e.what());
  }
  trace::write_text_atomically(csv, merged_csv(study, text_of(csv), csv.string(), rows));
}

bool all_diverged(const std::vector<StudyRow>& rows) {
  const auto diverged = [](const StudyRow& row) { return row.exit_reason == exit_reason_name(ExitReason::diverged); };
  return !rows.empty() && std::all_of(rows.begin(), rows.end(), diverged);
}

bool published_data(const Study& study, const std::vector<Assignment>& given) {
  if (study.data_key.empty()) return true;
  bool named = false;
  for (const Assignment& a : given) {
    if (a.value.empty() || (a.key != study.data_key && a.key != study.test_data_key)) continue;
    if (babi::holds_own_stories(a.value)) return false;
    named = named || a.key == study.data_key;
  }
  return named;
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
    how.argv = argv_of(study, run, options.given, directory);
    RunResult result = train_or_resume(run.config, changes(run, options, directory), how);
    if (result.solved_at_sequences && options.after && result.sequences < *result.solved_at_sequences + options.after) {
      const auto end = std::to_string(*result.solved_at_sequences + options.after);
      how.argv = {
          "mneme", "train", "--resume", directory.string(), "--train.max-sequences", end, "--train.stop-when-solved",
          "false"};
      result = resume(directory,
                      {{"train.max-sequences", end, "--after"}, {"train.stop-when-solved", "false", "--after"}}, how);
    }
    const bool diverged = result.reason == ExitReason::diverged;
    if (exit_code(result.reason) != 0 && !diverged) return result.reason;
    const Ended ended{directory, existing_json(directory / "run.json"), Config::load(directory.string())};
    StudyRow row = start_row(run, ended, result);
    found[i] = {row};
    if (diverged) return result.reason;
    try {
      if (study.lengths.empty())
        found[i] = judge_test(options, ended, row);
      else
        judge_lengths(study, options, ended, found[i][0]);
    } catch (const NonFiniteError& e) {
      // A row of this kind has no figures; the other runs are judged all the same.
      if (how.notice) how.notice(fmt::format("diverged when it was judged: {}", e.what()));
      row.exit_reason = exit_reason_name(ExitReason::diverged);
      found[i] = {row};
      return ExitReason::diverged;
    }
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
    if (!row.number) continue;  // a joint run that diverged: below
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
  for (const StudyRow& row : rows)
    for (StudyCell& cell : cells)
      if (!row.number && cell.preset == row.preset) ++cell.runs;
  std::stable_sort(cells.begin(), cells.end(), [&](const StudyCell& a, const StudyCell& b) {
    const auto place = [&](const StudyCell& c) { return std::find(order.begin(), order.end(), c.preset); };
    return std::pair(place(a), a.number) < std::pair(place(b), b.number);
  });
  return cells;
}

}  // namespace mneme::experiments
