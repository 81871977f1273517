// lstm, gru and rnn against plain loops in double: one layer and several, all options, initial states, shape errors.
#include "controllers/gru.hpp"
#include "controllers/lstm.hpp"
#include "tests/controllers/controller_rig.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::given;
using test::Numbers;
using test::plain_linear;
using test::plain_sigmoid;
using test::Row;

constexpr std::size_t rows = 2, steps = 3;
constexpr std::size_t widths[] = {3, 2};  // two inputs, joined inside
constexpr std::size_t input = 5;

Row joined(Row x, const Row& h) {
  x.insert(x.end(), h.begin(), h.end());
  return x;
}

/// state[l] is {h} or {h, c} of layer l; returns the new state of one layer.
using PlainLayer = std::function<std::vector<Row>(std::size_t l, const Row& x, const std::vector<Row>& old)>;

/// Runs the rig and the plain layers side by side from the rig's begin().
void expect_layers(test::ControllerRig<double>& rig, std::size_t per_layer, const PlainLayer& layer) {
  const std::size_t n = rig.controller->output_size(), layers = rig.controller->state().size() / per_layer;
  std::span<Var<double>> state = rig.controller->begin(rig.pass, rows);
  ASSERT_EQ(state.size(), layers * per_layer);
  std::vector<std::vector<std::vector<Row>>> plain(rows, std::vector<std::vector<Row>>(layers));
  for (std::size_t b = 0; b < rows; ++b)
    for (std::size_t l = 0; l < layers; ++l)
      for (std::size_t k = 0; k < per_layer; ++k)
        plain[b][l].push_back(test::row_of(test::numbers(state[l * per_layer + k]), b, n));
  for (std::size_t t = 0; t < steps; ++t) {
    SCOPED_TRACE(fmt::format("step {}", t));
    const Numbers first = draw(rows * widths[0], 10 + t), second = draw(rows * widths[1], 20 + t);
    const Var<double> parts[] = {given(rig.tape, {rows, widths[0]}, first), given(rig.tape, {rows, widths[1]}, second)};
    const Var<double> h = rig.controller->step(rig.pass, parts, state);
    for (std::size_t b = 0; b < rows; ++b) {
      Row x = joined(test::row_of(first, b, widths[0]), test::row_of(second, b, widths[1]));
      for (std::size_t l = 0; l < layers; ++l) {
        plain[b][l] = layer(l, x, plain[b][l]);
        x = plain[b][l][0];
        for (std::size_t k = 0; k < per_layer; ++k)
          test::expect_near(test::row_of(test::numbers(state[l * per_layer + k]), b, n), plain[b][l][k], 1e-13);
      }
      test::expect_near(test::row_of(test::numbers(h), b, n), x, 1e-13);
    }
  }
}

/// Initial states and biases with numbers worth adding.
void disturb(test::ControllerRig<double>& rig) {
  for (std::size_t i = 0; i < rig.set.parameters().size(); ++i) {
    const Parameter& p = rig.set.parameters()[i];
    if (p.name.find("weight") != std::string::npos) continue;
    const Numbers x = draw(p.shape.size(), 50 + i);
    std::copy(x.begin(), x.end(), rig.set.value(i));
  }
  rig.set.refresh();
}

std::string layer_name(std::size_t l, const char* name) {
  return fmt::format("layer_{}.{}", l, name);
}

TEST(Lstm, LayersAgainstLoops) {
  for (const char* layers : {"1", "3"})
    for (const char* start : {"learned", "zero"}) {
      SCOPED_TRACE(fmt::format("{} layers, {}", layers, start));
      test::ControllerRig<double> rig("lstm", {{"hidden", "4"}, {"layers", layers}, {"initial-state", start}}, input);
      disturb(rig);
      expect_layers(rig, 2, [&](std::size_t l, const Row& x, const std::vector<Row>& old) {
        const Numbers w = rig.parameter(layer_name(l, "weight")), b = rig.parameter(layer_name(l, "bias"));
        const Row in = joined(x, old[0]);
        const auto gate = [&](std::size_t k) { return plain_linear(in, w, b, 16, 4 * k, 4); };
        const Row i = gate(0), f = gate(1), g = gate(2), o = gate(3);
        Row h(4), c(4);
        for (std::size_t j = 0; j < 4; ++j) {
          c[j] = plain_sigmoid(f[j]) * old[1][j] + plain_sigmoid(i[j]) * std::tanh(g[j]);
          h[j] = plain_sigmoid(o[j]) * std::tanh(c[j]);
        }
        return std::vector<Row>{h, c};
      });
    }
}

TEST(Gru, LayersAgainstLoops) {
  for (const char* layers : {"1", "2"})
    for (const char* reset : {"after", "before"}) {
      SCOPED_TRACE(fmt::format("{} layers, reset {}", layers, reset));
      test::ControllerRig<double> rig("gru", {{"hidden", "4"}, {"layers", layers}, {"reset", reset}}, input);
      disturb(rig);
      expect_layers(rig, 1, [&](std::size_t l, const Row& x, const std::vector<Row>& old) {
        const Numbers w = rig.parameter(layer_name(l, "input.weight")), b = rig.parameter(layer_name(l, "input.bias")),
                      u = rig.parameter(layer_name(l, "hidden.weight")),
                      d = rig.parameter(layer_name(l, "hidden.bias"));
        const Row& h = old[0];
        const auto from_x = [&](std::size_t k) { return plain_linear(x, w, b, 12, 4 * k, 4); };
        const auto from_h = [&](const Row& v, std::size_t k) { return plain_linear(v, u, d, 12, 4 * k, 4); };
        Row r(4), z(4), rh(4), next(4);
        for (std::size_t j = 0; j < 4; ++j) {
          r[j] = plain_sigmoid(from_x(0)[j] + from_h(h, 0)[j]);
          z[j] = plain_sigmoid(from_x(1)[j] + from_h(h, 1)[j]);
          rh[j] = r[j] * h[j];
        }
        for (std::size_t j = 0; j < 4; ++j) {
          const double inner = std::string(reset) == "after" ? r[j] * from_h(h, 2)[j] : from_h(rh, 2)[j];
          next[j] = (1 - z[j]) * std::tanh(from_x(2)[j] + inner) + z[j] * h[j];
        }
        return std::vector<Row>{next};
      });
    }
}

TEST(Rnn, LayersAgainstLoops) {
  for (const char* activation : {"tanh", "relu"}) {
    SCOPED_TRACE(activation);
    test::ControllerRig<double> rig("rnn", {{"hidden", "4"}, {"layers", "2"}, {"activation", activation}}, input);
    disturb(rig);
    expect_layers(rig, 1, [&](std::size_t l, const Row& x, const std::vector<Row>& old) {
      Row z = plain_linear(joined(x, old[0]), rig.parameter(layer_name(l, "weight")),
                           rig.parameter(layer_name(l, "bias")), 4, 0, 4);
      for (double& v : z) v = std::string(activation) == "tanh" ? std::tanh(v) : std::max(v, 0.0);
      return std::vector<Row>{z};
    });
  }
}

TEST(Lstm, StartsWithOpenForgetGatesAndSmallWeights) {
  test::ControllerRig<double> rig("lstm", {{"hidden", "4"}, {"forget-bias", "1.5"}, {"init-scale", "0.5"}}, input);
  EXPECT_EQ(rig.parameter("layer_0.bias"), (Numbers{0, 0, 0, 0, 1.5, 1.5, 1.5, 1.5, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(rig.parameter("layer_0.initial_h"), Numbers(4, 0));
  const double a = 0.5 / std::sqrt(9.0);
  double most = 0;
  for (double w : rig.parameter("layer_0.weight")) most = std::max(most, std::abs(w));
  EXPECT_LE(most, a);
  EXPECT_GT(most, 0.9 * a);
}

TEST(Recurrent, AZeroStartHasNoParameters) {
  for (const char* name : {"lstm", "gru", "rnn"}) {
    SCOPED_TRACE(name);
    test::ControllerRig<double> learned(name, {{"hidden", "4"}}, input);
    test::ControllerRig<double> zero(name, {{"hidden", "4"}, {"initial-state", "zero"}}, input);
    EXPECT_TRUE(learned.has("layer_0.initial_h"));
    EXPECT_FALSE(zero.has("layer_0.initial_h"));
    for (const Var<double>& s : zero.controller->begin(zero.pass, 2)) test::expect_value(s, {2, 4}, Numbers(8), 0);
  }
}

TEST(Recurrent, StateIsNamedByLayer) {
  const auto names = [](const char* name) {
    const test::ControllerRig<double> rig(name, {{"hidden", "4"}, {"layers", "2"}}, input);
    std::string text;
    for (const Declared& d : rig.controller->state()) text += fmt::format("{}[{}] ", d.full_name(), d.count());
    return text;
  };
  EXPECT_EQ(names("lstm"), "layer_0.h[4] layer_0.c[4] layer_1.h[4] layer_1.c[4] ");
  EXPECT_EQ(names("gru"), "layer_0.h[4] layer_1.h[4] ");
  EXPECT_EQ(names("rnn"), "layer_0.h[4] layer_1.h[4] ");
}

TEST(Recurrent, ALargeInputSaturatesWithoutOverflow) {
  for (const char* name : {"lstm", "gru", "rnn"})
    for (const double x : {-1e6, 1e6}) {
      SCOPED_TRACE(name);
      test::ControllerRig<float> rig(name, {{"hidden", "4"}}, 1);
      std::span<Var<float>> state = rig.controller->begin(rig.pass, 1);
      const Var<float> in = given<float>(rig.tape, {1, 1}, {x});
      const Var<float> h = rig.controller->step(rig.pass, {&in, 1}, state);
      test::expect_finite(test::numbers(h));
      test::backward_from(rig.tape, h);
      test::expect_finite(Numbers(rig.gradients->flat(), rig.gradients->flat() + rig.set.flat_size()));
    }
}

TEST(Cells, ShapesThatDoNotFitAreNamed) {
  Tape<float> tape;
  tape.begin(true);
  const auto ones = [&](Shape s) { return tape.filled(s, 1.0f); };
  EXPECT_EQ(complaint([&] {
              lstm_cell(tape, ones({2, 11}), ones({2, 3}));
            }),
            "[lstm_cell] z [2 11] for a state of [2 3]");
  EXPECT_EQ(complaint([&] {
              lstm_cell(tape, ones({3, 12}), ones({2, 3}));
            }),
            "[lstm_cell] z [3 12] for a state of [2 3]");
  EXPECT_EQ(complaint([&] {
              gru_cell(tape, ones({2, 9}), ones({2, 8}), ones({2, 3}));
            }),
            "[gru_cell] a [2 9] and b [2 8] for a state of [2 3]");
  EXPECT_EQ(complaint([&] {
              gru_cell(tape, ones({2, 12}), ones({2, 12}), ones({2, 3}));
            }),
            "[gru_cell] a [2 12] and b [2 12] for a state of [2 3]");
}

}  // namespace
}  // namespace mneme
