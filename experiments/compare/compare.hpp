// Room: experiments. compare(): addressing schemes, memories, anything that a configuration says, set side by side over
// tasks and seeds, with intervals and paired tests.
//
//   DIR/compare.json   what is compared, its runs, the table, the pairs      DIR/rows.csv   a line each run
//   DIR/table.csv      a line each task and scheme                           DIR/runs/ID/   the runs, ID as run.json's
//
// A run that has ended is never made again. More seeds, tasks or schemes in the same folder widen it; an option that is
// not compared and is another than before is refused.
#pragma once

#include "experiments/compare/grid.hpp"
#include "experiments/compare/plan.hpp"
#include "experiments/compare/statistics.hpp"
#include "pictures/curves.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace mneme::experiments {

/// "wrong_bits_per_sequence<=0.5": what stands for a task's own rule.
struct Threshold {
  std::string metric;
  double at_most = 0;
  std::string text() const;
  /// ArgumentError where it is none.
  static Threshold parse(const std::string& text);
};

struct CompareOptions {
  std::vector<std::string> presets;  ///< the configurations below; empty = the defaults alone
  std::vector<Factor> factors;
  std::vector<std::uint64_t> seeds;
  std::filesystem::path out;
  std::uint64_t after = 0;             ///< sequences to go on for once solved
  std::vector<TaskLength> lengths;     ///< to judge at; empty: the longest, twice and four times that
  std::vector<std::int64_t> slots;     ///< to judge with, beside the run's own
  std::size_t episodes = 200;          ///< for each of them
  std::optional<Threshold> threshold;  ///< two evaluations in a row, instead of the task's rule; runs then do not stop
  JobsOptions how;
  std::vector<std::filesystem::path> rows;  ///< CSVs as rows.csv, whose runs are not made again
};

/// One task and scheme over its seeds.
struct SchemeResult {
  std::string task, memory, scheme;
  std::string metric;     ///< that says whether it is solved, and stands at each length
  std::vector<Row> rows;  ///< by seed
  std::size_t solved = 0, diverged = 0;
  std::optional<double> median_sequences;  ///< until solved, censored
  Interval interval;                       ///< 95 %, of that
  std::optional<double> cheap_sequences;   ///< the same until 0.05 bits of cost
  std::optional<double> final_cost;        ///< median over the seeds of the last evaluation's first metric
  std::optional<double> seconds_per_1000;  ///< median
  std::optional<double> parameters, state_size;
  std::size_t seeds() const { return rows.size(); }
};

/// Two schemes of a task, over the seeds that both have.
struct PairResult {
  std::string task, a, b;  ///< schemes
  std::size_t seeds = 0;
  std::optional<double> difference;       ///< median of sequences to solved, a less b; none where it is censored
  std::optional<double> p;                ///< Wilcoxon, exact, Holm over the pairs of the task
  std::optional<double> cost_difference;  ///< the same of the final cost
  std::optional<double> cost_p;
};

struct Comparison {
  std::filesystem::path directory;
  std::vector<std::string> keys;  ///< that vary, in the order of the command line
  std::vector<SchemeResult> results;
  std::vector<PairResult> pairs;
  std::vector<std::string> figures;  ///< of the rows
  std::size_t planned = 0;           ///< runs, those of earlier commands too
  int stopped = 0;                   ///< exit code of a run that was stopped from outside, else 0
};

/// How many runs there are, and how many of them are done: what --dry-run says. Changes nothing.
struct CompareForecast {
  struct Entry {
    std::string task, scheme;
    std::size_t runs = 0, done = 0;
    std::size_t parameters = 0;
    double seconds_a_run = 0;  ///< to max-sequences, by a few measured steps
  };
  std::vector<Entry> entries;
};
CompareForecast forecast(const CompareOptions& options);

/// Runs `options`, whatever is there already, and writes the folder. ArgumentError before anything is trained: an empty
/// grid, a folder of something else, an option that is another than before, a run whose configuration was changed.
Comparison compare(const CompareOptions& options);

/// Learning curves: a panel each task, a series each scheme, held-out cost of the runs that lie in the folder.
pictures::Curves comparison_curves(const Comparison& comparison);

/// The median of a figure over the rows that have it; none where none has.
std::optional<double> middle_of(const std::vector<Row>& rows, const std::string& figure);

/// compare.json: `rows` and `pairs` as documented in docs/compare.md, `measured` the columns that time decides.
std::string comparison_json(const Comparison& comparison);
/// table.csv
std::string comparison_csv(const Comparison& comparison);
/// What is measured and so differs from run to run of the same bits.
const std::vector<std::string>& measured_columns();

}  // namespace mneme::experiments
