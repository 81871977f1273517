// Room: tests. A cell of chosen memory and controller, its parameters readable, and what happens inside it recorded.
#pragma once

#include "models/model.hpp"
#include "tests/support/values.hpp"

#include <map>

namespace mneme::test {

using Row = std::vector<double>;
using Given = std::map<std::string, std::string>;

struct CellOptions {
  std::string memory = "none";
  Given memory_options = {};
  std::string controller = "feedforward";
  Given controller_options = {{"hidden", "4"}};
  Given model_options = {{"embedding", "3"}};
};

template <class T>
class CellRig {
 public:
  explicit CellRig(const BatchSpec& spec, const CellOptions& o = {}, std::uint64_t seed = 1) {
    const ModelPlugin& plugin = models().find("cell");
    plugin.validate(spec);
    ModelSetup setup;
    setup.batch = spec;
    setup.memory = &memories().find(o.memory);
    setup.memory_options = setup.memory->options.parse("memory", o.memory_options);
    if (setup.memory->validate) setup.memory->validate(setup.memory_options);
    setup.controller = &controllers().find(o.controller);
    setup.controller_options = setup.controller->options.parse("controller", o.controller_options);
    model = plugin.make<T>(Builder<T>(set), plugin.options.parse("model", o.model_options), setup);
    set.initialize(seed);
    gradients = std::make_unique<Gradients<T>>(set, 2);
    tape.bind(gradients->leaves());
  }

  Forward<T> forward(const Batch& batch, double loss_scale = 1, Look<T>* look = nullptr) {
    tape.begin(true);
    Pass<T> pass{.tape = tape, .loss_scale = loss_scale, .look = look};
    return model->forward(batch, pass);
  }
  void predict(const Batch& batch, Prediction& out) {
    tape.begin(false);
    Pass<T> forced{.tape = tape}, pass{.tape = tape};
    const Var<T> logits = model->forward(batch, forced).logits;
    model->predict(batch, pass, {}, logits, out);
  }

  /// A parameter of rank 2 as [in][out], of rank 1 as one row.
  std::vector<Row> parameter(const std::string& name) {
    for (std::size_t i = 0; i < set.parameters().size(); ++i) {
      const Parameter& p = set.parameters()[i];
      if (p.name != name) continue;
      std::vector<Row> rows(p.shape.rows());
      for (std::size_t k = 0; k < p.shape.size(); ++k)
        rows[k / p.shape.last()].push_back(static_cast<double>(set.value(i)[k]));
      return rows;
    }
    ADD_FAILURE() << "no parameter " << name;
    return {};
  }
  bool has(const std::string& name) const {
    for (const Parameter& p : set.parameters())
      if (p.name == name) return true;
    return false;
  }

  ParameterSet<T> set;
  std::unique_ptr<Model<T>> model;
  std::unique_ptr<Gradients<T>> gradients;
  Tape<T> tape;
};

/// x W + b from the named layer.
template <class T>
Row plain_layer(CellRig<T>& rig, const std::string& name, const Row& x) {
  const std::vector<Row> w = rig.parameter(name + ".weight");
  Row y = rig.parameter(name + ".bias")[0];
  EXPECT_EQ(w.size(), x.size()) << name;
  for (std::size_t j = 0; j < y.size(); ++j)
    for (std::size_t i = 0; i < x.size(); ++i) y[j] += x[i] * w[i][j];
  return y;
}

inline Row plain_tanh(Row x) {
  for (double& v : x) v = std::tanh(v);
  return x;
}

/// log softmax over the first `count`.
inline Row plain_log_softmax(const Row& x, std::size_t count) {
  double top = x[0], total = 0;
  for (std::size_t i = 0; i < count; ++i) top = std::max(top, x[i]);
  for (std::size_t i = 0; i < count; ++i) total += std::exp(x[i] - top);
  Row y(count);
  for (std::size_t i = 0; i < count; ++i) y[i] = x[i] - top - std::log(total);
  return y;
}

/// Copies of everything that a run shows, by step; 0 is the state before the first.
template <class T>
struct Recording final : Look<T> {
  void start(const Pass<T>&, std::string_view component, std::span<const Var<T>> now) override { keep(component, now); }
  void state(const Pass<T>& pass, std::string_view component, std::span<const Var<T>> now) override {
    keep(component, now);
    EXPECT_EQ((component == "memory" ? memory : controller).size(), pass.step + 2);
  }
  std::vector<std::vector<Numbers>> memory, controller;  // [step][slot] -> [B ...]

 private:
  void keep(std::string_view component, std::span<const Var<T>> now) {
    auto& values = (component == "memory" ? memory : controller).emplace_back();
    for (const Var<T>& v : now) values.push_back(numbers(v));
  }
};

/// Row b of B.
inline Numbers row_of(const Numbers& x, std::size_t b, std::size_t rows) {
  const std::size_t n = x.size() / rows;
  return Numbers(x.begin() + static_cast<std::ptrdiff_t>(b * n), x.begin() + static_cast<std::ptrdiff_t>((b + 1) * n));
}

}  // namespace mneme::test
