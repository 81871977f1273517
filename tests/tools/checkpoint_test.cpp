// Room: tests. `mneme checkpoint`: what it says of a file, and weights out of one run and into another.
#include "core/json.hpp"
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace mneme::tools_test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(CheckpointCommand, InfoSaysWhatIsInIt) {
  const Result r = mneme({"checkpoint", "info", tiny_run().string(), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(r.out);
  for (const char* key :
       {"path",       "schema_version", "producer",        "git_rev",        "config_hash",  "seed",
        "task",       "model",          "memory",          "controller",     "optimizer",    "sequences",
        "updates",    "solved",         "last_evaluation", "parameter_hash", "content_hash", "origin",
        "parameters", "count",          "buffers",         "optimizer_state"})
    EXPECT_TRUE(j.contains(key)) << key;
  const Json run = parse_json(read_file(tiny_run() / "run.json"));
  EXPECT_EQ(j["config_hash"], run["config_hash"]);
  EXPECT_EQ(j["count"], run["parameters"]);
  EXPECT_EQ(j["sequences"], 60);
  EXPECT_EQ(j["task"], "copy");
  EXPECT_EQ(j["seed"], 1);
  EXPECT_TRUE(j["origin"].is_null());
  bool found = false;
  for (const Json& p : j["parameters"])
    if (p["name"] == "controller.layer_0.bias") {
      found = true;
      EXPECT_EQ(p["shape"], parse_json("[4, 12]"));
      EXPECT_EQ(p["count"], 48);
    }
  EXPECT_TRUE(found);
  ASSERT_FALSE(j["optimizer_state"].empty());
  for (const Json& slot : j["optimizer_state"]) EXPECT_EQ(slot["count"], j["count"]) << slot["name"];

  const Result text = mneme({"checkpoint", "info", tiny_run().string(), "--checkpoint", "60"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(contains(text.out, "task copy, model cell, memory ntm, controller lstm")) << text.out;
  EXPECT_TRUE(contains(text.out, "controller.layer_0.bias              [4 12]                  48")) << text.out;
  const Result file = mneme({"checkpoint", "info", j["path"].get<std::string>()});
  EXPECT_EQ(file.out, text.out);
  EXPECT_EQ(mneme({"checkpoint", "info", tiny_run().string(), "--checkpoint", "61"}).code, 2);
}

TEST(CheckpointCommand, ARunGoesOutAndComesBack) {
  const Scratch folder;
  const std::string run = tiny_run().string();
  for (const char* format : {"safetensors", "npy"}) {
    const std::string out = (folder / format).string(), again = out + "_run";
    Result r = mneme({"checkpoint", "export", run, "--format", format, "--out", out});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(contains(r.out, out + ": 9 arrays, ")) << r.out;
    r = mneme({"checkpoint", "export", run, "--format", format, "--out", out});
    EXPECT_EQ(r.code, 2);
    EXPECT_TRUE(contains(r.err, "[" + out + "] exists already")) << r.err;
    r = mneme({"checkpoint", "import", out, "--out", again});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(contains(r.out, "optimizer state fresh")) << r.out;
    EXPECT_TRUE(contains(r.err, "next: mneme eval " + again)) << r.err;
    const auto hash = [](const std::string& of) {
      return parse_json(mneme({"checkpoint", "info", of, "--json"}).out).at("parameter_hash");
    };
    EXPECT_EQ(hash(again), hash(run));
    const auto judged = [](const std::string& of) {
      return parse_json(mneme({"eval", of, "--episodes", "5", "--json"}).out).at("results");
    };
    EXPECT_EQ(judged(again), judged(run));
    EXPECT_EQ(mneme({"checkpoint", "import", out, "--out", again}).code, 2) << "a run is never overwritten";
  }
}

TEST(CheckpointCommand, BadFilesHaveExitThreeAndBadFitsExitTwo) {
  const Scratch folder;
  const fs::path good = folder / "w.safetensors", bad = folder / "bad.safetensors";
  ASSERT_EQ(mneme({"checkpoint", "export", tiny_run().string(), "--out", good.string()}).code, 0);
  const std::string bytes = read_file(good);
  std::ofstream(bad, std::ios::binary) << bytes.substr(0, bytes.size() - 3);
  const std::string out = (folder / "run").string();
  Result r = mneme({"checkpoint", "import", bad.string(), "--out", out});
  EXPECT_EQ(r.code, 3);
  EXPECT_EQ(r.out, "");
  EXPECT_TRUE(contains(r.err, bad.string())) << r.err;
  EXPECT_TRUE(contains(r.err, "truncated")) << r.err;

  r = mneme({"checkpoint", "import", good.string(), "--into", "copy_ntm", "--out", out});
  EXPECT_EQ(r.code, 2);
  EXPECT_TRUE(contains(r.err, "other shape: controller.layer_0.bias is [4 100] in the model, [4 12] in the file"))
      << r.err;

  std::ofstream(folder / "names.txt") << "# ours\nreadout.weigth readout.weight\n";
  r = mneme({"checkpoint", "import", good.string(), "--map", (folder / "names.txt").string(), "--out", out});
  EXPECT_EQ(r.code, 2);
  EXPECT_TRUE(contains(r.err, "names.txt:2: the file has no 'readout.weigth', did you mean 'readout.weight'?"))
      << r.err;

  ASSERT_EQ(
      mneme({"checkpoint", "export", tiny_run().string(), "--format", "npy", "--out", (folder / "npy").string()}).code,
      0);
  fs::remove(folder / "npy" / "index.json");
  r = mneme({"checkpoint", "import", (folder / "npy").string(), "--out", out});
  EXPECT_EQ(r.code, 2);
  EXPECT_TRUE(contains(r.err, "[--into] is missing: ")) << r.err;
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace mneme::tools_test
