// Room: experiments. From assignments to a Config: which plug-ins, which keys are theirs, which values hold.
#include "experiments/config/config.hpp"

#include "controllers/controller.hpp"
#include "core/error.hpp"
#include "core/ini.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/names.hpp"
#include "memory/memory.hpp"
#include "models/model.hpp"
#include "nn/optimizers.hpp"
#include "tasks/task.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

namespace mneme::experiments {

namespace {

const std::vector<std::string> kSelectors = {"task", "model", "memory", "controller", "optimizer"};

OptionTable seed_table() {
  return OptionTable().integer("seed", 1, 0, std::int64_t{1} << 53,
                               "of every random stream: initial values, task, noise");
}

/// The family's plug-ins by name, each with its options.
std::map<std::string, const OptionTable*> family(const std::string& section) {
  std::map<std::string, const OptionTable*> result;
  const auto collect = [&](const auto& registry) {
    for (const auto& [name, plugin] : registry.entries()) result[name] = &plugin.options;
  };
  if (section == "task") collect(tasks());
  if (section == "model") collect(models());
  if (section == "memory") collect(memories());
  if (section == "controller") collect(controllers());
  if (section == "optimizer") collect(optimizers());
  return result;
}

std::vector<std::string> names_of(const std::map<std::string, const OptionTable*>& plugins) {
  std::vector<std::string> names;
  for (const auto& [name, table] : plugins) names.push_back(name);
  return names;
}

/// One spelling of each value, so that equal configurations have equal texts: 1e-4 and 0.0001, yes and true.
std::string canonical(const Option& o, const Options& parsed) {
  switch (o.type) {
    case Option::Type::integer: return std::to_string(parsed.integer(o.name));
    case Option::Type::real: return fmt::format("{}", parsed.real(o.name));
    case Option::Type::flag: return parsed.flag(o.name) ? "true" : "false";
    case Option::Type::range: {
      const Range r = parsed.range(o.name);
      return fmt::format("{}:{}", r.low, r.high);
    }
    case Option::Type::choices: return join(parsed.choices(o.name), ",");
    case Option::Type::choice:
    case Option::Type::text: return parsed.text(o.name);
    case Option::Type::path: {
      // A run is found from another folder than the one it began in.
      const std::string& path = parsed.text(o.name);
      return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().string();
    }
  }
  return "";
}

/// The value that a configuration without the option has.
std::string absent_value(const Option& o) {
  return o.absent.empty() ? o.standard : o.absent;
}

/// "2h" -> "7200"; anything else as it is, for the parser to judge.
std::string plain_seconds(const std::string& value) {
  static const std::map<char, double> units = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  if (value.empty() || !units.count(value.back())) return value;
  double number = 0;
  const char* end = value.data() + value.size() - 1;
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  return error == std::errc{} && stop == end ? fmt::format("{}", number * units.at(value.back())) : value;
}

}  // namespace

class Resolver {
 public:
  /// Later layers override earlier ones. `stored`: they are the whole of a configuration, of any version.
  explicit Resolver(const std::vector<std::vector<Assignment>>& layers, bool stored = false) : stored_(stored) {
    for (std::size_t l = 0; l < layers.size(); ++l) {
      std::set<std::string> seen;
      for (const Assignment& a : layers[l]) {
        if (!seen.insert(a.key).second) fail<ArgumentError>(a.origin, "{} is given twice", a.key);
        given_[a.key] = {a, l};
      }
    }
  }

  Config run() {
    Config c;
    check_keys();
    c.task = select("task", "");
    c.model = select("model", "cell");
    const ModelPlugin& model = models().find(c.model);
    c.memory = select_part("memory", "ntm", model.uses_memory, c.model);
    c.controller = select_part("controller", "lstm", model.uses_controller, c.model);
    c.optimizer = select("optimizer", "rmsprop_graves");

    std::map<std::string, std::string> top;
    if (const Given* seed = find("seed")) top["seed"] = seed->first.value;
    c.seed = static_cast<std::uint64_t>(
        seed_table().parse("", top, [&](const std::string& key) { return find(key)->first.origin; }).integer("seed"));

    c.task_options = options("task", c.task);
    c.model_options = options("model", c.model);
    c.memory_options = options("memory", c.memory);
    c.controller_options = options("controller", c.controller);
    c.optimizer_options = options("optimizer", c.optimizer);
    if (!c.memory.empty() && memories().find(c.memory).validate) memories().find(c.memory).validate(c.memory_options);
    if (auto it = given_.find("train.time-limit"); it != given_.end())
      it->second.first.value = plain_seconds(it->second.first.value);
    rename("train", train_table());
    rename("trace", trace_table());
    c.train = parse("train", train_table());
    c.trace = parse("trace", trace_table());
    c.notices = std::move(notices_);
    return c;
  }

 private:
  using Given = std::pair<Assignment, std::size_t>;  // and its layer

  const Given* find(const std::string& key) const {
    const auto it = given_.find(key);
    return it == given_.end() ? nullptr : &it->second;
  }
  /// "[copy.ini:3: memory] " for messages.
  static std::string place(const Assignment& a) {
    // An origin that is the key itself, as --memory.slots, says enough alone.
    const bool enough = a.origin.ends_with(a.key);
    return a.origin.empty() ? a.key : enough ? a.origin : a.origin + ": " + a.key;
  }

  /// Whatever is neither a selector nor in a section is an error at once; sections are checked with their plug-ins.
  void check_keys() const {
    for (const auto& [key, given] : given_) {
      const std::size_t dot = key.find('.');
      const std::string section = key.substr(0, dot == std::string::npos ? 0 : dot);
      if (key == "seed" || std::count(kSelectors.begin(), kSelectors.end(), key)) continue;
      if (section == "train" || section == "trace") continue;
      if (std::count(kSelectors.begin(), kSelectors.end(), section)) continue;
      std::vector<std::string> all = {"seed"};
      all.insert(all.end(), kSelectors.begin(), kSelectors.end());
      for (const OptionInfo& o : list_options()) all.push_back(o.key);
      const std::string near = nearest_name(key, all);
      fail<ArgumentError>(place(given.first),
                          "unknown key '{}'{} There are: seed, {}, and the sections {}, train, trace", key,
                          near.empty() ? "." : fmt::format(", did you mean '{}'?", near), join(kSelectors, ", "),
                          join(kSelectors, ", "));
    }
  }

  std::string select(const std::string& what, const std::string& standard) const {
    const std::vector<std::string> names = names_of(family(what));
    const Given* g = find(what);
    if (!g && standard.empty()) fail<ArgumentError>(what, "no {} is chosen. There are: {}", what, join(names, ", "));
    const std::string& name = g ? g->first.value : standard;
    if (!std::count(names.begin(), names.end(), name))
      throw ArgumentError("[" + (g ? place(g->first) : what) + "] " + unknown_name(what, name, names));
    return name;
  }

  /// memory or controller, which a model may have no use for.
  std::string select_part(const std::string& what, const std::string& standard, bool used, const std::string& model) {
    if (used) return select(what, standard);
    const Given* g = find(what);
    if (g && g->second >= layer_of("model")) fail<ArgumentError>(place(g->first), "model '{}' uses no {}", model, what);
    if (g) notices_.push_back(fmt::format("{}: dropped, model '{}' uses no {}", place(g->first), model, what));
    return "";
  }

  /// Where the choice that governs a section was made; 0 where it is the default.
  std::size_t layer_of(const std::string& selector) const {
    const Given* g = find(selector);
    return g ? g->second : 0;
  }

  /// Options of the chosen plug-in of a section; refuses, or drops with a notice, what it does not know.
  Options options(const std::string& section, const std::string& plugin) {
    const auto plugins = family(section);
    const auto chosen = plugins.find(plugin);
    static const OptionTable none;
    const OptionTable& table = chosen == plugins.end() ? none : *chosen->second;
    rename(section, table);
    const std::size_t chosen_in = std::max(layer_of(section), plugin.empty() ? layer_of("model") : 0);
    for (auto it = given_.begin(); it != given_.end();) {
      const auto& [key, given] = *it;
      const std::string own = key.starts_with(section + ".") ? key.substr(section.size() + 1) : "";
      if (own.empty() || table.find(own)) {
        ++it;
        continue;
      }
      const std::string owner = owner_of(own, plugins);
      if (given.second < chosen_in && !owner.empty()) {
        // The file's section described the plug-in that the command line replaced.
        notices_.push_back(fmt::format("{}: dropped, it belongs to {} {} and {} is '{}'", place(given.first), section,
                                       owner, section, plugin));
        it = given_.erase(it);
        continue;
      }
      std::vector<std::string> valid;
      for (const Option& o : table.options()) valid.push_back(section + "." + o.name);
      const std::string chosen_text =
          plugin.empty() ? fmt::format("the model uses no {}", section) : fmt::format("{} is '{}'", section, plugin);
      const std::string has = valid.empty() ? "which has no options" : fmt::format("which has: {}", join(valid, ", "));
      if (!owner.empty())
        fail<ArgumentError>(place(given.first), "{} belongs to {} {}, but {}{}", key, section, owner, chosen_text,
                            plugin.empty() ? "" : ", " + has);
      const std::string near = nearest_name(key, valid);
      fail<ArgumentError>(place(given.first), "unknown key '{}'{} {}{}", key,
                          near.empty() ? "." : fmt::format(", did you mean '{}'?", near), chosen_text,
                          plugin.empty() ? "" : ", " + has);
    }
    return parse(section, table);
  }

  /// Old names of options to today's. A later layer may use another name than an earlier one.
  void rename(const std::string& section, const OptionTable& table) {
    for (const Option& o : table.options())
      for (const std::string& old : o.old_names) {
        auto node = given_.extract(section + "." + old);
        if (node.empty()) continue;
        node.key() = section + "." + o.name;
        const auto [at, inserted, kept] = given_.insert(std::move(node));
        if (inserted) continue;
        const auto& [was, layer] = kept.mapped();
        if (layer == at->second.second)
          fail<ArgumentError>(place(was), "is given twice: {} is the old name of {}", was.key, at->first);
        if (layer > at->second.second) at->second = kept.mapped();
      }
  }

  static std::string owner_of(const std::string& option, const std::map<std::string, const OptionTable*>& plugins) {
    std::vector<std::string> owners;
    for (const auto& [name, table] : plugins)
      if (table->find(option)) owners.push_back(fmt::format("'{}'", name));
    return join(owners, " or ");
  }

  Options parse(const std::string& section, const OptionTable& table) const {
    std::map<std::string, std::string> values;
    for (const auto& [key, given] : given_)
      if (key.starts_with(section + ".")) values[key.substr(section.size() + 1)] = given.first.value;
    if (stored_)
      for (const Option& o : table.options()) values.try_emplace(o.name, absent_value(o));
    const auto where = [&](const std::string& key) {
      const Given* g = find(section + "." + key);
      return g ? g->first.origin : std::string();
    };
    const Options parsed = table.parse(section, values, where);
    std::map<std::string, std::string> exact;
    for (const Option& o : table.options()) exact[o.name] = canonical(o, parsed);
    return table.parse(section, exact, where);
  }

  std::map<std::string, Given> given_;
  bool stored_ = false;
  std::vector<std::string> notices_;
};

Config Config::from(const std::vector<Assignment>& given) {
  return Resolver({{}, given}).run();
}

Config Config::parse(const std::string& text, const std::string& name, const std::vector<Assignment>& given) {
  std::vector<Assignment> file;
  for (const IniEntry& e : read_ini(text, name)) file.push_back({e.key, e.value, fmt::format("{}:{}", name, e.line)});
  return Resolver({{}, file, given}).run();
}

Config Config::stored(const std::string& text, const std::string& name) {
  std::vector<Assignment> file;
  for (const IniEntry& e : read_ini(text, name)) file.push_back({e.key, e.value, fmt::format("{}:{}", name, e.line)});
  return Resolver({{}, file}, true).run();
}

Config Config::with(const std::vector<Assignment>& given) const {
  return parse(text(), "config.ini", given);
}

std::vector<std::pair<std::string, std::string>> Config::items() const {
  std::vector<std::pair<std::string, std::string>> all = {{"seed", std::to_string(seed)}};
  const std::vector<std::pair<std::string, const std::string*>> selectors = {
      {"task", &task}, {"model", &model}, {"memory", &memory}, {"controller", &controller}, {"optimizer", &optimizer}};
  for (const auto& [key, name] : selectors)
    if (!name->empty()) all.emplace_back(key, *name);
  const std::vector<std::pair<std::string, const Options*>> sections = {{"task", &task_options},
                                                                        {"model", &model_options},
                                                                        {"memory", &memory_options},
                                                                        {"controller", &controller_options},
                                                                        {"optimizer", &optimizer_options},
                                                                        {"train", &train},
                                                                        {"trace", &trace}};
  for (const auto& [section, options] : sections)
    for (const auto& [key, value] : options->items()) all.emplace_back(section + "." + key, value);
  return all;
}

std::string Config::text() const {
  return write_ini(items());
}

std::string Config::json() const {
  Json object;
  for (const auto& [key, value] : items()) {
    Json v = value;
    // Numbers and flags in their own form: canonical text is what JSON parses, ranges and names are not.
    const auto parsed = parse_json(value);
    if (parsed.is_number() || parsed.is_boolean()) v = parsed;
    const std::size_t dot = key.find('.');
    if (dot == std::string::npos)
      object[key] = v;
    else
      // The selector "memory" has the name already: its options stand beside it.
      object[key.substr(0, dot) + "_options"][key.substr(dot + 1)] = v;
  }
  return json_text(object, 2);
}

namespace {

/// The declaration behind a key of a configuration; null for seed and the selectors.
const Option* option_of(const Config& c, const std::string& key) {
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) return nullptr;
  const std::string section = key.substr(0, dot), name = key.substr(dot + 1);
  if (section == "train") return train_table().find(name);
  if (section == "trace") return trace_table().find(name);
  const std::string& plugin = section == "task"         ? c.task
                              : section == "model"      ? c.model
                              : section == "memory"     ? c.memory
                              : section == "controller" ? c.controller
                                                        : c.optimizer;
  const auto plugins = family(section);
  const auto table = plugins.find(plugin);
  return table == plugins.end() ? nullptr : table->second->find(name);
}

}  // namespace

bool is_path(const Config& config, const std::string& key) {
  const Option* o = option_of(config, key);
  return o && o->type == Option::Type::path;
}

std::string Config::identity() const {
  const std::string& schedule = train.text("schedule");
  const bool ends = schedule == "linear" || schedule == "cosine";
  std::string all;
  for (const auto& [key, value] : items()) {
    const Option* o = option_of(*this, key);
    if (!o) {
      all += key + " = " + value + "\n";
      continue;
    }
    const auto& free = resumable_keys();
    const bool only_length = std::count(free.begin(), free.end(), key) && !(ends && key == "train.max-sequences");
    if (o->type == Option::Type::path || only_length) continue;
    OptionTable own;
    own.add(*o);
    if (value == canonical(*o, own.parse("", {{o->name, absent_value(*o)}}))) continue;
    all += key.substr(0, key.find('.') + 1) + o->first_name() + " = " + value + "\n";
  }
  return all;
}

std::string hex(std::uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

std::string Config::run_id(const std::string& data_digest) const {
  return hex(hash_bytes(identity() + (data_digest.empty() ? "" : "data = " + data_digest + "\n")));
}

std::vector<OptionInfo> list_options(const Config* chosen) {
  std::vector<OptionInfo> all;
  const auto add = [&](const std::string& section, const std::string& plugin, const OptionTable& table) {
    for (const Option& o : table.options()) {
      const bool flag = o.type == Option::Type::flag;
      std::vector<std::string> values = flag        ? std::vector<std::string>{"true", "false"}
                                        : o.allowed ? o.allowed()
                                                    : std::vector<std::string>{};
      all.push_back({section.empty() ? o.name : section + "." + o.name, plugin, o.standard, o.domain(), o.help,
                     std::move(values)});
    }
  };
  add("", "", seed_table());
  const auto selected = [&](const std::string& section) -> const std::string& {
    return section == "task"         ? chosen->task
           : section == "model"      ? chosen->model
           : section == "memory"     ? chosen->memory
           : section == "controller" ? chosen->controller
                                     : chosen->optimizer;
  };
  for (const std::string& section : kSelectors)
    for (const auto& [name, table] : family(section))
      if (!chosen || selected(section) == name) add(section, section + " " + name, *table);
  add("train", "", train_table());
  add("trace", "", trace_table());
  return all;
}

}  // namespace mneme::experiments
