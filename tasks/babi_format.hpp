// Room: tasks. The text format of the bAbI tasks (Weston et al. 2015), read and written.
//
//   1 Mary moved to the bathroom.
//   2 Where is Mary? <TAB>bathroom<TAB>1
//
// `ID text` is a statement; `ID question<TAB>answer<TAB>supporting IDs` a question about the statements before it in
// its story. IDs count lines from 1, which starts a story; supporting IDs name statements before the question, in any
// order, one blank between. Lines are printable ASCII and end in LF, the last one too. A statement may end in "?.", as
// some of the Hindi set do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mneme::babi {

struct Statement {
  std::uint32_t id = 1;  ///< 1 starts a story
  std::string text;
  bool operator==(const Statement&) const = default;
};

struct Question {
  std::string text;  ///< as written, with the blank that some sets have before the TAB
  std::string answer;
  std::uint32_t first = 0, end = 0;    ///< asked about Stories::statements[first, end)
  std::vector<std::uint32_t> support;  ///< places in Stories::statements, in the order written
  bool operator==(const Question&) const = default;
};

/// The stories of one file. Memory is linear in its length.
struct Stories {
  std::vector<Statement> statements;  ///< of all stories, in order
  std::vector<Question> questions;    ///< in order

  /// Tell a story line by line: say() returns the statement's place. A story begins with a statement.
  void begin() { line_ = 0; }
  std::uint32_t say(std::string text);
  void ask(std::string text, std::string answer, std::vector<std::uint32_t> support);

  /// In the format above; parse() of it is equal to this.
  std::string text() const;

  bool operator==(const Stories& other) const { return statements == other.statements && questions == other.questions; }

 private:
  std::uint32_t line_ = 0;   // the last line's ID; 0 = the next one starts a story
  std::uint32_t first_ = 0;  // the current story's first statement
};

/// Throws FileError "[NAME:LINE] what" where the text breaks the format: what is no such line, IDs that do not count,
/// other bytes than printable ASCII (CR LF included), a question with other than two TABs (a line without any is one
/// where nothing or a word follows a '?'), without answer or without a statement before it, supporting IDs that do not
/// exist, stand twice, are questions or do not stand before the question.
Stories parse(std::string_view text, const std::string& name);

/// parse() of a file. Throws RuntimeFailure where it cannot be read. `digest`, where given, becomes that of itself and
/// the file's bytes, 16 hex digits.
Stories read(const std::filesystem::path& file, std::string* digest = nullptr);

/// The one file qaNUMBER_*_PART.txt of a directory that the option `key` gave; `part` is "train" or "test". Throws
/// ArgumentError where there is none, or more than one.
std::filesystem::path find_file(const std::filesystem::path& directory, int number, const std::string& part,
                                const std::string& key = "task.data");
/// The same, but an empty path where there is none: "valid" is in some releases only.
std::filesystem::path find_file_if_any(const std::filesystem::path& directory, int number, const std::string& part,
                                       const std::string& key = "task.data");

/// "qa3_own_test.txt": how a file of stories of our own making is named.
std::string own_file(int number, const std::string& part);
/// Whether a directory has files of such names.
bool holds_own_stories(const std::filesystem::path& directory);

}  // namespace mneme::babi
