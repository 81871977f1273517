// Whole runs: their files, resuming to the bit, signals, full disks, divergence. Kills: tests/faults.
#include "experiments/run/trainer.hpp"
#include "core/json.hpp"

#include "experiments/run/run_directory.hpp"
#include "tests/experiments/support.hpp"

#include <sys/resource.h>
#include <csignal>
#include <thread>

namespace mneme::experiments {
namespace {

TEST(Train, LeavesTheFilesOfARun) {
  Folder folder;
  const Config c = small();
  const RunResult r = run(c, folder / "run");
  EXPECT_EQ(r.reason, ExitReason::max_sequences);
  EXPECT_EQ(exit_code(r.reason), 0);
  EXPECT_EQ(r.sequences, 400u);
  EXPECT_EQ(read_file(folder / "run/config.ini"), c.text());
  EXPECT_EQ(read_file(folder / "run/DONE"), "max_sequences\n");
  EXPECT_NE(read_file(folder / "run/log.txt"), "");
  const auto j = run_json(folder / "run");
  EXPECT_EQ(j["exit_reason"], "max_sequences");
  EXPECT_EQ(j["sequences"], 400);
  EXPECT_EQ(j["updates"], 400);
  EXPECT_TRUE(j["solved_at_sequences"].is_null());
  EXPECT_EQ(j["parameters"], Session(c, 1).parameters().count());
  EXPECT_GT(j["seconds"].get<double>(), 0);
  EXPECT_GE(j["wall_seconds"].get<double>(), j["seconds"].get<double>());
  EXPECT_EQ(j["config_hash"], c.run_id(""));
  EXPECT_EQ(j["seed"], 1);
  for (const char* key : {"compiler", "flags", "cpu", "blas", "blas_threads", "libraries"})
    EXPECT_TRUE(j["environment"].contains(key)) << key;
  std::istringstream lines(read_file(folder / "run/metrics.jsonl"));
  int train = 0, eval = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto m = parse_json(line);
    for (const char* key : {"sequences", "updates", "seconds", "bits_per_sequence", "wrong_bits_per_sequence"})
      EXPECT_TRUE(m[key].is_number()) << line;
    (m["kind"] == "train" ? train : eval)++;
    if (m["kind"] == "train") {
      for (const char* key : {"loss", "gradient_norm", "gradient_norm_max", "rate"}) EXPECT_TRUE(m[key].is_number());
    }
  }
  EXPECT_EQ(train, 8);
  EXPECT_EQ(eval, 4);
  const auto kept = list_checkpoints(folder / "run");
  ASSERT_EQ(kept.size(), 3u);
  EXPECT_EQ(kept.back().filename(), "step-000000400.ckpt.h5");
  EXPECT_TRUE(fs::exists(best_checkpoint_path(folder / "run")));
}

TEST(Train, MetricsDoNotDependOnThreads) {
  Folder folder;
  const Config c = small({{"train.batch", "10", ""}, {"train.shard-size", "4", ""}});
  run(c, folder / "one", 1);
  run(c, folder / "two", 2);
  EXPECT_EQ(metrics_of(folder / "one"), metrics_of(folder / "two"));
  EXPECT_EQ(last_content(folder / "one", c), last_content(folder / "two", c));
}

TEST(Train, ResumedAtAnyPointItEndsWithTheSameBits) {
  for (const char* batch : {"1", "7"}) {
    Folder folder;
    const Config c = small({{"train.batch", batch, ""}});
    run(c, folder / "straight");
    // 130 is between two lines, two evaluations and two checkpoints.
    for (const char* stop : {"200", "130"}) {
      const fs::path out = folder / (std::string("halves-") + stop);
      run(c.with({{"train.max-sequences", stop, ""}}), out);
      EXPECT_TRUE(fs::exists(out / "DONE"));
      const RunResult r = go_on(out, {{"train.max-sequences", "400", "--max-sequences"}});
      EXPECT_GE(r.sequences, 400u);
      EXPECT_EQ(last_content(folder / "straight", c), last_content(out, c));
      EXPECT_EQ(metrics_of(folder / "straight"), metrics_of(out));
      EXPECT_EQ(read_file(out / "config.ini"), c.text());
      EXPECT_EQ(run_json(out)["starts"], 2);
    }
  }
}

TEST(Train, AFinishedRunHasNothingLeftToDo) {
  Folder folder;
  const Config c = small();
  run(c, folder / "run");
  const std::string before = last_content(folder / "run", c), metrics = read_file(folder / "run/metrics.jsonl");
  const RunResult r = go_on(folder / "run");
  EXPECT_EQ(r.reason, ExitReason::max_sequences);
  EXPECT_EQ(r.sequences, 400u);
  EXPECT_EQ(last_content(folder / "run", c), before);
  EXPECT_EQ(read_file(folder / "run/metrics.jsonl"), metrics);
  EXPECT_TRUE(fs::exists(folder / "run/DONE"));
}

TEST(Train, SolvedIsTheFirstOfTwoEvaluationsAtOrUnderTheThreshold) {
  Folder folder;
  const Config c = small({{"task.length", "1", ""},
                          {"task.width", "1", ""},
                          {"train.max-sequences", "20000", ""},
                          {"optimizer", "adam", ""},
                          {"train.learning-rate", "1e-2", ""}});
  const RunResult r = run(c, folder / "run");
  ASSERT_EQ(r.reason, ExitReason::solved) << r.message;
  ASSERT_TRUE(r.solved_at_sequences);
  EXPECT_EQ(*r.solved_at_sequences + 100, r.sequences);
  EXPECT_EQ(run_json(folder / "run")["solved_at_sequences"], *r.solved_at_sequences);
  EXPECT_EQ(run_json(folder / "run")["exit_reason"], "solved");
  std::istringstream lines(read_file(folder / "run/metrics.jsonl"));
  std::vector<double> wrong;
  for (std::string line; std::getline(lines, line);)
    if (const auto m = parse_json(line); m["kind"] == "eval") wrong.push_back(m["wrong_bits_per_sequence"]);
  ASSERT_GE(wrong.size(), 2u);
  EXPECT_LE(wrong[wrong.size() - 1], 0.01);
  EXPECT_LE(wrong[wrong.size() - 2], 0.01);
  for (std::size_t i = 1; i + 1 < wrong.size(); ++i) EXPECT_FALSE(wrong[i - 1] <= 0.01 && wrong[i] <= 0.01);
  EXPECT_EQ(go_on(folder / "run").sequences, r.sequences) << "nothing left to do";
  const RunResult more = go_on(folder / "run", {{"train.stop-when-solved", "false", ""},
                                                {"train.max-sequences", std::to_string(r.sequences + 200), ""}});
  EXPECT_EQ(more.reason, ExitReason::max_sequences);
  EXPECT_EQ(more.sequences, r.sequences + 200);
  EXPECT_EQ(more.solved_at_sequences, r.solved_at_sequences);
}

TEST(Train, RefusesAFolderThatHoldsARun) {
  Folder folder;
  run(small(), folder / "run");
  const std::string before = read_file(folder / "run/metrics.jsonl");
  expect_has(message_of<ArgumentError>([&] { run(small(), folder / "run"); }),
             "run] holds a run already: go on with it by --resume");
  EXPECT_EQ(read_file(folder / "run/metrics.jsonl"), before);
  write_file(folder / "file", "x");
  expect_has(message_of<ArgumentError>([&] { run(small(), folder / "file"); }), "is a file and no folder");
}

TEST(Train, ResumeRefusesWhatWouldChangeTheResult) {
  Folder folder;
  run(small(), folder / "run");
  expect_has(message_of<ArgumentError>([&] {
               go_on(folder / "run", {{"train.batch", "2", "--train.batch"}});
             }),
             "[--train.batch] train.batch cannot change when a run is resumed; these can: train.max-sequences");
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "none"); }), "does not exist");
  expect_has(message_of<ArgumentError>([&] { go_on(folder.path()); }), "is no run's folder: it has no config.ini");
  run(small({{"train.schedule", "cosine", ""}}), folder / "cosine");
  expect_has(message_of<ArgumentError>([&] {
               go_on(folder / "cosine", {{"train.max-sequences", "500", ""}});
             }),
             "its schedule 'cosine' ends there");
}

TEST(Train, OneProcessAtATime) {
  Folder folder;
  run(small(), folder / "run");
  LineLog lock(folder / "run/metrics.jsonl", false);
  expect_has(message_of<RuntimeFailure>([&] { go_on(folder / "run"); }), "another process is training here");
}

TEST(Train, ADamagedCheckpointSendsTheRunBackToTheOneBefore) {
  Folder folder;
  const Config c = small();
  run(c, folder / "straight");
  run(c.with({{"train.max-sequences", "300", ""}}), folder / "run");
  const fs::path last = list_checkpoints(folder / "run").back();
  fs::resize_file(last, fs::file_size(last) / 2);
  std::string said;
  RunOptions options;
  options.notice = [&](const std::string& text) { said += text + "\n"; };
  resume(folder / "run", {{"train.max-sequences", "400", ""}}, options);
  expect_has(said, "step-000000300.ckpt.h5");
  expect_has(said, "going back to the checkpoint before it");
  expect_has(said, "resumed at 200 sequences");
  EXPECT_TRUE(fs::exists(last.string() + ".damaged"));
  EXPECT_EQ(last_content(folder / "straight", c), last_content(folder / "run", c));
  EXPECT_EQ(metrics_of(folder / "straight"), metrics_of(folder / "run"));

  for (const fs::path& path : list_checkpoints(folder / "run")) fs::resize_file(path, 100);
  expect_has(message_of<FileError>([&] {
               go_on(folder / "run", {{"train.max-sequences", "500", ""}});
             }),
             "no checkpoint of this run can be read");
}

// With one checkpoint kept, a damaged newer one must not push the good one out.
TEST(Train, ADamagedCheckpointDoesNotCountAsKept) {
  Folder folder;
  const Config c = small({{"train.keep-checkpoints", "2", ""}, {"train.max-sequences", "300", ""}});
  run(c, folder / "run");
  const fs::path last = list_checkpoints(folder / "run").back();
  fs::resize_file(last, 5000);
  go_on(folder / "run", {{"train.max-sequences", "250", ""}, {"train.keep-checkpoints", "1", ""}});
  ASSERT_EQ(list_checkpoints(folder / "run").size(), 1u);
  EXPECT_EQ(list_checkpoints(folder / "run")[0], checkpoint_path(folder / "run", 250));
  EXPECT_EQ(go_on(folder / "run", {{"train.max-sequences", "300", ""}}).sequences, 300u);
}

TEST(Train, ACheckpointThatDoesNotFitTheEditedConfigIsAnArgumentError) {
  Folder folder;
  run(small(), folder / "run");
  write_file(folder / "run/config.ini", small({{"controller.hidden", "10", ""}}).text());
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run"); }), "controller.hidden is 10 in config.ini");
}

TEST(Train, SignalsFinishTheStepAndSave) {
  for (const auto& [signal, reason, code] :
       {std::tuple{SIGINT, ExitReason::interrupted, 130}, {SIGTERM, ExitReason::terminated, 75}}) {
    Folder folder;
    const Config c = small();
    std::atomic<int> flag = 0;
    int calls = 0;
    RunOptions options;
    options.out = folder / "run";
    options.signal = &flag;
    options.progress_seconds = 0;
    options.progress = [&, signal = signal](const Progress& p) {
      ++calls;
      if (p.sequences >= 137 && p.status == "training") flag = signal;
    };
    const RunResult r = train(c, options);
    EXPECT_EQ(r.reason, reason);
    EXPECT_EQ(exit_code(r.reason), code);
    EXPECT_EQ(r.sequences, 137u);
    EXPECT_GT(calls, 100);
    expect_has(r.message, "go on with --resume");
    EXPECT_EQ(run_json(folder / "run")["exit_reason"], exit_reason_name(reason));
    EXPECT_FALSE(fs::exists(folder / "run/DONE"));
    EXPECT_EQ(list_checkpoints(folder / "run").back(), checkpoint_path(folder / "run", 137));
    go_on(folder / "run");
    run(c, folder / "straight");
    EXPECT_EQ(last_content(folder / "straight", c), last_content(folder / "run", c));
    EXPECT_EQ(metrics_of(folder / "straight"), metrics_of(folder / "run"));
  }
}

/// small() whose evaluation at 200 sequences ends by `stop`, which is asked before each of its episodes.
RunResult stopped_in_evaluation(const fs::path& out, const Config& c, const std::function<void()>& stop,
                                std::atomic<int>& flag) {
  RunOptions options;
  options.out = out;
  options.signal = &flag;
  options.progress_seconds = 0;
  options.progress = [&](const Progress& p) {
    if (p.sequences == 200 && p.status == "evaluating") stop();
  };
  return train(c, options);
}

TEST(Train, AnEvaluationHeedsASignalAndIsMadeAnewWhenTheRunGoesOn) {
  for (const auto& [end, signal, reason] : {std::tuple{"200", SIGINT, ExitReason::interrupted},
                                            {"400", SIGTERM, ExitReason::terminated},
                                            {"400", SIGHUP, ExitReason::terminated}}) {
    Folder folder;
    const Config c = small({{"train.max-sequences", end, ""}});
    std::atomic<int> flag = 0;
    const RunResult r = stopped_in_evaluation(
        folder / "run", c, [&, signal = signal] { flag = signal; }, flag);
    EXPECT_EQ(r.reason, reason);
    EXPECT_EQ(r.sequences, 200u);
    EXPECT_FALSE(fs::exists(folder / "run/DONE"));
    EXPECT_EQ(run_json(folder / "run")["evaluations"], 1) << "the second was not finished";
    EXPECT_EQ(list_checkpoints(folder / "run").back(), checkpoint_path(folder / "run", 200));
    go_on(folder / "run");
    run(c, folder / "straight");
    EXPECT_EQ(last_content(folder / "straight", c), last_content(folder / "run", c));
    EXPECT_EQ(content_of(best_checkpoint_path(folder / "straight"), c),
              content_of(best_checkpoint_path(folder / "run"), c));
    EXPECT_EQ(metrics_of(folder / "straight"), metrics_of(folder / "run"));
  }
}

TEST(Train, AnEvaluationHeedsTheTimeLimit) {
  Folder folder;
  // The first evaluation comes with the first update and takes for ever, so the limit ends it however slow the machine.
  const Config c = small({{"train.eval-every", "1", ""}, {"train.eval-episodes", "1000000", ""}});
  std::atomic<int> flag = 0;
  RunOptions options;
  options.out = folder / "run";
  const RunResult r = train(c.with({{"train.time-limit", "0.5s", ""}}), options);
  EXPECT_EQ(r.reason, ExitReason::time_limit);
  EXPECT_EQ(r.sequences, static_cast<std::uint64_t>(c.train.integer("batch"))) << "in the first evaluation";
  EXPECT_EQ(run_json(folder / "run")["evaluations"], 0);
}

TEST(Train, ASignalsReason) {
  EXPECT_EQ(stop_reason(SIGINT), ExitReason::interrupted);
  for (const int number : {SIGTERM, SIGHUP}) EXPECT_EQ(stop_reason(number), ExitReason::terminated);
}

TEST(Train, TheTimeLimitStopsResumably) {
  Folder folder;
  const RunResult r = run(small({{"train.max-sequences", "1000000000", ""},
                                 {"train.time-limit", "0.05s", ""},
                                 {"train.stop-when-solved", "false", ""}}),
                          folder / "run");
  EXPECT_EQ(r.reason, ExitReason::time_limit);
  EXPECT_EQ(exit_code(r.reason), 75);
  EXPECT_EQ(list_checkpoints(folder / "run").back(), checkpoint_path(folder / "run", r.sequences));
}

/// A run in a child process that is sent `signal` once metrics.jsonl has `lines` lines.
int child_run(const Config& config, const fs::path& out, int signal, std::size_t lines) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    static std::atomic<int> flag = 0;
    ::signal(SIGTERM, [](int s) { flag = s; });
    int code = 1;
    try {
      RunOptions options;
      options.out = out;
      options.signal = &flag;
      code = exit_code(train(config, options).reason);
    } catch (const std::exception&) {
    }
    ::_exit(code);
  }
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    const std::string text = read_file(out / "metrics.jsonl");
    if (static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) >= lines) ::kill(pid, signal);
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

Config long_run() {
  return small({{"train.max-sequences", "3000", ""},
                {"train.checkpoint-every", "150", ""},
                {"task.length", "1:8", ""},
                {"train.stop-when-solved", "false", ""}});
}

TEST(Train, SigtermInAChild) {
  Folder folder;
  EXPECT_EQ(child_run(long_run(), folder / "run", SIGTERM, 10), 75);
  EXPECT_EQ(run_json(folder / "run")["exit_reason"], "terminated");
  EXPECT_FALSE(list_checkpoints(folder / "run").empty());
}

TEST(Train, AFullDiskIsOneClearErrorAndLosesNothing) {
  Folder folder;
  const Config c = long_run();
  run(c.with({{"train.max-sequences", "1500", ""}}), folder / "run");
  const std::size_t checkpoints = list_checkpoints(folder / "run").size();
  const Child child = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit size{20000, 20000};  // under a checkpoint, over the text files
    ::setrlimit(RLIMIT_FSIZE, &size);
    return message_of<RuntimeFailure>([&] { go_on(folder / "run", {{"train.max-sequences", "3000", ""}}); });
  });
  EXPECT_EQ(child.code, 0);
  expect_has(child.text, "checkpoints/");
  EXPECT_EQ(run_json(folder / "run")["exit_reason"], "failed");
  EXPECT_EQ(list_checkpoints(folder / "run").size(), checkpoints);
  go_on(folder / "run");
  run(c, folder / "straight");
  EXPECT_EQ(last_content(folder / "straight", c), last_content(folder / "run", c));
  EXPECT_EQ(metrics_of(folder / "straight"), metrics_of(folder / "run"));
}

TEST(Train, AFolderThatCannotBeWritten) {
  Folder folder;
  fs::create_directories(folder / "locked");
  fs::permissions(folder.path(), fs::perms(0755));
  fs::permissions(folder / "locked", fs::perms(0555));
  const Child child =
      in_child([&] { return message_of<RuntimeFailure>([&] { run(small(), folder / "locked/run"); }); }, true);
  EXPECT_EQ(child.code, 0);
  expect_has(child.text, "locked/run");
  expect_has(child.text, "ermission denied");
  EXPECT_TRUE(fs::is_empty(folder / "locked"));
}

/// The newest checkpoint of a run as `change` makes it.
void poison(const fs::path& run, const Config& c, const std::function<void(Session&, RunState&)>& change) {
  Session s(c, 1);
  RunState state;
  const fs::path last = list_checkpoints(run).back();
  load_checkpoint(last, s.parameters(), &s.optimizer(), &state);
  change(s, state);
  save_checkpoint(last, c.text(), s.parameters(), s.optimizer(), state);
}
void poison_parameter(Session& s, RunState&) {
  s.parameters().flat()[0] = std::numeric_limits<float>::quiet_NaN();
}

TEST(Train, DivergenceKeepsTheLastGoodCheckpointAndWritesATrace) {
  Folder folder;
  const Config c = small();
  run(c.with({{"train.max-sequences", "200", ""}}), folder / "run");
  const fs::path last = list_checkpoints(folder / "run").back();
  poison(folder / "run", c, poison_parameter);
  const std::string metrics = read_file(folder / "run/metrics.jsonl");

  const RunResult r = go_on(folder / "run", {{"train.max-sequences", "400", ""}});
  EXPECT_EQ(r.reason, ExitReason::diverged);
  EXPECT_EQ(exit_code(r.reason), 4);
  expect_has(r.message, "(in sequence 200)");
  expect_has(r.message, "the last good checkpoint is that of 200 sequences");
  EXPECT_EQ(run_json(folder / "run")["exit_reason"], "diverged");
  EXPECT_EQ(run_json(folder / "run")["message"], r.message);
  EXPECT_EQ(read_file(folder / "run/metrics.jsonl"), metrics);
  EXPECT_EQ(list_checkpoints(folder / "run").back(), last);
  EXPECT_FALSE(fs::exists(folder / "run/DONE"));
  EXPECT_TRUE(fs::exists(folder / "run/traces/diverged.000.trace.h5"));
  EXPECT_TRUE(fs::exists(folder / "run/checkpoints/diverged.ckpt.h5"));
}

void poison_optimizer(Session& s, RunState&) {
  for (auto& state : s.optimizer().state()) state.values[0] = std::numeric_limits<float>::quiet_NaN();
}

TEST(Train, DivergenceIsSaidWhereNothingCanBeSaved) {
  Folder folder;
  const Config c = small();
  run(c.with({{"train.max-sequences", "200", ""}}), folder / "run");
  poison(folder / "run", c, poison_optimizer);  // the update that it spoils is the first, the next step finds it
  const Child child = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    std::string said;
    RunOptions options;
    options.notice = [&](const std::string& text) { said += text + "\n"; };
    options.progress_seconds = 0;
    options.progress = [](const Progress&) {  // the disk is full from the first step on
      const rlimit none{0, 0};
      ::setrlimit(RLIMIT_FSIZE, &none);
    };
    const RunResult r = resume(folder / "run", {{"train.max-sequences", "400", ""}}, options);
    return fmt::format("{}code {}: {}", said, exit_code(r.reason), r.message);
  });
  EXPECT_EQ(child.code, 0) << child.text;
  expect_has(child.text, "what led to the divergence is not traced");
  EXPECT_TRUE(std::regex_search(child.text, std::regex("code 4: \\[[a-z_. 0-9]+\\] .* is not finite at step 0")))
      << child.text;
  expect_has(child.text, "(in sequence 201); the last good checkpoint is that of 200 sequences; not saved: [");
  expect_has(child.text, "diverged.ckpt.h5");
  expect_has(child.text, "run.json");
}

TEST(Train, AnEvaluationThatIsNotFiniteEndsTheRunAsDiverged) {
  Folder folder;
  const Config c = small({{"train.max-sequences", "200", ""}});
  run(c, folder / "run");
  // The evaluation at 200 is due, as after a stop, with parameters that no update has looked at.
  poison(folder / "run", c, [](Session& s, RunState& state) {
    poison_parameter(s, state);
    state.last_evaluation_at = 100;
  });
  fs::remove(folder / "run" / "DONE");
  const RunResult r = go_on(folder / "run");
  EXPECT_EQ(r.reason, ExitReason::diverged);
  expect_has(r.message, "(in held-out episode ");
  EXPECT_EQ(run_json(folder / "run")["message"], r.message);
}

TEST(Train, AnUpdateThatLeavesNoFiniteParameterIsNoCheckpoint) {
  Folder folder;
  const Config c = small();
  run(c.with({{"train.max-sequences", "200", ""}}), folder / "run");
  poison(folder / "run", c, poison_optimizer);
  const RunResult r = go_on(folder / "run", {{"train.max-sequences", "201", ""}});
  EXPECT_EQ(r.reason, ExitReason::diverged);
  expect_has(r.message, "[finite guard] parameter ");
  expect_has(r.message, "the last good checkpoint is that of 200 sequences");
  EXPECT_FALSE(fs::exists(checkpoint_path(folder / "run", 201)));
}

TEST(Train, NoNumberStandsForNoEvaluation) {
  Folder folder;
  std::vector<Progress> shown;
  RunOptions options;
  options.out = folder / "run";
  options.progress_seconds = 0;
  options.progress = [&](const Progress& p) { shown.push_back(p); };
  const RunResult r = train(small({{"train.max-sequences", "60", ""}}), options);
  EXPECT_EQ(r.evaluation, std::nullopt);
  EXPECT_EQ(r.best, std::nullopt);
  EXPECT_TRUE(run_json(folder / "run")["best_evaluation"].is_null());
  EXPECT_EQ(shown.front().evaluation, std::nullopt);
  EXPECT_EQ(shown.front().averaged, 1u) << "a mean of one sequence is called that";
  EXPECT_EQ(shown.back().averaged, 50u);
  EXPECT_TRUE(shown.front().at_most);
}

TEST(Train, NaNIsNeverTheBest) {
  RunState state;
  EXPECT_EQ(state.best_evaluation(), std::nullopt);
  state.evaluations = 1;
  state.best = -2;  // a metric may be negative
  EXPECT_EQ(state.best_evaluation(), -2);
  // As a run of older versions took it down: the next evaluation is better than that.
  Folder folder;
  const Config c = small();
  run(c.with({{"train.max-sequences", "200", ""}}), folder / "run");
  poison(folder / "run", c,
         [](Session&, RunState& s) { s.best = s.last_evaluation = std::numeric_limits<double>::quiet_NaN(); });
  const RunResult r = go_on(folder / "run", {{"train.max-sequences", "300", ""}});
  ASSERT_TRUE(r.best);
  EXPECT_EQ(r.best, r.evaluation);
  EXPECT_EQ(run_json(folder / "run")["best_at_sequences"], 300);
}

TEST(Train, TheEndSaysWhatIsMissingAndWhatWentWrong) {
  Folder folder;
  // Solved takes two evaluations in a row: here is one.
  const Config easy = small({{"task.length", "1", ""},
                             {"task.width", "1", ""},
                             {"optimizer", "adam", ""},
                             {"train.learning-rate", "1e-2", ""},
                             {"train.eval-every", "5000", ""},
                             {"train.max-sequences", "5000", ""}});
  const RunResult once = run(easy, folder / "once");
  ASSERT_EQ(once.evaluation, 0);
  expect_has(once.message, "wrong_bits_per_sequence = 0, but solved takes two evaluations in a row");
  expect_has(run(small(), folder / "plain").message, ", not solved");
  const RunResult wild = run(small({{"train.learning-rate", "10", ""}, {"optimizer", "sgd", ""}}), folder / "wild");
  ASSERT_EQ(wild.reason, ExitReason::max_sequences) << wild.message;
  expect_has(wild.message, "; in training bits_per_sequence = ");
  expect_has(wild.message, "is far above the 7.5 of a guess that never looks at its input");
}

TEST(Train, TheDefaultFolderNamesTaskModelAndRun) {
  const Config c = small();
  const std::string path = default_run_directory(c).string();
  EXPECT_TRUE(path.starts_with("runs/copy/cell-ntm/")) << path;
  EXPECT_TRUE(path.ends_with("-" + c.run_id(""))) << path;
}

}  // namespace
}  // namespace mneme::experiments
