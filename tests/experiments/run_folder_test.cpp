// A run's folder: who gets it, what it refuses to go on with, and what it keeps of starts and evaluations.
#include "core/json.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/run_directory.hpp"
#include "tasks/babi_worlds.hpp"
#include "tests/experiments/support.hpp"
#include "trace/hdf5.hpp"

#include <csignal>
#include <map>
#include <sstream>

namespace mneme::experiments {
namespace {

/// Every file with its bytes; the lock's name alone.
std::map<std::string, std::string> content(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) all[entry.path().string()] = read_file(entry.path());
  return all;
}

void replace_in(const fs::path& path, const std::string& what, const std::string& by) {
  std::string text = read_file(path);
  ASSERT_NE(text.find(what), std::string::npos) << what;
  write_file(path, text.replace(text.find(what), what.size(), by));
}

/// Stories of one task whose words do not depend on `other`.
void write_stories(const fs::path& folder, bool other = false) {
  fs::create_directories(folder);
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += fmt::format(
        "1 Mary moved to the {0}.\n2 John went to the {1}.\n3 Where is Mary?\t{0}\t1\n4 Where is John?\t{1}\t2\n",
        i % 2 == 0 || other ? "hall" : "garden", i % 2 == 0 ? "garden" : "hall");
  write_file(folder / "qa1_x_train.txt", text);
  write_file(folder / "qa1_x_test.txt", "1 Mary moved to the hall.\n2 Where is Mary?\thall\t1\n");
}

Config of_stories(const fs::path& data) {
  return Config::from({{"task", "babi", ""},
                       {"task.data", data.string(), ""},
                       {"model", "memory_network", ""},
                       {"memory", "end_to_end", ""},
                       {"train.max-sequences", "40", ""},
                       {"train.log-every", "10", ""},
                       {"train.eval-every", "20", ""},
                       {"train.eval-episodes", "4", ""},
                       {"train.stop-when-solved", "false", ""},
                       {"train.checkpoint-every", "20", ""}});
}

TEST(RunFolder, ARefusedStartChangesNothing) {
  Folder folder;
  run(small(), folder / "run");
  const auto before = content(folder.path());
  expect_has(message_of<ArgumentError>([&] {
               run(small({{"seed", "2", ""}}), folder / "run");
             }),
             "holds a run already");
  EXPECT_EQ(content(folder.path()), before);
  const FolderLock lock(folder / "run");
  expect_has(message_of<RuntimeFailure>([&] { go_on(folder / "run"); }), "another process is training here");
  fs::create_directories(folder / "new");
  const FolderLock other(folder / "new");
  expect_has(message_of<RuntimeFailure>([&] { run(small(), folder / "new"); }), "another process is training here");
  EXPECT_EQ(content(folder / "new").size(), 1u) << "the other's lock";
}

TEST(RunFolder, AStartCutOffBeforeItsConfigurationIsTakenOver) {
  Folder folder;
  fs::create_directories(folder / "run/checkpoints");
  write_file(folder / "run/lock", "");
  write_file(folder / "run/config.ini.part", "task = co");
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run"); }),
             "holds a start that was cut off before its config.ini was written: there is nothing to go on with and "
             "nothing is lost; give the train command again, with --out ");
  EXPECT_EQ(run(small(), folder / "run").sequences, 400u);
  fs::remove(folder / "run/config.ini");
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run"); }),
             "has no config.ini any more; each of its "
             "checkpoints holds the text of it");
  // A new run would prune them as its own.
  for (const char* sign : {"run.json", "metrics.jsonl"}) fs::remove(folder / "run" / sign);
  const auto before = content(folder.path());
  expect_has(
      message_of<ArgumentError>([&] { run(small(), folder / "run"); }),
      (folder / "run/checkpoints").string() + "] is left of a run whose config.ini is gone: choose another --out");
  EXPECT_EQ(content(folder.path()), before);
}

TEST(RunFolder, ResumingRefusesAnEditedOptionAndAnotherRunsCheckpoint) {
  Folder folder;
  run(small(), folder / "run");
  run(small({{"seed", "2", ""}}), folder / "two");
  const fs::path last = list_checkpoints(folder / "run").back();
  const std::string mine = read_file(last);
  fs::copy_file(list_checkpoints(folder / "two").back(), last, fs::copy_options::overwrite_existing);
  auto before = content(folder.path());
  const std::vector<Assignment> longer = {{"train.max-sequences", "500", ""}};
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run", longer); }),
             "seed is 1 in config.ini and 2 in step-000000400.ckpt.h5: a run goes on as it began");
  expect_has(message_of<ArgumentError>([&] { evaluate(folder / "run", {}); }), "seed is 1 in config.ini and 2 in ");
  EXPECT_EQ(content(folder.path()), before);
  write_file(last, mine);
  replace_in(folder / "run/config.ini", "learning-rate = 0.001", "learning-rate = 0.002");
  before = content(folder.path());
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run", longer); }),
             "train.learning-rate is 0.002 in config.ini and 0.001 in step-000000400.ckpt.h5");
  EXPECT_EQ(content(folder.path()), before);
  replace_in(folder / "run/config.ini", "learning-rate = 0.002", "learning-rate = 0.001");
  replace_in(folder / "run/config.ini", "hidden = 12", "hidden = 13");
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run", longer); }),
             "controller.hidden is 13 in config.ini and 12 in step-000000400.ckpt.h5");
  replace_in(folder / "run/config.ini", "hidden = 13", "hidden = 12");
  EXPECT_EQ(go_on(folder / "run", longer).sequences, 500u);
}

TEST(RunFolder, ResumingKnowsDataByTheirContent) {
  Folder folder;
  write_stories(folder / "data");
  run(of_stories(folder / "data"), folder / "run");
  fs::rename(folder / "data", folder / "moved");
  const std::vector<Assignment> longer = {{"train.max-sequences", "60", ""}};
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run", longer); }), "[task.data]");
  auto there = longer;
  there.push_back({"task.data", (folder / "moved").string(), ""});
  EXPECT_EQ(go_on(folder / "run", there).sequences, 60u);
  expect_has(read_file(folder / "run/config.ini"), (folder / "moved").string());

  write_stories(folder / "moved", true);
  const auto before = content(folder.path());
  const std::string refusal = message_of<ArgumentError>([&] {
    go_on(folder / "run", {{"train.max-sequences", "80", ""}});
  });
  expect_has(refusal, (folder / "moved").string() + "] has other training data (digest ");
  expect_has(refusal, "than " + (folder / "run").string() + " was trained on");
  expect_has(message_of<ArgumentError>([&] { evaluate(folder / "run", {}); }), "has other training data");
  EXPECT_EQ(content(folder.path()), before);
  fs::remove(folder / "run/run.json");  // the checkpoint knows it too
  const auto without = content(folder.path());
  expect_has(message_of<ArgumentError>([&] {
               go_on(folder / "run", {{"train.max-sequences", "80", ""}});
             }),
             "step-000000060.ckpt.h5 was trained on");
  EXPECT_EQ(content(folder.path()), without);

  // Another test beside the same training files is no other run.
  write_stories(folder / "moved");
  write_file(folder / "moved/qa1_x_test.txt", "1 John moved to the hall.\n2 Where is John?\thall\t1\n");
  EXPECT_EQ(go_on(folder / "run", {{"train.max-sequences", "80", ""}}).sequences, 80u);
}

TEST(RunFolder, ARunOnStoriesOfOurOwnMakingGoesOnWithNoFiles) {
  Folder folder;
  const Config own = of_stories("");
  run(own, folder / "run");
  fs::create_directories(folder / "data");  // the same number of words, answers and statements
  for (const char* part : {"train", "test"})
    write_file(folder / "data" / babi::own_file(1, part), babi::tell(1, own.task_options, part).text());
  const auto before = content(folder.path());
  const std::vector<Assignment> there = {{"train.max-sequences", "60", ""},
                                         {"task.data", (folder / "data").string(), ""}};
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run", there); }), "has other training data (digest ");
  EXPECT_EQ(content(folder.path()), before);
  fs::remove(folder / "run/run.json");  // the checkpoint knows it too
  expect_has(message_of<ArgumentError>([&] { go_on(folder / "run", there); }), "step-000000040.ckpt.h5 was trained on");
  EXPECT_EQ(go_on(folder / "run", {there[0]}).sequences, 60u);
}

TEST(RunFolder, ARunWithNothingLeftToDoIsNotChanged) {
  Folder folder;
  const Config easy = small({{"task.length", "1", ""}, {"train.max-sequences", "20000", ""}});
  const RunResult r = run(easy, folder / "run");
  ASSERT_EQ(r.reason, ExitReason::solved);
  const auto before = content(folder.path());
  const RunResult again = go_on(folder / "run", {{"train.max-sequences", "30000", ""}});
  EXPECT_EQ(again.reason, ExitReason::solved);
  expect_has(again.message,
             "nothing is left to do and nothing was changed; it goes on with --train.stop-when-solved "
             "false");
  EXPECT_EQ(content(folder.path()), before);
  const RunResult more = go_on(folder / "run", {{"train.max-sequences", std::to_string(r.sequences + 100), ""},
                                                {"train.stop-when-solved", "false", ""}});
  EXPECT_EQ(more.sequences, r.sequences + 100);
  const auto longer = content(folder.path());
  expect_has(go_on(folder / "run").message, fmt::format("it goes on with --max-sequences above {}", more.sequences));
  EXPECT_EQ(content(folder.path()), longer);
}

TEST(RunFolder, EveryStartIsKept) {
  Folder folder;
  RunOptions options;
  options.out = folder / "run";
  options.argv = {"mneme", "train", "one"};
  train(small(), options);
  options.argv = {"mneme", "train", "--resume"};
  resume(folder / "run", {{"train.max-sequences", "500", ""}}, options);
  auto j = run_json(folder / "run");
  EXPECT_EQ(j["argv"], Json({"mneme", "train", "one"}));
  EXPECT_EQ(j["starts"], 2);
  ASSERT_EQ(j["history"].size(), 2u);
  EXPECT_EQ(j["history"][0]["exit_reason"], "max_sequences");
  EXPECT_EQ(j["history"][0]["sequences"], 400);
  EXPECT_EQ(j["history"][1]["argv"], Json({"mneme", "train", "--resume"}));
  EXPECT_EQ(j["history"][1]["from_sequences"], 400);
  EXPECT_EQ(j["started_utc"], j["history"][0]["started_utc"]);
  // What a version wrote that kept the last start alone, and was killed.
  j.erase("history");
  j["exit_reason"] = "running";
  write_file(folder / "run/run.json", j.dump());
  resume(folder / "run", {{"train.max-sequences", "600", ""}}, options);
  j = run_json(folder / "run");
  ASSERT_EQ(j["history"].size(), 2u);
  EXPECT_EQ(j["history"][0]["exit_reason"], "killed");
  EXPECT_EQ(j["history"][0]["argv"], Json({"mneme", "train", "one"}));
}

TEST(RunFolder, EvaluationsAreAppendedALineEach) {
  Folder folder;
  run(small(), folder / "run");
  const Evaluation e = evaluate(folder / "run", {.episodes = 3});
  const std::string line = evaluation_line(e, {"mneme", "eval"});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  append_evaluation(folder / "run", line);
  const fs::path file = folder / "run/evaluations.jsonl";
  write_file(file, read_file(file) + "{\"cut");
  append_evaluation(folder / "run", line);
  EXPECT_EQ(read_file(file), line + "\n{\"cut\n" + line + "\n");
  const auto j = parse_json(line);
  EXPECT_EQ(j["argv"], Json({"mneme", "eval"}));
  EXPECT_EQ(j["checkpoint"], "step-000000400.ckpt.h5");
  EXPECT_EQ(j["results"][0]["episodes"], 3);
  EXPECT_EQ(j["config_hash"], run_json(folder / "run")["run_id"]);
}

TEST(RunFolder, ACheckpointMayGainAndLoseFields) {
  Folder folder;
  const Config c = small();
  run(c, folder / "run");
  const fs::path last = list_checkpoints(folder / "run").back();
  const CheckpointInfo info = inspect_checkpoint(last);
  {  // of another version: without usual_norm, with a field and an array of its own
    trace::File file = trace::File::create(folder / "other.h5");
    file.set_attr("/", "format", kCheckpointFormat);
    file.set_attr("/", "schema_version", "1.7.0");
    file.set_attr("/", "producer", "another mneme");
    file.set_attr("/", "git_rev", "0");
    file.set_attr("/", "content_hash", std::uint64_t{1});
    file.set_attr("/", "parameter_hash", info.parameter_hash);
    file.set_attr("/", "mood", "new");
    file.write("/config", info.config_text);
    std::string order = "extra/novel\n";
    const std::vector<float> novel = {1, 2};
    file.write("/extra/novel", {2}, novel.data());
    for (const NamedArray& a : info.arrays) {
      file.write("/" + a.name, a.dims, a.values.data());
      order += a.name + "\n";
    }
    file.write("/order", order);
    RunState::each(info.state, [&](const char* name, const auto& value) {
      using V = std::remove_cvref_t<decltype(value)>;
      if (std::string(name) == "usual_norm") return;
      if constexpr (std::is_same_v<V, bool>)
        file.write(std::string("/state/") + name, static_cast<std::uint8_t>(value));
      else
        file.write(std::string("/state/") + name, value);
    });
    file.write("/state/novel", 3.0);
    file.write("/state/window_metrics", {info.state.window_metrics.size()}, info.state.window_metrics.data());
    file.close();
  }
  seal_file(folder / "other.h5");
  fs::rename(folder / "other.h5", last);
  const CheckpointInfo other = inspect_checkpoint(last);
  EXPECT_EQ(other.state.sequences, 400u);
  EXPECT_EQ(other.state.usual_norm, 0);
  EXPECT_EQ(go_on(folder / "run", {{"train.max-sequences", "500", ""}}).sequences, 500u);
}

TEST(RunFolder, TheDefaultOneNamesThePresetAndIsInNoOtherRun) {
  Folder folder;
  const fs::path before = fs::current_path();
  const std::string path = default_run_directory(Config::load("copy_ntm")).string();
  EXPECT_TRUE(path.starts_with("runs/copy/copy_ntm/")) << path;
  run(small(), folder / "run");
  for (const char* inside : {"run", "run/checkpoints"}) {
    fs::current_path(folder / inside);
    expect_has(message_of<ArgumentError>([] { default_run_directory(small()); }),
               "[--out] is missing: this folder is in");
  }
  fs::create_directories(folder / "other");
  write_file(folder / "other/config.ini", "[x]\na = 1\n");  // many programs have one
  fs::current_path(folder / "other");
  EXPECT_TRUE(default_run_directory(small()).string().starts_with("runs/"));
  fs::current_path(before);
}

}  // namespace
}  // namespace mneme::experiments
