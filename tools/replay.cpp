// Room: tools. `mneme replay`: an episode in the terminal, or a trace verified.
#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "replay/verify.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/scene.hpp"
#include "tools/terminal.hpp"
#include "tools/trace_file.hpp"
#include "tools/viewer.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cmath>

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

Json number(double v) {
  return std::isfinite(v) ? Json(v) : Json(nullptr);
}

Json mismatch_json(const replay::Mismatch& m) {
  if (m.dataset.empty()) return nullptr;
  return {{"dataset", m.dataset},
          {"episode", m.episode},
          {"step", m.step},
          {"logged", number(m.logged)},
          {"recomputed", number(m.recomputed)},
          {"difference", number(m.difference)},
          {"rule", m.rule}};
}

Json report_json(const fs::path& path, const replay::Report& r) {
  Json j;
  j["max_abs_difference"] = number(r.max_abs_difference);
  j["episodes"] = r.episodes;
  j["steps"] = r.steps;
  j["ok"] = r.ok();
  j["tolerance"] = r.tolerance;
  j["values"] = r.values;
  j["worst"] = mismatch_json(r.worst);
  j["coverage"] = Json::array();
  for (const replay::Coverage& c : r.coverage)
    j["coverage"].push_back({{"what", c.what}, {"rule", c.rule}, {"how", c.how}, {"values", c.values}});
  j["failure_count"] = r.failure_count;
  j["failures"] = Json::array();
  for (const replay::Mismatch& m : r.failures) j["failures"].push_back(mismatch_json(m));
  j["faults"] = r.faults;
  j["remarks"] = r.remarks;
  j["nothing_recomputed"] = r.nothing.empty() ? Json(nullptr) : Json(r.nothing);
  j["not_recomputed"] = r.not_recomputed;
  j["path"] = path.string();
  return j;
}

void report_text(const fs::path& path, const replay::Report& r) {
  print("{}\n", path.string());
  for (const replay::Coverage& c : r.coverage)
    print("  {:<10} {:<18} {:>9} numbers, {}\n", c.what, c.rule, c.values, c.how);
  if (r.nothing.empty())
    print("  largest difference {:.3g} (tolerance {:g}) over {} episodes, {} steps, {} numbers\n", r.max_abs_difference,
          r.tolerance, r.episodes, r.steps, r.values);
  else
    print("  {} episodes, {} steps, {} losses and errors recomputed\n", r.episodes, r.steps, r.values);
  if (!r.worst.dataset.empty())
    print("  there: {} episode {} step {}\n", r.worst.dataset, r.worst.episode, r.worst.step);
  const std::string all = r.needs_model.empty() ? "every" : "every other";
  if (!r.needs_model.empty())
    print("  not recomputed, because it needs the model's weights: {}\n", join(r.needs_model, ", "));
  for (const std::string& remark : r.remarks) print("  {}\n", remark);
  if (!r.ok())
    print("NOT verified: {} rows differ, {} faults in the file\n", r.failure_count, r.faults.size());
  else if (!r.nothing.empty())
    print("sound, and no weighting or memory to verify: {}\n", r.nothing);
  else
    print("verified: {} weighting and {} memory follows from the log\n", all, all);
}

int verify(const fs::path& path, const Arguments& a) {
  replay::Report report;
  {
    Progress bar;
    replay::VerifyOptions options;
    options.tolerance = a.options.real("--tolerance");
    options.progress = [&](std::size_t done, std::size_t all) {
      stop_if_signalled();
      bar.show(done, all, "episodes");
    };
    report = replay::verify(path, options);
  }
  if (a.json())
    print("{}\n", json_text(report_json(path, report), 2));
  else
    report_text(path, report);
  if (report.ok()) {
    const std::string word = shell_path(path.string());
    note(fmt::format("next: mneme replay {}   or   mneme trace render {}", word, word));
    return kOk;
  }
  // The first in time is the cause, the largest may be a consequence.
  if (!report.failures.empty()) say(fmt::format("mneme: first: {}", report.failures[0].text()));
  if (!report.failures.empty()) say(fmt::format("mneme: worst: {}", report.worst.text()));
  for (std::size_t i = 0; i < std::min<std::size_t>(report.faults.size(), 5); ++i)
    say(fmt::format("mneme: {}", report.faults[i]));
  return kNotVerified;
}

int run(const Arguments& a) {
  const fs::path path = find_trace(a.positional[0]);
  if (a.has("--verify")) return verify(path, a);
  for (const char* flag : {"--json", "--tolerance"})
    if (a.has(flag)) fail<ArgumentError>(flag, "goes with --verify; 'mneme trace show --json' prints an episode");
  const trace::Reader reader(path);
  const std::size_t episode = find_episode(reader, a);
  if (moves_cursor(STDOUT_FILENO) && is_terminal(STDIN_FILENO) && !a.has("--still")) return view(reader, episode);
  Scene scene(reader);
  scene.load(episode);
  say_faults(reader, episode);
  for (const std::string& line : scene.still(terminal_size(STDOUT_FILENO), terminal_style())) put(line + "\n", true);
  return kOk;
}

}  // namespace

Command replay_command() {
  Command c;
  c.name = "replay";
  c.summary = "step through a trace in the terminal; or verify it without the model";
  c.parameters = "TRACE|DIR";
  c.examples = {{"replay runs/first", "the newest trace of a run, key by key (? lists the keys)"},
                {"replay runs/first --episode 3 --still", "one picture; also what a pipe gets"},
                {"replay runs/first --verify", "recompute every weighting and memory from the log"},
                {"replay runs/first --verify --json",
                 "for programs; exit 5 where something differs, 0 where nothing can be recomputed"}};
  c.choices = known_runs;
  c.reads = {""};
  add_episode_flag(c);
  c.flags.flag("--verify", false, "recompute in float64 and compare")
      .flag("--still", false, "print one picture instead of stepping")
      .real("--tolerance", 1e-5, 0, 1, "largest difference that passes, times max(1, |value|)")
      .flag("--json", false, "with --verify: JSON on stdout");
  c.notes =
      "TRACE is a *.trace.h5 file (or its .part); DIR is a run, whose newest trace is taken.\n"
      "An episode with items in words is shown as a story: sentences, the weight of each hop, question and answer.\n"
      "Verification starts each step from the logged one before it; known schemes are recomputed by plain loops that\n"
      "share no code with training, others by the memory's own functions in float64.";
  c.heeds_signals = true;
  c.run = run;
  return c;
}

}  // namespace mneme::tools
