// Room: experiments. The options that every run has, and the presets.
#include "presets.hpp"
#include "core/error.hpp"
#include "core/names.hpp"
#include "experiments/config/config.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
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

std::string read_text(const fs::path& path) {
  std::error_code error;
  std::ifstream in(path, std::ios::binary);
  if (!in) fail<RuntimeFailure>(path.string(), "cannot be opened: {}", std::strerror(errno));
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) fail<RuntimeFailure>(path.string(), "cannot be read");
  return text.str();
}

std::string first_comment(const std::string& text) {
  const std::string line = text.substr(0, text.find('\n'));
  const std::size_t begin = line.find_first_not_of("#; \t");
  return line.starts_with('#') || line.starts_with(';') ? line.substr(std::min(begin, line.size())) : "";
}

std::vector<Preset> own_presets() {
  const char* folder = std::getenv("MNEME_CONFIGS");
  if (!folder || !*folder) return {};
  std::vector<Preset> own;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".ini") continue;
    std::string text = read_text(entry.path());
    own.push_back({entry.path().stem().string(), first_comment(text), std::move(text), entry.path()});
  }
  if (error) fail<ArgumentError>(folder, "MNEME_CONFIGS names no folder that can be read: {}", error.message());
  return own;
}

}  // namespace

std::vector<Preset> presets() {
  std::vector<Preset> all = own_presets();
  for (const auto& [name, text] : kBuiltIn)
    if (std::none_of(all.begin(), all.end(), [&](const Preset& p) { return p.name == name; }))
      all.push_back({name, first_comment(text), text});
  std::sort(all.begin(), all.end(), [](const Preset& a, const Preset& b) { return a.name < b.name; });
  return all;
}

Config Config::load(const std::string& preset, const std::vector<Assignment>& given) {
  std::error_code error;
  const std::vector<Preset> known = presets();
  for (const Preset& p : known)
    if (p.name == preset) {
      Config c = parse(p.text, p.name + ".ini", given);
      c.source = p.name;
      return c;
    }
  const fs::path path = preset;
  if (fs::is_directory(path, error)) {
    if (!fs::exists(path / "config.ini", error))
      fail<ArgumentError>(preset, "is a folder without config.ini: no run's, and no preset");
    const std::string file = (path / "config.ini").string();
    return parse(stored(read_text(file), file).text(), file, given);
  }
  if (fs::exists(path, error)) {
    Config c = parse(read_text(path), preset, given);
    c.source = path.stem().string();
    return c;
  }
  std::vector<std::string> names;
  for (const Preset& p : known) names.push_back(p.name);
  throw ArgumentError("[preset] " + unknown_name("preset or file", preset, names));
}

}  // namespace mneme::experiments
