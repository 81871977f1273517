// Room: tests. What every command owes a user: help with examples first, one clear message and the right exit code for
// what is wrong, JSON alone on stdout, no colour where it is not wanted.
#include "core/json.hpp"
#include "places.hpp"
#include "tests/tools/program.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace mneme::tools_test {
namespace {

using Words = std::vector<std::string>;

const std::vector<Words> all_commands = {{"list"},
                                         {"show"},
                                         {"train"},
                                         {"eval"},
                                         {"replay"},
                                         {"trace", "info"},
                                         {"trace", "check"},
                                         {"trace", "show"},
                                         {"trace", "export"},
                                         {"trace", "render"},
                                         {"trace", "repair"},
                                         {"checkpoint", "info"},
                                         {"checkpoint", "export"},
                                         {"checkpoint", "import"},
                                         {"gradcheck"},
                                         {"reproduce"},
                                         {"stories"},
                                         {"bench"},
                                         {"doctor"},
                                         {"completion"},
                                         {"man"}};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Help, EveryCommandBeginsWithExamples) {
  const Result general = mneme({"--help"});
  EXPECT_EQ(general.code, 0);
  for (Words words : all_commands) {
    const std::string name = words.size() == 2 ? words[0] + " " + words[1] : words[0];
    EXPECT_TRUE(contains(general.out, "\n  " + name + " ")) << name << " is missing in --help";
    words.push_back("--help");
    const Result r = mneme(words);
    EXPECT_EQ(r.code, 0) << name;
    EXPECT_EQ(r.err, "") << name;
    EXPECT_LT(r.out.find("examples"), r.out.find("usage")) << name;
    EXPECT_TRUE(contains(r.out, "$ mneme " + name)) << name;
    const Result same = mneme(words.size() == 3 ? Words{"help", words[0], words[1]} : Words{"help", words[0]});
    EXPECT_EQ(same.out, r.out) << name;
  }
}

TEST(Help, NothingIsAUsageError) {
  const Result r = mneme({});
  EXPECT_EQ(r.code, 2);
  EXPECT_EQ(r.out, "");
  EXPECT_TRUE(contains(r.err, "commands"));
}

TEST(Help, FlagsComeFromTheOptionTables) {
  const Result r = mneme({"train", "copy_ntm", "--help"});
  for (const char* key : {"--memory.slots", "--train.batch", "--trace.level", "--task.length", "--controller.hidden",
                          "--optimizer.", "--max-sequences", "--seed", "--resume", "--dry-run", "--threads"})
    EXPECT_TRUE(contains(r.out, key)) << key;
}

TEST(Help, AGroupListsItsCommands) {
  const Result r = mneme({"trace", "--help"});
  EXPECT_EQ(r.code, 0);
  EXPECT_TRUE(contains(r.out, "trace render"));
}

TEST(Version, AsTextAndAsJson) {
  const Result text = mneme({"--version"});
  EXPECT_EQ(text.code, 0);
  EXPECT_EQ(text.out.rfind("mneme ", 0), 0u);
  const Result json = mneme({"--version=json"});
  EXPECT_EQ(json.code, 0);
  EXPECT_TRUE(parse_json(json.out).contains("compiler"));
  EXPECT_EQ(mneme({"--version=xml"}).code, 2);
}

struct Wrong {
  Words words;
  int code;
  std::string says;
};

void PrintTo(const Wrong& wrong, std::ostream* out) {
  *out << "mneme";
  for (const std::string& w : wrong.words) *out << " " << w;
}

class WrongUsage : public testing::TestWithParam<Wrong> {};

TEST_P(WrongUsage, IsOneClearMessage) {
  const Result r = mneme(GetParam().words);
  EXPECT_EQ(r.code, GetParam().code);
  EXPECT_EQ(r.out, "");
  EXPECT_TRUE(contains(r.err, GetParam().says)) << r.err;
  EXPECT_EQ(r.err.rfind("mneme: ", 0), 0u) << r.err;
  EXPECT_LE(std::count(r.err.begin(), r.err.end(), '\n'), 2) << r.err;
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongUsage,
    testing::Values(
        Wrong{{"trian"}, 2, "unknown command 'trian', did you mean 'train'? There are: list, list runs, show"},
        Wrong{{"trace"}, 2, "There are: info, check, show, export, render, repair"},
        Wrong{{"trace", "chekc", "x"}, 2, "did you mean 'check'?"},
        Wrong{{"list", "memoris"}, 2, "unknown family 'memoris', did you mean 'memories'?"},
        Wrong{{"train", "copy_ntn"}, 2, "did you mean 'copy_ntm'? There are:"},
        Wrong{{"train", "copy_ntm", "--slots", "3"}, 2, "unknown flag '--slots', did you mean '--memory.slots'?"},
        Wrong{{"train", "copy_ntm", "--memory.slot=3"},
              2,
              "unknown flag '--memory.slot', did you mean '--memory.slots'?"},
        Wrong{
            {"train", "copy_ntm", "--memory.slo=3"}, 2, "unknown flag '--memory.slo', did you mean '--memory.slots'?"},
        Wrong{{"train", "copy_ntm", "--memory", "ntn"}, 2, "unknown memory 'ntn', did you mean 'ntm'?"},
        Wrong{{"train", "copy_ntm", "--task", "cpoy"}, 2, "unknown task 'cpoy', did you mean 'copy'?"},
        Wrong{{"train", "copy_ntm", "--memory.read-addressing", "contant"}, 2, "names 'contant', which does not exist"},
        Wrong{{"train", "copy_ntm", "--memory.slots", "0"},
              2,
              "[--memory.slots] '0' is out of range; it takes 1..1048576"},
        Wrong{{"train", "copy_ntm", "--memory.slots=-1"}, 2, "'-1' is out of range"},
        Wrong{{"train", "copy_ntm", "--train.learning-rate", "nan"}, 2, "'nan' is not a finite number"},
        Wrong{{"train", "copy_ntm", "--seed", "1", "--seed", "2"}, 2, "[--seed] is given twice"},
        Wrong{{"train", "copy_ntm", "--max-sequences", "1", "--train.max-sequences", "2"}, 2, "is given twice"},
        Wrong{{"train", "copy_ntm", "--seed"}, 2, "[--seed] needs a value"},
        Wrong{{"train", "copy_ntm", "--dry-run=yes"}, 2, "[--dry-run] takes no value"},
        Wrong{{"train", "copy_ntm", "--threads", "0"}, 2, "[--threads] '0' is out of range"},
        Wrong{{"train", "copy_ntm", "more"}, 2, "'more' is one word too many; it takes [PRESET|FILE]"},
        Wrong{{"train"}, 2, "PRESET or FILE is missing"},
        Wrong{{"train", "--resume", "/nonexistent/run"}, 2, "/nonexistent/run"},
        Wrong{{"train", "copy_ntm", "--resume", "/"}, 2, "one word too many"},
        Wrong{{"train", "copy_ntm", "--out", "/proc/nothing/here"}, 1, "/proc/nothing/here"},
        Wrong{{"train", "copy_ntm", "--jobs", "2"}, 2, "[--jobs] goes with --restarts"},
        Wrong{{"train", "copy_ntm", "--restarts", "0"}, 2, "[--restarts] '0' is out of range"},
        Wrong{{"train", "copy_ntm", "--restart", "2"}, 2, "unknown flag '--restart', did you mean '--restarts'?"},
        Wrong{{"train", "copy_ntm", "--restarts", "2", "--threads", "2"}, 2, "a restart runs in one thread"},
        Wrong{{"train", "--resume", "/", "--restarts", "2"}, 2, "keeps their number"},
        Wrong{{"train", "babi_memn2n_single", "--task.number", "al"}, 2, "it takes low:high in 1..20 or all"},
        Wrong{{"reproduce", "babi"}, 2, "unknown study 'babi'"},
        Wrong{{"reproduce"}, 2, "STUDY is missing. There are: copy, copy-batches, ntm, babi-1k"},
        Wrong{{"eval"}, 2, "DIR is missing"}, Wrong{{"eval", "/nonexistent/run"}, 2, "/nonexistent/run"},
        Wrong{{"train", "copy_ntm", "--seed", "9007199254740993"}, 2, "'9007199254740993' is out of range"},
        Wrong{{"eval", "/", "--lengths", "20,20"}, 2, "[--lengths] 20 is given twice"},
        Wrong{{"eval", "/", "--lengths", "0"}, 2, "[--lengths] 0: they count from 1"},
        Wrong{{"eval", "/", "--lengths", "20,x"}, 2, "[--lengths] 'x' is not a whole number"},
        Wrong{{"eval", "/", "--lengths", "10x0"}, 2, "[--lengths] 10x0: they count from 1"},
        Wrong{{"eval", "/", "--lengths", "10x20,10x20"}, 2, "[--lengths] 10x20 is given twice"},
        Wrong{
            {"eval", "/", "--slots", "128,"}, 2, "[--slots] '' is not a whole number; it takes a comma list: 128,256"},
        Wrong{{"eval", "/", "--slots", "10x20"}, 2, "[--slots] '10x20' is not a whole number"},
        Wrong{{"eval", "x", "--episodes", "-5"}, 2, "[--episodes] '-5' is out of range"},
        Wrong{{"show", "nothing_like_it"}, 2, "unknown preset or file 'nothing_like_it'"},
        Wrong{{"replay", "/nonexistent.trace.h5"}, 2, "[/nonexistent.trace.h5] does not exist"},
        Wrong{{"replay", "/proc/self/exe", "--json"}, 2, "[--json] goes with --verify"},
        Wrong{{"checkpoint"}, 2, "There are: info, export, import"},
        Wrong{{"checkpoint", "info"}, 2, "FILE|DIR is missing"},
        Wrong{{"checkpoint", "info", "/nonexistent.ckpt.h5"}, 2, "[/nonexistent.ckpt.h5] does not exist"},
        Wrong{{"checkpoint", "info", "/proc/self/exe", "--checkpoint", "best"},
              2,
              "chooses among those of a run's folder"},
        Wrong{{"checkpoint", "export", "/"}, 2, "[--out] is missing"},
        Wrong{{"checkpoint", "export", "/", "--out", "y", "--format", "onnx"}, 2, "[--format] 'onnx'"},
        Wrong{{"checkpoint", "import", "/nonexistent"}, 2, "[/nonexistent] does not exist"},
        Wrong{{"checkpoint", "import", "/", "--map", "/no/map"}, 2, "[/no/map] does not exist"},
        Wrong{{"checkpoint", "import", "/", "--out="}, 2, "[--out]"},
        Wrong{{"gradcheck"}, 2, "NAME is missing (or --all). There are: add,"},
        Wrong{{"gradcheck", "sofmax"}, 2, "did you mean 'softmax'?"},
        Wrong{{"bench", "--preset", "copy_ntn"}, 2, "did you mean 'copy_ntm'?"},
        Wrong{{"bench", "--rounds", "0"}, 2, "[--rounds] '0' is out of range"},
        Wrong{{"train", "copy_ntm", "memory.slots=64"},
              2,
              "'memory.slots=64' lacks its dashes, did you mean '--memory.slots=64'?"},
        Wrong{{"train", "copy_ntm", "slots=64"}, 2, "did you mean '--memory.slots=64'?"},
        Wrong{{"train", "copy_ntm", "-memory.slots=64"}, 2, "did you mean '--memory.slots=64'?"},
        Wrong{{"train", "copy_ntm", "--lr", "1e-3"}, 2, "unknown flag '--lr', did you mean '--train.learning-rate'?"},
        Wrong{{"train", "copy_ntm", "--learning_rate=1"}, 2, "did you mean '--train.learning-rate'?"},
        Wrong{{"train", "copy_ntm", "--batch-size", "8"}, 2, "did you mean '--train.batch'?"},
        Wrong{{"train", "copy_ntm", "--epochs", "8"}, 2, "did you mean '--max-sequences'?"},
        Wrong{{"train", "copy_ntm", "--hidden", "8"}, 2, "did you mean '--controller.hidden'?"},
        Wrong{{"train", "copy_ntm", "--width", "8"}, 2, "did you mean '--memory.width' or '--task.width'?"},
        Wrong{{"train", "copy_ntm", "--slosts", "8"}, 2, "did you mean '--memory.slots'?"},
        Wrong{{"train", "copy_ntm", "--max-sequences", "1.5"}, 2, "'1.5' is not a whole number"},
        Wrong{{"train", "copy_ntm", "--max-sequences", "1e30"}, 2, "'1e30' is out of range"},
        Wrong{{"train", "copy_ntm", "--memory.read-addressing", "contnt"}, 2, "did you mean 'content'?"},
        Wrong{{"train", "copy_nmt", "--help"}, 2, "unknown preset or file 'copy_nmt', did you mean 'copy_ntm'?"},
        Wrong{{"train", "--memory", "nmt", "--help"}, 2, "unknown memory 'nmt', did you mean 'ntm'?"},
        Wrong{{"completion"}, 2, "SHELL is missing. There are: bash, zsh, fish"},
        Wrong{{"show"}, 2, "PRESET|FILE|DIR is missing. There are: associative_recall_lstm"},
        Wrong{{"--json", "list"}, 2, "comes before a command"}));

/// Commands whose first parameter is a file or folder to be read, with what else they need.
const std::vector<Words> readers = {{"eval"},
                                    {"replay"},
                                    {"replay", "--verify"},
                                    {"trace", "info"},
                                    {"trace", "check"},
                                    {"trace", "show"},
                                    {"trace", "export", "--out=/nonexistent/csv"},
                                    {"trace", "render", "--out=/nonexistent/figures"},
                                    {"trace", "repair", "--out=/nonexistent/r.trace.h5"},
                                    {"checkpoint", "info"},
                                    {"checkpoint", "export", "--out=/nonexistent/w"},
                                    {"checkpoint", "import"},
                                    {"show"},
                                    {"train"},
                                    {"train", "--resume"},
                                    {"bench", "--preset"},
                                    {"checkpoint", "import", "--into=copy_ntm", "/", "--map"}};

Words with(Words words, const std::string& last) {
  words.push_back(last);
  return words;
}

TEST(ExitCodes, OneMistakeHasOneCodeInEveryCommand) {
  const Scratch folder;
  fs::permissions(folder.path(), fs::perms::all);
  fs::create_directory(folder / "empty");
  std::ofstream(folder / "secret") << "task = copy\n";
  fs::permissions(folder / "secret", fs::perms::none);
  Setting nobody;
  nobody.folder = folder.path();
  nobody.as_nobody = true;
  for (const Words& words : readers) {
    std::string name;
    for (const std::string& w : words) name += w + " ";
    const Result missing = mneme(with(words, "/nonexistent/path"));
    EXPECT_EQ(missing.code, 2) << name << missing.err;
    EXPECT_TRUE(contains(missing.err, "/nonexistent/path")) << name << missing.err;
    if (words.back() == "--map") continue;  // which is no folder, and read after the weights
    const Result nothing = mneme(with(words, (folder / "empty").string()));
    EXPECT_EQ(nothing.code, 2) << "a folder with nothing in it: " << name << nothing.err;
    if (words.back() == "--resume" || words == Words{"eval"}) continue;  // they take folders alone
    const Result unreadable = mneme(with(words, "secret"), nobody);
    EXPECT_EQ(unreadable.code, 1) << name << unreadable.err;
  }
}

TEST(ExitCodes, ADataFileOfAnotherFormatIsThree) {
  const Scratch folder;
  std::ofstream(folder / "notes.txt") << "not a trace, and no weights either";
  for (const Words& words : readers) {
    const bool configuration = words[0] == "show" || words[0] == "train" || words[0] == "bench" || words[0] == "eval";
    if (words.back() == "--map") continue;
    EXPECT_EQ(mneme(with(words, (folder / "notes.txt").string())).code, configuration ? 2 : 3) << words[0];
  }
}

TEST(Hints, WholeNumbersMayBeWrittenAsPowers) {
  const Result r = mneme({"train", "copy_ntm", "--max-sequences", "1e5", "--task.length", "1:1e1", "--dry-run"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "max-sequences = 100000\n")) << r.out;
  EXPECT_TRUE(contains(r.out, "length = 1:10\n")) << r.out;
}

TEST(Hints, AMissingRunSaysWhichThereAre) {
  const Scratch folder;
  Setting setting;
  setting.folder = folder.path();
  EXPECT_TRUE(contains(mneme({"eval"}, setting).err, "[eval] DIR is missing; there is none here or below runs/"));
  fs::create_directories(folder / "runs/copy/first/checkpoints");
  std::ofstream(folder / "runs/copy/first/config.ini") << "task = copy\n";
  EXPECT_TRUE(contains(mneme({"eval"}, setting).err, "DIR is missing. There are: runs/copy/first"));
  EXPECT_TRUE(contains(mneme({"replay", "runs/copy/frist"}, setting).err,
                       "[runs/copy/frist] does not exist, did you mean 'runs/copy/first'?"));
}

TEST(Help, IsShortAndAboutWhatIsChosen) {
  const std::string plain = mneme({"train", "--help"}).out;
  EXPECT_LT(std::count(plain.begin(), plain.end(), '\n'), 80) << plain;
  EXPECT_TRUE(contains(plain, "mneme train PRESET --help"));
  const std::string preset = mneme({"train", "copy_ntm", "--help"}).out;
  EXPECT_TRUE(contains(preset, "configuration keys: memory ntm"));
  EXPECT_TRUE(contains(preset, "configuration keys: training"));
  EXPECT_FALSE(contains(preset, "configuration keys: memory key_value"));
  EXPECT_FALSE(contains(preset, "configuration keys: task babi"));
  EXPECT_TRUE(contains(preset, "[0.0003]")) << "the preset's rate, not the default's";
  const std::string memory = mneme({"train", "--memory", "key_value", "--help"}).out;
  EXPECT_TRUE(contains(memory, "configuration keys: memory key_value"));
  EXPECT_FALSE(contains(memory, "configuration keys: memory ntm"));
  EXPECT_FALSE(contains(memory, "configuration keys: controller"));
  EXPECT_EQ(mneme({"help", "train", "copy_ntm"}).out, preset);
}

TEST(Presets, ACopiedProgramHasThem) {
  const Scratch folder;
  fs::copy_file(MNEME_PROGRAM, folder / "copied");
  const std::string shell = "cd / && env -u MNEME_CONFIGS '" + (folder / "copied").string() + "' show copy_ntm > '" +
                            (folder / "said").string() + "' 2>&1";
  EXPECT_EQ(std::system(shell.c_str()), 0) << read_file(folder / "said");
  for (const auto& entry : fs::directory_iterator(fs::path(MNEME_SOURCE_DIR) / "experiments/configs"))
    EXPECT_TRUE(contains(mneme({"list", "presets"}).out, "\n" + entry.path().stem().string() + " ")) << entry.path();
  Setting setting;
  setting.environment = {{"MNEME_CONFIGS", "/nonexistent"}};
  const Result r = mneme({"list", "presets"}, setting);
  EXPECT_EQ(r.code, 2);
  EXPECT_TRUE(contains(r.err, "[/nonexistent] MNEME_CONFIGS names no folder that can be read")) << r.err;
}

TEST(Files, ForeignOnesAreRefused) {
  const Scratch folder;
  std::ofstream(folder / "notes.txt") << "not a trace";
  for (const Words& words : {Words{"replay"}, Words{"replay", "--verify", "--json"}, Words{"trace", "info"},
                             Words{"trace", "check"}, Words{"trace", "render"}}) {
    Words all = words;
    all.push_back((folder / "notes.txt").string());
    const Result r = mneme(all);
    EXPECT_EQ(r.code, 3) << words[0];
    EXPECT_EQ(r.out, "") << words[0];
    EXPECT_TRUE(contains(r.err, "notes.txt")) << r.err;
  }
}

TEST(Files, BadConfigurationsNameTheLine) {
  const Scratch folder;
  std::ofstream(folder / "a.ini") << "task = copy\n[memory]\nslotz = 3\n";
  const Result unknown = mneme({"train", (folder / "a.ini").string()});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_TRUE(contains(unknown.err, "a.ini:3")) << unknown.err;
  EXPECT_TRUE(contains(unknown.err, "did you mean 'memory.slots'?")) << unknown.err;
  std::ofstream(folder / "b.ini") << "task = copy\n[task]\nwidth = -1\n";
  const Result range = mneme({"train", (folder / "b.ini").string()});
  EXPECT_EQ(range.code, 2);
  EXPECT_TRUE(contains(range.err, "b.ini:3")) << range.err;
}

TEST(Json, IsAllThereIsOnStdout) {
  const Scratch folder;
  const std::string run = tiny_run().string();
  const std::vector<Words> commands = {
      {"list", "tasks"},
      {"list", "memories"},
      {"list", "models"},
      {"list", "addressing"},
      {"list", "controllers"},
      {"list", "presets"},
      {"list"},
      {"show", run},
      {"train", "copy_ntm", "--dry-run"},
      {"eval", run, "--lengths", "3,5", "--episodes", "2"},
      {"replay", run, "--verify"},
      {"trace", "info", run},
      {"trace", "check", run},
      {"trace", "show", run},
      {"trace", "show", run, "--list"},
      {"trace", "export", run, "--out", (folder / "csv").string()},
      {"trace", "render", run, "--out", (folder / "figures").string()},
      {"trace", "repair", run, "--out", (folder / "r.trace.h5").string()},
      {"checkpoint", "info", run},
      {"checkpoint", "export", run, "--out", (folder / "w").string()},
      {"checkpoint", "import", (folder / "w").string(), "--out", (folder / "imported").string()},
      {"gradcheck", "softmax"},
      {"bench", "--rounds", "1", "--sequences", "1"},
      {"doctor"}};
  for (Words words : commands) {
    words.push_back("--json");
    const Result r = mneme(words);
    EXPECT_EQ(r.code, 0) << words[0] << " " << r.err;
    EXPECT_TRUE(Json::accept(r.out)) << words[0] << " printed:\n" << r.out.substr(0, 300);
  }
}

TEST(Json, ListsNameWhatThereIs) {
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"tasks", "copy"},       {"memories", "ntm"},    {"models", "cell"}, {"addressing", "content_location"},
      {"controllers", "lstm"}, {"presets", "copy_ntm"}};
  for (const auto& [family, name] : expected) {
    const Json list = parse_json(mneme({"list", family, "--json"}).out);
    ASSERT_TRUE(list.is_array()) << family;
    bool found = false;
    for (const Json& entry : list) found |= entry.at("name") == name;
    EXPECT_TRUE(found) << family << " " << name;
  }
}

TEST(Output, HasNoColourInAPipe) {
  for (const Words& words : {Words{"list"}, Words{"train", "--help"}, Words{"replay", tiny_run().string()}})
    EXPECT_FALSE(contains(mneme(words).out, "\033")) << words[0];
}

TEST(Output, AReaderThatGoesAwayIsNoCrash) {
  Setting setting;
  setting.stdout_closed = true;
  for (const Words& words : {Words{"list"}, Words{"train", "--help"}, Words{"replay", tiny_run().string()}}) {
    const Result r = mneme(words, setting);
    EXPECT_EQ(r.code, 0) << words[0];
    EXPECT_EQ(r.err, "") << words[0];
  }
}

TEST(Output, AFullDiskIsAFailure) {
  Setting setting;
  setting.stdout_to = "/dev/full";
  const Result r = mneme({"list"}, setting);
  EXPECT_EQ(r.code, 1);
  EXPECT_TRUE(contains(r.err, "standard output cannot be written")) << r.err;
}

}  // namespace
}  // namespace mneme::tools_test
