// Room: tools. `mneme train`: from a preset, a file or nothing but flags to a finished run; and back into one.
#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "experiments/compare/restarts.hpp"
#include "experiments/judge/task_length.hpp"
#include "experiments/run/run_directory.hpp"
#include "tasks/task.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"
#include "trace/sink.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <thread>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;
using experiments::Config;
using experiments::ExitReason;

/// "wrong_bits_per_sequence" -> "wrong bits"
std::string spoken(std::string_view metric) {
  std::string text(metric.substr(0, metric.find("_per_")));
  for (char& c : text)
    if (c == '_') c = ' ';
  return text;
}

std::string detail(const experiments::Progress& p) {
  std::string text;
  if (p.averaged)
    text = fmt::format("loss {:.3g}, {} {:.3g} (mean of {})", p.loss, spoken(p.error_name), p.error, p.averaged);
  else
    text = fmt::format("loss -, {} -", spoken(p.error_name));
  if (p.evaluation) text += fmt::format(", held out {:.3g}", *p.evaluation);
  text += fmt::format(", {:.0f}/s", p.rate);
  if (p.status != "training") text += fmt::format(", {}", p.status);
  return text;
}

Config config_of(const Arguments& a) {
  if (!a.positional.empty()) return Config::load(a.positional[0], a.assignments);
  for (const auto& given : a.assignments)
    if (given.key == "task") return Config::from(a.assignments);
  fail<ArgumentError>("train", "PRESET or FILE is missing (or --task, or --resume DIR). Presets: {}",
                      join(preset_names(), ", "));
}

/// " --lengths 20,40,80": as long as it was trained on, twice and four times; of several parts each doubled in turn,
/// " --lengths 10x10,20x10,10x20"; "" where the task has no lengths.
std::string longer_lengths(const fs::path& run) {
  const Config config = Config::load(run.string());
  experiments::TaskLength longest;
  for (const std::string& option : tasks().find(config.task).length_options)
    longest.parts.push_back(config.task_options.range(option).high);
  if (longest.parts.empty()) return "";
  std::string text = " --lengths " + longest.text();
  const auto add = [&](std::size_t part, std::int64_t times) {
    experiments::TaskLength longer = longest;
    longer.parts[part] *= times;
    text += "," + longer.text();
  };
  for (std::size_t part = 0; part < longest.parts.size(); ++part) add(part, 2);
  if (longest.parts.size() == 1) add(0, 4);
  return text;
}

void tell_what_next(const experiments::RunResult& r) {
  const std::string dir = shell_path(r.directory.string());
  switch (r.reason) {
    case ExitReason::solved:
    case ExitReason::max_sequences: {
      note(fmt::format("next: mneme eval {}{}", dir, r.has_test ? "" : longer_lengths(r.directory)));
      std::error_code error;
      const fs::path traces = r.directory / "traces";
      if (fs::exists(traces, error) && !fs::is_empty(traces, error)) note(fmt::format("      mneme replay {}", dir));
      if (r.reason == ExitReason::max_sequences)
        note(fmt::format("      mneme train --resume {} --max-sequences {}", dir, 2 * r.sequences));
      break;
    }
    case ExitReason::diverged:
      if (!trace::trace_files(r.directory / "traces" / "diverged.trace.h5").empty())
        note(fmt::format("what led there: mneme trace show {}", dir));
      break;
    default: say(fmt::format("go on with: mneme train --resume {}", dir));
  }
}

void report(const experiments::RunResult& r, bool json) {
  if (!json) {
    print("{}\n{} sequences, {:.1f} s of training, in {}\n", r.message, r.sequences, r.seconds, r.directory.string());
    return;
  }
  Json j;
  j["directory"] = r.directory.string();
  j["exit_reason"] = experiments::exit_reason_name(r.reason);
  j["message"] = r.message;
  j["sequences"] = r.sequences;
  j["updates"] = r.updates;
  j["seconds"] = r.seconds;
  j["solved_at_sequences"] = or_null(r.solved_at_sequences);
  j["evaluation"] = or_null(r.evaluation);
  j["best"] = or_null(r.best);
  print("{}\n", json_text(j, 2));
}

/// Every restart a row, then what they come to.
std::string restarts_text(const experiments::Restarts& r) {
  const auto number = [](const auto& v) { return v ? fmt::format("{:.4g}", *v) : "-"; };
  std::string metric = r.metric;
  std::replace(metric.begin(), metric.end(), '_', ' ');
  std::vector<std::string> header = {">seed", "", ">sequences", ">s", ">training loss", ">held out"};
  if (r.parts > 0) header.push_back(">test");
  if (r.parts > 1) header.push_back(">failed tasks");
  header.push_back("ended");
  Table table(header);
  std::vector<double> errors;
  for (std::size_t i = 0; i < r.runs.size(); ++i) {
    const experiments::Restart& run = r.runs[i];
    std::vector<std::string> row = {std::to_string(run.seed),      r.chosen == i ? "chosen" : "",
                                    std::to_string(run.sequences), fmt::format("{:.1f}", run.seconds),
                                    number(run.training_loss),     number(run.held_out)};
    if (r.parts > 0) row.push_back(number(run.error));
    if (r.parts > 1) row.push_back(run.failed ? std::to_string(*run.failed) : "-");
    row.push_back(run.exit_reason.empty() ? "not begun" : run.exit_reason);
    table.add(std::move(row));
    if (run.error) errors.push_back(*run.error);
  }
  std::string text = table.text();
  text += fmt::format(
      "held out{}: {}. The choice sees the training loss alone: the mean of the last whole "
      "window of train.log-every sequences.\n",
      r.parts > 0 ? ", test" : "", metric);
  if (errors.empty()) return text;
  const experiments::Spread s = experiments::spread(errors);
  std::string chosen;
  if (r.chosen && r.runs[*r.chosen].error) chosen = fmt::format("chosen {:.4g}, ", *r.runs[*r.chosen].error);
  const std::string deviation =
      s.deviation ? fmt::format(", standard deviation {:.3g}, least {:.4g}, most {:.4g}", *s.deviation, s.least, s.most)
                  : "";
  text += fmt::format("test {}: {}mean {:.4g} of {} restart{}{}\n", metric, chosen, s.mean, s.count,
                      s.count == 1 ? "" : "s", deviation);
  return text;
}

int run_restarts(const Arguments& a, const std::string& resumed) {
  const auto count = a.options.size("--restarts");
  Progress bar;
  experiments::JobsOptions how;
  how.jobs = static_cast<int>(a.options.integer("--jobs"));
  how.signal = &caught_signal();
  how.progress_seconds = bar.interval();
  how.notice = [](const std::string& text) { note(text); };
  how.progress = [&](const experiments::JobsProgress& p) {
    bar.show(p.sequences, p.max_sequences, p.seconds, {p.eta, p.at_most},
             fmt::format("{} of {} done; {} loss {}", p.done, p.jobs, p.name,
                         p.loss ? fmt::format("{:.3g}", *p.loss) : "-"));
  };
  std::vector<std::string> argv = {"mneme"};
  argv.insert(argv.end(), a.argv.begin(), a.argv.end());
  experiments::Restarts r;
  if (resumed.empty()) {
    const Config config = config_of(a);
    for (const std::string& text : config.notices) note(text);
    const fs::path out =
        a.has("--out") ? fs::path(a.options.text("--out")) : experiments::default_run_directory(config);
    r = experiments::train_restarts(config, count, out, argv, how);
  } else {
    r = experiments::resume_restarts(resumed, a.assignments, argv, how);
  }
  Progress::clear();
  std::string ended;
  if (r.chosen && r.stopped == 0)
    ended = fmt::format("chosen, seed {}: {}\n", r.runs[*r.chosen].seed, printable(r.runs[*r.chosen].message));
  if (a.json())
    print("{}\n", experiments::restarts_json(r));
  else
    put(fmt::format("{}{}in {}\n", restarts_text(r), ended, printable(r.directory.string())), true);
  if (r.stopped != 0) {
    say(fmt::format("go on with: mneme train --resume {}", shell_path(r.directory.string())));
    return r.stopped;
  }
  if (!r.chosen) {
    const bool diverged = std::all_of(r.runs.begin(), r.runs.end(), [](const experiments::Restart& run) {
      return run.exit_reason == experiments::exit_reason_name(ExitReason::diverged);
    });
    if (diverged)
      say(fmt::format("mneme: none of the {} restarts ended well: there is nothing to choose", r.runs.size()));
    else
      say("mneme: those that ended well were solved within train.log-every sequences: no training loss to choose by");
    return diverged ? kDiverged : kFailure;
  }
  note(fmt::format("next: mneme eval {}", shell_path(r.directory.string())));
  return kOk;
}

int run(const Arguments& a) {
  const std::string resumed = a.has("--resume") ? a.options.text("--resume") : "";
  if (!resumed.empty() && !a.positional.empty())
    fail<ArgumentError>("--resume", "goes on with {}, so '{}' is one word too many", resumed, a.positional[0]);
  if (!resumed.empty() && a.has("--out"))
    fail<ArgumentError>("--out", "a resumed run stays in its directory, {}", resumed);
  if (a.has("--resume") && resumed.empty()) fail<ArgumentError>("--resume", "names no directory");
  if (a.has("--out") && a.options.text("--out").empty()) fail<ArgumentError>("--out", "names no directory");
  if (!resumed.empty() && a.has("--restarts"))
    fail<ArgumentError>("--restarts", "a folder of restarts keeps their number; --resume {} alone goes on with it",
                        shell_path(resumed));

  const bool many = a.has("--restarts") || (!resumed.empty() && experiments::holds_restarts(resumed));
  if (many && a.has("--threads"))
    fail<ArgumentError>("--threads", "a restart runs in one thread; --jobs says how many run side by side");
  if (!many && a.has("--jobs")) fail<ArgumentError>("--jobs", "goes with --restarts; a single run takes --threads");
  if (a.has("--dry-run")) {
    if (!resumed.empty())
      fail<ArgumentError>("--dry-run", "mneme show {} shows a run's configuration", shell_path(resumed));
    const Config config = config_of(a);
    const fs::path out = a.has("--out") ? a.options.text("--out") : "";
    if (many)
      experiments::check_restarts(config, a.options.size("--restarts"), out);
    else
      experiments::check_start(config, out);
    for (const std::string& n : config.notices) note(n);
    put(a.json() ? config.json() + "\n" : config.text());
    return kOk;
  }

  if (many) return run_restarts(a, resumed);

  Progress bar;
  experiments::RunOptions options;
  if (a.has("--out")) options.out = a.options.text("--out");
  options.threads = static_cast<int>(a.options.integer("--threads"));
  options.argv = {"mneme"};
  options.argv.insert(options.argv.end(), a.argv.begin(), a.argv.end());
  options.signal = &caught_signal();
  options.progress_seconds = bar.interval();
  options.notice = [](const std::string& text) { note(text); };
  options.progress = [&](const experiments::Progress& p) {
    bar.show(p.sequences, p.max_sequences, p.seconds, {p.eta, p.at_most}, detail(p));
  };
  const experiments::RunResult result = resumed.empty() ? experiments::train(config_of(a), options)
                                                        : experiments::resume(resumed, a.assignments, options);
  Progress::clear();
  report(result, a.json());
  if (const auto group = resumed.empty() ? std::nullopt : experiments::renew_restarts(result, &caught_signal()))
    note(fmt::format("{}: restarts.json made anew, with {} chosen", group->directory.string(),
                     group->chosen ? group->runs[*group->chosen].directory.filename().string() : "none"));
  if (result.reason == ExitReason::diverged) say(fmt::format("mneme: {}", result.message));
  tell_what_next(result);
  return experiments::exit_code(result.reason);
}

}  // namespace

Command train_command() {
  const auto cores = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  Command c;
  c.name = "train";
  c.summary = "train a preset, a file, or what flags name, until solved; or go on with a run";
  c.parameters = "[PRESET|FILE]";
  c.examples = {{"train copy_ntm", "a preset, into runs/copy/copy_ntm/..."},
                {"train copy_ntm --seed 2 --out runs/two --memory.slots 64", "with changes"},
                {"train copy_ntm --trace.level params --trace.every 100", "and log what the heads do"},
                {"train --task copy --memory none --max-sequences 5000", "no preset at all"},
                {"train --resume runs/two", "go on after Ctrl-C, a kill or a time limit"},
                {"train babi_memn2n_single --task.number 2 --restarts 10 --out runs/babi",
                 "seeds 1 to 10, and the one with the least training loss chosen"},
                {"train repeat_copy_ntm --out runs/repeat", "another task; list presets names them all"},
                {"train copy_ntm --dry-run", "only say what would be run, or why not"}};
  c.flags.text("--out", "", "where the run goes; it must not hold a run yet")
      .text("--resume", "", "goes on with this run from its last checkpoint, to the bit")
      .integer("--threads", cores, 1, 1024, "threads; no bit of the result depends on it")
      .integer("--restarts", 1, 1, 10000,
               "trains so many runs, of seeds SEED, SEED+1, ..., into OUT/seedS; not given: a single run, into OUT")
      .integer("--jobs", cores, 1, 1024, "restarts at a time, a thread each; no bit of any depends on it")
      .flag("--dry-run", false, "print the resolved configuration and stop")
      .flag("--json", false, "the result as JSON on stdout");
  c.values = {{"--out", "DIR"}, {"--resume", "DIR"}};
  c.choices = preset_names;
  c.reads = {"--resume"};
  c.config_keys = "all";
  c.aliases = {{"--max-sequences", "train.max-sequences"}, {"--time-limit", "train.time-limit"}};
  c.notes =
      "Ctrl-C saves a checkpoint and exits with 130; SIGTERM, a closed terminal and the time limit with 75; --resume\n"
      "goes on. A second Ctrl-C stops at once, with 1, and loses what was trained since the last checkpoint.\n"
      "A resumed run keeps its configuration but for how long it goes, what it traces and where the data lie. Restarts "
      "are stopped and "
      "gone\n"
      "on with as one; the choice among them sees the training loss alone, and OUT/restarts.json names it.";
  c.heeds_signals = c.saves_when_stopped = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
