// Parameters, groups, buffers, initial values, and the two modules that hold a table.
#include "nn/parameters.hpp"

#include "nn/linear.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <thread>

namespace mneme {
namespace {

template <class F>
std::string complaint(F f) {
  try {
    f();
  } catch (const InvariantError& e) {
    return e.what();
  }
  return "no complaint";
}

bool aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 64 == 0;
}

TEST(ParameterSet, EveryParameterIsAlignedInOneFlatArray) {
  ParameterSet<float> set;
  const std::size_t a = set.add("a", {3}, Initializer::constant(1));
  const std::size_t b = set.add("b", {4, 5}, Initializer::constant(2));
  const std::size_t c = set.add("c", {2, 2, 4}, Initializer::constant(3));
  const std::size_t d = set.add("d", {}, Initializer::constant(4));
  set.initialize(1);
  EXPECT_EQ(set.flat_size(), 16u + 32 + 16 + 16);
  EXPECT_EQ(set.count(), 3u + 20 + 16 + 1);
  for (std::size_t i : {a, b, c, d}) {
    const Parameter& p = set.parameters()[i];
    EXPECT_TRUE(aligned(set.value(i))) << p.name;
    EXPECT_EQ(set.value(i), set.flat() + p.offset);
    for (std::size_t k = 0; k < p.shape.size(); ++k) EXPECT_EQ(set.value(i)[k], static_cast<float>(i) + 1);
    for (std::size_t k = p.shape.size(); k % 16; ++k) EXPECT_EQ(set.value(i)[k], 0) << "padding";
  }
}

TEST(ParameterSet, ArraysUsedTogetherDoNotShareCacheSets) {
  ParameterSet<double> set;
  set.add("a", {40, 40}, Initializer::normal(1));
  set.initialize(1);
  Gradients<double> one(set, 4), two(set, 5);
  EXPECT_TRUE(aligned(one.flat()));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(set.flat()) % 4096, 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one.flat()) % 4096, 4u * 256);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(two.flat()) % 4096, 5u * 256);
}

TEST(ParameterSet, ANameIsDeclaredOnce) {
  ParameterSet<float> set;
  set.add("a", {3}, Initializer::constant(1));
  EXPECT_EQ(complaint([&] { set.add("a", {2}, Initializer::constant(1)); }), "[parameters] 'a' is declared twice");
  set.add_buffer("a", {3}, Initializer::constant(1));
  EXPECT_EQ(complaint([&] { set.add_buffer("a", {3}, Initializer::constant(1)); }),
            "[parameters] buffer 'a' is declared twice");
}

// What comes too late or too early would write past the flat arrays, or through null.
TEST(ParameterSet, OrderOfCalls) {
  ParameterSet<float> set;
  set.add("a", {3, 2}, Initializer::constant(1));
  EXPECT_EQ(complaint([&] { Gradients<float>(set, 1); }), "[parameters] gradients before initialize");
  EXPECT_EQ(complaint([&] { set.refresh(); }), "[parameters] refresh before initialize");
  set.initialize(1);
  EXPECT_EQ(complaint([&] { set.add("late", {4}, Initializer::constant(1)); }), "[parameters] 'late' after initialize");
  EXPECT_EQ(complaint([&] { set.add_buffer("m0", {4}, Initializer::constant(1)); }),
            "[parameters] buffer 'm0' after initialize");
  EXPECT_EQ(set.flat_size(), 16u);
  EXPECT_EQ(set.parameters().size(), 1u);
  set.keep_transposed(false);
  set.keep_transposed(true);
  const Gradients<float> gradients(set, 1);
  EXPECT_EQ(complaint([&] { set.keep_transposed(false); }),
            "[parameters] transposed copies are turned on or off before gradients are made");
  set.keep_transposed(true);
  EXPECT_EQ(complaint([&] { set.initialize(2); }), "[parameters] initialize runs once");
}

TEST(ParameterSet, WhatCannotBeDrawnIsRefusedByName) {
  ParameterSet<float> set;
  EXPECT_EQ(complaint([&] {
              set.add("table", {0, 5}, Initializer::normal(1));
            }),
            "[parameters] 'table' [0 5] has no numbers");
  EXPECT_EQ(complaint([&] {
              set.add_buffer("m0", {0, 5}, Initializer::normal(1));
            }),
            "[parameters] buffer 'm0' [0 5] has no numbers");
  EXPECT_EQ(complaint([&] {
              set.add("weight", {2, 5}, Initializer::xavier(0, 0));
            }),
            "[parameters] 'weight' [2 5] starts from a number that is not finite");
  EXPECT_EQ(complaint([&] {
              set.add("bias", {4, 5}, Initializer::one_row(4, 1));
            }),
            "[parameters] 'bias' [4 5] has no row 4 to start from");
  EXPECT_TRUE(set.parameters().empty());
}

TEST(ParameterSet, BuilderScopesBecomeDottedNames) {
  ParameterSet<float> set;
  const Builder<float> build(set);
  build.scope("memory").scope("heads").parameter("weight", {2, 2}, Initializer::constant(0));
  build.scope("memory").buffer("contents", {4}, Initializer::constant(0));
  build.parameter("top", {1}, Initializer::constant(0));
  EXPECT_EQ(set.parameters()[0].name, "memory.heads.weight");
  EXPECT_EQ(set.parameters()[1].name, "top");
  EXPECT_EQ(set.buffers()[0].name, "memory.contents");
}

TEST(ParameterSet, TransposedCopiesFollowARefresh) {
  ParameterSet<double> set;
  const std::size_t w = set.add("w", {37, 21}, Initializer::normal(1));
  const std::size_t b = set.add("b", {21}, Initializer::normal(1));
  set.initialize(1);
  const auto expect_copy = [&] {
    const double* copy = set.transposed(w)->read();
    for (std::size_t i = 0; i < 37; ++i)
      for (std::size_t j = 0; j < 21; ++j) ASSERT_EQ(copy[j * 37 + i], set.value(w)[i * 21 + j]);
  };
  expect_copy();
  set.value(w)[5] = 99;
  set.refresh();
  expect_copy();
  EXPECT_EQ(set.transposed(b), nullptr);
}

// There was one of every table, made at once and renewed by every update: of a vocabulary's rows, too.
TEST(ParameterSet, ATableThatIsOnlyLookedUpHasNoTransposedCopy) {
  ParameterSet<float> set;
  const Builder<float> build(set);
  const Embedding<float> words(build.scope("words"), 5000, 8, Initializer::normal(1));
  const Linear<float> inner(build.scope("inner"), 8, 8, Initializer::normal(1)),
      last(build.scope("last"), 8, 3, Initializer::normal(1));
  set.initialize(1);
  Gradients<float> gradients(set, 1);
  Tape<float> tape;
  tape.bind(gradients.leaves());
  const auto step = [&](std::vector<std::int32_t> index) {
    tape.begin(true);
    const Var<float> x = inner(tape, tape.filled({index.size(), 8}, 1));  // of a constant: nothing goes back
    tape.backward(sum(tape, last(tape, add(tape, words(tape, index), x))));
    set.refresh();
  };
  EXPECT_EQ(set.transposed_bytes(), 0u);
  step({7, 8});
  EXPECT_EQ(set.transposed_bytes(), 0u) << "two rows read the weights as they lie";
  for (int i = 0; i < 2; ++i) {
    step({7, 8, 7, 9});
    EXPECT_EQ(set.transposed_bytes(), 8 * 3 * sizeof(float)) << "one product goes back, by one weight";
  }
}

TEST(TransposedCopy, IsMadeOnceWhoeverAsks) {
  std::vector<double> values(300 * 200);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  TransposedCopy<double> copy(values.data(), {300, 200});
  std::vector<const double*> seen(4);
  std::vector<double> last(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      seen[t] = copy.read();
      last[t] = seen[t][200 * 300 - 2];
    });
  for (std::thread& t : threads) t.join();
  for (std::size_t t = 0; t < 4; ++t) {
    EXPECT_EQ(seen[t], seen[0]);
    EXPECT_EQ(last[t], 298 * 200 + 199);
  }
}

TEST(ParameterSet, BuffersAreDrawnButNotTrained) {
  ParameterSet<double> set;
  set.add("w", {4}, Initializer::normal(1));
  Buffer<double>& first = set.add_buffer("m0", {5, 3}, Initializer::uniform(0.1));
  for (int i = 0; i < 100; ++i) set.add_buffer("b" + std::to_string(i), {1}, Initializer::constant(0));
  set.initialize(1);
  EXPECT_EQ(set.count(), 4u);
  EXPECT_EQ(set.flat_size(), 16u);
  ASSERT_EQ(first.values.size(), 15u) << "references stay valid while others are added";
  for (double v : first.values) EXPECT_LT(std::abs(v), 0.1);
  EXPECT_NE(first.values[0], first.values[1]);
}

TEST(ParameterSet, Groups) {
  ParameterSet<float> set;
  const Group frozen{.name = "frozen", .frozen = true}, table{.name = "table", .nil_row = 2};
  set.add("a", {3}, Initializer::constant(1));
  set.add("b", {3}, Initializer::constant(1), frozen);
  set.add("c", {4, 2}, Initializer::constant(1), table);
  set.add("d", {3, 5}, Initializer::constant(1), table);
  ASSERT_EQ(set.groups().size(), 3u);
  EXPECT_EQ(set.parameters()[2].group, set.parameters()[3].group);
  EXPECT_EQ(set.count(), 3u + 8 + 15) << "the frozen three are not trained";
  EXPECT_EQ(complaint([&] { set.add("e", {3}, Initializer::constant(1), {.name = "frozen"}); }),
            "[parameters] 'e' gives group 'frozen' other settings than it has");
  EXPECT_EQ(complaint([&] {
              set.add("f", {2, 5}, Initializer::constant(1), table);
            }),
            "[parameters] 'f' [2 5] has no row 2 to hold at zero");
  EXPECT_EQ(complaint([&] { set.add("g", {6}, Initializer::constant(1), table); }),
            "[parameters] 'g' [6] has no row 2 to hold at zero");
}

TEST(ParameterSet, NilRowsAreZeroFromTheStartAndAfterProjection) {
  ParameterSet<float> set;
  const std::size_t t = set.add("t", {3, 4}, Initializer::constant(1), {.name = "words", .nil_row = 1});
  set.initialize(1);
  const auto expect_nil = [&] {
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(set.value(t)[i], i / 4 == 1 ? 0 : 1);
  };
  expect_nil();
  set.value(t)[6] = 5;
  set.project();
  expect_nil();
}

TEST(Gradients, LeavesShowValuesTransposedCopiesAndGradients) {
  ParameterSet<float> set;
  set.add("b", {3}, Initializer::constant(1));
  const std::size_t w = set.add("w", {2, 3}, Initializer::normal(1));
  set.initialize(1);
  Gradients<float> g(set, 1);
  ASSERT_EQ(g.leaves().size(), 2u);
  EXPECT_EQ(g.leaves()[w].data, set.value(w));
  EXPECT_EQ(g.leaves()[w].transposed, set.transposed(w));
  EXPECT_EQ(g.leaves()[w].gradient, g.flat() + set.parameters()[w].offset);
  EXPECT_EQ(g.leaves()[w].shape, (Shape{2, 3}));
  EXPECT_EQ(g.leaves()[0].transposed, nullptr);
  for (std::size_t i = 0; i < set.flat_size(); ++i) EXPECT_EQ(g.flat()[i], 0);
}

// 1 + 2^-24 is 1 in float32, 2^-24 + 2^-24 is not lost: the order of a sum shows.
TEST(SumShards, EveryNumberIsTheSumOverOneTree) {
  const float half = std::ldexp(1.0f, -24);
  const auto sum = [](std::vector<std::vector<float>> shards, std::size_t range) {
    std::vector<float*> flat;
    for (auto& s : shards) flat.push_back(s.data());
    for (std::size_t i = 0; i < shards[0].size(); i += range)
      sum_shards<float>(flat, i, std::min(shards[0].size(), i + range));
    return shards[0];
  };
  EXPECT_EQ(sum({{1, 3}}, 2), (std::vector<float>{1, 3}));
  EXPECT_EQ(sum({{1, 3}, {half, 4}}, 2), (std::vector<float>{1, 7})) << "two shards: as ever";
  EXPECT_EQ(sum({{1}, {half}, {half}}, 1)[0], 1) << "(1 + h) + h";
  EXPECT_EQ(sum({{1}, {0}, {half}, {half}}, 1)[0], 1 + 2 * half) << "(1 + 0) + (h + h); in order it was 1";
  EXPECT_EQ(sum({{half}, {half}, {0}, {0}, {1}}, 1)[0], 1 + 2 * half) << "((h + h) + (0 + 0)) + 1";
  std::vector<std::vector<float>> shards(7, std::vector<float>(103));
  for (std::size_t s = 0; s < 7; ++s)
    for (std::size_t i = 0; i < 103; ++i) shards[s][i] = std::sin(static_cast<float>(7 * i + s));
  const std::vector<float> whole = sum(shards, 103);
  for (std::size_t range : {1, 8, 100}) EXPECT_EQ(sum(shards, range), whole) << range;
}

template <class T>
std::vector<T> drawn(const Initializer& init, const Shape& shape, std::uint64_t seed = 1, const char* name = "w") {
  std::vector<T> v(shape.size());
  init.fill(v.data(), shape, seed, name);
  return v;
}

TEST(Initializer, SameSeedAndNameSameBits) {
  const Initializer init = Initializer::normal(0.5);
  EXPECT_EQ(drawn<float>(init, {7, 5}), drawn<float>(init, {7, 5}));
  EXPECT_NE(drawn<float>(init, {7, 5}), drawn<float>(init, {7, 5}, 2));
  EXPECT_NE(drawn<float>(init, {7, 5}), drawn<float>(init, {7, 5}, 1, "v"));
}

TEST(Initializer, WhatElseAModelHoldsChangesNothing) {
  ParameterSet<float> small, large;
  const std::size_t a = small.add("w", {4, 4}, Initializer::normal(1));
  large.add("before", {8, 8}, Initializer::normal(1));
  const std::size_t b = large.add("w", {4, 4}, Initializer::normal(1));
  small.initialize(3);
  large.initialize(3);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(small.value(a)[i], large.value(b)[i]);
}

TEST(Initializer, MoreRowsStartWithTheSameRows) {
  for (const Initializer& init : {Initializer::uniform(0.3), Initializer::normal(0.3)}) {
    const auto few = drawn<double>(init, {4, 6}), many = drawn<double>(init, {9, 6});
    EXPECT_EQ(few, std::vector<double>(many.begin(), many.begin() + 24));
    const auto cube = drawn<double>(init, {2, 3, 5}), longer = drawn<double>(init, {3, 3, 5});
    EXPECT_EQ(cube, std::vector<double>(longer.begin(), longer.begin() + 30));
  }
}

TEST(Initializer, FloatIsTheRoundedDouble) {
  for (const Initializer& init : {Initializer::uniform(0.3), Initializer::normal(0.3), Initializer::constant(0.1)}) {
    const auto single = drawn<float>(init, {5, 9});
    const auto exact = drawn<double>(init, {5, 9});
    for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_EQ(single[i], static_cast<float>(exact[i]));
  }
}

TEST(Initializer, Distributions) {
  const Shape shape{200, 100};
  const double n = 20000;
  const auto moments = [&](const std::vector<double>& v) {
    double sum = 0, square = 0;
    for (double x : v) {
      sum += x;
      square += x * x;
    }
    return std::pair{sum / n, square / n};
  };
  const auto [mean_u, square_u] = moments(drawn<double>(Initializer::uniform(0.6), shape));
  EXPECT_NEAR(mean_u, 0, 0.012);
  EXPECT_NEAR(square_u, 0.36 / 3, 0.004);
  const auto [mean_n, square_n] = moments(drawn<double>(Initializer::normal(2), shape));
  EXPECT_NEAR(mean_n, 0, 0.07);
  EXPECT_NEAR(square_n, 4, 0.2);
  for (double x : drawn<double>(Initializer::constant(0.25), {3, 3})) EXPECT_EQ(x, 0.25);
  EXPECT_EQ(drawn<double>(Initializer::one_row(1, 0.5), {3, 2}), (std::vector<double>{0, 0, 0.5, 0.5, 0, 0}));
  const Initializer xavier = Initializer::xavier(100, 50, 1.4);
  EXPECT_EQ(xavier.kind, Initializer::Kind::uniform);
  EXPECT_DOUBLE_EQ(xavier.value, 1.4 * std::sqrt(6.0 / 150));
  for (double x : drawn<double>(Initializer::uniform(0.6), shape)) EXPECT_LE(std::abs(x), 0.6);
}

TEST(Modules, LinearWithAndWithoutBias) {
  ParameterSet<double> set;
  const Builder<double> build(set);
  const Linear<double> with(build.scope("a"), 2, 3, Initializer::constant(0.5), Initializer::constant(-1));
  const Linear<double> without(build.scope("b"), 2, 3, Initializer::constant(0.5), std::nullopt);
  ASSERT_EQ(set.parameters().size(), 3u);
  EXPECT_EQ(set.parameters()[0].name, "a.weight");
  EXPECT_EQ(set.parameters()[0].shape, (Shape{2, 3}));
  EXPECT_EQ(set.parameters()[1].name, "a.bias");
  EXPECT_EQ(set.parameters()[2].name, "b.weight");
  set.initialize(1);
  Gradients<double> gradients(set, 1);
  Tape<double> tape;
  tape.bind(gradients.leaves());
  tape.begin(true);
  Var<double> x = tape.filled({4, 2}, 3), y = with(tape, x), z = without(tape, x);
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(y.data[i], 2);
    EXPECT_EQ(z.data[i], 3);
  }
  tape.backward(sum(tape, add(tape, y, z)));
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(gradients.leaves()[0].gradient[i], 12);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(gradients.leaves()[1].gradient[i], 4);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(gradients.leaves()[2].gradient[i], 12);
}

TEST(Modules, EmbeddingReadsRowsAndNothing) {
  ParameterSet<float> set;
  const Embedding<float> words(Builder<float>(set, "words."), 5, 3, Initializer::normal(1));
  EXPECT_EQ(set.parameters()[0].name, "words.table");
  set.initialize(1);
  Gradients<float> gradients(set, 1);
  Tape<float> tape;
  tape.bind(gradients.leaves());
  tape.begin(true);
  const std::int32_t index[] = {4, -1, 4};
  Var<float> y = words(tape, index);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(y.data[i], set.value(0)[12 + i]);
    EXPECT_EQ(y.data[3 + i], 0);
  }
  tape.backward(sum(tape, y));
  for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(gradients.flat()[i], i < 12 ? 0 : 2);
}

}  // namespace
}  // namespace mneme
