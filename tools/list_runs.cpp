// Room: tools. `mneme list runs`: the runs in a folder, a line each.
#include "core/error.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "experiments/compare/curves.hpp"
#include "experiments/run/run_directory.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"

#include <algorithm>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

struct Run {
  std::string directory, task, memory, state;
  std::uint64_t seed = 0, sequences = 0;
  std::optional<double> best, solved_at;
};

Run summary_of(const fs::path& directory) {
  Run r;
  r.directory = directory.string();
  const experiments::Config config = experiments::read_run_config(directory);
  r.task = config.task;
  r.memory = config.memory.empty() ? config.model : config.memory;
  r.seed = config.seed;
  const Json j = read_json(directory / "run.json");
  if (!j.is_object()) {
    r.state = "not begun";
    return r;
  }
  const auto number = [&](const char* key) {
    const auto it = j.find(key);
    return it != j.end() && it->is_number() ? std::optional<double>(it->get<double>()) : std::nullopt;
  };
  r.state = j.value("exit_reason", "");
  r.sequences = static_cast<std::uint64_t>(number("sequences").value_or(0));
  r.best = number("best_evaluation");
  r.solved_at = number("solved_at_sequences");
  if (r.state != "running") return r;
  // run.json is of its start: how far it is now, or was when it was killed, the metrics say.
  for (const auto& p : experiments::learning_curve(directory, "eval", j.value("solved_metric", ""))) {
    r.sequences = p.sequences;
    if (p.value && (!r.best || *p.value < *r.best)) r.best = p.value;
  }
  return r;
}

/// What a column sorts by; runs that have none come last.
double key_of(const Run& r, const std::string& column) {
  constexpr double last = std::numeric_limits<double>::infinity();
  if (column == "seed") return static_cast<double>(r.seed);
  if (column == "sequences") return static_cast<double>(r.sequences);
  if (column == "best") return r.best.value_or(last);
  return r.solved_at.value_or(last);
}

int run(const Arguments& a) {
  const fs::path folder = a.positional.empty() ? "runs" : a.positional[0];
  if (!fs::is_directory(folder)) fail<ArgumentError>("list runs", "no folder '{}'", folder.string());
  std::vector<Run> runs;
  for (const std::string& directory : runs_below(folder)) runs.push_back(summary_of(directory));
  const std::string& sort = a.options.text("--sort");
  const auto text_key = [&](const Run& r) {
    return sort == "task" ? r.task : sort == "memory" ? r.memory : r.directory;
  };
  std::stable_sort(runs.begin(), runs.end(), [&](const Run& x, const Run& y) { return x.directory < y.directory; });
  std::stable_sort(runs.begin(), runs.end(), [&](const Run& x, const Run& y) {
    if (sort == "run" || sort == "task" || sort == "memory") return text_key(x) < text_key(y);
    return key_of(x, sort) < key_of(y, sort);
  });
  if (a.json()) {
    Json list = Json::array();
    for (const Run& r : runs)
      list.push_back({{"run", r.directory},
                      {"task", r.task},
                      {"memory", r.memory},
                      {"seed", r.seed},
                      {"state", r.state},
                      {"sequences", r.sequences},
                      {"best", or_null(r.best)},
                      {"solved_at", or_null(r.solved_at)}});
    print("{}\n", json_text(list, 2));
    return kOk;
  }
  Table table({"task", "memory", ">seed", "state", ">sequences", ">best", ">solved at", "run"});
  for (const Run& r : runs)
    table.add({r.task, r.memory, std::to_string(r.seed), r.state, std::to_string(r.sequences),
               r.best ? fmt::format("{:.4g}", *r.best) : "-", r.solved_at ? fmt::format("{:.0f}", *r.solved_at) : "-",
               printable(r.directory)});
  put(table.text(), true);
  if (runs.empty()) note(fmt::format("no run in {}", shell_path(folder.string())));
  return kOk;
}

}  // namespace

Command list_runs_command() {
  Command c;
  c.name = "list runs";
  c.summary = "the runs in a folder, a line each: how far they are, what they reached";
  c.parameters = "[FOLDER]";
  c.examples = {{"list runs", "those in runs/"},
                {"list runs runs/sharpen --sort best --json", "for programs, the best first"}};
  c.flags.choice("--sort", "run", {"run", "task", "memory", "seed", "sequences", "best", "solved"}, "least first")
      .flag("--json", false, "a list of objects: run, task, memory, seed, state, sequences, best, solved_at");
  c.notes = "best: the lowest evaluation of the metric that says whether the task is solved.";
  c.run = run;
  return c;
}

}  // namespace mneme::tools
