// Room: tests. Weight exchange judged by PyTorch: our exports give its outputs and gradients, its weights give ours.
#include "core/batch.hpp"
#include "core/random.hpp"
#include "experiments/config/config.hpp"
#include "experiments/exchange/weights.hpp"
#include "experiments/run/checkpoint.hpp"
#include "models/model.hpp"
#include "places.hpp"
#include "tasks/task.hpp"
#include "tests/tools/program.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xtensor/xadapt.hpp>
#include <xtensor/xnpy.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace mneme::tools_test {
namespace {

using experiments::Config;

// Debian's torch belongs to Debian's python3, which may not be the first one on PATH.
constexpr const char* kPython = "/usr/bin/python3";

/// Exit code of tests/tools/pytorch_weights.py, whose lines go to the test's own output; 77 = no PyTorch.
int python(const std::string& what, const fs::path& folder, const std::string& name) {
  if (::access(kPython, X_OK) != 0) return 77;
  const std::string source = MNEME_SOURCE_DIR;
  const int status = std::system(fmt::format("{} -B '{}/tests/tools/pytorch_weights.py' '{}' {} '{}' {}", kPython,
                                             source, source, what, folder.string(), name)
                                     .c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

template <class T>
void dump(const fs::path& path, const std::vector<std::size_t>& shape, const T* data) {
  std::size_t n = 1;
  for (const std::size_t d : shape) n *= d;
  xt::dump_npy(path.string(), xt::adapt(std::vector<T>(data, data + n), shape));
}

/// The model of a configuration with the weights of a checkpoint, in T.
template <class T>
class Twin {
 public:
  Twin(const Config& c, const fs::path& checkpoint) {
    ModelSetup setup;
    setup.batch = tasks().find(c.task).make(c.task_options)->spec();
    setup.memory = &memories().find(c.memory);
    setup.memory_options = c.memory_options;
    setup.controller = &controllers().find(c.controller);
    setup.controller_options = c.controller_options;
    model_ = models().find(c.model).template make<T>(Builder<T>(set_), c.model_options, setup);
    set_.initialize(c.seed);
    const experiments::CheckpointInfo info = experiments::inspect_checkpoint(checkpoint);
    std::size_t found = 0;
    for (std::size_t i = 0; i < set_.parameters().size(); ++i)
      for (const experiments::NamedArray& a : info.arrays)
        if (a.name == "parameters/" + set_.parameters()[i].name) {
          std::copy(a.values.begin(), a.values.end(), set_.value(i));
          ++found;
        }
    EXPECT_EQ(found, set_.parameters().size());
    set_.refresh();
    gradients_ = std::make_unique<Gradients<T>>(set_, 2);
    tape_.bind(gradients_->leaves());
  }

  /// Logits [T*B K] of the batch; the gradient of its loss, nats over the rows, is then in gradient().
  std::vector<T> logits(const Batch& batch) {
    tape_.begin(true);
    Pass<T> pass{.tape = tape_, .train = true, .loss_scale = 1 / static_cast<double>(batch.size)};
    const Forward<T> f = model_->forward(batch, pass);
    loss_ = f.loss.data[0];
    std::vector<T> values(f.logits.data, f.logits.data + f.logits.shape.size());
    tape_.backward(f.loss);
    return values;
  }
  T loss() const { return loss_; }
  const ParameterSet<T>& set() const { return set_; }
  const T* gradient(const Parameter& p) { return gradients_->flat() + p.offset; }

 private:
  ParameterSet<T> set_;
  std::unique_ptr<Model<T>> model_;
  std::unique_ptr<Gradients<T>> gradients_;
  Tape<T> tape_;
  T loss_ = 0;
};

Batch sample(const Config& c, std::size_t rows) {
  Batch batch;
  tasks().find(c.task).make(c.task_options)->sample({.seed = 5, .first = 40, .rows = rows}, batch);
  return batch;
}

void dump_batch(const fs::path& folder, const Batch& b) {
  const auto& target = b.target.values.shape();
  dump(folder / "dense.npy", {b.steps, b.size, b.dense.shape()[2]}, b.dense.data());
  dump(folder / "target.npy", {target[0], target[1], target[2]}, b.target.values.data());
  dump(folder / "scored.npy", {b.steps, b.size}, b.target.scored.data());
}

template <class T>
void dump_ours(const fs::path& folder, const Config& c, const fs::path& checkpoint, const Batch& batch) {
  fs::create_directories(folder);
  Twin<T> twin(c, checkpoint);
  const std::vector<T> logits = twin.logits(batch);
  const T loss = twin.loss();
  dump(folder / "logits.npy", {logits.size()}, logits.data());
  dump(folder / "loss.npy", {1}, &loss);
  for (const Parameter& p : twin.set().parameters()) {
    std::vector<std::size_t> shape;
    for (std::size_t a = 0; a < p.shape.rank(); ++a) shape.push_back(p.shape[a]);
    dump(folder / ("gradient." + p.name + ".npy"), shape, twin.gradient(p));
  }
}

class PyTorch : public testing::TestWithParam<const char*> {};

// A preset trained for a while, so that no parameter stands where it started; exported by the program.
TEST_P(PyTorch, ComputesTheSameFromOurExport) {
  const std::string model = GetParam(), preset = model == "ntm" ? "copy_ntm" : "copy_lstm_1x100";
  const Scratch folder;
  const std::string run = (folder / "run").string();
  Result r = mneme({"train", preset, "--max-sequences", "400", "--task.length", "1:10", "--out", run});
  ASSERT_EQ(r.code, 0) << r.err;
  r = mneme({"checkpoint", "export", run, "--out", (folder / "weights.safetensors").string()});
  ASSERT_EQ(r.code, 0) << r.err;
  const Config c = Config::load(run);
  const fs::path checkpoint = experiments::find_checkpoint(run, "last");
  const Batch batch = sample(c, 4);
  dump_batch(folder.path(), batch);
  dump_ours<double>(folder / "float64", c, checkpoint, batch);
  dump_ours<float>(folder / "float32", c, checkpoint, batch);
  const int code = python("compare", folder.path(), model);
  if (code == 77) GTEST_SKIP() << "python3-torch is not installed";
  EXPECT_EQ(code, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, PyTorch, testing::Values("ntm", "lstm"),
                         [](const auto& info) { return std::string(info.param); });

class PyTorchLayer : public testing::TestWithParam<const char*> {};

/// The map of docs/checkpoint_format.md for torch.nn.KIND.
std::string map_of(const std::string& kind) {
  const std::string page = read_file(fs::path(MNEME_SOURCE_DIR) / "docs" / "checkpoint_format.md");
  const std::string head = "```\n# torch.nn." + kind + "\n";
  const std::size_t begin = page.find(head);
  EXPECT_NE(begin, page.npos) << "docs/checkpoint_format.md has no map for " << kind;
  return page.substr(begin + 4, page.find("\n```", begin) - begin - 3);
}

TEST_P(PyTorchLayer, GivesTheSameOutputsWhenImported) {
  const std::string kind = GetParam();
  const std::string ours = kind == "LSTM" ? "lstm" : kind == "GRU" ? "gru" : "rnn";
  const Scratch folder;
  const std::vector<std::string> words = {"--into",
                                          "copy_lstm_1x100",
                                          "--controller",
                                          ours,
                                          "--controller.hidden=10",
                                          "--controller.initial-state=zero",
                                          "--task.width=3",
                                          "--task.length=1:6"};
  const Config c =
      Config::load("copy_lstm_1x100", {{"controller", ours, ""}, {"task.width", "3", ""}, {"task.length", "1:6", ""}});
  const Batch batch = sample(c, 5);
  dump_batch(folder.path(), batch);
  const int code = python("make", folder.path(), kind);
  if (code == 77) GTEST_SKIP() << "python3-torch is not installed";
  ASSERT_EQ(code, 0);
  std::ofstream(folder / "names.txt") << map_of(kind);

  const std::string run = (folder / "run").string();
  std::vector<std::string> all = {
      "checkpoint", "import", (folder / "torch.safetensors").string(), "--map", (folder / "names.txt").string(),
      "--out",      run};
  all.insert(all.end(), words.begin(), words.end());
  Result r = mneme(all);
  ASSERT_EQ(r.code, 0) << r.err;
  Twin<float> twin(Config::load(run), experiments::find_checkpoint(run, "last"));
  const std::vector<float> got = twin.logits(batch);
  const experiments::NamedArray wanted = experiments::parse_npy(read_file(folder / "logits.npy"), "logits.npy");
  ASSERT_EQ(wanted.dims, (std::vector<std::size_t>{batch.steps, batch.size, 3}));
  ASSERT_EQ(got.size(), wanted.values.size());
  float gap = 0, top = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(std::isfinite(got[i]));
    gap = std::max(gap, std::abs(got[i] - wanted.values[i]));
    top = std::max(top, std::abs(wanted.values[i]));
  }
  fmt::print("torch.nn.{} imported: largest difference of outputs {:.2e} (of {:.2f})\n", kind, gap, top);
  EXPECT_LE(gap, 1e-5);
  EXPECT_GT(top, 0.1);
  r = mneme({"eval", run, "--episodes", "5"});
  EXPECT_EQ(r.code, 0) << r.err;
}

INSTANTIATE_TEST_SUITE_P(Layers, PyTorchLayer, testing::Values("LSTM", "GRU", "RNN"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace mneme::tools_test
