// The addressing of the NTM in one op: against the ops it joins, one head after the other, and what it refuses.
#include "attention/content_location.hpp"

#include "attention/combine.hpp"
#include "attention/location.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"
#include "autodiff/ops.hpp"
#include "tests/support/values.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::draw_weights;
using test::given;
using test::Numbers;

template <class T>
class ContentLocation : public testing::Test {
 protected:
  struct Sizes {
    std::size_t batch, width, n, shifts, heads;
  };
  /// Weights and reads, stages, and gradients of all inputs, by the joined op or by those it joins.
  struct Result {
    std::vector<Numbers> made, stages, gradients;
  };

  LocatedHead<T> head(const Sizes& s, std::size_t h) {
    const std::size_t at = 10 * h;
    return {given<T>(tape, {s.batch, s.width}, draw(s.batch * s.width, at + 1)),
            given<T>(tape, {s.batch, 1}, draw(s.batch, at + 2, 0.3, 4)),
            given<T>(tape, {s.batch, 1}, draw(s.batch, at + 3, 0.05, 0.95)),
            given<T>(tape, {s.batch, s.shifts}, draw_weights(s.batch, s.shifts, at + 4)),
            given<T>(tape, {s.batch, 1}, draw(s.batch, at + 5, 1, 4)),
            given<T>(tape, {s.batch, s.n}, draw_weights(s.batch, s.n, at + 6))};
  }

  void one_by_one(const LocatedHead<T>& h, const Var<T>& memory, Var<T>& weights, LocatedStages<T>& stages) {
    const Shape shape = h.previous.shape;
    const Var<T> e = cosine_score(tape, h.key.reshaped({shape[0], 1, h.key.shape[1]}), memory);
    const Var<T> content = softmax(tape, e, {}, h.beta).reshaped(shape);
    const Var<T> gated = interpolate(tape, content, h.previous, h.gate);
    const Var<T> shifted = shift(tape, gated, h.shift);
    stages = {e.reshaped(shape), content, gated, shifted};
    weights = sharpen(tape, shifted, h.gamma);
  }

  Result run(const Sizes& s, bool reads, bool joined) {
    tape.begin(true);
    const Var<T> memory = given<T>(tape, {s.batch, s.width, s.n}, draw(s.batch * s.width * s.n, 0));
    std::vector<LocatedHead<T>> heads;
    for (std::size_t h = 0; h < s.heads; ++h) heads.push_back(head(s, h));
    std::vector<Var<T>> made(s.heads), read(reads ? s.heads : 0);
    std::vector<LocatedStages<T>> stages(s.heads);
    if (joined)
      content_location<T>(tape, heads, memory, made, read, stages);
    else
      for (std::size_t h = 0; h < s.heads; ++h) {
        one_by_one(heads[h], memory, made[h], stages[h]);
        if (reads)
          read[h] = weighted_sum(tape, made[h].reshaped({s.batch, 1, s.n}), memory).reshaped({s.batch, s.width});
      }
    made.insert(made.end(), read.begin(), read.end());
    Result r;
    for (const Var<T>& v : made) r.made.push_back(test::numbers(v));
    for (const LocatedStages<T>& each : stages)
      for (const Var<T>& v : {each.similarity, each.content, each.gated, each.shifted})
        r.stages.push_back(test::numbers(v));
    test::backward_from(tape, concatenate<T>(tape, made));
    r.gradients.push_back(test::gradient(tape, memory));
    for (const LocatedHead<T>& h : heads)
      for (const Var<T>& v : {h.key, h.beta, h.gate, h.shift, h.gamma, h.previous})
        r.gradients.push_back(test::gradient(tape, v));
    return r;
  }

  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(ContentLocation, Scalars);

TYPED_TEST(ContentLocation, IsTheOpsItJoins) {
  const double tolerance = std::is_same_v<TypeParam, float> ? 1e-6 : 1e-12;
  for (const std::size_t n : {1, 3, 8, 13, 37})
    for (const std::size_t shifts : {1, 3, 5})
      for (const std::size_t heads : {1, 2, 3, 4, 7})
        for (const bool reads : {false, true}) {
          SCOPED_TRACE(fmt::format("N={} S={} {} heads{}", n, shifts, heads, reads ? ", read" : ""));
          const auto one = this->run({2, 5, n, shifts, heads}, reads, false),
                     all = this->run({2, 5, n, shifts, heads}, reads, true);
          for (std::size_t i = 0; i < one.made.size(); ++i) test::expect_near(all.made[i], one.made[i], tolerance);
          for (std::size_t i = 0; i < one.stages.size(); ++i)
            test::expect_near(all.stages[i], one.stages[i], tolerance);
          for (std::size_t i = 0; i < one.gradients.size(); ++i) {
            SCOPED_TRACE(fmt::format("gradient of input {}", i));
            test::expect_near(all.gradients[i], one.gradients[i], 10 * tolerance);
          }
        }
}

TYPED_TEST(ContentLocation, ShapesThatDoNotFitAreNamed) {
  using T = TypeParam;
  this->tape.begin(true);
  const auto said = [&](Shape memory, std::size_t shifts) {
    LocatedHead<T> h = this->head({2, 5, 8, shifts, 1}, 0);
    Var<T> w;
    return complaint([&] { content_location<T>(this->tape, {&h, 1}, this->tape.filled(memory, T(1)), {&w, 1}); });
  };
  EXPECT_EQ(said({2, 5, 8}, 2), "[content_location] the shift range 2 is not odd");
  EXPECT_EQ(said({2, 40}, 3), "[content_location] memory [2 40] is not [B M N]");
  EXPECT_EQ(said({2, 4, 8}, 3),
            "[content_location] key [2 5], beta [2 1], gate [2 1], shift [2 3], gamma [2 1], previous [2 8] for the "
            "memory [2 4 8]");
}

}  // namespace
}  // namespace mneme
