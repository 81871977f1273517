// The bAbI format: what is read, what is refused and with which words, and what mutated files come to.
#include "tasks/babi_format.hpp"

#include "core/error.hpp"
#include "tasks/babi_words.hpp"
#include "tasks/babi_worlds.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace mneme::babi {
namespace {

const std::string kStory =
    "1 Mary moved to the bathroom.\n"
    "2 John got the football there.\n"
    "3 Where is Mary? \tbathroom\t1\n"
    "4 Mary left the milk.\n"
    "5 What is John carrying?\tfootball,apple\t2 1 4\n"
    "1 The office is north of the hall.\n"
    "2 What is north of the hall?\toffice\t1\n";

std::string complaint(const std::string& text) {
  try {
    parse(text, "qa1.txt");
  } catch (const FileError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(BabiFormat, ReadsStoriesAndQuestions) {
  const Stories s = parse(kStory, "qa1.txt");
  ASSERT_EQ(s.statements.size(), 4u);
  EXPECT_EQ(s.statements[1].text, "John got the football there.");
  EXPECT_EQ(s.statements[2].id, 4u) << "questions use up an ID";
  EXPECT_EQ(s.statements[3].id, 1u);
  ASSERT_EQ(s.questions.size(), 3u);
  EXPECT_EQ(s.questions[0], (Question{"Where is Mary? ", "bathroom", 0, 2, {0}}));
  EXPECT_EQ(s.questions[1], (Question{"What is John carrying?", "football,apple", 0, 3, {1, 0, 2}}));
  EXPECT_EQ(s.questions[2], (Question{"What is north of the hall?", "office", 3, 4, {3}}));
}

TEST(BabiFormat, WritesWhatItRead) {
  EXPECT_EQ(parse(kStory, "").text(), kStory);
  const std::string end_without_question = kStory + "1 Mary slept.\n2 John left.\n";
  EXPECT_EQ(parse(end_without_question, "").text(), end_without_question);
  const std::string two_questions = "1 Mary slept.\n2 Who slept?\tmary\t1\n3 Who slept? \tMary\t1\n4 John left.\n";
  EXPECT_EQ(parse(two_questions, "").text(), two_questions);
}

// Small files in the forms of the other published sets.
TEST(BabiFormat, ReadsThePublishedSets) {
  const std::string hindi =  // hn: statements may end in "?."
      "1 Billi chuhe se darti hai .\n2 Mina billi hai ?.\n3 Mina kis se darti hai?\tchuhe\t2 1\n"
      "4 Tara kya hai ? .\n5 Lila chuha hai?.\n6 Lila kis se darti hai ? \tbilli\t5 1\n";
  const Stories s = parse(hindi, "qa15_basic-deduction_train.txt");
  ASSERT_EQ(s.statements.size(), 4u);
  EXPECT_EQ(s.statements[1].text, "Mina billi hai ?.");
  EXPECT_EQ(s.questions.at(0).support, (std::vector<std::uint32_t>{1, 0}));
  EXPECT_EQ(s.text(), hindi);
  const std::string shuffled =  // letters permuted, all else as in en
      "1 Hbvn ztuqk jt jdq abjdvttz.\n2 Ptds xqsj jt jdq dbwwxbn.\n3 Xdqvq rf Hbvn? \tabjdvttz\t1\n";
  EXPECT_EQ(parse(shuffled, "").text(), shuffled);
  EXPECT_EQ(complaint("1 Mina billi hai ?\n"),
            "[qa1.txt:1] a question without TAB, answer, TAB and supporting IDs: 'Mina billi hai ?'");
  EXPECT_EQ(complaint("1 Mina billi hai ?!\n"),
            "[qa1.txt:1] a question without TAB, answer, TAB and supporting IDs: 'Mina billi hai ?!'");
  EXPECT_EQ(complaint("1 Mina?. 2.\n"),
            "[qa1.txt:1] a question without TAB, answer, TAB and supporting IDs: 'Mina?. 2.'");
}

TEST(BabiFormat, TellsWhatItReads) {
  Stories s;
  s.begin();
  const auto first = s.say("Mary slept.");
  s.ask("Who slept?", "Mary", {first});
  s.begin();
  EXPECT_THROW(s.ask("Who?", "Mary", {}), InvariantError);
  s.say("John left.");
  EXPECT_EQ(s.text(), "1 Mary slept.\n2 Who slept?\tMary\t1\n1 John left.\n");
  EXPECT_EQ(parse(s.text(), ""), s);
}

TEST(BabiFormat, RefusesOtherFormats) {
  EXPECT_EQ(complaint(""), "[qa1.txt] the file is empty");
  EXPECT_EQ(complaint("{\"story\": 1}\n"), "[qa1.txt:1] '{\"story\": 1}' is no line 'ID text' of the bAbI format");
  EXPECT_EQ(complaint("1 Mary slept.\n\n"), "[qa1.txt:2] '' is no line 'ID text' of the bAbI format");
  EXPECT_EQ(complaint("0.61 0.42 output 1 3 2 1 \n"),
            "[qa1.txt:1] '0.61 0.42 output 1 3 2 1 ' is no line 'ID text' of the bAbI format");
  EXPECT_EQ(complaint("1\tMary slept.\n"), "[qa1.txt:1] '1?Mary slept.' is no line 'ID text' of the bAbI format");
  EXPECT_EQ(complaint("01 Mary slept.\n"), "[qa1.txt:1] '01 Mary slept.' is no line 'ID text' of the bAbI format");
  EXPECT_EQ(complaint("1 Mary slept.\n-2 John left.\n"),
            "[qa1.txt:2] '-2 John left.' is no line 'ID text' of the bAbI format");
  EXPECT_EQ(complaint("1234567890 Mary slept.\n"),
            "[qa1.txt:1] '1234567890 Mary slept.' is no line 'ID text' of the bAbI format");
  EXPECT_EQ(complaint("1  Mary slept.\n"), "[qa1.txt:1] one blank, then text must follow the ID: '1  Mary slept.'");
  EXPECT_EQ(complaint("1 \n"), "[qa1.txt:1] one blank, then text must follow the ID: '1 '");
  EXPECT_EQ(complaint("1 ...\n"), "[qa1.txt:1] a statement without a word: '...'");
}

TEST(BabiFormat, RefusesOtherBytesAndLineEnds) {
  EXPECT_EQ(complaint("1 Mary slept.\r\n"), "[qa1.txt:1] the line ends in CR LF; the format has LF alone");
  EXPECT_EQ(complaint("1 Mary sl\rept.\n"), "[qa1.txt:1] byte 0x0d at column 10; the format is printable ASCII");
  EXPECT_EQ(complaint("1 Mary slept.\n2 Zo\xc3\xab left.\n"),
            "[qa1.txt:2] byte 0xc3 at column 5; the format is printable ASCII");
  EXPECT_EQ(complaint(std::string("1 Mary\0slept.\n", 14)),
            "[qa1.txt:1] byte 0x00 at column 7; the format is printable ASCII");
  EXPECT_EQ(complaint("1 Mary slept.\n2 John"),
            "[qa1.txt:2] the last line has no line end, so the file may have been cut off: '2 John'");
}

TEST(BabiFormat, RefusesIdsThatDoNotCount) {
  EXPECT_EQ(complaint("2 Mary slept.\n"), "[qa1.txt:1] the first line has ID 2; a story starts at 1");
  EXPECT_EQ(complaint("1 Mary slept.\n3 John left.\n"),
            "[qa1.txt:2] ID 3 after 1; IDs count 1, 2, 3, ... and start again at 1 with each story");
  EXPECT_EQ(complaint("1 Mary slept.\n2 John left.\n2 John left.\n"),
            "[qa1.txt:3] ID 2 after 2; IDs count 1, 2, 3, ... and start again at 1 with each story");
  EXPECT_EQ(complaint("1 Mary slept.\n0 John left.\n"),
            "[qa1.txt:2] ID 0 after 1; IDs count 1, 2, 3, ... and start again at 1 with each story");
}

TEST(BabiFormat, RefusesBrokenQuestions) {
  EXPECT_EQ(complaint("1 Mary slept.\n2 Who slept?\n"),
            "[qa1.txt:2] a question without TAB, answer, TAB and supporting IDs: 'Who slept?'");
  EXPECT_EQ(complaint("1 Mary slept.\n2 Who slept?  Mary 1\n"),  // both TABs lost on the way
            "[qa1.txt:2] a question without TAB, answer, TAB and supporting IDs: 'Who slept?  Mary 1'");
  EXPECT_EQ(complaint("1 Mary slept.\n2 Who slept?\tMary\n"),
            "[qa1.txt:2] a question has 2 TABs: question, answer, supporting IDs; this line has 1: 'Who slept??Mary'");
  EXPECT_EQ(complaint("1 Mary slept.\n2 Who slept?\tMary\t1\t1\n"),
            "[qa1.txt:2] a question has 2 TABs: question, answer, supporting IDs; this line has 3: "
            "'Who slept??Mary?1?1'");
  EXPECT_EQ(complaint("1 Mary slept.\n2 Who slept?\t\t1\n"), "[qa1.txt:2] the question 'Who slept?' has no answer");
  EXPECT_EQ(complaint("1 Mary slept.\n2 Who slept?\t, \t1\n"), "[qa1.txt:2] the question 'Who slept?' has no answer");
  EXPECT_EQ(complaint("1 Mary slept.\n2 Who slept?\t Mary\t1\n"), "[qa1.txt:2] blanks around the answer ' Mary'");
  EXPECT_EQ(complaint("1 Mary slept.\n2 ?\tMary\t1\n"), "[qa1.txt:2] a question without a word: '?'");
  EXPECT_EQ(complaint("1 Mary slept.\n1 Who slept?\tMary\t1\n"),
            "[qa1.txt:2] a story starts with the question 'Who slept?'; it has no statement to ask about");
}

TEST(BabiFormat, RefusesSupportThatIsNone) {
  const auto with = [](const std::string& ids) {
    return complaint("1 Mary slept.\n2 Who slept?\tMary\t1\n3 John left.\n4 Who left?\tJohn\t" + ids + "\n");
  };
  EXPECT_EQ(with("3"), "accepted");
  EXPECT_EQ(with("3 1"), "accepted");
  EXPECT_EQ(with(""), "[qa1.txt:4] no supporting IDs after the second TAB");
  EXPECT_EQ(with("0"), "[qa1.txt:4] supporting ID 0 does not exist; IDs count from 1");
  EXPECT_EQ(with("3 3"), "[qa1.txt:4] supporting ID 3 stands twice");
  EXPECT_EQ(with("1 3 1"), "[qa1.txt:4] supporting ID 1 stands twice");
  EXPECT_EQ(with("3 2"), "[qa1.txt:4] supporting ID 2 is a question, not a statement");
  EXPECT_EQ(with("4"), "[qa1.txt:4] supporting ID 4 is the question itself");
  EXPECT_EQ(with("5"), "[qa1.txt:4] supporting ID 5 does not stand before the question, which has ID 4");
  for (const char* ids : {"3 ", " 3", "3  1", "3,1", "three", "03", "-3", "3.0", "99999999999999999999"})
    EXPECT_EQ(with(ids), fmt::format("[qa1.txt:4] supporting IDs '{}': they are numbers with one blank between", ids));
}

TEST(BabiFormat, FilesAndDirectories) {
  const auto dir = std::filesystem::path(testing::TempDir()) / ("babi_format_test_" + std::to_string(::getpid()));
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  const auto message = [](auto&& f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message([&] { find_file(dir, 1, "train"); }),
            fmt::format("[task.data] no file qa1_*_train.txt in '{}'", dir.string()));
  EXPECT_EQ(message([&] { find_file(dir / "none", 1, "train"); }),
            fmt::format("[task.data] '{}' is no directory that can be read", (dir / "none").string()));
  std::ofstream(dir / "qa1_one_train.txt") << kStory;
  std::ofstream(dir / "qa11_eleven_train.txt") << kStory;
  EXPECT_EQ(find_file(dir, 1, "train").filename(), "qa1_one_train.txt");
  EXPECT_TRUE(find_file_if_any(dir, 1, "valid").empty());
  std::ofstream(dir / "qa1_valid.txt") << kStory;  // en-valid names its files so
  EXPECT_EQ(find_file_if_any(dir, 1, "valid").filename(), "qa1_valid.txt");
  EXPECT_EQ(read(find_file(dir, 1, "train")).text(), kStory);
  std::ofstream(dir / "qa1_another_train.txt") << kStory;
  EXPECT_NE(message([&] { find_file(dir, 1, "train"); }).find("are files qa1_*_train.txt"), std::string::npos);
  std::ofstream(dir / "bad.txt") << "1 Mary slept.\n3 John left.\n";
  EXPECT_EQ(message([&] { read(dir / "bad.txt"); }),
            fmt::format("[{}:2] ID 3 after 1; IDs count 1, 2, 3, ... and start again at 1 with each story",
                        (dir / "bad.txt").string()));
  EXPECT_EQ(message([&] { read(dir / "none.txt"); }), fmt::format("[{}] cannot be read", (dir / "none.txt").string()));
  EXPECT_EQ(message([&] { read(dir); }), fmt::format("[{}] cannot be read", dir.string()));
  std::filesystem::remove_all(dir);
}

// What the format is, once more and in another way: regular expressions for lines, a list of what each ID was.
bool is_format(const std::string& text) {
  static const std::regex statement("([1-9][0-9]{0,8}) ([!-~][ -~]*)");
  static const std::regex question("([1-9][0-9]{0,8}) ([!-~][ -~]*)\t([!-~]|[!-~][ -~]*[!-~])\t([0-9]+(?: [0-9]+)*)");
  static const std::regex word("[A-Za-z0-9]"), odd(".*[?][^A-Za-z0-9?]*[.][^A-Za-z0-9?]*");
  if (text.empty() || text.back() != '\n') return false;
  std::istringstream in(text);
  std::vector<bool> is_statement;
  for (std::string line; std::getline(in, line);) {
    std::smatch m;
    const bool asks = std::regex_match(line, m, question);
    if (!asks && !std::regex_match(line, m, statement)) return false;
    const std::string body = m[2];
    if (!std::regex_search(body, word)) return false;
    if (m[1] == "1")
      is_statement.clear();
    else if (is_statement.empty() || m[1] != std::to_string(is_statement.size() + 1))
      return false;
    if (asks) {
      const std::string answer = m[3];
      if (!std::regex_search(answer, word) || is_statement.empty()) return false;
      std::istringstream ids(m[4]);
      std::set<std::string> once;
      for (std::string id; ids >> id;) {
        bool found = false;
        for (std::size_t i = 0; i < is_statement.size(); ++i)
          found = found || (is_statement[i] && id == std::to_string(i + 1));
        if (!found || !once.insert(id).second) return false;
      }
    } else if (body.find('?') != std::string::npos && !std::regex_match(body, odd)) {
      return false;
    }
    is_statement.push_back(!asks);
  }
  return true;
}

std::string mutated(std::string text, Random& random) {
  const auto below = [&](std::size_t n) {
    return static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(n) - 1));
  };
  static const std::string interesting = "\t\n\r 0123456789.,?aZ~\x7f\x80\xff";
  for (std::size_t edits = 1 + below(3); edits > 0 && !text.empty(); --edits) {
    const std::size_t at = below(text.size());
    const std::size_t line = text.rfind('\n', at) == std::string::npos || at == 0 ? 0 : text.rfind('\n', at - 1) + 1;
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    switch (below(9)) {
      case 0: text[at] = static_cast<char>(random.bits()); break;
      case 1: text[at] = interesting[below(interesting.size())]; break;
      case 2: text.insert(at, 1, interesting[below(interesting.size())]); break;
      case 3: text.erase(at, 1 + below(3)); break;
      case 4: text.resize(at); break;
      case 5:
        if (line < end) text.erase(line, end - line);
        break;
      case 6:
        if (line < end) text.insert(line, std::string(text, line, end - line));
        break;
      case 7: text.insert(line, std::to_string(below(12)) + " "); break;
      default: {  // another number where one stands
        std::size_t digit = at;
        while (digit < text.size() && !std::isdigit(static_cast<unsigned char>(text[digit]))) ++digit;
        if (digit < text.size()) text.replace(digit, 1, std::to_string(below(14)));
      }
    }
  }
  return text;
}

// 10,000 mutated files: refused with a line number exactly where the other checker refuses; what is accepted is
// written back to the byte, and can be made into numbers.
TEST(BabiFormat, MutatedFiles) {
  std::size_t accepted = 0, files = 0;
  for (std::uint64_t seed = 0; files < 10000; ++seed) {
    const int number = 1 + static_cast<int>(seed % 20);
    const std::string whole = tell(number, {}, seed, "fuzz", 1 + seed % 4).text();
    ASSERT_TRUE(is_format(whole)) << whole;
    for (std::uint64_t i = 0; i < 10; ++i, ++files) {
      Random random(seed, "mutations", i);
      const std::string text = mutated(whole, random);
      const bool good = is_format(text);
      try {
        const std::vector<Stories> stories = {parse(text, "f")};
        ASSERT_TRUE(good) << "accepted: " << text;
        ASSERT_EQ(stories[0].text(), text);
        Encoded encoded;
        encoded.add(stories[0], Vocabulary(stories), 1);
        ASSERT_EQ(encoded.unknown_words + encoded.unseen_answers, 0u);
        ++accepted;
      } catch (const FileError& e) {
        ASSERT_FALSE(good) << "refused: " << e.what() << "\n" << text;
        ASSERT_EQ(std::string(e.what()).rfind(text.empty() ? "[f] " : "[f:", 0), 0u) << e.what();
      }
    }
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_LT(accepted, 9000u);
  RecordProperty("accepted", static_cast<int>(accepted));
}

TEST(BabiWords, VocabularyIsMadeOfTrainingAlone) {
  const std::vector<Stories> training = {
      parse("1 Mary got the Apple-pie.\n2 What is Mary carrying? \tapple,Milk\t1\n", "")};
  const Vocabulary v(training);
  EXPECT_EQ(v.words(),
            (std::vector<std::string>{"apple", "carrying", "got", "is", "mary", "milk", "pie", "the", "what"}));
  EXPECT_EQ(v.answers(), (std::vector<std::string>{"apple,milk"}));
  EXPECT_EQ(v.word("mary"), 4);
  EXPECT_EQ(v.word("john"), 9);
  EXPECT_EQ(v.answer("Apple,milk"), 0);
  EXPECT_EQ(v.answer("milk,apple"), 1) << "a list is one class, in its order";
  Encoded e;
  e.add(training[0], v, 8);
  EXPECT_EQ(e.unknown_words, 0u);
  EXPECT_EQ(e.unseen_answers, 0u);
  e.add(parse("1 Mary slept.\n2 John got the milk.\n3 What is John carrying?\tmilk\t2\n", ""), v, 9);
  EXPECT_EQ(e.unknown_words, 3u);
  EXPECT_EQ(e.unseen_answers, 1u);
  EXPECT_EQ(e.words, (std::vector<std::int32_t>{4, 2, 7, 0, 6, 8, 3, 4, 1, 4, 9, 9, 2, 7, 5, 8, 3, 9, 1}));
  ASSERT_EQ(e.questions.size(), 2u);
  EXPECT_EQ(e.questions[1].task, 9);
  EXPECT_EQ(e.questions[1].first, 1u);
  EXPECT_EQ(e.questions[1].end, 3u);
  EXPECT_EQ(e.support[e.questions[1].support_begin], 2u);
  EXPECT_EQ(e.longest_statement, 5u);
  EXPECT_EQ(e.longest_question, 4u);
  EXPECT_EQ(e.longest_story, 2u);
}

}  // namespace
}  // namespace mneme::babi
