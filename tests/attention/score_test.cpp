// Scores against plain loops in double, properties, edges and shape errors.
#include "attention/score.hpp"

#include "autodiff/ops.hpp"
#include "autodiff/products.hpp"
#include "tests/support/values.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::given;
using test::Numbers;

struct Sizes {
  std::size_t b, q, d, n;
};
constexpr Sizes all_sizes[] = {{1, 1, 1, 1}, {2, 1, 3, 4}, {1, 3, 2, 5}, {2, 2, 5, 8}, {3, 2, 4, 37}};

/// e[b,q,n] = f(query vector, key vector)
template <class F>
Numbers each_pair(const Sizes& s, const Numbers& query, const Numbers& keys, F f) {
  Numbers e;
  for (std::size_t b = 0; b < s.b; ++b)
    for (std::size_t q = 0; q < s.q; ++q)
      for (std::size_t n = 0; n < s.n; ++n) {
        Numbers u(s.d), k(s.d);
        for (std::size_t m = 0; m < s.d; ++m) {
          u[m] = query[(b * s.q + q) * s.d + m];
          k[m] = keys[(b * s.d + m) * s.n + n];
        }
        e.push_back(f(u, k));
      }
  return e;
}

double dot(const Numbers& u, const Numbers& k) {
  double sum = 0;
  for (std::size_t m = 0; m < u.size(); ++m) sum += u[m] * k[m];
  return sum;
}

template <class T>
class Score : public testing::Test {
 protected:
  Score() { tape.begin(true); }
  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Score, Scalars);

TYPED_TEST(Score, Dot) {
  using T = TypeParam;
  for (const Sizes& s : all_sizes) {
    const Numbers q = draw(s.b * s.q * s.d, 1), k = draw(s.b * s.d * s.n, 2);
    const Var<T> query = given(this->tape, {s.b, s.q, s.d}, q), keys = given(this->tape, {s.b, s.d, s.n}, k);
    test::expect_value(dot_score(this->tape, query, keys), {s.b, s.q, s.n}, each_pair(s, q, k, dot));
    test::expect_value(scaled_dot_score(this->tape, query, keys), {s.b, s.q, s.n},
                       each_pair(s, q, k, [&](const Numbers& u, const Numbers& v) {
                         return dot(u, v) / std::sqrt(static_cast<double>(s.d));
                       }));
  }
}

TYPED_TEST(Score, Cosine) {
  using T = TypeParam;
  for (const Sizes& s : all_sizes) {
    const Numbers q = draw(s.b * s.q * s.d, 3), k = draw(s.b * s.d * s.n, 4);
    test::expect_value(
        cosine_score(this->tape, given<T>(this->tape, {s.b, s.q, s.d}, q), given<T>(this->tape, {s.b, s.d, s.n}, k)),
        {s.b, s.q, s.n}, each_pair(s, q, k, [](const Numbers& u, const Numbers& v) {
          return dot(u, v) / std::sqrt((dot(u, u) + 1e-6) * (dot(v, v) + 1e-6));
        }));
  }
}

TYPED_TEST(Score, Distance) {
  using T = TypeParam;
  for (const Sizes& s : all_sizes) {
    const Numbers q = draw(s.b * s.q * s.d, 31), k = draw(s.b * s.d * s.n, 32);
    test::expect_value(
        distance_score(this->tape, given<T>(this->tape, {s.b, s.q, s.d}, q), given<T>(this->tape, {s.b, s.d, s.n}, k)),
        {s.b, s.q, s.n}, each_pair(s, q, k, [](const Numbers& u, const Numbers& v) {
          double e = 0;
          for (std::size_t m = 0; m < u.size(); ++m) e -= (u[m] - v[m]) * (u[m] - v[m]);
          return e;
        }));
  }
}

// Where query and key meet the distance has a corner, its square has none.
TYPED_TEST(Score, DistanceOfAVectorFromItselfIsNothingAndSoIsItsSlope) {
  using T = TypeParam;
  const Var<T> u = given<T>(this->tape, {1, 1, 3}, {1, -2, 3}),
               k = given<T>(this->tape, {1, 3, 2}, {1, 1, -2, 0, 3, 3});
  const Var<T> e = distance_score(this->tape, u, k);
  test::expect_value(e, {1, 1, 2}, {0, -4}, 0);
  this->tape.backward(sum(this->tape, e));
  EXPECT_EQ(test::gradient(this->tape, k), (Numbers{0, 0, 0, -4, 0, 0}));
  EXPECT_EQ(test::gradient(this->tape, u), (Numbers{0, 4, 0}));
}

TYPED_TEST(Score, Additive) {
  using T = TypeParam;
  for (const Sizes& s : all_sizes) {
    const Numbers q = draw(s.b * s.q * s.d, 5), k = draw(s.b * s.d * s.n, 6), v = draw(s.d, 7);
    test::expect_value(additive_score(this->tape, given<T>(this->tape, {s.b, s.q, s.d}, q),
                                      given<T>(this->tape, {s.b, s.d, s.n}, k), given<T>(this->tape, {s.d}, v)),
                       {s.b, s.q, s.n}, each_pair(s, q, k, [&](const Numbers& u, const Numbers& key) {
                         double e = 0;
                         for (std::size_t a = 0; a < s.d; ++a) e += v[a] * std::tanh(u[a] + key[a]);
                         return e;
                       }));
  }
}

TYPED_TEST(Score, CosineOfAVectorWithItselfIsOneWhateverItsLength) {
  using T = TypeParam;
  const Var<T> u = given<T>(this->tape, {1, 1, 3}, {1, -2, 3}), k = given<T>(this->tape, {1, 3, 3},
                                                                             {1, 100, -1,   //
                                                                              -2, -200, 2,  //
                                                                              3, 300, -3});
  test::expect_value(cosine_score(this->tape, u, k), {1, 1, 3}, {1, 1, -1}, 1e-6);
}

TYPED_TEST(Score, CosineOnZeroMemoryAndZeroQueryIsFinite) {
  using T = TypeParam;
  for (const bool zero_query : {false, true}) {
    this->tape.begin(true);
    const Var<T> u = given<T>(this->tape, {1, 2, 3}, zero_query ? Numbers(6) : draw(6, 8));
    const Var<T> k = given<T>(this->tape, {1, 3, 5}, Numbers(15));
    const Var<T> e = cosine_score(this->tape, u, k);
    test::expect_value(e, {1, 2, 5}, Numbers(10), 0);
    test::backward_from(this->tape, e);
    test::expect_finite(test::gradient(this->tape, u));
    test::expect_finite(test::gradient(this->tape, k));
  }
}

TYPED_TEST(Score, PermutingTheSlotsPermutesTheScores) {
  using T = TypeParam;
  const std::size_t d = 3, n = 11;
  const Numbers q = draw(2 * d, 9), k = draw(d * n, 10);
  Numbers permuted(k.size());
  const auto to = [&](std::size_t i) { return (5 * i + 3) % n; };
  for (std::size_t m = 0; m < d; ++m)
    for (std::size_t i = 0; i < n; ++i) permuted[m * n + to(i)] = k[m * n + i];
  const Var<T> u = given<T>(this->tape, {1, 2, d}, q);
  for (auto* score : {cosine_score<T>, distance_score<T>, dot_score<T>, scaled_dot_score<T>}) {
    const Var<T> a = score(this->tape, u, given<T>(this->tape, {1, d, n}, k));
    const Var<T> b = score(this->tape, u, given<T>(this->tape, {1, d, n}, permuted));
    for (std::size_t row = 0; row < 2; ++row)
      for (std::size_t i = 0; i < n; ++i)
        EXPECT_NEAR(a.data[row * n + i], b.data[row * n + to(i)], test::usual_tolerance<T>);
  }
}

TYPED_TEST(Score, ARowOfABatchIsTheSingleRun) {
  using T = TypeParam;
  const Sizes s{3, 2, 5, 13};
  const Numbers q = draw(s.b * s.q * s.d, 11), k = draw(s.b * s.d * s.n, 12);
  const Var<T> all =
      cosine_score(this->tape, given<T>(this->tape, {s.b, s.q, s.d}, q), given<T>(this->tape, {s.b, s.d, s.n}, k));
  for (std::size_t b = 0; b < s.b; ++b) {
    const auto row = [&](const Numbers& x, std::size_t n) {
      return Numbers(x.begin() + static_cast<std::ptrdiff_t>(b * n),
                     x.begin() + static_cast<std::ptrdiff_t>((b + 1) * n));
    };
    const Var<T> one = cosine_score(this->tape, given<T>(this->tape, {1, s.q, s.d}, row(q, s.q * s.d)),
                                    given<T>(this->tape, {1, s.d, s.n}, row(k, s.d * s.n)));
    test::expect_near(test::numbers(one), row(test::numbers(all), s.q * s.n), 0);
  }
}

TYPED_TEST(Score, ShapesThatDoNotFitAreNamed) {
  using T = TypeParam;
  const auto say = [&](auto* score, Shape query, Shape keys) {
    return complaint([&] { score(this->tape, this->tape.filled(query, T(1)), this->tape.filled(keys, T(1))); });
  };
  EXPECT_EQ(say(cosine_score<T>, {16, 1, 24}, {16, 20, 128}),
            "[cosine] query width 24, memory width 20 in [B=16 M=20 N=128]");
  EXPECT_EQ(say(dot_score<T>, {2, 1, 3}, {2, 4, 5}), "[dot] query width 3, memory width 4 in [B=2 M=4 N=5]");
  EXPECT_EQ(say(scaled_dot_score<T>, {2, 3}, {2, 3, 5}),
            "[scaled_dot] query [2 3] is not [B Q D] or keys [2 3 5] are not [B D N]");
  EXPECT_EQ(say(cosine_score<T>, {2, 1, 3}, {3, 3, 5}), "[cosine] queries for 2 rows, keys for 3");
  EXPECT_EQ(complaint([&] {
              additive_score(this->tape, this->tape.filled({2, 1, 3}, T(1)), this->tape.filled({2, 3, 5}, T(1)),
                             this->tape.filled({4}, T(1)));
            }),
            "[additive] v [4] for a width of 3");
}

// --- the registered ones, with their parameters -------------------------------------------------------------------

/// A score by name, its parameters drawn and readable.
struct Module {
  Module(const std::string& name, ScoreSizes sizes)
      : score(scores().find(name).make<double>(Builder<double>(set), sizes)) {
    set.initialize(3);
    gradients = std::make_unique<Gradients<double>>(set, 2);
    tape.bind(gradients->leaves());
    tape.begin(true);
  }
  Numbers parameter(const std::string& name) {
    for (std::size_t i = 0; i < set.parameters().size(); ++i)
      if (set.parameters()[i].name == name)
        return Numbers(set.value(i), set.value(i) + set.parameters()[i].shape.size());
    ADD_FAILURE() << "no parameter " << name;
    return {};
  }
  Var<double> operator()(Var<double> query, Var<double> keys) {
    return (*score)(tape, query, score->prepare(tape, keys));
  }
  ParameterSet<double> set;
  std::unique_ptr<mneme::Score<double>> score;
  std::unique_ptr<Gradients<double>> gradients;
  Tape<double> tape;
};

constexpr std::size_t B = 2, Q = 3, N = 5;

TEST(ScoreModule, Bilinear) {
  Module m("bilinear", {2, 4, 0});
  const Numbers q = draw(B * Q * 2, 20), k = draw(B * 4 * N, 21), w = m.parameter("weight");
  Numbers want;
  for (std::size_t b = 0; b < B; ++b)
    for (std::size_t i = 0; i < Q; ++i)
      for (std::size_t n = 0; n < N; ++n) {
        double e = 0;
        for (std::size_t x = 0; x < 2; ++x)
          for (std::size_t y = 0; y < 4; ++y) e += q[(b * Q + i) * 2 + x] * w[x * 4 + y] * k[(b * 4 + y) * N + n];
        want.push_back(e);
      }
  test::expect_value(m(given(m.tape, {B, Q, 2}, q), given(m.tape, {B, 4, N}, k)), {B, Q, N}, want);
}

TEST(ScoreModule, AdditiveOfAnyHiddenWidth) {
  for (std::size_t hidden : {0, 1, 6}) {
    Module m("additive", {2, 4, hidden});
    const std::size_t a = hidden ? hidden : 4;
    const Numbers q = draw(B * Q * 2, 22), k = draw(B * 4 * N, 23), w = m.parameter("query.weight"),
                  bias = m.parameter("query.bias"), u = m.parameter("key.weight"), v = m.parameter("v");
    ASSERT_EQ(v.size(), a);
    Numbers want;
    for (std::size_t b = 0; b < B; ++b)
      for (std::size_t i = 0; i < Q; ++i)
        for (std::size_t n = 0; n < N; ++n) {
          double e = 0;
          for (std::size_t h = 0; h < a; ++h) {
            double z = bias[h];
            for (std::size_t x = 0; x < 2; ++x) z += q[(b * Q + i) * 2 + x] * w[x * a + h];
            for (std::size_t y = 0; y < 4; ++y) z += u[h * 4 + y] * k[(b * 4 + y) * N + n];
            e += v[h] * std::tanh(z);
          }
          want.push_back(e);
        }
    test::expect_value(m(given(m.tape, {B, Q, 2}, q), given(m.tape, {B, 4, N}, k)), {B, Q, N}, want);
  }
}

TEST(ScoreModule, QueryFree) {
  const Numbers k = draw(B * 4 * N, 24);
  {
    Module m("linear", {0, 4, 0});
    const Numbers w = m.parameter("weight");
    Numbers want(B * N);
    for (std::size_t b = 0; b < B; ++b)
      for (std::size_t n = 0; n < N; ++n)
        for (std::size_t y = 0; y < 4; ++y) want[b * N + n] += w[y] * k[(b * 4 + y) * N + n];
    test::expect_value(m({}, given(m.tape, {B, 4, N}, k)), {B, 1, N}, want);
  }
  {
    Module m("mlp", {0, 4, 3});
    const Numbers u = m.parameter("key.weight"), bias = m.parameter("bias"), v = m.parameter("v");
    Numbers want(B * N);
    for (std::size_t b = 0; b < B; ++b)
      for (std::size_t n = 0; n < N; ++n)
        for (std::size_t h = 0; h < 3; ++h) {
          double z = bias[h];
          for (std::size_t y = 0; y < 4; ++y) z += u[h * 4 + y] * k[(b * 4 + y) * N + n];
          want[b * N + n] += v[h] * std::tanh(z);
        }
    test::expect_value(m({}, given(m.tape, {B, 4, N}, k)), {B, 1, N}, want);
  }
}

// Every step copied the weights B times and projected all keys again: two nodes more, and A D for each query and key.
TEST(ScoreModule, ADecoderPreparesItsKeysOnce) {
  constexpr std::size_t A = 6, D = 4, steps = 5;
  struct Expected {
    const char* name;
    std::size_t nodes;       // of all steps
    std::size_t operations;  // of their products
  };
  const std::size_t projection = 2 * B * A * D * N;
  for (const auto& [name, nodes, operations] :
       {Expected{"additive", 1 + 2 * steps, projection + steps * 2 * B * Q * 2 * A}, Expected{"mlp", 3, projection},
        Expected{"linear", 1, 2 * B * D * N}, Expected{"dot", steps, steps * 2 * B * Q * D * N}}) {
    SCOPED_TRACE(name);
    const std::size_t width = std::string(name) == "dot" ? D : 2;
    Module m(name, {width, D, A});
    const Var<double> keys = given(m.tape, {B, D, N}, draw(B * D * N, 25));
    std::vector<Var<double>> queries, once;
    for (std::size_t t = 0; t < steps; ++t)
      queries.push_back(given(m.tape, {B, Q, width}, draw(B * Q * width, 26 + t)));
    {
      const ProductMeter meter;
      const std::size_t before = m.tape.node_count();
      const Var<double> prepared = m.score->prepare(m.tape, keys);
      for (const Var<double>& q : queries) once.push_back((*m.score)(m.tape, q, prepared));
      EXPECT_EQ(m.tape.node_count() - before, nodes);
      EXPECT_EQ(meter.operations, static_cast<double>(operations));
    }
    for (std::size_t t = 0; t < steps; ++t) EXPECT_EQ(test::numbers(once[t]), test::numbers(m(queries[t], keys)));
  }
}

TEST(ScoreModule, EveryRegisteredOneSaysWhatItNeeds) {
  for (const auto& [name, plugin] : scores().entries()) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(plugin.summary.empty());
    Module m(name, {plugin.needs_equal_sizes ? 3u : 2u, 3, 0});
    const Var<double> query =
        plugin.needs_query ? m.tape.filled({B, Q, plugin.needs_equal_sizes ? 3u : 2u}, 0.5) : Var<double>{};
    const Var<double> e = m(query, m.tape.filled({B, 3, N}, 0.25));
    EXPECT_EQ(e.shape.text(), (Shape{B, plugin.needs_query ? Q : 1, N}).text());
  }
}

TEST(ScoreModule, AnUnknownNameListsWhatExists) {
  EXPECT_EQ(complaint([] { scores().find("cosin"); }),
            "[score] unknown score 'cosin', did you mean 'cosine'? There are: additive, bilinear, cosine, distance, "
            "dot, linear, mlp, scaled_dot");
}

}  // namespace
}  // namespace mneme
