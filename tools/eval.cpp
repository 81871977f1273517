// Room: tools. `mneme eval`: a trained run on fresh episodes, at its own lengths or at others.
#include "core/error.hpp"
#include "core/quote.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/run_directory.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/lengths.hpp"
#include "tools/progress.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"
#include "tools/trace_file.hpp"

#include <algorithm>
#include <thread>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

/// "FAIL" where the task's rule gives no figure.
std::string figure_text(const std::optional<double>& value, fmt::format_string<const double&> format) {
  return value ? fmt::format(format, *value) : "FAIL";
}

std::string table_text(const experiments::Evaluation& e) {
  const bool resized =
      std::any_of(e.results.begin(), e.results.end(), [](const auto& r) { return r.slots.has_value(); });
  std::vector<std::string> header = {">length"};
  if (resized) header.push_back(">slots");
  header.push_back(">episodes");
  for (const Metric& m : e.metrics) {
    header.push_back(">" + m.name);
    header.push_back(">+-");
  }
  Table table(header);
  for (const auto& r : e.results) {
    std::vector<std::string> row = {r.length ? r.length->text() : "as trained"};
    if (resized) row.push_back(std::to_string(r.slots.value_or(0)));
    row.push_back(std::to_string(r.episodes));
    for (std::size_t m = 0; m < e.metrics.size(); ++m) {
      const Figure& f = r.figures[m];
      row.push_back(figure_text(f.value, "{:.4g}"));
      row.push_back(f.standard_error ? fmt::format("{:.2g}", *f.standard_error) : "-");
    }
    table.add(std::move(row));
  }
  return table.text();
}

/// The test set part by part, and what all of it comes to.
std::string parts_text(const experiments::Evaluation& e) {
  const Metric& metric = e.metrics[e.solved_metric];
  std::string spoken = metric.name;
  std::replace(spoken.begin(), spoken.end(), '_', ' ');
  Table table({">task", ">questions", ">" + spoken, ">commonest answer", ">unknown words", ">unseen answers", ""});
  std::size_t asked = 0, questions = 0, words = 0, answers = 0, cut = 0;
  for (const experiments::PartResult& p : e.parts) {
    table.add({std::to_string(p.part.number), std::to_string(p.questions), figure_text(p.error, "{:.1f}"),
               fmt::format("{:.1f}", p.part.majority), std::to_string(p.part.unknown_words),
               std::to_string(p.part.unseen_answers), e.failed(p) ? "failed" : ""});
    asked += p.questions;
    questions += p.part.questions;
    words += p.part.unknown_words;
    answers += p.part.unseen_answers;
    cut += p.part.cut;
  }
  std::string text = table.text();
  if (e.parts_not_asked > 0)
    text += fmt::format("{} more task{} not asked: --episodes left nothing for {}\n", e.parts_not_asked,
                        e.parts_not_asked == 1 ? " was" : "s were", e.parts_not_asked == 1 ? "it" : "them");
  text += fmt::format("mean {} {}, {} of {} tasks failed (above {:g})\n", spoken, figure_text(e.mean_error(), "{:.2f}"),
                      e.failed_parts(), e.parts.size(), e.solved_threshold);
  text += fmt::format("{} questions asked, the test has {}; training lacks {} of its words and {} of its answers\n",
                      asked, questions, words, answers);
  if (cut > 0)
    text += fmt::format("{} of the test's questions have more items than the model takes: the latest are kept\n", cut);
  return text;
}

std::string memory_use_text(const experiments::Reliance& use) {
  const bool percent = use.unit == "%";
  std::vector<std::string> header = {">task", ">questions", ">" + use.metric, ">reads zeroed", ">shuffled"};
  std::vector<std::string> sites;
  for (const auto& t : use.tasks)
    for (const auto& h : t.hops)
      if (std::find(sites.begin(), sites.end(), h.site) == sites.end()) sites.push_back(h.site);
  for (const std::string& s : sites) header.insert(header.end(), {">" + s + " top %", ">mass %"});
  if (!sites.empty()) header.push_back(">chance %");
  Table table(header);
  const auto number = [&](const std::optional<double>& v) {
    return percent ? figure_text(v, "{:.1f}") : figure_text(v, "{:.4g}");
  };
  for (const auto& t : use.tasks) {
    std::vector<std::string> row = {t.number ? std::to_string(t.number) : "-", std::to_string(t.questions),
                                    number(t.as_read), number(t.zeroed), number(t.shuffled)};
    for (const auto& h : t.hops)
      row.insert(row.end(), {fmt::format("{:.1f}", h.top_percent), fmt::format("{:.1f}", 100 * h.mass)});
    if (t.hops.empty()) row.resize(5 + 2 * sites.size(), "-");
    if (!sites.empty()) row.push_back(t.hops.empty() ? "-" : fmt::format("{:.1f}", 100 * t.chance));
    table.add(std::move(row));
  }
  std::string text =
      fmt::format("memory use: with every read zeroed, and with each row's read another row's (of {})", use.rows);
  if (!sites.empty())
    text +=
        ";\ntop: the most attended item is a supporting fact; mass: weight on them; chance: their share of the items";
  return text + "\n" + table.text();
}

int run(const Arguments& a) {
  experiments::EvaluationOptions options;
  if (a.has("--lengths")) options.lengths = lengths_of(a.options.text("--lengths"));
  if (a.has("--slots")) options.slots = slots_of(a.options.text("--slots"));
  options.checkpoint = a.options.text("--checkpoint");
  if (a.has("--episodes")) options.episodes = a.options.size("--episodes");
  if (a.has("--seed")) options.seed = static_cast<std::uint64_t>(a.options.integer("--seed"));
  options.threads = static_cast<int>(a.options.integer("--threads"));
  options.traced = a.options.size("--traced");
  options.reliance = a.has("--memory-use");
  options.given = a.assignments;
  options.signal = &caught_signal();
  options.notice = [](const std::string& text) { note(text); };
  const fs::path directory = find_run(a.positional[0]);
  experiments::Evaluation e;
  {
    Progress bar;
    options.progress = [&](std::size_t done, std::size_t all) { bar.show(done, all, "episodes"); };
    e = experiments::evaluate(directory, options);
  }
  std::vector<std::string> argv = {"mneme"};
  argv.insert(argv.end(), a.argv.begin(), a.argv.end());
  try {
    experiments::append_evaluation(e.directory, experiments::evaluation_line(e, argv));
  } catch (const RuntimeFailure& why) {
    note(fmt::format("these figures are not written down in the run: {}", why.what()));
  }
  if (a.json()) {
    print("{}\n", experiments::evaluation_json(e));
    return kOk;
  }
  print("{} after {} sequences, seed {}; +- is the standard error of the mean{}\n", e.checkpoint.string(), e.sequences,
        e.seed,
        std::any_of(e.results.begin(), e.results.end(), [](const auto& r) { return r.episodes < 2; })
            ? ", which one episode has none of"
            : "");
  put(table_text(e), true);
  if (!e.parts.empty()) put("\n" + parts_text(e), true);
  if (e.reliance) put("\n" + memory_use_text(*e.reliance), true);
  for (const auto& path : e.traces) print("trace {}\n", path.string());
  if (!e.traces.empty()) note(fmt::format("next: mneme replay {}", shell_path(e.traces[0].string())));
  return kOk;
}

}  // namespace

Command eval_command() {
  const auto cores = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  Command c;
  c.name = "eval";
  c.summary = "judge a trained run on fresh episodes, also longer ones than it was trained on, or on a test set";
  c.parameters = "DIR";
  c.examples = {{"eval runs/first", "on the lengths it was trained on"},
                {"eval runs/first --lengths 20,40,80,120 --episodes 100", "how far it generalises"},
                {"eval runs/babi", "the task's whole test set; of restarts, the chosen run"},
                {"eval runs/babi/seed3", "another one of the restarts"},
                {"eval runs/first --lengths 120 --slots 128,256", "with a larger memory than it was trained with"},
                {"eval runs/repeat --lengths 10x20,20x10", "of two parts: repeat_copy's length and repeats"},
                {"eval runs/first --lengths 20 --json", "for programs"},
                {"eval runs/first --lengths 20 --trace.level params", "and log what the heads do"},
                {"eval runs/babi --memory-use", "whether it needs its memory, and looks where the answer is"}};
  c.flags
      .text("--lengths", "",
            "comma list of lengths (babi: numbers of tasks), each evaluated alone; of two parts as 10x20")
      .text("--slots", "", "comma list of memory sizes to evaluate with; of memories that learn nothing slot by slot")
      .integer("--episodes", 200, 1, 10'000'000,
               "episodes for each length and size; not given: the whole test set where the task has one, else 200")
      .integer("--seed", 0, 0, std::int64_t{1} << 53, "of the episodes; not given: the run's own")
      .text("--checkpoint", "last", "last, best, a number of sequences, or a file")
      .integer("--traced", 8, 0, 1'000'000, "episodes of each length that are logged where --trace.level asks for it")
      .integer("--threads", cores, 1, 1024, "threads; no bit of the result depends on it")
      .flag("--memory-use", false,
            "also: attention on supporting facts, and what is left with reads zeroed or shuffled")
      .flag("--json", false, "one JSON object on stdout");
  c.values = {{"--lengths", "L,L,..."}, {"--slots", "N,N,..."}, {"--checkpoint", "WHICH"}};
  c.choices = known_runs;
  c.reads = {""};
  c.config_keys = "trace.";
  c.heeds_signals = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
