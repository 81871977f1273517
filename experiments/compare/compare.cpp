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
  if (!j.is_object() || j.value("format", "") != kFormat)
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

/// What there will be, checked against what there is. Changes nothing.
Prepared prepare(const CompareOptions& o) {
  if (o.seeds.empty()) fail<ArgumentError>("--seeds", "names none");
  if (o.threshold && o.after) fail<ArgumentError>("--after", "goes on once solved, which --threshold does not stop");
  const Before before = read_before(o.out);
  std::error_code error;
  if (!before.there && fs::exists(o.out, error)) {
    refuse_used_directory(o.out);
    if (!fs::is_empty(o.out, error) && !fs::exists(o.out / "lock", error))
      fail<ArgumentError>(o.out.string(), "is a folder with other things in it: choose another --out");
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
    if (o.threshold) config = config.with({{"train.stop-when-solved", "false", "--threshold"}});
    for (const Member& m : before.members)
      if (m.preset == point.preset)
        if (const std::string differs = other_option(config, m.config, p.keys); !differs.empty())
          fail<ArgumentError>(o.out.string(),
                              "holds a comparison with another option: {}; choose another --out, or compare "
                              "both in one (--KEY A,B)",
                              differs);
    const std::string digest = digests.of(config);
    for (const std::uint64_t seed : o.seeds) {
      const Config own = config.with({{"seed", std::to_string(seed), "--seeds"}});
      const std::string id = own.run_id(digest);
      if (std::none_of(p.members.begin(), p.members.end(), [&](const Member& m) { return m.id == id; }))
        p.members.push_back({id, point.preset, own, command_of(o, point, seed)});
    }
  }
  for (const Member& m : p.members) p.presets = p.presets || m.preset != p.members.front().preset;
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
  return p;
}

std::string scheme_of(const Prepared& p, const Member& m) {
  const std::string text = scheme_text(m.config, p.keys);
  return p.presets ? fmt::format("preset={}{}", m.preset, p.keys.empty() ? "" : " " + text) : text;
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

/// Where a task is judged: as it is asked for, else its longest, twice and four times that in each part.
std::vector<TaskLength> lengths_for(const CompareOptions& o, const Config& config) {
  if (!o.lengths.empty()) return o.lengths;
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
    const auto names = task->metrics();
    if (std::none_of(names.begin(), names.end(), [&](const Metric& m) { return m.name == o.threshold->metric; })) {
      std::vector<std::string> all;
      for (const Metric& m : names) all.push_back(m.name);
      throw ArgumentError("[--threshold] " + unknown_name("metric", o.threshold->metric, all));
    }
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
  how.lengths = lengths_for(o, run.config);
  how.episodes = o.episodes;
  const auto measure = [&](const std::string& suffix) {
    for (const LengthResult& r : evaluate(run.directory, how).results)
      if (r.length) add("wrong_" + r.length->text() + suffix, r.figures[task->solved_metric()].value);
  };
  if (how.lengths.empty()) return {row};
  measure("");
  const auto options = run.config.memory_options.items();
  const bool resizable = std::any_of(options.begin(), options.end(), [](const auto& i) { return i.first == "slots"; });
  for (const std::int64_t n : o.slots) {
    if (!resizable || n == run.config.memory_options.integer("slots")) continue;
    how.slots = {n};
    try {
      measure(fmt::format("_slots_{}", n));
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
    all.push_back({at.value_or(static_cast<double>(row.sequences)), at.has_value()});
  }
  return all;
}

std::vector<SchemeResult> results_of(const std::vector<Row>& rows, const std::map<std::string, std::string>& memories) {
  std::vector<SchemeResult> results;
  for (const Row& row : rows) {
    const std::string task = row.factor("task"), scheme = row.factor("scheme");
    if (results.empty() || results.back().task != task || results.back().scheme != scheme) {
      results.emplace_back();
      results.back().task = task;
      results.back().scheme = scheme;
      results.back().memory = memories.at(row.config_hash);
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
    r.cheap_sequences = censored_median(waits(r.rows, "sequences_to_0.05_bits"));
    r.final_cost = middle_of(r.rows, "last_cost");
    r.seconds_per_1000 = middle_of(r.rows, "seconds_per_1000");
    r.parameters = static_cast<double>(r.rows.front().parameters);
    r.state_size = middle_of(r.rows, "state_size");
  }
  return results;
}

/// a less b, where both infinite is a tie.
double difference_of(double a, double b) {
  return a == b ? 0 : a - b;
}

std::vector<PairResult> pairs_of(const std::vector<SchemeResult>& results) {
  std::vector<PairResult> pairs;
  for (std::size_t begin = 0; begin < results.size();) {
    std::size_t end = begin;
    while (end < results.size() && results[end].task == results[begin].task) ++end;
    const std::size_t first = pairs.size();
    for (std::size_t a = begin; a < end; ++a)
      for (std::size_t b = a + 1; b < end; ++b) {
        PairResult pair{results[begin].task, results[a].scheme, results[b].scheme};
        std::vector<double> sequences, costs;
        for (const Row& ra : results[a].rows)
          for (const Row& rb : results[b].rows) {
            if (ra.factor("seed") != rb.factor("seed")) continue;
            ++pair.seeds;
            sequences.push_back(
                difference_of(waiting_of(ra, "solved_at_sequences"), waiting_of(rb, "solved_at_sequences")));
            // A run that diverged has no cost: worse than any.
            costs.push_back(difference_of(waiting_of(ra, "last_cost"), waiting_of(rb, "last_cost")));
          }
        pair.difference = middle(sequences);
        pair.p = wilcoxon(sequences).p;
        pair.cost_difference = middle(costs);
        pair.cost_p = wilcoxon(costs).p;
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
  return fmt::format("{}<={:g}", metric, at_most);
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
  std::map<std::string, std::string> memories;
  for (const Member& m : p.members) {
    runs.push_back({"runs/" + m.id, factors_of(p, m), m.config, m.command,
                    fmt::format("{} {} seed {}", m.config.task, scheme_of(p, m), m.config.seed)});
    memories[m.id] = m.config.memory.empty() ? m.config.model : m.config.memory;
    for (Row& row : p.known)
      if (row.config_hash == m.id) row.factors = runs.back().factors;
  }

  Comparison c;
  c.directory = options.out;
  c.keys = p.keys;
  c.planned = runs.size();
  const Folder folder(options, p);
  const auto conclude = [&](const std::vector<Row>& rows) {
    c.figures = figures_of(rows);
    c.results = results_of(rows, memories);
    c.pairs = pairs_of(c.results);
    folder.write(c, rows);
  };
  PlanOptions plan{options.out, options.after, options.how, p.known, {}};
  std::vector<Row> found = p.known;
  const auto in_order = [&] {
    std::vector<Row> rows;
    for (const Member& m : p.members)
      for (const Row& row : found)
        if (row.config_hash == m.id) {
          rows.push_back(row);
          break;
        }
    return rows;
  };
  conclude(in_order());
  plan.done = [&](const std::vector<Row>& rows) {
    found.insert(found.begin(), rows.begin(), rows.end());
    folder.write(c, in_order());  // what they come to waits for the end
  };
  run_plan(
      runs,
      [&](const EndedRun& run, Row begun, EvaluationOptions how) {
        return judge(options, run, std::move(begun), std::move(how));
      },
      plan, c.stopped);
  conclude(in_order());
  return c;
}

std::optional<double> middle_of(const std::vector<Row>& rows, const std::string& figure) {
  std::vector<double> values;
  for (const Row& row : rows)
    if (const auto v = row.figure(figure)) values.push_back(*v);
  return middle(values);
}

std::string comparison_json(const Comparison& comparison) {
  Json j = comparison_object(comparison);
  j["directory"] = comparison.directory.string();
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
