// Greedy and beam search over a tree of choices that is small enough to be walked whole.
#include "models/decode/decode.hpp"

#include "core/prediction.hpp"
#include "tests/support/values.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

constexpr std::size_t kChoices = 4, kEnd = 3;
using Made = std::vector<std::int32_t>;

/// Logits that depend on the row and on every choice made so far.
double logit(std::size_t row, const Made& made, std::size_t k) {
  std::uint64_t h = 1469598103934665603ULL + 31 * row + 7 * k;
  for (const std::int32_t c : made) h = (h ^ static_cast<std::uint64_t>(c + 2)) * 1099511628211ULL;
  h = (h ^ (k + 11)) * 1099511628211ULL;
  return static_cast<double>((h >> 20) % 1000) / 250 - 2;
}

class Tree final : public Decoder<double> {
 public:
  Tree(Tape<double>& tape, std::size_t rows) : tape_(tape), lines_(rows) {
    for (std::size_t r = 0; r < rows; ++r) lines_[r].row = r;
  }
  Var<double> next(std::span<const std::int32_t> last) override {
    EXPECT_EQ(last.size(), lines_.size());
    const Var<double> y = tape_.constant({lines_.size(), kChoices});
    for (std::size_t r = 0; r < lines_.size(); ++r) {
      if (last[r] >= 0) lines_[r].made.push_back(last[r]);
      for (std::size_t k = 0; k < kChoices; ++k) y.data[r * kChoices + k] = logit(lines_[r].row, lines_[r].made, k);
    }
    return y;
  }
  void keep(std::span<const std::size_t> from) override {
    std::vector<Line> lines;
    for (const std::size_t r : from) lines.push_back(lines_.at(r));
    lines_ = std::move(lines);
  }

 private:
  struct Line {
    std::size_t row = 0;
    Made made = {};
  };
  Tape<double>& tape_;
  std::vector<Line> lines_;
};

/// No choice twice; after kEnd nothing; row 1 may not begin with choice 0 and may not end before its second choice.
void rule(const Batch&, std::size_t row, std::span<const std::int32_t> made, std::span<std::uint8_t> allowed) {
  if (!made.empty() && made.back() == static_cast<std::int32_t>(kEnd)) return;
  for (std::size_t k = 0; k < kChoices; ++k)
    allowed[k] = std::find(made.begin(), made.end(), static_cast<std::int32_t>(k)) == made.end();
  if (row == 1 && made.empty()) allowed[0] = allowed[kEnd] = 0;
}

/// A plain loop over K numbers.
double plain_log_probability(std::size_t row, const Made& made, std::size_t k) {
  double total = 0;
  for (std::size_t i = 0; i < kChoices; ++i) total += std::exp(logit(row, made, i));
  return logit(row, made, k) - std::log(total);
}

struct Best {
  Made made;
  double score = -1e300;
};
void walk(const Batch& batch, std::size_t row, const Validity& validity, std::size_t most, const Made& made,
          double score, Best& best) {
  std::vector<std::uint8_t> allowed(kChoices, validity ? 0 : 1);
  if (validity) validity(batch, row, made, allowed);
  const bool complete = std::find(allowed.begin(), allowed.end(), 1) == allowed.end() || made.size() == most;
  if (complete && score > best.score) best = {made, score};
  for (std::size_t k = 0; k < kChoices && !complete; ++k) {
    if (!allowed[k]) continue;
    Made longer = made;
    longer.push_back(static_cast<std::int32_t>(k));
    walk(batch, row, validity, most, longer, score + plain_log_probability(row, made, k), best);
  }
}

Batch rows_of(std::size_t rows) {
  Batch batch;
  batch.reset({.channels = 1, .target = TargetKind::classes, .outputs = kChoices}, rows, 1);
  return batch;
}

Made answer(const Prediction& p, std::size_t row) {
  Made made;
  for (std::size_t t = 0; t < p.lengths[row]; ++t) made.push_back(p.indices(t, row));
  for (std::size_t t = p.lengths[row]; t < p.indices.shape()[0]; ++t) EXPECT_EQ(p.indices(t, row), -1);
  return made;
}

class Decode : public testing::Test {
 protected:
  void search(const Search& s, std::size_t rows, std::size_t most, Prediction& out, bool by_beam = true) {
    tape_.begin(false);
    const Batch batch = rows_of(rows);
    Tree tree(tape_, rows);
    if (by_beam)
      beam(tree, batch, s, most, out);
    else
      greedy(tree, batch, s.validity, most, out);
  }
  Tape<double> tape_;
};

TEST_F(Decode, ABeamAsWideAsTheTreeFindsTheBest) {
  constexpr std::size_t rows = 12;
  const Batch batch = rows_of(rows);
  for (const Validity& validity : {Validity(rule), Validity()})
    for (const std::size_t most : {1u, 2u, 4u}) {
      Prediction p;
      search({.beam = 256, .validity = validity}, rows, most, p);
      for (std::size_t b = 0; b < rows; ++b) {
        Best best;
        walk(batch, b, validity, most, {}, 0, best);
        EXPECT_EQ(answer(p, b), best.made) << "row " << b << ", at most " << most;
        EXPECT_NEAR(p.score[b], best.score, 1e-12);
      }
    }
}

TEST_F(Decode, ABeamOfOneIsGreedy) {
  for (const Validity& validity : {Validity(rule), Validity()}) {
    Prediction one, first;
    search({.beam = 1, .validity = validity}, 40, 4, one);
    search({.validity = validity}, 40, 4, first, false);
    EXPECT_EQ(one.indices, first.indices);
    EXPECT_EQ(one.lengths, first.lengths);
    EXPECT_EQ(one.score, first.score);
    EXPECT_EQ(one.values, first.values);
  }
}

TEST_F(Decode, ScoresAndValuesAreOfThePathTaken) {
  for (const std::size_t width : {1u, 2u, 3u}) {
    Prediction p;
    search({.beam = width, .validity = rule}, 40, 4, p);
    std::size_t longest = 0, shortest = 9;
    for (std::size_t b = 0; b < 40; ++b) {
      const Made made = answer(p, b);
      longest = std::max(longest, made.size());
      shortest = std::min(shortest, made.size());
      double score = 0;
      Made before;
      for (std::size_t t = 0; t < made.size(); ++t) {
        std::vector<std::uint8_t> allowed(kChoices);
        rule({}, b, before, allowed);
        EXPECT_TRUE(allowed[static_cast<std::size_t>(made[t])]) << "row " << b;
        score += plain_log_probability(b, before, static_cast<std::size_t>(made[t]));
        for (std::size_t k = 0; k < kChoices; ++k)
          EXPECT_NEAR(p.values(t, b, k), std::exp(plain_log_probability(b, before, k)), 1e-6);
        before.push_back(made[t]);
      }
      EXPECT_NEAR(p.score[b], score, 1e-12) << "of the model's own distribution, not of what is allowed";
      for (std::size_t t = made.size(); t < 4; ++t) EXPECT_EQ(p.values(t, b, 0), 0);
    }
    EXPECT_GE(longest, 3u);
    EXPECT_LT(shortest, longest) << "rows end at different steps";
  }
}

TEST_F(Decode, ARuleThatAllowsNothingGivesNoAnswer) {
  const Validity never = [](const Batch&, std::size_t, std::span<const std::int32_t>, std::span<std::uint8_t>) {};
  for (const bool by_beam : {true, false}) {
    Prediction p;
    search({.beam = 2, .validity = never}, 3, 4, p, by_beam);
    EXPECT_EQ(p.lengths, (std::vector<std::uint32_t>{0, 0, 0}));
    EXPECT_EQ(p.score, (std::vector<double>{0, 0, 0}));
  }
}

// NaN is no least likely choice: it would be dropped, or chosen, unseen.
TEST_F(Decode, WhatIsNotFiniteIsNoAnswer) {
  class Broken final : public Decoder<double> {
   public:
    explicit Broken(Tape<double>& tape) : tape_(tape) {}
    Var<double> next(std::span<const std::int32_t> last) override {
      const Var<double> y = tape_.filled({last.size(), kChoices}, 0);
      if (++calls_ == 2) y.data[kChoices + 2] = std::numeric_limits<double>::quiet_NaN();
      return y;
    }
    void keep(std::span<const std::size_t>) override {}

   private:
    Tape<double>& tape_;
    int calls_ = 0;
  };
  for (const std::size_t width : {1u, 2u}) {
    tape_.begin(false);
    Broken broken(tape_);
    Prediction p;
    const std::string why =
        test::complaint<NonFiniteError>([&] { decode<double>(broken, rows_of(2), {.beam = width}, 4, p); });
    EXPECT_NE(why.find("are not finite at step 1, as answers feed back"), std::string::npos) << why;
  }
  Tree tree(tape_, 2);
  Prediction p;
  EXPECT_EQ(test::complaint<InvariantError>([&] { decode<double>(tree, rows_of(2), {}, 0, p); }),
            "[decode] answers that feed back need a most: the task does not say how many steps one has");
}

TEST(TakeRows, InAnyOrderAndNumber) {
  Tape<float> tape;
  tape.begin(false);
  const Var<float> x = tape.constant({2, 3});
  for (std::size_t i = 0; i < 6; ++i) x.data[i] = static_cast<float>(i);
  const std::size_t from[] = {1, 1, 0};
  const Var<float> y = take_rows<float>(tape, x, from);
  EXPECT_EQ(std::vector<float>(y.data, y.data + y.size()), (std::vector<float>{3, 4, 5, 3, 4, 5, 0, 1, 2}));
}

}  // namespace
}  // namespace mneme
