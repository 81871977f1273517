// Room: tasks. bAbI worlds: who plays, and which world tells which task.
#include "tasks/babi_worlds.hpp"

#include "core/error.hpp"

#include <algorithm>
#include <array>

namespace mneme::babi {

namespace {

using World = void (*)(Teller&);
constexpr std::array<World, kTasks> kWorlds = {
    tell_carrying, tell_carrying,    tell_carrying,    tell_map,      tell_carrying, tell_carrying, tell_carrying,
    tell_carrying, tell_whereabouts, tell_whereabouts, tell_together, tell_together, tell_together, tell_day,
    tell_fears,    tell_colours,     tell_positions,   tell_sizes,    tell_map,      tell_motives};

}  // namespace

std::vector<std::size_t> Teller::choose(std::size_t count, std::size_t n) {
  std::vector<std::size_t> all(n);
  for (std::size_t i = 0; i < n; ++i) all[i] = i;
  shuffle(all);
  all.resize(std::min(count, n));
  return all;
}

void Teller::passer_by() {
  static const std::vector<std::string> names = {"Agnes", "Oskar", "Ruth", "Emil"};
  const std::string& name = pick(names);
  const std::string& way = pick(going());
  say(fmt::format("{} {} the {}.", name, way, pick(places(number))));
}

std::vector<Person> cast(int number, const Difficulty& difficulty) {
  std::vector<Person> people;
  switch (number) {
    case 5: people = {{"Bill"}, {"Fred"}, {"Jeff"}, {"Mary", true}}; break;
    case 10:
    case 14: people = {{"Bill"}, {"Fred"}, {"Julie", true}, {"Mary", true}}; break;
    case 20: people = {{"Antoine"}, {"Jason"}, {"Sumit"}, {"Yann"}}; break;
    default: people = {{"Daniel"}, {"John"}, {"Mary", true}, {"Sandra", true}};
  }
  static const std::vector<Person> more = {{"Nora", true}, {"Paul"}, {"Ida", true},  {"Hugo"},
                                           {"Lena", true}, {"Otto"}, {"Vera", true}, {"Karl"}};
  people.insert(people.end(), more.begin(), more.end());
  const std::size_t wanted = difficulty.actors ? difficulty.actors : 4;
  if (wanted < 2 || wanted > people.size())
    fail<ArgumentError>("task.actors", "{} people; a story has 2..{}", wanted, people.size());
  people.resize(wanted);
  return people;
}

const std::vector<std::string>& places(int number) {
  static const std::vector<std::string> house = {"bathroom", "bedroom", "garden", "hallway", "kitchen", "office"};
  static const std::vector<std::string> town = {"bedroom", "cinema", "kitchen", "office", "park", "school"};
  return number == 10 || number == 14 ? town : house;
}

const std::vector<std::string>& going() {
  static const std::vector<std::string> ways = {"moved to", "went to", "journeyed to", "travelled to", "went back to"};
  return ways;
}

Stories tell(int number, const Difficulty& difficulty, std::uint64_t seed, std::string_view part,
             std::size_t questions) {
  if (number < 1 || number > kTasks) fail<ArgumentError>("task.number", "{}; there are tasks 1..{}", number, kTasks);
  Stories stories;
  const std::string stream = fmt::format("babi {} {}", number, part);
  for (std::uint64_t story = 0; stories.questions.size() < questions; ++story) {
    Teller teller(number, Random(seed, stream, story), difficulty, stories);
    kWorlds[static_cast<std::size_t>(number - 1)](teller);
  }
  stories.questions.resize(questions);
  stories.statements.resize(questions ? stories.questions.back().end : 0);
  return stories;
}

OptionTable& declare_stories(OptionTable& table, const std::string& prefix) {
  return table
      .integer(prefix + "questions", 1000, 20, 1000000,
               "own stories: training questions of each task; the test has 1000")
      .integer(prefix + "stories-seed", 1, 0, std::int64_t{1} << 53, "own stories: which ones")
      .integer(prefix + "pace", 1, 1, 100,
               "own stories: statements between questions, times the published number (1-3, 5-14)")
      .integer(prefix + "actors", 0, 0, 12, "own stories: people, 2..12; 0 = four, as published (1-3, 5-14, 20)")
      .integer(prefix + "decoys", 0, 0, 100,
               "own stories: statements that no answer needs, for each question or story");
}

Stories tell(int number, const Options& o, std::string_view part, const std::string& prefix) {
  const Difficulty difficulty{o.size(prefix + "pace"), o.size(prefix + "actors"), o.size(prefix + "decoys")};
  return tell(number, difficulty, static_cast<std::uint64_t>(o.integer(prefix + "stories-seed")), part,
              part == "test" ? kTestQuestions : o.size(prefix + "questions"));
}

}  // namespace mneme::babi
