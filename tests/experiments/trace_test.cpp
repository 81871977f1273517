// What a run traces: the right sequences, the values of the pass, once each, and no bit of the result changed.
#include "core/batch.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/checkpoint.hpp"
#include "experiments/run/session.hpp"
#include "experiments/run/training_trace.hpp"
#include "tests/experiments/support.hpp"
#include "trace/reader.hpp"
#include "trace/sink.hpp"

#include <sys/resource.h>
#include <cmath>
#include <csignal>

namespace mneme::experiments {
namespace {

std::vector<trace::Episode> episodes_of(const fs::path& run, const std::string& name = "train") {
  std::vector<trace::Episode> all;
  for (const fs::path& file : trace::trace_files(run / "traces" / (name + ".trace.h5"))) {
    EXPECT_EQ(trace::check(file), std::vector<std::string>{}) << file;
    const trace::Reader reader(file);
    for (std::size_t i = 0; i < reader.episodes(); ++i) all.push_back(reader.episode(i));
  }
  return all;
}

std::vector<std::int64_t> sequences_of(const std::vector<trace::Episode>& episodes) {
  std::vector<std::int64_t> numbers;
  for (const trace::Episode& e : episodes) numbers.push_back(e.sequence);
  return numbers;
}

Config traced(const std::string& level, const std::vector<Assignment>& more = {}) {
  std::vector<Assignment> given = {
      {"trace.level", level, ""}, {"trace.every", "25", ""}, {"trace.keyframe-every", "3", ""}};
  given.insert(given.end(), more.begin(), more.end());
  return small(given);
}

TEST(Trace, RecordingChangesNoBit) {
  Folder folder;
  run(small(), folder / "off");
  Session s(small(), 1);
  RunState off, on;
  load_checkpoint(list_checkpoints(folder / "off").back(), s.parameters(), nullptr, &off);
  const std::uint64_t hash = parameter_hash(s.parameters());
  for (const char* level : {"weights", "params", "full"}) {
    run(traced(level), folder / level);
    load_checkpoint(list_checkpoints(folder / level).back(), s.parameters(), nullptr, &on);
    EXPECT_EQ(parameter_hash(s.parameters()), hash) << level;
    EXPECT_EQ(metrics_of(folder / level), metrics_of(folder / "off")) << level;
  }
}

TEST(Trace, OneSequenceInSoManyOfEveryShard) {
  Folder folder;
  run(traced("params", {{"train.batch", "7", ""}, {"train.shard-size", "3", ""}}), folder / "run", 2);
  std::vector<std::int64_t> expected;
  for (std::int64_t n = 0; n < 406; n += 25) expected.push_back(n);
  const auto episodes = episodes_of(folder / "run");
  EXPECT_EQ(sequences_of(episodes), expected);
  for (std::size_t i = 0; i < episodes.size(); ++i) EXPECT_EQ(episodes[i].id, static_cast<std::int64_t>(i));
}

// The trace against the pass itself, seen by somebody else.
class Copier final : public Look<float> {
 public:
  explicit Copier(const MemoryLayout& layout) : layout_(layout) {}
  bool wants(const Place& place) override { return place.name != "weights" && place.name != "value"; }
  void seen(const Pass<float>&, const Place& place, const Var<float>& v) override {
    seen_[std::string(place.site) + "." + std::string(place.name)].emplace_back(v.data, v.data + v.size());
  }
  void start(const Pass<float>&, std::string_view component, std::span<const Var<float>> now) override {
    take(component, now);
  }
  void state(const Pass<float>&, std::string_view component, std::span<const Var<float>> now) override {
    take(component, now);
  }
  std::vector<std::vector<std::vector<float>>> states;           // [step + 1][state] row 0
  std::map<std::string, std::vector<std::vector<float>>> seen_;  // by full name [step]

 private:
  void take(std::string_view component, std::span<const Var<float>> now) {
    if (component != "memory") return;
    auto& s = states.emplace_back();
    for (std::size_t i = 0; i < layout_.state.size(); ++i)
      s.emplace_back(now[i].data, now[i].data + layout_.state[i].count());
  }
  const MemoryLayout& layout_;
};

TEST(Trace, HoldsTheValuesOfThePass) {
  const Config c = traced("full", {{"memory.read-heads", "2", ""}, {"memory.initial-memory", "random", ""}});
  Session s(c, 1);
  for (std::uint64_t i = 0; i < 20; ++i) s.step(i, i + 1);
  const MemoryLayout& memory = *find(s.model().components(), "memory")->memory;
  const trace::Layout layout = make_layout(c, s.task(), s.model().components(), "eval", 20, trace::Level::full);
  Recorder recorder(layout, s.model().components(), s.task().spec());
  const trace::Episode e = s.trace_episode({.first = 5, .count = 1}, 0, recorder);

  Tape<float> tape;
  Gradients<float> gradients(s.parameters(), 2);
  tape.bind(gradients.leaves());
  tape.begin(false);
  Batch batch;
  s.task().sample({1, "eval", 5, 0, 1}, batch);
  Copier copier(memory);
  Pass<float> pass{.tape = tape, .seed = 1, .sequence = 5, .look = &copier};
  s.model().forward(batch, pass);

  ASSERT_EQ(e.steps, batch.steps);
  EXPECT_EQ(e.sequence, 5);
  EXPECT_EQ(e.checkpoint_hash, parameter_hash(s.parameters()));
  EXPECT_EQ(e.params, std::vector<double>{static_cast<double>((batch.steps - 1) / 2)});
  ASSERT_EQ(layout.sites.size(), 3u);
  const std::size_t n = memory.slots, m = memory.width;
  std::size_t inner_weightings = 0;
  for (std::size_t site = 0; site < layout.sites.size(); ++site) {
    const std::string& name = layout.sites[site].site.name;
    const std::size_t w = memory.state_index(name, "weights");
    EXPECT_EQ(e.sites[site].initial_weights, copier.states[0][w]);
    for (std::size_t t = 0; t < e.steps; ++t)
      for (std::size_t i = 0; i < n; ++i)
        ASSERT_EQ(e.sites[site].weights[t * n + i], copier.states[t + 1][w][i]) << name << " step " << t;
    for (std::size_t v = 0; v < layout.sites[site].values.size(); ++v) {
      const Declared& d = layout.sites[site].values[v].declared;
      if (d.name == "value") continue;
      const auto named = [&](const Declared& other) { return other.site == name && other.name == d.name; };
      inner_weightings += std::any_of(memory.stages.begin(), memory.stages.end(), named);
      const std::size_t count = d.count();
      const auto& seen = copier.seen_.at(name + "." + d.name);
      ASSERT_EQ(seen.size(), e.steps);
      for (std::size_t t = 0; t < e.steps; ++t)
        for (std::size_t i = 0; i < count; ++i)
          ASSERT_EQ(e.sites[site].values[v][t * count + i], seen[t][i]) << name << "." << d.name;
    }
  }
  EXPECT_EQ(inner_weightings, 12u);  // similarity, content, gated, shifted at three sites
  // Keyframes: N x M, of the state before the step that they name.
  const std::size_t contents = memory.state_index("", "contents");
  ASSERT_EQ(e.keyframes.size(), (e.steps + 2) / 3);
  for (std::size_t k = 0; k < e.keyframes.size(); ++k) {
    EXPECT_EQ(e.keyframes[k], static_cast<std::int64_t>(3 * k));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < m; ++j)
        ASSERT_EQ(e.memory[0][(k * n + i) * m + j], copier.states[3 * k][contents][j * n + i]);
  }
  for (std::size_t t = 0; t < e.steps; ++t) {
    EXPECT_EQ(e.mask[t], batch.target.scored(t, 0));
    EXPECT_EQ(e.phase[t], batch.phase(t, 0));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(e.input[t * 4 + i], batch.dense(t, 0, i));
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(e.target[t * 3 + i], batch.target.values(t, 0, i));
      EXPECT_GT(e.output[t * 3 + i], 0);
      EXPECT_LT(e.output[t * 3 + i], 1);
    }
  }
  EXPECT_FALSE(e.controller.empty());
}

TEST(Trace, RowsOfMixedLengthsEndWhereTheyEnd) {
  Folder folder;
  run(traced("params", {{"train.batch", "5", ""},
                        {"task.mixed-lengths", "true", ""},
                        {"trace.every", "1", ""},
                        {"train.max-sequences", "20", ""}}),
      folder / "run");
  const auto episodes = episodes_of(folder / "run");
  ASSERT_EQ(episodes.size(), 20u);
  for (const trace::Episode& e : episodes) EXPECT_EQ(e.steps, static_cast<std::size_t>(2 * e.params[0] + 1));
}

TEST(Trace, AModelWithoutMemoryIsTracedToo) {
  Folder folder;
  const Config c = Config::from({{"task", "copy", ""},
                                 {"memory", "none", ""},
                                 {"controller.hidden", "6", ""},
                                 {"controller.layers", "2", ""},
                                 {"train.max-sequences", "20", ""},
                                 {"trace.level", "full", ""},
                                 {"trace.every", "10", ""}});
  run(c, folder / "run");
  EXPECT_EQ(episodes_of(folder / "run").size(), 2u);
}

// The hops of a memory network: the same at every word of the question, zero past the story's end.
TEST(Trace, HopsOverItemsAreTraced) {
  Folder folder;
  for (const char* memory : {"end_to_end", "key_value"})
    for (const char* level : {"weights", "full"}) {
      const Config c = Config::from({{"task", "babi", ""},
                                     {"model", "memory_network", ""},
                                     {"memory", memory, ""},
                                     {"memory.width", "6", ""},
                                     {"memory.empty-slots", "false", ""},
                                     {"train.batch", "4", ""},
                                     {"train.max-sequences", "40", ""},
                                     {"trace.level", level, ""},
                                     {"trace.every", "3", ""}});
      const std::string name = std::string(memory) + level;
      run(c, folder / name);
      const auto episodes = episodes_of(folder / name);
      ASSERT_EQ(episodes.size(), 14u);
      for (const trace::Episode& e : episodes) {
        ASSERT_EQ(e.sites.size(), 3u);
        for (const auto& hop : e.sites) {
          const std::size_t n = hop.weights.size() / e.steps;
          double sum = 0;
          for (std::size_t i = 0; i < n; ++i) {
            sum += static_cast<double>(hop.weights[i]);
            EXPECT_EQ(hop.weights[(e.steps - 1) * n + i], hop.weights[i]);
            if (i >= e.items.count) {
              EXPECT_EQ(hop.weights[i], 0);
            }
          }
          EXPECT_NEAR(sum, 1, 1e-5);
        }
      }
    }
}

/// Of toy_items, whose later sequences are unlike the early ones.
Config toy(const std::string& answer, const std::vector<Assignment>& more = {}) {
  std::vector<Assignment> given = {{"task", "toy_items", ""},
                                   {"task.answer", answer, ""},
                                   {"memory", answer == "pointer" ? "none" : "end_to_end", ""},
                                   {"controller.hidden", "6", ""},
                                   {"train.max-sequences", "60", ""},
                                   {"train.eval-every", "30", ""},
                                   {"train.eval-episodes", "4", ""},
                                   {"trace.level", "weights", ""},
                                   {"trace.every", "1", ""}};
  return Config::from(merged(given, more));
}

/// What the task gave for an episode, alone.
Batch batch_of(const Config& config, const trace::Episode& e) {
  Batch batch;
  tasks()
      .find(config.task)
      .make(config.task_options)
      ->sample({config.seed, "task", static_cast<std::uint64_t>(e.sequence), 0, 1}, batch);
  return batch;
}

TEST(Trace, APointerOfFewItemsKeepsNothingOfALongerSet) {
  Folder folder;
  const Config c = toy("pointer");
  run(c, folder / "run");
  const auto episodes = episodes_of(folder / "run");
  ASSERT_EQ(episodes.size(), 60u);
  for (const trace::Episode& e : episodes) {
    const std::size_t k = e.output.size() / e.steps;
    ASSERT_EQ(k, 7u);
    for (std::size_t t = 0; t < e.steps; ++t) {
      double total = 0;
      for (std::size_t i = 0; i < k; ++i) {
        total += static_cast<double>(e.output[t * k + i]);
        if (i >= e.items.count) {
          EXPECT_EQ(e.output[t * k + i], 0) << "sequence " << e.sequence << " item " << i;
        }
      }
      EXPECT_NEAR(total, 1, 1e-5) << "sequence " << e.sequence;
    }
  }
}

TEST(Trace, AnEpisodeWithoutItemsHasNoWords) {
  Folder folder;
  const Config c = toy("class");
  run(c, folder / "run");
  std::size_t empty = 0;
  for (const trace::Episode& e : episodes_of(folder / "run")) {
    const Batch batch = batch_of(c, e);
    std::vector<std::int32_t> words;
    for (const std::int32_t w : batch.items.tokens.storage())
      if (w >= 0) words.push_back(w);
    EXPECT_EQ(e.items.token, words) << "sequence " << e.sequence;
    EXPECT_EQ(e.items.count, batch.items.count[0]);
    empty += e.items.count == 0;
  }
  EXPECT_EQ(empty, 10u);
}

// The first sequences have at most 3 items and whole numbers, later ones up to 7 and halves.
TEST(Trace, TheTaskDeclaresWhatLaterEpisodesAreLike) {
  Folder folder;
  const Config c = toy("class");
  run(c, folder / "run");
  const auto episodes = episodes_of(folder / "run");
  ASSERT_EQ(episodes.size(), 60u) << "none was refused";
  std::size_t most = 0;
  for (const trace::Episode& e : episodes) {
    EXPECT_EQ(e.params, std::vector<double>{static_cast<double>(batch_of(c, e).parameters[0].second[0])});
    most = std::max(most, e.items.count);
  }
  EXPECT_EQ(most, 7u);
}

TEST(Trace, ATaskThatBreaksItsDeclarationIsNamed) {
  const auto said = [](const char* breaks, const char* answer) {
    return message_of<InvariantError>([&] {
      Session s(toy(answer, {{"task.breaks", breaks, ""}}), 1);
      for (std::uint64_t n = 0; n < 60; ++n) {
        std::vector<double> metrics;
        s.evaluate({.first = n, .count = 1}, metrics);
      }
    });
  };
  EXPECT_EQ(said("items", "class"), "[task toy_items] row 0 has 3 items, the task promised at most 2");
  EXPECT_EQ(said("whole", "class"), "[task toy_items] parameter 'share' is 40.5, the task promised whole numbers");
  EXPECT_EQ(said("steps", "pointer"), "[task toy_items] T=3, the task promised at most 2 steps");
  const Config silent = toy("class", {{"task.breaks", "silence", ""}});
  Session s(silent, 1);
  EXPECT_EQ(message_of<InvariantError>(
                [&] { make_layout(silent, s.task(), s.model().components(), "train", 0, trace::Level::weights); }),
            "[task toy_items] gives items and does not declare how many at most (max_items)");
}

TEST(Trace, AResumedRunTracesEachSequenceOnce) {
  Folder folder;
  const Config c = traced("params");
  run(c, folder / "straight");
  const auto expected = episodes_of(folder / "straight");
  run(c.with({{"train.max-sequences", "290", ""}}), folder / "run");
  fs::remove(list_checkpoints(folder / "run").back());  // as if killed between trace and checkpoint
  go_on(folder / "run", {{"train.max-sequences", "400", ""}});
  const auto episodes = episodes_of(folder / "run");
  EXPECT_EQ(sequences_of(episodes), sequences_of(expected));
  for (std::size_t i = 0; i < episodes.size(); ++i) {
    EXPECT_EQ(episodes[i].id, expected[i].id);
    EXPECT_EQ(episodes[i].checkpoint_hash, expected[i].checkpoint_hash);
    EXPECT_EQ(episodes[i].output, expected[i].output);
    EXPECT_EQ(episodes[i].sites[0].weights, expected[i].sites[0].weights);
  }
}

TEST(Trace, AFullDiskEndsTheTracingAndNotTheTraining) {
  Folder folder;
  const Config c = traced(
      "full",
      {{"trace.every", "1", ""}, {"train.checkpoint-every", "1000000", ""}, {"train.eval-every", "1000000", ""}});
  const Child child = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit size{300000, 300000};  // over a checkpoint, under the traces
    ::setrlimit(RLIMIT_FSIZE, &size);
    std::string said;
    RunOptions options;
    options.out = folder / "run";
    options.notice = [&](const std::string& text) { said += text + "\n"; };
    const RunResult r = train(c, options);
    return said + exit_reason_name(r.reason);
  });
  EXPECT_EQ(child.code, 0);
  expect_has(child.text, "tracing stops here, training goes on");
  EXPECT_TRUE(child.text.ends_with("max_sequences")) << child.text;
  EXPECT_EQ(run_json(folder / "run")["sequences"], 400);
}

TEST(Trace, ABudgetThatIsUsedUpEndsTheTracing) {
  Folder folder;
  run(traced("full", {{"trace.every", "1", ""},
                      {"trace.budget-mb", "1", ""},
                      {"memory.slots", "64", ""},
                      {"memory.width", "16", ""},
                      {"trace.keyframe-every", "1", ""},
                      {"train.max-sequences", "1000", ""}}),
      folder / "run");
  EXPECT_GT(episodes_of(folder / "run").size(), 10u);
  EXPECT_LT(episodes_of(folder / "run").size(), 1000u);
}

TEST(Trace, TheStepsOfADivergenceAreReadable) {
  Folder folder;
  run(small({{"train.max-sequences", "100", ""}}), folder / "run");
  Session s(small(), 1);
  RunState state;
  const fs::path last = list_checkpoints(folder / "run").back();
  load_checkpoint(last, s.parameters(), &s.optimizer(), &state);
  ParameterSet<float>& set = s.parameters();
  for (std::size_t i = 0; i < set.parameters().size(); ++i)
    if (set.parameters()[i].name == "readout.bias") set.value(i)[0] = INFINITY;
  save_checkpoint(last, s.config().text(), set, s.optimizer(), state);
  EXPECT_EQ(go_on(folder / "run", {{"train.max-sequences", "200", ""}}).reason, ExitReason::diverged);
  const auto episodes = episodes_of(folder / "run", "diverged");
  ASSERT_EQ(episodes.size(), 1u);
  EXPECT_EQ(episodes[0].sequence, 100);
  EXPECT_EQ(episodes[0].steps, static_cast<std::size_t>(2 * episodes[0].params[0] + 1)) << "the readout comes last";
  EXPECT_TRUE(std::isnan(episodes[0].loss) && std::isnan(episodes[0].error)) << episodes[0].error;
}

// Where every op's values are finite and only the gradient's norm is not, no episode is the one at fault.
TEST(Trace, ADivergenceWithoutAnEpisodeAtFaultHasNone) {
  Folder folder;
  const Config config = Config::from({{"task", "copy", ""},
                                      {"task.length", "20", ""},
                                      {"memory", "none", ""},
                                      {"controller", "rnn", ""},
                                      {"controller.activation", "relu", ""},
                                      {"controller.init-scale", "10", ""},
                                      {"controller.hidden", "50", ""},
                                      {"train.clip-element", "0", ""},
                                      {"optimizer", "sgd", ""},
                                      {"train.learning-rate", "1e-30", ""},
                                      {"train.batch", "4", ""},
                                      {"train.max-sequences", "400", ""}});
  const RunResult r = run(config, folder / "run");
  ASSERT_EQ(r.reason, ExitReason::diverged);
  EXPECT_NE(r.message.find("every op's values are finite"), std::string::npos) << r.message;
  EXPECT_TRUE(trace::trace_files(folder / "run/traces/diverged.trace.h5").empty());
}

}  // namespace
}  // namespace mneme::experiments
