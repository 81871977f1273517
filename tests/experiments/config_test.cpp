// Configurations: layers, presets, round trip, and every kind of wrong input with its message.
#include "experiments/config/config.hpp"
#include "core/json.hpp"

#include "experiments/run/session.hpp"
#include "tests/experiments/support.hpp"

namespace mneme::experiments {
namespace {

std::string complaint(const std::vector<Assignment>& given, const std::string& file = "task = copy\n") {
  return message_of<ArgumentError>([&] { Config::parse(file, "x.ini", given); });
}

TEST(Config, DefaultsAreOverriddenByTheFileAndThatByAssignments) {
  const Config c = Config::parse("task = copy\nseed = 7\n[train]\nbatch = 4\n[memory]\nslots = 16\n", "x.ini",
                                 {{"train.batch", "2", "--train.batch"}});
  EXPECT_EQ(c.seed, 7u);
  EXPECT_EQ(c.model, "cell");
  EXPECT_EQ(c.memory, "ntm");
  EXPECT_EQ(c.controller, "lstm");
  EXPECT_EQ(c.optimizer, "rmsprop_graves");
  EXPECT_EQ(c.memory_options.integer("slots"), 16);
  EXPECT_EQ(c.train.integer("batch"), 2);
  EXPECT_EQ(c.train.integer("shard-size"), 8);
  EXPECT_TRUE(c.notices.empty());
}

TEST(Config, TextAndBackIsTheIdentity) {
  const Config c = small({{"train.time-limit", "2h", ""}, {"optimizer", "adam", ""}});
  EXPECT_EQ(c.train.real("time-limit"), 7200);
  const Config d = Config::parse(c.text(), "config.ini");
  EXPECT_EQ(c.text(), d.text());
  EXPECT_EQ(c.items(), d.items());
  EXPECT_EQ(c.identity(), d.identity());
  EXPECT_EQ(c.run_id("").size(), 16u);
  EXPECT_EQ(parse_json(c.json())["train_options"]["batch"], 1);
  EXPECT_EQ(parse_json(c.json())["task_options"]["length"], "1:4");
}

TEST(Config, OneSpellingOfEachValue) {
  const Config a = small({{"train.learning-rate", "1e-3", ""}, {"task.length", "4", ""}});
  const Config b = small({{"train.learning-rate", "0.001", ""}, {"task.length", "4:4", ""}});
  EXPECT_EQ(a.identity(), b.identity());
  EXPECT_NE(a.identity(), small({{"seed", "2", ""}, {"task.length", "4", ""}}).identity());
}

TEST(Config, TheIdentityOfARunIsWhatItComputes) {
  const Config c = small();
  const auto with = [](const std::string& key, const std::string& value) {
    return small({{key, value, ""}}).identity();
  };
  for (const std::string& key : resumable_keys()) {
    const char* other = key == "trace.level" ? "full" : key == "train.stop-when-solved" ? "false" : "7";
    EXPECT_EQ(with(key, other), c.identity()) << key;
  }
  EXPECT_NE(with("train.learning-rate", "2e-3"), c.identity());
  EXPECT_NE(with("seed", "2"), c.identity());
  EXPECT_NE(with("optimizer", "adam"), c.identity());
  EXPECT_NE(c.run_id("0123456789abcdef"), c.run_id("")) << "data by what is in them";
  EXPECT_EQ(c.identity().find("batch"), std::string::npos) << "an option at its default is not there:\n"
                                                           << c.identity();
  const std::vector<Assignment> linear = {{"train.schedule", "linear", ""}, {"train.max-sequences", "400", ""}};
  auto longer = linear;
  longer[1].value = "500";
  EXPECT_NE(small(linear).identity(), small(longer).identity()) << "the rate falls until there";
  const Config here = Config::from({{"task", "babi", ""}, {"task.data", "/a", ""}}),
               there = Config::from({{"task", "babi", ""}, {"task.data", "/b", ""}});
  EXPECT_EQ(here.identity(), there.identity());
  EXPECT_NE(here.text(), there.text());
  EXPECT_TRUE(is_path(here, "task.data"));
  EXPECT_FALSE(is_path(here, "task.form"));
  EXPECT_FALSE(is_path(here, "seed"));
}

TEST(Config, AnOptionThatIsNewRenamedOrHasAnotherDefaultChangesNoRun) {
  const auto made = [](const std::string& name, OptionTable options) {
    auto plugin = optimizers().find("sgd");
    plugin.options = std::move(options);
    optimizers().add(name, plugin);
  };
  // The same optimizer a version later: `pace` was called `stride`, `damping` is new and has a default of its own, and
  // the default of `lag` has changed.
  made("early", OptionTable().real("stride", 1, 0, 9, "").integer("lag", 2, 0, 9, ""));
  made("late", OptionTable()
                   .real("pace", 1, 0, 9, "")
                   .formerly("stride")
                   .integer("lag", 3, 0, 9, "")
                   .absent("2")
                   .real("damping", 0.5, 0, 1, "")
                   .absent("0"));
  const auto as_late = [](std::string text) { return text.replace(text.find("early"), 5, "late"); };
  const Config early = small({{"optimizer", "early", ""}, {"optimizer.stride", "4", ""}});
  const Config stored = Config::stored(as_late(early.text()), "config.ini");
  EXPECT_EQ(stored.optimizer_options.real("pace"), 4);
  EXPECT_EQ(stored.optimizer_options.real("damping"), 0) << "a stored run goes on without it";
  EXPECT_EQ(stored.optimizer_options.integer("lag"), 2);
  EXPECT_EQ(stored.identity(), as_late(early.identity()));
  const Config late = small({{"optimizer", "late", ""}, {"optimizer.pace", "4", ""}});
  EXPECT_EQ(late.optimizer_options.real("damping"), 0.5);
  EXPECT_NE(late.identity(), stored.identity());
  // Another layer may use another name; the same layer may not use both.
  const Config over = Config::parse("task = copy\noptimizer = late\n[optimizer]\nstride = 4\n", "x.ini",
                                    {{"optimizer.pace", "5", "--optimizer.pace"}});
  EXPECT_EQ(over.optimizer_options.real("pace"), 5);
  const Config back = Config::parse("task = copy\noptimizer = late\n[optimizer]\npace = 4\n", "x.ini",
                                    {{"optimizer.stride", "5", "--optimizer.stride"}});
  EXPECT_EQ(back.optimizer_options.real("pace"), 5);
  expect_has(complaint({}, "task = copy\noptimizer = late\n[optimizer]\npace = 4\nstride = 4\n"),
             "[x.ini:5: optimizer.stride] is given twice: optimizer.stride is the old name of optimizer.pace");
}

/// Runs and committed rows are known by these for good: a change that moves one gave an option a new default without
/// OptionTable::absent, or changed a preset, which is then another one.
TEST(Config, TheIdentitiesOfThePresetsStand) {
  const std::map<std::string, std::string> known = {
      {"associative_recall_lstm", "8323046709141d82"},
      {"associative_recall_ntm", "c1988e2b70eb4457"},
      {"associative_recall_ntm_ff", "f3646e1c5f627f1e"},
      {"babi_kv", "344641eb39aeb7af"},
      {"babi_lstm", "55a5916e1e18ee49"},
      {"babi_memn2n_joint", "979b4386feb42244"},
      {"babi_memn2n_single", "bfef93b15a464cf7"},
      {"babi_ntm", "1f874f0d980b61e1"},
      {"copy_lstm_1x100", "1db99196707c6f98"},
      {"copy_lstm_3x256", "bc6f7931d0e62498"},
      {"copy_ntm", "89c7b821717f5dc2"},
      {"copy_ntm_b16", "f172b25db393337a"},
      {"copy_ntm_b4", "e6834b8a6a24f929"},
      {"copy_ntm_ff", "19b4a08acc3a21a5"},
      {"copy_ntm_ff_b16", "c0a9442505db237e"},
      {"copy_ntm_ff_b4", "217516057f62ce29"},
      {"mqar_lstm", "77086a80fa407feb"},
      {"mqar_ntm", "4312ea0736015fbc"},
      {"ngram_lstm", "b8c063d6cbece42a"},
      {"ngram_ntm", "96819e5be79d05d5"},
      {"ngram_ntm_ff", "fbcd98003956f01d"},
      {"priority_sort_lstm", "6f6067b831339114"},
      {"priority_sort_ntm", "739736664d9b9c23"},
      {"priority_sort_ntm_ff", "1dadfba33b745fab"},
      {"repeat_copy_lstm", "3f0dd726edc8799f"},
      {"repeat_copy_ntm", "35e78549f3bb5507"},
      {"repeat_copy_ntm_ff", "c3b039eea18ac94f"},
      {"reverse_lstm", "a1a5391496a60f35"},
      {"reverse_ntm", "949d02ddf65beb00"},
      {"selective_copy_lstm", "e21e1fff12740479"},
      {"selective_copy_ntm", "aea5be5cb21aa924"},
  };
  for (const Preset& p : presets()) {
    const auto id = known.find(p.name);
    EXPECT_EQ(Config::load(p.name).run_id(""), id == known.end() ? "" : id->second) << p.name;
  }
}

TEST(Config, EveryPresetLoadsAndBuilds) {
  const auto all = presets();
  ASSERT_GE(all.size(), 4u);
  for (const Preset& p : all) {
    SCOPED_TRACE(p.name);
    EXPECT_FALSE(p.summary.empty());
    const Config c = Config::load(p.name);
    EXPECT_TRUE(c.notices.empty());
    EXPECT_GT(Session(c, 1).parameters().count(), 0u);
  }
}

TEST(Config, PresetsComeFromTheEnvironmentFirstAndFilesWork) {
  Folder folder;
  write_file(folder / "mine.ini", "# my own\ntask = copy\nseed = 5\n");
  ::setenv("MNEME_CONFIGS", folder.path().c_str(), 1);
  EXPECT_EQ(Config::load("mine").seed, 5u);
  EXPECT_EQ(Config::load("copy_ntm").task, "copy");
  const std::string unknown = message_of<ArgumentError>([] { Config::load("copy_nt"); });
  ::unsetenv("MNEME_CONFIGS");
  expect_has(unknown, "[preset] unknown preset or file 'copy_nt', did you mean 'copy_ntm'? There are: ");
  expect_has(unknown, "mine");
  EXPECT_EQ(Config::load((folder / "mine.ini").string()).seed, 5u);
  write_file(folder / "config.ini", "task = copy\nseed = 6\n");
  EXPECT_EQ(Config::load(folder.path().string()).seed, 6u) << "a run's folder";
  expect_has(message_of<ArgumentError>([&] { Config::load((folder / "none").string()); }), "unknown preset or file");
}

TEST(Config, UnknownNamesListWhatExistsAndTheNearest) {
  expect_has(
      complaint({}, "[train]\nbatch = 1\n"),
      "[task] no task is chosen. There are: associative_recall, babi, copy, mqar, ngram, priority_sort, repeat_copy, "
      "reverse, selective_copy");
  expect_has(
      complaint({}, "task = cpy\n"),
      "[x.ini:1: task] unknown task 'cpy', did you mean 'copy'? There are: associative_recall, babi, copy, mqar");
  expect_has(complaint({{"memory", "ntn", "--memory"}}), "[--memory] unknown memory 'ntn', did you mean 'ntm'?");
  expect_has(complaint({{"controller", "lstn", "--controller"}}), "unknown controller 'lstn', did you mean 'lstm'?");
  expect_has(complaint({{"model", "sell", "--model"}}), "unknown model 'sell', did you mean 'cell'?");
  expect_has(complaint({{"optimizer", "adm", "--optimizer"}}), "unknown optimizer 'adm', did you mean 'adam'?");
  expect_has(complaint({{"memory.read-addressing", "content_locations", "--memory.read-addressing"}}),
             "[--memory.read-addressing] ");
}

TEST(Config, UnknownKeysAreErrorsThatNameTheirPlace) {
  expect_has(complaint({}, "task = copy\n[train]\nbacth = 2\n"), "[x.ini:3: train.bacth] unknown key 'bacth'");
  expect_has(complaint({{"slots", "3", "--slots"}}), "[--slots] unknown key 'slots', did you mean 'memory.slots'?");
  expect_has(complaint({{"memory.slot", "3", "--memory.slot"}}),
             "[--memory.slot] unknown key 'memory.slot', did you mean 'memory.slots'? memory is 'ntm', which has: "
             "memory.slots, memory.width");
  expect_has(complaint({}, "task = copy\n[memroy]\nslots = 3\n"), "[x.ini:3: memroy.slots] unknown key 'memroy.slots'");
  expect_has(complaint({{"train.batch", "1", "--train.batch"}, {"train.batch", "2", "--train.batch"}}),
             "[--train.batch] train.batch is given twice");
}

TEST(Config, LeftOverKeysAreErrors) {
  EXPECT_EQ(complaint({}, "task = copy\nmemory = none\n[memory]\nslots = 4\n"),
            "[x.ini:4: memory.slots] memory.slots belongs to memory 'end_to_end' or 'key_value' or 'ntm', but memory "
            "is 'none', which "
            "has no options");
  expect_has(
      complaint({{"memory", "none", "--memory"}, {"memory.slots", "4", "--memory.slots"}}),
      "[--memory.slots] memory.slots belongs to memory 'end_to_end' or 'key_value' or 'ntm', but memory is 'none'");
  expect_has(complaint({{"optimizer.beta1", "0.5", "--optimizer.beta1"}}),
             "optimizer.beta1 belongs to optimizer 'adam', but optimizer is 'rmsprop_graves', which has: ");
}

TEST(Config, AnotherPluginOnTopOfAFileDropsTheFilesKeysWithANotice) {
  const Config c = Config::load("copy_ntm", {{"memory", "none", "--memory"}});
  EXPECT_EQ(c.memory, "none");
  ASSERT_FALSE(c.notices.empty());
  expect_has(c.notices[0], "dropped, it belongs to memory 'ntm' and memory is 'none'");
  EXPECT_THROW(Config::parse("task = copy\n[memory]\nslotz = 4\n", "x.ini", {{"memory", "none", "--memory"}}),
               ArgumentError)
      << "a key that nobody has is wrong in any case";
}

TEST(Config, ValuesOutOfRangeNanAndNegativeCounts) {
  expect_has(complaint({{"train.batch", "0", "--train.batch"}}), "[--train.batch] '0' is out of range; it takes 1..");
  expect_has(complaint({{"train.batch", "-4", "--train.batch"}}), "[--train.batch] '-4' is out of range");
  expect_has(complaint({{"memory.slots", "-1", "--memory.slots"}}), "[--memory.slots] '-1' is out of range");
  expect_has(complaint({{"train.max-sequences", "99999999999999999999", ""}}), "is out of range");
  for (const char* value : {"nan", "inf", "-nan", "1e999", "0x3", "", "1 2", "ten"})
    expect_has(complaint({{"train.learning-rate", value, "--train.learning-rate"}}), "is not a finite number");
  expect_has(complaint({{"seed", "-1", "--seed"}}), "[--seed] '-1' is out of range");
  expect_has(complaint({}, "task = copy\n[task]\nlength = 20:1\n"),
             "[x.ini:3: task.length] '20:1' has its low end above");
  expect_has(complaint({{"train.schedule", "cosinus", ""}}), "did you mean 'cosine'?");
  expect_has(complaint({{"train.time-limit", "2x", ""}}), "is not a finite number");
  expect_has(complaint({{"train.stop-when-solved", "maybe", ""}}), "is neither true nor false");
  expect_has(complaint({{"memory.start-slot", "500", ""}}), "slot 500 of 128");
}

TEST(Config, ListingCoversEveryPluginOrTheChosenOnes) {
  const auto all = list_options();
  const auto has = [](const std::vector<OptionInfo>& list, const std::string& key, const std::string& plugin) {
    return std::any_of(list.begin(), list.end(),
                       [&](const OptionInfo& o) { return o.key == key && o.plugin == plugin && !o.help.empty(); });
  };
  EXPECT_TRUE(has(all, "optimizer.beta1", "optimizer adam"));
  EXPECT_TRUE(has(all, "memory.slots", "memory ntm"));
  EXPECT_TRUE(has(all, "train.batch", ""));
  EXPECT_TRUE(has(all, "seed", ""));
  const Config c = small({{"optimizer", "sgd", ""}});
  const auto chosen = list_options(&c);
  EXPECT_TRUE(has(chosen, "optimizer.momentum", "optimizer sgd"));
  EXPECT_FALSE(has(chosen, "optimizer.beta1", "optimizer adam"));
}

}  // namespace
}  // namespace mneme::experiments
