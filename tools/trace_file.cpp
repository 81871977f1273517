// Room: tools. Finding runs, traces and episodes.
#include "tools/trace_file.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/quote.hpp"
#include "experiments/run/run_directory.hpp"
#include "tools/terminal.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace mneme::tools {

namespace fs = std::filesystem;

fs::path find_run(const std::string& directory) {
  const fs::path run = experiments::chosen_run(directory);
  if (run != fs::path(directory))
    note(fmt::format("the chosen one of the restarts in {}: {}", directory, run.string()));
  return run;
}

fs::path find_trace(const std::string& name) {
  std::error_code error;
  if (!fs::is_directory(name, error)) return name;
  const fs::path run = find_run(name);
  fs::path folder = run / "traces", newest;
  if (!fs::is_directory(folder, error)) folder = run;
  fs::file_time_type latest{};
  bool copies = true;  // until there is an original
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(".trace.h5") && !file.ends_with(".trace.h5.part")) continue;
    const bool copy = trace::is_repaired_copy(entry.path());
    if (copy && !copies) continue;
    if (!copy && copies) newest.clear();
    copies = copy;
    const fs::file_time_type time = entry.last_write_time(error);
    // Of two that are equally old, the later name, so that a tie does not change from call to call.
    if (!newest.empty() && (time < latest || (time == latest && entry.path() < newest))) continue;
    newest = entry.path();
    latest = time;
  }
  if (newest.empty())
    fail<ArgumentError>(run.string(), "has no traces; train or evaluate with --trace.level params to get some");
  return newest;
}

namespace {

/// "12", "-1" (the last), or the name of its sequence, "held-out:7".
std::size_t episode_called(const trace::Reader& reader, const std::string& name) {
  const auto n = static_cast<std::int64_t>(reader.episodes());
  std::int64_t asked = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), asked);
  if (error == std::errc{} && end == name.data() + name.size()) {
    const std::int64_t index = asked < 0 ? asked + n : asked;
    if (index < 0 || index >= n)
      fail<ArgumentError>("--episode", "{} is out of range: the trace has 0..{} (or -1 for the last)", asked, n - 1);
    return static_cast<std::size_t>(index);
  }
  std::vector<std::int64_t> found;
  for (std::int64_t i = 0; i < n; ++i)
    if (trace::sequence_name(reader.summary(static_cast<std::size_t>(i)).sequence) == name) found.push_back(i);
  if (found.empty())
    fail<ArgumentError>("--episode",
                        "'{}' is not in the trace; it takes 0..{}, -1 for the last, or a name as {} shows it", name,
                        n - 1, "'trace show --list'");
  if (found.size() > 1)
    fail<ArgumentError>("--episode", "'{}' is there {} times, as episodes {}", name, found.size(), join(found, ", "));
  return static_cast<std::size_t>(found[0]);
}

}  // namespace

std::size_t find_episode(const trace::Reader& reader, const Arguments& arguments) {
  const std::size_t n = reader.episodes();
  if (n == 0) fail<FileError>(reader.path(), "holds no complete episode");
  if (arguments.has("--episode")) return episode_called(reader, arguments.options.text("--episode"));
  const std::size_t begin = n > 50 ? n - 50 : 0;
  std::size_t best = begin;
  for (std::size_t i = begin; i < n; ++i) {
    const bool correct = reader.summary(i).correct, before = reader.summary(best).correct;
    if (correct != before ? correct : reader.step_count(i) >= reader.step_count(best)) best = i;
  }
  return best;
}

bool say_faults(const trace::Reader& reader, std::optional<std::size_t> index) {
  trace::Checker checker(reader);
  trace::Episode episode;
  if (index) checker.read(*index, episode);
  const std::vector<std::string> problems = checker.take(false);
  if (problems.empty()) return false;
  say(fmt::format("mneme: this trace is not sound: {}{}; all of it: mneme trace check {}", printable(problems[0]),
                  problems.size() > 1 ? fmt::format(" (and {} more)", problems.size() - 1) : "",
                  shell_path(reader.path())));
  return true;
}

std::string episode_title(const trace::Reader& reader, std::size_t index) {
  const trace::Episode e = reader.summary(index);
  std::string text = fmt::format("episode {} of {} ({}), {} steps", index, reader.episodes(),
                                 trace::sequence_name(e.sequence), e.steps);
  const auto& params = reader.layout().episode_params;
  for (std::size_t p = 0; p < params.size(); ++p) text += fmt::format(", {} {}", params[p].name, e.params[p]);
  return text + fmt::format(", loss {:.4g}, error {}, {}", e.loss, trace::error_text(e, 4),
                            e.correct ? "correct" : "not correct");
}

std::vector<std::string> picture_title(const trace::Reader& reader, std::size_t index) {
  const trace::Layout& l = reader.layout();
  const trace::Episode e = reader.summary(index);
  std::string what = l.task.empty() ? "episode" : l.task;
  const auto spoken = [](std::string name) {
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
  };
  for (std::size_t p = 0; p < l.episode_params.size(); ++p)
    what += fmt::format(", {} {}", spoken(l.episode_params[p].name), e.params[p]);
  const std::string error = l.error_name.empty() ? "error" : spoken(l.error_name);
  return {fmt::format("{}: loss {:.4g}, {} {}, {}", what, e.loss, error, trace::error_text(e, 4),
                      e.correct ? "correct" : "not correct"),
          fmt::format("run {}, seed {}, {} sequence {}: episode {} of {}", l.run_id.empty() ? "unknown" : l.run_id,
                      e.seed, l.phase, e.sequence, index, fs::path(reader.path()).filename().string())};
}

void add_episode_flag(Command& command, const std::string& standard) {
  command.flags.text("--episode", "",
                     "index in the file, -1 = the last, or its sequence as 'trace show --list' calls it (held-out:7); "
                     "not given: " +
                         standard);
  command.values["--episode"] = "WHICH";
}

}  // namespace mneme::tools
