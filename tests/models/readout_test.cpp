// The readout's edges: items that are not there take no gradient, whatever reaches their logits.
#include "models/readout.hpp"

#include "core/batch.hpp"
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

// What a Look puts in the place of a pointer's weights is what the answer is read from.
TEST(Readout, AnswersByTheWeightsThatSomebodyPutInThePlaceOfItsOwn) {
  class Second final : public Look<double> {
    Var<double> instead(const Pass<double>& pass, const Place& place, const Var<double>& value) override {
      if (place.site != "pointer" || place.name != "weights") return value;
      const Var<double> w = pass.tape.filled(value.shape, 0);
      for (std::size_t b = 0; b < value.shape[0]; ++b) w.data[b * value.shape[1] + 1] = 1;
      return w;
    }
  } second;
  const BatchSpec spec{.channels = 1, .item_width = 2, .target = TargetKind::pointer, .outputs = 3};
  ParameterSet<double> set;
  const Readout<double> readout(Builder<double>(set), spec, 4);
  set.initialize(1);
  Gradients<double> gradients(set, 2);
  Tape<double> tape;
  tape.bind(gradients.leaves());
  tape.begin(false);
  Batch batch;
  batch.reset(spec, 2, 1, 3);
  batch.items.count = {3, 3};
  Pass<double> pass{.tape = tape, .look = &second};
  const Var<double> step = test::given(tape, {2, 4}, test::draw(8, 2));
  const Numbers logits = test::numbers(readout.logits(pass, batch, {&step, 1}, 1));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(logits[i], i % 3 == 1 ? 0 : masked_logit) << i;
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
