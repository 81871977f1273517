// All steps at once against step(): rows of unequal lengths, both directions, gradients, and an encoder that reads both
// ways. lstm and rnn sum the parts of inputs and state apart, gru multiplies more rows at once: where that changes the
// order of a sum, numbers agree to rounding; else to the bit.
#include "autodiff/gradcheck.hpp"
#include "autodiff/products.hpp"
#include "tests/controllers/controller_rig.hpp"
#include "tests/core/allocations.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::ControllerRig;
using test::draw;
using test::given;
using test::Numbers;

constexpr std::size_t input = 3, hidden = 4, steps = 5;
const std::vector<std::uint32_t> ragged{2, 5, 1}, full{5, 5, 5};

struct Kind {
  std::string name;
  std::map<std::string, std::string> options;
};

/// Every registered controller, of one layer and of two, with every option that is a choice.
std::vector<Kind> kinds() {
  std::vector<Kind> list;
  for (const auto& [name, plugin] : controllers().entries()) {
    const auto& options = plugin.options.options();
    const auto has = [&](const char* option) {
      return std::any_of(options.begin(), options.end(), [&](const Option& o) { return o.name == option; });
    };
    if (!has("hidden")) continue;
    if (!has("layers")) {
      list.push_back({name, {{"hidden", "4"}}});
      continue;
    }
    for (const char* layers : {"1", "2"}) list.push_back({name, {{"hidden", "4"}, {"layers", layers}}});
  }
  list.push_back({"gru", {{"hidden", "4"}, {"reset", "before"}, {"layers", "2"}}});
  list.push_back({"rnn", {{"hidden", "4"}, {"activation", "relu"}}});
  list.push_back({"lstm", {{"hidden", "4"}, {"initial-state", "zero"}}});
  return list;
}

template <class T>
std::unique_ptr<ControllerRig<T>> rig_of(const Kind& kind, std::uint64_t seed = 1) {
  use_one_blas_thread();
  auto rig = std::make_unique<ControllerRig<T>>(kind.name, kind.options, input, seed);
  for (std::size_t i = 0; i < rig->set.parameters().size(); ++i) {
    const Parameter& p = rig->set.parameters()[i];
    if (p.name.find("weight") != std::string::npos) continue;  // biases and initial states with numbers worth adding
    const Numbers x = draw(p.shape.size(), 50 + i, -0.5, 0.5);
    std::copy(x.begin(), x.end(), rig->set.value(i));
  }
  rig->set.refresh();
  return rig;
}

template <class T>
Numbers parameter_gradients(ControllerRig<T>& rig) {
  return Numbers(rig.gradients->flat(), rig.gradients->flat() + rig.set.flat_size());
}

/// Outputs [T*B H] and then the states, of row b alone, step by step.
struct Alone {
  std::vector<Numbers> outputs, state;
};
Alone alone(ControllerRig<double>& rig, const Numbers& x, std::size_t b, std::size_t rows, std::size_t length,
            bool backwards) {
  Alone result{std::vector<Numbers>(steps, Numbers(hidden, 0.0)), {}};
  std::span<Var<double>> state = rig.controller->begin(rig.pass, 1);
  for (std::size_t i = 0; i < length; ++i) {
    const std::size_t t = backwards ? length - 1 - i : i;
    const Var<double> here = given(rig.tape, {1, input}, test::row_of(x, t * rows + b, input));
    result.outputs[t] = test::numbers(rig.controller->step(rig.pass, {&here, 1}, state));
  }
  for (const Var<double>& s : state) result.state.push_back(test::numbers(s));
  return result;
}

TEST(Run, EveryRowIsWhatItsStepsAloneMake) {
  for (const Kind& kind : kinds())
    for (const bool backwards : {false, true})
      for (const auto& lengths : {ragged, full}) {
        SCOPED_TRACE(fmt::format("{}, backwards {}, {} steps first", kind.name, backwards, lengths[0]));
        const auto rig = rig_of<double>(kind);
        const Numbers x = draw(steps * 3 * input, 3);  // what stands past a row's end is not read
        std::span<Var<double>> state = rig->controller->begin(rig->pass, 3);
        const Var<double> out =
            rig->controller->run(rig->pass, given(rig->tape, {steps * 3, input}, x), lengths, backwards, state);
        ASSERT_EQ(out.shape.text(), (Shape{steps * 3, hidden}).text());
        ASSERT_EQ(state.size(), rig->controller->state().size());
        for (std::size_t b = 0; b < 3; ++b) {
          const Alone want = alone(*rig, x, b, 3, lengths[b], backwards);
          for (std::size_t t = 0; t < steps; ++t)
            test::expect_near(test::row_of(test::numbers(out), t * 3 + b, hidden), want.outputs[t], 1e-13);
          for (std::size_t i = 0; i < state.size(); ++i)
            test::expect_near(test::row_of(test::numbers(state[i]), b, hidden), want.state[i], 1e-13);
        }
      }
}

/// Outputs, final states, and gradients of parameters and inputs: by run, or by the steps that it stands for.
template <class T>
struct Results {
  Numbers out, state, gradients, dx;
};
template <class T>
Results<T> results(const Kind& kind, bool by_steps, std::span<const std::uint32_t> lengths, bool backwards) {
  const auto rig = rig_of<T>(kind);
  const Controller<T>& c = *rig->controller;
  std::span<Var<T>> state = c.begin(rig->pass, 3);
  const Var<T> x = given(rig->tape, {steps * 3, input}, draw(steps * 3 * input, 3));
  const Var<T> out = by_steps ? c.Controller<T>::run(rig->pass, x, lengths, backwards, state)
                              : c.run(rig->pass, x, lengths, backwards, state);
  Results<T> r{test::numbers(out), {}, {}, {}};
  std::vector<Var<T>> all;
  for (std::size_t b = 0; b < steps * 3; b += 3) all.push_back(slice_rows(rig->tape, out, b, 3));
  for (const Var<T>& s : state) all.push_back(s);
  for (const Var<T>& s : state)
    for (double v : test::numbers(s)) r.state.push_back(v);
  test::backward_from(rig->tape, concatenate<T>(rig->tape, all));
  r.gradients = parameter_gradients(*rig);
  r.dx = test::gradient(rig->tape, x);
  return r;
}

TEST(Run, IsStepByStepToRounding) {
  for (const Kind& kind : kinds())
    for (const bool backwards : {false, true})
      for (const auto& lengths : {ragged, full}) {
        SCOPED_TRACE(fmt::format("{}, backwards {}, {} steps first", kind.name, backwards, lengths[0]));
        const auto check = [&](auto a, auto b, double tolerance) {
          test::expect_near(a.out, b.out, tolerance);
          test::expect_near(a.state, b.state, tolerance);
          test::expect_near(a.gradients, b.gradients, tolerance);
          test::expect_near(a.dx, b.dx, tolerance);
        };
        check(results<double>(kind, false, lengths, backwards), results<double>(kind, true, lengths, backwards), 1e-13);
        check(results<float>(kind, false, lengths, backwards), results<float>(kind, true, lengths, backwards), 5e-6);
        const auto a = results<float>(kind, false, lengths, backwards),
                   b = results<float>(kind, true, lengths, backwards);
        if (kind.name != "gru" && kind.name != "feedforward") continue;
        EXPECT_EQ(a.out, b.out) << "up to 16 rows each row of a product is summed alike";
        EXPECT_EQ(a.state, b.state);
      }
}

TEST(Run, GradientsAreThoseOfDifferences) {
  for (const Kind& kind : kinds()) {
    if (kind.options.count("activation")) continue;  // relu: kinks
    for (const bool backwards : {false, true}) {
      SCOPED_TRACE(fmt::format("{}, backwards {}", kind.name, backwards));
      const auto rig = rig_of<double>(kind);
      Numbers numbers = draw(steps * 3 * input, 3, -1, 1);
      Var<double> x;
      const auto loss = [&](bool record) {
        rig->set.refresh();
        rig->tape.begin(record);
        std::span<Var<double>> state = rig->controller->begin(rig->pass, 3);
        x = given(rig->tape, {steps * 3, input}, numbers);
        std::vector<Var<double>> all{rig->controller->run(rig->pass, x, ragged, backwards, state)};
        all.insert(all.end(), state.begin(), state.end());
        return asymmetric_loss(rig->tape, all);
      };
      rig->tape.backward(loss(true));
      const Numbers dx = test::gradient(rig->tape, x);
      for (std::size_t t = 0; t < steps; ++t)
        for (std::size_t b = 0; b < 3; ++b)
          for (double d : test::row_of(dx, t * 3 + b, input)) EXPECT_TRUE(t < ragged[b] || d == 0) << "past its end";
      std::vector<GradientBlock> blocks{{"x", numbers.data(), dx.data(), dx.size()}};
      for (std::size_t i = 0; i < rig->set.parameters().size(); ++i) {
        const Parameter& p = rig->set.parameters()[i];
        blocks.push_back({p.name, rig->set.value(i), rig->gradients->flat() + p.offset, p.shape.size()});
      }
      const GradientResult r = compare_gradient([&] { return loss(false).data[0]; }, blocks);
      EXPECT_TRUE(r.ok()) << r.text();
    }
  }
}

// What joins the inputs of all steps: one product for them, one a step for the state; its gradients likewise.
TEST(Run, InputsOfAllStepsAreOneProduct) {
  for (const char* name : {"lstm", "gru", "rnn"}) {
    const auto rig = rig_of<double>({name, {{"hidden", "4"}}});
    const ProductMeter meter;
    std::span<Var<double>> state = rig->controller->begin(rig->pass, 3);
    rig->controller->run(rig->pass, given(rig->tape, {steps * 3, input}, draw(steps * 3 * input, 3)), full, false,
                         state);
    EXPECT_EQ(meter.products, 1 + steps) << name;
    const std::size_t gates = std::string(name) == "lstm" ? 4 : std::string(name) == "gru" ? 3 : 1;
    EXPECT_EQ(meter.operations, 2.0 * steps * 3 * (input + hidden) * hidden * static_cast<double>(gates)) << name;
  }
}

// A bidirectional encoder whose outputs are attended to, as Bahdanau et al. 2015 have it.
TEST(Run, AnEncoderReadsBothWays) {
  ParameterSet<double> set;
  const Builder<double> build(set);
  const ControllerPlugin& plugin = controllers().find("lstm");
  const Options options = plugin.options.parse("controller", {{"hidden", "4"}});
  const auto there = plugin.make<double>(build.scope("there"), options, input);
  const auto back = plugin.make<double>(build.scope("back"), options, input);
  set.initialize(3);
  Gradients<double> gradients(set, 2);
  Tape<double> tape;
  Pass<double> pass{tape};
  tape.bind(gradients.leaves());
  Numbers numbers = draw(steps * 3 * input, 7, -1, 1);

  const auto encode = [&](const auto& run) {
    std::span<Var<double>> s = there->begin(pass, 3), r = back->begin(pass, 3);
    const Var<double> x = given(tape, {steps * 3, input}, numbers);
    const Var<double> parts[] = {run(*there, x, false, s), run(*back, x, true, r)};
    return concatenate<double>(tape, parts);
  };
  const auto at_once = [&](const Controller<double>& c, Var<double> x, bool backwards, std::span<Var<double>>& s) {
    return c.run(pass, x, ragged, backwards, s);
  };
  /// By hand: states that stand still before a row's last step, outputs that are zeros there.
  const auto by_hand = [&](const Controller<double>& c, Var<double> x, bool backwards, std::span<Var<double>>& s) {
    auto* outputs = tape.scratch<Var<double>>(steps);
    for (std::size_t i = 0; i < steps; ++i) {
      const std::size_t t = backwards ? steps - 1 - i : i;
      auto* active = tape.scratch<std::uint8_t>(3);
      for (std::size_t b = 0; b < 3; ++b) active[b] = t < ragged[b];
      const std::span<Var<double>> old = s;
      const Var<double> here = slice_rows(tape, x, 3 * t, 3);
      const Var<double> h = c.step(pass, {&here, 1}, s);
      for (std::size_t k = 0; k < s.size(); ++k) s[k] = choose_rows(tape, active, s[k], old[k]);
      outputs[t] = choose_rows(tape, active, h, tape.filled({3, hidden}, 0.0));
    }
    return stack_steps<double>(tape, {outputs, steps}, 1);
  };
  tape.begin(true);
  const Var<double> encoded = encode(at_once);
  ASSERT_EQ(encoded.shape.text(), "[15 8]");
  const Numbers out = test::numbers(encoded);
  test::backward_from(tape, encoded);
  const Numbers d(gradients.flat(), gradients.flat() + set.flat_size());
  tape.begin(true);
  const Var<double> stepped = encode(by_hand);
  test::expect_near(out, test::numbers(stepped), 1e-13);
  test::backward_from(tape, stepped);
  test::expect_near(d, Numbers(gradients.flat(), gradients.flat() + set.flat_size()), 1e-13);

  // What is read backwards at a row's first step knows its last one, and nothing that comes after.
  const auto first_of = [&](std::size_t b) {
    tape.begin(false);
    return test::row_of(test::numbers(encode(at_once)), b, 2 * hidden);
  };
  const Numbers before = first_of(0);
  numbers[(1 * 3 + 0) * input] += 1;  // row 0 has two steps: this is its last
  const Numbers after = first_of(0);
  EXPECT_EQ(Numbers(before.begin(), before.begin() + hidden), Numbers(after.begin(), after.begin() + hidden));
  for (std::size_t j = hidden; j < 2 * hidden; ++j) EXPECT_NE(before[j], after[j]);
  numbers[(2 * 3 + 0) * input] += 1;
  EXPECT_EQ(first_of(0), after) << "past its end";
}

TEST(Run, SteadyStateAllocatesNothing) {
  for (const Kind& kind : kinds()) {
    const auto rig = rig_of<float>(kind);
    const auto pass = [&] {
      rig->tape.begin(true);
      std::span<Var<float>> state = rig->controller->begin(rig->pass, 3);
      const Var<float> x = rig->tape.filled({steps * 3, input}, 0.5f);
      test::backward_from(rig->tape, rig->controller->run(rig->pass, x, ragged, true, state));
    };
    for (int i = 0; i < 2; ++i) pass();
    const std::uint64_t before = allocations();
    pass();
    EXPECT_EQ(allocations(), before) << kind.name;
  }
}

TEST(Run, LengthsThatDoNotFitAreNamed) {
  const auto rig = rig_of<float>({"lstm", {{"hidden", "4"}}});
  const auto run = [&](Shape shape, std::vector<std::uint32_t> lengths) {
    return complaint([&] {
      std::span<Var<float>> state = rig->controller->begin(rig->pass, lengths.size());
      rig->controller->run(rig->pass, rig->tape.filled(shape, 1.0f), lengths, false, state);
    });
  };
  EXPECT_EQ(run({7, input}, {2, 2, 2}), "[run] x [7 3] is no whole number of steps of 3 rows");
  EXPECT_EQ(run({6, input}, {}), "[run] x [6 3] is no whole number of steps of 0 rows");
  EXPECT_EQ(run({6, input}, {2, 3, 2}), "[run] a row of 3 steps in x [6 3], which has 2");
  EXPECT_EQ(run({6, 4}, {2, 2, 2}), "[joined_steps] h [3 4] at step 0, W [7 16], x W [6 16] of 3 rows");
}

}  // namespace
}  // namespace mneme
