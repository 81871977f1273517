// Room: tools. `mneme compare`: schemes, memories or any other choice side by side over tasks and seeds.
#include "experiments/compare/compare.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/curves_figure.hpp"
#include "tools/drawing.hpp"
#include "tools/lengths.hpp"
#include "tools/progress.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"

#include <unistd.h>

#include <algorithm>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;
using experiments::Comparison;
using experiments::Interval;
using experiments::PairResult;
using experiments::SchemeResult;

constexpr std::size_t kManyRuns = 10'000;

std::string number(const std::optional<double>& v, const char* format = "{:.3g}") {
  return v ? fmt::format(fmt::runtime(format), *v) : "-";
}

std::string interval_text(const Interval& i) {
  if (!i.low && !i.high) return "";
  return fmt::format("{}..{}", number(i.low, "{:.10g}"), i.high ? number(i.high, "{:.10g}") : "");
}

/// 0.0312, <0.001
std::string p_text(const std::optional<double>& p) {
  return !p ? "-" : *p < 0.001 ? "<0.001" : fmt::format("{:.3f}", *p);
}

/// Of one task; their numbers in its tables are 1, 2, ...
using Schemes = std::vector<const SchemeResult*>;

/// A task's schemes: how many seeds solved it and when, and what they cost.
std::string schemes_text(const Schemes& schemes, std::size_t columns) {
  Table table({">#", ">solved", ">median at", ">95 %", ">0.05 bits", ">final", ">params", ">s/1000", "scheme"});
  for (std::size_t i = 0; i < schemes.size(); ++i) {
    const SchemeResult& r = *schemes[i];
    table.add({std::to_string(i + 1), fmt::format("{}/{}", r.solved, r.seeds()), number(r.median_sequences, "{:.10g}"),
               interval_text(r.interval), number(r.cheap_sequences, "{:.10g}"), number(r.final_cost),
               number(r.parameters, "{:.0f}"), number(r.seconds_per_1000), r.scheme});
  }
  return table.text(columns);
}

/// The solved metric beyond training, median over the seeds.
std::string beyond_text(const Comparison& c, const Schemes& schemes) {
  std::vector<std::string> header = {">#"}, figures;
  for (const std::string& name : c.figures) {
    const auto has = [&](const SchemeResult* r) { return experiments::middle_of(r->rows, name).has_value(); };
    if (!name.starts_with("wrong_") || std::none_of(schemes.begin(), schemes.end(), has)) continue;
    figures.push_back(name);
    std::string title = name.substr(6);
    if (const std::size_t at = title.find("_slots_"); at != std::string::npos)
      title = title.substr(0, at) + " N=" + title.substr(at + 7);
    header.push_back(">" + title);
  }
  if (figures.empty()) return "";
  Table table(header);
  for (std::size_t i = 0; i < schemes.size(); ++i) {
    std::vector<std::string> line = {std::to_string(i + 1)};
    for (const std::string& figure : figures) line.push_back(number(experiments::middle_of(schemes[i]->rows, figure)));
    table.add(std::move(line));
  }
  std::string metric = schemes.front()->metric;
  std::replace(metric.begin(), metric.end(), '_', ' ');
  return metric + " by length, median\n" + table.text();
}

std::string pairs_text(const Comparison& c, const Schemes& schemes) {
  Table table({">#", ">less", ">seeds", ">sequences", ">p", ">final cost", ">p"});
  std::size_t count = 0;
  const auto place = [&](const std::string& scheme) {
    const auto it = std::find_if(schemes.begin(), schemes.end(), [&](const auto* r) { return r->scheme == scheme; });
    return std::to_string(it - schemes.begin() + 1);
  };
  for (const PairResult& p : c.pairs) {
    if (p.task != schemes.front()->task) continue;
    ++count;
    table.add({place(p.a), place(p.b), std::to_string(p.seeds), number(p.difference, "{:+.10g}"), p_text(p.p),
               number(p.cost_difference, "{:+.3g}"), p_text(p.cost_p)});
  }
  return count ? table.text() : "";
}

std::string comparison_text(const Comparison& c, std::size_t columns) {
  std::string text;
  for (std::size_t i = 0; i < c.results.size();) {
    Schemes schemes;
    std::size_t diverged = 0;
    for (const std::string task = c.results[i].task; i < c.results.size() && c.results[i].task == task; ++i) {
      schemes.push_back(&c.results[i]);
      diverged += c.results[i].diverged;
    }
    text += fmt::format("{}\n{}", schemes.front()->task, schemes_text(schemes, columns));
    for (const std::string& part : {beyond_text(c, schemes), pairs_text(c, schemes)})
      if (!part.empty()) text += "\n" + part;
    if (diverged) text += fmt::format("{} runs diverged: unsolved, and left out of the medians of cost\n", diverged);
    text += "\n";
  }
  return text +
         "solved: seeds of all seeds. median at: sequences until solved, censored (Kaplan-\nMeier), with its 95 % "
         "bootstrap interval, open where it may lie beyond the\ntraining. final: first metric of the last evaluation, "
         "median. p: Wilcoxon's signed\nrank test over the seeds, exact, two-sided, Holm over the pairs of a task.\n";
}

void print_forecast(const experiments::CompareForecast& f, int jobs, bool json) {
  double hours = 0;
  std::size_t runs = 0, done = 0;
  Table table({"task", "scheme", ">runs", ">done", ">params", ">min a run"});
  Json rows = Json::array();
  for (const auto& e : f.entries) {
    const double left = static_cast<double>(e.runs - e.done) * e.seconds_a_run / 3600;
    hours += left;
    runs += e.runs;
    done += e.done;
    table.add({e.task, e.scheme, std::to_string(e.runs), std::to_string(e.done), std::to_string(e.parameters),
               fmt::format("{:.1f}", e.seconds_a_run / 60)});
    rows.push_back({{"task", e.task},
                    {"scheme", e.scheme},
                    {"runs", e.runs},
                    {"done", e.done},
                    {"parameters", e.parameters},
                    {"seconds_a_run", e.seconds_a_run}});
  }
  if (json) {
    print("{}\n", json_text(Json{{"runs", runs}, {"done", done}, {"core_hours", hours}, {"rows", rows}}, 2));
    return;
  }
  put(table.text(), true);
  print(
      "{} runs, {} done; {:.2g} core hours left, {:.2g} hours with --jobs {}, where no run is solved before "
      "--max-sequences\n",
      runs, done, hours, hours / jobs, jobs);
}

int run(const Arguments& a) {
  experiments::CompareOptions o;
  if (!a.positional.empty()) {
    const bool file = fs::exists(a.positional[0]);  // its name may have a comma
    o.presets = file ? std::vector<std::string>{a.positional[0]}
                     : experiments::factor_of({"preset", a.positional[0], "PRESET"}).values;
  }
  for (const experiments::Assignment& given : a.assignments) {
    if (given.key == "seed") fail<ArgumentError>("--seed", "is --seeds here: 1:10, or a comma list");
    o.factors.push_back(experiments::factor_of(given));
  }
  if (o.presets.empty() &&
      std::none_of(o.factors.begin(), o.factors.end(), [](const experiments::Factor& f) { return f.key == "task"; }))
    fail<ArgumentError>("compare", "PRESET or --task is missing. Presets: {}", join(preset_names(), ", "));
  o.seeds = experiments::seeds_of(a.options.text("--seeds"));
  o.out = a.has("--out") ? a.options.text("--out") : "runs/compare";
  o.after = static_cast<std::uint64_t>(a.options.integer("--after"));
  o.episodes = a.options.size("--episodes");
  if (a.has("--lengths")) o.lengths = lengths_of(a.options.text("--lengths"));
  if (a.has("--slots")) o.slots = slots_of(a.options.text("--slots"));
  if (a.has("--threshold")) o.threshold = experiments::Threshold::parse(a.options.text("--threshold"));
  if (a.has("--rows"))
    for (const std::string& file : experiments::factor_of({"rows", a.options.text("--rows"), "--rows"}).values) {
      if (!fs::is_regular_file(file)) fail<ArgumentError>("--rows", "no file '{}'", file);
      o.rows.emplace_back(file);
    }
  const std::size_t runs = experiments::expand(o.presets, o.factors).size() * o.seeds.size();
  if (runs > kManyRuns && !a.has("--yes"))
    fail<ArgumentError>("compare", "these are {} runs; --yes makes more than {}", runs, kManyRuns);
  o.how.jobs = static_cast<int>(a.options.integer("--jobs"));
  if (a.has("--dry-run")) {
    print_forecast(experiments::forecast(o), o.how.jobs, a.json());
    return kOk;
  }
  o.how.signal = &caught_signal();
  o.how.notice = [](const std::string& text) { note(text); };
  Comparison c;
  {
    Progress bar;
    o.how.progress_seconds = bar.interval();
    o.how.progress = [&](const experiments::JobsProgress& p) {
      bar.show(p.sequences, p.max_sequences, p.seconds, {p.eta, p.at_most},
               fmt::format("{} of {} runs; {} loss {}", p.done, p.jobs, p.name,
                           p.loss ? fmt::format("{:.3g}", *p.loss) : "-"));
    };
    c = experiments::compare(o);
  }
  const pictures::Curves curves = experiments::comparison_curves(c);
  if (!curves.panels.empty() && c.stopped == 0) {
    const Drawn drawn = draw(o.out, "curves", {{".csv", curves_csv(curves)}, {".gp", curves_script(curves, "curves")}});
    if (!drawn.pictures) note(how_to_draw(o.out, "curves"));
  }
  std::size_t made = 0;
  for (const SchemeResult& r : c.results) made += r.seeds();
  if (a.json()) {
    print("{}\n", experiments::comparison_json(c));
  } else {
    if (made > 0) put(comparison_text(c, static_cast<std::size_t>(terminal_size(STDOUT_FILENO).columns)), true);
    print("\n{} of {} runs, curves.svg, table.csv, compare.json: {}\n", made, c.planned, o.out.string());
  }
  if (c.stopped) note("stopped; the same command goes on");
  return c.stopped;
}

}  // namespace

Command compare_command() {
  Command c;
  c.name = "compare";
  c.summary = "schemes side by side over tasks and seeds, with intervals and paired tests";
  c.parameters = "[PRESET,PRESET,...]";
  c.examples = {
      {"compare copy_ntm --memory none,ntm --seeds 1:3 --out runs/memory-or-none", "the NTM's memory against none"},
      {"compare copy_ntm,repeat_copy_ntm --memory.sharpen true,false --seeds 1:10 --jobs 2 --out runs/sharpen",
       "what one stage of addressing is good for, on two tasks"},
      {"compare copy_ntm --memory.read-heads 2 --memory.read-addressing content,content+location --dry-run",
       "what there would be to do; a list within one value is written with +"}};
  c.flags.text("--seeds", "1:5", "the same for every scheme: 1:10, or a comma list: 1:3,7")
      .integer("--jobs", 1, 1, 1024, "runs at a time, each a process with one thread; no bit of any depends on it")
      .integer("--after", 0, 0, 1'000'000'000, "sequences to go on for once solved")
      .text("--lengths", "",
            "judged at these: 20,40, or 10x20 where a task has two; not given: the longest, twice, "
            "four times that")
      .text("--slots", "", "judged with these numbers of memory slots, too: 256,512")
      .integer("--episodes", 200, 1, 1'000'000, "for each of them")
      .text("--threshold", "",
            "METRIC<=X, twice in a row, counts as solved in the place of the task's rule; runs then "
            "go on to --max-sequences")
      .text("--rows", "", "rows.csv of other comparisons, a comma list: runs of theirs are not made again")
      .text("--out", "", "where runs and tables go; not given: runs/compare. More seeds, tasks or schemes widen it")
      .flag("--dry-run", false, "runs, how many are done, parameters and core hours; trains nothing")
      .flag("--yes", false, "more than 10,000 runs")
      .flag("--json", false, "one JSON object on stdout");
  c.values = {{"--seeds", "A:B,..."}, {"--out", "DIR"},       {"--lengths", "L,L,..."},
              {"--slots", "N,N,..."}, {"--rows", "FILE,..."}, {"--threshold", "METRIC<=X"}};
  c.choices = preset_names;
  c.config_keys = "all";
  c.aliases = {{"--max-sequences", "train.max-sequences"}};
  c.notes =
      "A comma separates what is compared. A key that a memory, model or controller does not have does not multiply "
      "its "
      "runs.\nThe command may be stopped at any time and goes on when typed again; a finished run is never repeated.";
  c.heeds_signals = c.saves_when_stopped = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
