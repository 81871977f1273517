// Room: experiments. The loop over a study's runs, and the rows that come of them.
#include "experiments/compare/study.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "experiments/compare/curves.hpp"
#include "experiments/compare/restarts.hpp"
#include "tasks/babi_format.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <tuple>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

/// The time after a run was solved, in its sequences.
struct Watch {
  double solved_at = 0;
  double end = HUGE_VAL;       ///< of what counts
  bool only_if_longer = true;  ///< nothing counts where the run ended with the evaluation that confirmed it
};

/// What metrics.jsonl says of that time: worst evaluation, worst mean cost, worst mean of the solved metric.
std::vector<std::optional<double>> watch_after(const EndedRun& run, const Watch& watch, const Row& row,
                                               const Task& task) {
  const std::string& judged = task.metrics()[task.solved_metric()].name;
  const auto within = [&](const CurvePoint& p) {
    const auto at = static_cast<double>(p.sequences);
    return at > watch.solved_at && at <= watch.end;
  };
  const auto worst = [&](const Curve& curve) {
    std::optional<double> most;
    for (const CurvePoint& p : curve)
      if (within(p) && p.value && (!most || *p.value > *most)) most = p.value;
    return most;
  };
  const Curve evaluations = learning_curve(run.directory, "eval", judged);
  const auto confirmed = std::find_if(evaluations.begin(), evaluations.end(), [&](const CurvePoint& p) {
    return static_cast<double>(p.sequences) > watch.solved_at;
  });
  if (watch.only_if_longer && confirmed != evaluations.end() && row.sequences <= confirmed->sequences)
    return std::vector<std::optional<double>>(3);
  return {worst(evaluations), worst(learning_curve(run.directory, "train", task.metrics()[0].name)),
          worst(learning_curve(run.directory, "train", judged))};
}

std::vector<std::string> texts(const std::vector<TaskLength>& lengths) {
  std::vector<std::string> all;
  for (const TaskLength& length : lengths) all.push_back(length.text());
  return all;
}

void require_fit(const Study& study, const std::string& preset, const Config& config) {
  if (!study.judges_lengths()) {
    if (task_at(config, std::nullopt)->test().empty())
      fail<ArgumentError>("--presets", "{}: study {} judges on a test set, and the task '{}' has none", preset,
                          study.name, config.task);
    require_training_loss(config);
    return;
  }
  const std::vector<TaskLength> lengths = study.lengths_of(preset);
  if (lengths.empty()) {
    std::vector<std::string> names;
    for (const StudyPreset& p : study.presets) names.push_back(p.name);
    fail<ArgumentError>("--presets", "{}: study {} has no lengths to judge it at; it knows {}", preset, study.name,
                        join(names, ", "));
  }
  try {
    for (const TaskLength& length : lengths) task_at(config, length);
  } catch (const ArgumentError& e) {
    fail<ArgumentError>("--presets", "{}: study {} judges at the lengths {}; {}", preset, study.name,
                        join(texts(lengths), ", "), e.what());
  }
}

constexpr std::size_t kHops = 3;  // of a memory with items, whose attention has columns

/// Those of all presets, each once, in the order of the presets.
std::vector<TaskLength> all_lengths(const Study& study) {
  std::vector<TaskLength> all;
  for (const StudyPreset& p : study.presets)
    for (const TaskLength& length : study.lengths_of(p.name))
      if (std::find(all.begin(), all.end(), length) == all.end()) all.push_back(length);
  return all;
}

std::vector<std::string> figures_of(const Study& study) {
  if (study.several_tasks()) {
    std::vector<std::string> columns = {"sequences_to_0.05_bits",
                                        "seconds_to_0.05_bits",
                                        "solved_at_sequences",
                                        "solved_at_seconds",
                                        "last_cost",
                                        "last_wrong",
                                        "worst_evaluation_after"};
    for (const std::string& length : texts(all_lengths(study))) {
      columns.push_back("cost_" + length);
      columns.push_back("wrong_" + length);
    }
    return columns;
  }
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
  for (const TaskLength& length : study.lengths) columns.push_back("wrong_" + length.text());
  return columns;
}

/// The row with figures of these names, in order; those behind the last one are none.
Row with_figures(const std::vector<std::string>& names, Row row, const std::vector<std::optional<double>>& figures) {
  for (std::size_t i = 0; i < names.size(); ++i)
    row.figures.emplace_back(names[i], i < figures.size() ? figures[i] : std::nullopt);
  return row;
}

std::vector<PlannedRun> runs_of(const Study& study, const StudyOptions& options) {
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
  if (options.after && !study.judges_lengths())
    fail<ArgumentError>("--after", "is for studies of lengths; {} judges its runs on a test set", study.name);
  std::vector<PlannedRun> runs;
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
        PlannedRun run{fmt::format("{}{}-seed{}", preset.name, number ? fmt::format("-task{}", *number) : "", seed),
                       {{"preset", preset.name}},
                       base.with(own),
                       {"mneme", "train", preset.name, "--seed", std::to_string(seed)}};
        if (!study.judges_lengths()) run.factors.emplace_back("task", number ? std::to_string(*number) : "");
        run.factors.emplace_back("seed", std::to_string(seed));
        if (number) run.argv.insert(run.argv.end(), {"--" + study.number_key, std::to_string(*number)});
        for (const Assignment& a : options.given)
          if (a.key != "seed" && !(number && a.key == study.number_key))
            run.argv.insert(run.argv.end(), {"--" + a.key, a.value});
        runs.push_back(std::move(run));
      }
  }
  return runs;
}

std::optional<double> sequences_of(const std::optional<CurvePoint>& p) {
  return p ? std::optional<double>(static_cast<double>(p->sequences)) : std::nullopt;
}

std::optional<double> seconds_of(const std::optional<CurvePoint>& p) {
  return p ? std::optional<double>(p->seconds) : std::nullopt;
}

/// Of a study with lengths.
Row judge_lengths(const Study& study, std::uint64_t after, const EndedRun& run, Row row, EvaluationOptions how) {
  const auto task = task_at(run.config, std::nullopt);
  const auto solved_at = run.number("solved_at_sequences");
  const auto tenth =
      first_at_most(learning_curve(run.directory, "eval", task->metrics()[task->solved_metric()].name), 0.1);
  std::vector<std::optional<double>> figures = {sequences_of(tenth), seconds_of(tenth), solved_at,
                                                run.number("solved_at_seconds")};
  std::vector<std::optional<double>> watched(3);
  if (solved_at) {
    const double end = after ? *solved_at + static_cast<double>(after) : HUGE_VAL;
    watched = watch_after(run, {*solved_at, end, after == 0}, row, *task);
  }
  figures.insert(figures.end(), watched.begin(), watched.end());
  how.lengths = study.lengths;
  how.episodes = study.episodes;
  for (const LengthResult& r : evaluate(run.directory, how).results)
    figures.push_back(r.figures[task->solved_metric()].value);
  return with_figures(figures_of(study), std::move(row), figures);
}

/// Of a study of several tasks.
Row judge_task(const Study& study, std::uint64_t after, const EndedRun& run, Row row, EvaluationOptions how) {
  const auto task = task_at(run.config, std::nullopt);
  const std::size_t solved = task->solved_metric();
  const Curve cost = learning_curve(run.directory, "eval", task->metrics()[0].name);
  const Curve wrong = learning_curve(run.directory, "eval", task->metrics()[solved].name);
  const auto cheap = first_at_most(cost, 0.05);
  const auto solved_at = run.number("solved_at_sequences");
  const auto last = [](const Curve& curve) { return curve.empty() ? std::nullopt : curve.back().value; };
  std::optional<double> worst;
  if (solved_at)
    worst = watch_after(run, {*solved_at, after ? *solved_at + static_cast<double>(after) : HUGE_VAL, after == 0}, row,
                        *task)[0];
  std::vector<std::string> names = figures_of(study);
  names.resize(7);
  std::vector<std::optional<double>> figures = {
      sequences_of(cheap), seconds_of(cheap), solved_at, run.number("solved_at_seconds"),
      last(cost),          last(wrong),       worst};
  how.lengths = study.lengths_of(row.factor("preset"));
  how.episodes = study.episodes;
  for (const LengthResult& r : evaluate(run.directory, how).results) {
    names.push_back("cost_" + r.length->text());
    names.push_back("wrong_" + r.length->text());
    figures.push_back(r.figures[0].value);
    figures.push_back(r.figures[solved].value);
  }
  return with_figures(names, std::move(row), figures);
}

/// Of a study of a test set: a row for each part.
std::vector<Row> judge_test(const Study& study, const EndedRun& run, const Row& begun, EvaluationOptions how) {
  how.reliance = run.config.memory != "none";
  const auto loss = training_loss(run.directory);
  const Evaluation judged = evaluate(run.directory, how);
  std::vector<Row> rows;
  for (const PartResult& p : judged.parts) {
    Row row = begun;
    for (auto& [name, value] : row.factors)
      if (name == "task") value = std::to_string(p.part.number);
    std::vector<std::optional<double>> figures = {loss,
                                                  static_cast<double>(p.questions),
                                                  p.error,
                                                  p.part.majority,
                                                  static_cast<double>(p.part.unknown_words),
                                                  static_cast<double>(p.part.unseen_answers)};
    for (const TaskReliance& use : judged.reliance ? judged.reliance->tasks : std::vector<TaskReliance>{}) {
      if (use.number != p.part.number) continue;
      figures.insert(figures.end(), {use.zeroed, use.shuffled});
      if (use.hops.empty()) continue;
      figures.emplace_back(use.chance);
      for (std::size_t h = 0; h < std::min(kHops, use.hops.size()); ++h)
        figures.insert(figures.end(), {use.hops[h].top_percent, use.hops[h].mass});
    }
    rows.push_back(with_figures(figures_of(study), std::move(row), figures));
  }
  return rows;
}

}  // namespace

bool Study::several_tasks() const {
  return std::any_of(presets.begin(), presets.end(), [](const StudyPreset& p) { return !p.lengths.empty(); });
}

std::vector<TaskLength> Study::lengths_of(const std::string& preset) const {
  for (const StudyPreset& p : presets)
    if (p.name == preset && !p.lengths.empty()) return p.lengths;
  return lengths;
}

RowColumns study_columns(const Study& study) {
  RowColumns columns;
  columns.of = "the study " + study.name;
  columns.factors = !study.judges_lengths() ? std::vector<std::string>{"preset", "task", "seed"}
                                            : std::vector<std::string>{"preset", "seed"};
  columns.figures = figures_of(study);
  columns.less = [&study](const Row& a, const Row& b) {
    const auto key = [&](const Row& row) {
      const std::string name = row.factor("preset");
      const auto preset = std::find_if(study.presets.begin(), study.presets.end(),
                                       [&](const StudyPreset& p) { return p.name == name; });
      const auto number = [&](const char* factor) {  // orders digits by their value
        const std::string digits = row.factor(factor);
        return std::pair(digits.size(), digits);
      };
      const bool joint = preset == study.presets.end() || preset->numbers.empty();
      return std::tuple(preset - study.presets.begin(), preset == study.presets.end() ? name : "",
                        number(joint ? "seed" : "task"), number(joint ? "task" : "seed"));
    };
    return key(a) < key(b);
  };
  return columns;
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

std::vector<Row> run_study(const Study& study, const StudyOptions& options, int& stopped) {
  const auto judge = [&](const EndedRun& run, Row begun, EvaluationOptions how) -> std::vector<Row> {
    if (!study.judges_lengths()) return judge_test(study, run, begun, std::move(how));
    if (study.several_tasks()) return {judge_task(study, options.after, run, std::move(begun), std::move(how))};
    return {judge_lengths(study, options.after, run, std::move(begun), std::move(how))};
  };
  return run_plan(runs_of(study, options), judge,
                  {options.out, options.after, options.how, options.known, options.done}, stopped);
}

std::vector<StudyCell> study_cells(const std::vector<Row>& rows) {
  std::vector<StudyCell> cells;
  std::vector<std::optional<double>> losses;  // the chosen one's, by cell
  std::vector<std::string> order;
  const auto number_of = [](const Row& row) -> std::int64_t {
    const std::string part = row.factor("task");
    return part.empty() ? 0 : std::stoll(part);
  };
  for (const Row& row : rows) {
    const std::string preset = row.factor("preset");
    const std::int64_t number = number_of(row);
    if (!std::count(order.begin(), order.end(), preset)) order.push_back(preset);
    if (number == 0) continue;  // a joint run that diverged: below
    auto cell = std::find_if(cells.begin(), cells.end(),
                             [&](const StudyCell& c) { return c.preset == preset && c.number == number; });
    if (cell == cells.end()) {
      cells.push_back({.preset = preset, .number = number});
      losses.emplace_back();
      cell = cells.end() - 1;
    }
    ++cell->runs;
    const auto error = row.figure("error_percent");
    if (!error) continue;
    cell->errors.push_back(*error);
    cell->majority = *row.figure("majority_error_percent");
    const auto count = [&](const char* column) { return static_cast<std::size_t>(*row.figure(column)); };
    cell->questions = count("questions");
    cell->unknown_words = count("unknown_words");
    cell->unseen_answers = count("unseen_answers");
    const auto loss = row.figure("training_loss");
    auto& best = losses[static_cast<std::size_t>(cell - cells.begin())];
    if (least({best, loss}) != std::size_t{1}) continue;
    best = loss;
    cell->seed = std::stoull(row.factor("seed"));
    cell->error = error;
  }
  for (const Row& row : rows)
    for (StudyCell& cell : cells)
      if (number_of(row) == 0 && cell.preset == row.factor("preset")) ++cell.runs;
  std::stable_sort(cells.begin(), cells.end(), [&](const StudyCell& a, const StudyCell& b) {
    const auto place = [&](const StudyCell& c) { return std::find(order.begin(), order.end(), c.preset); };
    return std::pair(place(a), a.number) < std::pair(place(b), b.number);
  });
  return cells;
}

}  // namespace mneme::experiments
