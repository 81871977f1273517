// Room: tasks. bAbI worlds of people who move and carry things: tasks 1-3, 5-14, 20.
#include "tasks/babi_worlds.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>

namespace mneme::babi {

namespace {

using Line = std::uint32_t;

std::string capital(std::string text) {
  text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string small(std::string name) {
  name[0] = static_cast<char>(name[0] - 'A' + 'a');
  return name;
}

/// A place other than `place`.
std::size_t elsewhere(Teller& t, std::size_t place, std::size_t count) {
  return (place + 1 + t.below(count - 1)) % count;
}

// People go, get, drop and give. Everybody is somewhere from the start, but that is only told when they move; a thing
// first turns up where somebody gets it.
class Carrying {
 public:
  explicit Carrying(Teller& t) : t_(t), number_(t.number), places_(places(t.number)) {
    for (const Person& p : cast(t.number, t.difficulty)) actors_.push_back({.name = p.name, .place = t.below(6)});
    for (const char* name : {"apple", "football", "milk"}) things_.push_back({.name = name});
  }

  void run() {
    for (int q = 0; q < 5; ++q) {
      t_.advance(t_.difficulty.pace * statements(), [&] { step(); });
      while (!ask()) step();
    }
  }

 private:
  struct Actor {
    std::string name;
    std::size_t place = 0;
    std::optional<Line> told = {};        // the statement that told the place
    std::vector<std::size_t> holds = {};  // things
    std::vector<std::size_t> held = {};   // things ever held, each once
    std::vector<Line> acts = {};          // every statement that changed what the actor holds
  };
  struct Visit {
    std::size_t place, actor;
    Line told;
  };
  struct Thing {
    std::string name;
    std::optional<std::size_t> holder = {}, place = {};
    std::size_t last_actor = 0;
    Line last_act = 0;               // the last get, drop or give
    std::vector<Visit> visits = {};  // places known from the text, where somebody had it with them
  };
  struct Gift {
    std::size_t giver, receiver, thing;
    Line line;
  };

  std::size_t statements() {
    switch (number_) {
      case 2: return t_.between(2, 6);
      case 3: return t_.between(4, 22);
      case 5: return t_.between(2, 4);
      case 7:
      case 8: return t_.between(2, 3);
      default: return 2;
    }
  }

  void step() {
    constexpr double acts[9] = {0, 0, 0.4, 0.4, 0, 0.6, 0.3, 0.6, 0.6};
    std::size_t a = t_.below(actors_.size());
    if (t_.toss(acts[number_])) {
      if (number_ >= 7 && busy_ && t_.toss(0.6)) a = *busy_;  // so that somebody's hands have a history
      if (act(a)) {
        busy_ = a;
        return;
      }
    }
    go(a);
  }

  void go(std::size_t a) {
    Actor& actor = actors_[a];
    actor.place = elsewhere(t_, actor.place, places_.size());
    const std::string& way = t_.pick(going());
    actor.told = t_.say(fmt::format("{} {} the {}.", actor.name, way, places_[actor.place]));
    for (std::size_t thing : actor.holds) things_[thing].visits.push_back({actor.place, a, *actor.told});
  }

  bool act(std::size_t a) {
    Actor& actor = actors_[a];
    std::vector<std::size_t> near;  // things to get
    if (actor.told || number_ > 3)
      for (std::size_t i = 0; i < things_.size(); ++i)
        if (!things_[i].holder && things_[i].place.value_or(actor.place) == actor.place) near.push_back(i);
    std::vector<std::size_t> friends;  // people to give to
    if (!actor.holds.empty() && (number_ == 5 || number_ == 7))
      for (std::size_t b = 0; b < actors_.size(); ++b)
        if (b != a && actors_[b].place == actor.place) friends.push_back(b);
    if (!friends.empty() && t_.toss(0.7)) {
      const std::size_t b = t_.pick(friends);
      give(a, b, t_.pick(actor.holds));
    } else if (!near.empty() && (actor.holds.empty() || t_.toss())) {
      get(a, t_.pick(near));
    } else if (!actor.holds.empty()) {
      drop(a, t_.pick(actor.holds));
    } else {
      return false;
    }
    return true;
  }

  void note(std::size_t a, std::size_t thing, Line line) {
    actors_[a].acts.push_back(line);
    things_[thing].last_actor = a;
    things_[thing].last_act = line;
  }

  void take(std::size_t a, std::size_t thing) {
    Actor& actor = actors_[a];
    actor.holds.push_back(thing);
    if (std::find(actor.held.begin(), actor.held.end(), thing) == actor.held.end()) actor.held.push_back(thing);
  }

  void get(std::size_t a, std::size_t thing) {
    static const std::vector<std::string> ways = {"got", "grabbed", "took", "picked up"};
    Thing& o = things_[thing];
    const std::string& way = t_.pick(ways);
    const char* there = number_ != 3 || t_.toss(0.2) ? " there" : "";
    note(a, thing, t_.say(fmt::format("{} {} the {}{}.", actors_[a].name, way, o.name, there)));
    o.holder = a;
    take(a, thing);
    if (actors_[a].told) o.visits.push_back({actors_[a].place, a, *actors_[a].told});
  }

  void drop(std::size_t a, std::size_t thing) {
    static const std::vector<std::string> ways = {"left", "discarded", "dropped", "put down"};
    Thing& o = things_[thing];
    const std::string& way = t_.pick(ways);
    const char* there = t_.toss(0.2) ? " there" : "";
    note(a, thing, t_.say(fmt::format("{} {} the {}{}.", actors_[a].name, way, o.name, there)));
    o.holder.reset();
    o.place = actors_[a].place;
    std::erase(actors_[a].holds, thing);
  }

  void give(std::size_t a, std::size_t b, std::size_t thing) {
    static const std::vector<std::string> ways = {"gave", "handed", "passed"};
    Thing& o = things_[thing];
    const std::string& way = t_.pick(ways);
    const Line line = t_.say(fmt::format("{} {} the {} to {}.", actors_[a].name, way, o.name, actors_[b].name));
    note(a, thing, line);
    note(b, thing, line);
    o.holder = b;
    std::erase(actors_[a].holds, thing);
    take(b, thing);
    gifts_.push_back({a, b, thing, line});
  }

  // False where there is nothing to ask yet.
  bool ask() {
    if (number_ == 5) return ask_gift();
    if (number_ == 2 || number_ == 3) {
      for (std::size_t i : t_.choose(things_.size(), things_.size()))
        if (number_ == 2 ? ask_place(things_[i]) : ask_before(things_[i])) return true;
      return false;
    }
    for (std::size_t a : t_.choose(actors_.size(), actors_.size()))
      if (number_ < 7 ? ask_actor_place(actors_[a]) : ask_load(a)) return true;
    return false;
  }

  bool ask_actor_place(const Actor& actor) {
    if (!actor.told) return false;
    if (number_ == 1) {
      t_.ask(fmt::format("Where is {}? ", actor.name), places_[actor.place], {*actor.told});
      return true;
    }
    const bool yes = t_.toss();
    const std::size_t place = yes ? actor.place : elsewhere(t_, actor.place, places_.size());
    t_.ask(fmt::format("Is {} in the {}? ", actor.name, places_[place]), yes ? "yes" : "no", {*actor.told});
    return true;
  }

  bool ask_load(std::size_t a) {
    static const char* const numbers[] = {"none", "one", "two", "three"};
    const Actor& actor = actors_[a];
    if (actor.acts.empty()) return false;
    if (number_ == 7) {
      t_.ask(fmt::format("How many objects is {} carrying? ", actor.name), numbers[actor.holds.size()], actor.acts);
      return true;
    }
    std::string list;
    for (std::size_t i : actor.held)  // in the order they first came, as published
      if (things_[i].holder == a) list += (list.empty() ? "" : ",") + things_[i].name;
    t_.ask(fmt::format("What is {} carrying? ", actor.name), list.empty() ? "nothing" : list, actor.acts);
    return true;
  }

  bool ask_place(const Thing& thing) {
    if (thing.visits.empty()) return false;
    t_.ask(fmt::format("Where is the {}? ", thing.name), places_[thing.visits.back().place],
           {thing.last_act, thing.visits.back().told});
    return true;
  }

  // The last two places, where the one who was last at it brought it from one to the other.
  bool ask_before(const Thing& thing) {
    std::vector<Visit> visits;  // without the same place twice in a row
    for (const Visit& v : thing.visits)
      if (visits.empty() || visits.back().place != v.place || visits.back().actor != v.actor) visits.push_back(v);
    if (visits.size() < 2) return false;
    const Visit &here = visits.back(), &before = visits[visits.size() - 2];
    if (here.place == before.place || here.actor != before.actor || here.actor != thing.last_actor) return false;
    t_.ask(fmt::format("Where was the {} before the {}? ", thing.name, places_[here.place]), places_[before.place],
           {thing.last_act, here.told, before.told});
    return true;
  }

  // Of several gifts that fit the question, the last one is meant.
  bool ask_gift() {
    if (gifts_.empty()) return false;
    const Gift example = t_.pick(gifts_);
    const std::size_t form = t_.below(5);
    const auto fits = [&](const Gift& g) {
      const bool giver = g.giver == example.giver, receiver = g.receiver == example.receiver,
                 thing = g.thing == example.thing;
      return form == 0 ? giver && receiver : form == 1 ? giver && thing : form == 2 ? receiver && thing : thing;
    };
    const Gift& g = *std::find_if(gifts_.rbegin(), gifts_.rend(), fits);
    const std::string &giver = actors_[g.giver].name, &receiver = actors_[g.receiver].name,
                      &thing = things_[g.thing].name;
    switch (form) {
      case 0: t_.ask(fmt::format("What did {} give to {}? ", giver, receiver), thing, {g.line}); break;
      case 1: t_.ask(fmt::format("Who did {} give the {} to? ", giver, thing), receiver, {g.line}); break;
      case 2: t_.ask(fmt::format("Who gave the {} to {}? ", thing, receiver), giver, {g.line}); break;
      case 3: t_.ask(fmt::format("Who gave the {}? ", thing), giver, {g.line}); break;
      default: t_.ask(fmt::format("Who received the {}? ", thing), receiver, {g.line});
    }
    return true;
  }

  Teller& t_;
  int number_;
  const std::vector<std::string>& places_;
  std::vector<Actor> actors_;
  std::vector<Thing> things_;
  std::vector<Gift> gifts_;
  std::optional<std::size_t> busy_;  // who did the last act
};

}  // namespace

void tell_carrying(Teller& t) {
  Carrying(t).run();
}

// What is told of somebody is all that is known: where they are, are not, or one of two places.
void tell_whereabouts(Teller& t) {
  struct Known {
    Line line;
    std::size_t place, other;
    enum { is_there, is_not, either } what;
  };
  const auto people = cast(t.number, t.difficulty);
  const auto& where = places(t.number);
  std::vector<std::optional<Known>> known(people.size());
  const auto event = [&] {
    const std::size_t a = t.below(people.size());
    const std::string& name = people[a].name;
    std::optional<Known>& k = known[a];
    Known next{0, t.below(where.size()), 0, Known::is_there};
    const bool placed = k && k->what == Known::is_there;
    if (t.number == 9 && t.toss(0.27)) {
      if (placed) next.place = k->place;
      next.what = Known::is_not;
      next.line = t.say(fmt::format("{} is {} in the {}.", name, t.toss() ? "not" : "no longer", where[next.place]));
    } else if (t.number == 10 && t.toss(0.25)) {
      next.what = Known::either;
      next.other = elsewhere(t, next.place, where.size());
      next.line = t.say(fmt::format("{} is either in the {} or the {}.", name, where[next.place], where[next.other]));
    } else {
      if (placed) next.place = elsewhere(t, k->place, where.size());
      const std::string way = t.toss(0.33) ? "is in" : t.pick(going());
      next.line = t.say(fmt::format("{} {} the {}.", name, way, where[next.place]));
    }
    k = next;
  };
  for (int q = 0; q < 5; ++q) {
    t.advance(2 * t.difficulty.pace, event);
    std::size_t a = t.below(people.size());
    while (!known[a]) a = t.below(people.size());
    const Known& k = *known[a];
    std::string answer = "no";
    std::size_t place = k.place;
    if (k.what == Known::is_there) {
      if (t.toss())
        answer = "yes";
      else
        place = elsewhere(t, place, where.size());
    } else if (k.what == Known::either) {
      if (t.toss(0.7)) {
        answer = "maybe";
        if (t.toss()) place = k.other;
      } else {
        do place = t.below(where.size());
        while (place == k.place || place == k.other);
      }
    }
    t.ask(fmt::format("Is {} in the {}? ", people[a].name, where[place]), answer, {k.line});
  }
}

// Somebody goes, and he or she goes on (11); two go together (12), and they go on (13).
void tell_together(Teller& t) {
  static const std::vector<std::string> then = {"then", "afterwards", "after that", "following that"};
  struct Known {
    std::size_t place = 0;
    std::vector<Line> lines;
  };
  const auto people = cast(t.number, t.difficulty);
  const auto& where = places(t.number);
  std::vector<Known> known(people.size());
  const auto event = [&] {
    const auto who = t.choose(t.number == 11 ? 1 : 2, people.size());
    std::size_t place = t.below(where.size());
    if (!known[who[0]].lines.empty()) place = elsewhere(t, known[who[0]].place, where.size());
    std::string subject = people[who[0]].name;
    if (who.size() > 1) subject += " and " + people[who[1]].name;
    const std::string& way = t.pick(going());
    std::vector<Line> lines = {t.say(fmt::format("{} {} the {}.", subject, way, where[place]))};
    if (t.number != 12) {
      place = elsewhere(t, place, where.size());
      const char* pronoun = who.size() > 1 ? "they" : people[who[0]].female ? "she" : "he";
      const std::string& when = t.pick(then);
      const std::string& on = t.pick(going());
      lines.push_back(t.say(fmt::format("{} {} {} the {}.", capital(when), pronoun, on, where[place])));
    }
    for (std::size_t a : who) known[a] = {place, lines};
  };
  for (int q = 0; q < 5; ++q) {
    t.advance((t.number == 12 ? 2 : 1) * t.difficulty.pace, event);
    std::size_t a = t.below(people.size());
    while (known[a].lines.empty()) a = t.below(people.size());
    t.ask(fmt::format("Where is {}? ", people[a].name), where[known[a].place], known[a].lines);
  }
}

// Everybody's four places from yesterday to this evening, told in any order; no place twice. Where all is told, the
// story only goes on asking.
void tell_day(Teller& t) {
  static const char* const times[] = {"yesterday", "this morning", "this afternoon", "this evening"};
  const auto people = cast(t.number, t.difficulty);
  const auto& where = places(t.number);
  std::vector<std::vector<std::size_t>> plan;
  for (std::size_t a = 0; a < people.size(); ++a) plan.push_back(t.choose(4, where.size()));
  std::vector<std::array<std::optional<Line>, 4>> told(people.size());
  std::vector<std::pair<std::size_t, std::size_t>> open;  // what is not told yet
  for (std::size_t a = 0; a < people.size(); ++a)
    for (std::size_t i = 0; i < 4; ++i) open.emplace_back(a, i);
  const auto event = [&] {
    if (open.empty()) return;
    const std::size_t at = t.below(open.size());
    const auto [a, i] = open[at];
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
    const std::string& way = t.pick(going());
    const std::string gone = fmt::format("{} {} the {}", people[a].name, way, where[plan[a][i]]);
    told[a][i] =
        t.say(t.toss() ? fmt::format("{} {}.", capital(times[i]), gone) : fmt::format("{} {}.", gone, times[i]));
  };
  const auto ask = [&] {
    const std::size_t a = t.below(people.size()), i = 1 + t.below(3);
    if (!told[a][i] || !told[a][i - 1]) return false;
    t.ask(fmt::format("Where was {} before the {}? ", people[a].name, where[plan[a][i]]), where[plan[a][i - 1]],
          {*told[a][i], *told[a][i - 1]});
    return true;
  };
  const auto askable = [&] {
    return std::any_of(told.begin(), told.end(),
                       [](const auto& day) { return (day[0] && day[1]) || (day[1] && day[2]) || (day[2] && day[3]); });
  };
  for (int q = 0; q < 5; ++q) {
    t.advance(2 * t.difficulty.pace, event);
    while (!askable()) event();
    while (!ask()) {
    }
  }
}

// Somebody is in a mood, so goes to a place, so gets a thing there; a question after each.
void tell_motives(Teller& t) {
  struct Mood {
    const char *name, *place, *thing;
  };
  static const std::vector<Mood> moods = {{"tired", "bedroom", "pajamas"},
                                          {"bored", "garden", "football"},
                                          {"hungry", "kitchen", "apple"},
                                          {"thirsty", "kitchen", "milk"}};
  static const std::vector<std::string> getting = {"got", "grabbed", "took", "picked up"};
  struct Actor {
    std::string name;
    Mood mood;
    int stage = 0;
    Line line = 0;
  };
  std::vector<Actor> actors;
  for (const Person& p : cast(t.number, t.difficulty)) actors.push_back({p.name, t.pick(moods)});
  while (!actors.empty()) {
    const std::size_t a = t.below(actors.size());
    Actor& x = actors[a];
    const std::string name = small(x.name);
    t.advance(1, [&] {
      if (x.stage == 0) {
        x.line = t.say(fmt::format("{} is {}.", x.name, x.mood.name));
      } else if (x.stage == 1) {
        t.say(fmt::format("{} {} the {}.", x.name, t.pick(going()), x.mood.place));
      } else {
        t.say(fmt::format("{} {} the {} there.", x.name, t.pick(getting), x.mood.thing));
      }
    });
    if (x.stage == 0)
      t.ask(fmt::format("Where will {} go?", name), x.mood.place, {x.line});
    else if (x.stage == 1)
      t.ask(fmt::format("Why did {} go to the {}?", name, x.mood.place), x.mood.name, {x.line});
    else
      t.ask(fmt::format("Why did {} get the {}?", name, x.mood.thing), x.mood.name, {x.line});
    if (++x.stage == 3) actors.erase(actors.begin() + static_cast<std::ptrdiff_t>(a));
  }
}

}  // namespace mneme::babi
