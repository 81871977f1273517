// Room: tests. `mneme stories`: what it writes is what the task makes up, and nothing is written over.
#include "core/json.hpp"
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace mneme::tools_test {
namespace {

/// Last line of metrics.jsonl, but for what depends on the clock.
Json last_metrics(const fs::path& run) {
  std::ifstream in(run / "metrics.jsonl");
  Json last;
  for (std::string line; std::getline(in, line);) {
    Json j = parse_json(line);
    if (j.value("kind", "") == "train") last = j;
  }
  for (const char* key : {"seconds", "rate", "wall_seconds", "sequences_per_second"}) last.erase(key);
  return last;
}

TEST(StoriesCommand, FilesTeachWhatTheTaskWithoutFilesTeaches) {
  const Scratch folder;
  const std::string files = (folder / "files").string();
  const Result r =
      mneme({"stories", files, "--task.number", "1:2", "--task.questions", "100", "--task.decoys", "1", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(parse_json(r.out)["files"].size(), 4u);
  const auto train = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> words = {
        "train", "babi_memn2n_single", "--out", (folder / name).string(), "--task.number", "2", "--max-sequences",
        "1800",  "--threads",          "1"};
    words.insert(words.end(), more.begin(), more.end());
    const Result t = mneme(words);
    EXPECT_EQ(t.code, 0) << t.err;
    return last_metrics(folder / name);
  };
  const Json from_files = train("a", {"--task.data", files});
  EXPECT_TRUE(from_files.contains("loss")) << from_files;
  EXPECT_EQ(from_files, train("b", {"--task.questions", "100", "--task.decoys", "1"}));
  EXPECT_NE(from_files, train("c", {"--task.questions", "100"}));
}

TEST(StoriesCommand, NothingIsWrittenOver) {
  const Scratch folder;
  std::ofstream(folder / "qa3_own_test.txt") << "mine\n";
  const Result r = mneme({"stories", folder.path().string(), "--task.number", "2:4"});
  EXPECT_EQ(r.code, 2);
  EXPECT_NE(r.err.find("qa3_own_test.txt] exists already; --force replaces it"), std::string::npos) << r.err;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
  EXPECT_EQ(read_file(folder / "qa3_own_test.txt"), "mine\n");
  // Neither beside other files of the same task: task.data would find two.
  fs::rename(folder / "qa3_own_test.txt", folder / "qa3_three_test.txt");
  const Result beside = mneme({"stories", folder.path().string(), "--task.number", "2:4"});
  EXPECT_EQ(beside.code, 2);
  EXPECT_NE(beside.err.find("qa3_three_test.txt] is of task 3 too, so task.data would find two files"),
            std::string::npos)
      << beside.err;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
  EXPECT_EQ(mneme({"stories", folder.path().string(), "--task.number", "4", "--task.questions", "20"}).code, 0);
}

}  // namespace
}  // namespace mneme::tools_test
