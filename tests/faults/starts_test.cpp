// Room: tests. Starts that meet in one folder, starts that are killed, and resumes of what has been changed, counted.
//
//   MNEME_STARTS=200 build/release/tests/test_faults --gtest_filter='Starts.*'      the long form
#include "tests/tools/program.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <thread>

namespace mneme::faults {
namespace {

namespace fs = std::filesystem;
using tools_test::mneme;
using tools_test::read_file;
using tools_test::Result;
using tools_test::Scratch;
using Words = std::vector<std::string>;

int starts() {
  const char* n = std::getenv("MNEME_STARTS");
  return n && *n ? std::max(1, std::atoi(n)) : 4;
}

Words train(const fs::path& out, int seed, const Words& more = {}) {
  Words words = tools_test::tiny(out, {"--seed", std::to_string(seed), "--threads=1"});
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::map<std::string, std::string> files(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) all[entry.path().string()] = read_file(entry.path());
  return all;
}

TEST(Starts, OfTwoInOneFolderOneTrainsAndTheOtherChangesNothing) {
  std::map<std::string, int> refused;
  for (int n = 0; n < starts(); ++n) {
    const Scratch scratch;
    const fs::path run = scratch / "run";
    if (n % 2) fs::create_directories(run);  // a folder that somebody made is taken too
    Result results[2];
    std::thread other([&] { results[1] = mneme(train(run, 2)); });
    results[0] = mneme(train(run, 1));
    other.join();
    const int winner = results[0].code == 0 ? 0 : 1;
    const Result& loser = results[1 - winner];
    ASSERT_EQ(results[winner].code, 0) << results[0].err << results[1].err;
    ASSERT_NE(loser.code, 0) << "both trained";
    const std::string config = read_file(run / "config.ini");
    EXPECT_NE(config.find(fmt::format("seed = {}\n", winner + 1)), std::string::npos) << config;
    EXPECT_NE(read_file(run / "run.json").find("\"max_sequences\""), std::string::npos);
    // The run in the folder is the winner's, to the end, and goes on as such.
    EXPECT_EQ(mneme({"train", "--resume", run.string(), "--max-sequences", "90"}).code, 0);
    const bool busy = loser.err.find("another process is training here") != std::string::npos;
    EXPECT_TRUE(busy || loser.err.find("holds a run already") != std::string::npos) << loser.err;
    ++refused[busy ? "refused, another process is training here" : "refused, holds a run already"];
  }
  for (const auto& [how, count] : refused) fmt::print("{:<60} {:>4} of {}\n", how, count, starts());
}

TEST(Starts, AKillAtAnyMomentLeavesAFolderThatResumesOrSaysWhatToDo) {
  std::mt19937 random(1);
  std::map<std::string, int> met;
  for (int n = 0; n < starts(); ++n) {
    const Scratch scratch;
    const fs::path run = scratch / "run";
    const auto wait = std::chrono::microseconds(random() % 60000);
    bool killed = false;
    mneme(train(run, 1), {.meanwhile = [&](int process) {
            if (killed) return;
            std::this_thread::sleep_for(wait);
            killed = true;
            ::kill(process, SIGKILL);
          }});
    const Result resumed = mneme({"train", "--resume", run.string()});
    if (resumed.code == 0) {
      ++met["resumed to its end"];
      continue;
    }
    ASSERT_EQ(resumed.code, 2) << resumed.err;
    const bool cut_off = resumed.err.find("give the train command again") != std::string::npos;
    EXPECT_TRUE(cut_off || resumed.err.find("does not exist") != std::string::npos ||
                resumed.err.find("is no run's folder") != std::string::npos)
        << resumed.err;
    EXPECT_EQ(mneme(train(run, 1)).code, 0) << "the command given again";
    ++met[cut_off ? "told to give the command again, which trained" : "no folder yet: the command given again trained"];
  }
  for (const auto& [how, count] : met) fmt::print("{:<60} {:>4} of {}\n", how, count, starts());
}

void write_stories(const fs::path& folder, bool other) {
  fs::create_directories(folder);
  std::ofstream train(folder / "qa1_x_train.txt"), test(folder / "qa1_x_test.txt");
  for (int i = 0; i < 20; ++i) {
    const char* place = i % 2 == 0 || other ? "hall" : "garden";
    train << "1 Mary moved to the " << place << ".\n2 John went to the " << (i % 2 ? "hall" : "garden")
          << ".\n3 Where is Mary?\t" << place << "\t1\n4 Where is John?\t" << (i % 2 ? "hall" : "garden") << "\t2\n";
  }
  test << "1 Mary moved to the hall.\n2 Where is Mary?\thall\t1\n";
}

TEST(Starts, ResumingWhatHasBeenChangedIsRefusedByNameAndMovedDataAreFine) {
  std::map<std::string, int> met;
  const int each = std::max(1, starts() / 4);
  const auto meet = [&](const std::string& what, const Result& r, const std::string& said) {
    EXPECT_EQ(r.code, said.empty() ? 0 : 2) << what << ": " << r.err;
    EXPECT_NE(r.err.find(said), std::string::npos) << what << ": " << r.err;
    ++met[what + (r.code == 0 ? ": went on" : ": refused, named")];
  };
  for (int n = 0; n < each; ++n) {
    const Scratch scratch;
    const fs::path run = scratch / "run", two = scratch / "two", told = scratch / "told", data = scratch / "data";
    const auto resume = [](const fs::path& of, const Words& more = {}) {
      Words words = {"train", "--resume", of.string(), "--max-sequences", "90"};
      words.insert(words.end(), more.begin(), more.end());
      return mneme(words);
    };
    ASSERT_EQ(mneme(train(run, 1)).code, 0);
    ASSERT_EQ(mneme(train(two, 2)).code, 0);
    const std::string config = read_file(run / "config.ini");
    std::string edited = config;
    edited.replace(edited.find("learning-rate = "), 16, "learning-rate = 1");
    std::ofstream(run / "config.ini") << edited;
    auto before = files(run);
    meet("an edited option", resume(run), "train.learning-rate is ");
    EXPECT_EQ(files(run), before);
    std::ofstream(run / "config.ini") << config;
    const fs::path last = run / "checkpoints/step-000000060.ckpt.h5";
    const std::string own = read_file(last);
    std::ofstream(last, std::ios::binary) << read_file(two / "checkpoints/step-000000060.ckpt.h5");
    before = files(run);
    meet("another seed's checkpoint", resume(run), "seed is 1 in config.ini and 2 in ");
    EXPECT_EQ(files(run), before);
    std::ofstream(last, std::ios::binary) << own;
    meet("put back", resume(run), "");

    write_stories(data, false);
    ASSERT_EQ(mneme({"train", "babi_memn2n_single", "--task.data", data.string(), "--out", told.string(),
                     "--max-sequences", "64", "--train.log-every", "32"})
                  .code,
              0);
    write_stories(data, true);
    before = files(told);
    meet("other data of the same words", resume(told), "has other training data");
    EXPECT_EQ(files(told), before);
    write_stories(data, false);
    fs::rename(data, scratch / "moved");
    meet("moved data, no path given", resume(told), "[task.data]");
    EXPECT_EQ(files(told), before);
    meet("moved data, --task.data given", resume(told, {"--task.data", (scratch / "moved").string()}), "");
  }
  for (const auto& [how, count] : met) fmt::print("{:<60} {:>4} of {}\n", how, count, each);
}

/// A run of an older version: MNEME_OLDER names its program.
TEST(Starts, ARunOfAnOlderVersionGoesOn) {
  const char* older = std::getenv("MNEME_OLDER");
  if (!older || !*older) GTEST_SKIP() << "MNEME_OLDER names no program of an older version";
  const int each = std::max(1, starts() / 4);
  for (int n = 0; n < each; ++n) {
    const Scratch scratch;
    const fs::path run = scratch / "run";
    std::string command = older;
    for (const std::string& word : train(run, n + 1)) command += " '" + word + "'";
    ASSERT_EQ(std::system((command + " > /dev/null 2>&1").c_str()), 0);
    const Result r = mneme({"train", "--resume", run.string(), "--max-sequences", "90"});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_NE(read_file(run / "run.json").find("\"from_sequences\": 60"), std::string::npos);
    EXPECT_EQ(mneme({"eval", run.string(), "--episodes", "2"}).code, 0);
  }
  fmt::print("{:<60} {:>4} of {}\n", "a checkpoint of an older version: went on", each, each);
}

}  // namespace
}  // namespace mneme::faults
