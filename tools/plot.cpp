// Room: tools. `mneme plot`: learning curves of any runs.
#include "core/error.hpp"
#include "core/names.hpp"
#include "core/quote.hpp"
#include "experiments/compare/curves.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/run_directory.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/curves_figure.hpp"
#include "tools/drawing.hpp"
#include "tools/terminal.hpp"

#include <algorithm>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

/// The panel of a task's runs, one by one as they come.
pictures::Panel& panel_of(pictures::Curves& curves, const std::string& task) {
  for (pictures::Panel& p : curves.panels)
    if (p.title == task) return p;
  curves.panels.push_back({task, "", {}});
  return curves.panels.back();
}

void add_run(pictures::Curves& curves, const fs::path& run, const std::string& name, const std::string& kind,
             const std::string& wanted) {
  const experiments::Config config = experiments::read_run_config(run);
  const auto task = experiments::task_at(config, std::nullopt);
  std::vector<std::string> metrics;
  for (const Metric& m : task->metrics()) metrics.push_back(m.name);
  const std::string metric = wanted.empty() ? metrics[0] : wanted;
  if (!std::count(metrics.begin(), metrics.end(), metric))
    throw ArgumentError("[--metric] " + unknown_name("metric of task " + config.task, metric, metrics));
  pictures::Line line;
  for (const auto& p : experiments::learning_curve(run, kind, metric))
    if (p.value) line.emplace_back(static_cast<double>(p.sequences), *p.value);
  if (line.empty()) {
    note(fmt::format("{}: has no such figures yet", shell_path(run.string())));
    return;
  }
  pictures::Panel& panel = panel_of(curves, config.task);
  panel.y = metric;
  std::replace(panel.y.begin(), panel.y.end(), '_', ' ');
  const auto series =
      std::find_if(panel.series.begin(), panel.series.end(), [&](const auto& s) { return s.name == name; });
  if (series == panel.series.end())
    panel.series.push_back({name, {line}, {}});
  else
    series->runs.push_back(line);
}

int run(const Arguments& a) {
  pictures::Curves curves;
  const std::string &kind = a.options.text("--kind"), metric = a.options.text("--metric");
  for (const std::string& given : a.positional) {
    if (!fs::is_directory(given)) fail<ArgumentError>("plot", "no run or folder '{}'", given);
    if (experiments::holds_run(given)) {
      add_run(curves, given, given, kind, metric);
      continue;
    }
    const std::vector<std::string> runs = runs_below(given);
    if (runs.empty()) fail<ArgumentError>("plot", "'{}' holds no run", given);
    for (const std::string& one : runs) add_run(curves, one, given, kind, metric);
  }
  if (curves.panels.empty()) fail<ArgumentError>("plot", "there is nothing to draw yet");
  bool several = false;
  for (pictures::Panel& p : curves.panels)
    for (pictures::Series& s : p.series) {
      s.middle = pictures::middle_of(s.runs);
      several = several || s.runs.size() > 1;
    }
  curves.title = {fmt::format("{}{}", kind == "eval" ? "held-out evaluations" : "means of training sequences",
                              several ? "; of several runs the median, quartiles, and each run thin" : "")};
  const fs::path out = a.has("--out") ? a.options.text("--out") : "curves";
  const fs::path folder = out.has_parent_path() ? out.parent_path() : fs::path(".");
  const std::string name = out.filename().string();
  if (name.empty())
    fail<ArgumentError>("--out", "'{}' names a folder; it takes FOLDER/NAME without ending", out.string());
  for (const char* ending : {".csv", ".gp", ".svg", ".pdf", ".png"})
    if (!a.has("--force") && fs::exists(folder / (name + ending)))
      fail<ArgumentError>("--out", "{} is there already; --force replaces it", (folder / (name + ending)).string());
  const Drawn drawn = draw(folder, name, {{".csv", curves_csv(curves)}, {".gp", curves_script(curves, name)}});
  for (const std::string& file : drawn.files) print("{}\n", (folder / file).lexically_normal().string());
  if (!drawn.pictures) note(how_to_draw(folder, name));
  return kOk;
}

}  // namespace

Command plot_command() {
  Command c;
  c.name = "plot";
  c.summary = "learning curves of runs, as SVG, PDF and PNG, with data and gnuplot script";
  c.parameters = "RUN|FOLDER...";
  c.examples = {
      {"plot runs/first", "one run, or all runs in a folder as one curve with quartiles"},
      {"plot runs/first runs/sharpen --metric bits_per_sequence --kind train --out both", "beside each other"}};
  c.flags.text("--metric", "", "of the task; not given: its first")
      .choice("--kind", "eval", {"eval", "train"}, "held-out evaluations, or means of training sequences")
      .text("--out", "", "FOLDER/NAME without ending; not given: curves")
      .flag("--force", false, "replace files of that name");
  c.values = {{"--metric", "M"}, {"--out", "NAME"}};
  c.choices = known_runs;
  c.reads = {""};
  c.run = run;
  return c;
}

}  // namespace mneme::tools
