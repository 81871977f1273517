// Declared options: every type, its default and domain, and the text of every error.
#include "core/options.hpp"

#include "core/error.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <locale>

namespace mneme {
namespace {

template <class E, class F>
std::string message(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another exception: ") + e.what();
  }
  return "no exception";
}

OptionTable table() {
  OptionTable t;
  t.integer("slots", 128, 1, 1024, "N, memory slots")
      .real("rate", 1e-4, 0, 10, "learning rate")
      .flag("mixed", false, "each row its own length")
      .text("note", "none", "anything")
      .choice("addressing", "content", {"content", "location", "content_location"}, "scheme")
      .choices(
          "heads", "read,write",
          [] {
            return std::vector<std::string>{"read", "write", "erase"};
          },
          "heads")
      .range("length", {1, 20}, 1, 1000, "L, steps");
  return t;
}

using Given = std::map<std::string, std::string>;

std::string complaint(const Given& given, const std::string& section = "memory") {
  return message<ArgumentError>([&] { table().parse(section, given); });
}

TEST(Options, Defaults) {
  const Options o = table().parse("memory", {});
  EXPECT_EQ(o.integer("slots"), 128);
  EXPECT_EQ(o.size("slots"), 128u);
  EXPECT_EQ(o.real("rate"), 1e-4);
  EXPECT_FALSE(o.flag("mixed"));
  EXPECT_EQ(o.text("note"), "none");
  EXPECT_EQ(o.text("addressing"), "content");
  EXPECT_EQ(o.choices("heads"), (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(o.range("length"), (Range{1, 20}));
}

TEST(Options, OldNamesAreReadWhereverTheNameIs) {
  OptionTable t;
  t.integer("slots", 128, 1, 1024, "N").formerly("places").formerly("cells").path("data", "", "a folder");
  EXPECT_EQ(t.parse("memory", {{"places", "7"}}).integer("slots"), 7);
  EXPECT_EQ(t.parse("memory", {{"cells", "8"}}).integer("slots"), 8);
  EXPECT_EQ(t.parse("memory", {{"cells", "8"}}).items().front().first, "slots") << "written by today's name";
  EXPECT_EQ(t.find("places"), t.find("slots"));
  EXPECT_EQ(t.find("slots")->first_name(), "places");
  EXPECT_EQ(t.find("data")->first_name(), "data");
  EXPECT_EQ(message<ArgumentError>([&] {
              t.parse("memory", {{"places", "7"}, {"slots", "8"}});
            }),
            "[memory.slots] is given twice: as places and as slots, one of which is its old name");
  EXPECT_EQ(message<ArgumentError>([&] {
              t.parse("memory", {{"places", "0"}});
            }),
            "[memory.slots] '0' is out of range; it takes 1..1024");
  EXPECT_NE(message<InvariantError>([&] { t.flag("on", false, "").formerly("slots"); }).find("is taken"),
            std::string::npos);
}

TEST(Options, ARangeMayHaveAWordForAllOfIt) {
  OptionTable t;
  t.range("number", {1, 1}, 1, 20, "tasks", "all").range("length", {1, 2}, 1, 9, "steps");
  EXPECT_EQ(t.parse("task", {{"number", "all"}}).range("number"), (Range{1, 20}));
  EXPECT_EQ(t.parse("task", {{"number", "all"}}).items()[0].second, "1:20");
  EXPECT_EQ(message<ArgumentError>([&] {
              t.parse("task", {{"number", "al"}});
            }),
            "[task.number] 'al' is not a range low:high; it takes low:high in 1..20 or all");
  EXPECT_EQ(message<ArgumentError>([&] {
              t.parse("task", {{"length", "all"}});
            }),
            "[task.length] 'all' is not a range low:high; it takes low:high in 1..9");
}

TEST(Options, GivenValues) {
  const Options o = table().parse("memory", {{"slots", "1024"},
                                             {"rate", "2.5e-3"},
                                             {"mixed", "yes"},
                                             {"note", ""},
                                             {"addressing", "location"},
                                             {"heads", "erase"},
                                             {"length", "5:5"}});
  EXPECT_EQ(o.integer("slots"), 1024);
  EXPECT_EQ(o.real("rate"), 2.5e-3);
  EXPECT_TRUE(o.flag("mixed"));
  EXPECT_EQ(o.text("note"), "");
  EXPECT_EQ(o.text("addressing"), "location");
  EXPECT_EQ(o.choices("heads"), std::vector<std::string>{"erase"});
  EXPECT_EQ(o.range("length"), (Range{5, 5}));
}

TEST(Options, OneNumberIsARange) {
  EXPECT_EQ(table().parse("task", {{"length", "20"}}).range("length"), (Range{20, 20}));
}

TEST(Options, Flags) {
  for (const char* yes : {"true", "yes", "on", "1"}) EXPECT_TRUE(table().parse("", {{"mixed", yes}}).flag("mixed"));
  for (const char* no : {"false", "no", "off", "0"}) EXPECT_FALSE(table().parse("", {{"mixed", no}}).flag("mixed"));
}

TEST(Options, ItemsKeepTheOrderOfDeclaration) {
  const Options o = table().parse("memory", {{"rate", "1"}});
  ASSERT_EQ(o.items().size(), 7u);
  EXPECT_EQ(o.items()[0], (std::pair<std::string, std::string>{"slots", "128"}));
  EXPECT_EQ(o.items()[1], (std::pair<std::string, std::string>{"rate", "1"}));
  EXPECT_EQ(o.items()[6], (std::pair<std::string, std::string>{"length", "1:20"}));
}

TEST(Options, ItemsParseBackToTheSame) {
  const Options o = table().parse("memory", {{"rate", "0.1"}, {"length", "3"}});
  const Options again = table().parse("memory", Given(o.items().begin(), o.items().end()));
  EXPECT_EQ(o.items(), again.items());
}

TEST(Options, Domains) {
  const OptionTable t = table();
  EXPECT_EQ(t.find("slots")->domain(), "1..1024");
  EXPECT_EQ(t.find("rate")->domain(), "0..10");
  EXPECT_EQ(t.find("mixed")->domain(), "true|false");
  EXPECT_EQ(t.find("note")->domain(), "text");
  EXPECT_EQ(t.find("addressing")->domain(), "content|location|content_location");
  EXPECT_EQ(t.find("heads")->domain(), "comma list of read|write|erase");
  EXPECT_EQ(t.find("length")->domain(), "low:high in 1..1000");
  EXPECT_EQ(t.find("nothing"), nullptr);
}

TEST(Options, UnknownKeyNamesTheNearestAndAll) {
  EXPECT_EQ(complaint({{"slot", "3"}}),
            "[memory.slot] unknown key 'slot', did you mean 'slots'? There are: slots, rate, mixed, note, addressing, "
            "heads, length");
  EXPECT_EQ(complaint({{"zzzzzzzz", "3"}}, ""),
            "[zzzzzzzz] unknown key 'zzzzzzzz'. There are: slots, rate, mixed, note, addressing, heads, length");
}

TEST(Options, IntegerErrors) {
  EXPECT_EQ(complaint({{"slots", "0"}}), "[memory.slots] '0' is out of range; it takes 1..1024");
  EXPECT_EQ(complaint({{"slots", "1025"}}), "[memory.slots] '1025' is out of range; it takes 1..1024");
  EXPECT_EQ(complaint({{"slots", "-5"}}), "[memory.slots] '-5' is out of range; it takes 1..1024");
  for (const char* bad : {"", "12.5", "nan", "12 ", " 12", "+12", "0x10", "twelve"})
    EXPECT_EQ(complaint({{"slots", bad}}),
              std::string("[memory.slots] '") + bad + "' is not a whole number; it takes 1..1024");
}

TEST(Options, AWholeNumberMayBeWrittenAsAPower) {
  EXPECT_EQ(table().parse("", {{"slots", "1e3"}}).integer("slots"), 1000);
  EXPECT_EQ(table().parse("", {{"length", "1:1e2"}}).range("length"), (Range{1, 100}));
  for (const char* large : {"99999999999999999999", "1e5", "-1e300"})
    EXPECT_EQ(complaint({{"slots", large}}),
              std::string("[memory.slots] '") + large + "' is out of range; it takes 1..1024");
  EXPECT_EQ(complaint({{"slots", "15e-1"}}), "[memory.slots] '15e-1' is not a whole number; it takes 1..1024");
}

TEST(Options, RealErrors) {
  EXPECT_EQ(complaint({{"rate", "10.1"}}), "[memory.rate] '10.1' is out of range; it takes 0..10");
  EXPECT_EQ(complaint({{"rate", "-0.1"}}), "[memory.rate] '-0.1' is out of range; it takes 0..10");
  for (const char* bad : {"", "nan", "-nan", "inf", "-inf", "infinity", "1e999", "0,5", "1.0f", "half"})
    EXPECT_EQ(complaint({{"rate", bad}}),
              std::string("[memory.rate] '") + bad + "' is not a finite number; it takes 0..10");
}

TEST(Options, FlagErrors) {
  EXPECT_EQ(complaint({{"mixed", "maybe"}}), "[memory.mixed] 'maybe' is neither true nor false; it takes true|false");
}

TEST(Options, TextErrors) {
  EXPECT_EQ(complaint({{"note", "a\nb"}}), "[memory.note] 'a\nb' has more than one line; it takes text");
}

TEST(Options, ChoiceErrors) {
  EXPECT_EQ(complaint({{"addressing", "contnt"}}),
            "[memory.addressing] 'contnt' does not exist, did you mean 'content'?; it takes "
            "content|location|content_location");
  EXPECT_EQ(complaint({{"addressing", "xyzxyz"}}),
            "[memory.addressing] 'xyzxyz' does not exist; it takes content|location|content_location");
  EXPECT_EQ(complaint({{"heads", "read,raed"}}),
            "[memory.heads] 'read,raed' names 'raed', which does not exist (did you mean 'read'?); it takes comma list "
            "of read|write|erase");
  EXPECT_EQ(complaint({{"heads", "read,"}}),
            "[memory.heads] 'read,' names '', which does not exist; it takes comma list of read|write|erase");
}

TEST(Options, RangeErrors) {
  EXPECT_EQ(complaint({{"length", "20:1"}}, "task"),
            "[task.length] '20:1' has its low end above its high end; it takes low:high in 1..1000");
  EXPECT_EQ(complaint({{"length", "0:5"}}, "task"),
            "[task.length] '0:5' is out of range; it takes low:high in 1..1000");
  EXPECT_EQ(complaint({{"length", "5:1001"}}, "task"),
            "[task.length] '5:1001' is out of range; it takes low:high in 1..1000");
  EXPECT_EQ(complaint({{"length", "-3:-1"}}, "task"),
            "[task.length] '-3:-1' is out of range; it takes low:high in 1..1000");
  for (const char* bad : {"", ":", "1:", ":5", "1-5", "1:2:3", "a:b", "1.5:2"})
    EXPECT_EQ(complaint({{"length", bad}}, "task"),
              std::string("[task.length] '") + bad + "' is not a range low:high; it takes low:high in 1..1000");
}

TEST(Options, MessagesSayWhereAValueCameFrom) {
  const auto where = [](const std::string&) { return std::string("copy.ini:12"); };
  EXPECT_EQ(message<ArgumentError>([&] {
              table().parse("memory", {{"slots", "x"}}, where);
            }),
            "[copy.ini:12: memory.slots] 'x' is not a whole number; it takes 1..1024");
  EXPECT_EQ(
      message<ArgumentError>([&] {
        table().parse("memory", {{"slotz", "1"}}, where);
      }),
      "[copy.ini:12: memory.slotz] unknown key 'slotz', did you mean 'slots'? There are: slots, rate, mixed, note, "
      "addressing, heads, length");
  const auto flag = [](const std::string& key) { return "--memory." + key; };
  EXPECT_EQ(message<ArgumentError>([&] {
              table().parse("memory", {{"slots", "x"}}, flag);
            }),
            "[--memory.slots] 'x' is not a whole number; it takes 1..1024")
      << "an origin that names the key says enough";
}

TEST(Options, ReadingWhatWasNotDeclaredOrAsAnotherType) {
  const Options o = table().parse("memory", {});
  EXPECT_EQ(message<InvariantError>([&] { o.integer("width"); }), "[options] 'width' was never declared");
  const std::string wrong = "' was declared as another type than it is read as";
  EXPECT_EQ(message<InvariantError>([&] { o.integer("rate"); }), "[options] 'rate" + wrong);
  EXPECT_EQ(message<InvariantError>([&] { o.real("slots"); }), "[options] 'slots" + wrong);
  EXPECT_EQ(message<InvariantError>([&] { o.flag("note"); }), "[options] 'note" + wrong);
  EXPECT_EQ(message<InvariantError>([&] { o.text("length"); }), "[options] 'length" + wrong);
  EXPECT_EQ(message<InvariantError>([&] { o.range("slots"); }), "[options] 'slots" + wrong);
  EXPECT_EQ(message<InvariantError>([&] { o.choices("addressing"); }), "[options] 'addressing" + wrong);
}

TEST(Options, ANegativeNumberIsNoSize) {
  OptionTable t;
  t.integer("shift", -1, -5, 5, "slots to the right");
  const Options o = t.parse("memory", {});
  EXPECT_EQ(o.integer("shift"), -1);
  EXPECT_EQ(message<InvariantError>([&] { o.size("shift"); }), "[options] 'shift' is -1 and read as a size");
}

// What the table itself says is held to its own rules: every default would otherwise be the user's mistake.
TEST(Options, ADefaultIsInsideItsDomain) {
  EXPECT_EQ(message<InvariantError>([] { OptionTable().integer("slots", 0, 1, 5, "N"); }),
            "[options] the default of 'slots': '0' is out of range; it takes 1..5");
  EXPECT_EQ(message<InvariantError>([] {
              OptionTable().range("length", {3, 2}, 1, 5, "L");
            }),
            "[options] the default of 'length': '3:2' has its low end above its high end; it takes low:high in 1..5");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(message<InvariantError>([&] { OptionTable().real("rate", nan, 0, 1, ""); }),
            "[options] the default of 'rate': 'nan' is not a finite number; it takes 0..1");
}

// Another locale's decimal comma, digits grouped by points: what an embedding program may have set.
TEST(Options, NumbersDoNotFollowTheLocale) {
  struct Comma final : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  const std::locale before = std::locale::global(std::locale(std::locale(), new Comma));
  const Options o = table().parse("memory", {{"rate", "2.5"}, {"slots", "1000"}});
  EXPECT_EQ(o.real("rate"), 2.5);
  EXPECT_EQ(o.integer("slots"), 1000);
  EXPECT_EQ(table().find("length")->domain(), "low:high in 1..1000");
  EXPECT_EQ(OptionTable().real("rate", 2.5, 0, 10, "").find("rate")->standard, "2.5");
  EXPECT_NE(complaint({{"rate", "2,5"}}), "no exception");
  std::locale::global(before);
}

TEST(Options, ANameIsDeclaredOnce) {
  EXPECT_EQ(message<InvariantError>([] { table().flag("slots", true, "again"); }),
            "[options] 'slots' is declared twice");
}

TEST(Options, LargeIntegersAreExact) {
  OptionTable t;
  t.integer("n", 1'000'000'000'000, 0, 1'000'000'000'000, "many");
  EXPECT_EQ(t.parse("", {}).integer("n"), 1'000'000'000'000);
  EXPECT_EQ(t.find("n")->domain(), "0..1000000000000");
}

}  // namespace
}  // namespace mneme
