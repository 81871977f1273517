// Comparisons: the grid, the folder that widens, runs that are never made again, and the same table whatever happened
// on the way.
#include "experiments/compare/compare.hpp"

#include "core/json.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/run_directory.hpp"
#include "tests/experiments/support.hpp"

#include <csignal>
#include <set>
#include <thread>

namespace mneme::experiments {
namespace {

std::vector<Factor> factors(const std::vector<std::pair<std::string, std::string>>& given) {
  std::vector<Factor> all;
  for (const auto& [key, value] : given) all.push_back(factor_of({key, value, "--" + key}));
  return all;
}

std::vector<std::string> schemes(const std::vector<std::pair<std::string, std::string>>& given,
                                 const std::vector<std::string>& keys) {
  std::vector<std::string> all;
  for (const GridPoint& p : expand({}, factors(given)))
    all.push_back(p.config.task + ": " + scheme_text(p.config, keys));
  return all;
}

TEST(Grid, AKeyThatAPluginDoesNotHaveMultipliesNothing) {
  const std::vector<std::pair<std::string, std::string>> given = {
      {"task", "copy,associative_recall"},
      {"memory", "none,ntm"},
      {"memory.read-addressing", "content,content_location"}};
  EXPECT_EQ(schemes(given, {"memory", "memory.read-addressing"}),
            (std::vector<std::string>{"copy: memory=none", "copy: memory=ntm memory.read-addressing=content",
                                      "copy: memory=ntm memory.read-addressing=content_location",
                                      "associative_recall: memory=none",
                                      "associative_recall: memory=ntm memory.read-addressing=content",
                                      "associative_recall: memory=ntm memory.read-addressing=content_location"}));
}

TEST(Grid, PlusStandsForTheCommaOfAListAndOnlyThere) {
  const auto points = expand(
      {"copy_ntm"}, factors({{"memory.read-heads", "2"}, {"memory.read-addressing", "content,content+location"}}));
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[1].config.memory_options.choices("read-addressing"),
            (std::vector<std::string>{"content", "location"}));
  EXPECT_EQ(scheme_text(points[1].config, {"memory.read-addressing"}), "memory.read-addressing=content+location");
  EXPECT_EQ(scheme_text(points[1].config, {}), "ntm");
}

TEST(Grid, WhatIsWrongIsNamed) {
  const auto complaint = [](const std::vector<std::pair<std::string, std::string>>& given) {
    return message_of<ArgumentError>([&] { expand({}, factors(given)); });
  };
  expect_has(complaint({{"task", "copi"}}), "copy");
  expect_has(complaint({{"task", "copy"}, {"memory", "none,ntn"}}), "did you mean 'ntm'?");
  expect_has(complaint({{"task", "copy"}, {"memory.slotz", "8,16"}}), "did you mean 'memory.slots'?");
  expect_has(complaint({{"task", "copy"}, {"memory", "none"}, {"memory.slots", "8,16"}}), "memory is 'none'");
  EXPECT_EQ(message_of<ArgumentError>([] {
              factor_of({"memory", "ntm,,none", "--memory"});
            }),
            "[--memory] 'ntm,,none' has an empty value");
  EXPECT_EQ(message_of<ArgumentError>([] {
              factor_of({"memory", "ntm,ntm", "--memory"});
            }),
            "[--memory] 'ntm' is there twice");
}

TEST(Grid, Seeds) {
  EXPECT_EQ(seeds_of("1:3,7"), (std::vector<std::uint64_t>{1, 2, 3, 7}));
  EXPECT_EQ(message_of<ArgumentError>([] { seeds_of("1:3,2"); }), "[--seeds] 2 is there twice");
  EXPECT_EQ(message_of<ArgumentError>([] { seeds_of("3:1"); }), "[--seeds] 3 is more than 1");
  expect_has(message_of<ArgumentError>([] { seeds_of("one"); }), "[--seeds] 'one' in 'one' is no seed");
}

CompareOptions options(const fs::path& out) {
  CompareOptions o;
  o.factors = factors({{"task", "copy"},
                       {"task.width", "2"},
                       {"task.length", "1:2"},
                       {"memory", "none,ntm"},
                       {"memory.slots", "8"},
                       {"memory.width", "4"},
                       {"memory.sharpen", "true,false"},
                       {"controller.hidden", "12"},
                       {"train.learning-rate", "1e-2"},
                       {"train.max-sequences", "600"},
                       {"train.eval-every", "100"},
                       {"train.eval-episodes", "5"}});
  o.seeds = {1, 2};
  o.out = out;
  o.episodes = 5;
  return o;
}

/// A file without what is measured.
std::string without_measured(const fs::path& path) {
  std::string text = read_file(path);
  for (const std::string& name : measured_columns())
    text = std::regex_replace(text, std::regex("\"" + name + "\": [^\n]*"), "\"" + name + "\"");
  return text;
}

TEST(Compare, RowsPairsAndFilesSayTheSame) {
  Folder folder;
  const CompareOptions o = options(folder / "out");
  const Comparison c = compare(o);
  EXPECT_EQ(c.stopped, 0);
  EXPECT_EQ(c.keys, (std::vector<std::string>{"memory", "memory.sharpen"}));
  ASSERT_EQ(c.results.size(), 3u);
  EXPECT_EQ(c.results[0].scheme, "memory=none");
  EXPECT_EQ(c.results[2].scheme, "memory=ntm memory.sharpen=false");
  EXPECT_EQ(c.results[2].memory, "ntm");
  EXPECT_EQ(c.planned, 6u);
  ASSERT_EQ(c.pairs.size(), 3u);
  EXPECT_EQ(c.pairs[1].b, c.results[2].scheme);
  const auto cost = [&](std::size_t scheme, std::size_t seed) {
    return c.results[scheme].rows[seed].figure("last_cost").value();
  };
  EXPECT_DOUBLE_EQ(c.pairs[0].cost_difference.value(), (cost(0, 0) - cost(1, 0) + cost(0, 1) - cost(1, 1)) / 2);
  for (const char* length : {"wrong_2", "wrong_4", "wrong_8"})
    EXPECT_TRUE(c.results[1].rows[0].figure(length)) << length;
  EXPECT_GT(c.results[1].state_size.value(), c.results[0].state_size.value());
  const auto j = parse_json(read_file(o.out / "compare.json"));
  EXPECT_EQ(j["rows"].size(), 3u);
  for (const char* key : {"task", "memory", "scheme", "seeds", "solved", "median_sequences", "interval", "final"})
    EXPECT_TRUE(j["rows"][0].contains(key)) << key;
  for (const char* key : {"a", "b", "difference", "p", "test"}) EXPECT_TRUE(j["pairs"][0].contains(key)) << key;
  // Each run by itself is the command that its folder names.
  const fs::path run = o.out / "runs" / j["members"][0]["id"].get<std::string>();
  EXPECT_EQ(read_run_config(run).run_id(""), run.filename().string());
  EXPECT_EQ(load_any_rows(o.out / "rows.csv").size(), 6u);
  EXPECT_EQ(read_file(o.out / "table.csv"), comparison_csv(c));
}

TEST(Compare, TheSameTableForAnyNumberOfJobsAndAfterKills) {
  Folder folder;
  CompareOptions o = options(folder / "whole");
  compare(o);
  o.out = folder / "together";
  o.how.jobs = 3;
  compare(o);
  o.out = folder / "killed";
  o.how.jobs = 2;
  for (const int milliseconds : {60, 120, 200}) {
    const pid_t process = ::fork();
    if (process == 0) {
      compare(o);
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // its jobs go with it
  }
  compare(o);
  const fs::path whole = folder / "whole";
  for (const char* other : {"together", "killed"})
    EXPECT_EQ(without_measured(folder / other / "compare.json"), without_measured(whole / "compare.json")) << other;
  // And a last time, when nothing is left to do: to the byte.
  const std::string before = read_file(whole / "compare.json");
  o.out = whole;
  compare(o);
  EXPECT_EQ(read_file(whole / "compare.json"), before);
}

TEST(Compare, MoreSeedsTasksAndSchemesWidenIt) {
  Folder folder;
  CompareOptions o = options(folder / "out");
  compare(o);
  const auto made = [&] {
    std::set<std::string> runs;
    for (const auto& entry : fs::directory_iterator(o.out / "runs")) runs.insert(entry.path().filename().string());
    return runs;
  };
  const auto first = made();
  o.seeds = {2, 3};
  Comparison c = compare(o);
  EXPECT_EQ(c.planned, 9u);  // one of the earlier seeds is not asked for, and stays
  EXPECT_EQ(c.results[0].seeds(), 3u);
  for (Factor& f : o.factors)
    if (f.key == "memory.slots") f.values = {"8", "16"};
  o.seeds = {1};
  c = compare(o);
  EXPECT_EQ(c.keys, (std::vector<std::string>{"memory", "memory.sharpen", "memory.slots"}));
  EXPECT_EQ(c.results.size(), 5u);
  EXPECT_EQ(c.results[1].scheme, "memory=ntm memory.sharpen=true memory.slots=8") << "earlier runs learn the new key";
  const auto all = made();
  EXPECT_EQ(all.size(), 11u);
  EXPECT_TRUE(std::includes(all.begin(), all.end(), first.begin(), first.end()));
}

TEST(Compare, RowsOfAnotherOneAreNotMadeAgain) {
  Folder folder;
  CompareOptions o = options(folder / "one");
  const Comparison one = compare(o);
  o.out = folder / "two";
  o.rows = {folder / "one" / "rows.csv"};
  const Comparison two = compare(o);
  EXPECT_TRUE(fs::is_empty(folder / "two" / "runs"));
  EXPECT_EQ(read_file(folder / "two" / "rows.csv"), read_file(folder / "one" / "rows.csv"));
  write_file(folder / "no.csv", "a,b\n1,2\n");
  o.rows = {folder / "no.csv"};
  expect_has(message_of<FileError>([&] { compare(o); }), "these are not rows of runs");
}

TEST(Compare, WhatDoesNotFitIsRefusedAndNothingIsLost) {
  Folder folder;
  CompareOptions o = options(folder / "out");
  compare(o);
  const std::string before = read_file(o.out / "compare.json");
  CompareOptions other = o;
  for (Factor& f : other.factors)
    if (f.key == "train.learning-rate") f.values = {"1e-3"};
  expect_has(message_of<ArgumentError>([&] { compare(other); }),
             "holds a comparison with another option: train.learning-rate is 0.001 here and 0.01 there");
  other = o;
  other.episodes = 7;
  expect_has(message_of<ArgumentError>([&] { compare(other); }), "holds a comparison judged by --after 0 --episodes 5");
  other = o;
  other.seeds = {};
  EXPECT_EQ(message_of<ArgumentError>([&] { compare(other); }), "[--seeds] names none");
  const auto id = parse_json(before)["members"][0]["id"].get<std::string>();
  const fs::path config = o.out / "runs" / id / "config.ini";
  const std::string text = read_file(config);
  write_file(config, std::regex_replace(text, std::regex("batch = 1"), "batch = 2"));
  expect_has(message_of<ArgumentError>([&] { compare(o); }), "was changed by hand: train.batch is 2 in it");
  write_file(config, text);
  EXPECT_EQ(read_file(o.out / "compare.json"), before);
  fs::create_directories(folder / "other");
  write_file(folder / "other" / "letter.txt", "");
  other.seeds = {1};
  other.out = folder / "other";
  expect_has(message_of<ArgumentError>([&] { compare(other); }), "is a folder with other things in it");
  write_file(folder / "other" / "compare.json", "{}");
  expect_has(message_of<FileError>([&] { compare(other); }), "is not the record of a comparison");
  other.out = o.out / "runs" / id;
  expect_has(message_of<ArgumentError>([&] { compare(other); }), "is a folder with other things in it");
  fs::create_directories(folder / "locked");
  write_file(folder / "locked" / "lock", "");
  write_file(folder / "locked" / "table.csv", "mine");
  other.out = folder / "locked";
  expect_has(message_of<ArgumentError>([&] { compare(other); }), "(table.csv)");
  other = o;
  other.lengths = {TaskLength{2, 3}};
  other.out = folder / "new";
  expect_has(message_of<ArgumentError>([&] { compare(other); }), "--lengths");
  other = options(folder / "new");
  for (Factor& f : other.factors)
    if (f.key == "train.max-sequences") f.values = {"100", "200"};
  expect_has(message_of<ArgumentError>([&] { compare(other); }), "that tells no run from another");
  EXPECT_FALSE(fs::exists(folder / "new"));
  other = o;  // another preset with another budget
  other.presets = {"copy_ntm_b4"};
  for (Factor& f : other.factors)
    if (f.key == "train.max-sequences") f.values = {"900"};
  expect_has(message_of<ArgumentError>([&] { compare(other); }), "train.max-sequences is 900 here and 600 there");
}

TEST(Compare, ARunThatDivergedNeverGetsThere) {
  Folder folder;
  CompareOptions o = options(folder / "one");
  o.seeds = {1, 2, 3, 4, 5};
  for (Factor& f : o.factors)
    if (f.key == "memory") f.values = {"none"};
  std::erase_if(o.factors, [](const Factor& f) { return f.key.starts_with("memory."); });
  compare(o);
  // Of five rows three are made such as diverged early, two solved: the median is not that of the lucky.
  std::vector<Row> rows = load_any_rows(o.out / "rows.csv");
  ASSERT_EQ(rows.size(), 5u);
  std::string csv =
      csv_header({"", {"task", "scheme", "seed"}, {"solved_at_sequences", "wrong_2", "wrong_4", "wrong_8"}, {}});
  for (std::size_t i = 0; i < 5; ++i) {
    rows[i].sequences = i < 3 ? 100 : 500;
    rows[i].exit_reason = i < 3 ? "diverged" : "solved";
    rows[i].figures = {};
    if (i >= 3)
      rows[i].figures = {{"solved_at_sequences", 400.0}, {"wrong_2", 0.0}, {"wrong_4", 1.0}, {"wrong_8", 2.0}};
    csv += csv_line({"", {"task", "scheme", "seed"}, {"solved_at_sequences", "wrong_2", "wrong_4", "wrong_8"}, {}},
                    rows[i]);
  }
  write_file(folder / "rows.csv", csv);
  o.out = folder / "two";
  o.rows = {folder / "rows.csv"};
  const Comparison c = compare(o);
  ASSERT_EQ(c.results.size(), 1u);
  EXPECT_EQ(c.results[0].diverged, 3u);
  EXPECT_EQ(c.results[0].solved, 2u);
  EXPECT_FALSE(c.results[0].median_sequences);
  EXPECT_FALSE(c.results[0].interval.high);
  EXPECT_FALSE(c.results[0].cheap_sequences) << "two ended solved, before 0.05 bits";
}

TEST(Compare, RowsThatSayAnotherThingAreMadeAgain) {
  Folder folder;
  CompareOptions o = options(folder / "short");
  o.seeds = {1};
  std::size_t unsolved = 0;  // one that was solved by then would not go on for longer
  for (const SchemeResult& r : compare(o).results) unsolved += r.solved == 0;
  const auto made = [&](const std::string& out, const std::function<void(CompareOptions&)>& change) {
    CompareOptions other = options(folder / out);
    other.seeds = {1};
    other.rows = {folder / "short" / "rows.csv"};
    change(other);
    const Comparison c = compare(other);
    EXPECT_EQ(c.results.size(), 3u);
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(other.out / "runs"), fs::directory_iterator()));
  };
  EXPECT_EQ(made("same", [](CompareOptions&) {}), 0u);
  EXPECT_EQ(made("elsewhere", [](CompareOptions& c) { c.lengths = {3}; }), 3u) << "judged at other lengths";
  EXPECT_EQ(made("longer",
                 [](CompareOptions& c) {
                   for (Factor& f : c.factors)
                     if (f.key == "train.max-sequences") f.values = {"700"};
                 }),
            unsolved);
}

TEST(Compare, NeitherSolvedIsNoDifferenceOfZero) {
  Folder folder;
  CompareOptions o = options(folder / "out");
  for (Factor& f : o.factors)
    if (f.key == "train.max-sequences") f.values = {"100"};
  const Comparison c = compare(o);
  for (const PairResult& p : c.pairs) {
    EXPECT_FALSE(p.difference);
    EXPECT_FALSE(p.p) << "all ties";
    EXPECT_TRUE(p.cost_difference);
  }
}

TEST(Compare, ATestSetIsWhatItIsJudgedOn) {
  Folder folder;
  CompareOptions o;
  o.presets = {"babi_memn2n_single"};
  o.factors = factors({{"task.questions", "40"}, {"train.max-sequences", "320"}, {"train.batch", "32"}});
  o.seeds = {1};
  o.out = folder / "out";
  const Comparison c = compare(o);
  const fs::path run = fs::directory_iterator(o.out / "runs")->path();
  EXPECT_EQ(c.results.at(0).rows.at(0).figure("wrong_test"), evaluate(run, {}).mean_error());
}

TEST(Compare, AThresholdOfOnesOwn) {
  Folder folder;
  CompareOptions o = options(folder / "out");
  o.threshold = Threshold::parse("bits_per_sequence<=1000");
  o.seeds = {1};
  const Comparison c = compare(o);
  for (const SchemeResult& r : c.results) {
    EXPECT_EQ(r.rows[0].figure("solved_at_sequences"), 100) << "the first of two in a row";
    EXPECT_EQ(r.rows[0].sequences, 600u) << "it does not end a run";
  }
  expect_has(message_of<ArgumentError>([] { Threshold::parse("bits<1"); }), "it takes METRIC<=NUMBER");
  o.out = folder / "unknown";
  o.threshold = Threshold::parse("bits_per_sequenc<=1");
  expect_has(message_of<ArgumentError>([&] { compare(o); }), "did you mean 'bits_per_sequence'?");
  EXPECT_FALSE(fs::exists(o.out)) << "before anything is trained";
}

TEST(Compare, ForecastCountsWithoutMakingAnything) {
  Folder folder;
  CompareOptions o = options(folder / "out");
  CompareForecast f = forecast(o);
  EXPECT_FALSE(fs::exists(o.out));
  ASSERT_EQ(f.entries.size(), 3u);
  EXPECT_EQ(f.entries[1].runs, 2u);
  EXPECT_EQ(f.entries[1].done, 0u);
  EXPECT_GT(f.entries[1].parameters, f.entries[0].parameters);
  EXPECT_GT(f.entries[1].seconds_a_run, 0);
  compare(o);
  o.seeds = {1, 2, 3};
  f = forecast(o);
  EXPECT_EQ(f.entries[1].runs, 3u);
  EXPECT_EQ(f.entries[1].done, 2u);
}

}  // namespace
}  // namespace mneme::experiments
