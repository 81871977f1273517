// Room: pictures. Curves: the middle of several.
#include "pictures/curves.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace mneme::pictures {

namespace {

/// Linear between the neighbours, as R's type 7; `values` are in order.
double quantile(const std::vector<double>& values, double share) {
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace

std::vector<Middle> middle_of(const std::vector<Line>& runs) {
  std::set<double> all;
  for (const Line& run : runs)
    for (const auto& point : run) all.insert(point.first);
  std::vector<std::size_t> next(runs.size(), 0);  // the first point behind x
  std::vector<Middle> middle;
  for (const double x : all) {
    std::vector<double> values;
    for (std::size_t r = 0; r < runs.size(); ++r) {
      while (next[r] < runs[r].size() && runs[r][next[r]].first <= x) ++next[r];
      if (next[r] > 0) values.push_back(runs[r][next[r] - 1].second);
    }
    std::sort(values.begin(), values.end());
    middle.push_back({x, quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75)});
  }
  return middle;
}

}  // namespace mneme::pictures
