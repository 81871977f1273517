// Room: experiments. Statistics of a few seeds: medians where some runs never got there, paired tests, corrections.
//
// Every function is of numbers alone and gives the same for the same: the bootstrap draws from a stream of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace mneme::experiments {

/// When something happened to one run, or how long it was watched in vain.
struct Waiting {
  double time = 0;
  bool happened = true;  ///< false: censored at `time`
};

/// The least time at which the Kaplan-Meier estimate of those still waiting is at most 1/2, and where it is exactly 1/2
/// for a while the middle of that while (Kaplan & Meier 1958; of uncensored times the ordinary median). None where it
/// never falls so far.
std::optional<double> censored_median(std::vector<Waiting> times);

/// Lower and upper end; none where it is open.
struct Interval {
  std::optional<double> low, high;
  bool operator==(const Interval&) const = default;
};
/// Of censored_median(), by the percentile bootstrap over runs (Efron 1981): `resamples` draws with replacement, a
/// median that is not reached counting as above every one that is. Open on both sides where there is no run.
Interval bootstrap_interval(const std::vector<Waiting>& times, double confidence = 0.95, std::size_t resamples = 10000);

/// What a paired test says.
struct PairedTest {
  std::optional<double> p;  ///< two-sided; none where no pair differs
  std::size_t pairs = 0;    ///< that differ
};
/// Wilcoxon's signed rank test of paired differences, exact: over all 2^n signs of their ranks, ties having the mean
/// rank, differences of 0 left out (Wilcoxon 1945). It assumes pairs that are independent of each other and differences
/// that are symmetric about their median. An infinite difference ranks last, as all infinite ones do together.
PairedTest wilcoxon(const std::vector<double>& differences);

/// p-values corrected for being several, by Holm's step-down rule (Holm 1979), in the order given; those that are none
/// are left out and stay so.
std::vector<std::optional<double>> holm(const std::vector<std::optional<double>>& p);

/// The middle one, or the mean of the two in the middle; none where there is none, or where one of these is infinite.
std::optional<double> middle(std::vector<double> values);

}  // namespace mneme::experiments
