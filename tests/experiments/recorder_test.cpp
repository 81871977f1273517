// Recorder: rows of the trace hold what was declared, where it belongs, or the plug-in that broke its word is named.
#include "experiments/run/recorder.hpp"
#include "core/batch.hpp"
#include "tests/experiments/support.hpp"

namespace mneme::experiments {
namespace {

/// A memory of one hop over at most five items, made by hand, and a trace of it whose rows hold `items`.
struct Hop {
  explicit Hop(std::size_t items) {
    declared.state.add({"keys", "", {2, 5}, Kind::plain, "k", {"cell", "item"}});
    declared.state.add({"weights", "hop_0", {5}, Kind::weights, "p", {"item"}});
    declared.state.add({"value", "hop_0", {2}, Kind::plain, "o", {"cell"}});
    declared.parameters.add({"query", "hop_0", {2}, Kind::plain, "q", {"cell"}});
    declared.stages.add({"similarity", "hop_0", {5}, Kind::plain, "e", {"item"}});
    declared.sites = {{"hop_0", "hop", "dot", "item", {}, 1, 2}};
    declared.slots = 5;
    declared.width = 2;
    layout.level = trace::Level::full;
    layout.slots = 5;
    layout.cells = 2;
    layout.items = items;
    layout.sites = {{declared.sites[0], Kind::weights, {}}};
    for (const DeclaredList* list : {&declared.parameters, &declared.state, &declared.stages})
      for (const Declared& d : *list)
        if (d.site == "hop_0" && d.name != "weights") layout.sites[0].values.push_back({d, trace::Level::params});
    components = {{"memory", "memory hop", &declared, &declared}};
    batch.size = 2;
    batch.lengths = {2, 2};
    tape.begin(false);
  }
  Var<float> numbers(Shape shape, float first) {
    const Var<float> v = tape.constant(shape);
    for (std::size_t i = 0; i < v.size(); ++i) v.data[i] = first + static_cast<float>(i);
    return v;
  }
  /// Two steps of two rows whose longest set has three items; row 1 is recorded.
  trace::Episode& record(Recorder& recorder, Shape value = {2, 2}, bool shows = true, Shape similarity = {2, 3}) {
    const std::size_t row = 1;
    recorder.start(batch, {&row, 1});
    std::vector<Var<float>> state{numbers({2, 2, 3}, 0), numbers({2, 3}, 100), numbers(value, 200)};
    recorder.start(pass, "memory", state);
    pass.site = "hop_0";
    pass.look = &recorder;
    for (pass.step = 0; pass.step < 2; ++pass.step) {
      pass.seen("query", numbers({2, 2}, 300));
      if (shows) pass.seen("similarity", numbers(similarity, 400));
      state[1] = numbers({2, 3}, 500 + 10 * static_cast<float>(pass.step));
      recorder.state(pass, "memory", state);
    }
    return recorder.episode(0);
  }

  MemoryLayout declared;
  trace::Layout layout;
  Components components;
  Batch batch;
  Tape<float> tape;
  Pass<float> pass{tape};
};

// A task's largest set may have more items than the memory takes: its rows are longer than the declared weights.
TEST(Recorder, ShorterWeightsFillTheirRowsOfTheTrace) {
  for (const std::size_t items : {5u, 8u}) {
    Hop hop(items);
    Recorder recorder(hop.layout, hop.components, {});
    const trace::Episode& e = hop.record(recorder);
    std::vector<float> initial(items), weights(2 * items);
    for (std::size_t i = 0; i < 3; ++i) {
      initial[i] = 103 + static_cast<float>(i);
      weights[i] = 503 + static_cast<float>(i);
      weights[items + i] = 513 + static_cast<float>(i);
    }
    EXPECT_EQ(e.sites[0].initial_weights, initial) << items;
    EXPECT_EQ(e.sites[0].weights, weights) << items;
    EXPECT_EQ(e.sites[0].values[0], (std::vector<float>{302, 303, 302, 303}));
    EXPECT_EQ(e.sites[0].values[2], (std::vector<float>{403, 404, 405, 0, 0, 403, 404, 405, 0, 0}));
  }
}

TEST(Recorder, AValueLargerThanDeclaredIsRefusedWithItsName) {
  Hop hop(5);
  Recorder recorder(hop.layout, hop.components, {});
  EXPECT_EQ(message_of<InvariantError>([&] {
              hop.record(recorder, {2, 9});
            }),
            "[memory hop] hop_0.value has shape [2 9], declared [2 2]");
  Hop again(5);
  Recorder other(again.layout, again.components, {});
  EXPECT_EQ(message_of<InvariantError>([&] {
              again.record(other, {2, 1});
            }),
            "[memory hop] hop_0.value has shape [2 1], declared [2 2]");
}

TEST(Recorder, AnAxisOfItemsLongerThanDeclaredIsRefused) {
  Hop hop(5);
  Recorder recorder(hop.layout, hop.components, {});
  EXPECT_EQ(message_of<InvariantError>([&] {
              hop.record(recorder, {2, 2}, true, {2, 8});
            }),
            "[memory hop] hop_0.similarity has shape [2 8], declared [2 5]");
}

TEST(Recorder, WeightsThatARowOfTheTraceCannotHoldAreRefused) {
  Hop hop(4);
  EXPECT_EQ(message_of<InvariantError>([&] { Recorder(hop.layout, hop.components, {}); }),
            "[memory hop] hop_0.weights is declared [1 5], and has 4 numbers in the trace");
}

TEST(Recorder, AStageThatIsNeverShownIsAnError) {
  Hop hop(5);
  Recorder recorder(hop.layout, hop.components, {});
  EXPECT_EQ(message_of<InvariantError>([&] {
              hop.record(recorder, {2, 2}, false);
            }),
            "[memory hop] declares hop_0.similarity and never shows it");
}

}  // namespace
}  // namespace mneme::experiments
