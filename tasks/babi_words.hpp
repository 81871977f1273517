// Room: tasks. bAbI stories as numbers: a vocabulary made of training files, and what it makes of any stories.
//
// Words are runs of letters and digits in lower case; everything else separates them. An answer is one class, a comma
// list too. Words and answers that no training file has get one index each, past all others, and are counted.
#pragma once

#include "tasks/babi_format.hpp"

#include <span>

namespace mneme::babi {

class Vocabulary {
 public:
  Vocabulary() = default;
  /// The words of statements, questions and answers (a list's words one by one), and the distinct answers; sorted.
  explicit Vocabulary(std::span<const Stories> training);

  const std::vector<std::string>& words() const { return words_; }
  const std::vector<std::string>& answers() const { return answers_; }
  /// words().size() where it is not known. Takes a lower-case word.
  std::int32_t word(std::string_view word) const { return find(words_, word); }
  /// answers().size() where it is not known. Any case.
  std::int32_t answer(std::string_view answer) const;

 private:
  static std::int32_t find(const std::vector<std::string>& sorted, std::string_view word);
  std::vector<std::string> words_, answers_;
};

/// Statements one after the other, questions that refer to them; memory is linear in the text.
struct Encoded {
  struct Item {
    int task = 0;
    std::uint32_t first = 0, end = 0;  ///< statements [first, end)
    std::uint32_t word_begin = 0, word_end = 0;
    std::uint32_t support_begin = 0, support_end = 0;
    std::int32_t answer = 0;
  };
  std::vector<std::int32_t> words;   ///< of all statements and questions
  std::vector<std::uint32_t> begin;  ///< statement s has words [begin[s], end[s])
  std::vector<std::uint32_t> end;
  std::vector<std::uint32_t> support;  ///< places of statements
  std::vector<Item> questions;

  std::size_t unknown_words = 0, unseen_answers = 0;
  std::size_t longest_statement = 0, longest_question = 0;  ///< in words
  std::size_t longest_story = 0;                            ///< statements before a question

  /// Appends; questions remember the number of their task.
  void add(const Stories& stories, const Vocabulary& vocabulary, int task);
};

}  // namespace mneme::babi
