// Judging a trained run: lengths, checkpoints, seeds, standard errors, traces, and the report of a configuration.
#include "experiments/judge/evaluate.hpp"
#include "core/batch.hpp"
#include "core/json.hpp"

#include "experiments/run/checkpoint.hpp"
#include "experiments/run/session.hpp"
#include "tests/experiments/support.hpp"
#include "trace/reader.hpp"

#include <cmath>

namespace mneme::experiments {
namespace {

class Evaluate : public ::testing::Test {
 protected:
  void SetUp() override { run(small(), folder / "run"); }
  Evaluation judge(const EvaluationOptions& options) const { return evaluate(folder / "run", options); }
  Folder folder;
};

TEST_F(Evaluate, EachLengthWithMeanAndStandardError) {
  const Evaluation e = judge({.lengths = {2, 9}, .episodes = 50});
  ASSERT_EQ(e.results.size(), 2u);
  EXPECT_EQ(e.results[0].length, 2);
  EXPECT_EQ(e.results[1].length, 9);
  EXPECT_EQ(e.sequences, 400u);
  EXPECT_EQ(e.config_hash, small().run_id(""));
  EXPECT_EQ(e.checkpoint.filename(), "step-000000400.ckpt.h5");
  EXPECT_LE(e.results[0].figures[1].value.value(), 6);
  EXPECT_GT(e.results[1].figures[0].value.value(), e.results[0].figures[0].value.value()) << "longer is harder";

  // The same by hand.
  Session s(small({{"task.length", "9", ""}}), 1);
  load_checkpoint(e.checkpoint, s.parameters());
  std::vector<double> values;
  s.evaluate({.seed = 1, .first = std::uint64_t{1} << 40, .count = 50}, values);
  double mean = 0, squares = 0;
  for (std::size_t i = 0; i < 50; ++i) mean += values[2 * i] / 50;
  for (std::size_t i = 0; i < 50; ++i) squares += (values[2 * i] - mean) * (values[2 * i] - mean);
  EXPECT_NEAR(e.results[1].figures[0].value.value(), mean, 1e-9);
  EXPECT_NEAR(e.results[1].figures[0].standard_error.value(), std::sqrt(squares / 49 / 50), 1e-9);
}

/// The mean of the first metric of a run's checkpoint, of a session of its own.
double mean_by_hand(const fs::path& checkpoint, const Config& config, std::size_t count) {
  Session s(config, 1);
  load_checkpoint(checkpoint, s.parameters());
  std::vector<double> values;
  s.evaluate({.seed = 1, .first = kTestNumbers, .count = count}, values);
  const std::size_t n = s.task().metrics().size();
  double mean = 0;
  for (std::size_t i = 0; i < count; ++i) mean += values[n * i] / static_cast<double>(count);
  return mean;
}

TEST(EvaluateTest, ALengthOfTwoParts) {
  Folder folder;
  run(small({{"task", "repeat_copy", ""}, {"task.repeats", "1:3", ""}, {"train.max-sequences", "100", ""}}),
      folder / "run");
  const Evaluation e = evaluate(folder / "run", {.lengths = {{2, 5}, {5, 2}}, .episodes = 5});
  ASSERT_EQ(e.results.size(), 2u);
  EXPECT_EQ(e.results[0].length, (TaskLength{2, 5}));
  const auto j = parse_json(evaluation_json(e))["results"];
  EXPECT_EQ(j[0]["length"], "2x5");
  EXPECT_EQ(j[1]["length"], "5x2");
  const Config own = small({{"task", "repeat_copy", ""}, {"task.length", "5", ""}, {"task.repeats", "2", ""}});
  EXPECT_NEAR(e.results[1].figures[0].value.value(), mean_by_hand(e.checkpoint, own, 5), 1e-9);

  expect_has(message_of<ArgumentError>([&] { evaluate(folder / "run", {.lengths = {20}}); }),
             "[--lengths] 20 is 1 number; of task 'repeat_copy' it takes length x repeats: 10x20,20x10");
  expect_has(message_of<ArgumentError>([&] {
               evaluate(folder / "run", {.lengths = {{3, 0}}});
             }),
             "[--lengths: task.repeats] '0' is out of range");
}

TEST_F(Evaluate, WithOtherNumbersOfSlots) {
  const Evaluation e = judge({.lengths = {3, 9}, .slots = {8, 16}, .episodes = 20});
  ASSERT_EQ(e.results.size(), 4u);
  const Evaluation own = judge({.lengths = {3, 9}, .episodes = 20});
  EXPECT_EQ(e.results[0].figures, own.results[0].figures) << "the run's own 8 slots";
  EXPECT_EQ(e.results[1].figures, own.results[1].figures);
  const Config larger = small({{"task.length", "9", ""}, {"memory.slots", "16", ""}});
  EXPECT_NEAR(e.results[3].figures[0].value.value(), mean_by_hand(e.checkpoint, larger, 20), 1e-9);
  EXPECT_NE(e.results[3].figures, e.results[1].figures) << "9 vectors do not fit into 8 slots";
  const auto j = parse_json(evaluation_json(e))["results"];
  EXPECT_EQ(j[0]["slots"], 8);
  EXPECT_EQ(j[2]["slots"], 16);
  EXPECT_EQ(j[3]["length"], 9);
  EXPECT_FALSE(parse_json(evaluation_json(own))["results"][0].contains("slots"));
}

TEST_F(Evaluate, EachNumberOfSlotsHasItsTrace) {
  const Evaluation e =
      judge({.lengths = {3}, .slots = {8, 16}, .episodes = 2, .given = {{"trace.level", "weights", ""}}});
  ASSERT_EQ(e.traces.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(trace::check(e.traces[i]), std::vector<std::string>{});
    const trace::Reader reader(e.traces[i]);
    EXPECT_EQ(reader.episodes(), 2u);
    EXPECT_EQ(Config::stored(reader.layout().config_ini, "trace").memory_options.integer("slots"), i == 0 ? 8 : 16);
  }
}

TEST(EvaluateTest, SlotsThatWereTrainedOrDrawnStay) {
  Folder folder;
  const auto complaint = [&](const std::string& name, const std::vector<Assignment>& more,
                             std::vector<std::int64_t> slots = {16}) {
    run(small(merged({{"train.max-sequences", "10", ""}}, more)), folder / name);
    return message_of<ArgumentError>([&] { evaluate(folder / name, {.slots = slots, .episodes = 2}); });
  };
  EXPECT_EQ(complaint("slots", {{"memory.initial-memory", "learned-slots", ""}}),
            "[--slots] memory.initial_memory [8 4] is trained, of 8 slots; of 16 it would be [16 4], which nobody has "
            "trained");
  EXPECT_EQ(complaint("random", {{"memory.initial-memory", "random", ""}}),
            "[--slots] memory.initial_memory [8 4] is drawn and saved, of 8 slots; of 16 it would be [16 4], which "
            "nobody has drawn and saved");
  expect_has(complaint("weights", {{"memory.initial-weights", "learned", ""}}),
             "[--slots] memory.read_0.initial_weights [8] is trained, of 8 slots");
  EXPECT_EQ(complaint("start", {{"memory.start-slot", "5", ""}}, {4}),
            "[memory.start-slot] slot 5 of 4 (the first is 0)");
  EXPECT_EQ(complaint("zero", {}, {0}), "[--slots: memory.slots] '0' is out of range; it takes 1..1048576");
  run(Config::from({{"task", "copy", ""}, {"memory", "none", ""}, {"train.max-sequences", "10", ""}}), folder / "none");
  EXPECT_EQ(message_of<ArgumentError>([&] { evaluate(folder / "none", {.slots = {8}}); }),
            "[--slots] memory none has no memory.slots");
  run(Config::load("babi_memn2n_single", {{"task.questions", "40", ""},
                                          {"memory.temporal", "false", ""},
                                          {"train.max-sequences", "64", ""},
                                          {"train.eval-episodes", "4", ""}}),
      folder / "babi");
  EXPECT_EQ(evaluate(folder / "babi", {.slots = {200}, .episodes = 3}).results.at(0).slots, 200);
  EXPECT_EQ(message_of<ArgumentError>([&] {
              evaluate(folder / "babi", {.slots = {100, 200}});
            }),
            "[--slots] takes one at a time where the task has a test set, not 2");
}

TEST_F(Evaluate, OneEpisodeHasNoErrorOfItsMean) {
  const Evaluation e = judge({.episodes = 1});
  for (const Figure& f : e.results[0].figures) EXPECT_FALSE(f.standard_error);
  EXPECT_TRUE(parse_json(evaluation_json(e))["results"][0]["bits_per_sequence_se"].is_null());
}

TEST_F(Evaluate, ATraceThatAnErrorEndedIsNotComplete) {
  std::atomic<int> stop = 0;
  EvaluationOptions options{
      .lengths = {2, 6}, .episodes = 4, .given = {{"trace.level", "params", ""}}, .signal = &stop};
  options.progress = [&](std::size_t done, std::size_t) {
    if (done == 8) stop = 2;  // the first length is traced, the second asked
  };
  message_of<Stopped>([&] { judge(options); });
  const trace::Reader reader(folder / "run/traces/eval.000.trace.h5");
  EXPECT_EQ(reader.episodes(), 4u) << "traced";
  EXPECT_FALSE(reader.complete());
}

// One training file, three test files: the same parameters, and the same answer to the question that all three ask.
TEST(EvaluateTest, TheTestFileShapesNoModel) {
  Folder folder;
  std::string training;
  for (const char* place : {"kitchen", "office", "garden", "hall"})
    for (const char* name : {"Mia", "Tom"})
      training += fmt::format("1 {} went to the {}.\n2 Where is {}?\t{}\t1\n", name, place, name, place);
  const std::string asked = "1 Mia went to the office.\n2 Where is Mia?\toffice\t1\n";
  const std::string longer = "1 Tom went to the hall.\n2 Tom went to the hall.\n3 Where is Tom?\thall\t2\n";
  const std::string wider = "1 Tom then went quickly back to the old hall.\n2 Where is Tom now?\thall\t1\n";
  std::vector<std::vector<float>> parameters;
  std::vector<double> nats;
  for (const std::string& test : {asked, asked + longer, asked + wider}) {
    const fs::path data = folder / std::to_string(parameters.size());
    fs::create_directory(data);
    write_file(data / "qa1_x_train.txt", training);
    write_file(data / "qa1_x_test.txt", test);
    Session session(Config::load("babi_memn2n_single", {{"task.data", data.string(), ""}, {"train.batch", "4", ""}}),
                    1);
    for (std::uint64_t update = 1; update <= 8; ++update) session.step(4 * (update - 1), update);
    auto& values = parameters.emplace_back();
    for (std::size_t i = 0; i < session.parameters().parameters().size(); ++i)
      values.insert(values.end(), session.parameters().value(i),
                    session.parameters().value(i) + session.parameters().parameters()[i].shape.size());
    const Task& task = session.task();
    for (std::uint64_t number = kTestNumbers; number < kTestNumbers + task.test().at(0).questions; ++number) {
      Batch batch;
      task.sample({.seed = 1, .stream = "eval", .first = number}, batch);
      if (task.display(batch, 0, nullptr).find("question where is mia?") == std::string::npos) continue;
      std::vector<double> metrics;
      session.evaluate({.seed = 1, .first = number, .count = 1}, metrics);
      nats.push_back(metrics.at(0));
    }
  }
  EXPECT_EQ(parameters[0], parameters[1]);
  EXPECT_EQ(parameters[0], parameters[2]);
  EXPECT_EQ(nats, std::vector<double>(3, nats.at(0)));
}

TEST_F(Evaluate, TheJsonHasTheFixedNames) {
  const auto j = parse_json(evaluation_json(judge({.lengths = {3}, .episodes = 5})));
  const auto& r = j["results"][0];
  EXPECT_EQ(r["length"], 3);
  EXPECT_EQ(r["episodes"], 5);
  EXPECT_TRUE(r["bits_per_sequence"].is_number());
  EXPECT_TRUE(r["wrong_bits_per_sequence"].is_number());
  EXPECT_TRUE(r["wrong_bits_per_sequence_se"].is_number());
  EXPECT_EQ(j["seed"], 1);
  EXPECT_EQ(j["config_hash"], small().run_id(""));
  EXPECT_TRUE(parse_json(evaluation_json(judge({.episodes = 5})))["results"][0]["length"].is_null());
}

TEST(EvaluateTest, AsksTheWholeTestSetOnceAndScoresItByTask) {
  Folder folder;
  run(Config::load("babi_memn2n_joint", {{"task.questions", "40", ""},
                                         {"task.number", "1:3", ""},
                                         {"train.max-sequences", "640", ""},
                                         {"train.eval-episodes", "4", ""}}),
      folder / "run");
  const Evaluation e = evaluate(folder / "run", {});
  ASSERT_EQ(e.results.size(), 1u);
  EXPECT_EQ(e.results[0].episodes, 3000u);
  ASSERT_EQ(e.parts.size(), 3u);
  double mean = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(e.parts[i].part.number, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(e.parts[i].questions, 1000u);
    // The same task asked alone, in another order.
    const Evaluation alone = evaluate(folder / "run", {.lengths = {e.parts[i].part.number}, .seed = 9});
    EXPECT_NEAR(alone.results[0].figures[1].value.value(), e.parts[i].error.value(), 1e-9);
    EXPECT_NEAR(alone.parts.at(0).error.value(), e.parts[i].error.value(), 1e-9);
    mean += e.parts[i].error.value() / 3;
  }
  EXPECT_NEAR(e.mean_error().value(), mean, 1e-9);
  EXPECT_NEAR(e.results[0].figures[1].value.value(), mean, 1e-9);
  EXPECT_EQ(e.failed_parts(), 3u);
  const auto j = parse_json(evaluation_json(e));
  EXPECT_NEAR(j["mean_error_percent"].get<double>(), mean, 1e-9);
  EXPECT_EQ(j["failed_tasks"], 3);
  ASSERT_EQ(j["tasks"].size(), 3u);
  for (const char* key : {"number", "questions", "error_percent", "majority_error_percent", "unknown_words",
                          "unseen_answers", "cut_questions"})
    EXPECT_TRUE(j["tasks"][2][key].is_number()) << key;
  EXPECT_EQ(j["tasks"][2]["number"], 3);

  const Evaluation few = evaluate(folder / "run", {.episodes = 30});
  std::size_t asked = 0;
  for (const PartResult& p : few.parts) asked += p.questions;
  EXPECT_EQ(asked, 30u);
}

TEST_F(Evaluate, ATaskWithoutATestSetHasNoParts) {
  const Evaluation e = judge({});
  EXPECT_EQ(e.results[0].episodes, 200u);
  EXPECT_TRUE(e.parts.empty());
  EXPECT_FALSE(parse_json(evaluation_json(e)).contains("tasks"));
}

TEST_F(Evaluate, SeedsCheckpointsAndThreads) {
  const auto bits = [](const Evaluation& e) { return e.results[0].figures[0].value.value(); };
  const double base = bits(judge({.episodes = 70}));
  EXPECT_EQ(base, bits(judge({.episodes = 70, .threads = 2})));
  EXPECT_NE(base, bits(judge({.episodes = 70, .seed = 7})));
  EXPECT_NE(base, bits(judge({.checkpoint = "200", .episodes = 70})));
  EXPECT_EQ(judge({.checkpoint = "best", .episodes = 2}).checkpoint.filename(), "best.ckpt.h5");
}

TEST_F(Evaluate, BadInput) {
  expect_has(message_of<ArgumentError>([&] { judge({.checkpoint = "123"}); }), "has no checkpoint '123'. There are: ");
  expect_has(message_of<ArgumentError>([&] { judge({.lengths = {0}}); }),
             "[--lengths: task.length] '0' is out of range");
  expect_has(message_of<ArgumentError>([&] { judge({.lengths = {-3}}); }), "is out of range");
  expect_has(message_of<ArgumentError>([&] { judge({.episodes = 0}); }), "--episodes");
  expect_has(message_of<ArgumentError>([&] { evaluate(folder / "none", {}); }), "does not exist");
  std::atomic<int> stop = 2;
  expect_has(message_of<Stopped>([&] { judge({.signal = &stop}); }), "stopped before it was done");
  const fs::path last = list_checkpoints(folder / "run").back();
  fs::resize_file(last, 1000);
  expect_has(message_of<FileError>([&] { judge({}); }), last.string());
}

TEST_F(Evaluate, TracesWhenAsked) {
  EXPECT_TRUE(judge({.episodes = 3}).traces.empty());
  std::size_t shown = 0;
  const Evaluation e = judge({.lengths = {2, 6},
                              .episodes = 4,
                              .given = {{"trace.level", "params", ""}},
                              .traced = 3,
                              .progress = [&](std::size_t done, std::size_t all) {
                                EXPECT_EQ(all, 8u);
                                shown = done;
                              }});
  EXPECT_EQ(shown, 8u);
  ASSERT_EQ(e.traces.size(), 1u);
  EXPECT_EQ(e.traces[0], folder / "run/traces/eval.000.trace.h5");
  EXPECT_EQ(trace::check(e.traces[0]), std::vector<std::string>{});
  const trace::Reader reader(e.traces[0]);
  ASSERT_EQ(reader.episodes(), 6u);
  EXPECT_EQ(reader.layout().phase, "eval");
  EXPECT_EQ(reader.layout().checkpoint_step, 400);
  EXPECT_EQ(reader.summary(0).steps, 5u);
  EXPECT_EQ(reader.summary(5).steps, 13u);
  const CheckpointInfo info = inspect_checkpoint(e.checkpoint);
  EXPECT_EQ(reader.summary(0).checkpoint_hash, info.parameter_hash);
}

// Episodes of one batch may share something (copy: the length), so a traced one stands in the batch it was judged in.
TEST_F(Evaluate, TracedEpisodesAreTheJudgedOnes) {
  run(small({{"train.eval-batch", "4", ""}, {"task.length", "1:9", ""}, {"task.mixed-lengths", "false", ""}}),
      folder / "shared");
  const EvaluationOptions six{.episodes = 6, .given = {{"trace.level", "weights", ""}}, .traced = 6};
  const Evaluation e = evaluate(folder / "shared", six);
  const trace::Reader reader(e.traces.at(0));
  ASSERT_EQ(reader.episodes(), 6u);
  double sum = 0;
  for (std::size_t i = 0; i < 6; ++i) sum += static_cast<double>(reader.summary(i).error);
  EXPECT_NEAR(sum / 6, e.results[0].figures[e.solved_metric].value.value(), 1e-6);
  EXPECT_EQ(reader.summary(1).steps, reader.summary(0).steps);
  const Evaluation again = evaluate(folder / "shared", six);
  EXPECT_EQ(trace::Reader(again.traces.at(0)).summary(0).id, 6) << "the number of an episode runs on over the files";
}

TEST(Report, CountsWhatIsTrained) {
  const Config c = small({{"memory.initial-memory", "random", ""}});
  const ModelReport r = report(c);
  EXPECT_EQ(r.count, Session(c, 1).parameters().count());
  std::size_t trained = 0, frozen = 0;
  for (const auto& p : r.parameters) (p.trained ? trained : frozen) += p.count;
  EXPECT_EQ(trained, r.count);
  EXPECT_EQ(frozen, 8u * 4);
  EXPECT_EQ(r.parameter_bytes, 4 * (trained + frozen));
  EXPECT_GT(r.optimizer_bytes, 3 * 4 * r.count);
  EXPECT_GT(r.step_bytes, 0u);
  EXPECT_GT(r.seconds_per_sequence, 0);
  EXPECT_DOUBLE_EQ(r.estimated_seconds, 400 * r.seconds_per_sequence);
}

}  // namespace
}  // namespace mneme::experiments
