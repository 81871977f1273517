// Room: experiments. The options that every run has, and where presets are found.
#include "core/error.hpp"
#include "core/names.hpp"
#include "experiments/config.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

namespace mneme::experiments {

namespace fs = std::filesystem;

const OptionTable& train_table() {
  constexpr std::int64_t many = 1'000'000'000'000;
  static const OptionTable table =
      OptionTable()
          .integer("batch", 1, 1, 65536, "B, sequences per update")
          .integer("shard-size", 8, 1, 65536, "rows computed together; a batch of more is cut into shards")
          .integer("max-sequences", 100000, 0, many, "the run ends after so many")
          .real("time-limit", 0, 0, 1e9, "wall-clock seconds (or 90m, 2h, 1d) of one start; 0 = none")
          .real("learning-rate", 1e-4, 0, 1e6, "base rate, times the schedule's factor")
          .choice("schedule", "constant", {"constant", "linear", "cosine", "step"}, "how the rate changes over the run")
          .integer("schedule-warmup", 0, 0, many, "sequences over which the rate rises from 0 first")
          .real("schedule-hold", 0, 0, 1e6, "a constant factor during these first sequences instead; 0 = rise")
          .real("schedule-floor", 0, 0, 1, "linear, cosine: factor at the end of the run; step: the least factor")
          .real("schedule-factor", 0.5, 0, 1, "step: factor at each step")
          .integer("schedule-every", 10000, 1, many, "step: sequences from step to step")
          .real("clip-element", 10, 0, 1e9, "each number of the gradient to [-c, c]; 0 = off")
          .real("clip-norm", 0, 0, 1e9, "the gradient's 2-norm to at most this; 0 = off")
          .real("clip-usual", 0, 0, 1e9, "the gradient's 2-norm to at most so many times its running mean; 0 = off")
          .choice("loss", "sequence", {"sequence", "element", "sum"},
                  "nats of a batch divided by its rows, by its scored numbers, or by nothing")
          .integer("log-every", 100, 1, many, "sequences per line of metrics.jsonl")
          .integer("eval-every", 1000, 1, many, "sequences from evaluation to evaluation")
          .integer("eval-episodes", 200, 1, 1'000'000, "held-out episodes of an evaluation, new ones each time")
          .integer("eval-batch", 1, 1, 65536, "rows that share what a batch shares (copy: the length) when evaluating")
          .flag("stop-when-solved", true, "end at the second evaluation in a row at or under the task's threshold")
          .integer("checkpoint-every", 5000, 1, many, "sequences from checkpoint to checkpoint")
          .integer("keep-checkpoints", 3, 1, 100000, "how many of the last are kept, beside the best");
  return table;
}

const OptionTable& trace_table() {
  static const OptionTable table =
      OptionTable()
          .choice("level", "off", {"off", "weights", "params", "full"},
                  "weightings; and head parameters and memory keyframes; and the weightings between and the "
                  "controller's state")
          .integer("every", 100, 1, 1'000'000'000'000, "one training sequence in so many is traced")
          .integer("budget-mb", 256, 1, 1'000'000'000, "megabytes of all training traces of the run")
          .integer("keyframe-every", 16, 1, 1'000'000, "steps from memory keyframe to memory keyframe");
  return table;
}

const std::vector<std::string>& resumable_keys() {
  static const std::vector<std::string> keys = {"train.max-sequences",
                                                "train.time-limit",
                                                "train.stop-when-solved",
                                                "train.checkpoint-every",
                                                "train.keep-checkpoints",
                                                "trace.level",
                                                "trace.every",
                                                "trace.budget-mb",
                                                "trace.keyframe-every"};
  return keys;
}

namespace {

std::vector<fs::path> preset_folders() {
  std::vector<fs::path> folders;
  if (const char* own = std::getenv("MNEME_CONFIGS"); own && *own) folders.emplace_back(own);
  folders.emplace_back(MNEME_CONFIG_DIR);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(program.parent_path().parent_path() / "share" / "mneme" / "configs");
  folders.emplace_back(MNEME_INSTALLED_CONFIG_DIR);
  return folders;
}

std::string read_text(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) fail<ArgumentError>(path.string(), "is a folder and no configuration");
  std::ifstream in(path, std::ios::binary);
  if (!in) fail<ArgumentError>(path.string(), "cannot be opened for reading");
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) fail<ArgumentError>(path.string(), "cannot be read");
  return text.str();
}

std::string first_comment(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  const std::size_t begin = line.find_first_not_of("#; \t");
  return line.starts_with('#') || line.starts_with(';') ? line.substr(std::min(begin, line.size())) : "";
}

}  // namespace

std::vector<Preset> presets() {
  std::vector<Preset> all;
  for (const fs::path& folder : preset_folders()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const std::string name = entry.path().stem().string();
      const bool known = std::any_of(all.begin(), all.end(), [&](const Preset& p) { return p.name == name; });
      if (entry.path().extension() == ".ini" && !known)
        all.push_back({name, entry.path(), first_comment(entry.path())});
    }
  }
  std::sort(all.begin(), all.end(), [](const Preset& a, const Preset& b) { return a.name < b.name; });
  return all;
}

Config Config::load(const std::string& preset, const std::vector<Assignment>& given) {
  std::error_code error;
  const std::vector<Preset> known = presets();
  for (const Preset& p : known)
    if (p.name == preset) return parse(read_text(p.path), p.path.filename().string(), given);
  if (fs::is_directory(preset, error)) {
    const fs::path path = fs::path(preset) / "config.ini";
    return parse(stored(read_text(path), path.string()).text(), path.string(), given);
  }
  if (fs::exists(preset, error)) return parse(read_text(preset), preset, given);
  std::vector<std::string> names;
  for (const Preset& p : known) names.push_back(p.name);
  throw ArgumentError("[preset] " + unknown_name("preset or file", preset, names));
}

}  // namespace mneme::experiments
