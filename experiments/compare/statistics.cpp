// Room: experiments. Statistics of a few seeds.
#include "experiments/compare/statistics.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mneme::experiments {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// censored_median(), with kNever for none.
double median_of(std::vector<Waiting>& times) {
  // At one time, what happened comes before what was watched no longer.
  std::sort(times.begin(), times.end(), [](const Waiting& a, const Waiting& b) {
    return a.time != b.time ? a.time < b.time : a.happened > b.happened;
  });
  double waiting = 1;
  std::optional<double> half;  // when it fell to 1/2 exactly
  for (std::size_t i = 0; i < times.size();) {
    const auto left = static_cast<double>(times.size() - i);
    std::size_t end = i, events = 0;
    for (; end < times.size() && times[end].time == times[i].time; ++end) events += times[end].happened;
    if (events > 0) {
      if (half) return (*half + times[i].time) / 2;
      waiting *= 1 - static_cast<double>(events) / left;
      if (std::abs(waiting - 0.5) < 1e-12)
        half = times[i].time;
      else if (waiting < 0.5)
        return times[i].time;
    }
    i = end;
  }
  return half.value_or(kNever);
}

}  // namespace

std::optional<double> censored_median(std::vector<Waiting> times) {
  const double m = median_of(times);
  return m == kNever ? std::nullopt : std::optional<double>(m);
}

Interval bootstrap_interval(const std::vector<Waiting>& times, double confidence, std::size_t resamples) {
  if (times.empty()) return {};
  Random random(1, "bootstrap", 0);
  std::vector<double> medians(resamples);
  std::vector<Waiting> sample(times.size());
  for (double& median : medians) {
    for (Waiting& one : sample)
      one = times[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(times.size()) - 1))];
    median = median_of(sample);
  }
  std::sort(medians.begin(), medians.end());
  const auto at = [&](double share) {
    const auto place = static_cast<std::size_t>(std::llround(share * static_cast<double>(resamples - 1)));
    return medians[place] == kNever ? std::nullopt : std::optional<double>(medians[place]);
  };
  return {at((1 - confidence) / 2), at((1 + confidence) / 2)};
}

PairedTest wilcoxon(const std::vector<double>& differences) {
  std::vector<double> d;
  for (const double x : differences)
    if (x != 0) d.push_back(x);
  const std::size_t n = d.size();
  if (n == 0) return {};
  std::sort(d.begin(), d.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  // Twice the ranks: whole numbers, ties or not.
  std::vector<std::size_t> ranks(n);
  std::size_t positive = 0, all = 0;
  for (std::size_t i = 0; i < n;) {
    std::size_t end = i;
    while (end < n && std::abs(d[end]) == std::abs(d[i])) ++end;
    for (std::size_t k = i; k < end; ++k) {
      ranks[k] = i + 1 + end;
      all += ranks[k];
      if (d[k] > 0) positive += ranks[k];
    }
    i = end;
  }
  // How probable each sum of positive ranks is where every sign is as likely as the other.
  std::vector<double> chance(all + 1, 0.0);
  chance[0] = 1;
  std::size_t most = 0;
  for (const std::size_t rank : ranks) {
    most += rank;
    for (std::size_t s = most + 1; s-- > 0;) chance[s] = (chance[s] + (s >= rank ? chance[s - rank] : 0)) / 2;
  }
  const std::size_t smaller = std::min(positive, all - positive);
  const double tail = std::accumulate(chance.begin(), chance.begin() + static_cast<std::ptrdiff_t>(smaller) + 1, 0.0);
  return {std::min(1.0, 2 * tail), n};
}

std::vector<std::optional<double>> holm(const std::vector<std::optional<double>>& p) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i)
    if (p[i]) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return *p[a] < *p[b]; });
  std::vector<std::optional<double>> corrected(p.size());
  double largest = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    largest = std::max(largest, std::min(1.0, *p[order[k]] * static_cast<double>(order.size() - k)));
    corrected[order[k]] = largest;
  }
  return corrected;
}

std::optional<double> middle(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const double a = values[(values.size() - 1) / 2], b = values[values.size() / 2];
  return std::isfinite(a) && std::isfinite(b) ? std::optional<double>((a + b) / 2) : std::nullopt;
}

}  // namespace mneme::experiments
