// Studies: rows in order whatever runs side by side, finished runs only read, columns, cells and the published figures.
#include "experiments/compare/study.hpp"

#include "experiments/compare/curves.hpp"
#include "experiments/judge/evaluate.hpp"
#include "experiments/run/run_directory.hpp"
#include "places.hpp"
#include "tasks/babi_format.hpp"
#include "tests/experiments/support.hpp"

#include <csignal>
#include <numeric>
#include <thread>

namespace mneme::experiments {
namespace {

std::vector<Assignment> quick() {
  return {{"task.questions", "40", ""},
          {"train.max-sequences", "640", ""},
          {"train.log-every", "320", ""},
          {"train.checkpoint-every", "320", ""}};
}

StudyOptions options(const fs::path& out, std::vector<Assignment> given, std::vector<std::string> presets) {
  StudyOptions o;
  o.out = out;
  o.given = std::move(given);
  o.presets = std::move(presets);
  o.seeds = Range{1, 2};
  o.done = [](const std::vector<Row>&) {};
  return o;
}

/// Of a study of a test set.
Row row_of(const std::string& preset, std::optional<std::int64_t> number, std::uint64_t seed) {
  Row row;
  row.factors = {{"preset", preset}, {"task", number ? std::to_string(*number) : ""}, {"seed", std::to_string(seed)}};
  return row;
}

std::string csv(const Study& study, std::vector<Row> rows) {
  const RowColumns columns = study_columns(study);
  std::string text = csv_header(columns);
  for (Row& row : rows) {
    row.seconds = 0;
    text += csv_line(columns, row);
  }
  return text;
}

TEST(Study, ColumnsAreThoseOfTheirResults) {
  for (const char* name : {"copy", "copy_batches", "ntm"}) {
    std::ifstream in(fs::path(MNEME_SOURCE_DIR) / "results" / (std::string(name) + ".csv"));
    std::string header;
    std::getline(in, header);
    std::string study = name;
    std::replace(study.begin(), study.end(), '_', '-');
    EXPECT_EQ(csv_header(study_columns(find_study(study))), header + "\n");
  }
}

TEST(Study, RowsOfCopyAreInOrderAndOnlyReadASecondTime) {
  Folder folder;
  const Study& study = find_study("copy");
  StudyOptions o = options(folder / "out",
                           {{"task.width", "3", ""},
                            {"task.length", "1:4", ""},
                            {"memory.slots", "8", ""},
                            {"controller.hidden", "12", ""},
                            {"train.max-sequences", "200", ""},
                            {"train.eval-episodes", "5", ""}},
                           {"copy_ntm"});
  o.how.jobs = 2;
  int stopped = -1;
  const auto rows = run_study(study, o, stopped);
  EXPECT_EQ(stopped, 0);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].factor("seed"), "1");
  EXPECT_EQ(rows[1].factor("seed"), "2");
  EXPECT_EQ(rows[0].sequences, 200u);
  EXPECT_EQ(rows[0].figures.size(), study_columns(study).figures.size());
  EXPECT_FALSE(rows[0].figure("solved_at_sequences"));
  EXPECT_GT(*rows[0].figure("wrong_40"), 0);
  const std::string record = read_file(o.out / "copy_ntm-seed1" / "run.json");
  o.how.jobs = 1;
  EXPECT_EQ(csv(study, run_study(study, o, stopped)), csv(study, rows));
  EXPECT_EQ(read_file(o.out / "copy_ntm-seed1" / "run.json"), record);
  o.given.push_back({"train.batch", "2", ""});
  expect_has(message_of<ArgumentError>([&] { run_study(study, o, stopped); }), "holds a run of another configuration");
}

TEST(Study, SeveralTasksAreJudgedEachAtItsLengths) {
  Folder folder;
  const Study& study = find_study("ntm");
  StudyOptions o = options(folder / "out",
                           {{"memory.slots", "8", ""},
                            {"memory.width", "4", ""},
                            {"controller.hidden", "12", ""},
                            {"train.max-sequences", "200", ""},
                            {"train.eval-every", "100", ""},
                            {"train.eval-episodes", "5", ""}},
                           {"associative_recall_ntm", "repeat_copy_ntm"});
  o.seeds = Range{1, 1};
  int stopped = -1;
  const auto rows = run_study(study, o, stopped);
  ASSERT_EQ(rows.size(), 2u);
  for (const char* figure : {"last_cost", "last_wrong", "cost_6", "wrong_20"}) {
    EXPECT_TRUE(rows[0].figure(figure)) << figure;
  }
  EXPECT_FALSE(rows[0].figure("cost_10x20"));
  for (const char* figure : {"cost_10x10", "wrong_20x10", "cost_10x20"}) EXPECT_TRUE(rows[1].figure(figure)) << figure;
  EXPECT_FALSE(rows[1].figure("cost_6"));
  const Curve curve = learning_curve(o.out / "associative_recall_ntm-seed1", "eval", "bits_per_sequence");
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(rows[0].figure("last_cost"), curve[1].value);
  EvaluationOptions how;
  how.lengths = {TaskLength{10, 20}};
  EXPECT_EQ(rows[1].figure("wrong_10x20"), evaluate(o.out / "repeat_copy_ntm-seed1", how).results[0].figures[1].value);
  // Rows that are known are not made again, whatever is on disk.
  fs::remove_all(o.out);
  o.known = rows;
  const auto again = run_study(study, o, stopped);
  EXPECT_EQ(csv(study, again), csv(study, rows));
  EXPECT_FALSE(fs::exists(o.out));
  o.given[3].value = "300";  // longer than the rows are
  EXPECT_EQ(run_study(study, o, stopped).at(0).sequences, 300u);
  o.presets = {"reverse_ntm"};
  expect_has(message_of<ArgumentError>([&] { run_study(study, o, stopped); }),
             "[--presets] reverse_ntm: study ntm has no lengths to judge it at; it knows copy_ntm, ");
}

TEST(Study, ANullInTheMetricsIsAMissingNumber) {
  Folder folder;
  const Study& study = find_study("copy");
  StudyOptions o = options(folder / "out",
                           {{"task.width", "1", ""},
                            {"task.length", "1", ""},
                            {"memory.slots", "8", ""},
                            {"controller.hidden", "12", ""},
                            {"optimizer", "adam", ""},
                            {"train.learning-rate", "1e-2", ""},
                            {"train.eval-every", "100", ""},
                            {"train.max-sequences", "20000", ""},
                            {"train.eval-episodes", "5", ""}},
                           {"copy_ntm"});
  o.seeds = Range{1, 1};
  o.after = 200;
  int stopped = -1;
  const auto rows = run_study(study, o, stopped);
  ASSERT_EQ(rows.size(), 1u);
  ASSERT_TRUE(rows[0].figure("solved_at_sequences"));
  const auto sequences = std::to_string(rows[0].sequences);
  const fs::path metrics = o.out / "copy_ntm-seed1" / "metrics.jsonl";
  write_file(metrics, read_file(metrics) + R"({"kind":"train","sequences":)" + sequences +
                          R"(,"bits_per_sequence":null})" + "\n" +
                          R"({"kind":"eval","sequences":null,"wrong_bits_per_sequence":3})" + "\n");
  EXPECT_EQ(csv(study, run_study(study, o, stopped)), csv(study, rows));
}

TEST(Study, WhatHappensAfterSolvingIsInTheRowWhereverTheRunWentOn) {
  Folder folder;
  const Study& study = find_study("copy");
  StudyOptions o = options(folder / "out",
                           {{"task.width", "1", ""},
                            {"task.length", "1", ""},
                            {"memory.slots", "8", ""},
                            {"controller.hidden", "12", ""},
                            {"optimizer", "adam", ""},
                            {"train.learning-rate", "1e-2", ""},
                            {"train.eval-every", "100", ""},
                            {"train.max-sequences", "20000", ""},
                            {"train.eval-episodes", "5", ""}},
                           {"copy_ntm"});
  o.seeds = Range{1, 1};
  int stopped = -1;
  const auto worst = [&](std::uint64_t after) {
    o.after = after;
    const Row row = run_study(study, o, stopped).at(0);
    return row.figure("worst_evaluation_after");
  };
  EXPECT_FALSE(worst(0)) << "it ended when it was solved";
  const auto watched = worst(400);
  ASSERT_TRUE(watched);
  EXPECT_EQ(worst(0), watched) << "another call without --after knows it too";
  const auto solved = run_json(o.out / "copy_ntm-seed1").at("solved_at_sequences").get<std::uint64_t>();
  const fs::path metrics = o.out / "copy_ntm-seed1" / "metrics.jsonl";
  write_file(metrics,
             read_file(metrics) +
                 fmt::format(R"({{"kind":"eval","sequences":{},"wrong_bits_per_sequence":1e6}})", solved + 300) + "\n");
  EXPECT_EQ(worst(0), 1e6);
  EXPECT_EQ(worst(400), 1e6);
  EXPECT_LT(*worst(200), 1e6) << "up to where --after ends";
}

TEST(Study, RowsOfTwoProcessesStandInOneCsv) {
  Folder folder;
  const Study& study = find_study("copy");
  const RowColumns columns = study_columns(study);
  const fs::path csv = folder / "copy.csv";
  const auto row_of_seed = [](const std::string& seed) {
    Row row;
    row.factors = {{"preset", "copy_ntm"}, {"seed", seed}};
    return row;
  };
  const auto rows = [&](std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      Row row = row_of_seed(std::to_string(seed));
      row.exit_reason = "solved";
      add_rows(columns, csv, {row}, std::chrono::seconds(60));
    }
  };
  std::thread other([&] { rows(21, 40); });  // the lock is one of open files: threads meet it as processes do
  rows(1, 20);
  other.join();
  std::string expected = csv_header(study_columns(study));
  for (std::uint64_t seed = 1; seed <= 40; ++seed) expected += fmt::format("copy_ntm,{},", seed) + "\n";
  const std::string text = std::regex_replace(read_file(csv), std::regex("(copy_ntm,[0-9]+,).*"), "$1");
  EXPECT_EQ(text, expected);

  const FolderLock held(folder.path());
  const std::string message =
      message_of<RuntimeFailure>([&] { add_rows(columns, csv, {row_of_seed("1")}, std::chrono::milliseconds(50)); });
  expect_has(message, "[" + csv.string() + "] takes no rows now");
  expect_has(message, "another process");
}

TEST(Study, AllHaveDivergedWhereNoneEndedWell) {
  Row lost, good;
  lost.exit_reason = "diverged";
  good.exit_reason = "max_sequences";
  EXPECT_FALSE(all_diverged({}));
  EXPECT_TRUE(all_diverged({lost, lost}));
  EXPECT_FALSE(all_diverged({lost, good}));
}

TEST(Study, ARunWhoseJudgementIsNotFiniteIsARowThatDiverged) {
  Folder folder;
  const Study& study = find_study("copy");
  StudyOptions o = options(folder / "out",
                           {{"task.width", "3", ""},
                            {"task.length", "1:4", ""},
                            {"memory.slots", "8", ""},
                            {"controller.hidden", "12", ""},
                            {"train.max-sequences", "100", ""},
                            {"train.eval-episodes", "5", ""}},
                           {"copy_ntm"});
  int stopped = -1;
  const auto rows = run_study(study, o, stopped);
  const fs::path first = o.out / "copy_ntm-seed1", last = list_checkpoints(first).back();
  const Config config = Config::load(first.string());
  Session s(config, 1);
  RunState state;
  load_checkpoint(last, s.parameters(), &s.optimizer(), &state);
  s.parameters().flat()[0] = std::numeric_limits<float>::quiet_NaN();
  save_checkpoint(last, config.text(), s.parameters(), s.optimizer(), state);
  std::string said;
  o.how.notice = [&](const std::string& text) { said += text + "\n"; };
  const auto again = run_study(study, o, stopped);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].exit_reason, "diverged");
  EXPECT_TRUE(again[0].figures.empty());
  EXPECT_EQ(again[1].figures, rows[1].figures);
  expect_has(said, "copy_ntm-seed1: diverged when it was judged: [");
}

TEST(Study, ARowForEachTaskAndSeedAndTheJointRunGivesOneForEachTask) {
  Folder folder;
  const Study& study = find_study("babi-1k");
  auto given = quick();
  given.push_back({"task.number", "1:2", "--task.number"});
  StudyOptions o = options(folder / "out", given, {"babi_memn2n_single", "babi_memn2n_joint"});
  o.how.jobs = 3;
  std::size_t handed = 0;
  o.done = [&](const std::vector<Row>& rows) { handed += rows.size(); };
  int stopped = -1;
  const auto rows = run_study(study, o, stopped);
  ASSERT_EQ(rows.size(), 8u);
  EXPECT_EQ(handed, 8u);
  const std::vector<std::pair<int, int>> order = {{1, 1}, {1, 2}, {2, 1}, {2, 2}, {1, 1}, {2, 1}, {1, 2}, {2, 2}};
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(rows[i].factor("task"), std::to_string(order[i].first)) << i;
    EXPECT_EQ(rows[i].factor("seed"), std::to_string(order[i].second)) << i;
    EXPECT_EQ(rows[i].factor("preset"), i < 4 ? "babi_memn2n_single" : "babi_memn2n_joint");
    EXPECT_EQ(rows[i].figure("questions"), 1000);
  }
  EXPECT_EQ(rows[4].figure("training_loss"), rows[5].figure("training_loss")) << "one run";
  const Evaluation joint = evaluate(o.out / "babi_memn2n_joint-seed2", {});
  EXPECT_EQ(rows[7].figure("error_percent"), joint.parts[1].error);
  EXPECT_EQ(rows[7].figure("majority_error_percent"), joint.parts[1].part.majority);
  o.how.jobs = 1;
  EXPECT_EQ(csv(study, run_study(study, o, stopped)), csv(study, rows));

  const auto cells = study_cells(rows);
  ASSERT_EQ(cells.size(), 4u);
  EXPECT_EQ(cells[2].preset, "babi_memn2n_joint");
  EXPECT_EQ(cells[2].number, 1);
  EXPECT_EQ(cells[2].errors.size(), 2u);
  EXPECT_EQ(cells[2].seed, cells[3].seed) << "a joint run is chosen as a whole";
}

TEST(Study, StoppedItGoesOnWithTheSameRows) {
  Folder folder;
  const Study& study = find_study("babi-1k");
  auto given = quick();
  given.push_back({"task.number", "1:3", ""});
  StudyOptions o = options(folder / "whole", given, {"babi_memn2n_single"});
  int stopped = 0;
  const auto whole = run_study(study, o, stopped);
  o.out = folder / "part";
  std::atomic<int> signal = 0;
  o.how.signal = &signal;
  o.how.progress_seconds = 0;
  o.how.progress = [&](const JobsProgress& p) {
    if (p.done == 2 && p.sequences > 2 * 640 + 100) signal = SIGINT;
  };
  EXPECT_EQ(run_study(study, o, stopped).size(), 2u);
  EXPECT_EQ(stopped, 130);
  signal = 0;
  o.how.progress = {};
  EXPECT_EQ(csv(study, run_study(study, o, stopped)), csv(study, whole));
  EXPECT_EQ(stopped, 0);
}

TEST(Study, TheCellsChooseByTrainingLossAlone) {
  std::vector<Row> rows;
  const auto add = [&](std::uint64_t seed, std::optional<double> loss, double error) {
    rows.push_back(row_of("babi_kv", 7, seed));
    if (loss)
      rows.back().figures = {{"training_loss", loss},          {"questions", 1000},    {"error_percent", error},
                             {"majority_error_percent", 50.0}, {"unknown_words", 3.0}, {"unseen_answers", 1.0}};
  };
  add(1, 0.5, 1);
  add(2, 0.25, 9);
  add(3, std::nullopt, 0);  // diverged
  add(4, 0.25, 2);
  const auto cells = study_cells(rows);
  ASSERT_EQ(cells.size(), 1u);
  EXPECT_EQ(cells[0].seed, 2u) << "the first of equals";
  EXPECT_EQ(cells[0].error, 9);
  EXPECT_EQ(cells[0].runs, 4u);
  EXPECT_EQ(cells[0].errors, (std::vector<double>{1, 9, 2}));
  EXPECT_EQ(cells[0].majority, 50);
  EXPECT_EQ(cells[0].unknown_words, 3);
}

TEST(Study, AJointRunThatDivergedCountsInEveryCellOfItsPreset) {
  std::vector<Row> rows;
  const auto add = [&](const char* preset, std::optional<std::int64_t> number, std::uint64_t seed) {
    rows.push_back(row_of(preset, number, seed));
    if (number)
      rows.back().figures = {{"training_loss", 0.5},           {"questions", 1000.0},  {"error_percent", 10.0},
                             {"majority_error_percent", 50.0}, {"unknown_words", 0.0}, {"unseen_answers", 0.0}};
  };
  add("babi_kv", 1, 1);
  add("babi_memn2n_joint", std::nullopt, 1);
  add("babi_memn2n_joint", 1, 2);
  add("babi_memn2n_joint", 2, 2);
  const auto cells = study_cells(rows);
  ASSERT_EQ(cells.size(), 3u);
  EXPECT_EQ(cells[0].runs, 1u);
  for (std::size_t i : {1, 2}) {
    EXPECT_EQ(cells[i].runs, 2u);
    EXPECT_EQ(cells[i].errors.size(), 1u);
  }
  EXPECT_TRUE(study_cells({rows[1]}).empty());
}

TEST(Study, PublishedColumnsHaveTheirPublishedMeans) {
  const std::vector<std::pair<std::string, double>> means = {{"babi_memn2n_single program", 13.8},
                                                             {"babi_memn2n_single NumPy", 15.2},
                                                             {"babi_memn2n_joint paper", 12.4},
                                                             {"babi_memn2n_joint program", 12.4},
                                                             {"babi_memn2n_joint NumPy", 12.9}};
  const Study& study = find_study("babi-1k");
  ASSERT_EQ(study.columns.size(), means.size());
  for (std::size_t i = 0; i < means.size(); ++i) {
    const PublishedColumn& c = study.columns[i];
    EXPECT_EQ(c.preset + " " + c.name, means[i].first);
    ASSERT_EQ(c.errors.size(), 20u);
    EXPECT_NEAR(std::accumulate(c.errors.begin(), c.errors.end(), 0.0) / 20, means[i].second, 0.051) << c.name;
  }
}

TEST(Study, EveryPresetOfAStudyLoads) {
  for (const Study& study : studies()) {
    EXPECT_LE(study.standard, study.presets.size());
    for (const StudyPreset& p : study.presets) EXPECT_NO_THROW(Config::load(p.name)) << p.name;
  }
  expect_has(message_of<ArgumentError>([] { find_study("babi"); }), "There are: copy, copy-batches, ntm, babi-1k");
}

TEST(Study, TasksThatAPresetDoesNotLearnAreAnError) {
  Folder folder;
  int stopped = 0;
  const auto o = options(folder / "out", {{"task.number", "2:3", ""}}, {"babi_ntm"});
  expect_has(message_of<ArgumentError>([&] { run_study(find_study("babi-1k"), o, stopped); }),
             "[--task.number] 2:3 has none of the tasks that babi_ntm learns here: 1, 4, 15");
}

TEST(Study, GoesOnWhereItIsAskedForLongerRunsAndRowsHaveTheirFoldersHash) {
  Folder folder;
  const Study& study = find_study("babi-1k");
  auto given = quick();
  given.push_back({"task.number", "1:1", ""});
  StudyOptions o = options(folder / "out", given, {"babi_memn2n_single"});
  o.seeds = Range{1, 1};
  int stopped = 0;
  const fs::path directory = o.out / "babi_memn2n_single-task1-seed1";
  const auto hash = [&] { return run_json(directory).at("config_hash").get<std::string>(); };
  const Row shorter = run_study(study, o, stopped).at(0);
  EXPECT_EQ(shorter.config_hash, hash());
  o.given[1].value = "960";
  const Row longer = run_study(study, o, stopped).at(0);
  EXPECT_EQ(longer.sequences, 960u);
  EXPECT_EQ(longer.config_hash, hash());
  EXPECT_EQ(longer.config_hash, shorter.config_hash) << "the same run, gone on with";
  o.given[1].value = "640";  // less than there is: only read, and called what it is
  const Row again = run_study(study, o, stopped).at(0);
  EXPECT_EQ(again.sequences, 960u);
  EXPECT_EQ(again.config_hash, longer.config_hash);

  const std::vector<std::string> argv = {"mneme",
                                         "train",
                                         "babi_memn2n_single",
                                         "--seed",
                                         "1",
                                         "--task.number",
                                         "1",
                                         "--task.questions",
                                         "40",
                                         "--train.max-sequences",
                                         "960",
                                         "--train.log-every",
                                         "320",
                                         "--train.checkpoint-every",
                                         "320",
                                         "--out",
                                         directory.string()};
  EXPECT_EQ(run_json(directory).at("history").back().at("argv").get<std::vector<std::string>>(), argv);

  auto j = run_json(directory);
  j.erase("environment");
  write_file(directory / "run.json", j.dump());
  const std::string message = message_of<FileError>([&] { run_study(study, o, stopped); });
  expect_has(message, "babi_memn2n_single-task1-seed1: [" + (directory / "run.json").string() + "] is not as expected");
}

TEST(Study, WhatDoesNotFitIsRefusedBeforeAnyTraining) {
  Folder folder;
  int stopped = 0;
  const auto complaint = [&](const char* study, const StudyOptions& o) {
    const std::string message = message_of<ArgumentError>([&] { run_study(find_study(study), o, stopped); });
    EXPECT_FALSE(fs::exists(folder / "out"));
    return message;
  };
  StudyOptions o = options(folder / "out", {}, {"copy_ntm"});
  EXPECT_EQ(complaint("babi-1k", o),
            "[--presets] copy_ntm: study babi-1k judges on a test set, and the task 'copy' has none");
  o.presets = {"copy_ntm", "babi_kv"};
  expect_has(complaint("copy", o), "[--presets] babi_kv: study copy judges at the lengths 20, 40, 80, 120; [");
  o.presets = {"copy_ntm", "copy_ntm_ff", "copy_ntm"};
  EXPECT_EQ(complaint("copy", o), "[--presets] copy_ntm is there twice");
  o.presets = {"babi_kv"};
  o.given = {{"train.max-sequences", "640", ""}};
  expect_has(complaint("babi-1k", o), "[train.log-every] 900 is more than train.max-sequences = 640");
  o.given = {};
  o.after = 100;
  EXPECT_EQ(complaint("babi-1k", o), "[--after] is for studies of lengths; babi-1k judges its runs on a test set");
}

TEST(Study, TheCsvKeepsTheRowsOfOtherCalls) {
  const RowColumns columns = study_columns(find_study("babi-1k"));
  const auto row = [](const char* preset, std::optional<std::int64_t> number, std::uint64_t seed, double loss) {
    Row r = row_of(preset, number, seed);
    r.figures = {{"training_loss", loss}};
    return r;
  };
  const auto text = [&](const std::vector<Row>& rows) {
    std::string all = csv_header(columns);
    for (const Row& r : rows) all += csv_line(columns, r);
    return all;
  };
  const char *one = "babi_memn2n_single", *joint = "babi_memn2n_joint";
  const std::string before = merged_csv(
      columns, "", "a.csv", {row(one, 2, 10, 1), row(one, 2, 9, 2), row(joint, 1, 1, 3), row(joint, 2, 1, 4)});
  EXPECT_EQ(before, text({row(one, 2, 9, 2), row(one, 2, 10, 1), row(joint, 1, 1, 3), row(joint, 2, 1, 4)}));
  EXPECT_EQ(merged_csv(columns, before, "a.csv", {}), before);
  const std::string after =
      merged_csv(columns, before, "a.csv", {row("babi_kv", 1, 1, 5), row(one, 1, 9, 6), row(one, 2, 9, 7)});
  EXPECT_EQ(after, text({row(one, 1, 9, 6), row(one, 2, 9, 7), row(one, 2, 10, 1), row(joint, 1, 1, 3),
                         row(joint, 2, 1, 4), row("babi_kv", 1, 1, 5)}));
  const std::string lost = merged_csv(columns, before, "a.csv", {row(joint, std::nullopt, 1, 8)});
  EXPECT_EQ(lost, text({row(one, 2, 9, 2), row(one, 2, 10, 1), row(joint, std::nullopt, 1, 8)}));
  expect_has(message_of<FileError>([&] { merged_csv(columns, "preset,seed\n", "a.csv", {}); }),
             "[a.csv] has other columns than the study babi-1k here");
  expect_has(message_of<FileError>([&] { merged_csv(columns, before + "what\n", "a.csv", {}); }),
             "[a.csv] 'what' is no row of the study babi-1k");
}

TEST(Study, OnlyFilesThatWeDidNotWriteArePublishedData) {
  Folder folder;
  const Study& study = find_study("babi-1k");
  for (const char* name : {"en", "own"}) fs::create_directories(folder / name);
  write_file(folder / "en" / "qa1_single-supporting-fact_train.txt", "");
  write_file(folder / "own" / babi::own_file(1, "train"), "");
  const std::string en = (folder / "en").string(), own = (folder / "own").string();
  EXPECT_FALSE(published_data(study, {}));
  EXPECT_TRUE(published_data(study, {{"task.data", en, ""}}));
  EXPECT_FALSE(published_data(study, {{"task.data", own, ""}}));
  EXPECT_FALSE(published_data(study, {{"task.data", en, ""}, {"task.test-data", own, ""}}));
  EXPECT_FALSE(published_data(study, {{"task.test-data", en, ""}}));
  EXPECT_TRUE(published_data(find_study("copy"), {}));
}

}  // namespace
}  // namespace mneme::experiments
