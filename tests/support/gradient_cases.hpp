// Room: tests. What every room's list of gradient cases is held to.
#pragma once

#include "autodiff/gradcheck.hpp"
#include "core/random.hpp"
#include "places.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace mneme::test {

inline std::set<std::string> op_names(const std::vector<GradientCase>& cases) {
  std::set<std::string> names;
  for (const GradientCase& c : cases) names.insert(c.name);
  return names;
}

inline void expect_gradients(const std::vector<GradientCase>& cases, const std::string& op) {
  for (const GradientCase& c : cases) {
    if (c.name != op) continue;
    const GradientResult r = check_case(c);
    EXPECT_TRUE(r.ok()) << c.label() << ": " << r.text();
  }
}

/// The case's result for these inputs, and where asked for the gradients that asymmetric_loss gives them.
inline std::vector<double> run_case(const GradientCase& c, const std::vector<std::vector<double>>& values,
                                    std::vector<std::vector<double>>* gradients = nullptr) {
  using Role = GradientInput::Role;
  std::vector<std::vector<double>> numbers = values, own = values;
  std::vector<Leaf<double>> leaves;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (c.inputs[i].role == Role::parameter)
      leaves.push_back({numbers[i].data(), nullptr, own[i].data(), c.inputs[i].shape});
  Tape<double> tape;
  tape.bind(leaves);
  tape.begin(gradients != nullptr);
  std::vector<Var<double>> inputs;
  std::size_t leaf = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool parameter = c.inputs[i].role == Role::parameter;
    inputs.push_back(parameter ? tape.parameter(leaf++) : tape.variable(c.inputs[i].shape));
    if (!parameter) std::copy(values[i].begin(), values[i].end(), inputs.back().data);
  }
  const Var<double> y = c.function(tape, inputs);
  if (gradients) {
    tape.backward(asymmetric_loss(tape, {y}));
    for (const Var<double>& x : inputs) gradients->emplace_back(tape.gradient(x), tape.gradient(x) + x.size());
  }
  return {y.data, y.data + y.size()};
}

/// A NaN in any number that the result depends on shows in the result: the finite guard relies on it.
inline void expect_nan_survives(const std::vector<GradientCase>& cases, const std::string& op) {
  std::size_t tried = 0;
  for (const GradientCase& c : cases) {
    if (c.name != op) continue;
    std::vector<std::vector<double>> values, gradients;
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      Random random(1, "gradcheck", i);
      values.emplace_back(c.inputs[i].shape.size());
      for (double& v : values.back()) v = random.uniform(c.inputs[i].low, c.inputs[i].high);
    }
    run_case(c, values, &gradients);
    for (std::size_t i = 0; i < values.size(); ++i)
      for (std::size_t k = 0; k < values[i].size(); ++k) {
        if (gradients[i][k] == 0) continue;  // masked, sliced away, on the flat side of a kink
        const double was = std::exchange(values[i][k], std::numeric_limits<double>::quiet_NaN());
        const std::vector<double> y = run_case(c, values);
        EXPECT_TRUE(std::any_of(y.begin(), y.end(), [](double v) { return std::isnan(v); }))
            << c.label() << ": input " << i << ", element " << k;
        values[i][k] = was;
        ++tried;
      }
  }
  EXPECT_GT(tried, 0u) << op;
}

/// Every op that a header declares as `RETURN name(` at the start of a line is in the list.
inline void expect_listed(const std::vector<GradientCase>& cases, const std::string& header,
                          const std::string& returns = "Var<T>") {
  std::ifstream file(std::string(MNEME_SOURCE_DIR) + "/" + header);
  const std::set<std::string> listed = op_names(cases);
  std::size_t found = 0;
  for (std::string line; std::getline(file, line);) {
    const std::size_t end = line.find('(');
    if (line.rfind(returns + " ", 0) != 0 || end == std::string::npos) continue;
    const std::string op = line.substr(returns.size() + 1, end - returns.size() - 1);
    EXPECT_TRUE(listed.count(op)) << header << ": " << op << " has no gradient case";
    ++found;
  }
  EXPECT_GE(found, 1u) << header << ": the pattern no longer finds the declarations";
}

}  // namespace mneme::test
