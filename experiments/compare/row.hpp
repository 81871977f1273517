// Room: experiments. Row: what one run came to, by names: what tells it from other runs, who computed it, its figures.
//
// Whoever trains many runs (a study, a comparison) reduces each to rows of this one kind. A table of them is a CSV file
// with the factors first, then what every run has, then the figures; a cell is empty where there is no number.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mneme::experiments {

struct Row {
  std::vector<std::pair<std::string, std::string>> factors;  ///< preset, task, seed; "" = of all values of it
  std::string config_hash, commit, cpu;                      ///< as the run's folder has them
  std::size_t parameters = 0;
  std::uint64_t sequences = 0;
  double seconds = 0;  ///< of training
  std::string exit_reason;
  std::vector<std::pair<std::string, std::optional<double>>> figures;

  /// "" where there is none of the name.
  std::string factor(const std::string& name) const;
  /// None where there is none of the name, or no number.
  std::optional<double> figure(const std::string& name) const;
  bool diverged() const;
};

/// Whether all factors are the same, one that is "" and any other taken as the same.
bool same_factors(const Row& a, const Row& b);

/// The columns of a table of rows beside those that every row has.
struct RowColumns {
  std::string of;  ///< whose rows they are, for messages: "the study copy"
  std::vector<std::string> factors, figures;
  std::function<bool(const Row&, const Row&)> less;  ///< the order of the rows
};

std::string csv_header(const RowColumns& columns);
std::string csv_line(const RowColumns& columns, const Row& row);
/// The rows of a CSV; "" has none. FileError naming the file `name` where its columns are others, or a line is no row.
std::vector<Row> read_rows(const RowColumns& columns, const std::string& csv, const std::string& name);
/// The rows of a file whose header says which factors and figures they have. FileError where it is no such file.
std::vector<Row> load_any_rows(const std::filesystem::path& csv);
/// As read_rows() of a file; none where there is no such file.
std::vector<Row> load_rows(const RowColumns& columns, const std::filesystem::path& csv);
/// The CSV `before` (text of the file `name`) with `rows` in the place of those of the same factors, all in order.
std::string merged_csv(const RowColumns& columns, const std::string& before, const std::string& name,
                       const std::vector<Row>& rows);
/// Puts rows into the file, beside those that others put there: read and replaced under the lock of its folder.
/// RuntimeFailure where another process holds that for longer than `patience`.
void add_rows(const RowColumns& columns, const std::filesystem::path& csv, const std::vector<Row>& rows,
              std::chrono::milliseconds patience = std::chrono::seconds(10));

nlohmann::ordered_json row_json(const Row& row);
Row row_of(const nlohmann::ordered_json& json);

/// Whether there are rows and each is of a run that diverged.
bool all_diverged(const std::vector<Row>& rows);

}  // namespace mneme::experiments
