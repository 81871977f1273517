// Room: tests. A small trace of real episodes, made by an untrained model whose weights are blown up until its heads
// look somewhere.
#pragma once

#include "core/error.hpp"
#include "experiments/run/recorder.hpp"
#include "experiments/run/session.hpp"
#include "trace/sink.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace mneme::replay_test {

namespace fs = std::filesystem;

/// A folder of this test's own, empty at the start and removed at the end.
class Scratch {
 public:
  explicit Scratch(const std::string& name)
      : path_(fs::temp_directory_path() / ("mneme_replay_" + name + "_" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Keys on top of (those of another task, model or memory fall away): copy of width 4 and length 5, ntm with 6 slots of
/// width 5, level params, a keyframe every 4 steps.
inline fs::path small_trace(const fs::path& folder, const std::vector<std::pair<std::string, std::string>>& keys = {},
                            std::size_t episodes = 3) {
  std::vector<experiments::Assignment> given;
  const auto set = [&](const std::string& key, const std::string& value) {
    for (auto& a : given)
      if (a.key == key) {
        a.value = value;
        return;
      }
    given.push_back({key, value, key});
  };
  set("task", "copy");
  set("task.width", "4");
  set("task.length", "5:7");
  set("memory", "ntm");
  set("memory.slots", "6");
  set("memory.width", "5");
  set("controller", "lstm");
  set("controller.hidden", "9");
  set("trace.level", "params");
  set("trace.keyframe-every", "4");
  for (const auto& [key, value] : keys) set(key, value);
  for (const auto& [key, value] : keys) {
    if (key == "task")
      std::erase_if(given, [](const auto& a) { return a.key == "task.width" || a.key == "task.length"; });
    if (key == "model") std::erase_if(given, [](const auto& a) { return a.key.starts_with("controller"); });
  }
  bool own = false;
  for (const auto& a : given) own |= a.key == "memory" && a.value != "ntm";
  const auto asked = [&](const std::string& key) {
    return std::any_of(keys.begin(), keys.end(), [&](const auto& k) { return k.first == key; });
  };
  std::erase_if(given, [&](const auto& a) {
    return own && (a.key == "memory.slots" || a.key == "memory.width") && !asked(a.key);
  });

  const auto config = experiments::Config::from(given);
  experiments::Session session(config, 1);
  ParameterSet<float>& set_of = session.parameters();
  for (std::size_t i = 0; i < set_of.flat_size(); ++i) set_of.flat()[i] *= config.controller.empty() ? 1.5f : 4;
  set_of.refresh();
  const auto layout = experiments::make_layout(config, session.task(), session.model().components(), "eval", 0,
                                               trace::parse_level(config.trace.text("level")));
  experiments::Recorder recorder(layout, session.model().components(), session.task().spec());
  trace::Sink sink(folder / "small.trace.h5", layout);
  for (std::size_t e = 0; e < episodes; ++e) sink.append(session.trace_episode({.count = episodes}, e, recorder));
  sink.close();
  return sink.files().at(0);
}

}  // namespace mneme::replay_test
