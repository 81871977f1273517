// Random streams: the generator's known answers, independence of streams, distributions.
#include "core/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace mneme {
namespace {

using Words = std::array<std::uint32_t, 4>;

/// Philox 4x32-10 (Salmon et al. 2011), in plain loops.
Words philox(Words c, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ULL * c[0], p1 = 0xCD9E8D57ULL * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

TEST(Random, PlainPhiloxGivesThePublishedAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffff, 0xffffffff),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, StreamIsPhiloxKeyedBySeedAndNameCountedByIndex) {
  const std::uint64_t seed = 0x1234567890abcdefULL, index = 0xfedcba0987654321ULL;
  std::uint64_t key = seed ^ 0xcbf29ce484222325ULL;
  for (char c : std::string("task")) key = (key ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  Random random(seed, "task", index);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const Words expected =
        philox({block, 0, static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)},
               static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
    for (std::uint32_t word : expected) EXPECT_EQ(random.bits(), word);
  }
}

// Every result that was ever published with a seed depends on these.
TEST(Random, StreamsNeverChange) {
  Random random(1, "task", 0);
  EXPECT_EQ(random.bits(), 2648258312u);
  EXPECT_EQ(random.integer(0, 999), 638);
  EXPECT_DOUBLE_EQ(random.uniform(), 0.15784313538855754);
  EXPECT_DOUBLE_EQ(random.normal(), 1.7020781100739859);
}

TEST(Random, HashIsFnv1a) {
  EXPECT_EQ(hash_bytes(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(hash_bytes("a"), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(hash_bytes("foobar"), 0x85944171f73967e8ULL);
}

TEST(Random, SameTripleSameDrawsWhateverElseIsDrawn) {
  Random a(7, "task", 3), b(7, "task", 3), other(7, "noise", 3);
  for (int i = 0; i < 50; ++i) {
    other.normal();
    EXPECT_EQ(a.bits(), b.bits());
  }
  Random copy = a;
  EXPECT_EQ(copy.uniform(), a.uniform());
}

double correlation(Random a, Random b, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += (a.uniform() - 0.5) * (b.uniform() - 0.5);
  return 12 * sum / n;
}

TEST(Random, NeighbouringStreamsAreUncorrelated) {
  const int n = 20000;
  const double limit = 4.5 / std::sqrt(n);
  for (std::uint64_t seed : {0u, 1u, 2u}) {
    EXPECT_LT(std::abs(correlation({seed, "task", 0}, {seed + 1, "task", 0}, n)), limit);
    EXPECT_LT(std::abs(correlation({seed, "task", 0}, {seed, "task", 1}, n)), limit);
    EXPECT_LT(std::abs(correlation({seed, "task", 5}, {seed, "eval", 5}, n)), limit);
    EXPECT_LT(std::abs(correlation({seed, "a", 1}, {seed, "b", 1}, n)), limit);
  }
}

TEST(Random, FirstDrawsOfSuccessiveIndicesAreUniform) {
  const int n = 20000;
  double sum = 0, product = 0, last = 0.5;
  for (int i = 0; i < n; ++i) {
    const double u = Random(1, "task", static_cast<std::uint64_t>(i)).uniform();
    sum += u;
    product += (u - 0.5) * (last - 0.5);
    last = u;
  }
  EXPECT_NEAR(sum / n, 0.5, 4.5 / std::sqrt(12.0 * n));
  EXPECT_NEAR(12 * product / n, 0, 4.5 / std::sqrt(n));
}

TEST(Random, UniformMomentsAndRange) {
  Random random(3, "test");
  const int n = 100000;
  double sum = 0, square = 0;
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    square += u * u;
  }
  EXPECT_NEAR(sum / n, 1.0 / 2, 0.005);
  EXPECT_NEAR(square / n, 1.0 / 3, 0.005);
  for (int i = 0; i < 1000; ++i) {
    const double u = random.uniform(-3, -1);
    ASSERT_GE(u, -3.0);
    ASSERT_LT(u, -1.0);
  }
}

TEST(Random, NormalMoments) {
  Random random(3, "test");
  const int n = 200000;
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (int i = 0; i < n; ++i) {
    const double z = random.normal();
    ASSERT_TRUE(std::isfinite(z));
    m1 += z / n;
    m2 += z * z / n;
    m3 += z * z * z / n;
    m4 += z * z * z * z / n;
  }
  EXPECT_NEAR(m1, 0, 0.01);
  EXPECT_NEAR(m2, 1, 0.02);
  EXPECT_NEAR(m3, 0, 0.05);
  EXPECT_NEAR(m4, 3, 0.15);
}

TEST(Random, IntegersAreUniformAndIncludeBothEnds) {
  Random random(5, "test");
  const int n = 70000;
  std::array<int, 7> count{};
  for (int i = 0; i < n; ++i) {
    const std::int64_t v = random.integer(-3, 3);
    ASSERT_GE(v, -3);
    ASSERT_LE(v, 3);
    ++count[static_cast<std::size_t>(v + 3)];
  }
  double chi2 = 0;
  for (int c : count) chi2 += (c - n / 7.0) * (c - n / 7.0) / (n / 7.0);
  EXPECT_LT(chi2, 22.46);  // 6 degrees of freedom, p = 0.001
  for (int i = 0; i < 10; ++i) EXPECT_EQ(random.integer(42, 42), 42);
}

// value % span alone would give the lowest third of a span of 3 * 2^62 half of all draws.
TEST(Random, IntegersHaveNoModuloBias) {
  Random random(5, "test");
  const std::int64_t third = std::int64_t{1} << 62, low = std::numeric_limits<std::int64_t>::min();
  const int n = 9000;
  std::array<int, 3> count{};
  for (int i = 0; i < n; ++i) {
    const std::int64_t v = random.integer(low, low + third - 1 + third + third);
    ++count[v < low + third ? 0 : v < low + third + third ? 1 : 2];
  }
  for (int c : count) EXPECT_NEAR(c, n / 3.0, 4.5 * std::sqrt(n * 2.0 / 9));
}

TEST(Random, IntegersOverTheWholeRange) {
  Random random(5, "test");
  int negative = 0;
  for (int i = 0; i < 1000; ++i)
    negative += random.integer(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()) < 0;
  EXPECT_NEAR(negative, 500, 75);
}

}  // namespace
}  // namespace mneme
