// Room: tests. One number changed in each dataset of a trace, the file's checksums made right again: verify names the
// dataset (or the one that is computed from it, and from what), the episode and the step.
#include "replay/verify.hpp"
#include "tests/replay/small_trace.hpp"
#include "trace/hdf5.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace mneme {
namespace {

using replay_test::Scratch;
namespace fs = std::filesystem;

/// What no rule can recompute, and why that is so.
const std::map<std::string, std::string> not_covered = {
    {"/io/input", "the task drew it"},
    {"/io/phase", "the task's own division of the episode"},
    {"/controller/layer_0_h", "needs the model's weights"},
    {"/controller/layer_0_c", "needs the model's weights"},
    {"/sites/read_0/initial_value", "only the controller sees it"},
    {"/sites/read_1/initial_value", "only the controller sees it"},
    {"/episodes/sequence", "a name"},
    {"/episodes/seed", "a name"},
    {"/episodes/checkpoint_hash", "a name"},
    {"/episodes/param_length", "what the task drew"},
};

/// The same for a memory network on stories.
const std::map<std::string, std::string> not_covered_in_stories = {
    {"/io/output", "the true answer's probability alone makes the loss"},
    {"/io/token", "the task drew it"},
    {"/items/support", "the task drew it"},
    {"/items/token", "the task drew it"},
    {"/episodes/param_task", "what the task drew"},
    {"/episodes/param_statements", "what the task drew"},
    {"/episodes/param_unknown_words", "what the task drew"},
    {"/episodes/error", "only wrong bits are counted again"},
    {"/episodes/correct", "only wrong bits are counted again"},
    {"/sites/hop_0/initial_value", "a hop reads nothing before it"},
    {"/sites/hop_1/initial_value", "a hop reads nothing before it"},
    {"/sites/hop_0/initial_weights", "a hop has no weights before it"},
    {"/sites/hop_1/initial_weights", "a hop has no weights before it"},
};

constexpr std::size_t episode = 1;

struct Place {
  fs::path path;
  std::size_t step_begin = 0, keyframe = 0, keyframe_step = 0;
  std::size_t step = 9;  ///< between two keyframes, on the answer; of a question its last word
};

Place place_of(const fs::path& path) {
  const trace::File f = trace::File::open(path);
  Place p{path};
  p.step_begin = static_cast<std::size_t>(f.read<std::int64_t>("/episodes/step_begin")[episode]);
  p.keyframe = static_cast<std::size_t>(f.read<std::int64_t>("/episodes/keyframe_begin")[episode]) + 1;
  const auto steps = static_cast<std::size_t>(f.read<std::int32_t>("/episodes/step_count")[episode]);
  p.step = std::min(p.step, steps - 1);
  p.keyframe_step = static_cast<std::size_t>(f.read<std::int64_t>("/keyframe")[p.keyframe]) - p.step_begin;
  return p;
}

/// Changes number `at` of the dataset, in its own type.
void change(const fs::path& path, const trace::DatasetInfo& about, std::size_t at, double by) {
  trace::File f = trace::File::open_for_writing(path);
  const auto put = [&](auto values) {
    using T = typename decltype(values)::value_type;
    const auto old = static_cast<double>(values.at(at));
    const bool share = about.type == "u8" || about.name == "/io/output";  // stays one
    const double step = about.name == "/io/phase" ? -1 : old < 0.5 ? by : -by;
    values.at(at) = static_cast<T>(old + (share ? step : by));
    f.dataset(about.name).overwrite(trace::scalar_of<T>(), values.data());
  };
  if (about.type == "f32") put(f.read<float>(about.name));
  if (about.type == "i32") put(f.read<std::int32_t>(about.name));
  if (about.type == "i64") put(f.read<std::int64_t>(about.name));
  if (about.type == "u64") put(f.read<std::uint64_t>(about.name));
  if (about.type == "u8") put(f.read<std::uint8_t>(about.name));
  f.close();
}

struct Target {
  std::size_t row = 0;
  std::int64_t step = -1;  ///< that the failure must name; -1 = none
};

/// Where to change a dataset, and which step the failure must name: of a write after the reads, the step that reads it.
Target target_of(const trace::DatasetInfo& about, const Place& p, bool write_first = true) {
  const std::string axis = about.scales.empty() || about.scales[0].empty() ? about.name : about.scales[0];
  if (axis == "/item_row" || axis == "/token_row") return {p.step_begin + p.step};
  if (axis == "/episode") return {episode, about.name.ends_with("initial_weights") ? 0 : -1};
  if (axis == "/keyframe") return {p.keyframe, static_cast<std::int64_t>(p.keyframe_step)};
  const bool written = about.name.ends_with("/erase") || about.name.ends_with("/add");
  return {p.step_begin + p.step, static_cast<std::int64_t>(written && !write_first ? p.step + 1 : p.step)};
}

/// The text that says so; empty where nothing was found.
std::string finding(const fs::path& path, const std::string& dataset, std::int64_t at_step) {
  const std::string leaf = dataset.substr(dataset.rfind('/') + 1);
  replay::Report report;
  try {
    report = replay::verify(path);
  } catch (const FileError& e) {
    return e.what();  // tables that no longer fit together
  }
  if (report.ok()) return "";
  for (const auto& m : report.failures) {
    const bool named = m.dataset == dataset || m.rule.find(leaf) != std::string::npos;
    if (named && m.episode == static_cast<std::int64_t>(episode) && (m.step == at_step || m.step < 0)) return m.text();
  }
  for (const std::string& f : report.faults) {
    const bool here = at_step < 0 || f.find("episode 1, step " + std::to_string(at_step)) != std::string::npos ||
                      f.find("episode 1, row " + std::to_string(at_step)) != std::string::npos;
    if (f.find(dataset) == 0 && here) return f;
    // A wrong number of tokens shows in what is counted by it.
    if (dataset == "/items/token_count" && (f.find("/token_row") == 0 || f.find("/items/token_begin") == 0)) return f;
  }
  std::string all = "unplaced: ";
  for (const auto& m : report.failures) all += m.text() + "; ";
  for (const auto& f : report.faults) all += f + "; ";
  return all;
}

std::vector<std::pair<std::string, std::string>> story(const std::string& memory) {
  return {{"task", "babi"},     {"task.number", "2"},  {"model", "memory_network"},   {"memory", memory},
          {"memory.hops", "2"}, {"memory.width", "6"}, {"trace.keyframe-every", "1"}, {"trace.level", "full"}};
}

class Mutation : public testing::TestWithParam<std::vector<std::pair<std::string, std::string>>> {};

TEST_P(Mutation, EveryDatasetIsCoveredOrNamed) {
  const Scratch folder("mutation");
  const fs::path sound = replay_test::small_trace(folder.path(), GetParam());
  ASSERT_TRUE(replay::verify(sound).ok());
  const Place place = place_of(sound);
  const fs::path changed = folder.path() / "changed.trace.h5";
  const trace::File f = trace::File::open(sound);
  std::map<std::string, std::string> missing = not_covered;
  if (f.exists("/items/token")) missing.insert(not_covered_in_stories.begin(), not_covered_in_stories.end());
  if (f.exists("/memory/keys")) missing["/memory/query"] = "needs the model's weights";
  std::size_t covered = 0;
  for (const std::string& name : f.datasets()) {
    const trace::DatasetInfo about = f.describe(name);
    const bool fixed_axis = about.is_scale && !about.unlimited.empty() && !about.unlimited[0];
    if (name.rfind("/meta/", 0) == 0 || fixed_axis) continue;  // text, and the names of slots and channels
    const Target target = target_of(about, place, f.text_attr("/sites", "turns") == "write,read");
    std::size_t row_size = 1;
    for (std::size_t i = 1; i < about.dims.size(); ++i) row_size *= about.dims[i];
    fs::copy_file(sound, changed, fs::copy_options::overwrite_existing);
    // Enough to be seen; loss and error are of the whole episode, a mask or output of a scored step decides them.
    const bool output = name == "/io/output";
    const double by = output ? 0.5 : 0.25;
    const bool whole_number = about.type != "f32";
    change(changed, about, target.row * row_size + row_size / 2, whole_number && by < 1 ? 1 : by);
    const std::string found = finding(changed, name, target.step);
    if (missing.count(name)) {
      EXPECT_EQ(found, "") << name << " is covered after all: take it off the list";
      continue;
    }
    ++covered;
    EXPECT_NE(found, "") << name << ": a change went unnoticed";
    EXPECT_EQ(found.rfind("unplaced", 0), std::string::npos) << name << ": " << found;
  }
  EXPECT_GT(covered, 20u);
}

TEST_P(Mutation, NoNumberIsFoundEverywhere) {
  const Scratch folder("nan");
  const fs::path sound = replay_test::small_trace(folder.path(), GetParam());
  const Place place = place_of(sound);
  const fs::path changed = folder.path() / "changed.trace.h5";
  const trace::File f = trace::File::open(sound);
  for (const std::string& name : f.datasets()) {
    const trace::DatasetInfo about = f.describe(name);
    if (about.type != "f32") continue;
    const Target target = target_of(about, place);
    std::size_t row_size = 1;
    for (std::size_t i = 1; i < about.dims.size(); ++i) row_size *= about.dims[i];
    fs::copy_file(sound, changed, fs::copy_options::overwrite_existing);
    change(changed, about, target.row * row_size, std::numeric_limits<double>::quiet_NaN());
    EXPECT_FALSE(replay::verify(changed).ok()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Mutation,
                         testing::Values(std::vector<std::pair<std::string, std::string>>{{"trace.level", "full"}},
                                         std::vector<std::pair<std::string, std::string>>{
                                             {"memory.order", "read-first"},
                                             {"memory.read-heads", "2"},
                                             {"memory.read-addressing", "content,location"},
                                             {"trace.level", "full"}},
                                         std::vector<std::pair<std::string, std::string>>{
                                             {"memory.normalize", "sparsemax"}, {"trace.level", "full"}},
                                         std::vector<std::pair<std::string, std::string>>{{"memory.normalize", "top_k"},
                                                                                          {"memory.top-k", "2"}},
                                         std::vector<std::pair<std::string, std::string>>{{"memory.score", "distance"},
                                                                                          {"memory.normalize", "top_k"},
                                                                                          {"memory.top-k", "3"},
                                                                                          {"memory.sharpen", "false"},
                                                                                          {"trace.level", "full"}},
                                         story("end_to_end"), story("key_value")));

}  // namespace
}  // namespace mneme
