// Room: tests. Runs that older versions left (golden/README.md): they go on as their own program would have gone on.
#include "core/json.hpp"
#include "experiments/judge/evaluate.hpp"
#include "places.hpp"
#include "tests/experiments/support.hpp"
#include "trace/reader.hpp"

#include <fmt/core.h>

#include <sstream>

namespace mneme::experiments {
namespace {

constexpr const char* kName = "run-0.1.0-511ddd0";
constexpr std::uint64_t kAt60 = 0x4637bc8dceae3b86;
/// Every ten sequences, of its own program: six lines written before the resume, six after.
constexpr double kLosses[] = {2.09359553, 2.23271518, 2.05079,    1.54799165, 2.09428378, 1.87791591,
                              1.89703069, 1.65807663, 2.05367368, 1.91118554, 1.48303568, 1.11585497};

fs::path stored() {
  return fs::path(MNEME_SOURCE_DIR) / "tests/experiments/golden" / kName;
}

struct Copy : Folder {
  Copy() { fs::copy(stored(), *this / "run", fs::copy_options::recursive); }
  fs::path run() const { return *this / "run"; }
};

TEST(OlderRun, ItsCheckpointIsRead) {
  const CheckpointInfo info = inspect_checkpoint(find_checkpoint(stored(), "last"));
  EXPECT_EQ(info.version, "1.0.0");
  EXPECT_TRUE(info.git_rev.starts_with("511ddd0")) << info.git_rev;
  EXPECT_EQ(info.state.sequences, 60u);
  EXPECT_EQ(info.parameter_hash, kAt60);
  Session s(Config::stored(info.config_text, kName), 1);
  RunState state;
  load_checkpoint(info.path, s.parameters(), &s.optimizer(), &state);
  EXPECT_EQ(parameter_hash(s.parameters()), kAt60);
  EXPECT_EQ(state.updates, 60u);
}

TEST(OlderRun, ItGoesOnAsItsOwnProgramDoes) {
  const Copy copy;
  EXPECT_EQ(go_on(copy.run(), {{"train.max-sequences", "120", ""}}).sequences, 120u);
  std::istringstream lines(read_file(copy.run() / "metrics.jsonl"));
  std::vector<double> losses;
  for (std::string line; std::getline(lines, line);) losses.push_back(parse_json(line)["loss"]);
  ASSERT_EQ(losses.size(), std::size(kLosses));
  // To rounding: products of few terms add up in an order of their own since then, and in small nets like this one's it
  // is not the BLAS's.
  for (std::size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], kLosses[i], 1e-5) << i;
}

TEST(OlderRun, ItIsEvaluatedAndItsTraceIsSound) {
  const Copy copy;
  const Evaluation e = evaluate(copy.run(), {.episodes = 4});
  EXPECT_EQ(e.checkpoint.filename(), "step-000000060.ckpt.h5");
  go_on(copy.run(), {{"train.max-sequences", "120", ""}});
  std::vector<std::int64_t> sequences;
  for (const char* name : {"train.000.trace.h5", "train.001.trace.h5"}) {
    EXPECT_EQ(trace::check(copy.run() / "traces" / name), std::vector<std::string>{}) << name;
    const trace::Reader reader(copy.run() / "traces" / name);
    for (std::size_t i = 0; i < reader.episodes(); ++i) sequences.push_back(reader.summary(i).sequence);
  }
  EXPECT_EQ(sequences, (std::vector<std::int64_t>{0, 30, 60, 90}));
}

}  // namespace
}  // namespace mneme::experiments
