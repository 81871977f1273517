// Room: trace. See schema.hpp.
#include "trace/schema.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "trace/specs.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace mneme::trace {
namespace {

constexpr Level kLevels[] = {Level::off, Level::weights, Level::params, Level::full};

bool legal(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

void expect_legal(const std::string& what, const std::string& name) {
  if (!legal(name)) fail<ArgumentError>("trace", "{} \"{}\" is not made of letters, digits and _", what, name);
}

void expect_one_of(const std::string& what, const std::string& value, const std::set<std::string>& valid) {
  if (!valid.count(value)) {
    fail<ArgumentError>("trace", "{} \"{}\" is none of {}", what, value, join(valid, ", "));
  }
}

}  // namespace

const char* level_name(Level level) {
  switch (level) {
    case Level::off: return "off";
    case Level::weights: return "weights";
    case Level::params: return "params";
    case Level::full: return "full";
  }
  return "?";
}

Level parse_level(const std::string& name) {
  for (Level level : kLevels) {
    if (name == level_name(level)) return level;
  }
  fail<ArgumentError>("trace", "unknown level \"{}\"; there are off, weights, params, full", name);
}

bool Layout::logs_memory() const {
  return std::any_of(memory.begin(), memory.end(), [this](const Logged& v) { return logs(v); });
}

bool Layout::has_edges() const {
  return std::any_of(fields.begin(), fields.end(), [](const FieldLayout& f) { return f.axis == "edge_row"; });
}

std::string Layout::word(std::int32_t token) const {
  const bool named = token >= 0 && static_cast<std::size_t>(token) < vocab.size();
  return named ? vocab[static_cast<std::size_t>(token)] : fmt::format("#{}", token);
}

std::string Layout::class_name(std::size_t k) const {
  return k < classes.size() ? classes[k] : fmt::format("#{}", k);
}

int Layout::find_site(const std::string& name) const {
  for (std::size_t i = 0; i < sites.size(); ++i) {
    if (sites[i].site.name == name) return static_cast<int>(i);
  }
  return -1;
}

int Layout::find(const std::vector<Logged>& values, const std::string& name) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].declared.name == name || values[i].declared.full_name() == name) return static_cast<int>(i);
  }
  return -1;
}

std::vector<TurnLayout> two_halves(const std::vector<SiteLayout>& sites, bool write_first) {
  std::vector<TurnLayout> turns;
  if (sites.empty()) return turns;
  for (const bool writes : {write_first, !write_first}) {
    turns.push_back({writes ? "write" : "read", {}, writes});
    for (std::size_t s = 0; s < sites.size(); ++s)
      if ((sites[s].site.kind == "write") == writes) turns.back().sites.push_back(s);
  }
  return turns;
}

void validate(const Layout& l) {
  if (l.level == Level::off) fail<ArgumentError>("trace", "level off logs nothing: make no trace file");
  expect_one_of("phase", l.phase, {"train", "eval", "replay"});
  expect_one_of("keyframe position", l.keyframe_position, {"before_write", "after_write"});
  if (l.keyframe_every < 0) fail<ArgumentError>("trace", "keyframe_every is {}, expected 0 or more", l.keyframe_every);
  std::set<std::string> names;
  for (const SiteLayout& s : l.sites) {
    expect_legal("site", s.site.name);
    expect_legal("kind of site " + s.site.name, s.site.kind);
    expect_legal("slot_axis of site " + s.site.name, s.site.slot_axis);
    if (!names.insert(s.site.name).second) fail<ArgumentError>("trace", "two sites are named {}", s.site.name);
    if (l.width(s) == 0) {
      fail<ArgumentError>("trace", "site {} pays attention to {}s, of which there are none", s.site.name,
                          s.site.slot_axis);
    }
  }
  std::vector<std::size_t> visits(l.sites.size());
  names.clear();
  for (const TurnLayout& t : l.turns) {
    expect_legal("turn", t.name);
    if (!names.insert(t.name).second) fail<ArgumentError>("trace", "two turns are named {}", t.name);
    for (const std::size_t s : t.sites)
      if (s >= visits.size() || ++visits[s] > 1)
        fail<ArgumentError>("trace", "turn {} has site {} of {}, or another has it too", t.name, s, visits.size());
  }
  names.clear();
  for (const EpisodeParam& p : l.episode_params) {
    expect_legal("episode parameter", p.name);
    if (!names.insert(p.name).second) fail<ArgumentError>("trace", "two episode parameters are named {}", p.name);
  }
  for (const FieldLayout& f : l.fields) {
    expect_legal("field", f.name);
    expect_one_of("axis of field " + f.name, f.axis, {"step", "item_row", "edge_row"});
    if (f.width == 0) fail<ArgumentError>("trace", "field {} has no numbers", f.name);
    if (f.axis != "step" && l.items == 0) fail<ArgumentError>("trace", "field {} needs items", f.name);
  }
  for (const auto& [name, value] : l.constants) expect_legal("constant", name);
  if (!l.classes.empty() && l.classes.size() != l.channels_out)
    fail<ArgumentError>("trace", "{} names of classes, the output has {}", l.classes.size(), l.channels_out);
  // Every dataset once; the walk itself refuses axes that do not fit.
  names.clear();
  for (const auto& list : {columns(l), derived_columns(l), initial_columns(l), episode_columns(l)}) {
    for (const ColumnSpec& c : list) {
      if (!names.insert(c.path).second) fail<ArgumentError>("trace", "two values share the name {}", c.path);
    }
  }
}

void Episode::resize(const Layout& l, std::size_t step_count, std::size_t keyframe_count, std::size_t item_count,
                     std::size_t edge_count) {
  steps = step_count;
  params.resize(l.episode_params.size());
  input.resize(step_count * l.channels_in);
  target.resize(step_count * l.channels_out);
  output.resize(step_count * l.channels_out);
  mask.resize(step_count);
  phase.resize(step_count);
  token.resize(l.tokens ? step_count : 0);
  sites.resize(l.sites.size());
  for (std::size_t s = 0; s < sites.size(); ++s) {
    const SiteLayout& about = l.sites[s];
    sites[s].weights.resize(step_count * l.width(about));
    sites[s].initial_weights.resize(l.width(about));
    sites[s].values.resize(about.values.size());
    for (std::size_t i = 0; i < about.values.size(); ++i) {
      sites[s].values[i].resize(l.logs(about.values[i]) ? step_count * about.values[i].declared.count() : 0);
    }
    sites[s].initial.resize(about.values.size());
    for (std::size_t i = 0; i < about.values.size(); ++i) {
      const Logged& v = about.values[i];
      sites[s].initial[i].resize(v.state && l.logs(v) ? v.declared.count() : 0);
    }
  }
  if (!l.logs_memory()) keyframe_count = 0;
  keyframes.resize(keyframe_count);
  memory.resize(l.memory.size());
  for (std::size_t i = 0; i < memory.size(); ++i) {
    memory[i].resize(l.logs(l.memory[i]) ? keyframe_count * l.memory[i].declared.count() : 0);
  }
  controller.resize(l.controller.size());
  for (std::size_t i = 0; i < controller.size(); ++i) {
    controller[i].resize(l.logs(l.controller[i]) ? step_count * l.controller[i].declared.count() : 0);
  }
  items.count = l.items ? item_count : 0;
  items.token_count.resize(l.item_tokens ? items.count : 0);
  if (!l.item_tokens) items.token.clear();
  items.values.resize(items.count * l.item_width);
  items.support.resize(l.item_support ? items.count : 0);
  items.truth.resize(l.item_truth ? items.count : 0);
  items.edges = l.has_edges() ? edge_count : 0;
  fields.resize(l.fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (l.fields[i].whole != std::holds_alternative<std::vector<std::int32_t>>(fields[i]))
      fields[i] = l.fields[i].whole ? FieldRows(std::vector<std::int32_t>()) : FieldRows(std::vector<float>());
    std::visit([&](auto& rows) { rows.resize(rows_of(l.fields[i]) * l.fields[i].width); }, fields[i]);
  }
}

std::string phase_name(std::uint8_t phase) {
  switch (phase) {
    case 0: return "input";
    case 1: return "delimiter";
    case 2: return "answer";
    default: return std::to_string(phase);
  }
}

std::vector<std::int64_t> keyframe_steps(const Layout& l, std::size_t steps) {
  std::vector<std::int64_t> at;
  if (!l.logs_memory() || steps == 0) return at;
  const std::size_t every = l.keyframe_every > 0 ? static_cast<std::size_t>(l.keyframe_every) : steps;
  for (std::size_t t = 0; t < steps; t += every) at.push_back(static_cast<std::int64_t>(t));
  return at;
}

}  // namespace mneme::trace
