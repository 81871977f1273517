// Room: experiments. The training loop and what surrounds it.
#include "experiments/run/trainer.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "core/stopped.hpp"
#include "experiments/judge/row_nats.hpp"
#include "experiments/run/checkpoint.hpp"
#include "experiments/run/environment.hpp"
#include "experiments/run/run_directory.hpp"
#include "experiments/run/session.hpp"
#include "experiments/run/training_trace.hpp"
#include "trace/hdf5.hpp"

#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <iterator>
#include <limits>
#include <memory>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// "key":value, with null for what JSON has no number for.
void append_number(std::string& line, std::string_view key, double value) {
  if (std::isfinite(value))
    fmt::format_to(std::back_inserter(line), R"(,"{}":{:.9g})", key, value);
  else
    fmt::format_to(std::back_inserter(line), R"(,"{}":null)", key);
}

/// True where a multiple of `every` lies in (before, now].
bool crosses(std::uint64_t before, std::uint64_t now, std::uint64_t every) {
  return now / every != before / every;
}

class Run {
 public:
  /// `session` is of `config`, which is the folder's or a resumed one.
  Run(const Config& config, const RunOptions& options, RunFolder folder, std::unique_ptr<Session> session)
      : config_(config),
        options_(options),
        folder_(std::move(folder)),
        directory_(folder_.path()),
        metrics_(directory_ / "metrics.jsonl", false),
        own_session_(std::move(session)),
        session_(*own_session_) {
    const Options& t = config_.train;
    max_ = static_cast<std::uint64_t>(t.integer("max-sequences"));
    log_every_ = static_cast<std::uint64_t>(t.integer("log-every"));
    eval_every_ = static_cast<std::uint64_t>(t.integer("eval-every"));
    eval_episodes_ = t.size("eval-episodes");
    checkpoint_every_ = static_cast<std::uint64_t>(t.integer("checkpoint-every"));
    keep_ = t.size("keep-checkpoints");
    stop_when_solved_ = t.flag("stop-when-solved");
    time_limit_ = t.real("time-limit");
    metric_ = session_.task().solved_metric();
    names_ = &session_.task().metrics();
    state_.window_metrics.resize(names_->size());
    provenance_.data_digest = session_.task().data_digest();
    provenance_.run_id = config_.run_id(provenance_.data_digest);
    record_.argv = options.argv;
    record_.threads = options.threads;
    record_.started_utc = utc_now();
    record_.parameters = session_.parameters().count();
    // Parts of a killed start only: which checkpoints are good is not known yet.
    prune_checkpoints(directory_, std::numeric_limits<std::size_t>::max());
    line_.reserve(1024);
  }

  void notice(const std::string& text) {
    append_log(directory_, text);
    if (options_.notice) options_.notice(text);
  }

  /// From the newest checkpoint that can be read and is of this configuration and data. Nothing to restore is nothing
  /// lost: the run starts again. A run that has ended for good, and is not told to go on, is left as it is: its result.
  std::optional<RunResult> restore() {
    check_task(directory_, config_, session_.task());
    continue_record(directory_, record_);
    const std::vector<fs::path> all = list_checkpoints(directory_);
    std::string damaged;
    std::vector<fs::path> unusable;
    std::vector<std::string> unread;
    for (auto path = all.rbegin(); path != all.rend(); ++path) {
      try {
        // First, or arrays that do not fit would be all that is said.
        require_same_run(directory_, config_, session_.task(), inspect_checkpoint(*path));
        const CheckpointInfo found = load_checkpoint(*path, session_.parameters(), &session_.optimizer(), &state_);
        provenance_.origin = found.provenance.origin;
      } catch (const FileError& e) {
        damaged += (damaged.empty() ? "" : "\n") + std::string(e.what());
        unusable.push_back(*path);
        unread.push_back(e.what());
        continue;
      }
      saved_at_ = state_.sequences;
      if (auto result = over()) return result;
      for (const std::string& why : unread) notice(why + "; going back to the checkpoint before it");
      session_.usual_norm() = state_.usual_norm;
      state_.window_metrics.resize(names_->size());
      // Out of the way, or they would count as the newest and the good ones be removed for them.
      for (const fs::path& bad : unusable) fs::rename(bad, bad.string() + ".damaged");
      if (!metrics_.cut(state_.metrics_bytes))
        notice(fmt::format("metrics.jsonl is shorter than when {} was written: lines are missing",
                           path->filename().string()));
      if (config_.text() != folder_.config().text()) folder_.write(config_);
      notice(fmt::format("resumed at {} sequences from {}", state_.sequences, path->filename().string()));
      return std::nullopt;
    }
    if (!all.empty()) throw FileError(damaged + "\nno checkpoint of this run can be read");
    metrics_.cut(0);
    if (config_.text() != folder_.config().text()) folder_.write(config_);
    notice("no checkpoint yet: the run starts again");
    return std::nullopt;
  }

  RunResult go() {
    started_ = Clock::now();
    wall_before_ = state_.wall_seconds;
    last_progress_ = started_;
    begun_ = last_progress_sequences_ = state_.sequences;
    last_progress_seconds_ = state_.seconds;
    record_.from_sequences = state_.sequences;
    try {
      fs::remove(directory_ / "DONE");
      write_record("running", "");
      trace_.emplace(config_, session_, directory_, state_.sequences, [this](const std::string& s) { notice(s); });
      return loop();
    } catch (const std::exception& e) {
      append_log(directory_, fmt::format("failed: {}", e.what()));
      try {
        write_record("failed", e.what());
      } catch (const std::exception&) {  // the disk that failed the run fails this too
      }
      throw;
    }
  }

 private:
  /// The result of a run that is written down as ended and has nothing left to do; no file is touched but config.ini,
  /// where the data have moved, and a part of a trace that a full disk left, which gets its name.
  std::optional<RunResult> over() {
    const auto reason = must_stop();
    if (!reason || (*reason != ExitReason::solved && *reason != ExitReason::max_sequences)) return std::nullopt;
    const auto j = read_json(directory_ / "run.json");
    std::error_code error;
    if (!j.is_object() || j.value("exit_reason", "") != exit_reason_name(*reason) ||
        !fs::exists(directory_ / "DONE", error))
      return std::nullopt;
    std::vector<Assignment> moved;
    for (const auto& [key, value] : config_.items())
      if (is_path(config_, key)) moved.push_back({key, value, ""});
    const Config there = folder_.config().with(moved);
    if (there.text() != folder_.config().text()) folder_.write(there);
    const auto traces = trace::trace_files(directory_ / "traces");
    if (std::any_of(traces.begin(), traces.end(), [](const fs::path& p) { return p.extension() == ".part"; }))
      TrainingTrace(config_, session_, directory_, state_.sequences, [this](const std::string& s) {
        notice(s);
      }).close();
    RunResult r = result(*reason, "");
    const std::string more = state_.sequences >= max_ ? fmt::format("--max-sequences above {}", state_.sequences) : "";
    const std::string schedule = config_.train.text("schedule");
    if (*reason == ExitReason::solved)
      r.message = fmt::format(
          "solved at {} sequences, ended at {}: nothing is left to do and nothing was changed; it goes on with "
          "--train.stop-when-solved false{}",
          state_.solved_at, state_.sequences, more.empty() ? "" : " " + more);
    else
      r.message =
          fmt::format("ended at {} sequences: nothing is left to do and nothing was changed; {}", state_.sequences,
                      schedule == "linear" || schedule == "cosine"
                          ? fmt::format("its schedule '{}' ends there, so it cannot go on", schedule)
                          : "it goes on with " + more);
    return r;
  }

  RunResult loop() {
    std::string why;
    try {
      const ExitReason reason = train_on();
      if (saved_at_ != state_.sequences) save();
      return finish(reason);
    } catch (const NonFiniteError& e) {
      why = e.what();
    }
    return diverged(why);
  }

  /// Until something ends it. NonFiniteError where it diverges, in an update or in an evaluation.
  ExitReason train_on() {
    try {
      if (evaluation_due()) {  // a stop cut it short
        evaluate();
        save();
      }
      while (true) {
        if (const auto reason = must_stop()) return *reason;
        const Clock::time_point begin = Clock::now();
        const StepReport& step = session_.step(state_.sequences, state_.updates + 1);
        if (!step.finite) explain();
        trace_->take(session_);
        const std::uint64_t before = state_.sequences;
        account(step);
        if (crosses(before, state_.sequences, log_every_)) write_line();
        state_.seconds += seconds_since(begin);

        if (evaluation_due()) evaluate();
        if (crosses(before, state_.sequences, checkpoint_every_)) save();
        show("training", false);
      }
    } catch (const Stopped&) {
      notice("stopped in an evaluation, which is made anew when the run goes on");
      return *asked_to_stop();
    }
  }

  /// Whatever stands in the way of finding out where, that it diverged is what ends the run.
  [[noreturn]] void explain() {
    std::string why;
    for (Recorder* recorder : {trace_->divergence_recorder(), static_cast<Recorder*>(nullptr)}) try {
        session_.explain(state_.sequences, recorder);
      } catch (const NonFiniteError&) {
        throw;
      } catch (const std::exception& e) {  // out of memory
        why = e.what();
      }
    fail<NonFiniteError>("finite guard", "a value is not finite at sequence {}; which one cannot be found out: {}",
                         state_.sequences, why);
  }

  /// Every so many sequences; the same whether the run came here without a stop or by a checkpoint from before it.
  bool evaluation_due() const { return crosses(state_.last_evaluation_at, state_.sequences, eval_every_); }

  std::optional<ExitReason> must_stop() const {
    if (state_.solved && stop_when_solved_) return ExitReason::solved;
    if (state_.sequences >= max_) return ExitReason::max_sequences;
    return asked_to_stop();
  }

  std::optional<ExitReason> asked_to_stop() const {
    if (const int signal = options_.signal ? options_.signal->load(std::memory_order_relaxed) : 0)
      return stop_reason(signal);
    if (time_limit_ > 0 && seconds_since(started_) >= time_limit_) return ExitReason::time_limit;
    return std::nullopt;
  }

  void account(const StepReport& step) {
    state_.sequences += session_.batch();
    ++state_.updates;
    state_.window_sequences += session_.batch();
    ++state_.window_updates;
    state_.window_loss += step.loss;
    state_.window_norm += step.gradient_norm;
    state_.window_norm_max = std::max(state_.window_norm_max, step.gradient_norm);
    for (std::size_t m = 0; m < step.metrics.size(); ++m) state_.window_metrics[m] += step.metrics[m];
    rate_ = step.rate;
  }

  void begin_line(const char* kind) {
    line_.clear();
    fmt::format_to(std::back_inserter(line_), R"({{"kind":"{}","sequences":{},"updates":{},"seconds":{:.6f})", kind,
                   state_.sequences, state_.updates, state_.seconds);
  }

  void write_line() {
    const auto updates = static_cast<double>(state_.window_updates);
    const auto sequences = static_cast<double>(state_.window_sequences);
    averaged_ = state_.window_sequences;
    loss_ = state_.window_loss / updates;
    error_ = state_.window_metrics[metric_] / sequences;
    latest_ = state_.window_metrics;
    for (double& m : latest_) m /= sequences;
    begin_line("train");
    fmt::format_to(std::back_inserter(line_), R"(,"averaged":{})", averaged_);
    append_number(line_, "loss", loss_);
    for (std::size_t m = 0; m < names_->size(); ++m) append_number(line_, (*names_)[m].name, latest_[m]);
    append_number(line_, "gradient_norm", state_.window_norm / updates);
    append_number(line_, "gradient_norm_max", state_.window_norm_max);
    append_number(line_, "rate", rate_);
    line_ += "}\n";
    metrics_.append(line_);
    state_.window_updates = state_.window_sequences = 0;
    state_.window_loss = state_.window_norm = state_.window_norm_max = 0;
    std::fill(state_.window_metrics.begin(), state_.window_metrics.end(), 0.0);
  }

  /// New episodes each time, so that a run cannot be solved by luck with some.
  void evaluate() {
    show("evaluating", false);
    session_.evaluate({.seed = config_.seed,
                       .first = state_.evaluations * eval_episodes_,
                       .count = eval_episodes_,
                       .rows = config_.train.size("eval-batch"),
                       .stop = [this] { return asked_to_stop().has_value(); }},
                      values_);
    const std::vector<Figure> figures = session_.task().summary(values_);
    const std::size_t n = names_->size();
    for (std::size_t m = 0; m < n; ++m)
      if (figures.at(m).value) require_finite("mean " + (*names_)[m].name + " of an evaluation", *figures[m].value);
    constexpr double failed = std::numeric_limits<double>::infinity();  // by the task's rule: no figure
    const double value = figures[metric_].value.value_or(failed), threshold = session_.task().solved_threshold();

    if (!state_.solved && passed() && value <= threshold) {
      state_.solved = true;
      state_.solved_at = state_.last_evaluation_at;
      state_.solved_seconds = state_.last_evaluation_seconds;
      const std::string text =
          fmt::format("solved at {} sequences ({:.1f} s of training): {} = {:.4g}, then {:.4g}", state_.solved_at,
                      state_.solved_seconds, (*names_)[metric_].name, state_.last_evaluation, value);
      if (stop_when_solved_ || !options_.milestones)
        append_log(directory_, text);  // the end of the run says it too
      else
        notice(text);
    }
    const bool better = state_.evaluations == 0 || !(value >= state_.best);  // an older version may have left NaN
    ++state_.evaluations;
    state_.last_evaluation = value;
    state_.last_evaluation_at = state_.sequences;
    state_.last_evaluation_seconds = state_.seconds;
    if (better) {
      state_.best = value;
      state_.best_at = state_.sequences;
    }
    begin_line("eval");
    fmt::format_to(std::back_inserter(line_), R"(,"episodes":{})", eval_episodes_);
    for (std::size_t m = 0; m < n; ++m) append_number(line_, (*names_)[m].name, figures[m].value.value_or(failed));
    fmt::format_to(std::back_inserter(line_), ",\"solved\":{}}}\n", state_.solved);
    metrics_.append(line_);
    if (!better) return;
    session_.require_finite_state();
    write_checkpoint(best_checkpoint_path(directory_));
  }

  void write_checkpoint(const fs::path& path) {
    state_.metrics_bytes = metrics_.bytes();
    state_.wall_seconds = wall_before_ + seconds_since(started_);
    state_.usual_norm = session_.usual_norm();
    save_checkpoint(path, config_.text(), session_.parameters(), session_.optimizer(), state_, provenance_);
  }

  /// What the checkpoint counts on is on disk before it is.
  void save() {
    show("saving", false);
    session_.require_finite_state();
    trace_->flush();
    metrics_.sync();
    write_checkpoint(checkpoint_path(directory_, state_.sequences));
    saved_at_ = state_.sequences;
    prune_checkpoints(directory_, keep_);
  }

  /// Whatever the disk says, the explanation reaches the caller: what could not be saved is said behind it.
  RunResult diverged(std::string message) {
    message += saved_at_ ? fmt::format("; the last good checkpoint is that of {} sequences", *saved_at_)
                         : "; there is no checkpoint before it";
    const auto attempt = [&](auto f) {
      try {
        f();
      } catch (const std::exception& e) {
        message += fmt::format("; not saved: {}", e.what());
      }
    };
    trace_->write_divergence();
    // The state that the failing step started from, beside the good ones: resuming never takes it.
    attempt([&] { write_checkpoint(directory_ / "checkpoints" / "diverged.ckpt.h5"); });
    trace_->close();
    state_.wall_seconds = wall_before_ + seconds_since(started_);
    attempt([&] { write_record(exit_reason_name(ExitReason::diverged), message); });
    return ended(ExitReason::diverged, message);
  }

  RunResult finish(ExitReason reason) {
    const std::string& name = (*names_)[metric_].name;
    std::string message;
    switch (reason) {
      case ExitReason::solved:
        message = fmt::format("solved at {} sequences, {:.1f} s of training", state_.solved_at, state_.solved_seconds);
        break;
      case ExitReason::max_sequences:
        message = state_.evaluations == 0
                      ? fmt::format("ended at {} sequences, before any evaluation", state_.sequences)
                      : fmt::format("ended at {} sequences; {} = {}, {}", state_.sequences, name,
                                    state_.evaluation() ? fmt::format("{:.4g}", state_.last_evaluation) : "FAIL",
                                    state_.solved ? fmt::format("solved at {}", state_.solved_at)
                                    : passed() ? "but solved takes two evaluations in a row at or under the threshold"
                                               : "not solved");
        message += above_chance();
        break;
      default:
        message = fmt::format("stopped at {} sequences ({}); go on with --resume {}", state_.sequences,
                              exit_reason_name(reason), shell_path(directory_.string()));
    }
    trace_->close();
    state_.wall_seconds = wall_before_ + seconds_since(started_);
    write_record(exit_reason_name(reason), message);
    if (reason == ExitReason::solved || reason == ExitReason::max_sequences)
      trace::write_text_atomically(directory_ / "DONE", std::string(exit_reason_name(reason)) + "\n");
    return ended(reason, message);
  }

  /// The latest evaluation is at or under the threshold.
  bool passed() const {
    const auto value = state_.evaluation();
    return value && *value <= session_.task().solved_threshold();
  }

  /// A sentence where a model has come out far worse in training than a guess that never looks at its input; else "".
  std::string above_chance() const {
    std::vector<double> means = latest_;
    if (means.empty() && state_.window_sequences > 0)
      for (const double sum : state_.window_metrics)
        means.push_back(sum / static_cast<double>(state_.window_sequences));
    const std::vector<double> chance = session_.task().chance();
    for (std::size_t m = 0; m < means.size(); ++m)
      if (chance[m] > 0 && means[m] > 2 * chance[m])
        return fmt::format(
            "; in training {} = {:.4g} is far above the {:.4g} of a guess that never looks at its input: too short a "
            "training, or too high a train.learning-rate",
            (*names_)[m].name, means[m], chance[m]);
    return "";
  }

  RunResult ended(ExitReason reason, const std::string& message) {
    append_log(directory_, message);  // the caller has it in the result
    show(exit_reason_name(reason), true);
    return result(reason, message);
  }

  RunResult result(ExitReason reason, const std::string& message) const {
    RunResult r;
    r.reason = reason;
    r.message = message;
    r.directory = directory_;
    r.sequences = state_.sequences;
    r.updates = state_.updates;
    r.seconds = state_.seconds;
    if (state_.solved) r.solved_at_sequences = state_.solved_at;
    r.evaluation = state_.evaluation();
    r.best = state_.best_evaluation();
    r.has_test = !session_.task().test().empty();
    return r;
  }

  void write_record(const char* reason, const std::string& message) {
    record_.exit_reason = reason;
    record_.message = message;
    write_run_json(directory_, config_, session_.task(), record_, state_);
  }

  void show(std::string_view status, bool now) {
    if (!options_.progress) return;
    const Clock::time_point time = Clock::now();
    const double gap = std::chrono::duration<double>(time - last_progress_).count();
    if (!now && gap < options_.progress_seconds) return;
    const double trained = state_.seconds - last_progress_seconds_;
    if (state_.sequences > last_progress_sequences_ && trained > 0) {
      // Half the new, half the old: a bar that jumps tells nobody anything.
      const double speed = static_cast<double>(state_.sequences - last_progress_sequences_) / trained;
      speed_ = speed_ > 0 ? (speed_ + speed) / 2 : speed;
      last_progress_sequences_ = state_.sequences;
      last_progress_seconds_ = state_.seconds;
    }
    last_progress_ = time;
    Progress p;
    p.sequences = state_.sequences;
    p.max_sequences = max_;
    p.begun = begun_;
    p.seconds = state_.seconds;
    p.rate = speed_;
    p.eta = speed_ > 0 && max_ > state_.sequences ? static_cast<double>(max_ - state_.sequences) / speed_ : 0;
    p.at_most = stop_when_solved_ && !state_.solved;
    p.averaged = averaged_;
    p.loss = loss_;
    p.error = error_;
    if (averaged_ == 0 && state_.window_updates > 0) {  // before the first line
      p.averaged = state_.window_sequences;
      p.loss = state_.window_loss / static_cast<double>(state_.window_updates);
      p.error = state_.window_metrics[metric_] / static_cast<double>(state_.window_sequences);
    }
    p.evaluation = state_.evaluation();
    p.error_name = (*names_)[metric_].name;
    p.status = status;
    options_.progress(p);
  }

  Config config_;
  RunOptions options_;
  RunFolder folder_;
  fs::path directory_;
  LineLog metrics_;
  std::unique_ptr<Session> own_session_;
  Session& session_;
  std::optional<TrainingTrace> trace_;
  RunState state_;
  RunRecord record_;
  Provenance provenance_;

  std::uint64_t max_ = 0, log_every_ = 1, eval_every_ = 1, checkpoint_every_ = 1;
  std::size_t eval_episodes_ = 1, keep_ = 1, metric_ = 0;
  bool stop_when_solved_ = true;
  double time_limit_ = 0;
  const std::vector<Metric>* names_ = nullptr;

  std::optional<std::uint64_t> saved_at_;
  Clock::time_point started_, last_progress_;
  double wall_before_ = 0, last_progress_seconds_ = 0, speed_ = 0;
  std::uint64_t begun_ = 0, last_progress_sequences_ = 0;
  std::uint64_t averaged_ = 0;  // sequences of the last line; 0 = none written by this start
  double loss_ = 0, error_ = 0, rate_ = 0;
  std::string line_;
  std::vector<double> values_;
  std::vector<double> latest_;  // means of the metrics over the sequences of the last line
};

}  // namespace

const char* exit_reason_name(ExitReason reason) {
  switch (reason) {
    case ExitReason::solved: return "solved";
    case ExitReason::max_sequences: return "max_sequences";
    case ExitReason::time_limit: return "time_limit";
    case ExitReason::interrupted: return "interrupted";
    case ExitReason::terminated: return "terminated";
    case ExitReason::diverged: return "diverged";
  }
  return "?";
}

ExitReason stop_reason(int signal) {
  return signal == SIGINT ? ExitReason::interrupted : ExitReason::terminated;
}

int exit_code(ExitReason reason) {
  switch (reason) {
    case ExitReason::solved:
    case ExitReason::max_sequences: return 0;
    case ExitReason::time_limit:
    case ExitReason::terminated: return 75;
    case ExitReason::interrupted: return 130;
    case ExitReason::diverged: return 4;
  }
  return 1;
}

fs::path default_run_directory(const Config& config) {
  std::error_code error;
  for (fs::path at = fs::current_path(error); !at.empty(); at = at.parent_path()) {
    if (holds_run(at) || holds_restarts(at))
      fail<ArgumentError>("--out",
                          "is missing: this folder is in the run {}, where no other run belongs; go elsewhere, or name "
                          "a folder",
                          at.string());
    if (at == at.root_path()) break;
  }
  const std::string name = !config.source.empty()  ? config.source
                           : config.memory.empty() ? config.model
                                                   : config.model + "-" + config.memory;
  const fs::path base = fs::path("runs") / config.task / name / fmt::format("{}-{}", local_now(), config.run_id(""));
  fs::path free = base;
  for (int n = 2; fs::exists(free, error); ++n) free = base.string() + fmt::format("-{}", n);
  return free;
}

void check_start(const Config& config, const fs::path& out) {
  const Session built(config, 1);
  refuse_used_directory(out.empty() ? default_run_directory(config) : out);
}

RunResult train(const Config& config, const RunOptions& options) {
  auto session = std::make_unique<Session>(config, options.threads);  // what cannot be built leaves no folder behind
  const fs::path directory = options.out.empty() ? default_run_directory(config) : options.out;
  Run run(config, options, RunFolder::create(directory, config), std::move(session));
  for (const std::string& text : config.notices) run.notice(text);
  return run.go();
}

RunResult resume(const fs::path& directory, const std::vector<Assignment>& given, const RunOptions& options) {
  RunFolder folder = RunFolder::open(directory);
  const Config config = resumed_config(folder.config(), given);
  Run run(config, options, std::move(folder), std::make_unique<Session>(config, options.threads));
  if (const auto ended = run.restore()) return *ended;
  return run.go();
}

namespace {

/// What run.json says of a run that has ended for good.
std::optional<RunResult> ended_run(const fs::path& directory, bool diverged_only) {
  const auto j = read_json(directory / "run.json");
  if (!j.is_object()) return std::nullopt;
  for (const ExitReason reason : {ExitReason::diverged, ExitReason::solved, ExitReason::max_sequences}) {
    if (j.value("exit_reason", "") != exit_reason_name(reason)) continue;
    if (diverged_only && reason != ExitReason::diverged) continue;
    RunResult r;
    r.reason = reason;
    r.message = j.value("message", "");
    r.directory = directory;
    r.sequences = j.value("sequences", std::uint64_t{0});
    r.updates = j.value("updates", std::uint64_t{0});
    r.seconds = j.value("seconds", 0.0);
    if (const auto it = j.find("solved_at_sequences"); it != j.end() && it->is_number())
      r.solved_at_sequences = it->get<std::uint64_t>();
    const auto evaluated = [&](const char* key) {
      const auto it = j.find(key);
      return it != j.end() && it->is_number() ? std::optional<double>(it->get<double>()) : std::nullopt;
    };
    r.evaluation = evaluated("last_evaluation");
    r.best = evaluated("best_evaluation");
    return r;
  }
  return std::nullopt;
}

}  // namespace

bool nothing_left(const fs::path& directory, const Config& config) {
  const auto ended = ended_run(directory, false);
  if (!ended) return false;
  return ended->reason == ExitReason::diverged ||
         (ended->solved_at_sequences && config.train.flag("stop-when-solved")) ||
         ended->sequences >= static_cast<std::uint64_t>(config.train.integer("max-sequences"));
}

RunResult train_or_resume(const Config& config, const std::vector<Assignment>& given, const RunOptions& options) {
  if (!fs::exists(options.out / "config.ini")) return train(config, options);
  const Config before = read_run_config(options.out);
  const std::string differs = difference(before, "it", config, "what was asked for");
  if (!differs.empty())
    fail<ArgumentError>(options.out.string(), "holds a run of another configuration: {}; choose another --out",
                        differs);
  std::vector<Assignment> changes = given;
  for (const auto& [key, value] : config.items())
    if (is_path(config, key)) changes.push_back({key, value, ""});
  for (const auto& [key, value] : before.items())
    std::erase_if(changes,
                  [&, &key = key, &value = value](const Assignment& a) { return a.key == key && a.value == value; });
  if (auto ended = ended_run(options.out, !changes.empty())) return *ended;
  return resume(options.out, changes, options);
}

}  // namespace mneme::experiments
