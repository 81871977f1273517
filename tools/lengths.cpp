// Room: tools. Comma lists of task lengths and memory sizes.
#include "tools/lengths.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <charconv>

namespace mneme::tools {

namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  for (std::size_t end = 0; end != text.npos; begin = end + 1) {
    end = text.find(at, begin);
    words.push_back(text.substr(begin, end - begin));
  }
  return words;
}

/// What stands between commas, as numbers from 1 on with an x between them, nothing twice: "10x20,20x10".
std::vector<experiments::TaskLength> numbers_of(const std::string& flag, const std::string& list, std::size_t most,
                                                const char* example) {
  std::vector<experiments::TaskLength> all;
  for (const std::string& word : split(list, ',')) {
    experiments::TaskLength numbers;
    for (const std::string& part : split(word, 'x')) {
      std::int64_t& n = numbers.parts.emplace_back(0);
      const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), n);
      if (error != std::errc{} || stop != part.data() + part.size() || numbers.parts.size() > most)
        fail<ArgumentError>(flag, "'{}' is not a whole number; it takes a comma list: {}", word, example);
      if (n < 1) fail<ArgumentError>(flag, "{}: they count from 1", word);
    }
    if (std::find(all.begin(), all.end(), numbers) != all.end()) fail<ArgumentError>(flag, "{} is given twice", word);
    all.push_back(std::move(numbers));
  }
  return all;
}

}  // namespace

std::vector<experiments::TaskLength> lengths_of(const std::string& list) {
  return numbers_of("--lengths", list, 9, "20,40,80");
}

std::vector<std::int64_t> slots_of(const std::string& list) {
  std::vector<std::int64_t> slots;
  for (const experiments::TaskLength& n : numbers_of("--slots", list, 1, "128,256")) slots.push_back(n.parts[0]);
  return slots;
}

}  // namespace mneme::tools
