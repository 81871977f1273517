// Room: tools. `mneme show`: a configuration with everything resolved, and what it costs.
#include "core/error.hpp"
#include "core/json.hpp"
#include "experiments/judge/evaluate.hpp"
#include "tools/choices.hpp"
#include "tools/commands.hpp"
#include "tools/progress.hpp"
#include "tools/terminal.hpp"
#include "tools/trace_file.hpp"

namespace mneme::tools {

namespace {

namespace fs = std::filesystem;

std::string bytes_text(std::size_t bytes) {
  const auto b = static_cast<double>(bytes);
  if (b < 1e3) return fmt::format("{} B", bytes);
  if (b < 1e6) return fmt::format("{:.1f} kB", b / 1e3);
  return b < 1e9 ? fmt::format("{:.1f} MB", b / 1e6) : fmt::format("{:.2f} GB", b / 1e9);
}

/// A run's own account of how far it came; null where there is none.
Json run_record(const std::string& source) {
  Json j = read_json(fs::path(source) / "run.json");
  return j.is_discarded() ? Json(nullptr) : j;
}

int run(const Arguments& a) {
  std::error_code error;
  std::string source = a.positional[0];
  if (fs::is_directory(source, error)) source = find_run(source).string();
  const experiments::Config config = experiments::Config::load(source, a.assignments);
  const int threads = static_cast<int>(a.options.integer("--threads"));
  const experiments::ModelReport r = experiments::report(config, threads);
  for (const std::string& n : config.notices) note(n);
  const Json record = run_record(source);
  if (a.json()) {
    Json j;
    j["config"] = parse_json(config.json());
    j["run_id"] = r.run_id;
    j["parameters"] = r.count;
    j["tensors"] = Json::array();
    for (const auto& e : r.parameters)
      j["tensors"].push_back({{"name", e.name}, {"shape", e.shape}, {"count", e.count}, {"trained", e.trained}});
    j["bytes"] = {{"parameters", r.parameter_bytes}, {"optimizer", r.optimizer_bytes}, {"step", r.step_bytes}};
    j["seconds_per_sequence"] = r.seconds_per_sequence;
    j["estimated_seconds"] = r.estimated_seconds;
    j["run"] = record;
    print("{}\n", json_text(j, 2));
    return kOk;
  }
  // Comments, so that what is shown is a file that runs.
  std::string text = config.text();
  text += fmt::format("\n# run id {}\n# {} parameters\n", r.run_id, r.count);
  for (const auto& e : r.parameters)
    text += fmt::format("#   {:<36} {:<16} {:>9}{}\n", e.name, e.shape, e.count, e.trained ? "" : "  (not trained)");
  text += fmt::format("# memory: parameters {}, optimizer {}, one step of all shards {}\n",
                      bytes_text(r.parameter_bytes), bytes_text(r.optimizer_bytes), bytes_text(r.step_bytes));
  text += fmt::format("# time: {:.3g} ms a sequence with {} thread{}, {} {} for train.max-sequences\n",
                      1e3 * r.seconds_per_sequence, threads, threads == 1 ? "" : "s",
                      config.train.flag("stop-when-solved") ? "until solved, at most about" : "about",
                      clock_text(r.estimated_seconds));
  if (record.is_object()) {
    text += fmt::format("# this run: {} sequences, {}\n", record.value("sequences", std::uint64_t{0}),
                        record.value("exit_reason", std::string("unknown")));
    const auto solved = record.find("solved_at_sequences");
    if (solved != record.end() && solved->is_number())
      text += fmt::format("# solved at {} sequences\n", solved->get<std::uint64_t>());
  }
  put(text);
  return kOk;
}

}  // namespace

Command show_command() {
  Command c;
  c.name = "show";
  c.summary = "a preset, file or run with every option resolved, its parameters, memory and time";
  c.parameters = "PRESET|FILE|DIR";
  c.examples = {{"show copy_ntm", "a preset"},
                {"show copy_ntm --memory.slots 64", "with a change"},
                {"show copy_ntm > my.ini", "to start a file of one's own"},
                {"show runs/first --json", "a run, for programs"}};
  c.flags.flag("--json", false, "JSON on stdout").integer("--threads", 1, 1, 1024, "for the timing");
  c.choices = preset_names;
  c.config_keys = "all";
  c.notes = "The time is measured on a few updates of an untrained model.";
  c.run = run;
  return c;
}

}  // namespace mneme::tools
