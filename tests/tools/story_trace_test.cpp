// Room: tests. Stories through the program: shown, drawn, exported, refused.
#include "core/json.hpp"
#include "tests/tools/program.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <regex>

namespace mneme::tools_test {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string last_screen(const std::string& out) {
  const std::size_t at = out.rfind("\033[H");
  const std::size_t end = out.find("\033[J", at);
  return at == std::string::npos ? "" : out.substr(at, end - at);
}

/// Lines of a screen without their escape sequences.
std::vector<std::string> plain(const std::string& screen) {
  std::string text = std::regex_replace(screen, std::regex("\033\\[[0-9;?]*[A-Za-z]"), "");
  text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  return lines_of(text);
}

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// A run on stories of our own, barely trained, its training and then its test traced; made once.
const fs::path& story_run(const std::string& preset) {
  static const Scratch folder;
  static std::map<std::string, fs::path> runs;
  const auto [at, fresh] = runs.try_emplace(preset, folder / preset);
  if (fresh) {
    const std::string run = at->second.string();
    const Result train = mneme({"train", preset, "--task.number", "2:2", "--task.questions", "40", "--max-sequences",
                                "200", "--trace.level", "params", "--trace.every", "40", "--out", run});
    EXPECT_EQ(train.code, 0) << train.err;
    const Result eval = mneme({"eval", run, "--episodes", "20", "--traced", "4", "--trace.level", "params"});
    EXPECT_EQ(eval.code, 0) << eval.err;
  }
  return at->second;
}
const fs::path& items_run() {
  return story_run("babi_memn2n_single");
}

TEST(StoryTrace, OnePictureHasSentencesHopsQuestionAndAnswer) {
  Setting ascii;
  ascii.environment = {{"LC_ALL", "C"}};
  const Result r = mneme({"replay", items_run().string(), "--episode", "1"}, ascii);
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_FALSE(contains(r.out, "\033"));
  const auto lines = lines_of(r.out);
  EXPECT_TRUE(std::regex_search(r.out, std::regex("hop_0 +hop_1 +hop_2"))) << r.out;
  const std::regex row("[* ] +[0-9]+ [a-z0-9 ]+ +[01]\\.[0-9]{2} .. +[01]\\.[0-9]{2} .. +[01]\\.[0-9]{2} ..");
  std::size_t rows = 0, facts = 0;
  for (const std::string& line : lines) {
    rows += std::regex_match(line, row);
    facts += std::regex_match(line, row) && line[0] == '*';
  }
  const auto j = parse_json(mneme({"trace", "show", items_run().string(), "--episode", "1", "--json"}).out);
  EXPECT_EQ(rows, j["story"].size()) << r.out;
  EXPECT_EQ(facts, 2u) << "kind 2 has two supporting facts: " << r.out;
  EXPECT_TRUE(contains(r.out, "question: where is the ")) << r.out;
  EXPECT_TRUE(
      std::regex_search(r.out, std::regex("answered [a-z]+ \\(0\\.[0-9]+\\), true answer [a-z]+: (right|WRONG)")))
      << r.out;
  EXPECT_FALSE(contains(r.out, "phase")) << "a time axis says nothing here";

  // What programs get says the same.
  EXPECT_TRUE(contains(j["words"].get<std::string>(), "where is the "));
  EXPECT_EQ(j["answers"].size(), 1u);
  EXPECT_TRUE(contains(r.out, fmt::format("true answer {}:", j["answers"][0]["true"].get<std::string>())));
  std::size_t support = 0;
  double mass = 0;
  for (const auto& s : j["story"]) {
    support += s["support"].get<bool>();
    mass += s["weights"]["hop_2"].get<double>();
    EXPECT_TRUE(contains(r.out, s["text"].get<std::string>()));
  }
  EXPECT_EQ(support, 2u);
  EXPECT_GT(mass, 0.01);
  EXPECT_LT(mass, 1.001);
  EXPECT_TRUE(contains(mneme({"trace", "show", items_run().string(), "--episode", "1"}).out, "words: where is the "));
}

TEST(StoryTrace, TheViewerFillsTheScreenExactlyAndScrolls) {
  for (const auto& [rows, columns] : {std::pair{24, 80}, {12, 100}, {9, 40}, {8, 24}}) {
    for (const bool colour : {false, true}) {
      Terminal terminal;
      terminal.rows = rows;
      terminal.columns = columns;
      if (colour)
        terminal.environment = {{"COLORTERM", "truecolor"}, {"LC_ALL", "C.UTF-8"}};
      else
        terminal.environment = {{"NO_COLOR", "1"}, {"LC_ALL", "C"}};
      const Result r = mneme_in_terminal({"replay", items_run().string(), "--episode", "0"}, {"\033[B", "q"}, terminal);
      EXPECT_EQ(r.code, 0);
      const auto lines = plain(last_screen(r.out));
      EXPECT_EQ(lines.size(), static_cast<std::size_t>(rows)) << last_screen(r.out);
      for (const std::string& line : lines) EXPECT_LE(characters(line), static_cast<std::size_t>(columns)) << line;
      EXPECT_FALSE(!colour && contains(r.out, "\u2713")) << "a * there";
      if (rows == 24) {
        EXPECT_TRUE(contains(r.out, colour ? "\u2713 " : "* ")) << last_screen(r.out);
      }
      EXPECT_EQ(contains(r.out, "48;2;"), colour && columns >= 80);
    }
  }
  Terminal terminal;
  terminal.rows = 10;
  terminal.environment = {{"NO_COLOR", "1"}};
  const std::vector<std::string> words = {"replay", items_run().string(), "--episode", "0"};
  const auto first_shown = [&](const std::vector<std::string>& keys) {
    const Result r = mneme_in_terminal(words, keys, terminal);
    std::smatch m;
    const std::string screen = last_screen(r.out);
    return std::regex_search(screen, m, std::regex("sentences ([0-9]+)\\.\\.([0-9]+) of ([0-9]+)"))
               ? std::array<int, 3>{std::stoi(m[1]), std::stoi(m[2]), std::stoi(m[3])}
               : std::array<int, 3>{-1, -1, -1};
  };
  std::vector<std::string> keys(12, "k");
  keys.push_back("q");
  const auto top = first_shown(keys);
  EXPECT_EQ(top[0], 0);
  ASSERT_GT(top[2], top[1] + 1) << "the story must be longer than the screen";
  keys.insert(keys.end() - 1, {"j", "\033[B"});
  EXPECT_EQ(first_shown(keys)[0], std::min(2, top[2] - top[1] - 1));
  keys.insert(keys.end() - 1, {"\033[6~", "\033[6~", "\033[6~", "\033[6~"});
  EXPECT_EQ(first_shown(keys)[1], top[2] - 1) << "the last sentence";
  keys.insert(keys.end() - 1, "k");
  EXPECT_EQ(first_shown(keys)[1], top[2] - 2) << "and back at once";
  const Result next = mneme_in_terminal(words, {"n", "q"}, terminal);
  EXPECT_TRUE(contains(last_screen(next.out), "episode 1 of ")) << last_screen(next.out);
}

TEST(StoryTrace, WordByWordTheTextIsShownAndClassesByName) {
  const std::string run = story_run("babi_ntm").string();
  const Result r = mneme({"replay", run, "--episode", "0"});
  EXPECT_EQ(r.code, 0) << r.err;
  const std::string text = std::regex_replace(r.out, std::regex("\\s+"), " ");  // the text is wrapped
  EXPECT_TRUE(contains(text, " where is the ")) << r.out;
  EXPECT_TRUE(contains(text, "true answer "));
  EXPECT_TRUE(contains(r.out, "read_0"));
  EXPECT_FALSE(contains(r.out, "target")) << "classes are told, not drawn";
  Terminal terminal;
  terminal.environment = {{"NO_COLOR", "1"}};
  const Result view = mneme_in_terminal({"replay", run, "--episode", "0"}, {"l", "q"}, terminal);
  EXPECT_TRUE(std::regex_search(last_screen(view.out), std::regex("\\[[a-z]+\\]"))) << last_screen(view.out);
  EXPECT_EQ(plain(last_screen(view.out)).size(), 40u);
  const auto j = parse_json(mneme({"trace", "show", run, "--episode", "0", "--json"}).out);
  EXPECT_TRUE(contains(j["words"], "?"));
  EXPECT_FALSE(j.contains("story"));
}

TEST(StoryTrace, TheFigureHasSentencesAndTicks) {
  const Scratch folder;
  const std::string out = (folder / "f").string();
  const Result r = mneme({"trace", "render", items_run().string(), "--episode", "1", "--out", out, "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto files = parse_json(r.out)["files"];
  const std::string csv = read_file(files[0]), script = read_file(files[2]);
  EXPECT_EQ(csv.substr(0, csv.find('\n')), "sentence,support,text,hop,weight");
  EXPECT_TRUE(std::regex_search(csv, std::regex("\n1,[01],[a-z ]+,hop_2,[0-9.e-]+\n"))) << csv;
  EXPECT_TRUE(contains(script, "Question: where is the "));
  EXPECT_TRUE(contains(script, "; true answer: "));
  std::size_t ticks = 0;
  for (std::size_t at = 0; (at = script.find("\u2713", at)) != std::string::npos; ++at) ++ticks;
  EXPECT_EQ(ticks, 3u) << "two, and what they mean";
  EXPECT_TRUE(contains(script, "\u2713 supporting fact"));
  EXPECT_TRUE(std::regex_search(script, std::regex("\"babi, task [0-9]+, .*: loss [^\"]*, error percent [^\"]*\"")));
  EXPECT_TRUE(std::regex_search(
      script, std::regex("\"run [0-9a-f]{16}, seed 1, [a-z]+ sequence [0-9]+: episode 1 of [^\"]*\"")));
  if (files.size() == 6) {  // gnuplot is there
    EXPECT_GT(fs::file_size(files[5].get<std::string>()), 10000u);
    EXPECT_TRUE(contains(read_file(files[3]), "hop_2"));
  }
  const Result far =
      mneme({"trace", "render", items_run().string(), "--episode", "1", "--out", out, "--slots", "0:999"});
  EXPECT_EQ(far.code, 2);
  EXPECT_TRUE(contains(far.err, "[--slots] 0:999 is out of range: the story has sentences 0:")) << far.err;
  // One sentence, no supporting fact: a cell a hop, and no ticks of gnuplot's own choosing.
  const Result one = mneme(
      {"trace", "render", items_run().string(), "--episode", "1", "--out", out, "--slots", "0:0", "--json", "--force"});
  ASSERT_EQ(one.code, 0) << one.err;
  const auto small = parse_json(one.out)["files"];
  ASSERT_TRUE(contains(read_file(small[0]), "\n0,0,")) << "sentence 0 of this story is no supporting fact";
  EXPECT_TRUE(contains(read_file(small[2]), "unset y2tics"));
  if (small.size() != 6) return;
  const std::string svg = read_file(small[3]);
  std::size_t cells = 0;
  for (std::size_t at = 0; (at = svg.find("<polygon fill", at)) != std::string::npos; ++at) ++cells;
  EXPECT_EQ(cells, 3u);
}

TEST(StoryTrace, ATraceIsSoundVerifiedAndExported) {
  // Training begins without the softmax, where weights are scores of any sign: sound, too.
  for (const char* file : {"train.000.trace.h5", "eval.000.trace.h5"}) {
    const Result check = mneme({"trace", "check", (items_run() / "traces" / file).string()});
    EXPECT_EQ(check.code, 0) << check.out;
  }
  const Result verified = mneme({"eval", items_run().string(), "--trace.level", "full", "--traced", "2", "--json"});
  const std::string full = parse_json(verified.out).at("traces").at(0);
  const Result replay = mneme({"replay", full, "--verify"});
  EXPECT_EQ(replay.code, 0) << replay.err;
  EXPECT_TRUE(contains(replay.out, "verified: every weighting and every memory follows from the log")) << replay.out;
  fs::remove(full);
  const Scratch folder;
  const Result r = mneme({"trace", "export", items_run().string(), "--episode", "1", "--out", (folder / "c").string()});
  EXPECT_EQ(r.code, 0) << r.err;
  const std::string items = read_file(folder / "c" / "items.csv"), names = read_file(folder / "c" / "names.csv");
  EXPECT_TRUE(std::regex_search(items, std::regex("\n[0-9]+,1,[01],,,[a-z ]+\n"))) << items;
  EXPECT_TRUE(contains(names, "class,0,bathroom\n")) << names;
  EXPECT_TRUE(contains(names, "\"<never seen in training>\""));
}

TEST(StoryTrace, MemoryUseIsATableAndJson) {
  const Result r = mneme({"eval", items_run().string(), "--episodes", "50", "--memory-use"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "hop_2 top %")) << r.out;
  EXPECT_TRUE(contains(r.out, "reads zeroed"));
  const Result j = mneme({"eval", items_run().string(), "--episodes", "50", "--memory-use", "--json"});
  EXPECT_EQ(parse_json(j.out)["memory_use"][0]["hops"].size(), 3u) << j.out;
}

TEST(StoryTrace, AMemoryThatIgnoresItemsIsRefused) {
  const Scratch folder;
  const Result r = mneme({"train", "babi_ntm", "--task.form", "items", "--out", (folder / "run").string()});
  EXPECT_EQ(r.code, 2);
  EXPECT_TRUE(contains(r.err, "(babi: task.form words)")) << r.err;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

// Words and answers have their numbers from the files: others there would mean others to the weights.
TEST(StoryTrace, ChangedFilesAreNotTakenForTheOnesOfTheTraining) {
  const Scratch folder;
  ASSERT_EQ(mneme({"stories", (folder / "data").string(), "--task.number", "1", "--task.questions", "50"}).code, 0);
  Setting here;
  here.folder = folder.path();
  const Result train =
      mneme({"train", "babi_memn2n_single", "--task.data", "data", "--out", "run", "--max-sequences", "64"}, here);
  ASSERT_EQ(train.code, 0) << train.err;
  EXPECT_FALSE(contains(train.err, "mneme replay")) << "nothing was traced\n" << train.err;
  // A relative path is found from another folder, too.
  const std::string run = (folder / "run").string(), data = (folder / "data").string();
  EXPECT_EQ(mneme({"eval", run}).code, 0);
  EXPECT_EQ(mneme({"train", "--resume", run, "--max-sequences", "128"}).code, 0);
  const fs::path file = folder / "data" / "qa1_own_train.txt";
  const std::string before = read_file(file);
  std::ofstream(file) << std::regex_replace(before, std::regex("bathroom"), "zoo");
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"eval", run}, {"train", "--resume", run, "--max-sequences", "256"}}) {
    const Result r = mneme(words);
    EXPECT_EQ(r.code, 2) << r.err;
    EXPECT_TRUE(contains(r.err, data + "] has other training data (digest ")) << r.err;
  }
  std::ofstream(file) << before;
  EXPECT_EQ(mneme({"eval", run}).code, 0);
  // Where run.json does not say, the checkpoint does.
  auto record = parse_json(read_file(folder / "run" / "run.json"));
  EXPECT_EQ(record.erase("task_fingerprint") + record.erase("data_digest"), 2u);
  std::ofstream(folder / "run" / "run.json") << record;
  std::ofstream(file) << std::regex_replace(before, std::regex("bathroom"), "zoo");
  EXPECT_TRUE(contains(mneme({"eval", run}).err, "has other training data (digest "));
}

TEST(StoryTrace, AFolderOfRestartsStandsForItsChosenRunEverywhere) {
  const Scratch folder;
  const std::string group = (folder / "group").string();
  const Result train =
      mneme({"train", "babi_memn2n_single", "--task.questions", "40", "--restarts", "2", "--train.log-every", "32",
             "--out", group, "--max-sequences", "64", "--trace.level", "params", "--trace.every", "16"});
  ASSERT_EQ(train.code, 0) << train.err;
  const std::string chosen =
      group + "/" + parse_json(read_file(folder / "group" / "restarts.json")).at("chosen").get<std::string>();
  const std::string weights = (folder / "w.safetensors").string();
  for (const std::vector<std::string>& words : {std::vector<std::string>{"replay", group, "--still"},
                                                {"replay", group, "--verify"},
                                                {"trace", "info", group},
                                                {"trace", "check", group},
                                                {"trace", "show", group},
                                                {"trace", "export", group, "--out", (folder / "c").string()},
                                                {"show", group},
                                                {"checkpoint", "info", group},
                                                {"checkpoint", "export", group, "--out", weights},
                                                {"eval", group, "--episodes", "20"}}) {
    const Result r = mneme(words);
    EXPECT_EQ(r.code, 0) << words[0] << ": " << r.err;
    EXPECT_TRUE(contains(r.err, "the chosen one of the restarts in " + group + ": " + chosen)) << words[0] << r.err;
  }
}

TEST(StoryTrace, AnEvaluationAsksEachQuestionOnceAndSaysWhichTasksWereLeftOut) {
  const std::string run = items_run().string();
  const Result many = mneme({"eval", run, "--episodes", "5000", "--json"});
  EXPECT_EQ(many.code, 0) << many.err;
  EXPECT_TRUE(contains(many.err, "the test set has 1000 questions, not 5000: each is asked once")) << many.err;
  EXPECT_EQ(parse_json(many.out).at("results").at(0).at("episodes"), 1000);
  const Scratch folder;
  const std::string joint = (folder / "joint").string();
  ASSERT_EQ(mneme({"train", "babi_memn2n_joint", "--task.number", "1:4", "--task.questions", "40", "--max-sequences",
                   "64", "--out", joint})
                .code,
            0);
  const Result few = mneme({"eval", joint, "--episodes", "1"});
  EXPECT_TRUE(contains(few.out, "3 more tasks were not asked")) << few.out;
  EXPECT_EQ(parse_json(mneme({"eval", joint, "--episodes", "1", "--json"}).out).at("tasks_not_asked"), 3);
}

// What the reader of the published format refuses, as somebody sees it who names the folder.
TEST(StoryTrace, BadFilesAreNamedWithTheirLine) {
  const std::string good =
      "1 Mary went home.\n2 Where is Mary?\thome\t1\n1 John left town.\n2 Where is John?\ttown\t1\n";
  const auto train = [&](const std::string& text, const std::string& test) {
    const Scratch folder;
    std::ofstream(folder / "qa1_x_train.txt", std::ios::binary) << text;
    std::ofstream(folder / "qa1_x_test.txt", std::ios::binary) << test;
    const Result r = mneme({"train", "babi_memn2n_single", "--task.data", folder.path().string(), "--out",
                            (folder / "run").string(), "--max-sequences", "64", "-q"});
    EXPECT_EQ(fs::exists(folder / "run"), r.code == 0) << "nothing half written";
    return fmt::format("{} {}", r.code, r.err);
  };
  const auto expect = [&](const std::string& text, const std::string& message) {
    const std::string as_training = train(text, good), as_test = train(good, text);
    EXPECT_TRUE(as_training.starts_with("3 ") && contains(as_training, "qa1_x_train.txt" + message)) << as_training;
    EXPECT_TRUE(as_test.starts_with("3 ") && contains(as_test, "qa1_x_test.txt" + message)) << as_test;
  };
  EXPECT_EQ(train(good, good).substr(0, 2), "0 ");
  expect("{\"story\": 1}\n", ":1] '{\"story\": 1}' is no line 'ID text' of the bAbI format");
  expect("", "] the file is empty");
  expect("1 Mary went home.\n", "] there is no question in it");
  expect("1 Mary went home.\n2 Where is Mary?\thome 1\n", ":2] a question has 2 TABs");
  expect(good + "1 Mary left.\n2 Where is Mary?  home 1\n", ":6] a question without TAB, answer, TAB");
  expect("1 Mary went home.\n2 Where is Mary?\thome\t7\n", ":2] supporting ID 7 does not stand before the question");
  expect("1 Mary went home.\n2 Where is Mary?\thome\t0\n", ":2] supporting ID 0 does not exist");
  expect("1 Zo\xc3\xab went home.\n", ":1] byte 0xc3 at column 5");
  expect("1 Mary went home.\r\n2 Where is Mary?\thome\t1\r\n", ":1] the line ends in CR LF");
  expect("1 Where is Mary?\thome\t1\n", ":1] a story starts with the question");
  // Handled, not refused: an answer and words that training lacks, and more statements than are kept.
  const std::string strange = "1 Mary went home.\n2 Bill flew away.\n3 Where is Bill?\taway\t2\n";
  EXPECT_EQ(train(good, strange).substr(0, 2), "0 ");
  const Scratch folder;
  std::ofstream(folder / "qa1_x_train.txt") << good;
  std::ofstream(folder / "qa1_x_test.txt") << strange;
  ASSERT_EQ(mneme({"train", "babi_memn2n_single", "--task.data", folder.path().string(), "--task.memory", "1", "--out",
                   (folder / "run").string(), "--max-sequences", "64"})
                .code,
            0);
  ASSERT_EQ(mneme({"eval", (folder / "run").string(), "--trace.level", "weights", "--traced", "1"}).code, 0);
  const auto j = parse_json(mneme({"trace", "show", (folder / "run").string(), "--json"}).out);
  EXPECT_EQ(j["statements"], 2);
  EXPECT_TRUE(j["statements"].is_number_integer()) << j["statements"];
  EXPECT_EQ(j["story_cut"], "the last 1 of 2 statements");
  const Result shown = mneme({"trace", "show", (folder / "run").string()});
  EXPECT_TRUE(contains(shown.out, "the last 1 of 2 statements, item 0 the oldest of them")) << shown.out;
  const Result pictured = mneme({"replay", (folder / "run").string(), "--still"});
  EXPECT_TRUE(contains(pictured.out, "the last 1 of 2 statements")) << pictured.out;
  ASSERT_EQ(j["story"].size(), 1u) << "the last statement is kept";
  EXPECT_EQ(j["story"][0]["text"], "<unknown> <unknown> <unknown>");
  EXPECT_EQ(j["unknown_words"], 4.0);
  EXPECT_EQ(j["answers"][0]["true"], "<never seen in training>");
  EXPECT_FALSE(j["answers"][0]["right"]);
}

}  // namespace
}  // namespace mneme::tools_test
