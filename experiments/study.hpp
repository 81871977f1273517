// Room: experiments. Study: presets x seeds behind one published figure, run to the end, each seed a row, none chosen.
//
// A row's run lives in OUT/PRESET-seedN and is taken up where it stopped: a finished one is only read, an unfinished
// one resumed. Rows are what results/*.csv holds, with the figures' provenance beside them.
#pragma once

#include "experiments/trainer.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mneme::experiments {

/// A figure from a paper or project, printed beside ours.
struct Published {
  std::string source;  ///< who, where, and whether it is one run, a mean, a best-of
  std::string figure;
};

struct Study {
  std::string name;  ///< "copy"
  std::string summary;
  std::vector<std::string> presets;
  std::vector<std::int64_t> lengths;  ///< evaluated after training
  std::size_t episodes = 200;         ///< for each length
  std::vector<Published> published;
};
const std::vector<Study>& studies();
/// Throws ArgumentError that lists what exists.
const Study& find_study(const std::string& name);

struct StudyRow {
  std::string preset;
  std::uint64_t seed = 0;
  std::string config_hash, commit, cpu;
  std::size_t parameters = 0;
  std::uint64_t sequences = 0;
  double seconds = 0;  ///< of training
  std::string exit_reason;
  std::optional<std::uint64_t> tenth_at, solved_at;  ///< sequences until an evaluation of 0.1 wrong bits; until solved
  std::optional<double> tenth_seconds, solved_seconds;
  std::vector<double> by_length;  ///< the solved metric at Study::lengths
  /// Of the sequences after solving, where the run went on: the worst evaluation of the solved metric, and the worst
  /// means over train.log-every training sequences of the task's first metric and of the solved one.
  std::optional<double> worst_evaluation, worst_mean, worst_mean_solved;
};

struct StudyOptions {
  std::vector<std::string> presets;  ///< empty = the study's
  Range seeds{1, 5};
  std::vector<Assignment> given;
  std::filesystem::path out;
  std::uint64_t after = 0;  ///< sequences to go on for once solved, watching what happens
  int threads = 1;
  const std::atomic<int>* signal = nullptr;
  std::function<void(const std::string&)> notice;
  std::function<void(const std::string& row, const Progress&)> progress;
  std::function<void(const StudyRow&)> done;
};

/// Rows in order. Ends early where a run was stopped from outside: `stopped` then holds its exit code.
std::vector<StudyRow> run_study(const Study& study, const StudyOptions& options, int& stopped);

/// CSV text of one row and of the header; a study's lengths name columns wrong_20, ...
std::string study_csv_header(const Study& study);
std::string study_csv(const StudyRow& row);

}  // namespace mneme::experiments
