// Room: experiments. The training loop and what surrounds it.
#include "experiments/trainer.hpp"

#include "core/error.hpp"
#include "core/quote.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/environment.hpp"
#include "experiments/run_directory.hpp"
#include "experiments/session.hpp"
#include "experiments/training_trace.hpp"
#include "trace/hdf5.hpp"

#include <fmt/chrono.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

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
  Run(const Config& config, const RunOptions& options, fs::path directory)
      : config_(config),
        options_(options),
        directory_(std::move(directory)),
        metrics_(directory_),
        session_(config, options.threads) {
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

  /// From the newest checkpoint that can be read. Nothing to restore is nothing lost: the run starts again.
  void restore() {
    check_task(directory_, config_, session_.task());
    continue_record(directory_, record_);
    const std::vector<fs::path> all = list_checkpoints(directory_);
    std::string damaged;
    std::vector<fs::path> unusable;
    for (auto path = all.rbegin(); path != all.rend(); ++path) {
      try {
        provenance_.origin =
            load_checkpoint(*path, session_.parameters(), &session_.optimizer(), &state_).provenance.origin;
      } catch (const FileError& e) {
        damaged += (damaged.empty() ? "" : "\n") + std::string(e.what());
        notice(fmt::format("{}; going back to the checkpoint before it", e.what()));
        unusable.push_back(*path);
        continue;
      }
      saved_at_ = state_.sequences;
      session_.usual_norm() = state_.usual_norm;
      state_.window_metrics.resize(names_->size());
      // Out of the way, or they would count as the newest and the good ones be removed for them.
      for (const fs::path& bad : unusable) fs::rename(bad, bad.string() + ".damaged");
      if (!metrics_.cut(state_.metrics_bytes))
        notice(fmt::format("metrics.jsonl is shorter than when {} was written: lines are missing",
                           path->filename().string()));
      notice(fmt::format("resumed at {} sequences from {}", state_.sequences, path->filename().string()));
      return;
    }
    if (!all.empty()) throw FileError(damaged + "\nno checkpoint of this run can be read");
    metrics_.cut(0);
    notice("no checkpoint yet: the run starts again");
  }

  RunResult go() {
    started_ = Clock::now();
    wall_before_ = state_.wall_seconds;
    last_progress_ = started_;
    begun_ = last_progress_sequences_ = state_.sequences;
    last_progress_seconds_ = state_.seconds;
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
  RunResult loop() {
    std::optional<ExitReason> reason;
    while (!(reason = must_stop())) {
      const Clock::time_point begin = Clock::now();
      const StepReport& step = session_.step(state_.sequences, state_.updates + 1);
      if (!step.finite) return diverged();
      trace_->take(session_);
      const std::uint64_t before = state_.sequences;
      account(step);
      if (crosses(before, state_.sequences, log_every_)) write_line();
      state_.seconds += seconds_since(begin);

      if (crosses(before, state_.sequences, eval_every_)) evaluate();
      if (crosses(before, state_.sequences, checkpoint_every_)) save();
      show("training", false);
    }
    return finish(*reason);
  }

  std::optional<ExitReason> must_stop() const {
    if (state_.solved && stop_when_solved_) return ExitReason::solved;
    if (state_.sequences >= max_) return ExitReason::max_sequences;
    if (const int signal = options_.signal ? options_.signal->load(std::memory_order_relaxed) : 0)
      return signal == SIGTERM ? ExitReason::terminated : ExitReason::interrupted;
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
    loss_ = state_.window_loss / updates;
    error_ = state_.window_metrics[metric_] / sequences;
    begin_line("train");
    append_number(line_, "loss", loss_);
    for (std::size_t m = 0; m < names_->size(); ++m)
      append_number(line_, (*names_)[m].name, state_.window_metrics[m] / sequences);
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
                       .rows = config_.train.size("eval-batch")},
                      values_);
    const std::size_t n = names_->size();
    means_.assign(n, 0.0);
    for (std::size_t i = 0; i < values_.size(); ++i) means_[i % n] += values_[i];
    for (double& mean : means_) mean /= static_cast<double>(eval_episodes_);
    const double value = means_[metric_], threshold = session_.task().solved_threshold();

    if (!state_.solved && state_.evaluations > 0 && state_.last_evaluation <= threshold && value <= threshold) {
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
    if (!state_.tenth && value <= 0.1) {
      state_.tenth = true;
      state_.tenth_at = state_.sequences;
      state_.tenth_seconds = state_.seconds;
    }
    ++state_.evaluations;
    state_.last_evaluation = value;
    state_.last_evaluation_at = state_.sequences;
    state_.last_evaluation_seconds = state_.seconds;
    const bool better = state_.best < 0 || value < state_.best;
    if (better) {
      state_.best = value;
      state_.best_at = state_.sequences;
    }
    begin_line("eval");
    fmt::format_to(std::back_inserter(line_), R"(,"episodes":{})", eval_episodes_);
    for (std::size_t m = 0; m < n; ++m) append_number(line_, (*names_)[m].name, means_[m]);
    fmt::format_to(std::back_inserter(line_), ",\"solved\":{}}}\n", state_.solved);
    metrics_.append(line_);
    if (better) write_checkpoint(best_checkpoint_path(directory_));
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
    trace_->flush();
    metrics_.sync();
    write_checkpoint(checkpoint_path(directory_, state_.sequences));
    saved_at_ = state_.sequences;
    prune_checkpoints(directory_, keep_);
  }

  RunResult diverged() {
    std::string message = "a value is not finite";
    Recorder* recorder = trace_->divergence_recorder();
    try {
      session_.explain(state_.sequences, recorder);
    } catch (const NonFiniteError& e) {
      message = e.what();
    }
    trace_->write_divergence();
    // The state that the failing step started from, beside the good ones: resuming never takes it.
    try {
      write_checkpoint(directory_ / "checkpoints" / "diverged.ckpt.h5");
    } catch (const Error& e) {
      notice(e.what());
    }
    message += saved_at_ ? fmt::format("; the last good checkpoint is that of {} sequences", *saved_at_)
                         : "; there is no checkpoint before it";
    return end(ExitReason::diverged, message);
  }

  RunResult finish(ExitReason reason) {
    if (saved_at_ != state_.sequences) save();
    const std::string& name = (*names_)[metric_].name;
    std::string message;
    switch (reason) {
      case ExitReason::solved:
        message = fmt::format("solved at {} sequences, {:.1f} s of training", state_.solved_at, state_.solved_seconds);
        break;
      case ExitReason::max_sequences:
        message =
            state_.evaluations == 0
                ? fmt::format("ended at {} sequences, before any evaluation", state_.sequences)
                : fmt::format("ended at {} sequences; {} = {:.4g}{}", state_.sequences, name, state_.last_evaluation,
                              state_.solved ? fmt::format(", solved at {}", state_.solved_at) : ", not solved");
        break;
      default:
        message = fmt::format("stopped at {} sequences ({}); go on with --resume {}", state_.sequences,
                              exit_reason_name(reason), shell_path(directory_.string()));
    }
    return end(reason, message);
  }

  RunResult end(ExitReason reason, const std::string& message) {
    trace_->close();
    state_.wall_seconds = wall_before_ + seconds_since(started_);
    write_record(exit_reason_name(reason), message);
    if (reason == ExitReason::solved || reason == ExitReason::max_sequences)
      trace::write_text_atomically(directory_ / "DONE", std::string(exit_reason_name(reason)) + "\n");
    append_log(directory_, message);  // the caller has it in the result
    show(exit_reason_name(reason), true);
    RunResult r;
    r.reason = reason;
    r.message = message;
    r.directory = directory_;
    r.sequences = state_.sequences;
    r.updates = state_.updates;
    r.seconds = state_.seconds;
    if (state_.solved) r.solved_at_sequences = state_.solved_at;
    r.evaluation = state_.last_evaluation;
    r.best = state_.best;
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
    const bool window = state_.window_updates > 0 && loss_ < 0;  // before the first line
    p.loss = window ? state_.window_loss / static_cast<double>(state_.window_updates) : std::max(loss_, 0.0);
    p.error =
        window ? state_.window_metrics[metric_] / static_cast<double>(state_.window_sequences) : std::max(error_, 0.0);
    p.evaluation = state_.last_evaluation;
    p.error_name = (*names_)[metric_].name;
    p.status = status;
    options_.progress(p);
  }

  Config config_;
  RunOptions options_;
  fs::path directory_;
  MetricsLog metrics_;
  Session session_;
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
  double loss_ = -1, error_ = -1, rate_ = 0;  // of the last line
  std::string line_;
  std::vector<double> values_, means_;
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
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string model = config.memory.empty() ? config.model : config.model + "-" + config.memory;
  return fs::path("runs") / config.task / model /
         fmt::format("{:%Y%m%d-%H%M%S}-{}", fmt::localtime(now), config.run_id(""));
}

RunResult train(const Config& config, const RunOptions& options) {
  const fs::path directory = options.out.empty() ? default_run_directory(config) : options.out;
  Session check(config, 1);  // what cannot be built leaves no folder behind
  create_run_directory(directory, config);
  Run run(config, options, directory);
  for (const std::string& text : config.notices) run.notice(text);
  return run.go();
}

RunResult resume(const fs::path& directory, const std::vector<Assignment>& given, const RunOptions& options) {
  const Config config = read_run_config(directory, given);
  Run run(config, options, directory);
  run.restore();
  if (!given.empty()) trace::write_text_atomically(directory / "config.ini", config.text());
  return run.go();
}

namespace {

/// Equal but for what may change when a run is resumed.
bool same_experiment(const Config& old, const Config& now) {
  return old.with(resumable_items(now)).identity() == now.identity();
}

/// What run.json says of a run that has ended for good.
std::optional<RunResult> ended_run(const fs::path& directory, bool diverged_only) {
  std::ifstream in(directory / "run.json");
  const auto j = nlohmann::json::parse(in, nullptr, false);
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
      return it != j.end() && it->is_number() ? it->get<double>() : -1;
    };
    r.evaluation = evaluated("last_evaluation");
    r.best = evaluated("best_evaluation");
    return r;
  }
  return std::nullopt;
}

}  // namespace

RunResult train_or_resume(const Config& config, const std::vector<Assignment>& given, const RunOptions& options) {
  if (!fs::exists(options.out / "config.ini")) return train(config, options);
  const Config before = read_run_config(options.out, {});
  if (!same_experiment(before, config))
    fail<ArgumentError>(options.out.string(), "holds a run of another configuration; choose another --out");
  std::vector<Assignment> changes = given;
  for (const auto& [key, value] : before.items())
    std::erase_if(changes,
                  [&, &key = key, &value = value](const Assignment& a) { return a.key == key && a.value == value; });
  if (auto ended = ended_run(options.out, !changes.empty())) return *ended;
  return resume(options.out, changes, options);
}

}  // namespace mneme::experiments
