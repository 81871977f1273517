// Restarts: what is chosen and what is not looked at, the same bits for any number of jobs, stops, divergence, bad
// input.
#include "experiments/compare/restarts.hpp"
#include "core/json.hpp"

#include "experiments/judge/evaluate.hpp"
#include "experiments/run/run_directory.hpp"
#include "tests/experiments/support.hpp"

#include <csignal>

namespace mneme::experiments {
namespace {

/// A memory network on twenty questions of our own making, or on those in a folder, in milliseconds.
Config stories(const std::vector<Assignment>& more = {}, const fs::path& data = {}) {
  const Assignment source =
      data.empty() ? Assignment{"task.questions", "40", ""} : Assignment{"task.data", data.string(), ""};
  std::vector<Assignment> given = {source,
                                   {"train.max-sequences", "1280", ""},
                                   {"train.log-every", "320", ""},
                                   {"train.eval-every", "640", ""},
                                   {"train.checkpoint-every", "320", ""},
                                   {"train.eval-episodes", "4", ""}};
  given.insert(given.end(), more.begin(), more.end());
  return Config::load("babi_memn2n_single", given);
}

std::string without_times(const fs::path& file) {
  return std::regex_replace(read_file(file), std::regex(R"("seconds":[0-9.e+-]+)"), "");
}

const std::vector<std::string> kArgv = {"mneme", "train"};

TEST(Restarts, AreRunsOfSeedsAndTheSameBitsForAnyNumberOfJobs) {
  Folder folder;
  const Config config = stories({{"seed", "4", ""}});
  std::vector<std::string> notices;
  const Restarts one = train_restarts(config, 3, folder / "one", kArgv, {.jobs = 1});
  const Restarts two = train_restarts(config, 3, folder / "two", kArgv, {.jobs = 3});
  ASSERT_EQ(one.runs.size(), 3u);
  EXPECT_EQ(one.stopped, 0);
  EXPECT_EQ(one.chosen, two.chosen);
  run(stories({{"seed", "5", ""}}), folder / "alone");
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(one.runs[i].seed, 4 + i);
    EXPECT_EQ(one.runs[i].directory, folder / "one" / fmt::format("seed{}", 4 + i));
    EXPECT_EQ(one.runs[i].training_loss, two.runs[i].training_loss);
    EXPECT_EQ(one.runs[i].error, two.runs[i].error);
    EXPECT_EQ(without_times(one.runs[i].directory / "metrics.jsonl"),
              without_times(two.runs[i].directory / "metrics.jsonl"));
    EXPECT_EQ(one.runs[i].error, evaluate(one.runs[i].directory, {}).mean_error());
  }
  EXPECT_EQ(without_times(folder / "one" / "seed5" / "metrics.jsonl"),
            without_times(folder / "alone" / "metrics.jsonl"));
}

TEST(Restarts, TheChoiceIsTheLeastTrainingLoss) {
  Folder folder;
  const Restarts r = train_restarts(stories(), 4, folder / "group", kArgv, {.jobs = 2});
  ASSERT_TRUE(r.chosen);
  for (const Restart& other : r.runs) EXPECT_LE(*r.runs[*r.chosen].training_loss, *other.training_loss);
  // The loss is that of the last record of training.
  Json last;
  std::istringstream lines(read_file(r.runs[1].directory / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);)
    if (const auto j = parse_json(line); j["kind"] == "train") last = j;
  EXPECT_EQ(last["sequences"], 1280);
  EXPECT_EQ(*r.runs[1].training_loss, last["loss"].get<double>());

  const auto j = parse_json(read_file(folder / "group" / "restarts.json"));
  EXPECT_EQ(j["chosen"], r.runs[*r.chosen].directory.filename().string());
  EXPECT_EQ(j["runs"].size(), 4u);
  double mean = 0;
  for (const Restart& run : r.runs) mean += *run.error / 4;
  EXPECT_NEAR(j["test_error"]["mean"].get<double>(), mean, 1e-9);
  EXPECT_EQ(j["test_error"]["chosen"].get<double>(), *r.runs[*r.chosen].error);
  EXPECT_EQ(evaluate(folder / "group", {}).directory, r.runs[*r.chosen].directory);
}

TEST(Restarts, LeastAndSpread) {
  EXPECT_EQ(least({}), std::nullopt);
  EXPECT_EQ(least({std::nullopt, std::nullopt}), std::nullopt);
  EXPECT_EQ(least({std::nullopt, 2.0, 1.0, 1.0}), std::size_t{2}) << "the first of equals";
  const Spread s = spread({1, 2, 6});
  EXPECT_EQ(s.count, 3u);
  EXPECT_DOUBLE_EQ(s.mean, 3);
  EXPECT_DOUBLE_EQ(s.deviation.value(), std::sqrt(7.0));
  EXPECT_EQ(s.least, 1);
  EXPECT_EQ(s.most, 6);
  EXPECT_EQ(spread({5}).deviation, std::nullopt) << "one value deviates from nothing";
  EXPECT_EQ(spread({}).count, 0u);
}

TEST(Restarts, TheMedianOfAnEvenNumberIsTheMeanOfTheTwoInTheMiddle) {
  EXPECT_EQ(median({3, 1, 2}, 3), 2);
  EXPECT_EQ(median({4, 1, 2, 9}, 4), 3);
  EXPECT_EQ(median({1, 2, 3}, 4), 2.5) << "the fourth is larger than these";
  EXPECT_EQ(median({1, 2}, 4), std::nullopt) << "the upper of the two is not known";
  EXPECT_EQ(median({1, 2}, 3), 2);
  EXPECT_EQ(median({1}, 3), std::nullopt);
  EXPECT_EQ(median({}, 0), std::nullopt);
}

TEST(Restarts, ASeedThatIsNoneIsRefusedBeforeAnythingIsMade) {
  Folder folder;
  const Config last = stories({{"seed", std::to_string(std::int64_t{1} << 53), ""}});
  const std::string message = message_of<ArgumentError>([&] { train_restarts(last, 2, folder / "group", kArgv, {}); });
  expect_has(message, "--restarts 2");
  expect_has(message, "seed");
  EXPECT_FALSE(fs::exists(folder / "group"));
  EXPECT_THROW(check_restarts(last, 2, folder / "group"), ArgumentError);
  EXPECT_NO_THROW(check_restarts(last, 1, folder / "group"));
}

TEST(Restarts, StoppedAndGoneOnWithTheyEndWithTheSameBits) {
  Folder folder;
  const Restarts whole = train_restarts(stories(), 3, folder / "whole", kArgv, {});
  for (const int number : {SIGINT, SIGTERM}) {
    const fs::path out = folder / std::to_string(number);
    std::atomic<int> signal = 0;
    JobsOptions how{.jobs = 2, .signal = &signal, .progress_seconds = 0};
    how.progress = [&](const JobsProgress& p) {
      if (p.sequences > 700) signal = number;
    };
    const Restarts part = train_restarts(stories(), 3, out, kArgv, how);
    EXPECT_EQ(part.stopped, number == SIGINT ? 130 : 75);
    EXPECT_FALSE(part.chosen);
    EXPECT_TRUE(parse_json(read_file(out / "restarts.json"))["chosen"].is_null());
    expect_has(message_of<ArgumentError>([&] { evaluate(out, {}); }),
               fmt::format("[{0}] holds restarts of which none is chosen yet: go on with them by --resume {0}, or name "
                           "one, such as {0}/seed1",
                           out.string()));
    const Restarts rest = resume_restarts(out, {}, kArgv, {.jobs = 2});
    EXPECT_EQ(rest.stopped, 0);
    EXPECT_EQ(rest.chosen, whole.chosen);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(without_times(rest.runs[i].directory / "metrics.jsonl"),
                without_times(whole.runs[i].directory / "metrics.jsonl"));
      EXPECT_EQ(rest.runs[i].error, whole.runs[i].error);
    }
  }
}

TEST(Restarts, FinishedOnesAreOnlyReadUnlessTheyShallGoOn) {
  Folder folder;
  const fs::path out = folder / "group";
  train_restarts(stories(), 2, out, kArgv, {});
  const std::string before = read_file(out / "seed1" / "run.json");
  resume_restarts(out, {}, kArgv, {});
  EXPECT_EQ(read_file(out / "seed1" / "run.json"), before);
  const Restarts longer = resume_restarts(out, {{"train.max-sequences", "1600", "--max-sequences"}}, kArgv, {});
  EXPECT_EQ(longer.runs[0].sequences, 1600u);
  EXPECT_EQ(resume_restarts(out, {}, kArgv, {}).runs[1].sequences, 1600u);
  // Stopped while they were going on, those not yet begun on go on too.
  std::atomic<int> signal = 0;
  JobsOptions how{.signal = &signal, .progress_seconds = 0};
  how.progress = [&](const JobsProgress&) { signal = SIGINT; };
  EXPECT_EQ(resume_restarts(out, {{"train.max-sequences", "1920", ""}}, kArgv, how).stopped, 130);
  const Restarts rest = resume_restarts(out, {}, kArgv, {});
  for (const Restart& run : rest.runs) EXPECT_EQ(run.sequences, 1920u);
  expect_has(message_of<ArgumentError>([&] {
               resume_restarts(out, {{"train.batch", "16", "--train.batch"}}, kArgv, {});
             }),
             "[--train.batch] train.batch cannot change when a run is resumed");
}

TEST(Restarts, ADivergedOneDoesNotEndTheOthersAndIsNeverChosen) {
  Folder folder;
  std::vector<std::string> notices;
  JobsOptions how;
  how.notice = [&](const std::string& text) { notices.push_back(text); };
  // The rate is beyond every bound: all diverge.
  const auto wild = stories({{"train.learning-rate", "1e6", ""}, {"memory.table-clip", "0", ""}});
  const Restarts lost = train_restarts(wild, 2, folder / "lost", kArgv, how);
  EXPECT_EQ(lost.stopped, 0);
  EXPECT_FALSE(lost.chosen);
  for (const Restart& run : lost.runs) {
    EXPECT_EQ(run.exit_reason, "diverged");
    EXPECT_FALSE(run.error);
  }
  const auto said = [&](const std::string& part) {
    return std::count_if(notices.begin(), notices.end(),
                         [&](const std::string& n) { return n.find(part) != std::string::npos; });
  };
  EXPECT_EQ(said("seed1: diverged; "), 1);
  EXPECT_EQ(said("seed2: diverged; "), 1);
  // One of them put beside good ones: it has a loss, and that loss is less than any.
  const fs::path out = folder / "mixed";
  train_restarts(stories(), 3, out, kArgv, {});
  auto j = parse_json(read_file(out / "seed2" / "run.json"));
  j["exit_reason"] = "diverged";
  write_file(out / "seed2" / "run.json", j.dump());
  const std::string metrics = read_file(out / "seed2" / "metrics.jsonl");
  write_file(out / "seed2" / "metrics.jsonl", metrics + R"({"kind":"train","sequences":1300,"loss":-5})" + "\n");
  const Restarts mixed = resume_restarts(out, {}, kArgv, {});
  EXPECT_EQ(mixed.stopped, 0);
  ASSERT_TRUE(mixed.chosen);
  EXPECT_NE(mixed.runs[*mixed.chosen].seed, 2u);
  EXPECT_FALSE(mixed.runs[1].error);
}

TEST(Restarts, ARunGoneOnWithByItselfRenewsTheRecordAndTheChoice) {
  Folder folder;
  const fs::path out = folder / "group";
  const Restarts before = train_restarts(stories(), 2, out, kArgv, {});
  const std::string record = read_file(out / "restarts.json");
  const std::size_t other = 1 - before.chosen.value();
  const RunResult longer = go_on(before.runs[other].directory, {{"train.max-sequences", "6400", ""}});
  const auto renewed = renew_restarts(longer, nullptr);
  ASSERT_TRUE(renewed);
  EXPECT_EQ(renewed->chosen, other) << "five times as long";
  EXPECT_EQ(renewed->runs[other].sequences, 6400u);
  EXPECT_EQ(renewed->runs[other].training_loss, training_loss(before.runs[other].directory));
  EXPECT_EQ(renewed->runs[other].error, evaluate(before.runs[other].directory, {}).mean_error());
  EXPECT_EQ(evaluate(out, {}).directory, before.runs[other].directory);
  const auto j = parse_json(read_file(out / "restarts.json"));
  EXPECT_EQ(j["runs"][before.chosen.value()], parse_json(record)["runs"][before.chosen.value()]);
  EXPECT_EQ(j["config"], parse_json(record)["config"]);
  RunResult stopped = longer;
  stopped.reason = ExitReason::terminated;
  EXPECT_FALSE(renew_restarts(stopped, nullptr));
  EXPECT_FALSE(renew_restarts(run(stories(), folder / "alone"), nullptr));
}

TEST(Restarts, TheirRecordMayGainAndLoseFields) {
  Folder folder;
  const fs::path out = folder / "group";
  const Restarts before = train_restarts(stories(), 2, out, kArgv, {});
  auto j = parse_json(read_file(out / "restarts.json"));
  j["novel"] = 1;
  for (auto& run : j["runs"]) run = {{"seed", run["seed"]}, {"directory", run["directory"]}, {"novel", nullptr}};
  write_file(out / "restarts.json", j.dump());
  const RunResult same = go_on(before.runs[0].directory);
  const auto renewed = renew_restarts(same, nullptr);
  ASSERT_TRUE(renewed);
  EXPECT_EQ(renewed->chosen, before.chosen);
  EXPECT_EQ(renewed->runs[1].training_loss, before.runs[1].training_loss);
  EXPECT_EQ(renewed->runs[1].exit_reason, "") << "not known";
}

TEST(Restarts, ARunWhoseTestIsNotFiniteIsNeverChosen) {
  Folder folder;
  const fs::path out = folder / "group";
  const Restarts before = train_restarts(stories(), 2, out, kArgv, {});
  const fs::path last = list_checkpoints(before.runs[*before.chosen].directory).back();
  const Config config = Config::load(before.runs[*before.chosen].directory.string());
  Session s(config, 1);
  RunState state;
  load_checkpoint(last, s.parameters(), &s.optimizer(), &state);
  std::fill_n(s.parameters().flat(), s.parameters().flat_size(), std::numeric_limits<float>::quiet_NaN());
  save_checkpoint(last, config.text(), s.parameters(), s.optimizer(), state);
  const Restarts after = resume_restarts(out, {}, kArgv, {});
  EXPECT_EQ(after.chosen, 1 - *before.chosen);
  EXPECT_EQ(after.runs[*before.chosen].exit_reason, "diverged");
  expect_has(after.runs[*before.chosen].message, "(in test episode");
}

TEST(Restarts, ATaskWithoutATestSetHasNone) {
  Folder folder;
  const Restarts r = train_restarts(small(), 2, folder / "copy", kArgv, {});
  EXPECT_EQ(r.parts, 0u);
  EXPECT_TRUE(r.chosen);
  EXPECT_TRUE(r.runs[0].held_out);
  EXPECT_FALSE(r.runs[0].error);
  EXPECT_TRUE(parse_json(restarts_json(r))["test_error"].is_null());
}

TEST(Restarts, BadInput) {
  Folder folder;
  const fs::path out = folder / "group";
  train_restarts(small(), 1, out, kArgv, {});
  expect_has(message_of<ArgumentError>([&] { train_restarts(small(), 1, out, kArgv, {}); }),
             "holds restarts already: go on with them by --resume " + out.string());
  expect_has(message_of<ArgumentError>([&] { run(small(), out); }), "holds restarts already");
  expect_has(message_of<ArgumentError>([&] { train_restarts(small(), 1, out / "seed1", kArgv, {}); }),
             "holds a run already: go on with it by --resume");
  expect_has(message_of<ArgumentError>([&] { resume(out, {}, {}); }),
             "holds restarts, not a run: name one of its folders");
  for (const char* text : {"", "{", "[]", R"({"config": 3, "runs": [{}], "chosen": null})",
                           R"({"config": "", "runs": [], "chosen": null})", R"({"config": "", "runs": [{}]})"}) {
    write_file(out / "restarts.json", text);
    expect_has(message_of<FileError>([&] { evaluate(out, {}); }), "is no record of restarts");
    expect_has(message_of<FileError>([&] { resume_restarts(out, {}, kArgv, {}); }), "restarts.json");
  }
}

TEST(Restarts, ThatEndBeforeTheFirstWindowOfTrainingLossAreRefused) {
  Folder folder;
  const Config config = stories().with({{"train.max-sequences", "640", ""}, {"train.log-every", "900", ""}});
  EXPECT_EQ(message_of<ArgumentError>([&] { train_restarts(config, 3, folder / "group", kArgv, {}); }),
            "[train.log-every] 900 is more than train.max-sequences = 640: no training loss, which is that of the last "
            "whole window of train.log-every sequences, would be there to choose by");
  EXPECT_FALSE(fs::exists(folder / "group"));
}

TEST(Restarts, AChoiceOutlivesAStopAndAnErrorWhileItIsReadAgain) {
  Folder folder;
  const fs::path out = folder / "group";
  train_restarts(stories(), 2, out, kArgv, {});
  const std::string record = read_file(out / "restarts.json");
  std::atomic<int> signal = SIGINT;
  EXPECT_EQ(resume_restarts(out, {}, kArgv, {.signal = &signal}).stopped, 130);
  EXPECT_EQ(read_file(out / "restarts.json"), record);
  fs::rename(out / "seed2" / "checkpoints", out / "seed2" / "gone");
  const std::string message = message_of<ArgumentError>([&] { resume_restarts(out, {}, kArgv, {}); });
  EXPECT_TRUE(message.starts_with("seed2: [")) << message;
  EXPECT_EQ(read_file(out / "restarts.json"), record);
  // Without a choice in it, it says how far they came.
  auto j = parse_json(record);
  j["chosen"] = nullptr;
  for (auto& run : j["runs"]) run["exit_reason"] = nullptr;
  write_file(out / "restarts.json", j.dump());
  message_of<ArgumentError>([&] { resume_restarts(out, {}, kArgv, {}); });
  EXPECT_EQ(parse_json(read_file(out / "restarts.json"))["runs"][0]["exit_reason"], "max_sequences");
}

/// Stories of one task whose words do not depend on `other`.
fs::path write_stories(const fs::path& folder, bool other) {
  fs::create_directories(folder);
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += fmt::format("1 Mary moved to the {0}.\n2 John went to the {1}.\n3 Where is Mary?\t{0}\t1\n",
                        i % 2 == 0 || other ? "hall" : "garden", i % 2 == 0 ? "garden" : "hall");
  write_file(folder / "qa1_x_train.txt", text);
  write_file(folder / "qa1_x_test.txt", "1 Mary moved to the hall.\n2 Where is Mary?\thall\t1\n");
  return folder;
}

TEST(Restarts, ARefusedResumeChangesNothing) {
  Folder folder;
  const fs::path out = folder / "group", data = write_stories(folder / "data", false),
                 other = write_stories(folder / "other", true);
  const Restarts trained = train_restarts(stories({}, data), 2, out, kArgv, {});
  const std::string record = read_file(out / "restarts.json"), first = read_file(out / "seed1" / "run.json");
  const Assignment longer = {"train.max-sequences", "1600", ""}, elsewhere = {"task.data", other.string(), ""};
  const auto unchanged = [&] {
    EXPECT_EQ(read_file(out / "restarts.json"), record);
    EXPECT_EQ(read_file(out / "seed1" / "run.json"), first);
    EXPECT_EQ(evaluate(out, {}).directory, trained.runs[trained.chosen.value()].directory);
  };
  for (const auto& given : {std::vector<Assignment>{longer, elsewhere}, std::vector<Assignment>{elsewhere}}) {
    const std::string message = message_of<ArgumentError>([&] { resume_restarts(out, given, kArgv, {}); });
    EXPECT_TRUE(message.starts_with("seed1: [" + other.string() + "]")) << message;
    unchanged();
  }
  {
    const FolderLock busy(out / "seed2");
    const std::string message = message_of<RuntimeFailure>([&] { resume_restarts(out, {longer}, kArgv, {}); });
    EXPECT_EQ(message, "seed2: [" + (out / "seed2").string() + "] another process is training here");
    unchanged();
  }
  const std::string config = read_file(out / "seed2" / "config.ini");
  write_file(out / "seed2" / "config.ini", std::regex_replace(config, std::regex("\nbatch = [0-9]+"), "\nbatch = 7"));
  const std::string message = message_of<ArgumentError>([&] { resume_restarts(out, {longer}, kArgv, {}); });
  EXPECT_TRUE(message.starts_with("seed2: [")) << message;
  expect_has(message, "train.batch is 7 in it and ");
  unchanged();
  write_file(out / "seed2" / "config.ini", config);
  const fs::path newest = list_checkpoints(out / "seed2").back();
  fs::rename(newest, folder / "its_own");
  fs::copy_file(list_checkpoints(out / "seed1").back(), newest);
  const std::string foreign = message_of<ArgumentError>([&] { resume_restarts(out, {longer}, kArgv, {}); });
  EXPECT_TRUE(foreign.starts_with("seed2: [")) << foreign;
  expect_has(foreign, "seed is 2 in config.ini and 1 in step-");
  unchanged();
  fs::rename(folder / "its_own", newest);
  // What only the run itself finds out: no checkpoint of it can be read.
  const fs::path last = list_checkpoints(out / "seed1").back(), checkpoints = out / "seed1" / "checkpoints";
  fs::rename(checkpoints, folder / "kept");
  fs::create_directories(checkpoints);
  write_file(last, "damaged");
  expect_has(message_of<FileError>([&] { resume_restarts(out, {longer}, kArgv, {}); }), "seed1: ");
  EXPECT_EQ(read_file(out / "restarts.json"), record);
  fs::remove_all(checkpoints);
  fs::rename(folder / "kept", checkpoints);
  const Restarts all = resume_restarts(out, {longer}, kArgv, {});
  for (const Restart& run : all.runs) EXPECT_EQ(run.sequences, 1600u);
}

TEST(Restarts, AChoiceStandsUntilThereIsANewOne) {
  Folder folder;
  const fs::path out = folder / "group";
  const Restarts trained = train_restarts(stories(), 2, out, kArgv, {});
  std::atomic<int> signal = 0;
  JobsOptions how{.signal = &signal, .progress_seconds = 0};
  how.progress = [&](const JobsProgress&) { signal = SIGTERM; };
  EXPECT_EQ(resume_restarts(out, {{"train.max-sequences", "1600", ""}}, kArgv, how).stopped, 75);
  const auto j = parse_json(read_file(out / "restarts.json"));
  EXPECT_EQ(j["chosen"], trained.runs[trained.chosen.value()].directory.filename().string());
  EXPECT_EQ(j["runs"][0]["exit_reason"], "terminated");
  EXPECT_EQ(j["runs"][1]["test_error"], *trained.runs[1].error) << "not begun: as it was";
  expect_has(j["config"], "max-sequences = 1600");
  // One of them alone makes no choice among those that are yet to go on.
  EXPECT_FALSE(renew_restarts(go_on(out / "seed1"), nullptr));
  const Restarts rest = resume_restarts(out, {}, kArgv, {});
  for (const Restart& run : rest.runs) EXPECT_EQ(run.sequences, 1600u);
  EXPECT_TRUE(rest.chosen);
}

TEST(Restarts, ARunGoneOnWithByItselfLeavesTheRecordToWhoHoldsIt) {
  Folder folder;
  const fs::path out = folder / "group";
  train_restarts(stories(), 2, out, kArgv, {});
  const std::string record = read_file(out / "restarts.json");
  const RunResult longer = go_on(out / "seed1", {{"train.max-sequences", "1600", ""}});
  {
    const FolderLock held(out);
    EXPECT_FALSE(renew_restarts(longer, nullptr));
    EXPECT_EQ(read_file(out / "restarts.json"), record);
  }
  EXPECT_TRUE(renew_restarts(longer, nullptr));
}

TEST(Restarts, ARecordOfAnOlderVersionKeepsWhatStoodForAnOptionThatIsNew) {
  Folder folder;
  auto plugin = optimizers().find("sgd");
  plugin.options.integer("lag", 3, 0, 9, "").absent("2");
  optimizers().add("lagging", plugin);
  const fs::path out = folder / "group";
  train_restarts(small({{"optimizer", "lagging", ""}, {"optimizer.lag", "2", ""}}), 2, out, kArgv, {});
  auto j = parse_json(read_file(out / "restarts.json"));
  const std::string now = j["config"];
  expect_has(now, "lag = 2\n");
  j["config"] = std::regex_replace(now, std::regex("lag = 2\n"), "");
  write_file(out / "restarts.json", j.dump());
  ASSERT_TRUE(renew_restarts(go_on(out / "seed1", {{"train.max-sequences", "500", ""}}), nullptr));
  EXPECT_EQ(parse_json(read_file(out / "restarts.json"))["config"], now);
}

}  // namespace
}  // namespace mneme::experiments
