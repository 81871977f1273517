// Every op of autodiff/ops.hpp against central differences, and the checker itself.
#include "autodiff/gradcheck.hpp"
#include "autodiff/ops.hpp"
#include "tests/support/gradient_cases.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace mneme {
namespace {

class Gradients : public testing::TestWithParam<std::string> {};

TEST_P(Gradients, MatchDifferences) {
  test::expect_gradients(gradient_cases(), GetParam());
}

TEST_P(Gradients, NanSurvives) {
  test::expect_nan_survives(gradient_cases(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Op, Gradients, testing::ValuesIn(test::op_names(gradient_cases())),
                         [](const auto& info) { return info.param; });

TEST(GradientCases, EveryDeclaredOpHasOne) {
  test::expect_listed(gradient_cases(), "autodiff/ops.hpp");
}

/// y = 2 x, with a backward pass of one's choice.
template <class F>
Var<double> doubled(Tape<double>& tape, Var<double> x, F backward) {
  Var<double> y = tape.result(x.shape, x);
  for (std::size_t i = 0; i < x.size(); ++i) y.data[i] = 2 * x.data[i];
  tape.node("doubled", {y}, [=](Tape<double>& t) { backward(t, x, y); });
  return y;
}

TEST(Checker, PassesARightGradient) {
  const auto f = [](Tape<double>& t, std::span<const Var<double>> x) {
    return doubled(t, x[0], [](Tape<double>& tape, Var<double> v, Var<double> y) {
      const double* dy = tape.gradient(y);
      tape.accumulate(v, [&](auto into, double* dx) {
        for (std::size_t i = 0; i < v.size(); ++i) into(dx[i], 2 * dy[i]);
      });
    });
  };
  const GradientResult r = check_gradient(f, {{{2, 3}}});
  EXPECT_TRUE(r.ok()) << r.text();
  EXPECT_EQ(r.compared, 6u);
  EXPECT_LT(r.error, 1e-9) << "fourth-order differences leave much room below the tolerance";
}

TEST(Checker, NamesTheWorstInputAndElement) {
  const auto f = [](Tape<double>& t, std::span<const Var<double>> x) {
    const auto wrong = doubled(t, x[1], [](Tape<double>& tape, Var<double> v, Var<double> y) {
      const double* dy = tape.gradient(y);
      tape.accumulate(v, [&](auto into, double* dx) {
        for (std::size_t i = 0; i < v.size(); ++i) into(dx[i], (i == 4 ? 3 : 2) * dy[i]);
      });
    });
    return add(t, x[0], wrong);
  };
  const GradientResult r = check_gradient(f, {{{2, 3}}, {{2, 3}}});
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.where, "input 1 [2 3]");
  EXPECT_EQ(r.element, 4u);
  EXPECT_NEAR(r.analytic, 3 * std::sin(1.3 * 4 + 0.7), 1e-12);
  EXPECT_NEAR(r.numeric, 2 * std::sin(1.3 * 4 + 0.7), 1e-9);
  EXPECT_EQ(r.text(),
            "input 1 [2 3], element 4: analytic -1.12162999449, numeric -0.74775332966, error 0.333 of 1e-06 allowed");
}

TEST(Checker, FindsASlightError) {
  const auto f = [](Tape<double>& t, std::span<const Var<double>> x) {
    return doubled(t, x[0], [](Tape<double>& tape, Var<double> v, Var<double> y) {
      const double* dy = tape.gradient(y);
      tape.accumulate(v, [&](auto into, double* dx) {
        for (std::size_t i = 0; i < v.size(); ++i) into(dx[i], (2 + 1e-5) * dy[i]);
      });
    });
  };
  EXPECT_FALSE(check_gradient(f, {{{2, 3}}}).ok());
}

TEST(Checker, FindsWhatASymmetricLossWouldCancel) {
  const auto f = [](Tape<double>& t, std::span<const Var<double>> x) {
    return doubled(t, x[0], [](Tape<double>& tape, Var<double> v, Var<double> y) {
      const double* dy = tape.gradient(y);
      tape.accumulate(v, [&](auto into, double* dx) {  // as if rows had been exchanged
        for (std::size_t i = 0; i < v.size(); ++i) into(dx[i], 2 * dy[v.size() - 1 - i]);
      });
    });
  };
  EXPECT_FALSE(check_gradient(f, {{{2, 3}}}).ok());
}

TEST(Checker, FindsAPartThatIsNeverWritten) {
  const auto f = [](Tape<double>& t, std::span<const Var<double>> x) {
    const auto y = doubled(t, tanh(t, x[0]), [](Tape<double>& tape, Var<double> v, Var<double> out) {
      const double* dy = tape.gradient(out);
      tape.accumulate(v, [&](auto into, double* dx) {
        for (std::size_t i = 0; i + 1 < v.size(); ++i) into(dx[i], 2 * dy[i]);
      });
    });
    return y;
  };
  const GradientResult r = check_gradient(f, {{{2, 3}}});
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.element, 5u);
  EXPECT_TRUE(std::isnan(r.analytic)) << "not the right number that a last step left there";
}

TEST(Checker, FindsASecondWriterThatOverwrites) {
  const GradientCase bad{"bad", "", {{{2, 3}}}, [](Tape<double>& t, std::span<const Var<double>> x) {
                           return doubled(t, x[0], [](Tape<double>& tape, Var<double> v, Var<double> y) {
                             const double* dy = tape.gradient(y);
                             tape.accumulate(v, [&](auto, double* dx) {
                               for (std::size_t i = 0; i < v.size(); ++i) dx[i] = 2 * dy[i];
                             });
                           });
                         }};
  EXPECT_TRUE(check_gradient(bad.function, bad.inputs).ok());
  EXPECT_FALSE(check_case(bad).ok()) << "a case is also run with every input used twice";
}

TEST(Checker, ParametersAreNudgedWithTheirTransposedCopies) {
  const GradientResult r = check_gradient(
      [](Tape<double>& t, std::span<const Var<double>> x) { return linear(t, tanh(t, linear(t, x[0], x[1])), x[1]); },
      {{{4, 3}}, {.shape = {3, 3}, .role = GradientInput::Role::parameter}});
  EXPECT_TRUE(r.ok()) << r.text();
  EXPECT_EQ(r.compared, 12u + 9u);
}

TEST(Checker, ConstantsAreNotCompared) {
  const auto f = [](Tape<double>& t, std::span<const Var<double>> x) { return multiply(t, x[0], x[1]); };
  const GradientResult r = check_gradient(f, {{{3}}, {.shape = {3}, .role = GradientInput::Role::constant}});
  EXPECT_TRUE(r.ok()) << r.text();
  EXPECT_EQ(r.compared, 3u);
}

TEST(Checker, ComparesFlatArraysOfAModel) {
  std::vector<double> w{0.5, -1, 2, 3}, d{1, -2, 4, 6};
  const GradientBlock blocks[] = {{"first", w.data(), d.data(), 2}, {"second", w.data() + 2, d.data() + 2, 2}};
  const auto loss = [&] { return w[0] * w[0] + w[1] * w[1] + w[2] * w[2] + w[3] * w[3]; };
  GradientResult r = compare_gradient(loss, blocks);
  EXPECT_TRUE(r.ok()) << r.text();
  EXPECT_EQ(r.compared, 4u);
  EXPECT_EQ(w, (std::vector<double>{0.5, -1, 2, 3})) << "every value is put back to the bit";
  d[3] = 6.1;
  r = compare_gradient(loss, blocks);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.where, "second");
  EXPECT_EQ(r.element, 1u);
  r = compare_gradient(loss, blocks, {.per_block = 1});
  EXPECT_EQ(r.compared, 2u) << "a sample of each block";
}

TEST(Checker, NothingComparedIsNoPass) {
  const GradientResult r = compare_gradient([] { return 0.0; }, {});
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.text(), "nothing was compared");
}

}  // namespace
}  // namespace mneme
