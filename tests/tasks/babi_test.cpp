// Task babi: both forms, splits, order, determinism, metrics, chance, display, options.
#include "core/error.hpp"
#include "core/prediction.hpp"
#include "tasks/babi_worlds.hpp"
#include "tasks/task.hpp"
#include "tests/tasks/babi_data.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <set>

namespace mneme {
namespace {

std::unique_ptr<Task> babi_task(const std::map<std::string, std::string>& options = {}) {
  const TaskPlugin& plugin = tasks().find("babi");
  return plugin.make(plugin.options.parse("task", options));
}

Batch sampled(const Task& task, const Draw& draw) {
  Batch batch;
  task.sample(draw, batch);
  batch.check(task.spec());
  return batch;
}

std::string complaint(const std::map<std::string, std::string>& options) {
  try {
    babi_task(options);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

/// A directory with files of task 1 and 2, gone with the test.
class BabiFiles : public testing::Test {
 protected:
  BabiFiles() {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    std::string training;
    for (int i = 0; i < 10; ++i)
      training +=
          "1 Mary moved to the hall.\n2 John went to the office.\n3 Where is Mary? \thall\t1\n"
          "4 Mary went to the garden.\n5 Where is Mary?\tgarden\t4\n";
    write("qa1_one_train.txt", training);
    write("qa1_one_test.txt",
          "1 Mary moved to the hall.\n2 Zoe swam to the office.\n3 Where is Mary? \thall\t1\n"
          "1 John went to the garden.\n2 Mary moved to the office.\n3 John went to the hall.\n4 Where is Mary? "
          "\toffice\t2\n5 Where is John?\thall\t3\n");
    write("qa2_two_train.txt", training);
    write("qa2_two_test.txt", "1 Mary moved to the garden.\n2 Where is Mary?\tgarden\t1\n");
  }
  ~BabiFiles() override { std::filesystem::remove_all(dir_); }

  void write(const std::string& name, const std::string& text) { std::ofstream(dir_ / name) << text; }
  std::string dir() const { return dir_.string(); }

 private:
  std::filesystem::path dir_ =
      std::filesystem::path(testing::TempDir()) / ("babi_task_test_" + std::to_string(::getpid()));
};

constexpr Draw test_draw(std::size_t rows, std::uint64_t first = kTestNumbers) {
  return {.seed = 1, .stream = "eval", .first = first, .rows = rows};
}

/// Display of every row, in the order of their text: what the set holds, whatever its order.
std::vector<std::string> displays(const Task& task, const Draw& draw) {
  const Batch b = sampled(task, draw);
  std::vector<std::string> all;
  for (std::size_t row = 0; row < b.size; ++row) all.push_back(task.display(b, row, nullptr));
  std::sort(all.begin(), all.end());
  return all;
}

TEST(Babi, IsRegistered) {
  const TaskPlugin& plugin = tasks().find("babi");
  EXPECT_EQ(plugin.length_options, std::vector<std::string>{"eval-number"});
  EXPECT_NE(plugin.source.find("Weston et al. 2015"), std::string::npos);
}

TEST_F(BabiFiles, ItemsAreStatementsAndStepsAreTheQuestion) {
  const auto task = babi_task({{"data", dir()}});
  // words: garden hall is john mary moved office the to went where, unknown; answers: garden hall
  EXPECT_EQ(task->spec().vocabulary, 12u);
  EXPECT_EQ(task->spec().item_vocabulary, 12u);
  EXPECT_EQ(task->spec().outputs, 3u);
  EXPECT_EQ(task->spec().target, TargetKind::classes);
  const Batch b = sampled(*task, test_draw(3));
  std::size_t row = 0;
  while (b.parameters[1].second[row] != 3 || b.target.indices(2, row) != 1) ++row;  // the question about John
  EXPECT_EQ(b.items.count[row], 3u);
  EXPECT_EQ(b.lengths[row], 3u);
  const auto item = [&](std::size_t i) {
    std::vector<std::int32_t> words;
    for (std::size_t w = 0; w < b.items.tokens.shape()[2]; ++w) words.push_back(b.items.tokens(row, i, w));
    return words;
  };
  EXPECT_EQ(item(0), (std::vector<std::int32_t>{3, 9, 8, 7, 0}));
  EXPECT_EQ(item(1), (std::vector<std::int32_t>{4, 5, 8, 7, 6}));
  EXPECT_EQ(item(2), (std::vector<std::int32_t>{3, 9, 8, 7, 1}));
  EXPECT_EQ(b.items.support(row, 0), 0);
  EXPECT_EQ(b.items.support(row, 1), 0);
  EXPECT_EQ(b.items.support(row, 2), 1);
  const std::int32_t question[] = {10, 2, 3};
  for (std::size_t t = 0; t < 3; ++t) {
    EXPECT_EQ(b.tokens(t, row), question[t]);
    EXPECT_EQ(b.target.scored(t, row), t == 2);
    EXPECT_EQ(b.phase(t, row), static_cast<std::uint8_t>(t == 2 ? Phase::answer : Phase::input));
  }
}

TEST_F(BabiFiles, WordsAreTheStoryThenTheQuestion) {
  const auto task = babi_task({{"data", dir()}, {"form", "words"}});
  EXPECT_EQ(task->spec().vocabulary, 14u);
  EXPECT_EQ(task->spec().item_vocabulary, 0u);
  const Batch b = sampled(*task, test_draw(3));
  EXPECT_TRUE(b.items.count.empty());
  std::size_t row = 0;
  while (b.parameters[1].second[row] != 3 || b.tokens(20, row) != 3) ++row;
  const std::vector<std::int32_t> all = {3, 9, 8, 7, 0, 12, 4, 5, 8, 7, 6, 12, 3, 9, 8, 7, 1, 12, 10, 2, 3, 13};
  ASSERT_EQ(b.lengths[row], all.size());
  for (std::size_t t = 0; t < all.size(); ++t) {
    EXPECT_EQ(b.tokens(t, row), all[t]) << t;
    EXPECT_EQ(b.target.scored(t, row), t + 1 == all.size());
  }
  EXPECT_EQ(b.target.indices(21, row), 1);
}

TEST_F(BabiFiles, MemoryKeepsTheLastStatements) {
  const auto task = babi_task({{"data", dir()}, {"memory", "2"}});
  const Batch b = sampled(*task, test_draw(3));
  EXPECT_EQ(b.items.support.shape()[1], 2u);
  for (std::size_t row = 0; row < 3; ++row) EXPECT_EQ(b.items.count[row], 2u);
  const auto all = displays(*task, test_draw(3));
  EXPECT_EQ(all[1],
            "babi task 1, 3 statements, the last 2 kept\n"
            "     1  mary moved to the office\n"
            "*    2  john went to the hall\n"
            "question where is john?\n"
            "answer   hall\n");
  const auto one = babi_task({{"data", dir()}, {"memory", "1"}});
  EXPECT_EQ(displays(*one, test_draw(3))[1],
            "babi task 1, 3 statements, the last 1 kept\n"
            "     1  john went to the hall\n"
            "question where is mary?\n"
            "answer   <never seen in training>\n")
      << "support that is not kept is not marked";
  const auto words = babi_task({{"data", dir()}, {"memory", "1"}, {"form", "words"}});
  EXPECT_EQ(sampled(*words, test_draw(3)).steps, 10u);
}

TEST_F(BabiFiles, UnknownWordsAndUnseenAnswersAreCountedAndWrong) {
  const auto task = babi_task({{"data", dir()}});
  const Batch b = sampled(*task, test_draw(3));
  EXPECT_EQ(displays(*task, test_draw(3))[0],
            "babi task 1, 2 statements\n"
            "*    1  mary moved to the hall\n"
            "     2  <unknown> <unknown> to the office\n"
            "question where is mary?\n"
            "answer   hall\n");
  Tensor<float, 3> values;
  values.resize({b.steps, 3, 3});
  std::fill(values.storage().begin(), values.storage().end(), 0.0f);
  Tensor<std::int32_t, 2> choice = b.target.indices;
  for (std::size_t row = 0; row < 3; ++row) values(2, row, static_cast<std::size_t>(choice(2, row))) = 1;
  double wrong = 0, unknown = 0;
  for (std::size_t row = 0; row < 3; ++row) {
    double out[2];
    task->score(b, row, {values, choice}, 0.5, out);
    EXPECT_EQ(out[0], 0.5);
    EXPECT_EQ(out[1], b.target.indices(2, row) == 2 ? 100 : 0);
    wrong += out[1];
    unknown += b.parameters[2].second[row];
  }
  EXPECT_EQ(wrong, 100) << "no prediction can be right where the answer is not among training's";
  EXPECT_EQ(unknown, 2);
  EXPECT_EQ(b.parameters[2].first, "unknown_words");
}

// A class without a row of its own would score 0 for ever where tables are tied: no step of training could lower it.
TEST_F(BabiFiles, EveryClassIsATokenThatCanBeLearned) {
  for (const char* form : {"items", "words", "both"}) {
    const BatchSpec spec = babi_task({{"data", dir()}, {"form", form}})->spec();
    EXPECT_EQ(spec.output_tokens, (std::vector<std::int32_t>{0, 1, 11})) << "garden, hall, unknown";
  }
  for (const char* number : {"8", "19", "1:20"}) {  // lists: past all that stories have
    const BatchSpec spec = babi_task({{"number", number}, {"questions", "200"}})->spec();
    std::set<std::int32_t> once(spec.output_tokens.begin(), spec.output_tokens.end());
    EXPECT_EQ(once.size(), spec.outputs);
    EXPECT_GE(*once.begin(), 0);
    EXPECT_EQ(*once.rbegin() + 1, static_cast<std::int64_t>(spec.vocabulary));
  }
}

TEST_F(BabiFiles, TheLastTenthOfTrainingIsValidation) {
  const auto task = babi_task({{"data", dir()}, {"number", "1:2"}});
  // 2 x 20 training questions, 2 of each task in the last story: validation
  std::map<std::string, int> training, validation;
  const Batch t = sampled(*task, {.rows = 36}), v = sampled(*task, test_draw(4, 0));
  for (std::size_t row = 0; row < 36; ++row) ++training[task->display(t, row, nullptr)];
  for (std::size_t row = 0; row < 4; ++row) ++validation[task->display(v, row, nullptr)];
  for (const auto& [text, times] : training) EXPECT_EQ(times, 9) << text;
  for (const auto& [text, times] : validation) EXPECT_EQ(times, 1) << text;
  EXPECT_EQ(training.size(), 4u);
  EXPECT_EQ(validation.size(), 4u);
}

TEST_F(BabiFiles, AreKnownByTheirContentWhereverTheyLie) {
  const auto task = babi_task({{"data", dir()}});
  EXPECT_EQ(task->data_digest().size(), 16u);
  EXPECT_NE(task->data_digest(), task->test_digest());
  const std::filesystem::path moved = dir() + "_moved";
  std::filesystem::remove_all(moved);
  std::filesystem::copy(dir(), moved);
  EXPECT_EQ(babi_task({{"data", moved.string()}})->data_digest(), task->data_digest());
  EXPECT_EQ(babi_task({{"data", moved.string()}})->test_digest(), task->test_digest());
  std::filesystem::remove_all(moved);
  EXPECT_NE(babi_task({{"data", dir()}, {"number", "1:2"}})->data_digest(), task->data_digest());
  write("qa1_one_test.txt", "1 Mary moved to the hall.\n2 Where is Mary?\thall\t1\n");
  const auto judged = babi_task({{"data", dir()}});
  EXPECT_EQ(judged->data_digest(), task->data_digest()) << "the test shapes no run";
  EXPECT_NE(judged->test_digest(), task->test_digest());
  write("qa1_one_train.txt",
        "1 Mary moved to the garden.\n2 Where is Mary?\tgarden\t1\n1 Mary moved to the hall.\n2 Where is "
        "Mary?\thall\t1\n");
  EXPECT_NE(babi_task({{"data", dir()}})->data_digest(), task->data_digest());
  EXPECT_EQ(babi_task()->data_digest(), "") << "nothing is read";
  EXPECT_EQ(babi_task()->test_digest(), "");
}

TEST_F(BabiFiles, EvaluationsMayAskFromSomeTasks) {
  const auto task = babi_task({{"data", dir()}, {"number", "1:2"}, {"eval-number", "2"}});
  for (std::uint64_t first : {std::uint64_t{0}, kTestNumbers}) {
    const Batch b = sampled(*task, test_draw(20, first));
    for (float n : b.parameters[0].second) EXPECT_EQ(n, 2);
  }
  const Batch b = sampled(*task, {.rows = 36});
  EXPECT_EQ(std::count(b.parameters[0].second.begin(), b.parameters[0].second.end(), 1.0f), 18);
  const auto other = babi_task({{"data", dir()}, {"number", "1:2"}, {"eval-number", "1"}});
  EXPECT_EQ(other->spec().outputs, task->spec().outputs) << "the vocabulary is that of all tasks trained";
}

TEST_F(BabiFiles, TheTestMayComeFromElsewhere) {
  // Trained on stories of our own, with a difficulty of their own, and judged by the file.
  const auto judged = babi_task({{"test-data", dir()}, {"questions", "100"}, {"decoys", "1"}});
  const Batch b = sampled(*judged, test_draw(3));
  EXPECT_EQ(b.parameters[2].second[0] + b.parameters[2].second[1] + b.parameters[2].second[2], 5)
      << "Zoe, swam, and three halls";
  // Trained on the file, judged by stories of our own.
  const std::string own = dir() + "/own";
  std::filesystem::create_directories(own);
  std::ofstream(own + "/qa1_own_test.txt") << babi::tell(1, {}, 1, "test", 40).text();
  const auto trained = babi_task({{"data", dir()}, {"test-data", own}}), plain = babi_task({{"data", dir()}});
  EXPECT_EQ(trained->spec().vocabulary, plain->spec().vocabulary);
  EXPECT_EQ(displays(*trained, {.stream = "task", .rows = 20}), displays(*plain, {.stream = "task", .rows = 20}));
  EXPECT_NE(displays(*trained, test_draw(3)), displays(*plain, test_draw(3)));
  EXPECT_EQ(complaint({{"data", dir()}, {"test-data", own}, {"number", "2"}}),
            fmt::format("[task.test-data] no file qa2_*_test.txt in '{}'", own));
}

// Three test files beside one training file: the same promises, the same batches of training, the same question.
TEST_F(BabiFiles, TheTestFileShapesNothing) {
  const std::string same = "1 Mary moved to the hall.\n2 Where is Mary?\thall\t1\n";
  const std::string longer =
      "1 John moved to the hall.\n2 John went to the office.\n3 Mary went to the office.\n4 Mary moved to the hall.\n"
      "5 John went to the garden.\n6 Where is Mary?\thall\t4\n";
  const std::string wider = "1 Mary went to the office and then to the hall.\n2 Where is Mary?\thall\t1\n";
  write("qa1_one_test.txt", same);
  for (const char* form : {"items", "words", "both"}) {
    const std::map<std::string, std::string> options{{"data", dir()}, {"form", form}};
    write("qa1_one_test.txt", same);
    const auto plain = babi_task(options);
    const Batch training = sampled(*plain, {.rows = 18});
    const Batch first = sampled(*plain, test_draw(1));
    for (const std::string& more : {longer, wider}) {
      write("qa1_one_test.txt", same + more);
      const auto task = babi_task(options);
      const BatchSpec a = plain->spec(), b = task->spec();
      EXPECT_EQ(a.vocabulary, b.vocabulary) << form;
      EXPECT_EQ(a.item_vocabulary, b.item_vocabulary);
      EXPECT_EQ(a.outputs, b.outputs);
      EXPECT_EQ(a.output_tokens, b.output_tokens);
      EXPECT_EQ(a.max_items, b.max_items);
      EXPECT_EQ(a.longest_line, b.longest_line);
      EXPECT_EQ(sampled(*task, {.rows = 18}).tokens, training.tokens);
      EXPECT_EQ(sampled(*task, {.rows = 18}).items.count, training.items.count);
      const auto all = displays(*task, test_draw(2));
      EXPECT_EQ(std::count(all.begin(), all.end(), plain->display(first, 0, nullptr)), 1) << all[0] << all[1];
    }
  }
  // What is longer than all of training keeps its last statements, and says so; read as words it is whole.
  write("qa1_one_test.txt", longer);
  const auto items = babi_task({{"data", dir()}}), words = babi_task({{"data", dir()}, {"form", "words"}});
  EXPECT_EQ(displays(*items, test_draw(1))[0],
            "babi task 1, 5 statements, the last 3 kept\n"
            "     1  mary went to the office\n"
            "*    2  mary moved to the hall\n"
            "     3  john went to the garden\n"
            "question where is mary?\n"
            "answer   hall\n");
  EXPECT_EQ(items->test().at(0).cut, 1u);
  EXPECT_EQ(words->test().at(0).cut, 0u);
  EXPECT_EQ(sampled(*words, test_draw(1)).steps, 5 * 6 + 4u);
}

TEST_F(BabiFiles, AFileOfValidationQuestionsIsRead) {
  for (const char* name : {"qa1_valid.txt", "qa1_one_valid.txt"}) {
    write(name,
          "1 John moved to the office.\n2 Zoe moved to the hall.\n3 Where is John?\toffice\t1\n"
          "1 Mary moved to the garden.\n2 Where is Mary?\tgarden\t1\n");
    const auto task = babi_task({{"data", dir()}});
    std::map<std::string, int> seen;
    const Batch v = sampled(*task, test_draw(4, 0));
    for (std::size_t row = 0; row < 4; ++row) ++seen[task->display(v, row, nullptr)];
    EXPECT_EQ(seen, (std::map<std::string, int>{{"babi task 1, 1 statements\n"
                                                 "*    1  mary moved to the garden\n"
                                                 "question where is mary?\n"
                                                 "answer   garden\n",
                                                 2},
                                                {"babi task 1, 2 statements\n"
                                                 "*    1  john moved to the office\n"
                                                 "     2  <unknown> moved to the hall\n"
                                                 "question where is john?\n"
                                                 "answer   <never seen in training>\n",
                                                 2}}));
    std::map<std::string, int> trained;  // all 20 questions of the training file, none of validation's
    const Batch t = sampled(*task, {.rows = 20});
    for (std::size_t row = 0; row < 20; ++row) ++trained[task->display(t, row, nullptr)];
    EXPECT_EQ(trained.size(), 2u);
    for (const auto& [text, times] : trained) EXPECT_EQ(times, 10) << text;
    EXPECT_EQ(task->spec().outputs, babi_task({{"data", dir()}, {"test-data", dir()}})->spec().outputs);
    EXPECT_EQ(task->chance()[1], 100) << "by the training file alone";
    write(name, "1 John moved to the office.\n");
    EXPECT_EQ(complaint({{"data", dir()}}), fmt::format("[{}/{}] there is no question in it", dir(), name));
    std::filesystem::remove(std::filesystem::path(dir()) / name);
  }
  // Task 2 has none: its last tenth is for validation, as before. A single story of training is enough beside a file.
  write("qa1_valid.txt", "1 Mary moved to the garden.\n2 Where is Mary?\tgarden\t1\n");
  const auto both = babi_task({{"data", dir()}, {"number", "1:2"}});
  const Batch v = sampled(*both, test_draw(3, 0));
  EXPECT_EQ(std::count(v.parameters[0].second.begin(), v.parameters[0].second.end(), 1.0f), 1);
  write("qa1_one_train.txt", "1 Mary moved to the garden.\n2 Where is Mary?\tgarden\t1\n");
  EXPECT_EQ(complaint({{"data", dir()}}), "");
}

TEST_F(BabiFiles, TheTestSetIsNamedPartByPart) {
  const auto task = babi_task({{"data", dir()}, {"number", "1:2"}});
  const auto parts = task->test();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].number, 1);
  EXPECT_EQ(parts[1].number, 2);
  const Batch all = sampled(*task, test_draw(parts[0].questions + parts[1].questions));
  std::map<std::size_t, std::size_t> asked;
  std::size_t unseen[2] = {0, 0};
  for (std::size_t row = 0; row < all.size; ++row) {
    const std::size_t part = task->test_part(1, kTestNumbers + row);
    EXPECT_EQ(parts.at(part).number, static_cast<std::int64_t>(all.parameters[0].second[row]));
    ++asked[part];
    unseen[part] += all.target.indices(all.lengths[row] - 1, row) + 1 == static_cast<int>(task->spec().outputs);
  }
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(asked[i], parts[i].questions);
    EXPECT_EQ(unseen[i], parts[i].unseen_answers);
    const std::string number = std::to_string(i + 1);
    EXPECT_EQ(parts[i].majority, babi_task({{"data", dir()}, {"number", number}})->chance()[1]);
    const auto alone = babi_task({{"data", dir()}, {"number", "1:2"}, {"eval-number", number}})->test();
    ASSERT_EQ(alone.size(), 1u);
    EXPECT_EQ(alone[0].questions, parts[i].questions);
  }
  EXPECT_EQ(parts[0].unknown_words + parts[1].unknown_words, 2u);
}

TEST_F(BabiFiles, Display) {
  const auto task = babi_task({{"data", dir()}, {"number", "2"}});
  const Batch b = sampled(*task, test_draw(1));
  Prediction answer;
  Tensor<float, 3>& values = answer.values;
  values.resize({b.steps, 1, 3});
  std::fill(values.storage().begin(), values.storage().end(), 0.0f);
  values(2, 0, 0) = 0.7f;
  values(2, 0, 1) = 0.3f;
  const std::string asked =
      "babi task 2, 1 statements\n"
      "*    1  mary moved to the garden\n"
      "question where is mary?\n"
      "answer   garden\n";
  EXPECT_EQ(task->display(b, 0, nullptr), asked);
  EXPECT_EQ(task->display(b, 0, &answer), asked + "output   garden (0.70)\n");
  values(2, 0, 1) = 0.9f;
  EXPECT_EQ(task->display(b, 0, &answer), asked + "output   hall (0.90), wrong\n");
  const auto words = babi_task({{"data", dir()}, {"number", "2"}, {"form", "words"}});
  EXPECT_EQ(words->display(sampled(*words, test_draw(1)), 0, nullptr),
            "babi task 2, 1 statements\n"
            "     1  mary moved to the garden\n"
            "question where is mary?\n"
            "answer   garden\n");
}

TEST_F(BabiFiles, Chance) {
  const auto task = babi_task({{"data", dir()}});
  // 10 gardens, 10 halls in training, one added to each of three classes; test: hall, hall, never seen
  EXPECT_NEAR(task->chance()[0], (-2 * std::log(11 / 23.0) - std::log(1 / 23.0)) / 3, 1e-12);
  EXPECT_NEAR(task->chance()[1], 100, 1e-12) << "garden, the first of two that are equally common";
}

TEST_F(BabiFiles, Errors) {
  EXPECT_EQ(complaint({{"data", dir()}, {"number", "3"}}),
            fmt::format("[task.data] no file qa3_*_train.txt in '{}'", dir()));
  EXPECT_EQ(complaint({{"data", "/no/such"}}), "[task.data] '/no/such' is no directory that can be read");
  EXPECT_EQ(complaint({{"data", dir()}, {"decoys", "2"}}),
            "[task.decoys] 2 is about stories of our own making; task.data gives others");
  EXPECT_EQ(complaint({{"number", "1:2"}, {"eval-number", "2:3"}}),
            "[task.eval-number] 2:3 is not within task.number 1:2");
  EXPECT_EQ(complaint({{"number", "1"}, {"eval-number", "0:1"}}),
            "[task.eval-number] 0:1 is not within task.number 1:1");
  EXPECT_EQ(complaint({{"actors", "1"}}), "[task.actors] 1 people; a story has 2..12");
  write("qa2_two_train.txt", "1 Mary moved to the hall.\n2 Where is Mary? \thall\t1\n3 Where is Mary? \thall\t1\n");
  EXPECT_EQ(complaint({{"data", dir()}, {"number", "2"}}),
            "[task.data] task 2 has a single training story; validation needs one of its own");
  write("qa2_two_train.txt", "1 Mary moved to the hall.\n");
  EXPECT_EQ(complaint({{"data", dir()}, {"number", "2"}}),
            fmt::format("[{}/qa2_two_train.txt] there is no question in it", dir()));
  write("qa2_two_train.txt", "1 Mary moved to the hall.\n2 Where is Mary? hall 1\n");
  EXPECT_EQ(complaint({{"data", dir()}, {"number", "2"}}),
            fmt::format("[{}/qa2_two_train.txt:2] a question without TAB, answer, TAB and supporting IDs: "
                        "'Where is Mary? hall 1'",
                        dir()));
}

TEST(Babi, EveryQuestionOnceEachTimeRound) {
  const auto task = babi_task({{"number", "1:3"}, {"questions", "200"}});
  const std::size_t training = 3 * 180, validation = 3 * 20, test = 3 * 1000;
  const auto counts = [&](const Draw& draw) {
    const Batch b = sampled(*task, draw);
    std::map<std::string, int> count;
    for (std::size_t row = 0; row < b.size; ++row) ++count[task->display(b, row, nullptr)];
    return count;
  };
  for (const auto& [stream, first, n] : {std::tuple{"task", std::uint64_t{0}, training},
                                         {"eval", std::uint64_t{0}, validation},
                                         {"eval", kTestNumbers, test}}) {
    const auto once = counts({.seed = 1, .stream = stream, .first = first, .rows = n});
    EXPECT_EQ(once, counts({.seed = 1, .stream = stream, .first = first + n, .rows = n}));
    EXPECT_EQ(once, counts({.seed = 2, .stream = stream, .first = first, .rows = n}));
  }
  const auto order = [&](std::uint64_t seed, std::uint64_t first) {
    const Batch b = sampled(*task, {.seed = seed, .first = first, .rows = training});
    return b.parameters[0].second;
  };
  EXPECT_NE(order(1, 0), order(2, 0));
  EXPECT_NE(order(1, 0), order(1, training)) << "another order each time round";
  EXPECT_EQ(order(1, 0), order(1, 0));
}

TEST(Babi, SplitIs900To100) {
  for (int n = 1; n <= 20; ++n) {
    const auto task = babi_task({{"number", std::to_string(n)}});
    const auto round = [&](const char* stream, std::uint64_t first, std::size_t rows) {
      const Batch b = sampled(*task, {.stream = stream, .first = first, .rows = rows});
      std::multiset<std::string> all;
      for (std::size_t row = 0; row < rows; ++row) all.insert(task->display(b, row, nullptr));
      return all;
    };
    const std::size_t validation = n == 17 ? 96 : 100;  // stories of 8 questions do not end at 900
    EXPECT_EQ(round("eval", 0, validation), round("eval", validation, validation)) << n;
    EXPECT_EQ(round("task", 0, 1000 - validation), round("task", 1000 - validation, 1000 - validation)) << n;
  }
}

TEST(Babi, RowsOfAShardAreRowsOfTheBatch) {
  for (const char* form : {"items", "words", "both"}) {
    const auto task = babi_task({{"form", form}, {"number", "1:20"}, {"questions", "100"}});
    for (const char* stream : {"task", "eval"}) {
      const Batch whole = sampled(*task, {.seed = 2, .stream = stream, .first = 96, .rows = 8});
      for (std::size_t begin : {0u, 3u, 6u}) {
        const Batch shard = sampled(*task, {.seed = 2, .stream = stream, .first = 96, .row_begin = begin, .rows = 2});
        for (std::size_t r = 0; r < 2; ++r) {
          ASSERT_EQ(shard.lengths[r], whole.lengths[begin + r]);
          EXPECT_EQ(task->display(shard, r, nullptr), task->display(whole, begin + r, nullptr));
          for (std::size_t t = 0; t < shard.lengths[r]; ++t) {
            EXPECT_EQ(shard.tokens(t, r), whole.tokens(t, begin + r));
            EXPECT_EQ(shard.target.indices(t, r), whole.target.indices(t, begin + r));
          }
        }
      }
    }
  }
}

TEST(Babi, SameDrawSameBatchWhateverTheBatchHeld) {
  for (const char* form : {"items", "words", "both"}) {
    const auto task = babi_task({{"form", form}, {"number", "1:20"}, {"questions", "100"}});
    const Draw draw{.seed = 3, .first = 12, .rows = 5};
    const Batch a = sampled(*task, draw);
    Batch b = sampled(*task, {.seed = 9, .first = 1, .rows = 7});
    task->sample(draw, b);
    EXPECT_EQ(a.tokens, b.tokens);
    EXPECT_EQ(a.items.tokens, b.items.tokens);
    EXPECT_EQ(a.items.support, b.items.support);
    EXPECT_EQ(a.items.count, b.items.count);
    EXPECT_EQ(a.target.indices, b.target.indices);
    EXPECT_EQ(a.lengths, b.lengths);
    EXPECT_EQ(a.parameters, b.parameters);
  }
}

TEST(Babi, ItemsHaveTheSameShapeInEveryBatch) {
  const auto task = babi_task({{"number", "1:20"}, {"questions", "100"}, {"memory", "30"}});
  for (std::uint64_t first = 0; first < 50; ++first) {
    const Batch b = sampled(*task, {.first = first, .rows = 2});
    EXPECT_EQ(b.items.tokens.shape()[1], 30u);
    EXPECT_EQ(b.items.tokens.shape()[2], 11u);
  }
}

TEST(Babi, FormBothHasTheStepsOfWordsAndTheItemsOfItems) {
  const auto form = [](const char* name) {
    const auto task = babi_task({{"form", name}, {"number", "1:20"}, {"questions", "100"}});
    return std::pair(sampled(*task, test_draw(300)), task->spec());
  };
  const auto [items, items_spec] = form("items");
  const auto [words, words_spec] = form("words");
  const auto [both, spec] = form("both");
  EXPECT_EQ(both.tokens, words.tokens);
  EXPECT_EQ(both.lengths, words.lengths);
  EXPECT_EQ(both.parameters, words.parameters);
  EXPECT_EQ(both.items.tokens, items.items.tokens);
  EXPECT_EQ(both.items.support, items.items.support);
  EXPECT_EQ(both.items.count, items.items.count);
  EXPECT_EQ(spec.vocabulary, words_spec.vocabulary);
  EXPECT_EQ(spec.item_vocabulary, words_spec.vocabulary)
      << "a list as an answer is a token past the marks of the steps";
  EXPECT_EQ(spec.max_items, items_spec.max_items);
}

TEST(Babi, BothFormsGiveTheSameQuestions) {
  const auto items = babi_task({{"number", "1:20"}, {"questions", "100"}, {"memory", "1000"}});
  const auto words = babi_task({{"number", "1:20"}, {"questions", "100"}, {"memory", "1000"}, {"form", "words"}});
  const Batch a = sampled(*items, test_draw(200)), b = sampled(*words, test_draw(200));
  for (std::size_t row = 0; row < 200; ++row) {
    std::string text = items->display(a, row, nullptr);
    std::replace(text.begin(), text.end(), '*', ' ');
    EXPECT_EQ(text, words->display(b, row, nullptr));
  }
}

TEST(Babi, MetricsAndThreshold) {
  const auto task = babi_task();
  ASSERT_EQ(task->metrics().size(), 2u);
  EXPECT_EQ(task->metrics()[0].name, "nats_per_question");
  EXPECT_EQ(task->metrics()[task->solved_metric()].name, "error_percent");
  EXPECT_EQ(task->solved_threshold(), 5) << "as published: a task counts as failed above 5 % error";
  EXPECT_EQ(task->chance().size(), 2u);
}

TEST(Babi, ScoreNeedsTheRightChoiceAndANumber) {
  const auto task = babi_task();
  const Batch b = sampled(*task, test_draw(1));
  const std::size_t t = b.lengths[0] - 1;
  Tensor<float, 3> values;
  values.resize({b.steps, 1, task->spec().outputs});
  std::fill(values.storage().begin(), values.storage().end(), 0.1f);
  Tensor<std::int32_t, 2> choice = b.target.indices;
  double out[2];
  task->score(b, 0, {values, choice}, 1, out);
  EXPECT_EQ(out[1], 0);
  values(t, 0, static_cast<std::size_t>(choice(t, 0))) = std::numeric_limits<float>::quiet_NaN();
  task->score(b, 0, {values, choice}, 1, out);
  EXPECT_EQ(out[1], 100);
  choice(t, 0) = (choice(t, 0) + 1) % 6;
  task->score(b, 0, {values, choice}, 1, out);
  EXPECT_EQ(out[1], 100);
}

TEST(Babi, ChanceIsWhatTheCommonestAnswerScores) {
  for (const char* number : {"1", "6", "8", "19", "1:20"}) {
    const auto task = babi_task({{"number", number}});
    const Batch training = sampled(*task, {.rows = 900});
    std::map<std::int32_t, int> count;
    for (std::size_t row = 0; row < 900; ++row) ++count[training.target.indices(training.lengths[row] - 1, row)];
    const std::size_t n = std::string(number) == "1:20" ? 20000 : 1000;
    const Batch test = sampled(*task, test_draw(n));
    double best = 100;
    for (const auto& [answer, times] : count) {
      double wrong = 0;
      for (std::size_t row = 0; row < n; ++row) wrong += test.target.indices(test.lengths[row] - 1, row) != answer;
      best = std::min(best, 100 * wrong / static_cast<double>(n));
    }
    EXPECT_GE(task->chance()[1], best - 1e-9) << number;
    EXPECT_LE(task->chance()[1], best + 5) << number << ": the commonest of training is not far from that of the test";
  }
}

TEST(Babi, DefaultsNeedNoFiles) {
  const auto task = babi_task();
  const Batch b = sampled(*task, {.rows = 4});
  EXPECT_EQ(b.parameters[0].first, "task");
  EXPECT_EQ(b.parameters[0].second, (std::vector<float>{1, 1, 1, 1}));
  EXPECT_NE(displays(*task, {.rows = 4}), displays(*babi_task({{"stories-seed", "2"}}), {.rows = 4}));
}

// README of the data: majority of training, judged on the test, per task.
TEST(BabiPublished, MajorityPerTask) {
  MNEME_NEED_PUBLISHED_FILES();
  const double right[] = {18.7, 18.7, 18.5, 17.1, 18.9, 49.7, 48.8, 33.6, 63.8, 43.7,
                          18.7, 15.2, 15.4, 16.2, 21.3, 23.6, 52.0, 46.9, 8.1,  18.0};
  for (int n = 1; n <= 20; ++n) {
    const auto task = babi_task({{"data", babi::published_files().string()}, {"number", std::to_string(n)}});
    EXPECT_NEAR(100 - task->chance()[1], right[n - 1], 0.051) << "task " << n;
  }
}

TEST(BabiPublished, JointTask) {
  MNEME_NEED_PUBLISHED_FILES();
  const auto task = babi_task({{"data", babi::published_files().string()}, {"number", "1:20"}, {"memory", "1000"}});
  EXPECT_EQ(task->spec().vocabulary, 178u) << "156 words, the unknown word, and 21 answers that are lists";
  EXPECT_EQ(task->spec().outputs, 58u);
  const Batch b = sampled(*task, test_draw(20000));
  EXPECT_EQ(b.items.tokens.shape()[1], 224u) << "the longest story of training; the test's have up to 228";
  EXPECT_EQ(b.items.tokens.shape()[2], 11u);
  std::map<float, int> count;
  std::size_t unseen = 0;
  float unknown = 0;
  for (std::size_t row = 0; row < 20000; ++row) {
    ++count[b.parameters[0].second[row]];
    unseen += b.target.indices(b.lengths[row] - 1, row) == 57;
    unknown += b.parameters[2].second[row];
  }
  for (int n = 1; n <= 20; ++n) EXPECT_EQ(count[static_cast<float>(n)], 1000) << n;
  EXPECT_EQ(unseen, 1u);
  EXPECT_EQ(unknown, 0);
}

}  // namespace
}  // namespace mneme
