// Room: tests. What every room's list of gradient cases is held to.
#pragma once

#include "autodiff/gradcheck.hpp"
#include "places.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

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
