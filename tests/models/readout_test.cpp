// The readout's edges: items that are not there take no gradient, whatever reaches their logits.
#include "models/readout.hpp"

#include "tests/support/values.hpp"

namespace mneme {
namespace {

using test::Numbers;

TEST(Readout, ItemsPastTheCountTakeNoGradient) {
  const BatchSpec spec{.channels = 1, .item_width = 2, .target = TargetKind::pointer, .outputs = 3};
  ParameterSet<double> set;
  const Readout<double> readout(Builder<double>(set), spec, 4);
  set.initialize(1);
  Gradients<double> gradients(set, 2);
  Tape<double> tape;
  tape.bind(gradients.leaves());
  Batch batch;
  batch.reset(spec, 2, 1, 3);
  batch.items.count = {3, 1};
  const Numbers x = test::draw(12, 1);
  std::copy(x.begin(), x.end(), batch.items.values.data());  // also where there is no item

  const auto gradient = [&](double of_the_missing) {
    tape.begin(true);
    Pass<double> pass{tape};
    const Var<double> step = test::given(tape, {2, 4}, test::draw(8, 2));
    const Var<double> logits = readout.logits(pass, batch, {&step, 1}, 1);
    EXPECT_EQ(test::numbers(logits)[4], masked_logit);
    EXPECT_EQ(test::numbers(logits)[5], masked_logit);
    const Var<double> weights = test::given(tape, {2, 3}, {0.5, -1, 2, 0.25, of_the_missing, -of_the_missing});
    tape.backward(sum(tape, multiply(tape, logits, weights.detached())));
    Numbers g(gradients.flat(), gradients.flat() + set.flat_size());
    const Numbers into = test::gradient(tape, step);
    g.insert(g.end(), into.begin(), into.end());
    return g;
  };
  EXPECT_EQ(gradient(0), gradient(3));
}

TEST(Readout, IsOneLinearLayerForAllStepsAtOnce) {
  const BatchSpec spec{.channels = 1, .target = TargetKind::classes, .outputs = 3};
  ParameterSet<double> set;
  const Readout<double> readout(Builder<double>(set), spec, 5);
  set.initialize(1);
  Gradients<double> gradients(set, 2);
  Tape<double> tape;
  tape.bind(gradients.leaves());
  tape.begin(true);
  Pass<double> pass{tape};
  Batch batch;
  batch.reset(spec, 2, 3);
  std::vector<Var<double>> parts;
  for (std::size_t t = 0; t < 3; ++t) {
    parts.push_back(test::given(tape, {2, 3}, test::draw(6, 10 + t)));
    parts.push_back(test::given(tape, {2, 2}, test::draw(4, 20 + t)));
  }
  const std::size_t before = tape.node_count();
  const Var<double> y = readout.logits(pass, batch, parts, 2);
  EXPECT_EQ(tape.node_count() - before, 2u) << "one to stack the steps, one product";
  EXPECT_EQ(y.shape.text(), "[6 3]");
}

}  // namespace
}  // namespace mneme
