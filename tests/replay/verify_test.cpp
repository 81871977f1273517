// Room: tests. replay/verify: what training logged is what the equations say, for every scheme, order and number of
// heads; and a trace that cannot be verified says so.
#include "replay/verify.hpp"
#include "tests/replay/small_trace.hpp"
#include "trace/hdf5.hpp"
#include "trace/reader.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

namespace mneme {
namespace {

namespace fs = std::filesystem;
using replay_test::Scratch;
using replay_test::small_trace;

std::string all_failures(const replay::Report& report) {
  std::string text;
  for (const auto& m : report.failures) text += m.text() + "\n";
  for (const auto& f : report.faults) text += f + "\n";
  return text;
}

using Keys = std::vector<std::pair<std::string, std::string>>;

class VerifyNtm : public testing::TestWithParam<Keys> {};

TEST_P(VerifyNtm, LoopsAgreeWithTraining) {
  const Scratch folder("verify");
  const auto report = replay::verify(small_trace(folder.path(), GetParam()));
  EXPECT_TRUE(report.ok()) << all_failures(report);
  EXPECT_LE(report.max_abs_difference, 1e-5) << report.worst.text();
  EXPECT_GT(report.max_abs_difference, 0) << "float32 against float64 is never quite equal: was anything compared?";
  EXPECT_EQ(report.episodes, 3u);
  EXPECT_GT(report.steps, 30u);
  const bool one_keyframe = GetParam() == Keys{{"trace.keyframe-every", "1000"}};
  for (const auto& c : report.coverage) {
    EXPECT_EQ(c.how, "reference loops") << c.what;
    // The memory is compared where a keyframe follows another, and everywhere through what is read from it.
    EXPECT_EQ(c.values == 0, c.what == "memory" && one_keyframe) << c.what;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, VerifyNtm,
    testing::Values(
        Keys{}, Keys{{"memory.order", "read-first"}}, Keys{{"memory.read-addressing", "content"}},
        Keys{{"memory.read-addressing", "location"}, {"memory.write-addressing", "location"}},
        Keys{{"memory.read-heads", "2"}, {"memory.read-addressing", "content,location"}, {"trace.level", "full"}},
        Keys{{"memory.read-heads", "2"}, {"memory.write-heads", "3"}, {"memory.shift-range", "5"}},
        Keys{{"memory.order", "read-first"}, {"memory.write-heads", "2"}, {"trace.level", "full"}},
        Keys{{"memory.initial-memory", "random"}, {"memory.initial-weights", "zero"}},
        Keys{{"memory.initial-memory", "learned-slots"}, {"memory.initial-weights", "learned"}},
        Keys{{"memory.normalize", "sparsemax"}, {"trace.level", "full"}},
        Keys{{"memory.normalize", "sparsemax"}, {"memory.read-addressing", "content"}}, Keys{{"memory.slots", "1"}},
        Keys{{"memory.slots", "2"}, {"memory.shift-range", "7"}}, Keys{{"trace.keyframe-every", "1"}},
        Keys{{"trace.keyframe-every", "1000"}}));

Keys story(const Keys& more) {
  Keys keys = {{"task", "babi"}, {"task.number", "2"}, {"model", "memory_network"}, {"memory.hops", "2"}};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

/// Hops over statements, recomputed by the memory itself; what has weights of its own is named and nothing else.
TEST(Verify, HopsFollowFromTheLoggedStatements) {
  const std::string first = "/sites/hop_0/weights", second = "/sites/hop_1/weights", query = "/memory/query";
  const std::vector<std::pair<Keys, std::vector<std::string>>> cases = {
      {story({{"memory", "end_to_end"}}), {}},
      {story({{"memory", "end_to_end"}, {"memory.empty-slots", "false"}, {"trace.keyframe-every", "1"}}), {}},
      {story({{"memory", "end_to_end"}, {"memory.tying", "layer-wise"}, {"trace.keyframe-every", "1"}}),
       {second, query}},
      {story({{"memory", "key_value"}, {"trace.keyframe-every", "1"}}), {second, query}},
      {story({{"memory", "key_value"}, {"memory.hops", "1"}, {"memory.score", "cosine"}}), {query}},
      {story({{"memory", "key_value"}, {"memory.score", "additive"}}), {first, second, query}},
      {{{"task", "babi"}, {"model", "cell"}, {"memory", "end_to_end"}}, {}},
  };
  for (const auto& [keys, trained] : cases) {
    const Scratch folder("hops");
    const auto report = replay::verify(small_trace(folder.path(), keys));
    EXPECT_TRUE(report.ok()) << all_failures(report);
    EXPECT_EQ(report.needs_model, trained) << testing::PrintToString(keys);
    EXPECT_GT(report.max_abs_difference, 0) << "was anything compared?";
    for (const auto& c : report.coverage) {
      EXPECT_EQ(c.how, "the memory's own functions in float64") << c.what;
      EXPECT_TRUE(c.values > 0 || c.what == "memory") << c.what;
    }
    for (const std::string& name : trained)
      EXPECT_TRUE(std::any_of(report.not_recomputed.begin(), report.not_recomputed.end(),
                              [&](const auto& n) { return n.starts_with(name + ": needs the model's weights"); }));
  }
}

/// A probability that was rounded to nothing says how large the loss is at least, not that it may be anything.
TEST(Verify, ALossBesideAnOutputOfZeroIsAtLeastThat) {
  const auto with = [&](float output, float loss) {
    const Scratch folder("zero");
    const auto path = small_trace(folder.path(), {}, 1);
    {
      trace::File f = trace::File::open_for_writing(path);
      const auto mask = f.read<std::uint8_t>("/io/mask");
      auto target = f.read<float>("/io/target"), outputs = f.read<float>("/io/output");
      const auto scored = static_cast<std::size_t>(std::find(mask.begin(), mask.end(), 1) - mask.begin());
      const std::size_t channels = outputs.size() / mask.size();
      for (std::size_t i = 0; i < mask.size() * channels; ++i) outputs[i] = target[i];  // no loss but the one below
      target[scored * channels] = 1;
      outputs[scored * channels] = output;
      f.dataset("/io/target").overwrite(trace::Scalar::f32, target.data());
      f.dataset("/io/output").overwrite(trace::Scalar::f32, outputs.data());
      f.dataset("/episodes/loss").overwrite(trace::Scalar::f32, &loss);
      f.close();
    }
    const auto report = replay::verify(path);
    return std::none_of(report.failures.begin(), report.failures.end(),
                        [](const auto& m) { return m.dataset == "/episodes/loss"; });
  };
  EXPECT_TRUE(with(0, 90)) << "e^-90 is 0 in float32";
  EXPECT_FALSE(with(0, 40)) << "e^-40 is not";
  EXPECT_TRUE(with(1e-10f, 23.0258509f));
  EXPECT_FALSE(with(1e-10f, 24));
}

/// A sound trace that holds nothing to recompute a weighting from is no failure; what it holds is verified.
TEST(Verify, SaysWhyItCannot) {
  const Scratch folder("cannot");
  const auto report = replay::verify(small_trace(folder.path(), {{"trace.level", "weights"}}));
  EXPECT_TRUE(report.ok()) << all_failures(report);
  EXPECT_NE(report.nothing.find("was written at level weights, without head parameters"), std::string::npos);
  EXPECT_EQ(report.values, 9u) << "loss, error and correct of three episodes";
}

TEST(Verify, NoMemoryIsNothingToVerify) {
  const Scratch folder("none");
  const auto report = replay::verify(small_trace(folder.path(), {{"memory", "none"}}));
  EXPECT_TRUE(report.ok()) << all_failures(report);
  EXPECT_NE(report.nothing.find("holds no attention sites"), std::string::npos) << report.nothing;
}

TEST(Verify, RepackedWithoutLossIsVerified) {
  if (std::system("h5repack -V > /dev/null 2>&1") != 0) GTEST_SKIP() << "h5repack is not installed";
  const Scratch folder("repacked");
  const auto packed = small_trace(folder.path()), again = folder.path() / "again.trace.h5";
  for (const char* how : {"-f NONE", "-f GZIP=9", "-l CONTI"}) {
    std::filesystem::remove(again);
    ASSERT_EQ(std::system(fmt::format("h5repack {} '{}' '{}'", how, packed.string(), again.string()).c_str()), 0);
    const auto report = replay::verify(again);
    EXPECT_TRUE(report.ok()) << how << ": " << all_failures(report);
    ASSERT_EQ(report.remarks.size(), 1u);
    EXPECT_NE(report.remarks[0].find("carry no checksums"), std::string::npos);
  }
}

TEST(Verify, TellsProgressForEachEpisode) {
  const Scratch folder("progress");
  std::vector<std::size_t> done;
  replay::VerifyOptions options;
  options.progress = [&](std::size_t n, std::size_t all) {
    EXPECT_EQ(all, 3u);
    done.push_back(n);
  };
  replay::verify(small_trace(folder.path()), options);
  EXPECT_EQ(done, (std::vector<std::size_t>{1, 2, 3}));
}

TEST(Rebuild, MemoryMatchesTheKeyframes) {
  const Scratch folder("rebuild");
  const trace::Reader reader(small_trace(folder.path()));
  const trace::Episode e = reader.episode(1);
  const auto memory = replay::rebuild_memory(reader.layout(), e);
  ASSERT_EQ(memory.size(), e.steps);
  const std::size_t size = reader.layout().slots * reader.layout().cells;
  for (std::size_t k = 1; k < e.keyframes.size(); ++k)  // before the write of its step: after that of the step before
    for (std::size_t i = 0; i < size; ++i)
      EXPECT_NEAR(e.memory[0][k * size + i], memory[static_cast<std::size_t>(e.keyframes[k]) - 1][i], 1e-5);
  const auto values = replay::read_values(reader.layout(), e, 0);
  ASSERT_EQ(values.size(), e.steps);
  EXPECT_EQ(values[0].size(), reader.layout().cells);
}

/// The trace of an episode at which training diverges: the bias of its outputs is infinite.
fs::path diverged_trace(const fs::path& folder) {
  const auto config = experiments::Config::from({{"task", "copy", ""},
                                                 {"task.width", "4", ""},
                                                 {"memory.slots", "6", ""},
                                                 {"memory.width", "5", ""},
                                                 {"controller.hidden", "9", ""}});
  experiments::Session session(config, 1);
  ParameterSet<float>& set = session.parameters();
  for (std::size_t i = 0; i < set.parameters().size(); ++i)
    if (set.parameters()[i].name == "readout.bias") set.value(i)[0] = INFINITY;
  const auto layout =
      experiments::make_layout(config, session.task(), session.model().components(), "train", 0, trace::Level::params);
  experiments::Recorder recorder(layout, session.model().components(), session.task().spec());
  EXPECT_THROW(session.explain(0, &recorder), NonFiniteError);
  trace::Sink sink(folder / "diverged.trace.h5", layout);
  sink.append(recorder.episode(0));
  sink.close();
  return sink.files().at(0);
}

TEST(VerifyDiverged, AnEpisodeWithoutAnAnswerHasNoError) {
  const Scratch folder("diverged");
  const fs::path own = diverged_trace(folder.path());
  const trace::Episode e = trace::Reader(own).summary(0);
  EXPECT_TRUE(std::isnan(e.loss) && std::isnan(e.error)) << e.loss << " " << e.error;
  EXPECT_FALSE(e.correct);
  const auto report = replay::verify(own);
  EXPECT_TRUE(report.ok()) << all_failures(report);
  EXPECT_GT(report.values, 100u) << "its weightings are compared";

  const auto with = [&](float loss, float error, std::uint8_t correct) {
    trace::File f = trace::File::open_for_writing(own);
    f.dataset("/episodes/loss").overwrite(trace::Scalar::f32, &loss);
    f.dataset("/episodes/error").overwrite(trace::Scalar::f32, &error);
    f.dataset("/episodes/correct").overwrite(trace::Scalar::u8, &correct);
    f.close();
    return replay::verify(own);
  };
  EXPECT_TRUE(with(NAN, 0, 0).ok()) << "what 511ddd0 wrote: " << all_failures(with(NAN, 0, 0));
  EXPECT_NE(all_failures(with(NAN, 31, 0)).find("/episodes/error: episode 0: is 31, correct 0, beside a loss of nan"),
            std::string::npos);
  EXPECT_FALSE(with(NAN, 0, 1).ok());
  EXPECT_FALSE(with(NAN, NAN, 1).ok());
  EXPECT_FALSE(with(1, NAN, 0).ok());
}

}  // namespace
}  // namespace mneme
