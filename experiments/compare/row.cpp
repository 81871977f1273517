// Room: experiments. Rows as lines of a CSV file and as JSON.
#include "experiments/compare/row.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/json.hpp"
#include "core/quote.hpp"
#include "experiments/run/run_directory.hpp"
#include "experiments/run/trainer.hpp"
#include "trace/atomic_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

namespace mneme::experiments {

namespace fs = std::filesystem;

namespace {

constexpr const char* kOfEveryRun = "config_hash,commit,cpu,parameters,sequences,seconds,exit_reason";

/// Whole numbers as they are, others with six digits.
std::string csv_number(const std::optional<double>& v) {
  if (!v) return "";
  return *v == std::floor(*v) && std::abs(*v) < 1e15 ? fmt::format("{:.0f}", *v) : fmt::format("{:.6g}", *v);
}

/// What csv_cell() made of them; a line that is no such line gives other cells than it has commas.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"')
      cells.back() += line[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += c;
  }
  for (std::string& cell : cells)
    if (cell.starts_with('\'')) cell.erase(0, 1);
  return cells;
}

/// False where `text` is neither empty nor a number.
bool read_number(const std::string& text, std::optional<double>& out) {
  out.reset();
  if (text.empty()) return true;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  out = value;
  return true;
}

std::optional<Row> row_from(const RowColumns& columns, const std::string& line) {
  const std::vector<std::string> cells = cells_of(line);
  const std::size_t first = columns.factors.size();
  if (cells.size() != first + 7 + columns.figures.size()) return std::nullopt;
  Row row;
  for (std::size_t i = 0; i < first; ++i) row.factors.emplace_back(columns.factors[i], cells[i]);
  row.config_hash = cells[first];
  row.commit = cells[first + 1];
  row.cpu = cells[first + 2];
  std::optional<double> parameters, sequences, seconds;
  if (!read_number(cells[first + 3], parameters) || !read_number(cells[first + 4], sequences) ||
      !read_number(cells[first + 5], seconds))
    return std::nullopt;
  row.parameters = static_cast<std::size_t>(parameters.value_or(0));
  row.sequences = static_cast<std::uint64_t>(sequences.value_or(0));
  row.seconds = seconds.value_or(0);
  row.exit_reason = cells[first + 6];
  for (std::size_t i = 0; i < columns.figures.size(); ++i) {
    row.figures.emplace_back(columns.figures[i], std::nullopt);
    if (!read_number(cells[first + 7 + i], row.figures.back().second)) return std::nullopt;
  }
  return row;
}

/// "" where there is no such file.
std::string text_of(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return "";
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) fail<RuntimeFailure>(path.string(), "cannot be read");
  return text;
}

/// The folder's lock, tried for again until `patience` is over.
FolderLock wait_for_lock(const fs::path& folder, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    try {
      return FolderLock(folder);
    } catch (const RuntimeFailure&) {
      if (std::chrono::steady_clock::now() >= end) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

std::string Row::factor(const std::string& name) const {
  const auto it = std::find_if(factors.begin(), factors.end(), [&](const auto& f) { return f.first == name; });
  return it == factors.end() ? "" : it->second;
}

std::optional<double> Row::figure(const std::string& name) const {
  const auto it = std::find_if(figures.begin(), figures.end(), [&](const auto& f) { return f.first == name; });
  return it == figures.end() ? std::nullopt : it->second;
}

bool Row::diverged() const {
  return exit_reason == exit_reason_name(ExitReason::diverged);
}

bool same_factors(const Row& a, const Row& b) {
  return std::all_of(a.factors.begin(), a.factors.end(), [&](const auto& f) {
    const std::string other = b.factor(f.first);
    return f.second == other || f.second.empty() || other.empty();
  });
}

std::string csv_header(const RowColumns& columns) {
  return fmt::format("{},{}{}{}\n", join(columns.factors, ","), kOfEveryRun, columns.figures.empty() ? "" : ",",
                     join(columns.figures, ","));
}

std::string csv_line(const RowColumns& columns, const Row& row) {
  std::string text;
  for (const std::string& name : columns.factors) text += csv_cell(row.factor(name)) + ",";
  text += fmt::format("{},{},{},{},{},{:.3f},{}", row.config_hash, row.commit, csv_cell(row.cpu), row.parameters,
                      row.sequences, row.seconds, row.exit_reason);
  for (const std::string& name : columns.figures) text += "," + csv_number(row.figure(name));
  return text + "\n";
}

std::vector<Row> read_rows(const RowColumns& columns, const std::string& csv, const std::string& name) {
  std::vector<Row> rows;
  if (csv.empty()) return rows;
  const std::string header = csv_header(columns);
  if (!csv.starts_with(header))
    fail<FileError>(name, "has other columns than {} here; move it away, or choose another --out", columns.of);
  std::istringstream in(csv.substr(header.size()));
  for (std::string line; std::getline(in, line);) {
    auto row = row_from(columns, line);
    if (!row) fail<FileError>(name, "'{}' is no row of {}", line, columns.of);
    rows.push_back(std::move(*row));
  }
  return rows;
}

std::vector<Row> load_any_rows(const fs::path& csv) {
  std::error_code error;
  if (!fs::is_regular_file(csv, error)) fail<ArgumentError>(csv.string(), "is no file with rows of runs");
  std::string text = text_of(csv);
  std::erase(text, '\r');
  const std::string header = text.substr(0, text.find('\n'));
  const std::string shared = kOfEveryRun;
  const std::size_t at = header.find(shared);
  if (at == std::string::npos || at == 0)
    fail<FileError>(csv.string(), "has no columns {}: these are not rows of runs", shared);
  RowColumns columns{"runs", cells_of(header.substr(0, at)), {}, {}};
  columns.factors.pop_back();  // behind the last comma
  if (at + shared.size() < header.size()) columns.figures = cells_of(header.substr(at + shared.size() + 1));
  return read_rows(columns, text, csv.string());
}

std::vector<Row> load_rows(const RowColumns& columns, const fs::path& csv) {
  return read_rows(columns, text_of(csv), csv.string());
}

std::string merged_csv(const RowColumns& columns, const std::string& before, const std::string& name,
                       const std::vector<Row>& rows) {
  std::vector<Row> all = read_rows(columns, before, name);
  std::erase_if(all, [&](const Row& old) {
    return std::any_of(rows.begin(), rows.end(), [&](const Row& now) { return same_factors(old, now); });
  });
  all.insert(all.end(), rows.begin(), rows.end());
  std::stable_sort(all.begin(), all.end(), columns.less);
  std::string text = csv_header(columns);
  for (const Row& row : all) text += csv_line(columns, row);
  return text;
}

void add_rows(const RowColumns& columns, const fs::path& csv, const std::vector<Row>& rows,
              std::chrono::milliseconds patience) {
  std::optional<FolderLock> lock;
  try {
    lock.emplace(wait_for_lock(csv.has_parent_path() ? csv.parent_path() : ".", patience));
  } catch (const RuntimeFailure& e) {
    fail<RuntimeFailure>(csv.string(), "takes no rows now, and the same command adds them later: {}", e.what());
  }
  trace::write_text_atomically(csv, merged_csv(columns, text_of(csv), csv.string(), rows));
}

Json row_json(const Row& row) {
  Json j = {{"factors", Json::object()},    {"config_hash", row.config_hash},
            {"commit", row.commit},         {"cpu", row.cpu},
            {"parameters", row.parameters}, {"sequences", row.sequences},
            {"seconds", row.seconds},       {"exit_reason", row.exit_reason},
            {"figures", Json::object()}};
  for (const auto& [name, value] : row.factors) j["factors"][name] = value;
  for (const auto& [name, value] : row.figures) j["figures"][name] = or_null(value);
  return j;
}

Row row_of(const Json& j) {
  Row row;
  row.config_hash = j.at("config_hash");
  row.commit = j.at("commit");
  row.cpu = j.at("cpu");
  row.parameters = j.at("parameters");
  row.sequences = j.at("sequences");
  row.seconds = j.at("seconds");
  row.exit_reason = j.at("exit_reason");
  for (const auto& [name, value] : j.at("factors").items()) row.factors.emplace_back(name, value.get<std::string>());
  for (const auto& [name, value] : j.at("figures").items())
    row.figures.emplace_back(name, value.is_null() ? std::nullopt : std::optional<double>(value.get<double>()));
  return row;
}

bool all_diverged(const std::vector<Row>& rows) {
  return !rows.empty() && std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.diverged(); });
}

}  // namespace mneme::experiments
