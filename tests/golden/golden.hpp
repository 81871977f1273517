// Room: tests. Golden values: reading the text files of independent reference results, and reporting on them.
//
// The files are data beside the project, not part of it: $MNEME_DATA/golden, else ../shared/data/golden from the
// sources. A test whose file is not there is skipped and says which.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <istream>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mneme::golden {

using Numbers = std::vector<double>;

struct Tensor {
  std::string name;   ///< "-" for an absent optional one
  std::string dtype;  ///< f32, f16, i32, i64, bool
  std::vector<std::size_t> dims;
  Numbers values;
};

/// `case NAME`, `op OP opset N`, optional `source ...` and `tol X`, `attr K V`, `in|out NAME DTYPE RANK DIMS` followed
/// by a line of row-major values (`in|out - none`: absent), `end`.
struct Case {
  std::string name, op;
  int opset = 0;
  double tolerance = 0;  ///< of the case itself; 0 = none given
  std::map<std::string, std::string> attributes;
  std::vector<Tensor> inputs, outputs;

  const Tensor* in(const std::string& name) const { return find(inputs, name); }
  const Tensor* out(const std::string& name) const { return find(outputs, name); }
  double number(const std::string& attribute, double standard) const;

 private:
  static const Tensor* find(const std::vector<Tensor>& list, const std::string& name);
};

/// Throws FileError naming `name` and the line where the text breaks the format.
std::vector<Case> parse(std::istream& text, const std::string& name);

/// The file, or nothing where it is not there; `missing` then says what was looked for.
std::optional<std::filesystem::path> find_file(const std::string& name, std::string& missing);

/// What happened to the cases of one family: printed when it goes out of scope.
class Report {
 public:
  explicit Report(std::string family) : family_(std::move(family)) {}
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;
  ~Report();

  void leave_out(const std::string& name, const std::string& why) { left_out_.emplace_back(name, why); }
  /// Compares and fails the test where a number is further off than tolerance * max(1, |want|).
  void compare(const std::string& name, const std::string& what, const Numbers& have, const Numbers& want,
               double tolerance, bool single_precision);
  void ran() { ++count_; }
  std::size_t count() const { return count_; }
  const std::vector<std::pair<std::string, std::string>>& left_out() const { return left_out_; }

 private:
  std::string family_;
  std::size_t count_ = 0;
  double largest_[2] = {0, 0};  // in double, in float
  std::string where_[2];        // the cases they are of
  std::vector<std::pair<std::string, std::string>> left_out_;
};

/// Calls f for each case of a file, or skips the test where the file is not there.
#define MNEME_GOLDEN_FILE(variable, file)                                   \
  std::string missing_##variable;                                           \
  const auto path_##variable = golden::find_file(file, missing_##variable); \
  if (!path_##variable) GTEST_SKIP() << missing_##variable;                 \
  std::ifstream variable(*path_##variable)

}  // namespace mneme::golden
