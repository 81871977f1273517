// Room: tools. `mneme reproduce`: a published figure by one command, every seed a row, the paper's figures beside ours.
#include "core/error.hpp"
#include "core/json.hpp"
#include "experiments/compare/restarts.hpp"
#include "experiments/compare/study.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"

#include <algorithm>
#include <thread>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;
using experiments::PublishedColumn;
using experiments::Row;
using experiments::Study;
using experiments::StudyCell;

constexpr const char* kNoneEndedWell = "mneme: every run diverged: there is no figure";

std::string number(const std::optional<double>& v, const char* format = "{:.3g}") {
  return v ? fmt::format(fmt::runtime(format), *v) : "-";
}

std::string table_text(const Study& study, const std::vector<Row>& rows) {
  const bool watched = std::any_of(rows.begin(), rows.end(), [&](const Row& r) {
    return r.figure("worst_evaluation_after") || r.figure("worst_mean_bits_after");
  });
  std::vector<std::string> header = {"preset", ">seed", ">0.1 wrong bits at", ">s", ">solved at", ">s"};
  std::vector<std::string> columns = {"sequences_to_0.1", "seconds_to_0.1", "solved_at_sequences", "solved_at_seconds"};
  for (const experiments::TaskLength& length : study.lengths) {
    header.push_back(">wrong at " + length.text());
    columns.push_back("wrong_" + length.text());
  }
  if (watched) {
    header.insert(header.end(), {">worst eval after", ">worst mean bits after", ">worst mean wrong after"});
    columns.insert(columns.end(), {"worst_evaluation_after", "worst_mean_bits_after", "worst_mean_wrong_after"});
  }
  Table table(header);
  for (const Row& r : rows) {
    std::vector<std::string> row = {r.factor("preset"), r.factor("seed")};
    for (const std::string& column : columns)
      row.push_back(number(r.figure(column), column.find("sequences") != std::string::npos ? "{:.0f}" : "{:.3g}"));
    table.add(std::move(row));
  }
  return table.text();
}

/// Of a study of several tasks: a table for each preset, its runs and what they come to together.
std::string tasks_text(const Study& study, const std::vector<Row>& rows) {
  std::string text;
  for (std::size_t i = 0; i < rows.size();) {
    const std::string preset = rows[i].factor("preset");
    std::vector<std::string> header = {">seed", ">0.05 bits at", ">solved at", ">s", ">last bits"};
    std::vector<std::string> columns = {"sequences_to_0.05_bits", "solved_at_sequences", "seconds", "last_cost"};
    for (const experiments::TaskLength& length : study.lengths_of(preset))
      for (const char* metric : {"cost", "wrong"}) {
        header.push_back(fmt::format(">{} at {}", metric == std::string("cost") ? "bits" : "wrong", length.text()));
        columns.push_back(fmt::format("{}_{}", metric, length.text()));
      }
    Table table(header);
    std::vector<std::vector<double>> all(columns.size());
    for (; i < rows.size() && rows[i].factor("preset") == preset; ++i) {
      std::vector<std::string> line = {rows[i].factor("seed")};
      for (std::size_t c = 0; c < columns.size(); ++c) {
        const auto value =
            columns[c] == "seconds" ? std::optional<double>(rows[i].seconds) : rows[i].figure(columns[c]);
        line.push_back(number(value, c < 2 ? "{:.0f}" : "{:.3g}"));
        if (value) all[c].push_back(*value);
      }
      table.add(std::move(line));
    }
    std::vector<std::string> mean = {"mean"}, sd = {"sd"}, most = {"most"};
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const experiments::Spread s = experiments::spread(all[c]);
      const bool whole = s.count > 0 && c > 1;  // of sequences the summary below says more
      mean.push_back(whole ? number(s.mean) : "");
      sd.push_back(whole ? number(s.deviation) : "");
      most.push_back(whole ? number(s.most) : "");
    }
    for (auto* line : {&mean, &sd, &most}) table.add(std::move(*line));
    text += fmt::format("{}\n{}\n", preset, table.text());
  }
  return text +
         "wrong: the metric that says whether the task is solved; mean, sd and most over the runs that have it.\n";
}

/// "copy_ntm: 5 of 5 solved, median 3000 sequences, worst 6000"
void print_summary(const std::vector<Row>& rows) {
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i, diverged = 0;
    std::vector<double> solved;
    for (; end < rows.size() && rows[end].factor("preset") == rows[i].factor("preset"); ++end) {
      if (const auto at = rows[end].figure("solved_at_sequences")) solved.push_back(*at);
      diverged += rows[end].diverged();
    }
    const std::size_t n = end - i;
    // Runs that were not solved stand above every one that was: the median is censored, not taken over the lucky.
    const auto median = experiments::median(solved, n);
    print("{}: {} of {} seeds solved, {}{}{}\n", rows[i].factor("preset"), solved.size(), n,
          median ? fmt::format("median {:.10g} sequences", *median) : "median not reached",
          solved.size() == n ? fmt::format(", worst {:.0f}", *std::max_element(solved.begin(), solved.end())) : "",
          diverged ? fmt::format(", {} diverged", diverged) : "");
    i = end;
  }
}

using Cells = std::vector<StudyCell>;

/// What one preset came to.
struct Group {
  std::string preset;
  Cells cells;               ///< none where every run is a joint one that diverged
  std::size_t diverged = 0;  ///< runs
};

std::vector<Group> by_preset(const std::vector<Row>& rows) {
  std::vector<Group> groups;
  for (const Row& row : rows) {
    const auto same = [&](const Group& g) { return g.preset == row.factor("preset"); };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) group = groups.insert(group, Group{row.factor("preset"), {}, 0});
    group->diverged += row.diverged();
  }
  for (const StudyCell& c : experiments::study_cells(rows))
    for (Group& g : groups)
      if (g.preset == c.preset) g.cells.push_back(c);
  return groups;
}

/// A task counts in the means, ours and published, where each of them has its figure.
bool counts(const StudyCell& c) {
  return c.error && !c.errors.empty();
}

/// The published columns that stand beside a preset's rows; none where these learned other stories.
std::vector<const PublishedColumn*> columns_beside(const Study& study, const std::string& preset, bool comparable) {
  std::vector<const PublishedColumn*> columns;
  for (const PublishedColumn& c : study.columns)
    if (comparable && c.preset == preset) columns.push_back(&c);
  return columns;
}

double published_error(const PublishedColumn& column, const StudyCell& cell) {
  return column.errors.at(static_cast<std::size_t>(cell.number - 1));
}

/// Means over the tasks at hand, ours and the published ones alike, and how many have more than 5 % error.
struct Total {
  double sum = 0;
  std::size_t count = 0, failed = 0;
  void add(const std::optional<double>& error) {
    if (!error) return;
    sum += *error;
    ++count;
    failed += *error > 5;
  }
  std::optional<double> mean() const {
    return count ? std::optional<double>(sum / static_cast<double>(count)) : std::nullopt;
  }
};

std::string cells_text(const Study& study, const Group& group, bool comparable) {
  const Cells& cells = group.cells;
  if (cells.empty()) return fmt::format("{}: all {} runs diverged\n", group.preset, group.diverged);
  std::vector<std::string> header = {">task", ">chosen", ">seed", ">mean", ">sd", ">least", ">most", ">commonest"};
  const auto beside = columns_beside(study, cells[0].preset, comparable);
  for (const auto* c : beside) header.push_back(">" + c->name);
  Table table(header);
  std::vector<Total> totals(header.size());
  std::size_t words = 0, answers = 0, runs = 0, counted = 0;
  for (const StudyCell& c : cells) {
    const experiments::Spread s = experiments::spread(c.errors);
    const auto of = [&](double v) { return s.count ? std::optional<double>(v) : std::nullopt; };
    std::vector<std::optional<double>> figures = {{},          c.error,     {},         of(s.mean),
                                                  s.deviation, of(s.least), of(s.most), of(c.majority)};
    for (const auto* p : beside) figures.emplace_back(published_error(*p, c));
    std::vector<std::string> row;
    for (std::size_t i = 0; i < figures.size(); ++i) {
      row.push_back(number(figures[i], i == 4 ? "{:.2f}" : "{:.1f}"));
      if (i != 4 && counts(c)) totals[i].add(figures[i]);
    }
    row[0] = std::to_string(c.number);
    row[2] = c.seed ? std::to_string(*c.seed) : "-";
    table.add(std::move(row));
    words += c.unknown_words;
    answers += c.unseen_answers;
    runs = std::max(runs, c.runs);
    counted += counts(c);
  }
  std::vector<std::string> mean = {"mean"}, failed = {"failed"};
  for (std::size_t i = 1; i < totals.size(); ++i) {
    mean.push_back(totals[i].count ? number(totals[i].mean(), "{:.2f}") : "");
    failed.push_back(totals[i].count ? std::to_string(totals[i].failed) : "");
  }
  table.add(std::move(mean));
  table.add(std::move(failed));
  std::string text =
      fmt::format("{}: test error in percent, up to {} runs a task\n{}", cells[0].preset, runs, table.text());
  for (const auto* c : beside) text += fmt::format("  {}: {}\n", c->name, c->source);
  if (group.diverged)
    text += fmt::format("  {} runs diverged and are left out of mean, sd, least and most\n", group.diverged);
  if (counted < cells.size())
    text += fmt::format("  rows mean and failed, in every column: the {} of {} tasks that a run ended well on\n",
                        counted, cells.size());
  if (words + answers > 0)
    text += fmt::format("  training lacks {} words of the tests and the answers to {} questions\n", words, answers);
  for (const auto& p : study.presets)
    if (p.name == cells[0].preset && !p.remark.empty()) text += "  " + p.remark + "\n";
  return text;
}

Json cells_json(const Study& study, const Group& group, bool comparable) {
  const auto beside = columns_beside(study, group.preset, comparable);
  Json j = {{"preset", group.preset}, {"diverged_runs", group.diverged}, {"tasks", Json::array()}};
  Total chosen, mean;
  for (const StudyCell& c : group.cells) {
    const experiments::Spread s = experiments::spread(c.errors);
    Json entry = {{"number", c.number},
                  {"questions", c.questions},
                  {"runs", c.runs},
                  {"chosen_seed", or_null(c.seed)},
                  {"error_percent", or_null(c.error)}};
    entry["mean"] = s.count ? Json(s.mean) : Json(nullptr);
    entry["standard_deviation"] = or_null(s.deviation);
    entry["least"] = s.count ? Json(s.least) : Json(nullptr);
    entry["most"] = s.count ? Json(s.most) : Json(nullptr);
    entry["majority_error_percent"] = c.majority;
    entry["unknown_words"] = c.unknown_words;
    entry["unseen_answers"] = c.unseen_answers;
    entry["published"] = Json::object();
    for (const auto* p : beside) entry["published"][p->name] = published_error(*p, c);
    j["tasks"].push_back(entry);
    if (!counts(c)) continue;
    chosen.add(c.error);
    mean.add(s.mean);
  }
  j["tasks_counted"] = chosen.count;
  j["mean_error_percent"] = or_null(chosen.mean());
  j["failed_tasks"] = chosen.failed;
  j["mean_of_means"] = or_null(mean.mean());
  j["published"] = Json::object();
  for (const auto* p : beside) j["published"][p->name] = p->source;
  return j;
}

/// Of a study with lengths: every run, how it ended and its figures by the names of the CSV.
Json runs_json(const Study& study, const std::vector<Row>& rows) {
  Json all = Json::array();
  for (const Row& row : rows) {
    Json& j = all.emplace_back(Json{{"preset", row.factor("preset")},
                                    {"seed", std::stoull(row.factor("seed"))},
                                    {"exit_reason", row.exit_reason},
                                    {"sequences", row.sequences},
                                    {"seconds", row.seconds}});
    for (const std::string& column : study_columns(study).figures) j[column] = or_null(row.figure(column));
  }
  return all;
}

int run(const Arguments& a) {
  const Study& study = experiments::find_study(a.positional[0]);
  experiments::StudyOptions options;
  options.presets = a.has("--presets") ? a.options.choices("--presets") : std::vector<std::string>{};
  if (a.has("--seeds")) options.seeds = a.options.range("--seeds");
  options.given = a.assignments;
  options.after = static_cast<std::uint64_t>(a.options.integer("--after"));
  options.out = a.has("--out") ? a.options.text("--out") : "runs/reproduce-" + study.name;
  options.how.jobs = static_cast<int>(a.options.integer("--jobs"));
  const bool together = options.how.jobs > 1 && !a.has("--threads");
  options.how.threads = together ? 1 : static_cast<int>(a.options.integer("--threads"));
  options.how.signal = &caught_signal();
  options.how.notice = [](const std::string& text) { note(text); };
  const bool published_data = experiments::published_data(study, a.assignments);
  const std::string warning = fmt::format(
      "STORIES OF OUR OWN MAKING: no figure here is comparable to a published one; --{} DIR names the published files",
      study.data_key);
  if (!published_data) say(warning);
  std::vector<Row> done;
  const fs::path csv_path = options.out / (study.name + (published_data ? "" : "-own-stories") + ".csv");
  const experiments::RowColumns columns = experiments::study_columns(study);
  experiments::load_rows(columns, csv_path);  // a file that is no such CSV ends it before any work
  if (a.has("--rows")) {
    const std::string rows = a.options.text("--rows");
    if (!fs::exists(rows)) fail<ArgumentError>("--rows", "no file '{}'", rows);
    options.known = experiments::load_rows(columns, rows);
  }
  int stopped = 0;
  {
    Progress bar;
    options.how.progress_seconds = bar.interval();
    options.how.progress = [&](const experiments::JobsProgress& p) {
      bar.show(p.sequences, p.max_sequences, p.seconds, {p.eta, p.at_most},
               fmt::format("{} of {} runs; {} loss {}", p.done, p.jobs, p.name,
                           p.loss ? fmt::format("{:.3g}", *p.loss) : "-"));
    };
    options.done = [&](const std::vector<Row>& rows) { experiments::add_rows(columns, csv_path, rows); };
    done = experiments::run_study(study, options, stopped);
  }
  const bool tested = !study.judges_lengths(), lost = stopped == 0 && experiments::all_diverged(done);
  const int code = lost ? kDiverged : stopped;
  const std::vector<Group> groups = tested ? by_preset(done) : std::vector<Group>{};
  if (a.json()) {
    Json j = {{"study", study.name}, {"rows", done.size()}, {"csv", csv_path.string()}};
    if (tested) {
      j["published_data"] = published_data;
      j["presets"] = Json::array();
      for (const Group& group : groups) j["presets"].push_back(cells_json(study, group, published_data));
    } else {
      j["runs"] = runs_json(study, done);
    }
    print("{}\n", json_text(j, 2));
    if (lost) say(kNoneEndedWell);
    return code;
  }
  if (done.empty()) {
    note("stopped before any run had ended; the same command goes on");
    return stopped;
  }
  print("{}\n\n", study.summary);
  if (!published_data) print("{}\n\n", warning);
  if (tested) {
    for (const Group& group : groups) put(cells_text(study, group, published_data) + "\n", true);
    put("chosen: the run with the least training loss, that of the last whole window of train.log-every sequences.\n"
        "mean to most: all runs. failed: error above 5 %.\n");
  } else {
    put(study.several_tasks() ? tasks_text(study, done) : table_text(study, done), true);
    print("\n");
    print_summary(done);
  }
  if (published_data) {
    print("\npublished:\n");
    for (const auto& p : study.published) print("  {}\n    {}\n", p.source, p.figure);
  }
  print("\nrows: {}\n", csv_path.string());
  if (stopped) note("stopped; the same command goes on");
  if (lost) say(kNoneEndedWell);
  return code;
}

}  // namespace

Command reproduce_command() {
  const auto cores = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  Command c;
  c.name = "reproduce";
  c.summary = "a published figure: all its runs over several seeds, ours beside the paper's";
  c.parameters = "STUDY";
  c.examples = {
      {"reproduce copy --presets copy_ntm", "five seeds of one preset"},
      {"reproduce copy --presets copy_ntm --seeds 6:8 --after 20000",
       "three more, each watched for 20,000 sequences once solved"},
      {"reproduce ntm --presets associative_recall_ntm --jobs 2", "ten seeds of one of the NTM's five tasks"},
      {"reproduce babi-1k --task.data DIR --jobs 2", "MemN2N on the 20 bAbI tasks, ten runs each, and jointly"},
      {"reproduce babi-1k --task.data DIR --presets babi_kv --task.number 1:3", "another memory, three tasks"}};
  c.flags
      .choices("--presets", "copy_ntm", preset_names,
               "comma list; not given: those of the study that stand first below")
      .range("--seeds", {1, 5}, 0, 1'000'000'000, "low:high, each one a run; not given: as the study says below")
      .integer("--jobs", 1, 1, 1024, "runs at a time, then with one thread each; no bit of any depends on it")
      .text("--rows", "",
            "rows of a CSV as this command writes it, as results/copy.csv: runs of theirs are not made again")
      .integer("--after", 0, 0, 1'000'000'000, "sequences to go on for once solved")
      .text("--out", "", "where the runs go; not given: runs/reproduce-STUDY. Runs and rows that are there are kept")
      .integer("--threads", cores, 1, 1024, "threads; no bit of the result depends on it")
      .flag("--json", false, "one JSON object on stdout");
  c.values = {{"--presets", "P,P,..."}, {"--seeds", "A:B"}, {"--out", "DIR"}, {"--rows", "FILE"}};
  c.choices = [] {
    std::vector<std::string> names;
    for (const Study& s : experiments::studies()) names.push_back(s.name);
    return names;
  };
  c.config_keys = "all";
  std::string names;
  for (const Study& s : experiments::studies()) {
    names += fmt::format("  {}: {}\n", s.name, s.summary);
    for (std::size_t i = 0; i < s.presets.size(); ++i) {
      const auto& p = s.presets[i];
      names += fmt::format("    {}  seeds {}:{}{}\n", p.name, p.seeds.low, p.seeds.high,
                           i < s.standard ? "" : ", where --presets names it");
    }
  }
  c.notes = "Studies:\n" + names + "The command may be stopped at any time and goes on when typed again.";
  c.heeds_signals = c.saves_when_stopped = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
