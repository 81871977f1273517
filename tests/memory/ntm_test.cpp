// Memory ntm: whole steps against the paper in plain loops, every option, and what is refused.
#include "attention/addressing.hpp"
#include "autodiff/ops.hpp"
#include "core/join.hpp"
#include "memory/memory.hpp"
#include "tests/memory/addressing_options.hpp"
#include "tests/memory/plain_ntm.hpp"
#include "tests/support/values.hpp"

#include <fmt/core.h>

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::given;
using test::Numbers;

using test::Given;
constexpr std::size_t H = 4;

Options options_of(const Given& given) {
  const MemoryPlugin& plugin = memories().find("ntm");
  const Options o = plugin.options.parse("memory", given);
  plugin.validate(o);
  return o;
}

/// Small sizes unless `given` says otherwise.
Given small(Given given) {
  given.try_emplace("slots", "5");
  given.try_emplace("width", "3");
  return given;
}

template <class T>
struct Ntm {
  explicit Ntm(const Given& given, std::uint64_t seed = 1)
      : memory(memories().find("ntm").make<T>(Builder<T>(set), options_of(small(given)), {H, {}})) {
    set.initialize(seed);
    gradients = std::make_unique<Gradients<T>>(set, 2);
    tape.bind(gradients->leaves());
    tape.begin(true);
  }
  std::size_t index(const std::string& name) const {
    for (std::size_t i = 0; i < set.parameters().size(); ++i)
      if (set.parameters()[i].name == name) return i;
    ADD_FAILURE() << "no parameter " << name;
    return 0;
  }
  Numbers parameter(const std::string& name) {
    const std::size_t i = index(name);
    return Numbers(set.value(i), set.value(i) + set.parameters()[i].shape.size());
  }
  void set_parameter(const std::string& name, const Numbers& values) {
    std::copy(values.begin(), values.end(), set.value(index(name)));
    set.refresh();
  }
  Values<T> step(const Var<T>& control, Values<T> state) {
    return memory->step(pass, memory->head_parameters(pass, control), state);
  }
  Numbers state(Values<T> values, const std::string& site, const std::string& name) const {
    return test::numbers(values[memory->layout().state_index(site, name)]);
  }

  ParameterSet<T> set;
  std::unique_ptr<Memory<T>> memory;
  std::unique_ptr<Gradients<T>> gradients;
  Tape<T> tape;
  Pass<T> pass{tape};
};

/// Row b's head parameters of this step, from the controller's output by the product of the named weights.
void fill_parameters(Ntm<double>& ntm, std::vector<test::PlainHead>& heads, const double* control) {
  const Numbers weight = ntm.parameter("heads.weight"), bias = ntm.parameter("heads.bias");
  const std::vector<Declared>& declared = ntm.memory->layout().parameters;
  std::size_t column = 0;
  for (const Declared& d : declared) {
    test::Row raw;
    for (std::size_t i = 0; i < d.count(); ++i, ++column) {
      raw.push_back(bias[column]);
      for (std::size_t h = 0; h < H; ++h) raw.back() += control[h] * weight[h * bias.size() + column];
    }
    std::size_t site = 0;
    while (ntm.memory->layout().sites[site].name != d.site) ++site;
    test::PlainHead& head = heads[site];
    const auto each = [&](auto f) {
      test::Row y;
      for (double x : raw) y.push_back(f(x));
      return y;
    };
    if (d.name == "key") head.key = each([](double x) { return std::tanh(x); });
    if (d.name == "beta") head.beta = test::plain_softplus(raw[0]);
    if (d.name == "gate") head.gate = test::plain_sigmoid(raw[0]);
    if (d.name == "shift") head.shift = test::plain_softmax(raw);
    if (d.name == "gamma") head.gamma = 1 + test::plain_softplus(raw[0]);
    if (d.name == "erase") head.erase = each(test::plain_sigmoid);
    if (d.name == "add") head.add = each([](double x) { return std::tanh(x); });
  }
  EXPECT_EQ(column, bias.size());
}

/// Three steps of two rows; every state value against the plain loops.
void expect_paper(const Given& given) {
  Ntm<double> ntm(given);
  const MemoryLayout& layout = ntm.memory->layout();
  const std::size_t n = layout.slots, m = layout.width, rows = 2;
  Values<double> state = ntm.memory->begin(ntm.pass, {.rows = rows});
  std::vector<std::vector<test::PlainHead>> heads(rows);
  std::vector<test::Matrix> memory(rows);
  for (std::size_t b = 0; b < rows; ++b) {
    const Numbers contents = test::numbers(state[0]);
    memory[b].assign(n, test::Row(m));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < m; ++k) memory[b][i][k] = contents[(b * m + k) * n + i];
    for (const Site& s : layout.sites) {
      test::PlainHead h;
      h.scheme = s.addressing;
      const Options o = options_of(small(given));
      h.score = o.text("score");
      h.normalize = o.text("normalize");
      h.k = o.size("top-k");
      h.interpolates = o.flag("interpolate");
      h.sharpens = o.flag("sharpen");
      h.writes = s.kind == "write";
      const Numbers w = ntm.state(state, s.name, "weights");
      h.w.assign(w.begin() + static_cast<std::ptrdiff_t>(b * n), w.begin() + static_cast<std::ptrdiff_t>((b + 1) * n));
      heads[b].push_back(h);
    }
  }
  for (std::size_t t = 0; t < 3; ++t) {
    SCOPED_TRACE(fmt::format("step {}", t));
    const Numbers control = draw(rows * H, 70 + t);
    state = ntm.step(test::given(ntm.tape, {rows, H}, control), state);
    Numbers contents(rows * m * n);
    for (std::size_t b = 0; b < rows; ++b) {
      fill_parameters(ntm, heads[b], control.data() + b * H);
      test::plain_step(heads[b], memory[b], layout.turns[0].writes);
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < m; ++k) contents[(b * m + k) * n + i] = memory[b][i][k];
    }
    test::expect_near(test::numbers(state[0]), contents, 1e-12);
    for (std::size_t s = 0; s < layout.sites.size(); ++s) {
      SCOPED_TRACE(layout.sites[s].name);
      Numbers w, r;
      for (std::size_t b = 0; b < rows; ++b) {
        w.insert(w.end(), heads[b][s].w.begin(), heads[b][s].w.end());
        r.insert(r.end(), heads[b][s].read.begin(), heads[b][s].read.end());
      }
      test::expect_near(ntm.state(state, layout.sites[s].name, "weights"), w, 1e-12);
      if (!heads[0][s].writes) test::expect_near(ntm.state(state, layout.sites[s].name, "value"), r, 1e-12);
    }
  }
}

TEST(Ntm, StepsAreThePapers) {
  const Given cases[] = {
      {},
      {{"order", "read-first"}},
      {{"initial-memory", "random"}, {"shift-range", "5"}},
      {{"slots", "2"}, {"shift-range", "7"}},
      {{"slots", "1"}, {"width", "1"}},
      {{"read-addressing", "content"}},
      {{"write-addressing", "location"}},
      {{"initial-memory", "learned"}},
      {{"initial-memory", "learned-slots"}, {"initial-weights", "learned"}},
      {{"initial-weights", "learned"}, {"order", "read-first"}},
      {{"start-slot", "3"}},
  };
  for (const Given& given : cases) {
    SCOPED_TRACE(test::text(given));
    expect_paper(given);
  }
}

TEST(Ntm, TakenApartStepsAreThePapersWithoutWhatIsLeftOut) {
  const std::vector<Given> all = test::addressing_options();
  EXPECT_EQ(all.size(), 123u);
  for (const Given& given : all) {
    SCOPED_TRACE(test::text(given));
    expect_paper(given);
  }
}

// A move that is switched off has no parameter and no stage; what is left says whether a head looks back.
TEST(Ntm, AMoveThatIsOffIsNotDeclared) {
  const auto declared = [](const Given& given) {
    const Ntm<double> ntm(given);
    std::string text;
    for (const DeclaredList* list : {&ntm.memory->layout().parameters, &ntm.memory->layout().stages})
      for (const Declared& d : *list)
        if (d.site == "read_0") text += d.name + (d.decided ? "! " : " ");
    for (const std::string& move : ntm.memory->layout().sites[0].parts.moves) text += "> " + move + " ";
    for (const auto& [name, value] : ntm.memory->layout().sites[0].parts.constants)
      text += fmt::format("{}={}", name, value);
    return text;
  };
  EXPECT_EQ(declared({}),
            "key beta gate shift gamma similarity content gated shifted > interpolate > shift > sharpen ");
  EXPECT_EQ(declared({{"sharpen", "false"}}), "key beta gate shift similarity content gated > interpolate > shift ");
  EXPECT_EQ(declared({{"interpolate", "false"}, {"initial-memory", "random"}}),
            "key beta shift gamma similarity content shifted > shift > sharpen ");
  EXPECT_EQ(declared({{"interpolate", "false"}, {"sharpen", "false"}, {"initial-memory", "random"}}),
            "key beta shift similarity content > shift ");
  EXPECT_EQ(declared({{"read-addressing", "location"}, {"sharpen", "false"}}), "shift > shift ");
  EXPECT_EQ(declared({{"normalize", "top_k"}, {"top-k", "3"}, {"sharpen", "false"}}),
            "key beta gate shift similarity content! gated > interpolate > shift top_k=3");
  EXPECT_EQ(declared({{"normalize", "top_k"}, {"read-addressing", "content"}}), "key beta similarity content top_k=8");
  // Learned starts are for those who look back.
  Ntm<double> still({{"initial-weights", "learned"}, {"interpolate", "false"}, {"initial-memory", "random"}});
  for (const Parameter& p : still.set.parameters())
    EXPECT_EQ(p.name.find("initial_weights"), std::string::npos) << p.name;
}

// Interpolated with zeros and never made to sum to 1 again: declared as what it is.
TEST(Ntm, WeightsThatStartAtZeroAndAreNotSharpenedSumToLess) {
  const auto kind = [](const Given& given) {
    Given zero = given;
    zero["initial-weights"] = "zero";
    zero["initial-memory"] = "random";
    return Ntm<double>(zero).memory->layout().state[1].kind;
  };
  EXPECT_EQ(kind({}), Kind::weights);
  EXPECT_EQ(kind({{"sharpen", "false"}}), Kind::sub_weights);
  EXPECT_EQ(kind({{"sharpen", "false"}, {"interpolate", "false"}}), Kind::weights);
  EXPECT_EQ(kind({{"sharpen", "false"}, {"read-addressing", "content"}}), Kind::weights);
}

TEST(Ntm, SeveralHeadsOfMixedSchemes) {
  for (const char* order : {"read-first", "write-first"}) {
    SCOPED_TRACE(order);
    expect_paper({{"read-heads", "3"},
                  {"write-heads", "2"},
                  {"read-addressing", "content,location,content_location"},
                  {"write-addressing", "location,content_location"},
                  {"order", order}});
    expect_paper({{"read-heads", "2"}, {"write-heads", "3"}, {"initial-memory", "random"}, {"order", order}});
  }
}

TEST(Ntm, TheLayoutNamesSitesStateAndParameters) {
  const Ntm<double> ntm({{"read-heads", "2"}, {"read-addressing", "content,location"}, {"order", "read-first"}});
  const MemoryLayout& layout = ntm.memory->layout();
  std::string text;
  for (const Site& s : layout.sites) text += fmt::format("{}:{}:{} ", s.name, s.kind, s.addressing);
  EXPECT_EQ(text, "read_0:read:content read_1:read:location write_0:write:content_location ");
  text.clear();
  for (const Declared& d : layout.state) text += d.full_name() + " ";
  EXPECT_EQ(text, "contents read_0.weights read_0.value read_1.weights read_1.value write_0.weights ");
  text.clear();
  for (const Declared& d : layout.parameters) text += d.full_name() + " ";
  EXPECT_EQ(text,
            "read_0.key read_0.beta read_1.shift read_1.gamma write_0.key write_0.beta write_0.gate write_0.shift "
            "write_0.gamma write_0.erase write_0.add ");
  EXPECT_EQ(layout.slots, 5u);
  EXPECT_EQ(layout.width, 3u);
  EXPECT_EQ(layout.read_size(), 6u);
  EXPECT_EQ(layout.update, "ntm-erase-add");
  const auto turns = [](const MemoryLayout& l) {
    std::string order;
    for (const Turn& t : l.turns) order += fmt::format("{}{}{} ", t.name, t.writes ? "!" : ":", join(t.sites, ","));
    return order;
  };
  EXPECT_EQ(turns(layout), "read:0,1 write!2 ");
  EXPECT_EQ(turns(Ntm<double>(Given{}).memory->layout()), "write!1 read:0 ");
  EXPECT_EQ(complaint<InvariantError>([&] { layout.state_index("read_7", "weights"); }),
            "[declaration] nothing is declared as read_7.weights");
  EXPECT_EQ(complaint<InvariantError>([&] { layout.parameter_index("read_1", "key"); }),
            "[declaration] nothing is declared as read_1.key");
}

TEST(Ntm, AStepOfOtherThanWhatIsDeclaredIsRefused) {
  Ntm<double> ntm(Given{});
  const Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 2});
  const Values<double> orders = empty_values(ntm.pass.tape, ntm.memory->layout().parameters.size() + 1);
  EXPECT_NE(complaint<InvariantError>([&] { ntm.memory->step(ntm.pass, orders, state); }).find("head parameters"),
            std::string::npos);
  MemoryLayout twice = ntm.memory->layout();
  twice.turns[1].name = twice.turns[0].name;
  EXPECT_EQ(complaint<InvariantError>([&] { check(twice, "memory ring"); }),
            "[memory ring] declares the turn write twice");
}

// --- the initial state ---------------------------------------------------------------------------------------------

TEST(Ntm, ConstantMemoryAndStartSlot) {
  Ntm<double> ntm({{"initial-value", "0.25"}, {"start-slot", "2"}});
  const Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 2});
  test::expect_value(state[0], {2, 3, 5}, Numbers(30, 0.25), 0);
  EXPECT_EQ(ntm.state(state, "read_0", "weights"), (Numbers{0, 0, 1, 0, 0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(ntm.state(state, "write_0", "weights"), (Numbers{0, 0, 1, 0, 0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(ntm.state(state, "read_0", "value"), Numbers(6, 0));
}

TEST(Ntm, AConstantMemoryIsUsuallySmallButNotZero) {
  Ntm<double> ntm(Given{});
  test::expect_value(ntm.memory->begin(ntm.pass, {.rows = 1})[0], {1, 3, 5}, Numbers(15, 1e-6), 0);
}

TEST(Ntm, ZeroWeights) {
  Ntm<double> ntm({{"initial-weights", "zero"}, {"initial-memory", "random"}});
  const Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 2});
  EXPECT_EQ(ntm.state(state, "read_0", "weights"), Numbers(10, 0));
  EXPECT_EQ(ntm.state(state, "write_0", "weights"), Numbers(10, 0));
}

TEST(Ntm, LearnedWeightsAreASoftmaxOfEachHeadsOwnNumbers) {
  Ntm<double> ntm({{"initial-weights", "learned"}, {"read-addressing", "content"}});
  ntm.set_parameter("write_0.initial_weights", {0, std::log(2), 0, 0, std::log(3)});
  const Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 1});
  test::expect_near(ntm.state(state, "write_0", "weights"), {0.125, 0.25, 0.125, 0.125, 0.375}, 1e-15);
  // A head that never looks back has none to learn.
  for (const Parameter& p : ntm.set.parameters()) EXPECT_NE(p.name, "read_0.initial_weights");
}

TEST(Ntm, RandomMemoryIsDrawnOnceAndExtendsWhenSlotsAreAdded) {
  const auto contents = [](std::size_t slots, std::uint64_t seed) {
    Ntm<double> ntm({{"initial-memory", "random"}, {"initial-value", "0.5"}, {"slots", std::to_string(slots)}}, seed);
    const Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 2});
    const Numbers flat = test::numbers(state[0]);
    test::Matrix rows(slots, test::Row(3));
    for (std::size_t i = 0; i < slots; ++i)
      for (std::size_t m = 0; m < 3; ++m) {
        rows[i][m] = flat[m * slots + i];
        EXPECT_EQ(rows[i][m], flat[(3 + m) * slots + i]) << "the same for every row of the batch";
        EXPECT_LE(std::abs(rows[i][m]), 0.5);
      }
    return rows;
  };
  const test::Matrix small = contents(5, 1), large = contents(12, 1), other = contents(5, 2);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(small[i], large[i]) << "slot " << i;
  EXPECT_NE(small[0], small[1]);
  EXPECT_NE(small[0], other[0]);
  EXPECT_NE(large[5], large[4]);
}

TEST(Ntm, TheUsualHalfWidthOfRandomMemoryFollowsItsSize) {
  Ntm<double> ntm({{"initial-memory", "random"}, {"slots", "50"}, {"width", "14"}});
  double most = 0;
  for (double v : test::numbers(ntm.memory->begin(ntm.pass, {.rows = 1})[0])) most = std::max(most, std::abs(v));
  EXPECT_LE(most, 1.0 / 8);
  EXPECT_GT(most, 0.9 / 8);
}

TEST(Ntm, ALearnedRowIsSharedAndALearnedRowASlotIsNot) {
  Ntm<double> shared(Given{{"initial-memory", "learned"}});
  shared.set_parameter("initial_memory", {1, 2, 3});
  EXPECT_EQ(test::numbers(shared.memory->begin(shared.pass, {.rows = 1})[0]),
            (Numbers{1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3}));
  Ntm<double> own({{"initial-memory", "learned-slots"}, {"slots", "2"}});
  own.set_parameter("initial_memory", {1, 2, 3, 4, 5, 6});  // [N M]
  EXPECT_EQ(test::numbers(own.memory->begin(own.pass, {.rows = 1})[0]), (Numbers{1, 4, 2, 5, 3, 6}));
}

// Rows that start equal and are looked at equally stay equal: such pairs are refused, all others run.
TEST(Ntm, PairsOfInitialMemoryAndWeights) {
  const auto say = [](const char* memory, const char* weights) {
    return complaint([&] { options_of(small({{"initial-memory", memory}, {"initial-weights", weights}})); });
  };
  for (const char* memory : {"constant", "random", "learned", "learned-slots"})
    for (const char* weights : {"slot", "learned", "zero"}) {
      SCOPED_TRACE(fmt::format("{} and {}", memory, weights));
      const bool equal = std::string(memory) == "constant" || std::string(memory) == "learned";
      if (equal && std::string(weights) == "zero")
        EXPECT_EQ(say(memory, weights),
                  fmt::format("[memory.initial-memory] '{}' makes all slots equal, and initial-weights 'zero' with "
                              "write-addressing 'content_location' cannot tell them apart; use initial-memory random, "
                              "or initial-weights slot with a location scheme",
                              memory));
      else
        expect_paper({{"initial-memory", memory}, {"initial-weights", weights}});
    }
  // A writer that looks at contents alone cannot tell equal slots apart, wherever it starts.
  EXPECT_EQ(complaint([] {
              options_of(small({{"write-addressing", "content"}}));
            }),
            "[memory.initial-memory] 'constant' makes all slots equal, and initial-weights 'slot' with "
            "write-addressing 'content' cannot tell them apart; use initial-memory random, or initial-weights slot "
            "with a location scheme");
  // So can one that moves and never looks back.
  EXPECT_EQ(complaint([] {
              options_of(small({{"interpolate", "false"}}));
            }),
            "[memory.initial-memory] 'constant' makes all slots equal, and initial-weights 'slot' with "
            "write-addressing 'content_location' without interpolation cannot tell them apart; use initial-memory "
            "random, or initial-weights slot with a location scheme");
  EXPECT_EQ(complaint([] {
              options_of(small({{"interpolate", "false"}, {"write-addressing", "location"}}));
            }),
            "no complaint");
  EXPECT_EQ(complaint([] {
              options_of(small({{"interpolate", "false"}, {"initial-weights", "zero"}, {"initial-memory", "random"}}));
            }),
            "no complaint");
  // One writer that moves is enough.
  EXPECT_EQ(complaint([] {
              options_of(small({{"write-heads", "2"}, {"write-addressing", "content,location"}}));
            }),
            "no complaint");
  EXPECT_EQ(complaint([] { options_of({{"slots", "1"}, {"write-addressing", "content"}}); }), "no complaint");
  EXPECT_EQ(
      complaint([] {
        options_of(small({{"initial-memory", "random"}, {"initial-weights", "zero"}, {"read-addressing", "location"}}));
      }),
      "[memory.initial-weights] 'zero' leaves read-addressing 'location' nothing to shift");
  EXPECT_EQ(complaint([] {
              options_of(
                  small({{"initial-memory", "random"}, {"initial-weights", "zero"}, {"write-addressing", "location"}}));
            }),
            "[memory.initial-weights] 'zero' leaves write-addressing 'location' nothing to shift");
}

TEST(Ntm, OptionsThatDoNotFitAreNamed) {
  const auto say = [](const Given& given) { return complaint([&] { options_of(small(given)); }); };
  EXPECT_EQ(say({{"start-slot", "5"}}), "[memory.start-slot] slot 5 of 5 (the first is 0)");
  EXPECT_EQ(say({{"shift-range", "4"}}), "[memory.shift-range] 4 is even; shifts reach equally far both ways");
  EXPECT_EQ(say({{"read-heads", "3"}, {"read-addressing", "content,location"}}),
            "[memory.read-addressing] names 2 schemes for 3 heads: give one, or one a head");
  EXPECT_EQ(say({{"write-addressing", "location,location"}}),
            "[memory.write-addressing] names 2 schemes for 1 heads: give one, or one a head");
  EXPECT_EQ(
      say({{"read-addressing", "contents"}}),
      "[memory.read-addressing] 'contents' names 'contents', which does not exist (did you mean 'content'?); it takes "
      "comma list of content|content_location|location");
  EXPECT_EQ(say({{"slots", "0"}}), "[memory.slots] '0' is out of range; it takes 1..1048576");
  EXPECT_EQ(say({{"slot", "7"}}).substr(0, 55), "[memory.slot] unknown key 'slot', did you mean 'slots'?");
}

// --- writing --------------------------------------------------------------------------------------------------------

// The two write heads' numbers exchanged: the same memory (section 3.2).
TEST(Ntm, TheOrderOfWriteHeadsIsFree) {
  Ntm<double> ntm({{"write-heads", "2"}, {"initial-memory", "random"}});
  Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 2});
  state = ntm.step(given(ntm.tape, {2, H}, draw(2 * H, 80)), state);
  const Values<double> p = ntm.memory->head_parameters(ntm.pass, given(ntm.tape, {2, H}, draw(2 * H, 81)));
  const MemoryLayout& layout = ntm.memory->layout();
  Values<double> exchanged = copy_values(ntm.tape, p), other = copy_values(ntm.tape, state);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const Declared& d = layout.parameters[i];
    if (d.site == "write_0") std::swap(exchanged[i], exchanged[layout.parameter_index("write_1", d.name)]);
  }
  std::swap(other[layout.state_index("write_0", "weights")], other[layout.state_index("write_1", "weights")]);
  const Values<double> changed = copy_values(ntm.tape, state);
  ntm.memory->update(ntm.pass, layout.turns[0], exchanged, other, other);
  ntm.memory->update(ntm.pass, layout.turns[0], p, state, changed);
  test::expect_near(test::numbers(other[0]), test::numbers(changed[0]), 1e-14);
}

TEST(Ntm, WritersAddressTheMemoryAsItWas) {
  Ntm<double> ntm({{"write-heads", "2"}, {"write-addressing", "content"}, {"initial-memory", "random"}});
  const Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 1});
  const MemoryLayout& layout = ntm.memory->layout();
  const Values<double> p = ntm.memory->head_parameters(ntm.pass, given(ntm.tape, {1, H}, draw(H, 82)));
  const Values<double> next = ntm.memory->step(ntm.pass, p, state), now = copy_values(ntm.tape, state);
  ntm.memory->address(ntm.pass, layout.turns[0], p, state, now);
  for (std::size_t s : {1, 2}) {
    const std::size_t w = layout.sites[s].weights;
    EXPECT_EQ(test::numbers(now[w]), test::numbers(next[w]));
    EXPECT_NE(test::numbers(now[w]), test::numbers(state[w]));
  }
}

TEST(Ntm, LoggedParametersMakeTheStepAgain) {
  for (const char* order : {"read-first", "write-first"}) {
    Ntm<double> ntm(Given{{"order", order}});
    const Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 2});
    const Values<double> p = ntm.memory->head_parameters(ntm.pass, given(ntm.tape, {2, H}, draw(2 * H, 83)));
    const Values<double> next = ntm.memory->step(ntm.pass, p, state);
    const Values<double> logged = copy_values(ntm.tape, p);
    for (Var<double>& v : logged) {
      const Var<double> copy = ntm.tape.constant(v.shape);
      std::copy_n(v.data, v.size(), copy.data);
      v = copy;
    }
    const Values<double> again = ntm.memory->step(ntm.pass, logged, state);
    for (std::size_t i = 0; i < again.size(); ++i)
      EXPECT_EQ(test::numbers(again[i]), test::numbers(next[i])) << ntm.memory->layout().state[i].full_name();
  }
}

TEST(Ntm, FloatFollowsDouble) {
  const Given given{{"read-heads", "2"}, {"initial-memory", "random"}};
  Ntm<float> a(given);
  Ntm<double> b(given);
  Values<float> x = a.memory->begin(a.pass, {.rows = 2});
  Values<double> y = b.memory->begin(b.pass, {.rows = 2});
  for (std::size_t t = 0; t < 5; ++t) {
    x = a.step(test::given(a.tape, {2, H}, draw(2 * H, t)), x);
    y = b.step(test::given(b.tape, {2, H}, draw(2 * H, t)), y);
  }
  for (std::size_t i = 0; i < x.size(); ++i) test::expect_near(test::numbers(x[i]), test::numbers(y[i]), 2e-5);
}

// --- none -----------------------------------------------------------------------------------------------------------

TEST(None, HasNothingAndDoesNothing) {
  ParameterSet<double> set;
  const auto none = memories().find("none").make<double>(Builder<double>(set), {}, {H, {}});
  Tape<double> tape;
  tape.begin(true);
  Pass<double> pass{tape};
  EXPECT_TRUE(set.parameters().empty());
  EXPECT_EQ(none->layout().read_size(), 0u);
  EXPECT_TRUE(none->begin(pass, {.rows = 3}).empty());
  EXPECT_TRUE(none->layout().turns.empty());
  const Values<double> parameters = none->head_parameters(pass, tape.filled({3, H}, 1));
  EXPECT_TRUE(parameters.empty());
  EXPECT_TRUE(none->step(pass, parameters, {}).empty());
}

TEST(Memories, AnUnknownNameListsWhatExists) {
  EXPECT_EQ(complaint([] { memories().find("ntn"); }),
            "[memory] unknown memory 'ntn', did you mean 'ntm'? There are: end_to_end, key_value, none, ntm");
}

/// All heads of a turn at once, or each by itself and read after: the same step and the same gradients.
TEST(NtmSteps, JoinedHeadsAreHeadsOneByOne) {
  const auto apart = [](Ntm<double>& ntm, const Var<double>& control, Values<double> before) {
    const Values<double> p = ntm.memory->head_parameters(ntm.pass, control), now = copy_values(ntm.tape, before);
    for (const Turn& turn : ntm.memory->layout().turns) {
      for (const std::size_t s : turn.sites)
        ntm.memory->address(ntm.pass, {turn.name, {s}, turn.writes}, p, before, now);
      if (turn.writes) ntm.memory->update(ntm.pass, turn, p, before, now);
      ntm.memory->read(ntm.pass, turn, now);
    }
    return now;
  };
  for (const char* order : {"write-first", "read-first"})
    for (const char* heads : {"1", "3", "6"}) {
      SCOPED_TRACE(fmt::format("{} heads, {}", heads, order));
      Numbers values[2], gradients[2];
      for (const bool joined : {false, true}) {
        Ntm<double> ntm({{"read-heads", heads}, {"write-heads", "2"}, {"order", order}});
        Values<double> state = ntm.memory->begin(ntm.pass, {.rows = 2});
        std::vector<Var<double>> parts;
        for (std::uint64_t t = 0; t < 3; ++t) {
          const Var<double> control = given<double>(ntm.tape, {2, H}, draw(2 * H, t));
          state = joined ? ntm.step(control, state) : apart(ntm, control, state);
          for (std::size_t i = 1; i < state.size(); ++i) parts.push_back(state[i]);
        }
        parts.push_back(state[0].reshaped({2, state[0].size() / 2}));
        const Var<double> all = concatenate<double>(ntm.tape, parts);
        values[joined] = test::numbers(all);
        test::backward_from(ntm.tape, all);
        gradients[joined].assign(ntm.gradients->flat(), ntm.gradients->flat() + ntm.set.flat_size());
      }
      test::expect_near(values[1], values[0], 1e-12);
      test::expect_near(gradients[1], gradients[0], 1e-12);
    }
}

}  // namespace
}  // namespace mneme
