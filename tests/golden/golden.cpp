#include "tests/golden/golden.hpp"

#include "core/error.hpp"
#include "places.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <sstream>

namespace mneme::golden {

namespace {

double to_number(const std::string& word, const std::string& where) {
  char* end = nullptr;
  const double v = std::strtod(word.c_str(), &end);  // takes inf and nan
  if (word.empty() || *end) fail<FileError>(where, "'{}' is no number", word);
  return v;
}

}  // namespace

const Tensor* Case::find(const std::vector<Tensor>& list, const std::string& name) {
  for (const Tensor& t : list)
    if (t.name == name) return &t;
  return nullptr;
}

double Case::number(const std::string& attribute, double standard) const {
  const auto it = attributes.find(attribute);
  return it == attributes.end() ? standard : to_number(it->second, name + " " + attribute);
}

std::vector<Case> parse(std::istream& text, const std::string& name) {
  std::vector<Case> cases;
  std::string line;
  std::size_t number = 0;
  bool open = false;
  const auto where = [&] { return fmt::format("{}:{}", name, number); };
  const auto next = [&] {
    ++number;
    return static_cast<bool>(std::getline(text, line));
  };
  while (next()) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word[0] == '#') continue;
    if (word == "case") {
      if (open) fail<FileError>(where(), "a case begins before '{}' ended", cases.back().name);
      open = true;
      cases.emplace_back();
      words >> cases.back().name;
      continue;
    }
    if (!open) fail<FileError>(where(), "'{}' outside of a case", word);
    Case& c = cases.back();
    if (word == "end") {
      open = false;
    } else if (word == "op") {
      std::string opset;
      words >> c.op >> opset >> c.opset;
    } else if (word == "attr") {
      std::string key;
      words >> key;
      std::getline(words >> std::ws, c.attributes[key]);
    } else if (word == "tol") {
      words >> word;
      c.tolerance = to_number(word, where());
    } else if (word == "in" || word == "out") {
      Tensor t;
      std::size_t rank = 0;
      words >> t.name >> t.dtype;
      if (t.dtype != "none") {
        if (!(words >> rank)) fail<FileError>(where(), "'{}' has no rank", t.name);
        std::size_t size = 1;
        for (std::size_t i = 0, d = 0; i < rank; ++i) {
          if (!(words >> d)) fail<FileError>(where(), "'{}' has fewer than {} dimensions", t.name, rank);
          t.dims.push_back(d);
          size *= d;
        }
        if (size && !next()) fail<FileError>(where(), "the values of '{}' are missing", t.name);
        std::istringstream values(size ? line : "");
        while (values >> word) t.values.push_back(to_number(word, where()));
        if (t.values.size() != size)
          fail<FileError>(where(), "'{}' has {} values for {}", t.name, t.values.size(), size);
      }
      (words.str()[0] == 'i' ? c.inputs : c.outputs).push_back(std::move(t));
    } else if (word != "source") {
      fail<FileError>(where(), "'{}' is no word of this format", word);
    }
  }
  if (open) fail<FileError>(where(), "'{}' has no end", cases.back().name);
  return cases;
}

std::optional<std::filesystem::path> find_file(const std::string& name, std::string& missing) {
  const char* data = std::getenv("MNEME_DATA");
  const std::filesystem::path root =
      data && *data ? std::filesystem::path(data) : std::filesystem::path(MNEME_SOURCE_DIR) / ".." / "shared" / "data";
  const std::filesystem::path path = (root / "golden" / name).lexically_normal();
  if (std::filesystem::exists(path)) return path;
  missing =
      fmt::format("no golden values: {} is not there (MNEME_DATA names the folder that holds golden/)", path.string());
  return std::nullopt;
}

Report::~Report() {
  std::cout << fmt::format("[golden] {}: {} cases", family_, count_);
  for (const bool single : {false, true})
    if (count_)
      std::cout << fmt::format(", largest error {:.2g} in {} ({})", largest_[single], single ? "float" : "double",
                               where_[single]);
  std::cout << "\n";
  for (const auto& [name, why] : left_out_)
    std::cout << fmt::format("[golden] {}: left out {}: {}\n", family_, name, why);
}

void Report::compare(const std::string& name, const std::string& what, const Numbers& have, const Numbers& want,
                     double tolerance, bool single_precision) {
  ASSERT_EQ(have.size(), want.size()) << name << " " << what;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double error = have[i] == want[i] ? 0 : std::abs(have[i] - want[i]) / std::max(1.0, std::abs(want[i]));
    if (!(error <= tolerance)) {
      ADD_FAILURE() << fmt::format("{} {}, element {}: {:.9g}, golden {:.9g} ({})", name, what, i, have[i], want[i],
                                   single_precision ? "float" : "double");
      return;
    }
    if (error < largest_[single_precision]) continue;
    largest_[single_precision] = error;
    where_[single_precision] = name;
  }
}

}  // namespace mneme::golden
