// Model memory_network: one answer at every step, what it refuses, what it tells its memory and whoever looks.
#include "core/batch.hpp"
#include "models/model.hpp"
#include "tests/memory/plain_story.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::Given;
using test::Stories;

struct Network {
  Network(const BatchSpec& spec, const std::string& memory = "end_to_end", Given given = {{"width", "5"}}) {
    const ModelPlugin& plugin = models().find("memory_network");
    plugin.validate(spec);
    ModelSetup setup;
    setup.batch = spec;
    setup.memory = &memories().find(memory);
    setup.memory_options = setup.memory->options.parse("memory", given);
    model = plugin.make<double>(Builder<double>(set), plugin.options.parse("model", {}), setup);
    set.initialize(1);
    gradients = std::make_unique<Gradients<double>>(set, 2);
    tape.bind(gradients->leaves());
  }
  Forward<double> forward(const Batch& batch, bool train = false, std::uint64_t sequence = 0,
                          Look<double>* look = nullptr) {
    tape.begin(true);
    Pass<double> pass{.tape = tape, .train = train, .seed = 1, .sequence = sequence, .look = look};
    return model->forward(batch, pass);
  }

  ParameterSet<double> set;
  std::unique_ptr<Model<double>> model;
  std::unique_ptr<Gradients<double>> gradients;
  Tape<double> tape;
};

TEST(MemoryNetwork, GivesTheSameAnswerAtEveryStep) {
  const Stories stories({4, 0, 2});
  for (const char* memory : {"end_to_end", "key_value"}) {
    Network network(stories.spec, memory);
    const Forward<double> f = network.forward(stories.batch);
    ASSERT_TRUE((f.logits.shape == Shape{9, 3}));
    double nats = 0;
    for (std::size_t b = 0; b < 3; ++b) {
      const double* x = f.logits.data + b * 3;
      for (std::size_t t = 1; t < 3; ++t)
        for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(f.logits.data[(t * 3 + b) * 3 + k], x[k]);
      nats += std::log(std::exp(x[0]) + std::exp(x[1]) + std::exp(x[2])) - x[b % 3];
    }
    EXPECT_NEAR(f.loss.data[0], nats, 1e-12);
  }
}

TEST(MemoryNetwork, TellsTheMemoryWhetherItTrainsAndWhere) {
  const Stories stories({5, 4});
  Network network(stories.spec);
  const auto loss = [&](bool train, std::uint64_t sequence) {
    return network.forward(stories.batch, train, sequence).loss.data[0];
  };
  EXPECT_EQ(loss(false, 0), loss(false, 7));
  EXPECT_EQ(loss(true, 3), loss(true, 3));
  std::size_t changed = 0;
  for (std::uint64_t s = 0; s < 20; ++s) changed += loss(true, s) != loss(false, s);
  EXPECT_GE(changed, 5u);
}

TEST(MemoryNetwork, ShowsTheHopsAtEveryStep) {
  struct Eye final : Look<double> {
    bool wants(const Place& place) override { return place.site == "hop_0" && place.name == "query"; }
    void seen(const Pass<double>& pass, const Place&, const Var<double>&) override { queries.push_back(pass.step); }
    void start(const Pass<double>&, std::string_view, std::span<const Var<double>> now) override {
      zero = now.back().data[0] == 0;
    }
    void state(const Pass<double>& pass, std::string_view component, std::span<const Var<double>>) override {
      EXPECT_EQ(component, "memory");
      EXPECT_EQ(pass.step, steps++);
    }
    bool zero = false;
    std::size_t steps = 0;
    std::vector<std::size_t> queries;
  } eye;
  const Stories stories({5, 4});
  Network network(stories.spec);
  network.forward(stories.batch, false, 0, &eye);
  EXPECT_TRUE(eye.zero);
  EXPECT_EQ(eye.steps, stories.batch.steps);
  EXPECT_EQ(eye.queries, std::vector<std::size_t>{0}) << "one memory step for all";
  EXPECT_EQ(find(network.model->components(), "memory")->declared->sites.size(), 3u);
  EXPECT_EQ(find(network.model->components(), "controller"), nullptr);
}

TEST(MemoryNetwork, RefusesWhatItCannotAnswer) {
  const Stories stories({2});
  EXPECT_EQ(complaint([] { Network({.channels = 3, .outputs = 2}); }).substr(0, 47),
            "[model memory_network] asks a question in words");
  EXPECT_EQ(complaint([&] { Network(stories.spec, "ntm"); }),
            "[model memory_network] needs a memory that is filled from items and read in hops");
  EXPECT_EQ(complaint([&] { Network(stories.spec, "none", {}); }),
            "[model memory_network] needs a memory that is filled from items and read in hops");
}

}  // namespace
}  // namespace mneme
