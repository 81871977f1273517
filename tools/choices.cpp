// Room: tools. What a word of the command line may be.
#include "tools/choices.hpp"

#include "controllers/controller.hpp"
#include "core/error.hpp"
#include "core/names.hpp"
#include "experiments/run/run_directory.hpp"
#include "memory/memory.hpp"
#include "models/model.hpp"
#include "nn/optimizers.hpp"
#include "tasks/task.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

namespace mneme::tools {

namespace fs = std::filesystem;
using experiments::Config;
using experiments::OptionInfo;
using Words = std::vector<std::string>;

const Words& selectors() {
  static const Words keys = {"task", "model", "memory", "controller", "optimizer"};
  return keys;
}

Words plugin_names(const std::string& key) {
  if (key == "task") return tasks().names();
  if (key == "model") return models().names();
  if (key == "memory") return memories().names();
  if (key == "controller") return controllers().names();
  if (key == "optimizer") return optimizers().names();
  return {};
}

Words preset_names() {
  Words names;
  for (const auto& p : experiments::presets()) names.push_back(p.name);
  return names;
}

namespace {

/// f(path, entry) for each run or folder of restarts at most so deep in `folder`.
template <class F>
void look_for_runs(const fs::path& folder, std::size_t depth, F f) {
  constexpr std::size_t most_looked_at = 20000;
  std::size_t looked_at = 0;
  const auto look = [&](auto&& self, const fs::path& in, std::size_t left) -> void {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(in, error)) {
      if (++looked_at > most_looked_at || !entry.is_directory(error) || entry.is_symlink(error)) continue;
      const fs::path path = entry.path().lexically_normal();
      if (!f(path, entry) && left > 0) self(self, path, left - 1);
    }
  };
  look(look, folder, depth);
}

constexpr std::size_t kDeepest = 5;

}  // namespace

Words known_runs() {
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  const auto note = [&](const fs::path& path, const fs::directory_entry& entry) {
    std::error_code error;
    const bool run = experiments::holds_run(path) || experiments::holds_restarts(path);
    if (run) found.emplace_back(entry.last_write_time(error), path.string());
    return run;
  };
  look_for_runs(".", 0, note);
  look_for_runs("runs", kDeepest, note);
  std::sort(found.begin(), found.end(), std::greater<>());
  Words names;
  for (const auto& [time, name] : found)
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

Words runs_below(const fs::path& folder) {
  Words names;
  if (experiments::holds_run(folder)) return {folder.string()};
  look_for_runs(folder, kDeepest, [&](const fs::path& path, const fs::directory_entry&) {
    const bool run = experiments::holds_run(path);
    if (run) names.push_back(path.string());
    return run;
  });
  std::sort(names.begin(), names.end());
  return names;
}

namespace {

/// The value that the words give a flag, as "--memory ntm" or "--memory=ntm".
std::optional<std::string> value_of(const std::string& flag, const Words& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].starts_with(flag + "=")) return words[i].substr(flag.size() + 1);
    if (words[i] == flag && i + 1 < words.size()) return words[i + 1];
  }
  return std::nullopt;
}

/// The configuration that a command's first word names, changed by the flags that choose plug-ins.
std::optional<Config> named_config(const Command& command, const Words& words) {
  if (!command.parameters.starts_with("PRESET") && !command.parameters.starts_with("[PRESET")) return std::nullopt;
  if (words.empty() || words[0].starts_with("-")) return std::nullopt;
  std::vector<experiments::Assignment> given;
  for (const std::string& key : selectors())
    if (const auto value = value_of("--" + key, words)) given.push_back({key, *value, "--" + key});
  return Config::load(words[0], given);
}

/// "memory ntm" for each plug-in that the words choose.
std::set<std::string> chosen_plugins(const Words& words) {
  std::set<std::string> chosen;
  for (const std::string& key : selectors()) {
    const auto value = value_of("--" + key, words);
    if (!value) continue;
    const Words names = plugin_names(key);
    if (std::find(names.begin(), names.end(), *value) == names.end())
      throw ArgumentError("[--" + key + "] " + unknown_name(key, *value, names));
    chosen.insert(key + " " + *value);
  }
  return chosen;
}

}  // namespace

Keys config_flags(const Command& command, const Words& words) {
  Keys keys;
  if (command.config_keys.empty()) return keys;
  const bool all = command.config_keys == "all";
  if (!all) {
    for (OptionInfo& o : experiments::list_options())
      if (o.key.starts_with(command.config_keys)) keys.list.push_back(std::move(o));
    return keys;
  }
  const std::optional<Config> config = named_config(command, words);
  const std::set<std::string> plugins = config ? std::set<std::string>{} : chosen_plugins(words);
  if (config) keys.source = words[0];
  keys.chosen = config || !plugins.empty();
  for (const std::string& key : selectors())
    keys.list.push_back({key, "", "", "a name", fmt::format("which {}", key), plugin_names(key)});
  for (OptionInfo& o : experiments::list_options(config ? &*config : nullptr))
    if (plugins.empty() || o.plugin.empty() || plugins.count(o.plugin)) keys.list.push_back(std::move(o));
  if (!config) return keys;
  const auto items = config->items();
  const std::map<std::string, std::string> values(items.begin(), items.end());
  for (OptionInfo& o : keys.list)
    if (const auto it = values.find(o.key); it != values.end()) o.standard = it->second;
  return keys;
}

std::string our_word(const std::string& theirs) {
  static const std::map<std::string, std::string> words = {{"lr", "learning-rate"},
                                                           {"rate", "learning-rate"},
                                                           {"batch-size", "batch"},
                                                           {"bs", "batch"},
                                                           {"epochs", "max-sequences"},
                                                           {"epoch", "max-sequences"},
                                                           {"steps", "max-sequences"},
                                                           {"max-steps", "max-sequences"},
                                                           {"num-steps", "max-sequences"},
                                                           {"iterations", "max-sequences"},
                                                           {"iters", "max-sequences"},
                                                           {"max-iters", "max-sequences"},
                                                           {"hidden-size", "hidden"},
                                                           {"hidden-dim", "hidden"},
                                                           {"hidden-units", "hidden"},
                                                           {"units", "hidden"},
                                                           {"memory-size", "slots"},
                                                           {"num-slots", "slots"},
                                                           {"n-slots", "slots"},
                                                           {"clip", "clip-norm"},
                                                           {"grad-clip", "clip-norm"},
                                                           {"max-grad-norm", "clip-norm"},
                                                           {"gradient-clip", "clip-norm"},
                                                           {"log-interval", "log-every"},
                                                           {"eval-interval", "eval-every"},
                                                           {"save-every", "checkpoint-every"},
                                                           {"save-interval", "checkpoint-every"},
                                                           {"lr-scheduler", "schedule"},
                                                           {"scheduler", "schedule"},
                                                           {"random-seed", "seed"},
                                                           {"output", "out"},
                                                           {"output-dir", "out"},
                                                           {"out-dir", "out"},
                                                           {"outdir", "out"},
                                                           {"save-dir", "out"},
                                                           {"workers", "threads"},
                                                           {"num-workers", "threads"},
                                                           {"num-threads", "threads"},
                                                           {"n-jobs", "jobs"},
                                                           {"num-episodes", "episodes"},
                                                           {"data-dir", "data"},
                                                           {"dataset", "data"},
                                                           {"opt", "optimizer"},
                                                           {"time", "time-limit"},
                                                           {"timeout", "time-limit"},
                                                           {"continue", "resume"}};
  const auto it = words.find(theirs);
  return it == words.end() ? "" : it->second;
}

Words nearest_flags(const std::string& name, const Words& known) {
  std::string word = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  std::replace(word.begin(), word.end(), '_', '-');
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto ends_of = [&](const std::string& w) {
    Words found;
    for (const std::string& k : known)
      // The end of a dotted key is what people remember: --slots means --memory.slots.
      if (k == "--" + w || (w.size() > 1 && k.ends_with("." + w))) found.push_back(k);
    if (found.size() > 4) found.resize(4);
    return found;
  };
  if (Words found = ends_of(word); !word.empty() && !found.empty()) return found;
  if (const std::string ours = our_word(word); !ours.empty())
    if (Words found = ends_of(ours); !found.empty()) return found.front() == "--" + ours ? Words{found.front()} : found;
  std::string near = nearest_name("--" + word, known);
  if (near.empty()) near = nearest_name(word, known);
  if (near.empty() && word.find('.') == std::string::npos) {  // a typo in the end of a dotted key
    Words tails;
    for (const std::string& k : known)
      if (const std::size_t dot = k.find('.'); dot != std::string::npos) tails.push_back(k.substr(dot + 1));
    if (const std::string tail = nearest_name(word, tails); !tail.empty()) return ends_of(tail);
  }
  return near.empty() ? Words{} : Words{near};
}

}  // namespace mneme::tools
