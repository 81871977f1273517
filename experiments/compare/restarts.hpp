// Room: experiments. Restarts: one configuration trained from several seeds, the choice of one, and all of them shown.
//
//   DIR/restarts.json   configuration, seeds, what each run gave, which is chosen; replaced whole
//   DIR/seedS/          an ordinary run for each seed S, S+1, ...
//
// The choice sees training loss alone, as the published rule (best of ten by training error) does. A test set is asked
// of every run, chosen or not, and its figures only stand beside the choice. A run that diverged, in training or when
// the test was asked, is listed and never chosen.
#pragma once

#include "experiments/compare/jobs.hpp"

#include <optional>

namespace mneme::experiments {

/// Loss of the last training record of metrics.jsonl: the mean, as it is minimised, over the last whole window of
/// train.log-every sequences (an epoch, in the bAbI presets). Empty where there is none.
std::optional<double> training_loss(const std::filesystem::path& run);
/// ArgumentError where a run ends before its first window does, and so would have no training loss.
void require_training_loss(const Config& config);
/// Place of the least; the first of equals. Empty where none is known.
std::optional<std::size_t> least(const std::vector<std::optional<double>>& losses);

struct Spread {
  std::size_t count = 0;
  double mean = 0;
  std::optional<double> deviation;  ///< the sample's standard deviation; one value has none
  double least = 0, most = 0;
};
Spread spread(const std::vector<double>& values);
/// Of `count` values, of which those that are not in `known` are larger than all that are: the middle one, or the mean
/// of the two in the middle. Empty where one of these is not known.
std::optional<double> median(std::vector<double> known, std::size_t count);

struct Restart {
  std::uint64_t seed = 0;
  std::filesystem::path directory;
  std::string exit_reason, message;  ///< "" = not begun
  std::uint64_t sequences = 0;
  double seconds = 0;
  std::optional<double> training_loss;
  std::optional<double> held_out;     ///< the solved metric at the last evaluation of the training
  std::optional<double> error;        ///< mean of the solved metric over the parts of the test set
  std::optional<std::size_t> failed;  ///< parts of it above the threshold
};

struct Restarts {
  std::filesystem::path directory;
  std::vector<Restart> runs;          ///< in the order of their seeds
  std::optional<std::size_t> chosen;  ///< once all have ended; the old one while they go on further
  std::string metric;                 ///< of held_out and error: "error_percent"
  std::size_t parts = 0;              ///< of the test set; 0 = the task has none
  int stopped = 0;                    ///< exit code of a run that was stopped from outside, else 0
};

/// What train_restarts() refuses before it makes anything.
void check_restarts(const Config& config, std::size_t count, const std::filesystem::path& out);
/// Seeds config.seed, config.seed + 1, ... in `out`, which must not hold a run or restarts yet.
Restarts train_restarts(const Config& config, std::size_t count, const std::filesystem::path& out,
                        const std::vector<std::string>& argv, const JobsOptions& how);
/// Goes on with what is there; `given` as for resume(). Where one of them is refused, for its configuration or data or
/// because another process trains in it, none goes on and restarts.json is as it was.
Restarts resume_restarts(const std::filesystem::path& directory, const std::vector<Assignment>& given,
                         const std::vector<std::string>& argv, const JobsOptions& how);

/// After a run was gone on with by itself: if it is one of restarts among which there is a choice, its figures, the
/// choice and restarts.json made anew. Empty where it is not, where it was stopped, and where the restarts are being
/// gone on with, or are yet to be, as one.
std::optional<Restarts> renew_restarts(const RunResult& result, const std::atomic<int>* signal);

/// What restarts.json holds but for the configuration: runs, mean, sd, least and most, and the chosen one.
std::string restarts_json(const Restarts& restarts);

}  // namespace mneme::experiments
