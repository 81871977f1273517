// Room: tasks. Stories of our own for the 20 kinds of bAbI task (Weston et al. 2015): small simulated worlds, told in
// the published sets' manner of speaking, with the statements that each answer rests on.
#pragma once

#include "core/options.hpp"
#include "core/random.hpp"
#include "tasks/babi_format.hpp"

namespace mneme::babi {

/// How far from the published sets, which are like the defaults.
struct Difficulty {
  std::size_t pace = 1;    ///< tasks 1-3, 5-14: statements between questions, times the published number
  std::size_t actors = 0;  ///< tasks 1-3, 5-14, 20: people in a story; 0 = four, as published
  std::size_t decoys = 0;  ///< statements that no answer needs, about what is never asked: before each question in
                           ///< tasks 1-3, 5-14, 20, in each story of the others (4, 19: at most 9, 6; 15-18: 8)
};

constexpr int kTasks = 20;

/// Exactly `questions` questions of task `number` (1..20). Story s depends on (seed, part, number, s) alone.
Stories tell(int number, const Difficulty& difficulty, std::uint64_t seed, std::string_view part,
             std::size_t questions);

constexpr std::size_t kTestQuestions = 1000;

/// Declares questions, stories-seed, pace, actors and decoys, each after `prefix`: for the task and for who writes
/// stories to files.
OptionTable& declare_stories(OptionTable& table, const std::string& prefix = "");
/// tell() as these options say; `part` is "train" or "test", which has kTestQuestions.
Stories tell(int number, const Options& options, std::string_view part, const std::string& prefix = "");

/// What a world tells one story with. Each kind's function tells one story and asks its questions.
class Teller {
 public:
  Teller(int number, const Random& random, const Difficulty& difficulty, Stories& out)
      : number(number), difficulty(difficulty), random_(random), out_(out) {
    out_.begin();
  }

  /// 0 .. n-1
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_.integer(0, static_cast<int>(n) - 1)); }
  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
  bool toss(double probability = 0.5) { return random_.uniform() < probability; }
  template <class List>
  const auto& pick(const List& list) {
    return list[below(std::size(list))];
  }
  template <class T>
  void shuffle(std::vector<T>& list) {
    for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[below(i)]);
  }
  /// `count` different numbers below n.
  std::vector<std::size_t> choose(std::size_t count, std::size_t n);

  std::uint32_t say(std::string text) { return out_.say(std::move(text)); }
  void ask(std::string text, std::string answer, std::vector<std::uint32_t> support) {
    out_.ask(std::move(text), std::move(answer), std::move(support));
  }

  /// event() `count` times, with the decoys of one question in between.
  template <class Event>
  void advance(std::size_t count, Event&& event) {
    for (std::size_t decoys = difficulty.decoys; count + decoys > 0;)
      if (below(count + decoys) < decoys) {
        passer_by();
        --decoys;
      } else {
        event();
        --count;
      }
  }

  const int number;  ///< of the task
  const Difficulty difficulty;

 private:
  void passer_by();  // somebody whom no question is about goes somewhere

  Random random_;
  Stories& out_;
};

struct Person {
  std::string name;
  bool female = false;
};
/// The four people of a task, or as many as the difficulty asks for.
std::vector<Person> cast(int number, const Difficulty& difficulty);
/// The six places of a task.
const std::vector<std::string>& places(int number);
/// "went to", "journeyed to", ...
const std::vector<std::string>& going();

void tell_carrying(Teller& t);     // 1, 2, 3, 5, 6, 7, 8
void tell_whereabouts(Teller& t);  // 9, 10
void tell_together(Teller& t);     // 11, 12, 13
void tell_day(Teller& t);          // 14
void tell_map(Teller& t);          // 4, 19
void tell_fears(Teller& t);        // 15
void tell_colours(Teller& t);      // 16
void tell_positions(Teller& t);    // 17
void tell_sizes(Teller& t);        // 18
void tell_motives(Teller& t);      // 20

}  // namespace mneme::babi
