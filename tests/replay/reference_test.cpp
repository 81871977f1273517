// Room: tests. replay/reference against numbers worked out by hand.
#include "replay/reference.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace mneme::replay {
namespace {

TEST(Reference, CosineOfOneSlotAlongAndOneAcross) {
  const Row k = cosine_similarity(Row{3, 4}, Row{3, 4, -4, 3, 0, 0}, 0);
  EXPECT_DOUBLE_EQ(k[0], 1);
  EXPECT_DOUBLE_EQ(k[1], 0);
  EXPECT_TRUE(std::isnan(k[2])) << "0/0 without eps";
  EXPECT_DOUBLE_EQ(cosine_similarity(Row{3, 4}, Row{0, 0}, 1e-6)[0], 0);
}

TEST(Reference, ContentWeightsAreASoftmax) {
  const Row w = softmax(Row{0, std::log(3.0)});
  EXPECT_NEAR(w[0], 0.25, 1e-15);
  EXPECT_NEAR(w[1], 0.75, 1e-15);
  EXPECT_NEAR(softmax(Row{1e4, 0})[0], 1, 1e-15);
}

TEST(Reference, ShiftMovesForwardByThePositiveOffsets) {
  EXPECT_EQ(shift(Row{1, 0, 0, 0}, Row{0, 0, 1}), (Row{0, 1, 0, 0}));
  EXPECT_EQ(shift(Row{1, 0, 0, 0}, Row{1, 0, 0}), (Row{0, 0, 0, 1}));
  EXPECT_EQ(shift(Row{1, 0, 0, 0}, Row{0, 1, 0}), (Row{1, 0, 0, 0}));
  EXPECT_EQ(shift(Row{1, 0}, Row{0, 0, 0, 0, 0, 0, 1}), (Row{0, 1})) << "three slots on, around a ring of two";
}

TEST(Reference, SharpenSquares) {
  const Row w = sharpen(Row{0.25, 0.75}, 2, 0);
  EXPECT_NEAR(w[0], 0.1, 1e-15);
  EXPECT_NEAR(w[1], 0.9, 1e-15);
}

TEST(Reference, EraseMultipliesAndAddSums) {
  const Row w{1, 0.5}, e{0.5, 0}, a{1, 2}, f{0.5, 1}, b{0, 1};
  Row contents{4, 4, 4, 4};
  const Write writes[] = {{w, e, a}, {w, f, b}};
  erase_add(writes, contents);
  EXPECT_EQ(contents, (Row{4 * 0.5 * 0.5 + 1, 0 + 3, 4 * 0.75 * 0.75 + 0.5, 4 * 0.5 + 1.5}));
}

TEST(Reference, NumbersOfARow) {
  EXPECT_EQ(read_value(Row{0.5, 0.5}, Row{1, 2, 3, 4}), (Row{2, 3}));
  EXPECT_EQ(entropy(Row{1, 0, 0}), 0);
  EXPECT_NEAR(entropy(Row{0.5, 0.5}), std::log(2.0), 1e-15);
  EXPECT_EQ(argmax(Row{0.2, 0.4, 0.4}), 1u);
  EXPECT_NEAR(expected_shift(Row{0.1, 0.2, 0.7}), 0.6, 1e-15);
}

}  // namespace
}  // namespace mneme::replay
