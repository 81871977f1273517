// Weights into and out of runs: to the bit, whole or not at all, and every name that does not fit in one message.
#include "experiments/exchange/exchange.hpp"

#include "experiments/judge/evaluate.hpp"
#include "experiments/run/session.hpp"
#include "tests/experiments/support.hpp"

#include <cstring>

namespace mneme::experiments {
namespace {

/// A trained small run, made once.
const fs::path& trained() {
  static const Folder folder;
  static const fs::path path = [] {
    run(small({{"memory.initial-memory", "random", ""}}), folder / "run");
    return folder / "run";
  }();
  return path;
}
Weights trained_weights() {
  return weights_of(inspect_checkpoint(find_checkpoint(trained(), "last")));
}
NamedArray& array_of(Weights& w, const std::string& name) {
  for (NamedArray& a : w.arrays)
    if (a.name == name) return a;
  throw std::runtime_error("no array " + name);
}
std::string bits_of(const fs::path& checkpoint, const std::string& prefix) {
  std::string bits;
  for (const NamedArray& a : inspect_checkpoint(checkpoint).arrays)
    if (a.name.starts_with(prefix))
      bits += a.name + " " + std::string(reinterpret_cast<const char*>(a.values.data()), a.values.size() * 4);
  return bits;
}

TEST(Exchange, ThereAndBackIsTheSameModelToTheBit) {
  const Folder folder;
  const fs::path last = find_checkpoint(trained(), "last");
  for (const std::string& format : weight_formats()) {
    write_weights(folder / format, format, trained_weights());
    const ImportResult r = import_weights({.source = folder / format, .out = folder / (format + "_run")});
    EXPECT_EQ(bits_of(r.checkpoint, "parameters/"), bits_of(last, "parameters/"));
    EXPECT_EQ(bits_of(r.checkpoint, "buffers/"), bits_of(last, "buffers/"));
    EXPECT_NE(bits_of(r.checkpoint, "buffers/"), "");
    EXPECT_FALSE(fs::exists(folder / (format + "_run.part")));
    const Evaluation a = evaluate(trained(), {.episodes = 7}), b = evaluate(r.directory, {.episodes = 7});
    EXPECT_EQ(a.results[0].figures, b.results[0].figures);
  }
}

TEST(Exchange, AnImportIsARunThatBeginsAndSaysSo) {
  const Folder folder;
  write_weights(folder / "w", "safetensors", trained_weights());
  const ImportResult r = import_weights({.source = folder / "w", .out = folder / "run"});
  EXPECT_EQ(r.origin, "weights imported from " + (folder / "w").string() + "; optimizer state fresh");
  const CheckpointInfo info = inspect_checkpoint(r.checkpoint);
  EXPECT_EQ(info.provenance.origin, r.origin);
  EXPECT_EQ(info.state.sequences, 0u);
  for (const NamedArray& a : info.arrays)
    if (a.name.starts_with("optimizer/")) {
      for (const float v : a.values) ASSERT_EQ(v, 0) << a.name;
    }
  EXPECT_EQ(run_json(r.directory)["exit_reason"], "imported");
  EXPECT_EQ(run_json(r.directory)["message"], r.origin);
  expect_has(read_file(r.directory / "log.txt"), r.origin);
  // It trains on from there, and every later checkpoint still says where it began.
  EXPECT_EQ(go_on(r.directory).sequences, 400u);
  const CheckpointInfo later = inspect_checkpoint(find_checkpoint(r.directory, "last"));
  EXPECT_EQ(later.state.sequences, 400u);
  EXPECT_EQ(later.provenance.origin, r.origin);
  EXPECT_EQ(weights_of(later).metadata.at("origin"), r.origin);
}

TEST(Exchange, ASumOfAMapThatIsNotFiniteIsRefused) {
  const Folder folder;
  Weights w = trained_weights();
  const NamedArray bias = array_of(w, "readout.bias");
  for (const char* name : {"huge", "huger"}) {
    w.arrays.push_back({name, bias.dims, std::vector<float>(bias.values.size(), 3e38f)});
  }
  std::erase_if(w.arrays, [](const NamedArray& a) { return a.name == "readout.bias"; });
  write_weights(folder / "w", "safetensors", w);
  write_file(folder / "map", "huge readout.bias\nhuger readout.bias add\n");
  EXPECT_EQ(message_of<NonFiniteError>(
                [&] { import_weights({.source = folder / "w", .map = folder / "map", .out = folder / "run"}); }),
            fmt::format("[{}:2] 'huger' added to 'readout.bias' gives inf at number 0", (folder / "map").string()));
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(Exchange, MetadataSayWhatItIs) {
  const Weights w = trained_weights();
  EXPECT_EQ(w.metadata.at("format"), "mneme-weights 1");
  EXPECT_EQ(w.metadata.at("gate_order"), "lstm: i f g o; gru: r z n");
  EXPECT_EQ(w.metadata.at("sequences"), "400");
  EXPECT_EQ(w.metadata.at("buffers"), "memory.initial_memory");
  EXPECT_EQ(Config::parse(w.metadata.at("config"), "x").run_id(""), w.metadata.at("config_hash"));
  for (const NamedArray& a : w.arrays) EXPECT_FALSE(a.name.starts_with("optimizer")) << a.name;
}

TEST(Exchange, WeightsOfAnOlderVersionKeepWhatStoodForAnOptionThatIsNew) {
  const Folder folder;
  auto plugin = optimizers().find("sgd");
  plugin.options.integer("delay", 3, 0, 9, "").absent("2");
  optimizers().add("delayed", plugin);
  const Config config = small({{"optimizer", "delayed", ""}, {"optimizer.delay", "2", ""}});
  run(config, folder / "older");
  Weights w = weights_of(inspect_checkpoint(find_checkpoint(folder / "older", "last")));
  std::string& text = w.metadata.at("config");
  expect_has(text, "delay = 2\n");
  text = std::regex_replace(text, std::regex("delay = 2\n"), "");
  write_weights(folder / "w", "safetensors", w);
  import_weights({.source = folder / "w", .out = folder / "run"});
  EXPECT_EQ(read_file(folder / "run" / "config.ini"), config.text());
  import_weights({.source = folder / "w", .given = {{"optimizer.delay", "4", ""}}, .out = folder / "other"});
  expect_has(read_file(folder / "other" / "config.ini"), "delay = 4\n");
}

TEST(Exchange, AllThatDoesNotFitIsNamedAtOnceAndNothingIsChanged) {
  const Folder folder;
  Weights w = trained_weights();
  array_of(w, "readout.weight").name = "readout.wieght";
  NamedArray& heads = array_of(w, "memory.heads.weight");
  std::swap(heads.dims[0], heads.dims[1]);
  w.arrays.push_back({"scheduler.step", {1}, {3}});
  Session s(small({{"memory.initial-memory", "random", ""}}), 1);
  const std::uint64_t before = parameter_hash(s.parameters());
  const std::string m = message_of<ArgumentError>([&] { fit_weights(w, {}, s.parameters(), "w.st"); });
  EXPECT_EQ(m.rfind("[w.st] does not fit the model:\n", 0), 0u) << m;
  expect_has(m, "\n  missing: readout.weight [16 3], did you mean 'readout.wieght'?");
  expect_has(m, "\n  left over: readout.wieght [16 3], did you mean 'readout.weight'?");
  expect_has(m, "\n  left over: scheduler.step [1]");
  expect_has(m, "\n  other shape: memory.heads.weight is [12 28] in the model, [28 12] in the file; say transpose");
  EXPECT_EQ(parameter_hash(s.parameters()), before);

  write_weights(folder / "w", "safetensors", w);
  message_of<ArgumentError>([&] { import_weights({.source = folder / "w", .out = folder / "run"}); });
  EXPECT_FALSE(fs::exists(folder / "run"));
  EXPECT_FALSE(fs::exists(folder / "run.part"));
}

/// A set as of a layer of 2 inputs and 1 unit with 4 gates.
struct Layer {
  ParameterSet<float> set;
  explicit Layer(bool scalar = false) {
    if (scalar) set.add("scale", {}, Initializer::constant(0));
    set.add("weight", {3, 4}, Initializer::constant(0));
    set.add("bias", {4, 1}, Initializer::constant(0));
    set.initialize(1);
  }
  std::vector<float> values(std::size_t i) { return {set.value(i), set.value(i) + set.parameters()[i].shape.size()}; }
};
const Weights kTheirs = {{{"ih", {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}},
                          {"hh", {4, 1}, {9, 10, 11, 12}},
                          {"b1", {4}, {1, 2, 3, 4}},
                          {"b2", {4}, {10, 20, 30, 40}}},
                         {}};

TEST(Exchange, AMapTransposesReshapesStacksAndAdds) {
  Layer layer;
  const NameMap map =
      parse_name_map("ih weight transpose\nhh weight transpose\nb1 bias reshape\nb2 bias reshape add\n", "names.txt");
  fit_weights(kTheirs, map, layer.set, "w");
  EXPECT_EQ(layer.values(0), (std::vector<float>{1, 3, 5, 7, 2, 4, 6, 8, 9, 10, 11, 12}));
  EXPECT_EQ(layer.values(1), (std::vector<float>{11, 22, 33, 44}));
}

TEST(Exchange, WhatAMapGetsWrongIsNamedWithItsLine) {
  Layer layer;
  const auto refusal = [&](const std::string& text) {
    const std::string m =
        message_of<ArgumentError>([&] { fit_weights(kTheirs, parse_name_map(text, "names.txt"), layer.set, "w"); });
    EXPECT_EQ(layer.values(0), std::vector<float>(12, 0)) << "nothing changes";
    return m;
  };
  const std::string m = refusal("ihh wieght transpose\n\nb1 weight transpose\nhh bias add\nih bias reshape\n");
  expect_has(m, "names.txt:1: the file has no 'ihh', did you mean 'ih'?");
  expect_has(m, "names.txt:1: the model has no 'wieght', did you mean 'weight'?");
  expect_has(m, "names.txt:3: 'b1' is [4]: transpose wants two axes");
  expect_has(m, "names.txt:4: no line before it gives 'bias' what to add to");
  expect_has(m, "names.txt:5: 'ih' [4 2] cannot be reshaped to [4 1] of 'bias'");
  expect_has(m, "left over: b2 [4]");
  const std::string both = refusal("ih weight\nhh weight\nb1 bias reshape\nih bias add\nb2 bias\n");
  expect_has(both, "names.txt:4: 'ih' [4 2] cannot be added to [4 1]");
  expect_has(both, "other shape: weight is [3 4] in the model, [4 2] on [4 1] in the file");
  expect_has(refusal("ih weight\nhh weight\nb1 bias reshape\nb2 bias reshape add\n"),
             "other shape: weight is [3 4] in the model, [4 2] on [4 1] in the file");
}

TEST(Exchange, TwoNumbersAreNoScalar) {
  Layer layer(true);
  Weights w = kTheirs;
  w.arrays.push_back({"s", {}, {1}});
  w.arrays.push_back({"t", {}, {2}});
  const NameMap map = parse_name_map("s scale\nt scale\n", "names.txt");
  expect_has(message_of<ArgumentError>([&] { fit_weights(w, map, layer.set, "w"); }),
             "other shape: scale is [] in the model, [] on [] in the file");
}

TEST(Exchange, LinesOfAMap) {
  const NameMap map = parse_name_map("# theirs ours\n\na b\n  c\td transpose reshape add # both\n", "names.txt");
  ASSERT_EQ(map.lines.size(), 2u);
  EXPECT_EQ(map.lines[1].where, "names.txt:4");
  EXPECT_TRUE(map.lines[1].transpose && map.lines[1].reshape && map.lines[1].add);
  EXPECT_FALSE(map.lines[0].transpose || map.lines[0].reshape || map.lines[0].add);
  const auto refusal = [](const std::string& text) {
    return message_of<ArgumentError>([&] { parse_name_map(text, "names.txt"); });
  };
  expect_has(refusal("a b\nalone\n"), "[names.txt:2] 'alone' alone; a line is THEIRS OURS [transpose] [reshape] [add]");
  expect_has(refusal("a b transpsoe\n"), "[names.txt:1] unknown word 'transpsoe', did you mean 'transpose'?");
  expect_has(refusal("a b add add\n"), "[names.txt:1] 'add' is there twice");
}

}  // namespace
}  // namespace mneme::experiments
