// Room: experiments. Judging a trained run, and measuring a configuration.
#include "experiments/judge/evaluate.hpp"

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/stopped.hpp"
#include "experiments/judge/row_nats.hpp"
#include "experiments/run/checkpoint.hpp"
#include "experiments/run/environment.hpp"
#include "experiments/run/run_directory.hpp"
#include "experiments/run/session.hpp"
#include "experiments/run/training_trace.hpp"
#include "trace/sink.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

/// The task's figures of these rows; NonFiniteError where one is not finite, of `what` ("", " of part 3").
std::vector<Figure> figures_of(const Task& task, const std::vector<double>& rows, const std::string& what) {
  std::vector<Figure> figures = task.summary(rows);
  const std::vector<Metric>& metrics = task.metrics();
  if (figures.size() != metrics.size())
    fail<InvariantError>("task", "summary gives {} figures for {} metrics", figures.size(), metrics.size());
  for (std::size_t m = 0; m < metrics.size(); ++m) {
    if (figures[m].value) require_finite("mean " + metrics[m].name + what, *figures[m].value);
    if (figures[m].standard_error)
      require_finite("standard error of " + metrics[m].name + what, *figures[m].standard_error);
  }
  return figures;
}

/// The test set's parts, from the metrics of its first questions.
void add_parts(const Task& task, const std::vector<TestPart>& parts, const std::vector<double>& values, Evaluation& e) {
  if (parts.empty()) return;
  const std::size_t n = e.metrics.size();
  std::vector<std::vector<double>> rows(parts.size());
  for (std::size_t i = 0; i * n < values.size(); ++i) {
    auto& own = rows[task.test_part(e.seed, kTestNumbers + i)];
    own.insert(own.end(), values.begin() + static_cast<std::ptrdiff_t>(i * n),
               values.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
  }
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (rows[p].empty()) {
      ++e.parts_not_asked;
      continue;
    }
    const auto figures = figures_of(task, rows[p], fmt::format(" of part {}", parts[p].number));
    e.parts.push_back({parts[p], rows[p].size() / n, figures[e.solved_metric].value});
  }
}

/// The session's run with another number of slots. ArgumentError where the memory has none, or numbers that were
/// trained or saved for those it had.
std::unique_ptr<Session> with_slots(Session& trained, std::int64_t slots, int threads, const fs::path& checkpoint) {
  const Config& own = trained.config();
  if (own.memory.empty() || !memories().find(own.memory).options.find("slots"))
    fail<ArgumentError>("--slots", "{} has no memory.slots", own.memory.empty() ? "the run" : "memory " + own.memory);
  auto other = std::make_unique<Session>(own.with({{"memory.slots", std::to_string(slots), "--slots"}}), threads);
  const auto require_same = [&](const auto& before, const auto& now, const char* what) {
    for (std::size_t i = 0; i < before.size(); ++i)
      if (before[i].name != now[i].name || before[i].shape.text() != now[i].shape.text())
        fail<ArgumentError>("--slots", "{} {} is {}, of {} slots; of {} it would be {}, which nobody has {}",
                            before[i].name, before[i].shape.text(), what, own.memory_options.integer("slots"), slots,
                            now[i].shape.text(), what);
  };
  require_same(trained.parameters().parameters(), other->parameters().parameters(), "trained");
  require_same(trained.parameters().buffers(), other->parameters().buffers(), "drawn and saved");
  load_checkpoint(checkpoint, other->parameters());
  return other;
}

/// The run's own trace.level is about its training; only who asks for a trace of the evaluation gets one.
trace::Level asked_level(const Config& config, const std::vector<Assignment>& given) {
  const trace::Level level = trace::parse_level(config.with(given).trace.text("level"));
  const bool asked =
      std::any_of(given.begin(), given.end(), [](const Assignment& a) { return a.key == "trace.level"; });
  return asked ? level : trace::Level::off;
}

/// A file, or several, of traces of an evaluation.
struct Tracing {
  Tracing(Session& session, const fs::path& directory, std::uint64_t sequences, trace::Level level,
          const EvaluationOptions& options)
      : layout(layout_of(session, sequences, level, options)),
        sink(directory / "traces" / "eval.trace.h5", layout, settings(session, directory, options)),
        recorder(layout, session.model().components(), session.task().spec()) {}

  static trace::Layout layout_of(Session& session, std::uint64_t sequences, trace::Level level,
                                 const EvaluationOptions& options) {
    trace::Layout layout =
        make_layout(session.config(), session.task(), session.model().components(), "eval", sequences, level);
    layout.keyframe_every = static_cast<int>(session.config().with(options.given).trace.integer("keyframe-every"));
    return layout;
  }
  static trace::SinkOptions settings(Session& session, const fs::path& directory, const EvaluationOptions& options) {
    trace::SinkOptions how;
    how.budget_bytes =
        static_cast<std::uint64_t>(session.config().with(options.given).trace.integer("budget-mb")) * 1000 * 1000;
    how.notice = options.notice;
    how.first_episode = traced_so_far(directory / "traces" / "eval.trace.h5").next_id;
    std::error_code error;
    fs::create_directories(directory / "traces", error);
    return how;
  }

  trace::Layout layout;
  trace::Sink sink;
  Recorder recorder;
};

}  // namespace

std::optional<double> Evaluation::mean_error() const {
  double sum = 0;
  for (const PartResult& p : parts) {
    if (!p.error) return std::nullopt;
    sum += *p.error;
  }
  return parts.empty() ? 0 : sum / static_cast<double>(parts.size());
}

std::size_t Evaluation::failed_parts() const {
  return static_cast<std::size_t>(
      std::count_if(parts.begin(), parts.end(), [&](const PartResult& p) { return failed(p); }));
}

std::unique_ptr<Task> task_at(const Config& config, const std::optional<TaskLength>& length) {
  const TaskPlugin& plugin = tasks().find(config.task);
  if (!length) return plugin.make(config.task_options);
  const std::vector<std::string>& keys = plugin.length_options;
  if (keys.empty()) fail<ArgumentError>("--lengths", "task '{}' has no lengths to choose", config.task);
  if (length->parts.size() != keys.size())
    fail<ArgumentError>("--lengths", "{} is {} number{}; of task '{}' it takes {}", length->text(),
                        length->parts.size(), length->parts.size() == 1 ? "" : "s", config.task,
                        keys.size() == 1 ? keys[0] + " alone: 20,40" : join(keys, " x ") + ": 10x20,20x10");
  std::map<std::string, std::string> values;
  for (const auto& [key, value] : config.task_options.items()) values[key] = value;
  for (std::size_t i = 0; i < keys.size(); ++i) values[keys[i]] = std::to_string(length->parts[i]);
  const auto where = [&](const std::string& key) {
    return std::count(keys.begin(), keys.end(), key) ? "--lengths" : "";
  };
  return plugin.make(plugin.options.parse("task", values, where));
}

Evaluation evaluate(const fs::path& given, const EvaluationOptions& options) {
  if (options.episodes == std::size_t{0}) fail<ArgumentError>("--episodes", "0 episodes say nothing");
  const fs::path directory = chosen_run(given);
  const Config config = read_run_config(directory);
  const trace::Level level = asked_level(config, options.given);
  std::vector<std::optional<TaskLength>> lengths(options.lengths.begin(), options.lengths.end());
  if (lengths.empty()) lengths.emplace_back();
  std::vector<std::optional<std::int64_t>> slots(options.slots.begin(), options.slots.end());
  if (slots.empty()) slots.emplace_back();
  if (options.reliance && lengths.size() > 1)
    fail<ArgumentError>("--memory-use", "takes one of --lengths at a time, not {}", lengths.size());
  if (options.reliance && slots.size() > 1)
    fail<ArgumentError>("--memory-use", "takes one of --slots at a time, not {}", slots.size());
  std::vector<std::unique_ptr<Task>> tasks;  // all of them first: a bad length ends it before any work
  for (const auto& length : lengths) tasks.push_back(task_at(config, length));

  Session session(config, options.threads);
  check_task(directory, config, session.task());
  Evaluation result;
  result.metrics = session.task().metrics();
  result.solved_metric = session.task().solved_metric();
  result.solved_threshold = session.task().solved_threshold();
  result.directory = directory;
  result.checkpoint = find_checkpoint(directory, options.checkpoint);
  result.config_hash = config.run_id(session.task().data_digest());
  result.seed = options.seed.value_or(config.seed);
  if (result.checkpoint.parent_path() == directory / "checkpoints")  // a file from elsewhere was asked for by name
    require_same_run(directory, config, session.task(), inspect_checkpoint(result.checkpoint));
  const CheckpointInfo found = load_checkpoint(result.checkpoint, session.parameters());
  result.sequences = found.state.sequences;
  result.parameter_hash = found.parameter_hash;
  result.data_digest = session.task().data_digest();
  result.test_digest = session.task().test_digest();

  std::vector<std::unique_ptr<Session>> resized;  // in the order of `slots`, where some were asked for
  for (const std::int64_t n : options.slots)
    resized.push_back(with_slots(session, n, options.threads, result.checkpoint));

  std::vector<std::vector<TestPart>> parts;
  std::vector<std::size_t> episodes;
  for (const auto& task : tasks) {
    std::size_t questions = 0;
    for (const TestPart& p : parts.emplace_back(task->test())) questions += p.questions;
    episodes.push_back(options.episodes.value_or(questions ? questions : 200));
    if (questions && episodes.back() > questions) {
      if (options.notice)
        options.notice(
            fmt::format("the test set has {} questions, not {}: each is asked once", questions, episodes.back()));
      episodes.back() = questions;
    }
    if (questions && slots.size() > 1)
      fail<ArgumentError>("--slots", "takes one at a time where the task has a test set, not {}", slots.size());
    if (options.reliance) require_reliance(session, episodes.back());
  }
  const std::size_t all = slots.size() * std::accumulate(episodes.begin(), episodes.end(), std::size_t{0});
  std::size_t done = 0;
  const auto stop = [&] { return options.signal && options.signal->load(std::memory_order_relaxed) != 0; };
  std::vector<double> values, some;
  const std::size_t rows = config.train.size("eval-batch");
  const std::size_t chunk = std::max<std::size_t>(rows * 32, 1);
  for (std::size_t n = 0; n < slots.size(); ++n) {
    Session& judged = slots[n] ? *resized[n] : session;
    std::optional<Tracing> tracing;
    if (level != trace::Level::off) tracing.emplace(judged, directory, result.sequences, level, options);
    for (std::size_t l = 0; l < lengths.size(); ++l) {
      values.clear();
      Session::Episodes asked{
          .task = tasks[l].get(), .seed = result.seed, .first = kTestNumbers, .rows = rows, .stop = stop};
      for (std::size_t begin = 0; begin < episodes[l]; begin += chunk) {
        asked.first = kTestNumbers + begin;
        asked.count = std::min(chunk, episodes[l] - begin);
        judged.evaluate(asked, some);
        values.insert(values.end(), some.begin(), some.end());
        done += asked.count;
        if (options.progress) options.progress(done, all);
      }
      result.results.push_back({lengths[l], slots[n], episodes[l], figures_of(*tasks[l], values, "")});
      add_parts(*tasks[l], parts[l], values, result);
      if (options.reliance) result.reliance = reliance(judged, *tasks[l], result.seed, kTestNumbers, episodes[l], stop);
      if (!tracing) continue;
      asked.first = kTestNumbers;
      asked.count = episodes[l];
      for (std::size_t i = 0; i < std::min(options.traced, episodes[l]); ++i) {
        if (stop()) fail<Stopped>("evaluate", "stopped before it was done");
        tracing->sink.append(judged.trace_episode(asked, i, tracing->recorder));
      }
    }
    if (!tracing) continue;
    tracing->sink.close();
    result.traces.insert(result.traces.end(), tracing->sink.files().begin(), tracing->sink.files().end());
  }
  return result;
}

std::string evaluation_json(const Evaluation& e) {
  Json j;
  j["directory"] = e.directory.string();
  j["checkpoint"] = e.checkpoint.string();
  j["sequences"] = e.sequences;
  j["config_hash"] = e.config_hash;
  j["seed"] = e.seed;
  j["results"] = Json::array();
  for (const LengthResult& r : e.results) {
    Json entry;
    if (!r.length)
      entry["length"] = nullptr;
    else if (r.length->parts.size() == 1)
      entry["length"] = r.length->parts[0];
    else
      entry["length"] = r.length->text();
    if (r.slots) entry["slots"] = *r.slots;
    entry["episodes"] = r.episodes;
    for (std::size_t m = 0; m < e.metrics.size(); ++m) {
      entry[e.metrics[m].name] = or_null(r.figures[m].value);
      entry[e.metrics[m].name + "_se"] = or_null(r.figures[m].standard_error);
    }
    j["results"].push_back(entry);
  }
  if (!e.parts.empty()) {
    const std::string& metric = e.metrics[e.solved_metric].name;
    j["tasks"] = Json::array();
    for (const PartResult& p : e.parts) {
      Json entry;
      entry["number"] = p.part.number;
      entry["questions"] = p.questions;
      entry[metric] = or_null(p.error);
      entry["majority_" + metric] = p.part.majority;
      entry["unknown_words"] = p.part.unknown_words;
      entry["unseen_answers"] = p.part.unseen_answers;
      entry["cut_questions"] = p.part.cut;
      j["tasks"].push_back(entry);
    }
    j["mean_" + metric] = or_null(e.mean_error());
    j["failed_tasks"] = e.failed_parts();
    j["tasks_not_asked"] = e.parts_not_asked;
  }
  if (e.reliance) {
    j["memory_use"] = Json::array();
    for (const TaskReliance& t : e.reliance->tasks) {
      Json entry = {{"number", t.number ? Json(t.number) : nullptr},
                    {"questions", t.questions},
                    {e.reliance->metric, or_null(t.as_read)},
                    {"reads_zeroed_" + e.reliance->metric, or_null(t.zeroed)},
                    {"reads_shuffled_" + e.reliance->metric, or_null(t.shuffled)},
                    {"chance_percent", 100 * t.chance},
                    {"hops", Json::array()}};
      for (const HopUse& h : t.hops)
        entry["hops"].push_back({{"site", h.site}, {"top_percent", h.top_percent}, {"mass", h.mass}});
      j["memory_use"].push_back(std::move(entry));
    }
  }
  j["traces"] = Json::array();
  for (const fs::path& p : e.traces) j["traces"].push_back(p.string());
  return json_text(j, 2);
}

std::string evaluation_line(const Evaluation& e, const std::vector<std::string>& argv) {
  const auto known = [](const std::string& digest) { return digest.empty() ? Json(nullptr) : Json(digest); };
  Json j;
  j["written_utc"] = utc_now();
  j["version"] = build_info().version;
  j["git_rev"] = build_info().git_rev;
  j["argv"] = argv;
  j["checkpoint"] = e.checkpoint.filename().string();
  j["parameter_hash"] = hex(e.parameter_hash);
  j["data_digest"] = known(e.data_digest);
  j["test_digest"] = known(e.test_digest);
  auto figures = parse_json(evaluation_json(e));
  for (const auto& [key, value] : figures.items())
    if (key != "directory" && !j.contains(key)) j[key] = value;
  return json_text(j);
}

ModelReport report(const Config& config, int threads) {
  Session session(config, threads);
  ModelReport r;
  r.run_id = config.run_id(session.task().data_digest());
  ParameterSet<float>& set = session.parameters();
  for (const Parameter& p : set.parameters())
    r.parameters.push_back({p.name, p.shape.text(), p.shape.size(), !set.groups()[p.group].frozen});
  for (const Buffer<float>& b : set.buffers()) r.parameters.push_back({b.name, b.shape.text(), b.shape.size(), false});
  r.count = set.count();
  for (const auto& entry : r.parameters) r.parameter_bytes += entry.count * sizeof(float);
  for (const auto& state : session.optimizer().state()) r.optimizer_bytes += state.values.size() * sizeof(float);

  // Long enough for lengths to average out and caches to warm, short enough for a command that only shows.
  using Clock = std::chrono::steady_clock;
  std::uint64_t first = 0, update = 0, warm = 0;
  Clock::time_point begin;
  double seconds = 0;
  const auto steps_of = [&](std::uint64_t n) { return n * session.batch(); };
  while (update < 5 || (seconds < 0.5 && update < 400)) {
    if (update == 3) {
      begin = Clock::now();
      warm = update;
    }
    if (!session.step(first, ++update).finite) break;
    first += session.batch();
    if (update > 3) seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  r.step_bytes = session.step_bytes();
  if (update > 3) r.seconds_per_sequence = seconds / static_cast<double>(steps_of(update - warm));
  r.estimated_seconds = r.seconds_per_sequence * static_cast<double>(config.train.integer("max-sequences"));
  return r;
}

}  // namespace mneme::experiments
