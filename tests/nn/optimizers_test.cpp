// Each optimizer against its formula in plain loops, groups, clipping, schedules.
#include "nn/optimizers.hpp"

#include "core/random.hpp"
#include "nn/schedules.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace mneme {
namespace {

using Numbers = std::vector<double>;
using Given = std::map<std::string, std::string>;

template <class T>
std::unique_ptr<Optimizer<T>> make(const std::string& name, const Given& given, std::size_t n) {
  const OptimizerPlugin& plugin = optimizers().find(name);
  const Options o = plugin.options.parse("optimizer", given);
  if constexpr (std::is_same_v<T, float>)
    return plugin.make_float(o, n);
  else
    return plugin.make_double(o, n);
}

/// One number's optimizer in plain double arithmetic: (w, g, rate, count) -> new w; keeps its own state.
using Rule = std::function<double(std::size_t i, double w, double g, double rate, int count)>;

/// Runs 12 steps on parameters whose sizes stand around the padding, by the optimizer and by the rule.
template <class T>
void compare(const std::string& name, const Given& options, const Rule& rule, double tolerance) {
  ParameterSet<T> set;
  for (std::size_t n : {1, 15, 16, 17, 40}) set.add("p" + std::to_string(n), {n}, Initializer::normal(1));
  set.initialize(1);
  const std::size_t n = set.flat_size();
  auto optimizer = make<T>(name, options, n);
  std::vector<double> expected(set.flat(), set.flat() + n);
  std::vector<T> gradient(n, T(0));
  Random random(1, "test");
  for (int count = 1; count <= 12; ++count) {
    const double rate = 0.01 * count;
    for (const Parameter& p : set.parameters())
      for (std::size_t i = p.offset; i < p.offset + p.shape.size(); ++i)
        gradient[i] = static_cast<T>(static_cast<float>(random.normal()));
    optimizer->update(set, gradient.data(), rate, static_cast<std::uint64_t>(count));
    for (const Parameter& p : set.parameters())
      for (std::size_t i = p.offset; i < p.offset + p.shape.size(); ++i) {
        expected[i] = rule(i, expected[i], gradient[i], rate, count);
        ASSERT_NEAR(set.flat()[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i])))
            << name << " step " << count << " element " << i;
      }
  }
  std::size_t used = 0;
  for (const Parameter& p : set.parameters()) {
    for (std::size_t i = p.offset + p.shape.size(); i % 16; ++i) EXPECT_EQ(set.flat()[i], 0) << "padding";
    used += p.shape.size();
  }
  EXPECT_EQ(used, set.count());
}

void compare_both(const std::string& name, const Given& options, const std::function<Rule()>& rule) {
  compare<double>(name, options, rule(), 1e-13);
  compare<float>(name, options, rule(), 2e-5);
}

TEST(Optimizers, Names) {
  EXPECT_EQ(optimizers().names(), (std::vector<std::string>{"adam", "rmsprop", "rmsprop_graves", "sgd"}));
  try {
    optimizers().find("adamm");
    FAIL();
  } catch (const ArgumentError& e) {
    EXPECT_STREQ(e.what(),
                 "[optimizer] unknown optimizer 'adamm', did you mean 'adam'? There are: adam, rmsprop, "
                 "rmsprop_graves, sgd");
  }
}

TEST(Optimizers, SgdWithMomentum) {
  for (const char* mu : {"0", "0.9"})
    compare_both("sgd", {{"momentum", mu}}, [&] {
      return [v = Numbers(200), m = std::stod(mu)](std::size_t i, double w, double g, double rate, int) mutable {
        v[i] = m * v[i] - rate * g;
        return w + v[i];
      };
    });
}

// n = d n + (1-d) g^2;  gbar = d gbar + (1-d) g;  delta = mu delta - rate g / sqrt(n - gbar^2 + eps)
TEST(Optimizers, RmsPropOfGraves) {
  struct Setting {
    double d, mu, eps;
  };
  for (const Setting s : {Setting{0.95, 0.9, 1e-4}, Setting{0.5, 0, 1e-2}}) {
    const Given options = s.mu == 0 ? Given{{"decay", "0.5"}, {"momentum", "0"}, {"epsilon", "0.01"}} : Given{};
    compare_both("rmsprop_graves", options, [&] {
      return [=, n = Numbers(200), gbar = Numbers(200), delta = Numbers(200)](std::size_t i, double w, double g,
                                                                              double rate, int) mutable {
        n[i] = s.d * n[i] + (1 - s.d) * g * g;
        gbar[i] = s.d * gbar[i] + (1 - s.d) * g;
        delta[i] = s.mu * delta[i] - rate * g / std::sqrt(n[i] - gbar[i] * gbar[i] + s.eps);
        return w + delta[i];
      };
    });
  }
}

TEST(Optimizers, RmsPropOfGravesStaysFiniteOnAConstantGradient) {
  ParameterSet<float> set;
  set.add("w", {4}, Initializer::constant(1));
  set.initialize(1);
  auto optimizer = make<float>("rmsprop_graves", {}, set.flat_size());
  const std::vector<float> g(set.flat_size(), 1000.0f);  // n - m^2 is a difference of equal large numbers
  for (int i = 1; i <= 2000; ++i) optimizer->update(set, g.data(), 1e-4, static_cast<std::uint64_t>(i));
  EXPECT_TRUE(std::isfinite(set.flat()[0]));
}

TEST(Optimizers, RmsProp) {
  compare_both("rmsprop", {{"epsilon", "1e-3"}}, [] {
    return [n = Numbers(200), v = Numbers(200)](std::size_t i, double w, double g, double rate, int) mutable {
      n[i] = 0.95 * n[i] + 0.05 * g * g;
      v[i] = 0.9 * v[i] + g / (std::sqrt(n[i]) + 1e-3);
      return w - rate * v[i];
    };
  });
}

TEST(Optimizers, Adam) {
  compare_both("adam", {}, [] {
    return [m = Numbers(200), v = Numbers(200)](std::size_t i, double w, double g, double rate, int count) mutable {
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      const double m_hat = m[i] / (1 - std::pow(0.9, count)), v_hat = v[i] / (1 - std::pow(0.999, count));
      return w - rate * m_hat / (std::sqrt(v_hat) + 1e-8);
    };
  });
}

TEST(Optimizers, StateIsNamedAndStartsAtZero) {
  const std::map<std::string, std::vector<std::string>> names{{"sgd", {"momentum"}},
                                                              {"rmsprop_graves", {"square", "mean", "momentum"}},
                                                              {"rmsprop", {"square", "momentum"}},
                                                              {"adam", {"mean", "square"}}};
  for (const auto& [name, expected] : names) {
    auto optimizer = make<float>(name, {}, 32);
    std::vector<std::string> found;
    for (auto& s : optimizer->state()) {
      found.push_back(s.name);
      EXPECT_EQ(s.values.size(), 32u);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(s.values.data()) % 64, 0u);
      for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(s.values[i], 0);
    }
    EXPECT_EQ(found, expected) << name;
  }
}

// What a checkpoint keeps of an optimizer is enough to go on.
TEST(Optimizers, StateCopiedIntoANewOneGoesOnTheSame) {
  for (const std::string& name : optimizers().names()) {
    ParameterSet<float> set;
    set.add("w", {5}, Initializer::normal(1));
    set.initialize(1);
    std::vector<float> g(set.flat_size(), 0.3f);
    auto first = make<float>(name, {}, set.flat_size());
    for (std::uint64_t i = 1; i <= 3; ++i) first->update(set, g.data(), 0.01, i);
    auto second = make<float>(name, {}, set.flat_size());
    for (std::size_t s = 0; s < first->state().size(); ++s)
      std::copy_n(first->state()[s].values.data(), set.flat_size(), second->state()[s].values.data());
    const std::vector<float> before(set.flat(), set.flat() + 5);
    first->update(set, g.data(), 0.01, 4);
    const std::vector<float> after(set.flat(), set.flat() + 5);
    std::copy(before.begin(), before.end(), set.flat());
    second->update(set, g.data(), 0.01, 4);
    EXPECT_EQ(std::vector<float>(set.flat(), set.flat() + 5), after) << name;
  }
}

TEST(Optimizers, GroupsDecayScaleAndFreeze) {
  ParameterSet<double> set;
  set.add("plain", {2}, Initializer::constant(1));
  set.add("decayed", {2}, Initializer::constant(2), {.name = "decayed", .weight_decay = 0.1});
  set.add("slow", {2}, Initializer::constant(3), {.name = "slow", .learning_rate_scale = 0.25});
  set.add("frozen", {2}, Initializer::constant(4), {.name = "frozen", .frozen = true});
  set.initialize(1);
  const std::vector<double> g(set.flat_size(), 0.5);
  make<double>("sgd", {}, set.flat_size())->update(set, g.data(), 0.2, 1);
  EXPECT_DOUBLE_EQ(set.value(0)[1], 1 - 0.2 * 0.5);
  EXPECT_DOUBLE_EQ(set.value(1)[1], 2 - 0.2 * (0.5 + 0.1 * 2));
  EXPECT_DOUBLE_EQ(set.value(2)[1], 3 - 0.05 * 0.5);
  EXPECT_EQ(set.value(3)[1], 4);
}

TEST(Optimizers, DecayEntersEveryOptimizerAsGradient) {
  for (const std::string& name : optimizers().names()) {
    ParameterSet<double> decayed, plain;
    decayed.add("w", {3}, Initializer::normal(1), {.weight_decay = 0.3});
    plain.add("w", {3}, Initializer::normal(1));
    decayed.initialize(1);
    plain.initialize(1);
    auto a = make<double>(name, {}, 16), b = make<double>(name, {}, 16);
    const std::vector<double> g(16, 0.2);
    for (std::uint64_t step = 1; step <= 4; ++step) {
      std::vector<double> with(g);
      for (std::size_t i = 0; i < 3; ++i) with[i] += 0.3 * plain.flat()[i];
      a->update(decayed, g.data(), 0.01, step);
      b->update(plain, with.data(), 0.01, step);
      for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(decayed.flat()[i], plain.flat()[i], 1e-14) << name;
    }
  }
}

TEST(Optimizers, OptionErrors) {
  const auto complaint = [](const char* name, const Given& given) -> std::string {
    try {
      make<float>(name, given, 16);
    } catch (const ArgumentError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(complaint("sgd", {{"momentum", "1.5"}}), "[optimizer.momentum] '1.5' is out of range; it takes 0..1");
  EXPECT_EQ(complaint("adam", {{"momentum", "0.9"}}),
            "[optimizer.momentum] unknown key 'momentum'. There are: beta1, beta2, epsilon");
  EXPECT_EQ(complaint("rmsprop_graves", {{"epsilon", "0"}}),
            "[optimizer.epsilon] '0' is out of range; it takes 1e-30..1");
}

// n - m^2 of squares that overflow is inf - inf, or inf: a parameter that never moves again.
TEST(Optimizers, AGradientTooLargeToBeSquaredIsNotFinite) {
  ParameterSet<float> set;
  set.add("w", {3}, Initializer::constant(1));
  set.initialize(1);
  std::vector<float> g(set.flat_size(), 0.0f);
  g[1] = 1e25f;
  EXPECT_TRUE(std::isinf(clip_gradient(set, g.data(), {})));
  EXPECT_EQ(g[1], 1e25f);
  EXPECT_TRUE(std::isinf(clip_gradient(set, g.data(), {.global_norm = 1e20})));
  g[1] = 1e25f;
  EXPECT_TRUE(std::isfinite(clip_gradient(set, g.data(), {.element = 1e9}))) << "what clipping leaves counts";
  g[1] = 1e25f;
  EXPECT_TRUE(std::isfinite(clip_gradient(set, g.data(), {.global_norm = 1})));
  double usual = 1;
  g[1] = 1e25f;
  EXPECT_TRUE(std::isfinite(clip_gradient(set, g.data(), {.usual_norm = 2}, &usual)));
  // What passed must move every optimizer, and stay finite.
  for (const std::string& name : optimizers().names()) {
    ParameterSet<float> moved;
    moved.add("w", {3}, Initializer::constant(1));
    moved.initialize(1);
    g.assign(moved.flat_size(), 0.0f);
    g[1] = 1e18f;
    ASSERT_TRUE(std::isfinite(clip_gradient(moved, g.data(), {})));
    auto optimizer = make<float>(name, {}, moved.flat_size());
    optimizer->update(moved, g.data(), 1e-3, 1);
    EXPECT_NE(moved.flat()[1], 1.0f) << name;
    for (const auto& state : optimizer->state())
      for (std::size_t i = 0; i < state.values.size(); ++i)
        EXPECT_TRUE(std::isfinite(state.values.data()[i])) << name << " " << state.name;
  }
}

TEST(Optimizers, AnUpdateIsForTheSetItWasMadeFor) {
  ParameterSet<float> set;
  set.add("w", {20}, Initializer::constant(1));
  set.initialize(1);
  const std::vector<float> g(set.flat_size(), 1.0f);
  for (const std::string& name : optimizers().names()) {
    auto small = make<float>(name, {}, 16);
    EXPECT_THROW(small->update(set, g.data(), 0.1, 1), InvariantError) << name;
    auto right = make<float>(name, {}, set.flat_size());
    EXPECT_THROW(right->update(set, g.data(), 0.1, 0), InvariantError) << name << ": updates are counted from 1";
    EXPECT_THROW(right->update(set, g.data(), std::numeric_limits<double>::quiet_NaN(), 1), InvariantError) << name;
    EXPECT_EQ(set.flat()[3], 1.0f) << name;
  }
}

template <class T>
class Clipping : public testing::Test {
 protected:
  Clipping() {
    set.add("a", {2}, Initializer::constant(0));
    set.add("b", {2}, Initializer::constant(0), {.name = "limited", .clip_norm = 5});
    set.add("c", {2}, Initializer::constant(0), {.name = "limited", .clip_norm = 5});
    set.add("d", {2}, Initializer::constant(0), {.name = "frozen", .frozen = true});
    set.initialize(1);
    g.assign(set.flat_size(), T(0));
    put(0, 3, 4);
    put(1, 6, -8);
    put(2, 0, 2);
    put(3, 1000, 1000);
  }
  void put(std::size_t p, double x, double y) {
    g[set.parameters()[p].offset] = static_cast<T>(x);
    g[set.parameters()[p].offset + 1] = static_cast<T>(y);
  }
  void expect(std::size_t p, double x, double y) {
    EXPECT_NEAR(g[set.parameters()[p].offset], x, 1e-6 * std::max(1.0, std::abs(x))) << p;
    EXPECT_NEAR(g[set.parameters()[p].offset + 1], y, 1e-6 * std::max(1.0, std::abs(y))) << p;
  }
  ParameterSet<T> set;
  std::vector<T> g;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Clipping, Scalars);

TYPED_TEST(Clipping, GroupsLimitEachParameterAlone) {
  EXPECT_NEAR(clip_gradient(this->set, this->g.data(), {}), std::sqrt(25 + 100 + 4.0), 1e-5)
      << "the norm before clipping, without what is frozen";
  this->expect(0, 3, 4);
  this->expect(1, 3, -4);
  this->expect(2, 0, 2);
  this->expect(3, 0, 0);
}

TYPED_TEST(Clipping, GlobalNorm) {
  clip_gradient(this->set, this->g.data(), {.global_norm = 1});
  const double norm = std::sqrt(25 + 25 + 4.0);  // after the groups' own limits
  this->expect(0, 3 / norm, 4 / norm);
  this->expect(1, 3 / norm, -4 / norm);
  this->expect(2, 0, 2 / norm);
}

TYPED_TEST(Clipping, GlobalNormLeavesSmallGradientsAlone) {
  clip_gradient(this->set, this->g.data(), {.global_norm = 1000});
  this->expect(0, 3, 4);
}

TYPED_TEST(Clipping, UsualNorm) {
  const double norm = std::sqrt(25 + 25 + 4.0);  // after the groups' own limits
  double usual = 0;
  clip_gradient(this->set, this->g.data(), {.usual_norm = 2}, &usual);
  EXPECT_NEAR(usual, norm, 1e-5) << "the first gradient is what is usual";
  this->expect(0, 3, 4);
  this->put(0, 300, 400);
  clip_gradient(this->set, this->g.data(), {.usual_norm = 2}, &usual);
  const double much = std::sqrt(250000 + 25 + 4.0);
  this->expect(0, 300 * 2 * norm / much, 400 * 2 * norm / much);
  EXPECT_NEAR(usual, norm * (1 + usual_norm_rate), 1e-5) << "what was cut off does not count";
  EXPECT_THROW(clip_gradient(this->set, this->g.data(), {.usual_norm = 2}), InvariantError);
}

TYPED_TEST(Clipping, Elements) {
  clip_gradient(this->set, this->g.data(), {.element = 3.5});
  this->expect(0, 3, 3.5);
  this->expect(1, 3, -3.5);
  this->expect(2, 0, 2);
}

TYPED_TEST(Clipping, WhatIsNotFiniteIsReportedAndLeft) {
  const double inf = std::numeric_limits<double>::infinity();
  this->put(0, inf, 100);
  EXPECT_EQ(clip_gradient(this->set, this->g.data(), {.element = 1}), inf);
  this->expect(1, 6, -8);
  this->put(0, std::numeric_limits<double>::quiet_NaN(), 100);
  EXPECT_TRUE(std::isnan(clip_gradient(this->set, this->g.data(), {.element = 1})));
  this->put(0, 3, 4);
  this->put(3, inf, inf);
  EXPECT_TRUE(std::isfinite(clip_gradient(this->set, this->g.data(), {.element = 1}))) << "frozen: does not matter";
}

TYPED_TEST(Clipping, GradientsWhoseSquareOverflowsAreStillFinite) {
  this->put(0, 1e30, 0);
  EXPECT_NEAR(clip_gradient(this->set, this->g.data(), {.element = 10}) / 1e30, 1, 1e-6);
  this->expect(0, 10, 0);
  this->put(0, 3e30, 4e30);
  clip_gradient(this->set, this->g.data(), {.global_norm = 10});
  this->expect(0, 6, 8);
}

TEST(Schedule, Constant) {
  const Schedule s{.total = 100};
  for (double at : {0.0, 50.0, 100.0, 1e9}) EXPECT_EQ(s.at(at), 1);
}

TEST(Schedule, WarmupHoldsAFactorOrRises) {
  const Schedule rises{.kind = Schedule::Kind::step, .total = 100, .warmup = 20, .every = 40};
  const Schedule holds{.kind = Schedule::Kind::step, .total = 100, .warmup = 20, .hold = 0.25, .every = 40};
  EXPECT_EQ(rises.at(5), 0.25);
  EXPECT_EQ(holds.at(0), 0.25);
  EXPECT_EQ(holds.at(19), 0.25);
  for (const double x : {20.0, 59.0, 60.0, 99.0}) EXPECT_EQ(holds.at(x), rises.at(x));
  EXPECT_EQ(holds.at(60), 0.5);
}

TEST(Schedule, LinearAndCosineReachTheFloor) {
  const Schedule linear{.kind = Schedule::Kind::linear, .total = 100, .floor = 0.2};
  EXPECT_DOUBLE_EQ(linear.at(0), 1);
  EXPECT_DOUBLE_EQ(linear.at(50), 0.6);
  EXPECT_DOUBLE_EQ(linear.at(100), 0.2);
  EXPECT_DOUBLE_EQ(linear.at(500), 0.2);
  const Schedule cosine{.kind = Schedule::Kind::cosine, .total = 100, .floor = 0.2};
  EXPECT_DOUBLE_EQ(cosine.at(0), 1);
  EXPECT_DOUBLE_EQ(cosine.at(50), 0.6);
  EXPECT_DOUBLE_EQ(cosine.at(25), 0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2);
  EXPECT_DOUBLE_EQ(cosine.at(100), 0.2);
  EXPECT_DOUBLE_EQ(cosine.at(500), 0.2);
}

TEST(Schedule, Step) {
  const Schedule s{.kind = Schedule::Kind::step, .total = 1000, .factor = 0.5, .every = 100};
  EXPECT_DOUBLE_EQ(s.at(0), 1);
  EXPECT_DOUBLE_EQ(s.at(99), 1);
  EXPECT_DOUBLE_EQ(s.at(100), 0.5);
  EXPECT_DOUBLE_EQ(s.at(350), 0.125);
}

TEST(Schedule, WarmupRisesFirstAndDelaysTheRest) {
  for (const auto kind :
       {Schedule::Kind::constant, Schedule::Kind::linear, Schedule::Kind::cosine, Schedule::Kind::step}) {
    const Schedule s{.kind = kind, .total = 110, .warmup = 10, .floor = 0, .factor = 0.5, .every = 50};
    EXPECT_DOUBLE_EQ(s.at(0), 0);
    EXPECT_DOUBLE_EQ(s.at(5), 0.5);
    EXPECT_DOUBLE_EQ(s.at(10), 1);
    EXPECT_DOUBLE_EQ(s.at(60), kind == Schedule::Kind::constant ? 1 : 0.5);
  }
}

TEST(Schedule, ARunShorterThanItsWarmup) {
  const Schedule s{.kind = Schedule::Kind::linear, .total = 5, .warmup = 10, .floor = 0.3};
  EXPECT_DOUBLE_EQ(s.at(4), 0.4);
  EXPECT_DOUBLE_EQ(s.at(12), 0.3);
}

// A training run leaves clipping to the optimizer's own pass: the same step as from a gradient clipped before.
TEST(Optimizers, LimitsLeftToTheOptimizerAreClipping) {
  const Clip clips[] = {{},
                        {.element = 0.5},
                        {.global_norm = 2},
                        {.element = 0.3, .global_norm = 2},
                        {.element = 0.3, .usual_norm = 0.5}};
  for (const std::string& name : optimizers().names())
    for (const Clip& clip : clips) {
      SCOPED_TRACE(
          fmt::format("{}, element {}, norm {}, usual {}", name, clip.element, clip.global_norm, clip.usual_norm));
      std::vector<float> values[2];
      for (const bool left : {false, true}) {
        ParameterSet<float> set;
        set.add("w", {21}, Initializer::constant(1));
        set.initialize(1);
        auto optimizer = make<float>(name, {}, set.flat_size());
        double usual = 3;
        for (std::uint64_t count = 1; count <= 3; ++count) {
          std::vector<float> g(set.flat_size(), 0.0f);
          for (std::size_t i = 0; i < 21; ++i) g[i] = std::sin(static_cast<float>(i * count));
          Limits limits;
          EXPECT_TRUE(std::isfinite(clip_gradient(set, g.data(), clip, &usual, left ? &limits : nullptr)));
          optimizer->update(set, g.data(), 0.1, count, limits);
        }
        values[left].assign(set.flat(), set.flat() + 21);
      }
      EXPECT_EQ(values[0], values[1]);
    }
}

}  // namespace
}  // namespace mneme
