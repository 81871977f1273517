// Room: experiments. The comparison: its plan, its folder, and what the rows come to.
#include "experiments/compare/compare.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/names.hpp"
#include "core/quote.hpp"
#include "experiments/compare/curves.hpp"
#include "experiments/run/run_directory.hpp"
#include "experiments/run/session.hpp"
#include "trace/atomic_file.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFile = "compare.json";
constexpr const char* kFormat = "mneme comparison";
constexpr double kNever = std::numeric_limits<double>::infinity();

/// A run of the comparison, made now or by an earlier command.
struct Member {
  std::string id, preset;
  Config config;
  std::vector<std::string> command;  // that gives it, but for --out
  bool asked = false;                // by this command
};

/// What compare.json holds of earlier commands.
struct Before {
  bool there = false;
  std::vector<std::string> keys;
  std::string settings;  // as settings_of()
  std::vector<Member> members;
  std::vector<Row> rows;
};

/// What all runs of a comparison are judged by.
std::string settings_of(const CompareOptions& o) {
  std::vector<std::string> lengths;
  for (const TaskLength& length : o.lengths) lengths.push_back(length.text());
  return fmt::format("--after {} --episodes {}{}{}{}", o.after, o.episodes,
                     lengths.empty() ? "" : " --lengths " + join(lengths, ","),
                     o.slots.empty() ? "" : " --slots " + join(o.slots, ","),
                     o.threshold ? " --threshold " + shell_word(o.threshold->text()) : "");
}

Before read_before(const fs::path& out) {
  Before b;
  const fs::path path = out / kFile;
  std::error_code error;
  if (!fs::exists(path, error)) return b;
  const Json j = read_json(path);
  const auto format = j.is_object() ? j.find("format") : j.end();
  if (!j.is_object() || format == j.end() || *format != kFormat)
    fail<FileError>(path.string(), "is not the record of a comparison");
  b.there = true;
  try {
    b.keys = j.at("keys").get<std::vector<std::string>>();
    b.settings = j.at("settings").get<std::string>();
    for (const Json& m : j.at("members"))
      b.members.push_back({m.at("id"), m.at("preset"), Config::stored(m.at("config"), path.string()),
                           m.at("command").get<std::vector<std::string>>()});
    for (const Json& row : j.at("runs")) b.rows.push_back(row_of(row));
  } catch (const Json::exception& e) {
    fail<FileError>(path.string(), "is not as expected: {}", e.what());
  }
  return b;
}

/// Digests of what the tasks read, each made once.
class Digests {
 public:
  std::string of(const Config& c) {
    std::string key = c.task;
    for (const auto& [name, value] : c.task_options.items()) key += "\n" + name + "=" + value;
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    return known_[key] = tasks().find(c.task).make(c.task_options)->data_digest();
  }

 private:
  std::map<std::string, std::string> known_;
};

std::string section_of(const std::string& key) {
  return key.substr(0, key.find('.'));
}

/// The first key that is not compared and differs: "train.batch is 4 here and 1 there"; "" where there is none. Keys of
/// a plug-in count where both have it.
std::string other_option(const Config& now, const Config& then, const std::vector<std::string>& keys) {
  std::map<std::string, std::string> old;
  for (const auto& [key, value] : then.items()) old[key] = value;
  for (const auto& [key, value] : now.items()) {
    if (key == "seed" || key == "task" || std::count(keys.begin(), keys.end(), key)) continue;
    const auto it = old.find(key);
    if (it == old.end() || it->second == value || is_path(now, key)) continue;
    const std::string section = section_of(key);
    const auto name_in = [&](const Config& c) {
      return section == "task"         ? c.task
             : section == "model"      ? c.model
             : section == "memory"     ? c.memory
             : section == "controller" ? c.controller
             : section == "optimizer"  ? c.optimizer
                                       : std::string();
    };
    if (key != section && name_in(now) != name_in(then)) continue;
    return fmt::format("{} is {} here and {} there", key, value, it->second);
  }
  return "";
}

/// The options that a member's command gave, but for those that are compared.
std::map<std::string, std::string> given_by(const std::vector<std::string>& command,
                                            const std::vector<std::string>& keys) {
  std::map<std::string, std::string> given;
  for (std::size_t i = 2; i + 1 < command.size(); ++i) {
    if (!command[i].starts_with("--")) continue;
    const std::string key = command[i].substr(2);
    if (key != "seed" && key != "task" && !std::count(keys.begin(), keys.end(), key)) given[key] = command[i + 1];
    ++i;
  }
  return given;
}

bool has(const Config& config, const std::string& key) {
  const auto items = config.items();
  return std::any_of(items.begin(), items.end(), [&](const auto& item) { return item.first == key; });
}

/// As other_option(), of configurations of two presets, which differ by what they are: of what their commands gave.
std::string other_given(const Member& now, const Member& then, const std::vector<std::string>& keys) {
  const auto a = given_by(now.command, keys), b = given_by(then.command, keys);
  const auto differs = [&](const auto& x, const auto& y) -> std::string {
    for (const auto& [key, value] : x) {
      const auto other = y.find(key);
      if (other != y.end() && other->second == value) continue;
      if (has(now.config, key) && has(then.config, key)) return key;
    }
    return "";
  };
  std::string key = differs(a, b);
  if (key.empty()) key = differs(b, a);
  if (key.empty()) return "";
  const auto text = [&](const auto& given) {
    const auto it = given.find(key);
    return it == given.end() ? std::string("not given") : it->second;
  };
  return fmt::format("{} is {} here and {} there", key, text(a), text(b));
}

/// Refuses what would only be found out when a run is trained.
void check_judging(const CompareOptions& o, const Config& config) {
  const auto task = task_at(config, std::nullopt);
  for (const TaskLength& length : o.lengths) task_at(config, length);
  if (config.train.real("time-limit") > 0)
    fail<ArgumentError>("train.time-limit", "would end runs at other places on other machines; leave it out");
  if (!o.threshold) return;
  std::vector<std::string> all;
  for (const Metric& m : task->metrics()) all.push_back(m.name);
  if (!std::count(all.begin(), all.end(), o.threshold->metric))
    throw ArgumentError("[--threshold] " + unknown_name("metric of task " + config.task, o.threshold->metric, all));
}

/// The command that trains one of the runs by itself.
std::vector<std::string> command_of(const CompareOptions& o, const GridPoint& point, std::uint64_t seed) {
  std::vector<std::string> words = {"mneme", "train"};
  if (!point.preset.empty()) words.push_back(point.preset);
  for (const Assignment& a : point.given) words.insert(words.end(), {"--" + a.key, a.value});
  if (o.threshold) words.insert(words.end(), {"--train.stop-when-solved", "false"});
  words.insert(words.end(), {"--seed", std::to_string(seed)});
  return words;
}

struct Prepared {
  std::vector<std::string> keys;
  bool presets = false;  // several: they are a factor too
  std::vector<Member> members;
  std::vector<Row> known;  // of the folder and of --rows
};

std::string scheme_of(const Prepared& p, const Member& m) {
  const std::string text = scheme_text(m.config, p.keys);
  return p.presets ? fmt::format("preset={}{}", m.preset, p.keys.empty() ? "" : " " + text) : text;
}

/// Where a task is judged: as it is asked for, else its longest, twice and four times that in each part.
std::vector<TaskLength> lengths_for(const CompareOptions& o, const Config& config) {
  if (!o.lengths.empty()) return o.lengths;
  if (!task_at(config, std::nullopt)->test().empty()) return {};  // judged on that
  std::vector<std::int64_t> longest;
  for (const std::string& option : tasks().find(config.task).length_options)
    longest.push_back(config.task_options.range(option).high);
  if (longest.empty()) return {};
  TaskLength own;
  own.parts = longest;
  std::vector<TaskLength> all = {own};
  for (std::size_t part = 0; part < longest.size(); ++part)
    for (const std::int64_t factor : {2, 4}) {
      TaskLength more = own;
      more.parts[part] *= factor;
      try {
        task_at(config, more);
      } catch (const ArgumentError&) {
        continue;  // the task goes no further
      }
      all.push_back(more);
    }
  return all;
}

/// Whether a row says what the run would: as long, judged at the same places.
bool stands_for(const CompareOptions& o, const Config& config, const Row& row) {
  const auto all = static_cast<std::uint64_t>(config.train.integer("max-sequences"));
  const auto every = static_cast<std::uint64_t>(config.train.integer("eval-every"));
  const auto solved = row.figure("solved_at_sequences");
  if (row.diverged()) return row.sequences <= all + o.after;
  for (const TaskLength& length : lengths_for(o, config))
    if (!row.figure("wrong_" + length.text())) return false;
  if (!o.threshold && solved && config.train.flag("stop-when-solved")) {
    const auto at = static_cast<std::uint64_t>(*solved);
    if (at + every > all && row.sequences > all) return false;
    return o.after ? row.sequences >= at + o.after : row.sequences <= at + 2 * every;
  }
  return row.sequences == all;
}

/// What there will be, checked against what there is. Changes nothing.
Prepared prepare(const CompareOptions& o) {
  if (o.seeds.empty()) fail<ArgumentError>("--seeds", "names none");
  if (o.threshold && o.after) fail<ArgumentError>("--after", "goes on once solved, which --threshold does not stop");
  const Before before = read_before(o.out);
  std::error_code error;
  if (!before.there && fs::exists(o.out, error)) {
    if (!fs::is_directory(o.out, error)) fail<ArgumentError>(o.out.string(), "is a file and no folder");
    for (const auto& entry : fs::directory_iterator(o.out)) {
      const std::string name = entry.path().filename().string();
      if (name != "lock" && name != "runs" && !name.ends_with(".part"))
        fail<ArgumentError>(o.out.string(), "is a folder with other things in it ({}): choose another --out", name);
    }
  }
  Prepared p;
  p.keys = before.keys;
  for (const Factor& f : o.factors)
    if (f.values.size() > 1 && f.key != "task" && !std::count(p.keys.begin(), p.keys.end(), f.key))
      p.keys.push_back(f.key);
  if (before.there && before.settings != settings_of(o))
    fail<ArgumentError>(o.out.string(), "holds a comparison judged by {}, and this one is by {}; choose another --out",
                        before.settings, settings_of(o));
  p.members = before.members;
  p.known = before.rows;
  Digests digests;
  for (const GridPoint& point : expand(o.presets, o.factors)) {
    Config config = point.config;
    check_judging(o, config);
    if (o.threshold) config = config.with({{"train.stop-when-solved", "false", "--threshold"}});
    const std::string digest = digests.of(config);
    for (const std::uint64_t seed : o.seeds) {
      Member now{"", point.preset, config.with({{"seed", std::to_string(seed), "--seeds"}}), command_of(o, point, seed),
                 true};
      now.id = now.config.run_id(digest);
      for (const Member& m : before.members) {
        const std::string differs =
            m.preset == now.preset ? other_option(now.config, m.config, p.keys) : other_given(now, m, p.keys);
        if (!differs.empty())
          fail<ArgumentError>(o.out.string(), "holds a comparison with another option: {}; choose another --out",
                              differs);
      }
      const auto same =
          std::find_if(p.members.begin(), p.members.end(), [&](const Member& m) { return m.id == now.id; });
      if (same == p.members.end()) {
        p.members.push_back(std::move(now));
        continue;
      }
      same->asked = true;
      const std::string differs = other_option(now.config, same->config, {});
      if (!differs.empty())
        fail<ArgumentError>("compare", "{}: that tells no run from another, so it is compared in folders of their own",
                            differs);
    }
  }
  for (const Member& m : p.members)
    for (const Member& other : p.members)
      p.presets = p.presets || (m.config.task == other.config.task && m.preset != other.preset);
  std::map<std::string, std::string> ids;
  for (const Member& m : p.members) {
    const std::string name = fmt::format("{} {} seed {}", m.config.task, scheme_of(p, m), m.config.seed);
    if (!ids.emplace(name, m.id).second)
      fail<ArgumentError>(o.out.string(),
                          "two different runs would be '{}': their data differ, or an option that is not "
                          "compared; choose another --out",
                          name);
  }
  for (const Member& m : p.members) {
    const fs::path run = o.out / "runs" / m.id;
    if (!fs::exists(run / "config.ini", error)) continue;
    const std::string differs = difference(read_run_config(run), "it", m.config, "the comparison");
    if (!differs.empty()) fail<ArgumentError>(run.string(), "was changed by hand: {}", differs);
  }
  for (const fs::path& csv : o.rows) {
    const std::vector<Row> more = load_any_rows(csv);
    p.known.insert(p.known.end(), more.begin(), more.end());
  }
  std::erase_if(p.known, [&](const Row& row) {
    const auto of =
        std::find_if(p.members.begin(), p.members.end(), [&](const Member& m) { return m.id == row.config_hash; });
    return of == p.members.end() || !stands_for(o, of->config, row);
  });
  return p;
}

std::vector<std::pair<std::string, std::string>> factors_of(const Prepared& p, const Member& m) {
  return {{"task", m.config.task}, {"scheme", scheme_of(p, m)}, {"seed", std::to_string(m.config.seed)}};
}

/// In the order of tasks and schemes as they came, each by seed.
void put_in_order(const Prepared& p, std::vector<Member>& members) {
  std::vector<std::string> order;
  const auto place = [&](const Member& m) {
    const std::string name = m.config.task + "\n" + scheme_of(p, m);
    const auto it = std::find(order.begin(), order.end(), name);
    if (it != order.end()) return it - order.begin();
    order.push_back(name);
    return static_cast<std::ptrdiff_t>(order.size()) - 1;
  };
  std::vector<std::pair<std::pair<std::ptrdiff_t, std::uint64_t>, std::size_t>> places;
  std::vector<std::string> tasks;
  for (std::size_t i = 0; i < members.size(); ++i) places.push_back({{place(members[i]), members[i].config.seed}, i});
  std::sort(places.begin(), places.end());
  std::vector<Member> sorted;
  for (const auto& entry : places) sorted.push_back(members[entry.second]);
  // A task's schemes stand together, whichever command brought them.
  for (const Member& m : sorted)
    if (!std::count(tasks.begin(), tasks.end(), m.config.task)) tasks.push_back(m.config.task);
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Member& a, const Member& b) {
    const auto of = [&](const Member& m) { return std::find(tasks.begin(), tasks.end(), m.config.task); };
    return of(a) < of(b);
  });
  members = std::move(sorted);
}

/// Numbers of a row's state: what is carried from step to step.
double state_size(const Config& config) {
  const Session session(config, 1);
  std::size_t all = 0;
  for (const Component& c : session.model().components())
    for (const Declared& d : c.declared->state) all += d.count();
  return static_cast<double>(all);
}

/// The first of two evaluations in a row at or under the threshold.
std::optional<CurvePoint> first_of_two(const Curve& curve, double threshold) {
  const auto passes = [&](const CurvePoint& p) { return p.value && *p.value <= threshold; };
  for (std::size_t i = 0; i + 1 < curve.size(); ++i)
    if (passes(curve[i]) && passes(curve[i + 1])) return curve[i];
  return std::nullopt;
}

std::vector<Row> judge(const CompareOptions& o, const EndedRun& run, Row row, EvaluationOptions how) {
  const auto task = task_at(run.config, std::nullopt);
  const Metric& cost = task->metrics()[0];
  const Metric& wrong = task->metrics()[task->solved_metric()];
  const Curve costs = learning_curve(run.directory, "eval", cost.name);
  const Curve wrongs = learning_curve(run.directory, "eval", wrong.name);
  const auto add = [&](const std::string& name, const std::optional<double>& value) {
    row.figures.emplace_back(name, value);
  };
  const auto sequences = [](const std::optional<CurvePoint>& p) {
    return p ? std::optional<double>(static_cast<double>(p->sequences)) : std::nullopt;
  };
  if (o.threshold) {
    const auto at = first_of_two(learning_curve(run.directory, "eval", o.threshold->metric), o.threshold->at_most);
    add("solved_at_sequences", sequences(at));
    add("solved_at_seconds", at ? std::optional<double>(at->seconds) : std::nullopt);
  } else {
    add("solved_at_sequences", run.number("solved_at_sequences"));
    add("solved_at_seconds", run.number("solved_at_seconds"));
  }
  add("sequences_to_0.05_bits", cost.unit == "bits" ? sequences(first_at_most(costs, 0.05)) : std::nullopt);
  add("last_cost", costs.empty() ? std::nullopt : costs.back().value);
  add("last_wrong", wrongs.empty() ? std::nullopt : wrongs.back().value);
  add("state_size", state_size(run.config));
  add("seconds_per_1000",
      row.sequences ? std::optional<double>(1000 * row.seconds / static_cast<double>(row.sequences)) : std::nullopt);
  if (!task->test().empty()) {
    add("wrong_test", evaluate(run.directory, how).mean_error());
    return {row};
  }
  const std::vector<TaskLength> lengths = lengths_for(o, run.config);
  how.episodes = o.episodes;
  const auto judged = [&](const TaskLength& length) -> std::optional<double> {
    how.lengths = {length};
    try {
      return evaluate(run.directory, how).results.at(0).figures[task->solved_metric()].value;
    } catch (const NonFiniteError& e) {
      if (how.notice) how.notice(fmt::format("not judged at {}: {}", length.text(), e.what()));
      return std::nullopt;  // beyond training: what training came to stands
    }
  };
  for (const TaskLength& length : lengths) add("wrong_" + length.text(), judged(length));
  for (const std::int64_t n : o.slots) {
    if (!has(run.config, "memory.slots")) continue;
    const bool own = n == run.config.memory_options.integer("slots");
    how.slots = own ? std::vector<std::int64_t>{} : std::vector<std::int64_t>{n};
    try {
      for (const TaskLength& length : lengths)
        add(fmt::format("wrong_{}_slots_{}", length.text(), n),
            own ? row.figure("wrong_" + length.text()) : judged(length));
    } catch (const ArgumentError& e) {
      if (how.notice) how.notice(fmt::format("not judged with {} slots: {}", n, e.what()));
    }
  }
  return {row};
}

double waiting_of(const Row& row, const char* figure) {
  return row.figure(figure).value_or(kNever);
}

std::vector<Waiting> waits(const std::vector<Row>& rows, const char* figure) {
  std::vector<Waiting> all;
  for (const Row& row : rows) {
    const auto at = row.figure(figure);
    // One that diverged will never get there: it waits longer than anybody is watched.
    const double watched = row.diverged() ? kNever : static_cast<double>(row.sequences);
    all.push_back({at.value_or(watched), at.has_value()});
  }
  return all;
}

std::vector<SchemeResult> results_of(const std::vector<Row>& rows, const std::map<std::string, Config>& configs) {
  std::vector<SchemeResult> results;
  for (const Row& row : rows) {
    const std::string task = row.factor("task"), scheme = row.factor("scheme");
    if (results.empty() || results.back().task != task || results.back().scheme != scheme) {
      results.emplace_back();
      results.back().task = task;
      results.back().scheme = scheme;
      const Config& config = configs.at(row.config_hash);
      results.back().memory = config.memory.empty() ? config.model : config.memory;
      const auto made = task_at(config, std::nullopt);
      results.back().metric = made->metrics()[made->solved_metric()].name;
    }
    results.back().rows.push_back(row);
  }
  for (SchemeResult& r : results) {
    for (const Row& row : r.rows) {
      r.solved += row.figure("solved_at_sequences").has_value();
      r.diverged += row.diverged();
    }
    const std::vector<Waiting> solved = waits(r.rows, "solved_at_sequences");
    r.median_sequences = censored_median(solved);
    r.interval = bootstrap_interval(solved);
    // A run that ended because it was solved might have come there soon: no median says when.
    const bool cut = std::any_of(r.rows.begin(), r.rows.end(), [](const Row& row) {
      return row.exit_reason == exit_reason_name(ExitReason::solved) && !row.figure("sequences_to_0.05_bits");
    });
    if (!cut) r.cheap_sequences = censored_median(waits(r.rows, "sequences_to_0.05_bits"));
    r.final_cost = middle_of(r.rows, "last_cost");
    r.seconds_per_1000 = middle_of(r.rows, "seconds_per_1000");
    r.parameters = static_cast<double>(r.rows.front().parameters);
    r.state_size = middle_of(r.rows, "state_size");
  }
  return results;
}

/// a less b of each pair.
struct Differences {
  std::vector<double> ranked;   // where neither got there a tie
  std::vector<double> at_most;  // the least and the most that it may be
  std::vector<double> at_least;
  void add(double a, double b) {
    const bool neither = a == kNever && b == kNever;
    ranked.push_back(neither || a == b ? 0 : a - b);
    at_least.push_back(neither ? -kNever : ranked.back());
    at_most.push_back(neither ? kNever : ranked.back());
  }
  /// None where it depends on pairs of which neither got there, or lies among those of which one did not.
  std::optional<double> median() const {
    const auto low = middle(at_least), high = middle(at_most);
    return low == high ? low : std::nullopt;
  }
};

std::vector<PairResult> pairs_of(const std::vector<SchemeResult>& results) {
  std::vector<PairResult> pairs;
  for (std::size_t begin = 0; begin < results.size();) {
    std::size_t end = begin;
    while (end < results.size() && results[end].task == results[begin].task) ++end;
    const std::size_t first = pairs.size();
    for (std::size_t a = begin; a < end; ++a)
      for (std::size_t b = a + 1; b < end; ++b) {
        PairResult pair{results[begin].task, results[a].scheme, results[b].scheme};
        Differences sequences, costs;
        for (const Row& ra : results[a].rows)
          for (const Row& rb : results[b].rows) {
            if (ra.factor("seed") != rb.factor("seed")) continue;
            ++pair.seeds;
            sequences.add(waiting_of(ra, "solved_at_sequences"), waiting_of(rb, "solved_at_sequences"));
            costs.add(waiting_of(ra, "last_cost"), waiting_of(rb, "last_cost"));  // diverged: worse than any
          }
        pair.difference = sequences.median();
        pair.p = wilcoxon(sequences.ranked).p;
        pair.cost_difference = costs.median();
        pair.cost_p = wilcoxon(costs.ranked).p;
        pairs.push_back(std::move(pair));
      }
    const auto correct = [&](std::optional<double> PairResult::*p) {
      std::vector<std::optional<double>> all;
      for (std::size_t i = first; i < pairs.size(); ++i) all.push_back(pairs[i].*p);
      all = holm(all);
      for (std::size_t i = first; i < pairs.size(); ++i) pairs[i].*p = all[i - first];
    };
    correct(&PairResult::p);
    correct(&PairResult::cost_p);
    begin = end;
  }
  return pairs;
}

std::vector<std::string> figures_of(const std::vector<Row>& rows) {
  std::vector<std::string> names;
  for (const Row& row : rows)
    for (const auto& [name, value] : row.figures)
      if (!std::count(names.begin(), names.end(), name)) names.push_back(name);
  return names;
}

Json interval_json(const Interval& i) {
  return Json::array({or_null(i.low), or_null(i.high)});
}

Json comparison_object(const Comparison& c) {
  Json j = {{"measured", measured_columns()}, {"rows", Json::array()}, {"pairs", Json::array()}};
  for (const SchemeResult& r : c.results) {
    Json row = {{"task", r.task},
                {"memory", r.memory},
                {"scheme", r.scheme},
                {"seeds", r.seeds()},
                {"solved", r.solved},
                {"metric", r.metric},
                {"diverged", r.diverged},
                {"median_sequences", or_null(r.median_sequences)},
                {"interval", interval_json(r.interval)},
                {"sequences_to_0.05_bits", or_null(r.cheap_sequences)},
                {"final", or_null(r.final_cost)},
                {"parameters", or_null(r.parameters)},
                {"state_size", or_null(r.state_size)},
                {"seconds_per_1000", or_null(r.seconds_per_1000)},
                {"generalisation", Json::object()}};
    for (const std::string& name : c.figures) {
      if (!name.starts_with("wrong_")) continue;
      if (const auto v = middle_of(r.rows, name)) row["generalisation"][name.substr(6)] = *v;
    }
    j["rows"].push_back(row);
  }
  for (const PairResult& p : c.pairs)
    j["pairs"].push_back({{"task", p.task},
                          {"a", p.a},
                          {"b", p.b},
                          {"seeds", p.seeds},
                          {"difference", or_null(p.difference)},
                          {"p", or_null(p.p)},
                          {"test", "Wilcoxon signed rank, exact, two-sided, Holm over the pairs of a task"},
                          {"cost_difference", or_null(p.cost_difference)},
                          {"cost_p", or_null(p.cost_p)}});
  return j;
}

class Folder {
 public:
  Folder(const CompareOptions& o, const Prepared& p) : options_(o), prepared_(p) {}

  void write(const Comparison& c, const std::vector<Row>& rows) const {
    Json j = {
        {"format", kFormat}, {"keys", prepared_.keys}, {"settings", settings_of(options_)}, {"members", Json::array()}};
    for (const Member& m : prepared_.members)
      j["members"].push_back({{"id", m.id}, {"preset", m.preset}, {"command", m.command}, {"config", m.config.text()}});
    j.update(comparison_object(c));
    j["runs"] = Json::array();
    for (const Row& row : rows) j["runs"].push_back(row_json(row));
    trace::write_text_atomically(options_.out / kFile, json_text(j, 2) + "\n");
    const RowColumns columns{"the comparison", {"task", "scheme", "seed"}, figures_of(rows), {}};
    std::string csv = csv_header(columns);
    for (const Row& row : rows) csv += csv_line(columns, row);
    trace::write_text_atomically(options_.out / "rows.csv", csv);
    trace::write_text_atomically(options_.out / "table.csv", comparison_csv(c));
  }

 private:
  const CompareOptions& options_;
  const Prepared& prepared_;
};

}  // namespace

std::string Threshold::text() const {
  return fmt::format("{}<={}", metric, at_most);
}

Threshold Threshold::parse(const std::string& text) {
  Threshold t;
  const std::size_t sign = text.find("<=");
  if (sign != std::string::npos) {
    t.metric = text.substr(0, sign);
    const std::string number = text.substr(sign + 2);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), t.at_most);
    if (error == std::errc{} && end == number.data() + number.size() && !t.metric.empty() && std::isfinite(t.at_most))
      return t;
  }
  fail<ArgumentError>("--threshold", "'{}' is none; it takes METRIC<=NUMBER: wrong_bits_per_sequence<=0.5", text);
}

const std::vector<std::string>& measured_columns() {
  static const std::vector<std::string> names = {"cpu", "seconds", "solved_at_seconds", "seconds_per_1000"};
  return names;
}

CompareForecast forecast(const CompareOptions& options) {
  Prepared p = prepare(options);
  put_in_order(p, p.members);
  CompareForecast f;
  for (const Member& m : p.members) {
    const std::string scheme = scheme_of(p, m);
    if (f.entries.empty() || f.entries.back().task != m.config.task || f.entries.back().scheme != scheme) {
      const ModelReport model = report(m.config);
      f.entries.push_back({m.config.task, scheme, 0, 0, model.count, model.estimated_seconds});
    }
    ++f.entries.back().runs;
    f.entries.back().done +=
        std::any_of(p.known.begin(), p.known.end(), [&](const Row& row) { return row.config_hash == m.id; });
  }
  return f;
}

Comparison compare(const CompareOptions& options) {
  prepare(options);  // what is wrong is said before there is a folder
  std::error_code error;
  fs::create_directories(options.out / "runs", error);
  if (error) fail<RuntimeFailure>(options.out.string(), "cannot make the folder: {}", error.message());
  const FolderLock lock(options.out);
  Prepared p = prepare(options);  // by who held the lock a moment ago
  put_in_order(p, p.members);

  std::vector<PlannedRun> runs;
  std::map<std::string, Config> configs;
  for (const Member& m : p.members) {
    configs.emplace(m.id, m.config);
    const auto factors = factors_of(p, m);
    for (Row& row : p.known)
      if (row.config_hash == m.id) row.factors = factors;
    if (m.asked)
      runs.push_back({"runs/" + m.id, factors, m.config, m.command,
                      fmt::format("{} {} seed {}", m.config.task, scheme_of(p, m), m.config.seed)});
  }

  Comparison c;
  c.directory = options.out;
  c.keys = p.keys;
  c.planned = p.members.size();
  const Folder folder(options, p);
  std::map<std::string, Row> found;  // by identity
  for (const Row& row : p.known) found.emplace(row.config_hash, row);
  const auto in_order = [&] {
    std::vector<Row> rows;
    for (const Member& m : p.members)
      if (const auto row = found.find(m.id); row != found.end()) rows.push_back(row->second);
    return rows;
  };
  const auto conclude = [&] {
    const std::vector<Row> rows = in_order();
    c.figures = figures_of(rows);
    c.results = results_of(rows, configs);
    c.pairs = pairs_of(c.results);
    folder.write(c, rows);
  };
  conclude();
  using Clock = std::chrono::steady_clock;
  Clock::time_point written = Clock::now();
  PlanOptions plan{options.out, options.after, options.how, p.known, {}};
  plan.done = [&](const std::vector<Row>& rows) {
    for (const Row& row : rows) found.insert_or_assign(row.config_hash, row);
    if (Clock::now() - written < std::chrono::seconds(2)) return;  // a kill costs no more than judging again
    folder.write(c, in_order());                                   // what they come to waits for the end
    written = Clock::now();
  };
  const auto judging = [&](const EndedRun& run, Row begun, EvaluationOptions how) {
    return judge(options, run, std::move(begun), std::move(how));
  };
  try {
    run_plan(runs, judging, plan, c.stopped);
  } catch (...) {
    conclude();  // what the others came to
    throw;
  }
  conclude();
  return c;
}

pictures::Curves comparison_curves(const Comparison& c) {
  pictures::Curves curves;
  curves.title = {
      "Held-out cost: median of the seeds, quartiles, each seed thin; a run that was solved keeps its last value"};
  for (const SchemeResult& r : c.results) {
    pictures::Series series{r.scheme, {}, {}};
    std::string y;
    for (const Row& row : r.rows) {
      const fs::path run = c.directory / "runs" / row.config_hash;
      std::error_code error;
      if (!fs::exists(run / "config.ini", error)) continue;  // its row is another comparison's
      const Metric cost = task_at(read_run_config(run), std::nullopt)->metrics()[0];
      y = cost.name;
      std::replace(y.begin(), y.end(), '_', ' ');
      pictures::Line line;
      for (const CurvePoint& p : learning_curve(run, "eval", cost.name))
        if (p.value) line.emplace_back(static_cast<double>(p.sequences), *p.value);
      if (!line.empty()) series.runs.push_back(std::move(line));
    }
    if (series.runs.empty()) continue;
    series.middle = pictures::middle_of(series.runs);
    if (curves.panels.empty() || curves.panels.back().title != r.task) curves.panels.push_back({r.task, y, {}});
    curves.panels.back().series.push_back(std::move(series));
  }
  return curves;
}

std::optional<double> middle_of(const std::vector<Row>& rows, const std::string& figure) {
  std::vector<double> values;
  for (const Row& row : rows)
    if (const auto v = row.figure(figure)) values.push_back(*v);
  return middle(values);
}

std::string comparison_json(const Comparison& comparison) {
  Json j = comparison_object(comparison);
  std::size_t made = 0;
  for (const SchemeResult& r : comparison.results) made += r.seeds();
  j["directory"] = comparison.directory.string();
  j["runs_planned"] = comparison.planned;
  j["runs_made"] = made;
  j["stopped"] = comparison.stopped != 0;
  return json_text(j, 2);
}

std::string comparison_csv(const Comparison& c) {
  std::vector<std::string> lengths;
  for (const std::string& name : c.figures)
    if (name.starts_with("wrong_")) lengths.push_back(name);
  std::string text =
      "task,memory,scheme,seeds,solved,diverged,median_sequences,interval_low,interval_high,sequences_to_0.05_bits,"
      "final,parameters,state_size,seconds_per_1000";
  for (const std::string& name : lengths) text += ",median_" + name;
  text += "\n";
  const auto cell = [](const std::optional<double>& v) { return v ? fmt::format(",{:.6g}", *v) : std::string(","); };
  for (const SchemeResult& r : c.results) {
    text += fmt::format("{},{},{},{},{},{}", csv_cell(r.task), csv_cell(r.memory), csv_cell(r.scheme), r.seeds(),
                        r.solved, r.diverged);
    for (const auto& v : {r.median_sequences, r.interval.low, r.interval.high, r.cheap_sequences, r.final_cost,
                          r.parameters, r.state_size, r.seconds_per_1000})
      text += cell(v);
    for (const std::string& name : lengths) text += cell(middle_of(r.rows, name));
    text += "\n";
  }
  return text;
}

}  // namespace mneme::experiments
