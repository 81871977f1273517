// Room: tasks. babi: questions about little stories (Weston et al. 2015), from files of the published format or from
// worlds of our own (tasks/babi_worlds.hpp). One sequence is one question with the statements before it.
//
//   form   items (Sukhbaatar et al. 2015)                words (read one by one); both has these items as well
//   items  a statement each, oldest first, support       none
//   steps  the question's words                          statements' words, "." after each, question's words, "?"
//   target the answer's class at the last step, phase answer; nothing else is scored
//
// Validation is a file of its own where there is one, else the last tenth of a task's training questions (from a
// story's start on). Stream "task" runs through the training questions, "eval" through validation below kTestNumbers
// and through the test from there on, in an order that is drawn anew each time round. All that a model is built from
// (words, answers, items, the longest line) is the training files'; a longer story keeps its last statements.
#include "core/error.hpp"
#include "core/prediction.hpp"
#include "tasks/babi_words.hpp"
#include "tasks/babi_worlds.hpp"
#include "tasks/task.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>

namespace mneme {

namespace {

using babi::Encoded;

class Babi final : public Task {
 public:
  static OptionTable options() {
    OptionTable table;
    table
        .path("data", "",
              "directory with qaN_*_train.txt, qaN_*_test.txt and, if it has them, qaN_*_valid.txt for validation; "
              "empty = stories of our own making")
        .path("test-data", "", "directory with the qaN_*_test.txt to be judged by; empty = as task.data")
        .range("number", {1, 1}, 1, babi::kTasks, "tasks trained together; all = the joint task", "all")
        .range("eval-number", {0, 0}, 0, babi::kTasks, "tasks that evaluations ask from; 0 = all of task.number")
        .choice("form", "items", {"items", "words", "both"},
                "statements as an item set, the story word by word, or both")
        .integer("memory", 50, 1, 65536, "statements kept of a story, the last ones");
    return babi::declare_stories(table);
  }

  explicit Babi(const Options& o)
      : story_in_steps_(o.text("form") != "items"),
        story_in_items_(o.text("form") != "words"),
        kept_(o.size("memory")) {
    const Range number = o.range("number");
    Range asked = o.range("eval-number");
    if (asked.low == 0 && asked.high == 0) asked = number;
    if (asked.low < number.low || asked.high > number.high)
      fail<ArgumentError>("task.eval-number", "{}:{} is not within task.number {}:{}", asked.low, asked.high,
                          number.low, number.high);
    std::vector<babi::Stories> training;
    for (std::int64_t n = number.low; n <= number.high; ++n)
      training.push_back(stories(o, static_cast<int>(n), "train", data_digest_));
    vocabulary_ = babi::Vocabulary(training);
    for (std::size_t i = 0; i < training.size(); ++i)
      set_.add(training[i], vocabulary_, static_cast<int>(number.low) + static_cast<int>(i));
    trained_ = set_.questions.size();
    if (story_in_items_) kept_ = std::min(kept_, set_.longest_story);
    spec_.longest_line = longest_line();
    std::size_t begin = 0;
    for (std::size_t i = 0; i < training.size(); ++i) {
      const int n = static_cast<int>(number.low) + static_cast<int>(i);
      const bool is_asked = n >= asked.low && n <= asked.high;
      const std::size_t end = begin + training[i].questions.size();
      if (const auto given = validation(o, n, data_digest_))
        add_validation(begin, end, *given, n, is_asked);
      else
        split(begin, end, is_asked);
      add_test(stories(o, n, "test", test_digest_), n, is_asked);
      begin = end;
    }
    promise();
    guess();
  }

  const BatchSpec& spec() const override { return spec_; }

  void sample(const Draw& draw, Batch& batch) const override {
    const bool eval = draw.stream == "eval";
    const auto question = [&](std::size_t row) -> const Encoded::Item& {
      const std::uint64_t number = draw.first + draw.row_begin + row;
      const auto& order = !eval ? training_order_ : number < kTestNumbers ? validation_order_ : test_order_;
      return set_.questions[order[place(draw, number % kTestNumbers, order.size())]];
    };
    const auto kept = [&](const Encoded::Item& q) { return is_cut(q) ? q.end - kept_ : q.first; };
    const auto steps = [&](const Encoded::Item& q) {
      std::size_t n = q.word_end - q.word_begin;
      if (story_in_steps_)
        for (std::size_t s = kept(q); s < q.end; ++s) n += set_.end[s] - set_.begin[s] + 1;
      return n + story_in_steps_;
    };
    std::size_t longest = 0;
    for (std::size_t b = 0; b < draw.rows; ++b) longest = std::max(longest, steps(question(b)));
    batch.reset(spec_, draw.rows, longest, spec_.max_items, longest_line());
    for (std::size_t b = 0; b < draw.rows; ++b) {
      const Encoded::Item& q = question(b);
      std::size_t t = 0, unknown = 0;
      const auto step = [&](std::int32_t word) {
        unknown += word == unknown_word();
        batch.tokens(t++, b) = word;
      };
      const std::size_t from = kept(q);
      if (story_in_items_) batch.items.count[b] = static_cast<std::uint32_t>(q.end - from);
      for (std::size_t s = from; s < q.end; ++s) {
        for (std::size_t w = set_.begin[s]; w < set_.end[s]; ++w) {
          if (story_in_items_) batch.items.tokens(b, s - from, w - set_.begin[s]) = set_.words[w];
          if (story_in_steps_)
            step(set_.words[w]);
          else
            unknown += set_.words[w] == unknown_word();
        }
        if (story_in_steps_) step(full_stop());
      }
      for (std::size_t i = q.support_begin; story_in_items_ && i < q.support_end; ++i)
        if (set_.support[i] >= from) batch.items.support(b, set_.support[i] - from) = 1;
      for (std::size_t w = q.word_begin; w < q.word_end; ++w) step(set_.words[w]);
      if (story_in_steps_) step(question_mark());
      batch.lengths[b] = static_cast<std::uint32_t>(t);
      batch.phase(t - 1, b) = static_cast<std::uint8_t>(Phase::answer);
      batch.target.scored(t - 1, b) = 1;
      batch.target.indices(t - 1, b) = q.answer;
      batch.parameters[0].second[b] = static_cast<float>(q.task);
      batch.parameters[1].second[b] = static_cast<float>(q.end - q.first);
      batch.parameters[2].second[b] = static_cast<float>(unknown);
    }
  }

  const std::vector<Metric>& metrics() const override { return metrics_; }

  void score(const Batch& batch, std::size_t row, const Prediction& answer, double nats,
             std::span<double> out) const override {
    const std::size_t t = batch.lengths[row] - 1;
    const std::int32_t want = batch.target.indices(t, row), have = answer.indices(t, row);
    const bool right =
        have == want && want != unseen_answer() && answer.values(t, row, static_cast<std::size_t>(have)) > 0;
    out[0] = nats;
    out[1] = right ? 0 : 100;
  }

  std::vector<double> chance() const override { return chance_; }
  std::size_t solved_metric() const override { return 1; }
  double solved_threshold() const override { return 5; }

  std::vector<TestPart> test() const override { return parts_; }
  std::size_t test_part(std::uint64_t seed, std::uint64_t number) const override {
    const std::size_t at = place({.seed = seed, .stream = "eval"}, number % kTestNumbers, test_order_.size());
    return static_cast<std::size_t>(set_.questions[test_order_[at]].task - parts_.front().number);
  }

  std::vector<std::string> token_names() const override {
    std::vector<std::string> names = vocabulary_.words();
    names.push_back(word(unknown_word()));
    if (story_in_steps_) names.insert(names.end(), {".", "?"});
    for (const std::string& answer : vocabulary_.answers())
      if (vocabulary_.word(answer) == unknown_word()) names.push_back(answer);  // in the order of promise()
    return names;
  }
  std::vector<std::string> class_names() const override {
    std::vector<std::string> names = vocabulary_.answers();
    names.push_back(answer(unseen_answer()));
    return names;
  }

  /// Of the bytes of the training files, whose last tenth validates, and of the test files, in the order of the tasks.
  std::string data_digest() const override { return data_digest_; }
  std::string test_digest() const override { return test_digest_; }

  std::string display(const Batch& batch, std::size_t row, const Prediction* given) const override {
    const std::size_t last = batch.lengths[row] - 1;
    const auto whole = static_cast<std::size_t>(batch.parameters[1].second[row]);
    std::string text =
        fmt::format("babi task {}, {} statements", static_cast<int>(batch.parameters[0].second[row]), whole);
    text += whole > kept_ ? fmt::format(", the last {} kept\n", kept_) : "\n";
    std::vector<std::string> lines(1);  // in the form words: the statements, then the question
    for (std::size_t t = 0; t < batch.lengths[row]; ++t)
      if (batch.tokens(t, row) == full_stop())
        lines.emplace_back();
      else if (batch.tokens(t, row) != question_mark())
        lines.back() += ' ' + word(batch.tokens(t, row));
    std::size_t number = 0;
    if (!story_in_items_)
      for (; number + 1 < lines.size(); ++number) text += fmt::format("  {:>4} {}\n", number + 1, lines[number]);
    else
      for (; number < batch.items.count[row]; ++number) {
        text += fmt::format("{} {:>4} ", batch.items.support(row, number) ? "*" : " ", number + 1);
        for (std::size_t w = 0; w < longest_line() && batch.items.tokens(row, number, w) >= 0; ++w)
          text += ' ' + word(batch.items.tokens(row, number, w));
        text += '\n';
      }
    const std::int32_t want = batch.target.indices(last, row);
    text += fmt::format("question{}?\nanswer   {}\n", lines.back(), answer(want));
    if (!given) return text;
    const auto& values = given->values;
    std::size_t best = 0;
    for (std::size_t k = 1; k <= vocabulary_.answers().size(); ++k)
      if (values(last, row, k) > values(last, row, best)) best = k;
    const bool right = static_cast<std::int32_t>(best) == want && want != unseen_answer();
    return text + fmt::format("output   {} ({:.2f}){}\n", answer(static_cast<std::int32_t>(best)),
                              values(last, row, best), right ? "" : ", wrong");
  }

 private:
  /// `digest` goes on over the file's bytes, where one is read.
  static babi::Stories stories(const Options& o, int number, const char* part, std::string& digest) {
    const bool test = part == std::string_view("test"), elsewhere = test && !o.text("test-data").empty();
    const std::string& data = o.text(elsewhere ? "test-data" : "data");
    if (data.empty()) return babi::tell(number, o, part);
    const OptionTable table = options();
    for (const auto& [key, value] : o.items())
      for (const char* own : {"questions", "stories-seed", "pace", "actors", "decoys"})
        if (!elsewhere && key == own && value != table.find(key)->standard)
          fail<ArgumentError>("task." + key, "{} is about stories of our own making; task.data gives others", value);
    return questions_of(babi::find_file(data, number, part, elsewhere ? "task.test-data" : "task.data"), digest);
  }

  /// The file of validation questions, where task.data has one for the task.
  static std::optional<babi::Stories> validation(const Options& o, int number, std::string& digest) {
    if (o.text("data").empty()) return {};
    const auto file = babi::find_file_if_any(o.text("data"), number, "valid", "task.data");
    return file.empty() ? std::nullopt : std::optional(questions_of(file, digest));
  }

  static babi::Stories questions_of(const std::filesystem::path& file, std::string& digest) {
    babi::Stories read = babi::read(file, &digest);
    if (read.questions.empty()) fail<FileError>(file.string(), "there is no question in it");
    return read;
  }

  /// Training questions [begin, end): the last tenth, from a story's start on, is for validation.
  void split(std::size_t begin, std::size_t end, bool asked) {
    const auto& all = set_.questions;
    std::size_t cut = begin + ((end - begin) * 9 + 9) / 10;
    const auto starts = [&](std::size_t q) { return q > begin && all[q].first != all[q - 1].first; };
    while (cut < end && !starts(cut)) ++cut;
    if (cut == end)  // the last tenth is within the last story
      while (--cut > begin && !starts(cut)) {
      }
    if (cut == begin)
      fail<ArgumentError>("task.data", "task {} has a single training story; validation needs one of its own",
                          all[begin].task);
    append(training_order_, begin, cut);
    if (asked) append(validation_order_, cut, end);
  }

  /// All of the training questions [begin, end) are for training; validation is a file's.
  void add_validation(std::size_t begin, std::size_t end, const babi::Stories& given, int number, bool asked) {
    append(training_order_, begin, end);
    const std::size_t first = set_.questions.size();
    set_.add(given, vocabulary_, number);
    if (asked) append(validation_order_, first, set_.questions.size());
  }

  void add_test(const babi::Stories& given, int number, bool asked) {
    const std::size_t first = set_.questions.size(), words = set_.unknown_words, answers = set_.unseen_answers;
    set_.add(given, vocabulary_, number);
    if (!asked) return;
    append(test_order_, first, set_.questions.size());
    const auto& all = set_.questions;
    parts_.push_back(
        {.number = number,
         .questions = all.size() - first,
         .unknown_words = set_.unknown_words - words,
         .unseen_answers = set_.unseen_answers - answers,
         .cut = static_cast<std::size_t>(std::count_if(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(),
                                                       [&](const Encoded::Item& q) { return is_cut(q); }))});
  }

  static void append(std::vector<std::uint32_t>& order, std::size_t begin, std::size_t end) {
    for (std::size_t q = begin; q < end; ++q) order.push_back(static_cast<std::uint32_t>(q));
  }

  bool is_cut(const Encoded::Item& q) const { return q.end - q.first > kept_; }
  /// Words of the longest line added so far.
  std::size_t longest_line() const { return std::max(set_.longest_statement, set_.longest_question); }

  /// An answer of one word is that word's token; a list is a token of its own, past all that stories have. An answer
  /// that training never has is the unknown word: a class that training learns not to give.
  void promise() {
    std::size_t tokens = vocabulary_.words().size() + (story_in_steps_ ? 3 : 1);
    for (const std::string& answer : vocabulary_.answers()) {
      const std::int32_t word = vocabulary_.word(answer);
      spec_.output_tokens.push_back(word != unknown_word() ? word : static_cast<std::int32_t>(tokens++));
    }
    spec_.output_tokens.push_back(unknown_word());
    spec_.vocabulary = tokens;
    spec_.item_vocabulary = story_in_items_ ? tokens : 0;
    spec_.target = TargetKind::classes;
    spec_.outputs = spec_.output_tokens.size();
    spec_.max_items = story_in_items_ ? kept_ : 0;
    spec_.parameters = {{"task", true, "number of the task"},
                        {"statements", true, "statements before the question, those not kept too"},
                        {"unknown_words", true, "words that training lacks"}};
  }

  /// What always giving the commonest training answer scores on the test, for each task asked and for all of them; and
  /// the cross-entropy of the answers' shares (one is added to each count, so that no answer is impossible).
  void guess() {
    const auto judged = [&](std::int64_t low, std::int64_t high) {
      std::vector<double> count(vocabulary_.answers().size() + 1, 1);
      for (std::size_t q = 0; q < trained_; ++q)
        if (const Encoded::Item& item = set_.questions[q]; item.task >= low && item.task <= high)
          ++count[static_cast<std::size_t>(item.answer)];
      double total = 0, nats = 0, right = 0, questions = 0;
      for (double n : count) total += n;
      const auto common = std::max_element(count.begin(), count.end()) - count.begin();
      for (const std::uint32_t at : test_order_) {
        const Encoded::Item& q = set_.questions[at];
        if (q.task < low || q.task > high) continue;
        nats -= std::log(count[static_cast<std::size_t>(q.answer)] / total);
        right += q.answer == common;
        ++questions;
      }
      return std::vector<double>{nats / questions, 100 - 100 * right / questions};
    };
    for (TestPart& part : parts_) part.majority = judged(part.number, part.number)[1];
    chance_ = judged(parts_.front().number, parts_.back().number);
  }

  /// Place of `number` in a shuffled order of 0..size-1, another one each time round: a Feistel network on as many bits
  /// as size needs, walked until it is inside.
  static std::size_t place(const Draw& draw, std::uint64_t number, std::size_t size) {
    Random random(hash_bytes(draw.stream, draw.seed), "babi order", number / size);
    const std::array<std::uint32_t, 4> keys = {random.bits(), random.bits(), random.bits(), random.bits()};
    const int half = (std::bit_width(size) + 1) / 2;
    const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
    std::uint64_t at = number % size;
    do {
      std::uint64_t left = at >> half, right = at & mask;
      for (const std::uint32_t key : keys) {
        std::uint64_t x = (right + key) * 0x9e3779b97f4a7c15ULL;
        x ^= x >> 29;
        x = (x * 0xbf58476d1ce4e5b9ULL) >> 20;
        left ^= x & mask;
        std::swap(left, right);
      }
      at = left << half | right;
    } while (at >= size);
    return at;
  }

  std::int32_t unknown_word() const { return static_cast<std::int32_t>(vocabulary_.words().size()); }
  std::int32_t full_stop() const { return unknown_word() + 1; }
  std::int32_t question_mark() const { return unknown_word() + 2; }
  std::int32_t unseen_answer() const { return static_cast<std::int32_t>(vocabulary_.answers().size()); }

  std::string word(std::int32_t w) const {
    return w == unknown_word() ? "<unknown>" : vocabulary_.words()[static_cast<std::size_t>(w)];
  }
  std::string answer(std::int32_t a) const {
    return a == unseen_answer() ? "<never seen in training>" : vocabulary_.answers()[static_cast<std::size_t>(a)];
  }

  bool story_in_steps_, story_in_items_;  // one of them at least
  std::size_t kept_;                      // statements of a story, the last ones
  BatchSpec spec_;
  babi::Vocabulary vocabulary_;
  Encoded set_;              // the training files' questions, then those of validation and test files
  std::size_t trained_ = 0;  // questions of training files
  std::vector<std::uint32_t> training_order_, validation_order_, test_order_;  // places in questions
  std::string data_digest_, test_digest_;
  std::vector<TestPart> parts_;
  std::vector<double> chance_;
  std::vector<Metric> metrics_{
      {"nats_per_question", "nats", "cross-entropy of the answer"},
      {"error_percent", "%", "100 where the likeliest answer is wrong, else 0: its mean is the share of wrong answers"},
  };
};

[[maybe_unused]] const bool registered = tasks().add("babi", []() -> TaskPlugin {
  return {.summary = "questions about little stories, 20 kinds of reasoning",
          .source = "Weston et al. 2015, Towards AI-Complete Question Answering",
          .options = Babi::options(),
          .length_options = {"eval-number"},
          .make = [](const Options& o) { return std::make_unique<Babi>(o); }};
});

}  // namespace

}  // namespace mneme
