// Room: tools. Tables of text.
#include "tools/table.hpp"

#include "core/quote.hpp"
#include "tools/help.hpp"
#include "tools/paint.hpp"
#include "tools/terminal.hpp"

#include <algorithm>

namespace mneme::tools {

Table::Table(std::vector<std::string> header) {
  for (std::string& h : header) {
    right_.push_back(!h.empty() && h[0] == '>');
    if (right_.back()) h.erase(0, 1);
    h = printable(h);
  }
  rows_.push_back(std::move(header));
}

void Table::add(std::vector<std::string> row) {
  row.resize(right_.size());
  for (std::string& cell : row) cell = printable(cell);
  rows_.push_back(std::move(row));
}

std::string Table::text(std::size_t columns) const {
  const std::size_t n = right_.size();
  std::vector<std::size_t> width(n, 0);
  for (const auto& row : rows_)
    for (std::size_t c = 0; c < n; ++c) width[c] = std::max(width[c], characters(row[c]));
  std::size_t before_last = 0;
  for (std::size_t c = 0; c + 1 < n; ++c) before_last += width[c] + 2;
  std::string text;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < n; ++c) {
      const std::string& cell = rows_[r][c];
      const std::string pad(width[c] - characters(cell), ' ');
      if (c + 1 == n && !right_[c])
        line += columns ? wrapped(cell, before_last, columns) : cell;
      else
        line += right_[c] ? pad + cell : cell + pad;
      if (c + 1 < n) line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += (r == 0 ? styled(line, "1") : line) + "\n";
  }
  return text;
}

}  // namespace mneme::tools
