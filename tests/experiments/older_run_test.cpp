// Room: tests. Runs that older versions left (golden/README.md): they go on as their own program would have gone on.
#include "core/json.hpp"
#include "experiments/evaluate.hpp"
#include "places.hpp"
#include "tests/experiments/support.hpp"
#include "trace/reader.hpp"

#include <fmt/core.h>

#include <sstream>

namespace mneme::experiments {
namespace {

constexpr const char* kName = "run-0.1.0-511ddd0";
constexpr std::uint64_t kAt60 = 0x4637bc8dceae3b86, kAt120 = 0x1dd6816dd188464c;
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

/// Whether this program adds numbers up in the order of the one that made the run: same compiler, flags, CPU and BLAS.
bool same_arithmetic(const Json& mine, const Json& other) {
  for (const char* what : {"compiler", "flags", "cpu", "blas", "simd"})
    if (mine.value(what, "") != other.value(what, "")) return false;
  return true;
}

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
  for (std::size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], kLosses[i], 1e-4) << i;
  const std::uint64_t hash = inspect_checkpoint(find_checkpoint(copy.run(), "last")).parameter_hash;
  if (same_arithmetic(run_json(copy.run())["environment"], run_json(stored())["environment"])) {
    EXPECT_EQ(hash, kAt120);
  } else {
    fmt::print("another compiler, CPU or BLAS than the run's: its losses are compared, its bits are not\n");
  }
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
