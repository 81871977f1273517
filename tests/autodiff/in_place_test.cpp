// A memory of a million rows that is changed in place at a few rows a step: what the tape's undo, resident and
// gradients by rows are for. Against the same memory copied at every step, at small N; counts and bits at large N.
#include "autodiff/gradcheck.hpp"
#include "autodiff/ops.hpp"
#include "autodiff/products.hpp"
#include "tests/core/allocation_count.hpp"
#include "tests/support/values.hpp"

#include <limits>
#include <numeric>

namespace mneme {
namespace {

using test::complaint;
using Index = std::span<const std::int32_t>;

/// m[r] = m[r] (1 - e) + a for each row r of the index, one after the other;  m [N D], e and a [K D].
/// `at`: m's numbers, where they are changed.
template <class T>
void revise(T* at, const std::int32_t* index, std::size_t k, std::size_t d, const Var<T>& e, const Var<T>& a, T* old) {
  for (std::size_t i = 0; i < k; ++i) {
    T* row = at + static_cast<std::size_t>(index[i]) * d;
    std::copy_n(row, d, old + i * d);
    for (std::size_t j = 0; j < d; ++j) row[j] = row[j] * (1 - e.data[i * d + j]) + a.data[i * d + j];
  }
}

/// What goes back through revise: of each row, from the last one on, dm is that of what it became.
template <class T, class At>
void revise_back(Tape<T>& t, const std::int32_t* index, std::size_t k, std::size_t d, const Var<T>& e, const Var<T>& a,
                 const T* old, At dm) {
  T* de = t.allocate(k * d);
  T* da = t.allocate(k * d);
  for (std::size_t i = k; i-- > 0;) {
    T* g = dm(static_cast<std::size_t>(index[i]));
    for (std::size_t j = 0; j < d; ++j) {
      de[i * d + j] = -g[j] * old[i * d + j];
      da[i * d + j] = g[j];
      g[j] *= 1 - e.data[i * d + j];
    }
  }
  const auto add = [&](const Var<T>& x, const T* from) {
    t.accumulate(x, [&](auto into, T* dx) {
      for (std::size_t i = 0; i < k * d; ++i) into(dx[i], from[i]);
    });
  };
  add(e, de);
  add(a, da);
}

template <class T>
const std::int32_t* kept(Tape<T>& tape, Index index) {
  auto* to = tape.template scratch<std::int32_t>(index.size());
  std::copy(index.begin(), index.end(), to);
  return to;
}

/// Where it lies: work and memory are those of K rows.
template <class T>
Var<T> revise_in_place(Tape<T>& tape, Var<T> m, Index rows, Var<T> e, Var<T> a) {
  const std::size_t k = rows.size(), d = m.shape.last();
  const std::int32_t* index = kept(tape, rows);
  T* old = tape.allocate(k * d);
  tape.undo([=] {
    for (std::size_t i = k; i-- > 0;) std::copy_n(old + i * d, d, m.data + static_cast<std::size_t>(index[i]) * d);
  });
  revise(m.data, index, k, d, e, a, old);
  const Var<T> y = tape.changed(m, e, a);
  tape.node("revise_in_place", {y}, [=](Tape<T>& t) {
    RowGradient<T>& dy = t.rows(y);
    revise_back(t, index, k, d, e, a, old, [&](std::size_t r) { return dy.row(r); });
    t.hand_rows(m, y);
  });
  return y;
}

/// The oracle: into a copy of all N rows, with a gradient of all N rows.
template <class T>
Var<T> revise_copy(Tape<T>& tape, Var<T> m, Index rows, Var<T> e, Var<T> a) {
  const std::size_t k = rows.size(), d = m.shape.last();
  const std::int32_t* index = kept(tape, rows);
  T* old = tape.allocate(k * d);
  const Var<T> y = tape.result(m.shape, m, e, a);
  std::copy_n(m.data, m.size(), y.data);
  revise(y.data, index, k, d, e, a, old);
  tape.node("revise_copy", {y}, [=](Tape<T>& t) {
    T* dm = t.allocate(m.size());
    std::copy_n(t.gradient(y), m.size(), dm);
    revise_back(t, index, k, d, e, a, old, [&](std::size_t r) { return dm + r * d; });
    t.accumulate(m, [&](auto into, T* to) {
      for (std::size_t i = 0; i < m.size(); ++i) into(to[i], dm[i]);
    });
  });
  return y;
}

/// y[i] = q[i] . m[r_i];  q [K D]. Goes back through m as it was read, which was changed since.
template <class T>
Var<T> row_dots(Tape<T>& tape, Var<T> q, Var<T> m, Index rows) {
  const std::size_t k = rows.size(), d = m.shape.last();
  const std::int32_t* index = kept(tape, rows);
  const Var<T> y = tape.result(Shape{k, 1}, q, m);
  const auto row = [=](std::size_t i) { return m.data + static_cast<std::size_t>(index[i]) * d; };
  for (std::size_t i = 0; i < k; ++i) y.data[i] = std::inner_product(row(i), row(i) + d, q.data + i * d, T(0));
  tape.node("row_dots", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(q, [&](auto into, T* dq) {
      for (std::size_t i = 0; i < k; ++i)
        for (std::size_t j = 0; j < d; ++j) into(dq[i * d + j], dy[i] * row(i)[j]);
    });
    t.accumulate_rows(m, [&](auto at) {
      for (std::size_t i = 0; i < k; ++i) {
        T* dm = at(static_cast<std::size_t>(index[i]));
        for (std::size_t j = 0; j < d; ++j) dm[j] += dy[i] * q.data[i * d + j];
      }
    });
  });
  return y;
}

/// Numbers that need no second copy to be recognised.
template <class T>
T first_value(std::size_t i) {
  return static_cast<T>(static_cast<std::int32_t>(static_cast<std::uint32_t>(i) * 2654435761u)) * T(0x1p-31);
}

template <class T>
struct Table {
  std::vector<T> numbers;
  std::size_t bytes() const { return numbers.size() * sizeof(T); }
};

/// A small recurrent net with a memory of N rows: each step writes K rows and reads K, some of them those of the step
/// before. What it reads decides what it writes next.
template <class T>
struct Net {
  std::size_t n, d, k, steps;
  std::vector<T> w, dw;
  std::vector<Leaf<T>> leaves;
  Tape<T> tape;
  Var<T> begun;  ///< the memory before the first step

  Net(std::size_t slots, std::size_t width, std::size_t rows, std::size_t count)
      : n(slots), d(width), k(rows), steps(count), w(3 * d * d), dw(w.size()) {
    use_one_blas_thread();
    for (std::size_t i = 0; i < w.size(); ++i)
      w[i] = static_cast<T>(std::sin(1.7 * static_cast<double>(i)) / std::sqrt(static_cast<double>(d)));
    leaves = {{w.data(), nullptr, dw.data(), {d, 3 * d}}};
    tape.bind(leaves);
    table().resize(n * d);
    for (std::size_t i = 0; i < n * d; ++i) table()[i] = first_value<T>(i);
  }
  std::vector<T>& table() { return tape.template resident<Table<T>>(this).numbers; }
  bool restored() {
    for (std::size_t i = 0; i < n * d; ++i)
      if (table()[i] != first_value<T>(i)) return false;
    return true;
  }
  /// Rows of step t: the first half those of the second half of the step before; of few rows, some twice.
  std::vector<std::int32_t> rows_of(std::size_t t) const {
    std::vector<std::int32_t> rows(k);
    for (std::size_t i = 0; i < k; ++i)
      rows[i] = static_cast<std::int32_t>((t * (k - k / 2) + i) * 619 % n);  // 619: prime, so that rows repeat late
    return rows;
  }
  /// Writes, reads and the loss of all steps; `in_place` or copied.
  Var<T> forward(bool record, bool in_place) {
    tape.begin(record);
    begun = in_place ? tape.in_place(table().data(), {n, d}, true) : tape.variable({n, d});
    if (!in_place) std::copy(table().begin(), table().end(), begun.data);
    Var<T> m = begun, x = tape.filled({k, d}, T(0.3)), total;
    for (std::size_t t = 0; t < steps; ++t) {
      tape.at(t, "memory");
      const std::vector<std::int32_t> rows = rows_of(t);
      const Var<T> z = linear(tape, x, tape.parameter(0));
      const Var<T> e = sigmoid(tape, slice(tape, z, 0, d)), a = tanh(tape, slice(tape, z, d, d));
      const Var<T> before = row_dots(tape, slice(tape, z, 2 * d, d), m, rows);
      m = in_place ? revise_in_place<T>(tape, m, rows, e, a) : revise_copy<T>(tape, m, rows, e, a);
      x = tanh(tape, scale_rows(tape, gather_rows<T>(tape, m, rows_of(t + 1)), before));
      total = total ? add(tape, total, sum(tape, x)) : sum(tape, x);
    }
    return total;
  }
  /// Of the memory before the first step, all rows.
  std::vector<T> begun_gradient(bool in_place) {
    if (!in_place) return {tape.gradient(begun), tape.gradient(begun) + n * d};
    std::vector<T> all(n * d);
    const RowGradient<T>& rows = tape.rows(begun);
    for (std::size_t i = 0; i < rows.count(); ++i)
      std::copy_n(rows.values(i), d, all.begin() + static_cast<std::ptrdiff_t>(rows.number(i) * d));
    return all;
  }
};

constexpr std::size_t million = 1'000'000;

TEST(InPlace, AMillionRowsAreBackToTheBitHoweverAPassEnds) {
  Net<float> net(million, 32, 8, 10);
  const auto changed = [&] { return !net.restored(); };
  {
    net.forward(false, true);
    EXPECT_TRUE(changed());
    net.tape.end();
    EXPECT_TRUE(net.restored()) << "evaluation";
  }
  {
    const Var<float> loss = net.forward(true, true);
    EXPECT_TRUE(changed());
    net.tape.backward(loss);
    EXPECT_TRUE(net.restored()) << "training";
  }
  EXPECT_THROW(
      {
        const EndOfPass<float> end{net.tape};
        net.forward(true, true);
        EXPECT_TRUE(changed());
        linear(net.tape, net.tape.filled({2, 3}, 1), net.tape.parameter(0));
      },
      ArgumentError);
  EXPECT_TRUE(net.restored()) << "an exception on the way forward";
  net.tape.check_finite(true);
  EXPECT_THROW(
      {
        const EndOfPass<float> end{net.tape};
        affine(net.tape, net.forward(true, true), std::numeric_limits<double>::infinity(), 0);
      },
      NonFiniteError);
  net.tape.check_finite(false);
  EXPECT_TRUE(net.restored()) << "the finite guard";
}

TEST(InPlace, AStepOfAMillionRowsHoldsWhatOneOfAThousandHolds) {
  struct Counts {
    std::size_t nodes, bytes, rows;
    std::uint64_t allocations;
  };
  const auto counts = [](std::size_t n) {
    Net<float> net(n, 32, 8, 20);
    const auto step = [&] { net.tape.backward(net.forward(true, true)); };
    for (int i = 0; i < 2; ++i) step();
    const std::uint64_t before = allocations();
    for (int i = 0; i < 3; ++i) step();
    const std::uint64_t own = 3 * 2 * net.steps;  // rows_of
    return Counts{net.tape.node_count(), net.tape.bytes() - n * 32 * sizeof(float), net.tape.rows(net.begun).count(),
                  allocations() - before - own};
  };
  const Counts small = counts(1000), large = counts(million);
  EXPECT_EQ(small.nodes, large.nodes);
  EXPECT_EQ(small.bytes, large.bytes);
  EXPECT_EQ(large.rows, 8u + 20 * 4) << "each row that is read or written once";
  EXPECT_EQ(small.rows, large.rows);
  EXPECT_EQ(large.allocations, 0u);
  EXPECT_LT(large.bytes, 2u << 20) << "a dense gradient alone is 128 MB";
}

TEST(InPlace, GradientsByRowsAreThoseOfACopiedMemory) {
  for (std::size_t n : {1, 5, 40}) {
    SCOPED_TRACE(n);
    Net<double> sparse(n, 4, 3, 6), dense(n, 4, 3, 6);
    const Var<double> a = sparse.forward(true, true), b = dense.forward(true, false);
    EXPECT_NEAR(a.data[0], b.data[0], 1e-13);
    sparse.tape.backward(a);
    dense.tape.backward(b);
    test::expect_near(sparse.dw, dense.dw, 1e-12);
    test::expect_near(sparse.begun_gradient(true), dense.begun_gradient(false), 1e-12);
    EXPECT_LE(sparse.tape.rows(sparse.begun).count(), n);
    EXPECT_TRUE(sparse.restored());
  }
}

TEST(InPlace, GradientsAreThoseOfDifferences) {
  for (std::size_t n : {2, 9}) {
    Net<double> net(n, 3, 2, 5);
    net.tape.backward(net.forward(true, true));
    const std::vector<double> weights = net.dw, memory = net.begun_gradient(true);
    const std::vector<GradientBlock> blocks{{"weights", net.w.data(), weights.data(), weights.size()},
                                            {"memory", net.table().data(), memory.data(), memory.size()}};
    const auto loss = [&] {
      const double value = net.forward(false, true).data[0];
      net.tape.end();
      return value;
    };
    const GradientResult r = compare_gradient(loss, blocks);
    EXPECT_TRUE(r.ok()) << r.text();
    EXPECT_EQ(r.compared, weights.size() + memory.size());
  }
}

TEST(InPlace, WhatAStateChangedInPlaceCannotDoIsRefused) {
  Net<double> net(6, 3, 2, 1);
  Tape<double>& tape = net.tape;
  const auto begin = [&] {
    tape.begin(true);
    return tape.in_place(net.table().data(), {6, 3}, true);
  };
  const std::vector<std::int32_t> rows{4, 1};
  Var<double> m = begin();
  EXPECT_EQ(complaint<InvariantError>([&] { tape.backward(sum(tape, tanh(tape, m))); }),
            "[tape] an op wants all of the gradient of a state [6 3] that is changed in place");
  m = begin();
  const Var<double> e = tape.filled({2, 3}, 0.5), x = tape.parameter(0).reshaped({9, 3});
  const Var<double> a = gather_rows<double>(tape, x, rows);
  const Var<double> next = revise_in_place<double>(tape, m, rows, e, a);
  const Var<double> late = gather_rows<double>(tape, m, rows);  // what it holds is next's
  EXPECT_EQ(complaint<InvariantError>(
                [&] { tape.backward(sum(tape, add(tape, late, gather_rows<double>(tape, next, rows)))); }),
            "[tape] a state [6 3] was used after it was changed in place");
  EXPECT_TRUE(net.restored());
}

// Once a pass has ended its states are as they were before it, and no node would find what it was made with.
TEST(InPlace, NothingGoesBackAfterThePassHasEnded) {
  Net<double> net(6, 3, 2, 1);
  Tape<double>& tape = net.tape;
  tape.begin(true);
  const Var<double> m = tape.in_place(net.table().data(), {6, 3}, true);
  const std::vector<std::int32_t> rows{4, 1};
  const Var<double> e = tape.filled({2, 3}, 0.5);
  const Var<double> a = gather_rows<double>(tape, tape.parameter(0).reshaped({9, 3}), rows);
  const Var<double> loss = sum(tape, gather_rows<double>(tape, revise_in_place<double>(tape, m, rows, e, a), rows));
  tape.end();
  EXPECT_TRUE(net.restored());
  EXPECT_EQ(complaint<InvariantError>([&] { tape.backward(loss); }),
            "[backward] the pass has ended: states that it changed in place were put back");
  EXPECT_TRUE(net.restored());
}

}  // namespace
}  // namespace mneme
