// Room: tasks. bAbI worlds of things and how they stand to each other: tasks 4, 15-19.
#include "tasks/babi_worlds.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

namespace mneme::babi {

namespace {

using Line = std::uint32_t;

// A step to east, north, west or south; the opposite of d is (d + 2) % 4.
struct Direction {
  int x, y;
  const char *compass, *letter, *position;
};
constexpr std::array<Direction, 4> kDirections = {{{1, 0, "east", "e", "to the right of"},
                                                   {0, 1, "north", "n", "above"},
                                                   {-1, 0, "west", "w", "to the left of"},
                                                   {0, -1, "south", "s", "below"}}};

// Things on a grid, each but the first one step from one before it, no two at the same place. What is told are the
// steps, so what is told is a tree.
class Grid {
 public:
  struct Step {
    std::size_t from, to, direction;  // `to` is `direction` of `from`
    Line line = 0;
  };

  explicit Grid(Teller& t) : t_(t) {}

  /// A step from anywhere to a free place.
  void grow() {
    for (;;) {
      const std::size_t from = t_.below(at_.size());  // one draw a statement: their order is the same on every compiler
      if (step(from, t_.below(4))) return;
    }
  }
  /// False where the place is taken.
  bool step(std::size_t from, std::size_t direction) {
    const std::pair place{at_[from].first + kDirections[direction].x, at_[from].second + kDirections[direction].y};
    if (std::find(at_.begin(), at_.end(), place) != at_.end()) return false;
    at_.push_back(place);
    steps_.push_back({from, at_.size() - 1, direction});
    return true;
  }

  /// Every step in one sentence, from either end, in any order. tell(x, direction, y): "x is `direction` of y".
  template <class Tell>
  void tell(Tell&& tell) {
    std::vector<std::size_t> order = t_.choose(steps_.size(), steps_.size());
    for (std::size_t i : order) {
      Step& s = steps_[i];
      s.line = t_.toss() ? tell(s.to, s.direction, s.from) : tell(s.from, (s.direction + 2) % 4, s.to);
    }
  }

  const std::vector<Step>& steps() const { return steps_; }
  const std::pair<int, int>& at(std::size_t thing) const { return at_[thing]; }

 private:
  Teller& t_;
  std::vector<std::pair<int, int>> at_{{0, 0}};
  std::vector<Step> steps_;
};

/// `count` of the published names, then decoys from `more`, as many as there are.
std::vector<std::string> names_of(Teller& t, std::vector<std::string> published, std::size_t count,
                                  std::vector<std::string> more) {
  t.shuffle(published);
  const auto spare = published.begin() + static_cast<std::ptrdiff_t>(count);
  t.shuffle(more);
  more.insert(more.begin(), spare, published.end());
  more.resize(std::min(more.size(), t.difficulty.decoys));
  published.erase(spare, published.end());
  published.insert(published.end(), more.begin(), more.end());
  return published;
}

std::vector<std::string> rooms(Teller& t, std::size_t count) {
  return names_of(t, places(t.number), count, {"attic", "cellar", "laundry", "pantry", "porch", "study"});
}

void ask_neighbour(Teller& t) {
  const auto room = rooms(t, 3);
  Grid grid(t);
  const std::size_t axis = t.below(2);
  while (grid.steps().size() < 2) {
    const std::size_t from = t.below(grid.steps().size() + 1);
    grid.step(from, axis + 2 * t.below(2));
  }
  for (std::size_t i = 3; i < room.size(); ++i) grid.grow();
  grid.tell([&](std::size_t x, std::size_t d, std::size_t y) {
    return t.say(fmt::format("The {} is {} of the {}.", room[x], kDirections[d].compass, room[y]));
  });
  Grid::Step s = grid.steps()[t.below(2)];
  if (t.toss()) s = {s.to, s.from, (s.direction + 2) % 4, s.line};
  const char* direction = kDirections[s.direction].compass;
  if (t.toss())
    t.ask(fmt::format("What is {} of the {}?", direction, room[s.from]), room[s.to], {s.line});
  else
    t.ask(fmt::format("What is the {} {} of?", room[s.to], direction), room[s.from], {s.line});
}

void ask_path(Teller& t) {
  const auto room = rooms(t, 6);
  Grid grid(t);
  while (grid.steps().size() + 1 < room.size()) grid.grow();
  grid.tell([&](std::size_t x, std::size_t d, std::size_t y) {
    return t.say(fmt::format("The {} is {} of the {}.", room[x], kDirections[d].compass, room[y]));
  });
  std::vector<std::array<Grid::Step, 2>> paths;  // two steps, the second from where the first ends, not back
  std::vector<Grid::Step> both;
  for (const Grid::Step& s : grid.steps()) {
    both.push_back(s);
    both.push_back({s.to, s.from, (s.direction + 2) % 4, s.line});
  }
  for (const auto& a : both)
    for (const auto& b : both)
      if (a.to == b.from && a.from != b.to) paths.push_back({a, b});
  const auto [a, b] = t.pick(paths);
  t.ask(fmt::format("How do you go from the {} to the {}?", room[a.from], room[b.to]),
        fmt::format("{},{}", kDirections[a.direction].letter, kDirections[b.direction].letter), {a.line, b.line});
}

}  // namespace

void tell_map(Teller& t) {
  if (t.number == 4)
    ask_neighbour(t);
  else
    ask_path(t);
}

// Who is of a kind fears what the kind fears. Decoys are more animals.
void tell_fears(Teller& t) {
  static const char* const kinds[] = {"mouse", "wolf", "cat", "sheep"};
  static const char* const all[] = {"mice", "wolves", "cats", "sheep"};
  const auto name = names_of(t, {"Emily", "Gertrude", "Jessica", "Winona"}, 4,
                             {"Bertha", "Flora", "Hazel", "Ivy", "Nellie", "Olive", "Pearl", "Ruby"});
  std::size_t feared[4];
  Line fear[4];
  for (std::size_t k = 0; k < 4; ++k) feared[k] = (k + 1 + t.below(3)) % 4;
  std::vector<std::size_t> kind(name.size());
  for (std::size_t& k : kind) k = t.below(4);
  std::vector<Line> is(name.size());
  for (std::size_t i : t.choose(name.size() + 4, name.size() + 4))
    if (i < 4) {
      std::string kind_name = all[i];
      kind_name[0] = static_cast<char>(kind_name[0] - 'a' + 'A');
      fear[i] = t.say(fmt::format("{} are afraid of {}.", kind_name, all[feared[i]]));
    } else {
      is[i - 4] = t.say(fmt::format("{} is a {}.", name[i - 4], kinds[kind[i - 4]]));
    }
  for (int q = 0; q < 4; ++q) {
    const std::size_t a = t.below(4);
    std::string who = name[a];
    who[0] = static_cast<char>(who[0] - 'A' + 'a');
    t.ask(fmt::format("What is {} afraid of?", who), kinds[feared[kind[a]]], {is[a], fear[kind[a]]});
  }
}

// All of a kind have one colour; asked for is the one whose colour is not told. Decoys are animals of other kinds.
void tell_colours(Teller& t) {
  static const char* const kinds[] = {"frog", "lion", "rhino", "swan"};
  static const std::vector<std::string> colours = {"gray", "green", "white", "yellow"};
  const auto name = names_of(t, {"Bernhard", "Brian", "Greg", "Julius", "Lily"}, 5,
                             {"Anton", "Clara", "Felix", "Gisela", "Konrad", "Martha", "Norbert", "Petra"});
  std::string colour[4];
  for (std::string& c : colour) c = t.pick(colours);
  std::vector<std::size_t> kind(name.size());
  for (std::size_t& k : kind) k = t.below(4);
  const std::size_t asked = 0;
  kind[asked] = kind[1 + t.below(4)];
  for (std::size_t i = 5; i < name.size(); ++i) kind[i] = (kind[asked] + 1 + t.below(3)) % 4;
  // Each name stands once for its kind and once for its colour, in this order; the one asked for has no colour told.
  std::vector<std::size_t> order = {asked};
  for (std::size_t i = 1; i < name.size(); ++i) order.insert(order.end(), 2, i);
  t.shuffle(order);
  std::vector<Line> is(name.size()), has(name.size());
  std::vector<bool> told(name.size());
  for (std::size_t i : order)
    if (!told[i]) {
      told[i] = true;
      is[i] = t.say(fmt::format("{} is a {}.", name[i], kinds[kind[i]]));
    } else {
      has[i] = t.say(fmt::format("{} is {}.", name[i], colour[kind[i]]));
    }
  std::size_t other = asked;  // of the same kind, the last one told
  for (std::size_t i = 1; i < name.size(); ++i)
    if (kind[i] == kind[asked] && (other == asked || is[i] > is[other])) other = i;
  t.ask(fmt::format("What color is {}?", name[asked]), colour[kind[asked]], {is[asked], is[other], has[other]});
}

// Two things that both stand next to a third. Decoys stand next to any of those three or each other.
void tell_positions(Teller& t) {
  const auto thing =
      names_of(t, {"triangle", "pink rectangle", "blue square", "red square", "yellow square", "red sphere"}, 3,
               {"black pyramid", "brown cylinder", "green circle", "orange cube", "purple star"});
  Grid grid(t);  // thing 0 is in the middle
  while (grid.steps().size() < 2) grid.step(0, t.below(4));
  while (grid.steps().size() + 1 < thing.size()) grid.grow();
  grid.tell([&](std::size_t x, std::size_t d, std::size_t y) {
    return t.say(fmt::format("The {} is {} the {}.", thing[x], kDirections[d].position, thing[y]));
  });
  for (int q = 0; q < 8; ++q) {
    const std::size_t x = 1 + t.below(2), y = 3 - x, d = t.below(4);
    const auto [x1, y1] = grid.at(x);
    const auto [x2, y2] = grid.at(y);
    const bool yes = (x1 - x2) * kDirections[d].x + (y1 - y2) * kDirections[d].y > 0;
    t.ask(fmt::format("Is the {} {} the {}?", thing[x], kDirections[d].position, thing[y]), yes ? "yes" : "no",
          {grid.steps()[x - 1].line, grid.steps()[y - 1].line});
  }
}

// Six things of different sizes and some of the pairs; asked for are pairs that follow from two that are told. Decoys
// are small things in one of the six.
void tell_sizes(Teller& t) {
  std::vector<std::string> thing = {"box", "chest", "container", "suitcase"};
  t.shuffle(thing);
  thing.insert(thing.begin(), {"chocolate", "box of chocolates"});  // from small to big
  std::vector<std::string> little = {"acorn", "bead", "button", "coin", "key", "marble", "pebble", "ring"};
  t.shuffle(little);
  little.resize(std::min(little.size(), t.difficulty.decoys));
  struct Pair {
    std::size_t small, big;
    Line line = 0;
    bool operator==(const Pair& p) const { return small == p.small && big == p.big; }
  };
  std::vector<Pair> told;
  std::vector<std::array<std::size_t, 2>>
      chains;  // two told pairs, the big one of the first being the small of the second
  while (chains.empty()) {
    told.clear();
    for (std::size_t n = t.between(5, 8); told.size() < n;) {
      const auto two = t.choose(2, thing.size());
      told.push_back({std::min(two[0], two[1]), std::max(two[0], two[1])});
    }
    for (std::size_t i = 0; i < told.size(); ++i)
      for (std::size_t k = 0; k < told.size(); ++k)
        if (told[i].big == told[k].small &&
            std::find(told.begin(), told.end(), Pair{told[i].small, told[k].big}) == told.end())
          chains.push_back({i, k});
  }
  const auto say = [&](const std::string& small, const std::string& big) {
    return t.say(t.toss() ? fmt::format("The {} fits inside the {}.", small, big)
                          : fmt::format("The {} is bigger than the {}.", big, small));
  };
  for (std::size_t i : t.choose(told.size() + little.size(), told.size() + little.size()))
    if (i < told.size())
      told[i].line = say(thing[told[i].small], thing[told[i].big]);
    else
      say(little[i - told.size()], t.pick(thing));
  for (int q = 0; q < 5; ++q) {
    const auto [lower, upper] = t.pick(chains);
    const std::string &small = thing[told[lower].small], &big = thing[told[upper].big];
    const bool yes = t.toss();
    const std::string &x = yes ? small : big, &y = yes ? big : small;
    // The facts stand in the order of the way from what should be big to what should be small.
    std::vector<Line> facts = {told[upper].line, told[lower].line};
    if (!yes) std::swap(facts[0], facts[1]);
    t.ask(
        t.toss() ? fmt::format("Does the {} fit in the {}?", x, y) : fmt::format("Is the {} bigger than the {}?", y, x),
        yes ? "yes" : "no", facts);
  }
}

}  // namespace mneme::babi
