// Room: tools. `mneme list`: what the registries hold.
#include "attention/addressing.hpp"
#include "attention/combine.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"
#include "controllers/controller.hpp"
#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/names.hpp"
#include "memory/memory.hpp"
#include "models/model.hpp"
#include "nn/optimizers.hpp"
#include "tasks/task.hpp"
#include "tools/commands.hpp"
#include "tools/table.hpp"
#include "tools/terminal.hpp"

#include <fmt/core.h>
#include <unistd.h>

namespace mneme::tools {

namespace {

struct Entry {
  std::string name, summary, source;
  const OptionTable* options = nullptr;
  std::string path;  ///< of presets from $MNEME_CONFIGS
};

template <class R>
std::vector<Entry> entries_of(const R& registry) {
  std::vector<Entry> list;
  for (const auto& entry : registry.entries()) {
    const auto& plugin = entry.second;
    Entry e{entry.first, plugin.summary, "", nullptr, ""};
    if constexpr (requires { plugin.source; }) e.source = plugin.source;
    if constexpr (requires { plugin.options; }) e.options = &plugin.options;
    list.push_back(std::move(e));
  }
  return list;
}

std::vector<Entry> entries_of_presets() {
  std::vector<Entry> list;
  for (const auto& p : experiments::presets()) list.push_back({p.name, p.summary, "", nullptr, p.path.string()});
  return list;
}

struct Family {
  const char* name;
  const char* section;  ///< of its options: "memory" -> memory.slots
  std::vector<Entry> (*entries)();
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"tasks", "task", [] { return entries_of(tasks()); }},
      {"memories", "memory", [] { return entries_of(memories()); }},
      {"models", "model", [] { return entries_of(models()); }},
      {"addressing", "", [] { return entries_of(addressing_schemes()); }},
      {"controllers", "controller", [] { return entries_of(controllers()); }},
      {"optimizers", "optimizer", [] { return entries_of(optimizers()); }},
      {"presets", "", entries_of_presets},
      {"scores", "", [] { return entries_of(scores()); }},
      {"normalizers", "", [] { return entries_of(normalizers()); }},
      {"combiners", "", [] { return entries_of(combiners()); }},
  };
  return all;
}

Json to_json(const Family& family) {
  Json list = Json::array();
  for (const Entry& e : family.entries()) {
    Json j = {{"name", e.name}, {"summary", e.summary}};
    if (!e.source.empty()) j["source"] = e.source;
    if (!e.path.empty()) j["path"] = e.path;
    if (e.options) {
      j["options"] = Json::array();
      for (const Option& o : e.options->options())
        j["options"].push_back({{"key", std::string(family.section) + "." + o.name},
                                {"default", o.standard},
                                {"domain", o.domain()},
                                {"help", o.help}});
    }
    list.push_back(std::move(j));
  }
  return list;
}

std::string to_text(const Family& family) {
  Table table({family.name, "what"});
  for (const Entry& e : family.entries())
    table.add({e.name, e.summary + (e.source.empty() ? "" : " (" + e.source + ")")});
  return table.text(static_cast<std::size_t>(terminal_size(STDOUT_FILENO).columns));
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family& f : families()) names.emplace_back(f.name);
  return names;
}

int run(const Arguments& a) {
  if (a.positional.empty()) {
    Json all = Json::object();
    std::string text;
    for (const Family& f : families()) {
      if (a.json())
        all[f.name] = to_json(f);
      else
        text += (text.empty() ? "" : "\n") + to_text(f);
    }
    put(a.json() ? json_text(all, 2) + "\n" : text, true);
    return kOk;
  }
  for (const Family& f : families()) {
    if (a.positional[0] != f.name && a.positional[0] != f.section) continue;
    put(a.json() ? json_text(to_json(f), 2) + "\n" : to_text(f), true);
    return kOk;
  }
  throw ArgumentError("[list] " + unknown_name("family", a.positional[0], family_names()));
}

}  // namespace

Command list_command() {
  Command c;
  c.name = "list";
  c.summary = "the tasks, memories, models, ... and presets there are";
  c.parameters = "[KIND]";
  c.examples = {{"list", "everything"},
                {"list memories", "one kind"},
                {"list tasks --json", "for programs: a list of objects with name, summary, options"}};
  c.flags.flag("--json", false, "JSON on stdout");
  c.choices = [] {
    std::vector<std::string> words = family_names();
    words.push_back("runs");  // a command of its own: list_runs.cpp
    return words;
  };
  c.notes = fmt::format("Kinds: {}.", join(family_names(), ", "));
  c.run = run;
  return c;
}

}  // namespace mneme::tools
