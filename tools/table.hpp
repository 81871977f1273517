// Room: tools. Table: text in columns, numbers to the right.
#pragma once

#include <string>
#include <vector>

namespace mneme::tools {

class Table {
 public:
  /// A header that begins with '>' makes its column right-aligned: ">length".
  explicit Table(std::vector<std::string> header);
  void add(std::vector<std::string> row);
  /// The last column is wrapped at `columns` where given.
  std::string text(std::size_t columns = 0) const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

}  // namespace mneme::tools
