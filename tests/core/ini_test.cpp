// INI text: what is read, what is refused and where, and that writing is the inverse.
#include "core/ini.hpp"

#include "core/error.hpp"

#include <gtest/gtest.h>

namespace mneme {
namespace {

std::string complaint(const std::string& text) {
  try {
    read_ini(text, "x.ini");
  } catch (const ArgumentError& e) {
    return e.what();
  }
  return "none";
}

TEST(Ini, KeysCommentsAndQuotes) {
  const auto e = read_ini(
      "# first\n; second\nseed = 3\n\n  [train]  # section\r\nbatch=4\r\nname = a # b\nhash = a#b\n"
      "quoted = \" a # b \\\"c\\\\\"  ; end\nempty =\n",
      "x.ini");
  const std::vector<std::pair<std::string, std::string>> expected = {{"seed", "3"},
                                                                     {"train.batch", "4"},
                                                                     {"train.name", "a"},
                                                                     {"train.hash", "a#b"},
                                                                     {"train.quoted", " a # b \"c\\"},
                                                                     {"train.empty", ""}};
  ASSERT_EQ(e.size(), expected.size());
  for (std::size_t i = 0; i < e.size(); ++i) {
    EXPECT_EQ(e[i].key, expected[i].first);
    EXPECT_EQ(e[i].value, expected[i].second);
  }
  EXPECT_EQ(e[0].line, 3u);
  EXPECT_EQ(e[1].line, 6u);
}

TEST(Ini, MalformedTextSaysFileAndLine) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"seed = 1\nbatch\n", "[x.ini:2] 'batch' is neither [section], key = value nor a comment"},
      {"[train\n", "[x.ini:1] '[train' is not closed by ]"},
      {"[]\n", "[x.ini:1] '' is no name of a section"},
      {"[a] b\n", "[x.ini:1] 'b' stands behind the section's name"},
      {"\n= 3\n", "[x.ini:2] '' is no name of a key"},
      {"a b = 3\n", "[x.ini:1] 'a b' is no name of a key"},
      {"a = \"b\n", "[x.ini:1] the quote is not closed"},
      {"a = \"b\" c\n", "[x.ini:1] 'c' stands behind the closing quote"},
      {"[train]\nbatch = 1\n[task]\n[train]\nbatch = 2\n",
       "[x.ini:5] train.batch is given again; line 2 has it already"},
  };
  for (const auto& [text, message] : bad) EXPECT_EQ(complaint(text), message) << text;
  EXPECT_NE(complaint(std::string("a\0b", 3)).find("holds a zero byte"), std::string::npos);
}

TEST(Ini, WritingIsTheInverseOfReading) {
  const std::vector<std::pair<std::string, std::string>> entries = {
      {"seed", "1"},        {"a.plain", "x y"}, {"a.blank", " x"}, {"a.hash", "x # y"},
      {"a.quote", "\"x\\"}, {"b.empty", ""},    {"b.semi", ";"}};
  const auto back = read_ini(write_ini(entries), "x.ini");
  ASSERT_EQ(back.size(), entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(back[i].key, entries[i].first);
    EXPECT_EQ(back[i].value, entries[i].second);
  }
  EXPECT_THROW(write_ini({{"a", "x\ny"}}), ArgumentError);
  for (const std::string value :
       {"#", ";x", " # ", "a #b", "\"", "\"a\" b", "\\", "\\\"", "[task]", "= =", "a = b", "\t", "cr\rin", "end\r",
        "\xff", "\xef\xbb\xbf", "$(x) `x` 'x' %s", "\x1b[2J", "\"\\ #"}) {
    const auto read = read_ini(write_ini({{"a.b", value}, {"a.c", "1"}}), "x.ini");
    ASSERT_EQ(read.size(), 2u) << value;
    EXPECT_EQ(read[0].value, value);
  }
}

}  // namespace
}  // namespace mneme
