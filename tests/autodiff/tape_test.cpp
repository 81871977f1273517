// The tape's mechanics: first writers, unused outputs, recycled buffers, guards; arena and pool.
#include "autodiff/tape.hpp"

#include "autodiff/ops.hpp"
#include "autodiff/products.hpp"
#include "tests/core/allocations.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>

namespace mneme {
namespace {

using V = Var<double>;
using Leaves = std::vector<Leaf<double>>;

template <class E, class F>
std::string message(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "no exception";
}

V variable(Tape<double>& tape, std::initializer_list<double> values) {
  V x = tape.variable({values.size()});
  std::copy(values.begin(), values.end(), x.data);
  return x;
}

/// y = sum of x, whose node notes how it was asked to write.
V noting_sum(Tape<double>& tape, V x, std::vector<char>* notes) {
  V y = tape.result(Shape{}, x);
  y.data[0] = 0;
  for (std::size_t i = 0; i < x.size(); ++i) y.data[0] += x.data[i];
  tape.node("noting_sum", {y}, [=](Tape<double>& t) {
    const double dy = t.gradient(y)[0];
    t.accumulate(x, [&](auto into, double* dx) {
      notes->push_back(decltype(into)::adds ? 'A' : 'S');
      for (std::size_t i = 0; i < x.size(); ++i) into(dx[i], dy);
    });
  });
  return y;
}

TEST(Tape, FirstWriterOverwritesLaterOnesAdd) {
  Tape<double> tape;
  std::vector<char> notes;
  for (int step = 0; step < 2; ++step) {
    tape.begin(true);
    V x = variable(tape, {1, 2, 3});
    const V a = noting_sum(tape, x, &notes), b = noting_sum(tape, x, &notes), c = noting_sum(tape, x, &notes);
    V total = add(tape, add(tape, a, b), affine(tape, c, 3, 0));
    tape.backward(total);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(tape.gradient(x)[i], 5);
  }
  EXPECT_EQ(std::string(notes.begin(), notes.end()), "SAASAA");
}

TEST(Tape, LeafGradientsAreCompleteWhateverTheyHeldBefore) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> used{1, 2}, unused{3, 4, 5}, d_used(2, nan), d_unused(3, nan);
  const Leaves leaves{{used.data(), nullptr, d_used.data(), {2}}, {unused.data(), nullptr, d_unused.data(), {3}}};
  Tape<double> tape;
  tape.bind(leaves);
  for (int step = 0; step < 2; ++step) {
    tape.begin(true);
    V p = tape.parameter(0);
    tape.backward(sum(tape, multiply(tape, p, p)));
    EXPECT_EQ(d_used, (std::vector<double>{2, 4})) << "not added to the last step's";
    EXPECT_EQ(d_unused, (std::vector<double>{0, 0, 0}));
  }
}

TEST(Tape, NothingIsRecordedForConstants) {
  Tape<double> tape;
  tape.begin(true);
  V c = tape.filled({3}, 2), y = tanh(tape, add(tape, c, c));
  EXPECT_FALSE(y.needs_gradient());
  EXPECT_EQ(tape.node_count(), 0u);
  EXPECT_EQ(message<InvariantError>([&] { tape.backward(sum(tape, y)); }),
            "[backward] the loss depends on nothing that needs a gradient");
}

TEST(Tape, NothingIsRecordedWithoutRecording) {
  std::vector<double> p{1, 2}, d{7, 7};
  const Leaves leaves{{p.data(), nullptr, d.data(), {2}}};
  Tape<double> tape;
  tape.bind(leaves);
  tape.begin(false);
  V y = sum(tape, tanh(tape, tape.parameter(0)));
  EXPECT_FALSE(y.needs_gradient());
  EXPECT_EQ(tape.node_count(), 0u);
  EXPECT_EQ(d, (std::vector<double>{7, 7}));
}

TEST(Tape, DetachedValuesPassNoGradient) {
  Tape<double> tape;
  tape.begin(true);
  V x = variable(tape, {2, 3});
  tape.backward(sum(tape, multiply(tape, x, x.detached())));
  EXPECT_EQ(tape.gradient(x)[0], 2);
  EXPECT_EQ(tape.gradient(x)[1], 3);
}

TEST(Tape, ReshapedValuesShareTheirGradient) {
  Tape<double> tape;
  tape.begin(true);
  V x = variable(tape, {1, 2, 3, 4, 5, 6});
  const V rows = x.reshaped({2, 3});
  tape.backward(sum(tape, concatenate<double>(tape, std::initializer_list<V>{rows, slice(tape, rows, 1, 1)})));
  const double expected[] = {1, 2, 1, 1, 2, 1};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(tape.gradient(x)[i], expected[i]);
  EXPECT_EQ(message<ArgumentError>([&] { x.reshaped({4, 2}); }), "[reshape] [6] holds 6 numbers, [4 2] holds 8");
}

/// Two results of one op: first = x, second = 10 x; counts how often its backward ran.
std::pair<V, V> two_results(Tape<double>& tape, V x, int* runs) {
  V a = tape.result(x.shape, x), b = tape.result(x.shape, x);
  for (std::size_t i = 0; i < x.size(); ++i) b.data[i] = 10 * (a.data[i] = x.data[i]);
  tape.node("two_results", {a, b}, [=](Tape<double>& t) {
    ++*runs;
    const double *da = t.gradient(a), *db = t.gradient(b);
    t.accumulate(x, [&](auto into, double* dx) {
      for (std::size_t i = 0; i < x.size(); ++i) into(dx[i], da[i] + 10 * db[i]);
    });
  });
  return {a, b};
}

TEST(Tape, UnusedOutputsHaveZeroGradient) {
  Tape<double> tape;
  int runs = 0;
  for (int step = 0; step < 3; ++step) {  // with recycled buffers too
    tape.begin(true);
    V x = variable(tape, {1, 2});
    const auto [a, b] = two_results(tape, x, &runs);
    tape.backward(sum(tape, step == 1 ? a : b));
    EXPECT_EQ(tape.gradient(x)[0], step == 1 ? 1 : 10);
    EXPECT_EQ(tape.gradient(x)[1], step == 1 ? 1 : 10);
  }
  EXPECT_EQ(runs, 3);
}

TEST(Tape, NodesWithoutGradientDoNotRun) {
  Tape<double> tape;
  tape.begin(true);
  V x = variable(tape, {1, 2});
  int unused = 0, used = 0;
  two_results(tape, x, &unused);
  const auto [a, b] = two_results(tape, x, &used);
  two_results(tape, a, &unused);
  tape.backward(sum(tape, add(tape, a, b)));
  EXPECT_EQ(unused, 0);
  EXPECT_EQ(used, 1);
  EXPECT_EQ(tape.gradient(x)[0], 11);
}

TEST(Tape, AVariableWithoutUseHasZeroGradient) {
  Tape<double> tape;
  tape.begin(true);
  V x = variable(tape, {1, 2}), y = variable(tape, {3});
  tape.backward(sum(tape, x));
  EXPECT_EQ(tape.gradient(y)[0], 0);
}

TEST(Tape, BackwardIsOnceAStepFromOneNumber) {
  Tape<double> tape;
  tape.begin(true);
  V x = variable(tape, {1, 2});
  EXPECT_EQ(message<InvariantError>([&] { tape.backward(x); }), "[backward] the loss must be one number, not [2]");
  V loss = sum(tape, x);
  tape.backward(loss);
  EXPECT_EQ(message<InvariantError>([&] { tape.backward(loss); }),
            "[backward] it runs once a step; add the losses first");
  tape.begin(true);
  x = variable(tape, {1, 2});
  tape.backward(sum(tape, x));
  EXPECT_EQ(tape.gradient(x)[1], 1);
}

/// A small recurrent net with every kind of gradient flow: gathered weights, slices, several uses.
struct Net {
  std::vector<double> w, b, dw, db;
  TransposedCopy<double> wt;
  Leaves leaves;
  Tape<double> tape;

  Net() : w(6 * 6), b(6), dw(6 * 6), db(6), wt(w.data(), {6, 6}) {
    for (std::size_t i = 0; i < 36; ++i) w[i] = std::sin(1.0 + static_cast<double>(i));
    for (std::size_t i = 0; i < 6; ++i) b[i] = 0.1 * static_cast<double>(i);
    leaves = {{w.data(), &wt, dw.data(), {6, 6}}, {b.data(), nullptr, db.data(), {6}}};
    tape.bind(leaves);
  }

  double step(std::size_t rows, std::size_t steps) {
    tape.begin(true);
    V h = tape.filled({rows, 6}, 0.3), total;
    auto* all = tape.scratch<V>(steps);
    for (std::size_t t = 0; t < steps; ++t) {
      tape.at(t, "read_0");
      const V y = linear(tape, h, tape.parameter(0), tape.parameter(1));
      h = multiply(tape, tanh(tape, y), sigmoid(tape, y));
      all[t] = slice(tape, h, t % 3, 2);
    }
    total = sum(tape, stack_steps<double>(tape, {all, steps}, 1));
    tape.backward(total);
    return total.data[0];
  }
};

TEST(Tape, SteadyStateAllocatesNothing) {
  use_one_blas_thread();
  Net net;
  const auto steps = [&] {
    for (std::size_t i = 0; i < 20; ++i) net.step(1 + i % 5, 1 + i);
  };
  steps();
  const std::uint64_t before = allocations();
  const std::size_t bytes = net.tape.bytes();
  for (int i = 0; i < 3; ++i) steps();
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(net.tape.bytes(), bytes);
}

// Buffers of each size were kept for ever: every new shape added to what a run held, and bytes() did not say so.
TEST(Tape, MemoryIsThatOfTheLargestStepWhateverShapesWereMet) {
  Tape<double> tape;
  const auto step = [&](std::size_t n) {
    tape.begin(true);
    V x = tape.variable({n}), y = x;
    std::fill_n(x.data, n, 0.5);
    for (int i = 0; i < 4; ++i) y = multiply(tape, y, y);
    tape.backward(sum(tape, y));
  };
  constexpr std::size_t most = 1 << 16;
  step(most);
  const std::size_t bytes = tape.bytes();
  EXPECT_GE(bytes, (5 + 2) * most * sizeof(double)) << "five values, two gradients";
  const std::uint64_t before = allocations();
  for (std::size_t n = most; n > 64; n -= 1024) step(n);
  EXPECT_EQ(tape.bytes(), bytes);
  EXPECT_LE(allocations() - before, 2u) << "the memory was there";
}

TEST(Tape, StepsOfDifferentGraphsDoNotDisturbEachOther) {
  Net alone, mixed;
  alone.step(3, 7);
  mixed.step(3, 7);
  const std::vector<double> dw = mixed.dw, db = mixed.db;
  EXPECT_EQ(dw, alone.dw);
  mixed.step(5, 2);
  EXPECT_NE(mixed.dw, dw);
  mixed.step(1, 11);
  mixed.step(3, 7);
  EXPECT_EQ(mixed.dw, dw) << "to the bit";
  EXPECT_EQ(mixed.db, db);
}

TEST(Tape, GradientBuffersComeBackAsSoonAsTheirNodeHasRun) {
  Tape<double> tape;
  std::set<const double*> buffers;
  auto* seen = &buffers;
  tape.begin(true);
  V x = variable(tape, {1, 2, 3}), y = x;
  for (int i = 0; i < 100; ++i) {
    V next = tape.result(y.shape, y);
    std::copy_n(y.data, 3, next.data);
    tape.node("noting", {next}, [=](Tape<double>& t) {
      const double* dy = t.gradient(next);
      seen->insert(dy);
      t.accumulate(y, [&](auto into, double* dx) {
        for (std::size_t k = 0; k < 3; ++k) into(dx[k], dy[k]);
      });
    });
    y = next;
  }
  tape.backward(sum(tape, y));
  EXPECT_LE(buffers.size(), 3u) << "a chain of any length needs two buffers, and the loss one";
  EXPECT_EQ(tape.gradient(x)[2], 1);
}

/// An op without numbers, whose node notes `name`, and an undo that notes it in capitals, before or after the node.
V noting(Tape<double>& tape, V x, std::string* notes, char name) {
  V y = tape.result(x.shape, x);
  std::copy_n(x.data, x.size(), y.data);
  tape.undo([=] { notes->push_back(static_cast<char>(name - 'a' + 'A')); });
  tape.node("noting", {y}, [=](Tape<double>& t) {
    notes->push_back(name);
    t.accumulate(x, [&, dy = t.gradient(y)](auto into, double* dx) {
      for (std::size_t i = 0; i < x.size(); ++i) into(dx[i], dy[i]);
    });
  });
  return y;
}

TEST(Tape, UndoRunsOnceInTurnWithTheNodesNewestFirst) {
  std::string notes;
  Tape<double> tape;
  tape.begin(true);
  V x = variable(tape, {1, 2});
  V y = noting(tape, x, &notes, 'a');
  noting(tape, y, &notes, 'u');                    // nothing comes back to it
  noting(tape, tape.filled({2}, 1), &notes, 'c');  // a node without a gradient slot
  tape.backward(sum(tape, noting(tape, y, &notes, 'b')));
  EXPECT_EQ(notes, "bBCUaA");
  tape.end();
  tape.begin(true);
  EXPECT_EQ(notes, "bBCUaA") << "once";
}

TEST(Tape, UndoRunsHoweverAPassEnds) {
  std::string notes;
  {
    Tape<double> tape;
    const auto pass = [&](bool record) {
      notes.clear();
      tape.begin(record);
      return sum(tape, noting(tape, noting(tape, variable(tape, {1, 2}), &notes, 'a'), &notes, 'b'));
    };
    pass(false);
    tape.end();
    EXPECT_EQ(notes, "BA") << "nothing recorded";
    pass(true);
    tape.begin(false);
    EXPECT_EQ(notes, "BA") << "begun anew without going back";
    const auto fails = [&] {
      const EndOfPass<double> end{tape};
      pass(true);
      throw std::runtime_error("on the way");
    };
    EXPECT_THROW(fails(), std::runtime_error);
    EXPECT_EQ(notes, "BA") << "left by an exception";
    V loss = pass(true);
    V broken = tape.result(Shape{}, loss);
    broken.data[0] = 1;
    tape.node("broken", {broken}, [](Tape<double>&) { throw std::runtime_error("on the way back"); });
    EXPECT_THROW(tape.backward(broken), std::runtime_error);
    EXPECT_EQ(notes, "BA") << "left by an exception on the way back";
    loss = pass(true);
    EXPECT_THROW(tape.backward(variable(tape, {1, 2})), InvariantError);
    EXPECT_EQ(notes, "BA") << "a loss that is none";
    pass(false);
  }
  EXPECT_EQ(notes, "BA") << "the tape is gone";
}

TEST(Tape, ResidentStorageIsOneATapeOwnerAndType) {
  static int alive;
  alive = 0;
  struct Storage {
    Storage() { ++alive; }
    ~Storage() { --alive; }
    std::size_t bytes() const { return 1000; }
    int value = 7;
  };
  {
    Tape<double> one, two;
    const int owner = 0, other = 0;
    const std::size_t before = one.bytes();
    one.resident<Storage>(&owner).value = 8;
    one.begin(true);
    EXPECT_EQ(one.resident<Storage>(&owner).value, 8) << "outlives begin()";
    EXPECT_EQ(one.resident<Storage>(&other).value, 7);
    EXPECT_EQ(two.resident<Storage>(&owner).value, 7);
    EXPECT_EQ(one.resident<int>(&owner), 0);
    EXPECT_EQ(alive, 3);
    EXPECT_EQ(one.bytes() - before, 2000 + sizeof(int));
  }
  EXPECT_EQ(alive, 0);
}

TEST(RowGradient, HoldsWhatWasTouchedInThatOrder) {
  RowGradient<double> g;
  for (std::size_t width : {3, 1}) {
    g.begin(width);
    EXPECT_EQ(g.find(0), nullptr);
    std::map<std::size_t, double> want;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < 3000; ++i) {
      const std::size_t r = i * i * 7919 % 100003 * (i % 3 == 0 ? 64 : 1);
      if (!want.count(r)) order.push_back(r);
      want[r] += static_cast<double>(i);
      g.row(r)[width - 1] += static_cast<double>(i);
    }
    ASSERT_EQ(g.count(), order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      EXPECT_EQ(g.number(i), order[i]);
      EXPECT_EQ(g.find(order[i]), g.values(i));
      EXPECT_EQ(g.values(i)[width - 1], want[order[i]]);
      if (width == 1) continue;
      EXPECT_EQ(g.values(i)[0], 0) << "what nobody wrote";
    }
    EXPECT_EQ(g.find(100004), nullptr);
  }
  const std::size_t bytes = g.bytes();
  g.begin(1);
  EXPECT_EQ(g.bytes(), bytes);
  EXPECT_EQ(g.count(), 0u);
}

TEST(Tape, CheckFiniteNamesOpSiteAndStepOfAResult) {
  Tape<double> tape;
  tape.begin(true);
  V x = variable(tape, {0, 1});
  tape.at(12, "write_0");
  EXPECT_NO_THROW(log(tape, x)) << "off unless asked for";
  tape.check_finite(true);
  EXPECT_EQ(message<NonFiniteError>([&] { log(tape, x); }), "[log] the result [2] is not finite at step 12, write_0");
  tape.at(3, "");
  EXPECT_EQ(message<NonFiniteError>([&] { log(tape, x); }), "[log] the result [2] is not finite at step 3");
  tape.begin(false);
  x = tape.filled({2}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(message<NonFiniteError>([&] { tanh(tape, x); }), "[tanh] the result [2] is not finite at step 0")
      << "also when nothing is recorded";
}

TEST(Tape, CheckFiniteNamesOpSiteAndStepOfAGradient) {
  Tape<double> tape;
  tape.check_finite(true);
  tape.begin(true);
  tape.at(4, "read_1");
  V x = variable(tape, {0, 1}), root = sqrt(tape, x);  // finite, but its slope at 0 is not
  tape.at(5, "read_1");
  V loss = sum(tape, root);
  EXPECT_EQ(message<NonFiniteError>([&] { tape.backward(loss); }),
            "[sqrt] the gradient of an input is not finite at step 4, read_1");
  tape.begin(true);  // and goes on with the next step
  x = variable(tape, {4, 1});
  tape.backward(sum(tape, sqrt(tape, x)));
  EXPECT_EQ(tape.gradient(x)[0], 0.25);
}

// All uses of a weight become one product after the last op has run: nobody but it sees the sum.
TEST(Tape, CheckFiniteNamesAWeightWhoseUsesOverflowTogether) {
  std::vector<double> w(1, 0.0), dw(1);
  const std::vector<Leaf<double>> leaves{{w.data(), nullptr, dw.data(), {1, 1}}};
  Tape<double> tape;
  tape.bind(leaves);
  const auto step = [&] {
    tape.begin(true);
    V x = tape.filled({2, 1}, 1e308);
    tape.backward(sum(tape, linear(tape, x, tape.parameter(0))));
  };
  EXPECT_NO_THROW(step()) << "off unless asked for";
  EXPECT_TRUE(std::isinf(dw[0]));
  tape.check_finite(true);
  EXPECT_EQ(message<NonFiniteError>(step),
            "[linear] the gradient of a weight [1 1] is not finite, summed over its 2 rows");
}

TEST(Tape, CheckFiniteChangesNoBit) {
  Net plain, checked;
  checked.tape.check_finite(true);
  EXPECT_EQ(plain.step(3, 7), checked.step(3, 7));
  EXPECT_EQ(plain.dw, checked.dw);
}

TEST(Arena, GrowsByItselfAndKeepsWhatItHandedOut) {
  Arena arena;
  std::vector<std::pair<int*, std::size_t>> blocks;
  int number = 0;
  const auto fill = [&] {
    for (std::size_t n : {1u, 100u, 50000u, 3u, 2000000u, 17u, 0u, 70000u}) {
      int* p = arena.array<int>(n);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 64, 0u);
      std::fill_n(p, n, ++number);
      blocks.emplace_back(p, n);
    }
  };
  fill();
  fill();
  for (std::size_t b = 0; b < blocks.size(); ++b)
    for (std::size_t i = 0; i < blocks[b].second; ++i) ASSERT_EQ(blocks[b].first[i], static_cast<int>(b) + 1);
  const std::size_t capacity = arena.capacity();
  const std::uint64_t before = allocations();
  int* const first = blocks[0].first;
  for (int i = 0; i < 3; ++i) {
    arena.reset();
    EXPECT_EQ(arena.array<int>(1), first);
    arena.reset();
    for (std::size_t n : {1u, 100u, 50000u, 3u, 2000000u, 17u, 0u, 70000u}) arena.array<int>(n);
    for (std::size_t n : {1u, 100u, 50000u, 3u, 2000000u, 17u, 0u, 70000u}) arena.array<int>(n);
  }
  EXPECT_EQ(arena.capacity(), capacity);
  EXPECT_EQ(allocations(), before);
}

TEST(GradientPool, GivesBackTheLastReturnedOfASize) {
  GradientPool<float> pool;
  float *a = pool.take(100), *b = pool.take(100), *small = pool.take(3);
  EXPECT_NE(a, b);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 64, 0u);
  pool.give(a, 100);
  pool.give(b, 100);
  pool.give(small, 3);
  EXPECT_EQ(pool.take(100), b);
  EXPECT_EQ(pool.take(128), a) << "one class of sizes: up to the next multiple of 64";
  EXPECT_EQ(pool.take(60), small);
  EXPECT_NE(pool.take(64), small);
  const std::size_t bytes = pool.capacity();
  pool.reset();
  EXPECT_EQ(pool.take(1000), a) << "the memory serves any size";
  EXPECT_EQ(pool.capacity(), bytes);
}

}  // namespace
}  // namespace mneme
