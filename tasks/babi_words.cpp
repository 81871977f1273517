// Room: tasks. bAbI stories as numbers.
#include "tasks/babi_words.hpp"

#include <algorithm>
#include <set>

namespace mneme::babi {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string s(text);
  for (char& c : s) c = lower(c);
  return s;
}

template <class F>
void each_word(std::string_view text, F&& f) {
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? lower(text[i]) : ' ';
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      word += c;
    } else if (!word.empty()) {
      f(word);
      word.clear();
    }
  }
}

}  // namespace

Vocabulary::Vocabulary(std::span<const Stories> training) {
  std::set<std::string> words, answers;
  const auto collect = [&](const std::string& text) {
    each_word(text, [&](const std::string& w) { words.insert(w); });
  };
  for (const Stories& stories : training) {
    for (const Statement& s : stories.statements) collect(s.text);
    for (const Question& q : stories.questions) {
      collect(q.text);
      collect(q.answer);
      answers.insert(lower(q.answer));
    }
  }
  words_.assign(words.begin(), words.end());
  answers_.assign(answers.begin(), answers.end());
}

std::int32_t Vocabulary::find(const std::vector<std::string>& sorted, std::string_view word) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), word);
  return static_cast<std::int32_t>((at != sorted.end() && *at == word ? at : sorted.end()) - sorted.begin());
}

std::int32_t Vocabulary::answer(std::string_view answer) const {
  return find(answers_, lower(answer));
}

void Encoded::add(const Stories& stories, const Vocabulary& vocabulary, int task) {
  const auto base = static_cast<std::uint32_t>(begin.size());
  const auto encode = [&](const std::string& text) {
    const auto from = static_cast<std::uint32_t>(words.size());
    each_word(text, [&](const std::string& w) {
      words.push_back(vocabulary.word(w));
      unknown_words += words.back() == static_cast<std::int32_t>(vocabulary.words().size());
    });
    return from;
  };
  for (const Statement& s : stories.statements) {
    begin.push_back(encode(s.text));
    end.push_back(static_cast<std::uint32_t>(words.size()));
    longest_statement = std::max<std::size_t>(longest_statement, end.back() - begin.back());
  }
  for (const Question& q : stories.questions) {
    Item item;
    item.task = task;
    item.first = base + q.first;
    item.end = base + q.end;
    item.word_begin = encode(q.text);
    item.word_end = static_cast<std::uint32_t>(words.size());
    item.support_begin = static_cast<std::uint32_t>(support.size());
    for (std::uint32_t s : q.support) support.push_back(base + s);
    item.support_end = static_cast<std::uint32_t>(support.size());
    item.answer = vocabulary.answer(q.answer);
    unseen_answers += item.answer == static_cast<std::int32_t>(vocabulary.answers().size());
    longest_question = std::max<std::size_t>(longest_question, item.word_end - item.word_begin);
    longest_story = std::max<std::size_t>(longest_story, item.end - item.first);
    questions.push_back(item);
  }
}

}  // namespace mneme::babi
