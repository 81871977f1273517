// Room: tests. From training to a figure with the program alone, signals and damaged files on the way.
#include "core/json.hpp"
#include "places.hpp"
#include "tests/tools/program.hpp"
#include "tests/trace/sample.hpp"
#include "trace/hdf5.hpp"
#include "trace/sink.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <thread>

namespace mneme::tools_test {
namespace {

using Words = std::vector<std::string>;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

fs::path trace_of(const fs::path& run) {
  return run / "traces" / "train.000.trace.h5";
}

Json run_json(const fs::path& run) {
  return parse_json(read_file(run / "run.json"));
}

TEST(Flow, TrainLeavesAWholeRun) {
  const fs::path& run = tiny_run();
  for (const char* name : {"config.ini", "run.json", "metrics.jsonl", "log.txt", "DONE"})
    EXPECT_TRUE(fs::exists(run / name)) << name;
  EXPECT_TRUE(fs::exists(trace_of(run)));
  const Json j = run_json(run);
  EXPECT_EQ(j.at("sequences"), 60);
  EXPECT_EQ(j.at("exit_reason"), "max_sequences");
  EXPECT_TRUE(j.at("solved_at_sequences").is_null());
  EXPECT_GT(j.at("parameters").get<int>(), 0);
  EXPECT_GT(j.at("seconds").get<double>(), 0);
}

TEST(Flow, ASecondRunNeedsAnotherFolder) {
  const Result r = mneme(tiny(tiny_run()));
  EXPECT_EQ(r.code, 2);
  EXPECT_TRUE(contains(r.err, "holds a run already")) << r.err;
}

TEST(Flow, TheResultAsJson) {
  const Scratch folder;
  const Result r = mneme(tiny(folder / "run", {"--json", "--max-sequences=10"}));
  EXPECT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(r.out);
  EXPECT_EQ(j.at("sequences"), 10);
  EXPECT_EQ(j.at("directory"), (folder / "run").string());
}

TEST(Flow, DryRunSaysTheConfigurationAndDoesNothing) {
  const Scratch folder;
  const Result r = mneme(tiny(folder / "run", {"--dry-run"}));
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_FALSE(fs::exists(folder / "run"));
  EXPECT_TRUE(contains(r.out, "slots = 12"));
  std::ofstream(folder / "again.ini") << r.out;
  EXPECT_EQ(mneme({"train", (folder / "again.ini").string(), "--dry-run"}).out, r.out) << "what is printed runs again";
}

TEST(Flow, ShowPrintsAFileThatRuns) {
  const Scratch folder;
  const Result r = mneme({"show", "copy_ntm", "--memory.slots", "16", "--controller.hidden=10"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "# time: ")) << r.out;
  std::ofstream(folder / "shown.ini") << r.out;
  EXPECT_EQ(mneme({"train", (folder / "shown.ini").string(), "--dry-run"}).code, 0);
}

TEST(Flow, EvalJudgesEachLength) {
  const Result r = mneme({"eval", tiny_run().string(), "--lengths", "3,5", "--episodes", "3", "--seed", "7", "--json"});
  EXPECT_EQ(r.code, 0) << r.err;
  const Json results = parse_json(r.out).at("results");
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].at("length"), 3);
  EXPECT_EQ(results[1].at("episodes"), 3);
  for (const char* name : {"bits_per_sequence", "wrong_bits_per_sequence"})
    EXPECT_TRUE(results[0].at(name).is_number()) << name;
  EXPECT_TRUE(contains(mneme({"eval", tiny_run().string(), "--episodes", "2"}).out, "wrong_bits_per_sequence"));
}

TEST(Flow, EvalJudgesOtherNumbersOfSlots) {
  const Words asked = {"eval", tiny_run().string(), "--lengths", "3,15", "--slots", "12,24", "--episodes", "3"};
  const Result r = mneme(asked);
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "length  slots  episodes")) << r.out;
  Words json = asked;
  json.push_back("--json");
  const Json results = parse_json(mneme(json).out).at("results");
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[3].at("length"), 15);
  EXPECT_EQ(results[3].at("slots"), 24);
  const Result two = mneme({"eval", tiny_run().string(), "--lengths", "3x5"});
  EXPECT_EQ(two.code, 2);
  EXPECT_TRUE(contains(two.err, "[--lengths] 3x5 is 2 numbers; of task 'copy' it takes length alone: 20,40"))
      << two.err;
}

TEST(Flow, ALengthOfTwoPartsIsHintedAtAndJudged) {
  const Scratch folder;
  const std::string run = (folder / "run").string();
  const Result trained = mneme(tiny(run, {"--task=repeat_copy", "--task.repeats=1:2"}));
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(contains(trained.err, " --lengths 6x2,12x2,6x4\n")) << trained.err;
  const Result r = mneme({"eval", run, "--lengths", "6x2,12x2,6x4", "--episodes", "2"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "12x2")) << r.out;
  const Result one = mneme({"eval", run, "--lengths", "6", "--episodes", "2"});
  EXPECT_EQ(one.code, 2);
  EXPECT_TRUE(contains(one.err, "it takes length x repeats: 10x20,20x10")) << one.err;
}

TEST(Flow, HeldOutEpisodesHaveNumbersOfTheirOwn) {
  const Scratch folder;
  const std::string run = (folder / "run").string();
  ASSERT_EQ(mneme(tiny(run)).code, 0);
  ASSERT_EQ(mneme({"eval", run, "--lengths", "4,5", "--episodes", "9", "--trace.level", "params"}).code, 0);
  const std::string trace = (folder / "run/traces/eval.000.trace.h5").string();
  const std::string list = mneme({"trace", "show", trace, "--list"}).out;
  EXPECT_TRUE(contains(list, "held-out:7")) << list;
  for (const Words& words : {Words{"trace", "show", trace, "--list"}, Words{"trace", "show", trace},
                             Words{"replay", trace, "--still"}, Words{"trace", "info", trace}}) {
    const Result r = mneme(words);
    EXPECT_FALSE(contains(r.out + r.err, "10995116277")) << words[0] << " " << r.out;
  }
  EXPECT_TRUE(contains(mneme({"trace", "show", trace, "--episode", "3"}).out, "held-out:3")) << "index and name";
  const Result twice = mneme({"trace", "show", trace, "--episode", "held-out:7"});
  EXPECT_EQ(twice.code, 2);
  EXPECT_TRUE(contains(twice.err, "'held-out:7' is there 2 times, as episodes 7, 15")) << twice.err;
  const Result none = mneme({"trace", "show", trace, "--episode", "held-out:99"});
  EXPECT_EQ(none.code, 2);
  EXPECT_TRUE(contains(none.err, "'held-out:99' is not in the trace; it takes 0..15")) << none.err;
  EXPECT_TRUE(
      contains(mneme({"trace", "show", trace_of(run).string(), "--episode", "sequence:20"}).out, "sequence:20"));
}

TEST(Flow, TheHintAfterTrainingNamesLengthsOfTheTask) {
  const Scratch folder;
  EXPECT_TRUE(contains(mneme(tiny(folder / "run")).err, " --lengths 6,12,24\n")) << "trained on 3:6";
}

TEST(Flow, ReplayVerifies) {
  const Result r = mneme({"replay", trace_of(tiny_run()).string(), "--verify", "--json"});
  EXPECT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(r.out);
  EXPECT_LE(j.at("max_abs_difference").get<double>(), 1e-5);
  EXPECT_EQ(j.at("episodes"), 6);
  EXPECT_GT(j.at("steps").get<int>(), 6 * 6);
}

TEST(Flow, AChangedNumberIsNamedWithExitFive) {
  const Scratch folder;
  const fs::path changed = folder / "changed.trace.h5";
  fs::copy_file(trace_of(tiny_run()), changed);
  {
    trace::File f = trace::File::open_for_writing(changed);
    auto gate = f.read<float>("/sites/write_0/gate");
    const auto begin = f.read<std::int64_t>("/episodes/step_begin");
    float& value = gate.at(static_cast<std::size_t>(begin[2]) + 4);
    value = value > 0.5f ? value - 0.4f : value + 0.4f;
    f.dataset("/sites/write_0/gate").overwrite(trace::Scalar::f32, gate.data());
    f.close();
  }
  const Result json = mneme({"replay", changed.string(), "--verify", "--json"});
  EXPECT_EQ(json.code, 5);
  const Json first = parse_json(json.out).at("failures").at(0);
  EXPECT_EQ(first.at("dataset"), "/sites/write_0/gated");  // the first thing that the gate decides
  EXPECT_EQ(first.at("episode"), 2);
  EXPECT_EQ(first.at("step"), 4);
  const Result text = mneme({"replay", changed.string(), "--verify"});
  EXPECT_EQ(text.code, 5);
  EXPECT_TRUE(contains(text.err, "/sites/write_0/gated episode 2 step 4")) << text.err;
  EXPECT_TRUE(contains(text.err, "/sites/write_0/weights episode 2 step 4")) << text.err;
}

TEST(Flow, ATraceWithoutParametersIsNoFailure) {
  const Scratch folder;
  ASSERT_EQ(mneme(tiny(folder / "run", {"--trace.level=weights", "--trace.every=20"})).code, 2) << "given twice";
  Words words = tiny(folder / "run");
  for (std::string& w : words)
    if (w == "--trace.level=full") w = "--trace.level=weights";
  ASSERT_EQ(mneme(words).code, 0);
  const Result r = mneme({"replay", (folder / "run").string(), "--verify", "--json"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(parse_json(r.out)["nothing_recomputed"], "level weights")) << r.out;
  EXPECT_TRUE(contains(mneme({"replay", (folder / "run").string(), "--verify"}).out,
                       "sound, and no weighting or memory to verify: the trace was written at level weights"));
  EXPECT_EQ(mneme({"replay", (folder / "run").string()}).code, 0) << "it can still be looked at";
}

TEST(Flow, ANewerSchemaIsRefused) {
  const Scratch folder;
  const fs::path newer = folder / "newer.trace.h5";
  fs::copy_file(trace_of(tiny_run()), newer);
  {
    trace::File f = trace::File::open_for_writing(newer);
    f.set_attr("/", "schema_version", "3.0.0");
    f.close();
  }
  const Result r = mneme({"replay", newer.string(), "--verify"});
  EXPECT_EQ(r.code, 3);
  EXPECT_TRUE(contains(r.err, "newer")) << r.err;
}

TEST(Flow, DamagedCheckpointsAreExitThree) {
  const Scratch folder;
  fs::copy(tiny_run(), folder / "run", fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(folder / "run/checkpoints"))
    fs::resize_file(entry.path(), fs::file_size(entry.path()) / 2);
  const Result r = mneme({"eval", (folder / "run").string()});
  EXPECT_EQ(r.code, 3) << r.err;
  EXPECT_EQ(r.out, "");
}

TEST(Flow, RenderDrawsInThreeFormats) {
  const Scratch folder;
  const Result r = mneme({"trace", "render", tiny_run().string(), "--out", (folder / "f").string(), "--episode", "-1"});
  EXPECT_EQ(r.code, 0) << r.err;
  const std::string stem = (folder / "f" / "train.000-episode-5").string();
  EXPECT_TRUE(contains(read_file(stem + ".csv"), "Write Weightings,write_0,"));
  for (const char* state : {"layer_0_h", "layer_0_c"})
    EXPECT_TRUE(contains(read_file(stem + ".csv"), "\"Controller: " + std::string(state) + "\",,0,11,"))
        << "of 12 units";
  EXPECT_TRUE(contains(read_file(stem + ".gp"), "pngcairo"));
  for (const char* end : {".csv", ".dat", ".gp"}) EXPECT_TRUE(contains(r.out, stem + end));
  if (contains(r.err, "gnuplot is not installed")) GTEST_SKIP() << "no gnuplot here";
  EXPECT_EQ(read_file(stem + ".pdf").rfind("%PDF", 0), 0u);
  EXPECT_EQ(read_file(stem + ".png").rfind("\x89PNG", 0), 0u);
  EXPECT_TRUE(contains(read_file(stem + ".svg"), "</svg>"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "f"), fs::directory_iterator()), 6) << "nothing else is left";
}

/// Every `set cbrange` of a script, in the order of its panels.
std::vector<std::string> scales(const std::string& script) {
  std::vector<std::string> found;
  const std::regex scale("set cbrange (\\[[^\\]]*\\])");
  for (std::sregex_iterator at(script.begin(), script.end(), scale), end; at != end; ++at) found.push_back((*at)[1]);
  return found;
}

// Heads had a scale each, values with signs no white zero, grey panels no bar, and nothing said whose picture it is.
TEST(Flow, AFigureHasOneScaleAKindAndSaysWhatItIs) {
  const Scratch folder;
  const std::string run = (folder / "run").string();
  ASSERT_EQ(mneme(tiny(run, {"--memory.read-heads=2", "--memory.write-heads=2"})).code, 0);
  for (const char* width : {"2in", "7in"}) {
    const Result r = mneme(
        {"trace", "render", run, "--out", (folder / "f").string(), "--episode", "3", "--width", width, "--force"});
    ASSERT_EQ(r.code, 0) << r.err;
    const std::string script = read_file(folder / "f" / "train.000-episode-3.gp");
    const std::vector<std::string> all = scales(script);
    ASSERT_EQ(all.size(), 12u) << script;
    for (const std::size_t grey : {0, 1, 6, 7, 8, 9}) EXPECT_EQ(all[grey], "[0:1]") << "bits and weightings";
    EXPECT_TRUE(all[2].starts_with("[-")) << all[2];
    for (const std::size_t values : {3, 4, 5}) EXPECT_EQ(all[values], all[2]) << "one scale for all heads";
    const std::size_t signs = all[2].find(':');
    EXPECT_EQ("-" + all[2].substr(signs + 1), all[2].substr(1, signs - 1) + "]") << "zero is in the middle: white";
    EXPECT_TRUE(contains(script, "3 '#ffffff', 4")) << "of 0 to 6";
    std::size_t bars = 0;
    for (std::size_t at = 0; (at = script.find("set colorbox user", at)) != std::string::npos; ++at) ++bars;
    EXPECT_EQ(bars, 7u) << "one a row";
    std::string title;
    const std::regex label("set label 1[0-9][0-9] \"([^\"]*)\"");
    for (std::sregex_iterator at(script.begin(), script.end(), label), end; at != end; ++at)
      title += (title.empty() ? "" : " ") + (*at)[1].str();
    EXPECT_TRUE(
        std::regex_match(title, std::regex("copy, length [3-6]: loss [0-9.e-]+, wrong bits per sequence [0-9.]+, "
                                           "(not )?correct run [0-9a-f]{16}, seed 1, train sequence 30: episode 3 "
                                           "of train.000.trace.h5")))
        << title;
  }
}

TEST(Flow, RenderWithoutGnuplotStillWritesDataAndScript) {
  const Scratch folder;
  Setting setting;
  setting.environment = {{"PATH", "/nonexistent"}};
  const Result r = mneme({"trace", "render", tiny_run().string(), "--out", (folder / "f").string()}, setting);
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "gnuplot is not installed")) << r.err;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "f"), fs::directory_iterator()), 3);
}

/// A program of that name in a folder of its own, first in the PATH.
Setting with_gnuplot(const Scratch& folder, const std::string& script) {
  fs::create_directories(folder / "bin");
  std::ofstream(folder / "bin" / "gnuplot") << "#!/bin/sh\n" << script << "\n";
  fs::permissions(folder / "bin" / "gnuplot", fs::perms::owner_all);
  Setting setting;
  setting.environment = {{"PATH", (folder / "bin").string() + ":/usr/bin:/bin"}};
  return setting;
}

TEST(Flow, ASignalWhileGnuplotDrawsLeavesNothing) {
  for (const auto& [signal, code] : {std::pair("INT", 130), std::pair("TERM", 75)}) {
    const Scratch folder;
    const Setting setting = with_gnuplot(folder, std::string("touch drew.svg\nkill -") + signal + " $PPID\nexit 1");
    const Result r = mneme({"trace", "render", tiny_run().string(), "--out", (folder / "f").string()}, setting);
    EXPECT_EQ(r.code, code) << r.err;
    EXPECT_EQ(r.out, "");
    EXPECT_TRUE(fs::is_empty(folder / "f"));
  }
}

TEST(Flow, AFigureThatGnuplotDidNotDrawIsMissed) {
  const Scratch folder;
  const Setting setting = with_gnuplot(folder, "for i in *.gp; do touch ${i%.gp}.pdf ${i%.gp}.png; done");
  const Result r = mneme({"trace", "render", tiny_run().string(), "--out", (folder / "f").string()}, setting);
  EXPECT_EQ(r.code, 1) << r.err;
  EXPECT_TRUE(contains(r.err, ".svg] cannot be read: gnuplot drew none")) << r.err;
  EXPECT_TRUE(fs::is_empty(folder / "f"));
}

TEST(Flow, RenderRefusesSlotsThatAreNotThere) {
  const Scratch folder;
  const std::string out = (folder / "f").string();
  const Result r = mneme({"trace", "render", tiny_run().string(), "--out", out, "--slots", "3:12"});
  EXPECT_EQ(r.code, 2);
  EXPECT_TRUE(contains(r.err, "the memory has slots 0:11")) << r.err;
  EXPECT_FALSE(fs::exists(out)) << "nothing is half written";
  EXPECT_EQ(mneme({"trace", "render", tiny_run().string(), "--out", out, "--slots", "10:2"}).code, 0)
      << "around the end";
}

TEST(Flow, AnInterruptSavesAndCanBeResumed) {
  for (const int number : {SIGINT, SIGTERM}) {
    const Scratch folder;
    const fs::path run = folder / "run";
    Setting setting;
    bool sent = false;
    setting.meanwhile = [&](int process) {
      std::error_code error;
      if (sent || fs::file_size(run / "metrics.jsonl", error) == 0 || error) return;
      ::kill(process, number);
      sent = true;
    };
    const Result r = mneme(tiny(run, {"--max-sequences=10000000", "--train.stop-when-solved=false"}), setting);
    EXPECT_EQ(r.code, number == SIGINT ? 130 : 75) << r.err;
    EXPECT_TRUE(contains(r.err, "mneme train --resume " + run.string())) << r.err;
    const Json j = run_json(run);
    EXPECT_EQ(j.at("exit_reason"), number == SIGINT ? "interrupted" : "terminated");
    const int reached = j.at("sequences");
    EXPECT_GT(reached, 0);

    const Result resumed = mneme({"train", "--resume", run.string(), "--max-sequences", std::to_string(reached + 20)});
    EXPECT_EQ(resumed.code, 0) << resumed.err;
    EXPECT_EQ(run_json(run).at("sequences"), reached + 20);
    EXPECT_EQ(mneme({"trace", "check", run.string()}).code, 0);
  }
}

// A closed terminal is a stop; under nohup, which ignores it, it is nothing.
TEST(Flow, AClosedTerminalSavesUnlessItIsIgnored) {
  for (const bool ignored : {false, true}) {
    const Scratch folder;
    const fs::path run = folder / "run";
    Setting setting;
    bool sent = false;
    setting.ignored = ignored ? SIGHUP : 0;
    setting.meanwhile = [&](int process) {
      std::error_code error;
      if (sent || fs::file_size(run / "metrics.jsonl", error) == 0 || error) return;
      ::kill(process, SIGHUP);
      sent = true;
    };
    const char* end = ignored ? "--max-sequences=3000" : "--max-sequences=10000000";
    const Result r = mneme(tiny(run, {end, "--train.stop-when-solved=false"}), setting);
    EXPECT_TRUE(sent);
    EXPECT_EQ(r.code, ignored ? 0 : 75) << r.err;
    EXPECT_EQ(contains(r.err, "mneme: stopping: "), !ignored) << r.err;
    EXPECT_EQ(run_json(run).at("exit_reason"), ignored ? "max_sequences" : "terminated");
  }
}

/// Whether a process is held by SIGSTOP.
bool held(int process) {
  std::ifstream in("/proc/" + std::to_string(process) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.substr(std::min(text.rfind(')') + 2, text.size())).starts_with('T');
}

// Held in the first handler until the second is sent, so that no update ends between them.
TEST(Flow, ASecondInterruptSaysWhatIsLostAndItsCodeClaimsNothing) {
  const Scratch folder;
  const fs::path run = folder / "run";
  Setting setting;
  bool sent = false;
  setting.meanwhile = [&](int process) {
    std::error_code error;
    if (sent || fs::file_size(run / "metrics.jsonl", error) == 0 || error) return;
    sent = true;
    ::kill(process, SIGINT);
    ::kill(process, SIGSTOP);
    for (int i = 0; i < 5000 && !held(process); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ::kill(process, SIGINT);
    ::kill(process, SIGCONT);
  };
  const Result r =
      mneme(tiny(run, {"--max-sequences=10000000", "--train.stop-when-solved=false", "--threads=1"}), setting);
  EXPECT_EQ(r.code, 1) << r.err;
  EXPECT_TRUE(contains(r.err, "mneme: stopping: the update under way is finished and a checkpoint saved")) << r.err;
  EXPECT_TRUE(contains(r.err, "mneme: stopped at once: what was trained since the last checkpoint is lost\n")) << r.err;
  EXPECT_EQ(run_json(run).at("exit_reason"), "running");
}

TEST(Flow, EvalStopsWhereTrainingWould) {
  const char* data = std::getenv("MNEME_DATA");
  const fs::path shared = data && *data ? fs::path(data) : fs::path(MNEME_SOURCE_DIR) / ".." / "shared" / "data";
  const fs::path weights = shared / "cases" / "eval-not-finite" / "gamma-3e38.safetensors";
  if (!fs::exists(weights)) GTEST_SKIP() << "not there: " << weights << " (MNEME_DATA names the folder with cases/)";
  const Scratch folder;
  const std::string run = (folder / "run").string();
  ASSERT_EQ(mneme({"checkpoint", "import", weights.string(), "--out", run}).code, 0);
  for (const Words& more : {Words{}, Words{"--json"}, Words{"--memory-use"}, Words{"--trace.level", "params"}}) {
    Words words = {"eval", run, "--episodes", "3"};
    words.insert(words.end(), more.begin(), more.end());
    const Result r = mneme(words);
    EXPECT_EQ(r.code, 4) << r.err;
    EXPECT_EQ(r.out, "");
    // At which step the last bit decides, and so the compiler's flags.
    const std::regex where(
        "mneme: \\[content_location\\] the result \\[1 128\\] is not finite at step [0-9]+, "
        "(read|write)_0 \\(in test episode [0-2]\\)\n");
    EXPECT_TRUE(std::regex_search(r.err, where)) << r.err;
  }
}

TEST(Flow, MoreThreadsThanThereIsMemoryForIsOneMessage) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer needs more address space than the limit that is tested";
  const Scratch folder;
  Setting setting;
  setting.address_space = std::size_t{1} << 30;
  const Result r = mneme(tiny(folder / "run", {"--threads=1024"}), setting);
  EXPECT_EQ(r.code, 1) << r.err;
  EXPECT_TRUE(contains(r.err, "mneme: [threads] ")) << r.err;
  EXPECT_TRUE(contains(r.err, "of 1024 begin, and no more: ")) << r.err;
  EXPECT_FALSE(fs::exists(folder / "run")) << "nothing is left";
}

const Words kStories = {"--task.questions=40", "--train.log-every=320", "--train.eval-episodes=4"};

TEST(Flow, RestartsAreStoppedGoneOnWithAndJudged) {
  const Scratch folder;
  const std::string out = (folder / "group").string();
  Words words = {"train", "babi_memn2n_single", "--restarts=3", "--jobs=2", "--out", out, "--max-sequences=2000000"};
  words.insert(words.end(), kStories.begin(), kStories.end());
  Setting setting;
  bool sent = false;
  setting.meanwhile = [&](int process) {
    std::error_code error;
    if (sent || fs::file_size(folder / "group" / "seed2" / "metrics.jsonl", error) == 0 || error) return;
    ::kill(process, SIGINT);
    sent = true;
  };
  const Result stopped = mneme(words, setting);
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_TRUE(contains(stopped.err, "go on with: mneme train --resume " + out)) << stopped.err;
  const Result again = mneme(words);
  EXPECT_EQ(again.code, 2);
  EXPECT_TRUE(contains(again.err, "holds restarts already: go on with them by --resume " + out)) << again.err;
  EXPECT_EQ(mneme({"eval", out}).code, 2);

  std::int64_t reached = 0;
  for (const char* seed : {"seed1", "seed2"})
    reached = std::max(reached, run_json(folder / "group" / seed).at("sequences").get<std::int64_t>());
  const Result r = mneme({"train", "--resume", out, "--max-sequences", std::to_string(reached + 320), "--json"});
  EXPECT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(r.out);
  EXPECT_EQ(j.at("runs").size(), 3u);
  const std::string chosen = j.at("chosen");
  const Result eval = mneme({"eval", out, "--json"});
  EXPECT_EQ(eval.code, 0) << eval.err;
  EXPECT_TRUE(contains(eval.err, "the chosen one of the restarts")) << eval.err;
  const Json judged = parse_json(eval.out);
  EXPECT_EQ(judged.at("directory"), out + "/" + chosen);
  EXPECT_EQ(judged.at("mean_error_percent"), j.at("test_error").at("chosen"));
  EXPECT_EQ(mneme({"eval", out + "/seed3"}).code, 0);
}

TEST(Flow, TheChosenRestartSaysHowItEnded) {
  const Scratch folder;
  const Result r =
      mneme({"train", "--task=copy", "--memory=none", "--task.width=3", "--task.length=1:4", "--controller.hidden=12",
             "--optimizer=sgd", "--train.learning-rate=10", "--train.max-sequences=400", "--train.log-every=50",
             "--restarts=2", "--out", (folder / "group").string()});
  EXPECT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(read_file(folder / "group" / "restarts.json"));
  const std::string chosen = j.at("chosen"), message = run_json(folder / "group" / chosen).at("message");
  EXPECT_TRUE(contains(message, " is far above the ")) << message;
  EXPECT_TRUE(contains(r.out, "chosen, seed " + j.at("chosen_seed").dump() + ": " + message + "\n")) << r.out;
}

TEST(Flow, ReproduceBabiOnStoriesOfOurOwnSaysSo) {
  const Scratch folder;
  Words words = {"reproduce",
                 "babi-1k",
                 "--presets=babi_memn2n_single",
                 "--task.number=1:2",
                 "--seeds=1:2",
                 "--jobs=2",
                 "--train.max-sequences=640",
                 "--out",
                 (folder / "out").string()};
  words.insert(words.end(), kStories.begin(), kStories.end());
  const Result text = mneme(words);
  EXPECT_EQ(text.code, 0) << text.err;
  for (const std::string& all : {text.out, text.err}) EXPECT_TRUE(contains(all, "STORIES OF OUR OWN MAKING")) << all;
  EXPECT_FALSE(contains(text.out, "Sukhbaatar et al. 2015, table 1, 1,000")) << text.out;
  EXPECT_FALSE(contains(text.out, "NumPy")) << text.out;
  const std::string csv = read_file(folder / "out" / "babi-1k-own-stories.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5) << csv;
  words.push_back("--json");
  const Result r = mneme(words);
  EXPECT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(r.out);
  EXPECT_FALSE(j.at("published_data"));
  const Json& tasks = j.at("presets").at(0).at("tasks");
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[1].at("number"), 2);
  EXPECT_EQ(tasks[1].at("runs"), 2);
  EXPECT_TRUE(tasks[1].at("published").empty());
}

TEST(Flow, ReproduceOfLengthsSaysHowEachRunEndedAsJson) {
  const Scratch folder;
  const Words words = {"reproduce",
                       "copy",
                       "--presets=copy_ntm",
                       "--seeds=1:2",
                       "--task.width=3",
                       "--task.length=1:4",
                       "--memory.slots=8",
                       "--controller.hidden=12",
                       "--train.max-sequences=100",
                       "--train.eval-episodes=5",
                       "--out",
                       (folder / "out").string()};
  const Result text = mneme(words);
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_TRUE(contains(text.out, "copy_ntm: 0 of 2 seeds solved, median not reached\n")) << text.out;
  Words json = words;
  json.push_back("--json");
  const Result r = mneme(json);
  EXPECT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(r.out);
  EXPECT_EQ(j.at("rows"), 2);
  ASSERT_EQ(j.at("runs").size(), 2u);
  const Json& run = j["runs"][1];
  EXPECT_EQ(run.at("seed"), 2);
  EXPECT_EQ(run.at("exit_reason"), "max_sequences");
  EXPECT_EQ(run.at("sequences"), 100);
  EXPECT_TRUE(run.at("solved_at_sequences").is_null());
  EXPECT_GT(run.at("wrong_40").get<double>(), 0);
}

TEST(Flow, ReproduceWhereEveryRunDivergedIsExitFour) {
  const Scratch folder;
  Words words = {"reproduce",
                 "babi-1k",
                 "--presets=babi_memn2n_single",
                 "--task.number=1:1",
                 "--seeds=1:2",
                 "--train.max-sequences=1280",
                 "--train.learning-rate=1e6",
                 "--memory.table-clip=0",
                 "--out",
                 (folder / "out").string()};
  words.insert(words.end(), kStories.begin(), kStories.end());
  const Result text = mneme(words);
  EXPECT_EQ(text.code, 4) << text.err;
  EXPECT_TRUE(contains(text.err, "every run diverged")) << text.err;
  words.push_back("--json");
  const Result r = mneme(words);
  EXPECT_EQ(r.code, 4) << r.err;
  EXPECT_TRUE(Json::accept(r.out)) << r.out;
}

TEST(Flow, EvalCanBeInterrupted) {
  Setting setting;
  int asked = 0;
  setting.meanwhile = [&](int process) {
    if (++asked == 60) ::kill(process, SIGINT);
  };
  const Result r = mneme({"eval", tiny_run().string(), "--episodes", "5000000", "--json"}, setting);
  EXPECT_EQ(r.code, 130) << r.err;
  EXPECT_EQ(r.out, "");
}

TEST(Flow, ExportAndRepair) {
  const Scratch folder;
  const std::string csv = (folder / "csv").string();
  EXPECT_EQ(mneme({"trace", "export", tiny_run().string(), "--out", csv}).code, 0);
  EXPECT_TRUE(contains(read_file(folder / "csv" / "weights.csv"), "episode,step,site,slot,weight"));
  const Result again = mneme({"trace", "export", tiny_run().string(), "--out", csv});
  EXPECT_EQ(again.code, 2) << "what is there stays";
  EXPECT_TRUE(contains(again.err, "exists already; --force replaces it")) << again.err;
  EXPECT_EQ(mneme({"trace", "export", tiny_run().string(), "--out", csv, "--force"}).code, 0);

  const std::string copy = (folder / "copy.trace.h5").string(), cut = (folder / "cut.trace.h5.part").string();
  const Result sound = mneme({"trace", "repair", trace_of(tiny_run()).string(), "--out", copy});
  EXPECT_EQ(sound.code, 0);
  EXPECT_TRUE(contains(sound.out, "sound and complete, so nothing was made")) << sound.out;
  EXPECT_FALSE(fs::exists(copy));
  fs::copy_file(trace_of(tiny_run()), cut);
  {
    trace::File f = trace::File::open_for_writing(cut);  // as a kill leaves it
    const std::uint8_t incomplete = 0;
    f.dataset("/meta/complete").overwrite(trace::Scalar::u8, &incomplete);
    f.close();
  }
  EXPECT_EQ(mneme({"trace", "repair", cut, "--out", copy}).code, 0);
  EXPECT_EQ(mneme({"replay", copy, "--verify"}).code, 0);
  EXPECT_EQ(mneme({"trace", "repair", cut, "--out", copy}).code, 2) << "a file that is there stays";
  EXPECT_EQ(mneme({"trace", "repair", cut, "--out", copy, "--force"}).code, 0);
  const std::string bytes = read_file(cut);
  const Result over = mneme({"trace", "repair", cut, "--out", (folder / "cut.trace.h5").string()});
  EXPECT_EQ(over.code, 2) << "it would be written over what it copies";
  EXPECT_TRUE(contains(over.err, "give another --out")) << over.err;
  EXPECT_TRUE(read_file(cut) == bytes);
  // A copy beside what it was made of is newer, and not what a run's name stands for.
  const Result info = mneme({"trace", "info", folder.path().string(), "--json"});
  EXPECT_EQ(parse_json(info.out)["path"], cut);
}

TEST(Flow, FieldsAreShownAsJsonToo) {
  const Scratch folder;
  trace::Layout layout = trace::testing::ntm_layout();
  layout.fields = {{"wish", "step", 2, false, "what was wanted"}, {"hint", "step", 1, true, "a number"}};
  trace::Episode e;
  trace::testing::make_episode(layout, 1, 3, e);
  e.fields = {std::vector<float>{0, 1, 0.5f, 2, 3, 4}, std::vector<std::int32_t>{7, 8, 9}};
  {
    trace::Sink sink(folder / "one", layout);
    sink.append(e);
    sink.close();
  }
  const Result r = mneme({"trace", "show", (folder / "one.000.trace.h5").string(), "--episode", "0", "--json"});
  EXPECT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(r.out);
  EXPECT_EQ(j.at("fields").at("wish"), Json::parse("[[0.0,1.0],[0.5,2.0],[3.0,4.0]]"));
  EXPECT_EQ(j.at("fields").at("hint"), Json::parse("[7,8,9]"));
}

/// Files that hold what cannot be, made outside: named by dataset and row, and shown with a warning.
TEST(Flow, PublicCasesOfUnsoundTraces) {
  const char* data = std::getenv("MNEME_DATA");
  const fs::path cases =
      (data && *data ? fs::path(data) : fs::path(MNEME_SOURCE_DIR) / ".." / "shared" / "data") / "cases";
  if (!fs::exists(cases)) GTEST_SKIP() << "the cases are not there: " << cases;
  const fs::path wrong = cases / "trace-check-out-of-range";
  const std::vector<std::pair<std::string, std::string>> problems = {
      {"loss-nan", "/episodes/loss: episode 0: is nan"},
      {"mask-7", "/io/mask: episode 0, step 0: is 7, expected 0 to 1"},
      {"no-scale-slot", "/slot: the dimension scale is missing"},
      {"token-1000000", "/items/token: episode "}};
  for (const auto& [name, problem] : problems) {
    const std::string file = (wrong / (name + ".trace.h5")).string();
    const Result r = mneme({"trace", "check", file});
    EXPECT_EQ(r.code, 3) << name;
    EXPECT_TRUE(contains(r.out, problem)) << r.out;
    const Result shown = mneme({"trace", "show", file, "--list"});
    EXPECT_EQ(shown.code, name == "loss-nan" || name == "no-scale-slot" ? 3 : 0) << name << shown.err;
    const Result one = mneme({"trace", "show", file, "--episode", "0"});
    EXPECT_TRUE(one.code == 3 || name == "token-1000000") << name << one.err;
    EXPECT_EQ(one.code == 3, contains(one.err, "this trace is not sound: ")) << one.err;
    EXPECT_EQ(mneme({"replay", file, "--verify"}).code, name == "no-scale-slot" ? 3 : 5) << name;
  }
  for (const char* name : {"trace-fixed-strings", "trace-order-attribute"})
    EXPECT_EQ(mneme({"trace", "check", (cases / name / "one.trace.h5").string()}).code, 0) << "of the older writer";
}

TEST(Bench, TimesEachStep) {
  const Result r = mneme({"bench", "--preset", tiny_run().string(), "--rounds", "2", "--sequences", "32", "--json"});
  EXPECT_EQ(r.code, 0) << r.err;
  const Json j = parse_json(r.out);
  EXPECT_GT(j.at("sgemm_512_gflops").get<double>(), 0);
  EXPECT_TRUE(j.at("environment").contains("blas"));
  int ours = 0, bare = 0;
  for (const Json& row : j.at("results")) {
    ++(row.at("step") == tiny_run().string() ? ours : bare);
    const double least = row.at("ms_per_sequence_min"), middle = row.at("ms_per_sequence");
    EXPECT_GT(least, 0);
    EXPECT_LE(least, middle);
    EXPECT_LE(middle, row.at("ms_per_sequence_max").get<double>());
    EXPECT_GE(row.at("time_steps_per_sequence").get<double>(), 2 * 3 + 1) << "lengths 3 to 6, and a delimiter";
    EXPECT_LE(row.at("time_steps_per_sequence").get<double>(), 2 * 6 + 1);
    if (row.at("threads") == 2) {
      EXPECT_TRUE(row.at("product_share").is_null());
      continue;
    }
    EXPECT_GT(row.at("product_share").get<double>(), 0);
    EXPECT_LT(row.at("product_share").get<double>(), 1);
  }
  EXPECT_GE(ours, 2);
  EXPECT_EQ(bare, 2);
  const Result bare_preset = mneme({"bench", "--preset", "copy_lstm_1x100", "--rounds", "1", "--sequences", "1"});
  EXPECT_EQ(bare_preset.code, 0) << bare_preset.err;
  EXPECT_FALSE(contains(bare_preset.out, "alone")) << "it has no memory to be without";
}

/// Whether a process has a handler of its own for SIGINT: a busy machine takes its time to come so far.
bool catches_interrupts(int process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigCgt:")) return std::stoull(line.substr(7), nullptr, 16) >> (SIGINT - 1) & 1;
  return false;
}

TEST(Bench, CanBeInterrupted) {
  Setting setting;
  int asked = 0;
  setting.meanwhile = [&](int process) {
    if (catches_interrupts(process) && ++asked == 5) ::kill(process, SIGINT);
  };
  const Result r = mneme({"bench", "--sequences", "1000000", "--json"}, setting);
  EXPECT_EQ(r.code, 130) << r.err;
  EXPECT_EQ(r.out, "");
}

TEST(Doctor, SaysALineForEachCheck) {
  const Result r = mneme({"doctor"});
  EXPECT_EQ(r.code, 0) << r.out;
  for (const char* check :
       {"program", "cpu", "simd", "blas", "hdf5", "gnuplot", "writing", "presets", "gradients", "speed"})
    EXPECT_TRUE(contains(r.out, check)) << check;
}

}  // namespace
}  // namespace mneme::tools_test
