// Room: tasks. Reading and writing the bAbI format.
#include "tasks/babi_format.hpp"

#include "core/error.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace mneme::babi {

namespace {

bool word_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool has_word(std::string_view text) {
  return std::any_of(text.begin(), text.end(), word_character);
}

/// The start of a line, for messages.
std::string shown(std::string_view line) {
  return std::string(line.substr(0, 40)) + (line.size() > 40 ? "..." : "");
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  Stories run() {
    if (text_.empty()) fail<FileError>(name_, "the file is empty");
    for (std::size_t at = 0; at < text_.size();) {
      ++number_;
      const std::size_t end = text_.find('\n', at);
      if (end == std::string_view::npos)
        complain("the last line has no line end, so the file may have been cut off: '{}'", readable(text_.substr(at)));
      line(text_.substr(at, end - at));
      at = end + 1;
    }
    return std::move(stories_);
  }

 private:
  template <class... Args>
  [[noreturn]] void complain(fmt::format_string<Args...> format, Args&&... args) const {
    fail<FileError>(fmt::format("{}:{}", name_, number_), format, std::forward<Args>(args)...);
  }

  static std::string readable(std::string_view line) {
    std::string s = shown(line);
    for (char& c : s)
      if (c < ' ' || c > '~') c = '?';
    return s;
  }

  void line(std::string_view line) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      if ((line[i] >= ' ' && line[i] <= '~') || line[i] == '\t') continue;
      if (line[i] == '\r' && i + 1 == line.size()) complain("the line ends in CR LF; the format has LF alone");
      complain("byte 0x{:02x} at column {}; the format is printable ASCII",
               static_cast<unsigned>(static_cast<unsigned char>(line[i])), i + 1);
    }
    const std::size_t blank = std::min(line.find(' '), line.size());
    std::uint32_t id = 0;
    if (blank == line.size() || !whole_number(line.substr(0, blank), id))
      complain("'{}' is no line 'ID text' of the bAbI format", readable(line));
    if (id == 1) {
      stories_.begin();
      statement_at_.clear();
    } else if (number_ == 1) {
      complain("the first line has ID {}; a story starts at 1", id);
    } else if (id != last_id_ + 1) {
      complain("ID {} after {}; IDs count 1, 2, 3, ... and start again at 1 with each story", id, last_id_);
    }
    last_id_ = id;
    const std::string_view rest = line.substr(blank + 1);
    if (rest.empty() || rest[0] == ' ') complain("one blank, then text must follow the ID: '{}'", readable(line));
    if (rest.find('\t') == std::string_view::npos)
      statement(rest);
    else
      question(rest);
  }

  void statement(std::string_view text) {
    if (!has_word(text)) complain("a statement without a word: '{}'", shown(text));
    // "hai ?." is a statement of the Hindi set; "Where is Mary?" and "Where is Mary?  hall 1" have lost their TABs.
    const std::size_t mark = text.rfind('?');
    if (mark != std::string_view::npos &&
        (text.find('.', mark) == std::string_view::npos || has_word(text.substr(mark))))
      complain("a question without TAB, answer, TAB and supporting IDs: '{}'", shown(text));
    statement_at_.push_back(static_cast<std::int64_t>(stories_.say(std::string(text))));
  }

  void question(std::string_view text) {
    const auto tabs = std::count(text.begin(), text.end(), '\t');
    if (tabs != 2)
      complain("a question has 2 TABs: question, answer, supporting IDs; this line has {}: '{}'", tabs, readable(text));
    const std::size_t first = text.find('\t'), second = text.rfind('\t');
    const std::string_view asked = text.substr(0, first), answer = text.substr(first + 1, second - first - 1);
    if (!has_word(asked)) complain("a question without a word: '{}'", shown(asked));
    if (!has_word(answer)) complain("the question '{}' has no answer", shown(asked));
    if (answer.front() == ' ' || answer.back() == ' ') complain("blanks around the answer '{}'", shown(answer));
    if (last_id_ == 1)
      complain("a story starts with the question '{}'; it has no statement to ask about", shown(asked));
    std::vector<std::uint32_t> support = supporting(text.substr(second + 1));
    statement_at_.push_back(-1);
    stories_.ask(std::string(asked), std::string(answer), std::move(support));
  }

  std::vector<std::uint32_t> supporting(std::string_view list) const {
    if (list.empty()) complain("no supporting IDs after the second TAB");
    std::vector<std::uint32_t> support;
    for (std::size_t at = 0; at <= list.size();) {
      const std::size_t end = std::min(list.find(' ', at), list.size());
      std::uint32_t id = 0;
      if (!whole_number(list.substr(at, end - at), id))
        complain("supporting IDs '{}': they are numbers with one blank between", shown(list));
      if (id == 0) complain("supporting ID 0 does not exist; IDs count from 1");
      if (id == last_id_) complain("supporting ID {} is the question itself", id);
      if (id > last_id_) complain("supporting ID {} does not stand before the question, which has ID {}", id, last_id_);
      const std::int64_t place = statement_at_[id - 1];
      if (place < 0) complain("supporting ID {} is a question, not a statement", id);
      if (std::find(support.begin(), support.end(), place) != support.end())
        complain("supporting ID {} stands twice", id);
      support.push_back(static_cast<std::uint32_t>(place));
      at = end + 1;
    }
    return support;
  }

  /// Digits without a leading zero (but "0" itself), at most nine.
  static bool whole_number(std::string_view word, std::uint32_t& value) {
    if (word.empty() || word.size() > 9 || (word[0] == '0' && word.size() > 1)) return false;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc{} && stop == word.data() + word.size();
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t number_ = 0;
  std::uint32_t last_id_ = 0;
  std::vector<std::int64_t> statement_at_;  // of the story's lines: place of the statement, -1 = a question
  Stories stories_;
};

}  // namespace

std::uint32_t Stories::say(std::string text) {
  const auto place = static_cast<std::uint32_t>(statements.size());
  if (line_ == 0) first_ = place;
  statements.push_back({++line_, std::move(text)});
  return place;
}

void Stories::ask(std::string text, std::string answer, std::vector<std::uint32_t> support) {
  if (line_ == 0) fail<InvariantError>("babi", "a story begins with the question '{}'", text);
  ++line_;
  questions.push_back(
      {std::move(text), std::move(answer), first_, static_cast<std::uint32_t>(statements.size()), std::move(support)});
}

std::string Stories::text() const {
  std::string out;
  std::size_t next = 0;
  std::uint32_t line = 0;
  for (std::size_t s = 0; s <= statements.size(); ++s) {
    for (; next < questions.size() && questions[next].end == s; ++next) {
      const Question& q = questions[next];
      fmt::format_to(std::back_inserter(out), "{} {}\t{}\t", ++line, q.text, q.answer);
      for (std::size_t i = 0; i < q.support.size(); ++i)
        fmt::format_to(std::back_inserter(out), "{}{}", i ? " " : "", statements[q.support[i]].id);
      out += '\n';
    }
    if (s == statements.size()) break;
    line = statements[s].id;
    fmt::format_to(std::back_inserter(out), "{} {}\n", line, statements[s].text);
  }
  return out;
}

Stories parse(std::string_view text, const std::string& name) {
  return Parser(text, name).run();
}

Stories read(const std::filesystem::path& file, std::string* digest) {
  std::ifstream in(file, std::ios::binary);
  std::error_code error;
  if (!in || std::filesystem::is_directory(file, error)) fail<RuntimeFailure>(file.string(), "cannot be read");
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) fail<RuntimeFailure>(file.string(), "cannot be read to its end");
  if (digest) *digest = fmt::format("{:016x}", hash_bytes(text, hash_bytes(*digest)));
  return parse(text, file.string());
}

std::filesystem::path find_file_if_any(const std::filesystem::path& directory, int number, const std::string& part,
                                       const std::string& key) {
  const std::string begin = fmt::format("qa{}_", number), end = fmt::format("_{}.txt", part);
  std::filesystem::path found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(begin) || !name.ends_with(end)) continue;
    if (!found.empty())
      fail<ArgumentError>(key, "both {} and {} are files {}*{}", found.filename().string(), name, begin, end);
    found = entry.path();
  }
  if (error) fail<ArgumentError>(key, "'{}' is no directory that can be read", directory.string());
  return found;
}

std::filesystem::path find_file(const std::filesystem::path& directory, int number, const std::string& part,
                                const std::string& key) {
  auto found = find_file_if_any(directory, number, part, key);
  if (found.empty()) fail<ArgumentError>(key, "no file qa{}_*_{}.txt in '{}'", number, part, directory.string());
  return found;
}

std::string own_file(int number, const std::string& part) {
  return fmt::format("qa{}_own_{}.txt", number, part);
}

bool holds_own_stories(const std::filesystem::path& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("qa") && (name.ends_with("_own_train.txt") || name.ends_with("_own_test.txt"))) return true;
  }
  return false;
}

}  // namespace mneme::babi
