#include "tests/tasks/babi_solver.hpp"

#include <algorithm>
#include <cctype>
#include <deque>
#include <set>

namespace mneme::babi {

namespace {

using Words = std::vector<std::string>;

/// Lower-case words without "the".
Words split(const std::string& text) {
  Words words;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      if (word != "the") words.push_back(word);
      word.clear();
    }
  }
  return words;
}

std::string join(Words::const_iterator begin, Words::const_iterator end) {
  std::string text;
  for (; begin < end; ++begin) text += (text.empty() ? "" : " ") + *begin;
  return text;
}

bool starts(const Words& words, const Words& with) {
  return words.size() >= with.size() && std::equal(with.begin(), with.end(), words.begin());
}

std::string singular(const std::string& many) {
  static const std::map<std::string, std::string> odd = {{"mice", "mouse"}, {"wolves", "wolf"}, {"sheep", "sheep"}};
  if (const auto at = odd.find(many); at != odd.end()) return at->second;
  return many.size() > 1 && many.back() == 's' ? many.substr(0, many.size() - 1) : many;
}

const std::map<std::string, std::pair<int, int>> kCompass = {
    {"north", {0, 1}}, {"south", {0, -1}}, {"east", {1, 0}}, {"west", {-1, 0}}};

/// "above", "below", "left of", "right of" at the start of words; `used` of them.
std::optional<std::pair<int, int>> position(const Words& words, std::size_t& used) {
  const std::vector<std::pair<Words, std::pair<int, int>>> all = {
      {{"above"}, {0, 1}}, {{"below"}, {0, -1}}, {{"to", "right", "of"}, {1, 0}}, {{"to", "left", "of"}, {-1, 0}}};
  for (const auto& [phrase, direction] : all)
    if (starts(words, phrase)) {
      used = phrase.size();
      return direction;
    }
  return std::nullopt;
}

/// Verb phrases at the start of words.
bool verb(const Words& words, const std::vector<Words>& phrases, std::size_t& used) {
  for (const Words& p : phrases)
    if (starts(words, p)) {
      used = p.size();
      return true;
    }
  return false;
}

const std::vector<Words> kGo = {
    {"moved", "to"}, {"went", "to"}, {"journeyed", "to"}, {"travelled", "to"}, {"went", "back", "to"}};
const std::vector<Words> kGet = {{"got"}, {"grabbed"}, {"took"}, {"picked", "up"}};
const std::vector<Words> kDrop = {{"left"}, {"discarded"}, {"dropped"}, {"put", "down"}};
const std::vector<Words> kGive = {{"gave"}, {"handed"}, {"passed"}};
const std::vector<Words> kThen = {{"then"}, {"afterwards"}, {"after", "that"}, {"following", "that"}};
const std::vector<Words> kTimes = {{"yesterday"}, {"this", "morning"}, {"this", "afternoon"}, {"this", "evening"}};

}  // namespace

void Solver::go(const std::string& who, const std::string& place) {
  Person& p = people_[who];
  p.place = place;
  p.not_in = p.other = "";
  for (const std::string& thing : p.holds)
    if (auto& visits = things_[thing].visits; visits.empty() || visits.back() != place) visits.push_back(place);
}

void Solver::take(const std::string& who, const std::string& thing) {
  Person& p = people_[who];
  p.holds.push_back(thing);
  if (std::find(p.held.begin(), p.held.end(), thing) == p.held.end()) p.held.push_back(thing);
}

bool Solver::tell(const std::string& statement) {
  Words w = split(statement);
  int time = -1;
  for (int i = 0; i < 4; ++i) {
    const Words& t = kTimes[static_cast<std::size_t>(i)];
    if (starts(w, t)) {
      w.erase(w.begin(), w.begin() + static_cast<std::ptrdiff_t>(t.size()));
      time = i;
    } else if (w.size() > t.size() && std::equal(t.rbegin(), t.rend(), w.rbegin())) {
      w.resize(w.size() - t.size());
      time = i;
    }
  }
  std::size_t used = 0;
  if (verb(w, kThen, used)) {
    w.erase(w.begin(), w.begin() + static_cast<std::ptrdiff_t>(used) + 1);  // and the pronoun
  } else if (w.size() > 4 && w[1] == "and") {
    subjects_ = {w[0], w[2]};
    w.erase(w.begin(), w.begin() + 3);
  } else {
    // The subject may have several words ("the box of chocolates"), where what follows is no deed.
    std::size_t at = 0;
    while (at < w.size() && w[at] != "is" && w[at] != "fits" && w[at] != "are") ++at;
    if (at < w.size())
      return tell_is({w.begin(), w.begin() + static_cast<std::ptrdiff_t>(at)},
                     {w.begin() + static_cast<std::ptrdiff_t>(at), w.end()});
    if (w.size() < 2) return false;
    subjects_ = {w[0]};
    w.erase(w.begin());
  }
  if (!w.empty() && w.back() == "there") w.pop_back();
  const std::string who = subjects_.empty() ? "" : subjects_[0];
  if (verb(w, kGo, used) && used < w.size()) {
    for (const std::string& s : subjects_) {
      go(s, w.back());
      if (time >= 0) people_[s].day[static_cast<std::size_t>(time)] = w.back();
    }
  } else if (verb(w, kGet, used) && used + 1 == w.size()) {
    Thing& thing = things_[w.back()];
    thing.holder = who;
    take(who, w.back());
    const std::string& place = people_[who].place;
    if (!place.empty() && (thing.visits.empty() || thing.visits.back() != place)) thing.visits.push_back(place);
  } else if (verb(w, kDrop, used) && used + 1 == w.size()) {
    Thing& thing = things_[w.back()];
    thing.holder = "";
    thing.place = people_[who].place;
    std::erase(people_[who].holds, w.back());
  } else if (verb(w, kGive, used) && w.size() == 4 && w[2] == "to") {
    std::erase(people_[who].holds, w[1]);
    take(w[3], w[1]);
    things_[w[1]].holder = w[3];
    gifts_.push_back({who, w[1], w[3]});
  } else {
    return false;
  }
  return true;
}

bool Solver::tell_is(const Words& subject, const Words& rest) {
  const std::string x = join(subject.begin(), subject.end());
  const auto after = [&](std::size_t n) {
    return join(rest.begin() + static_cast<std::ptrdiff_t>(std::min(n, rest.size())), rest.end());
  };
  const auto known = [&](Person p) {  // where somebody is or may be; what they carry stays
    p.holds = people_[x].holds;
    p.held = people_[x].held;
    people_[x] = p;
    subjects_ = {x};
    return true;
  };
  const Words tail(rest.begin() + 1, rest.end());
  std::size_t used = 0;
  if (starts(rest, {"fits", "inside"})) {
    bigger_.emplace_back(after(2), x);
  } else if (starts(rest, {"is", "bigger", "than"})) {
    bigger_.emplace_back(x, after(3));
  } else if (starts(rest, {"are", "afraid", "of"})) {
    fears_[singular(x)] = singular(after(3));
  } else if (starts(rest, {"is", "in"})) {
    return known({.place = after(2)});
  } else if (starts(rest, {"is", "not", "in"})) {
    return known({.not_in = after(3)});
  } else if (starts(rest, {"is", "no", "longer", "in"})) {
    return known({.not_in = after(4)});
  } else if (starts(rest, {"is", "either", "in"}) && rest.size() == 6) {
    return known({.place = rest[3], .other = rest[5]});
  } else if (rest.size() > 3 && rest[0] == "is" && kCompass.count(rest[1])) {
    const auto [dx, dy] = kCompass.at(rest[1]);
    steps_.push_back({after(3), x, dx, dy});
  } else if (const auto d = position(tail, used)) {
    steps_.push_back({after(1 + used), x, d->first, d->second});
  } else if (starts(rest, {"is", "a"})) {
    kinds_.emplace_back(x, after(2));
  } else if (rest.size() == 2) {
    quality_[x] = rest[1];
  } else {
    return false;
  }
  return true;
}

std::string Solver::place_of(const std::string& name) const {
  const auto at = things_.find(name);
  if (at == things_.end()) return "";
  if (at->second.holder.empty()) return at->second.place;
  const auto holder = people_.find(at->second.holder);
  return holder == people_.end() ? "" : holder->second.place;
}

std::optional<std::vector<std::pair<int, int>>> Solver::way(const std::string& a, const std::string& b) const {
  std::map<std::string, std::vector<std::pair<int, int>>> found = {{a, {}}};
  for (std::deque<std::string> open = {a}; !open.empty(); open.pop_front()) {
    const auto visit = [&](const std::string& to, int x, int y) {
      if (found.count(to)) return;
      found[to] = found[open.front()];
      found[to].emplace_back(x, y);
      open.push_back(to);
    };
    for (const Step& s : steps_) {
      if (s.from == open.front()) visit(s.to, s.x, s.y);
      if (s.to == open.front()) visit(s.from, -s.x, -s.y);
    }
  }
  const auto at = found.find(b);
  if (at == found.end()) return std::nullopt;
  return at->second;
}

bool Solver::bigger(const std::string& a, const std::string& b) const {
  std::set<std::string> smaller = {a};
  for (std::size_t before = 0; before != smaller.size();) {
    before = smaller.size();
    for (const auto& [big, small] : bigger_)
      if (smaller.count(big)) smaller.insert(small);
  }
  return a != b && smaller.count(b);
}

std::string Solver::ask_is(const Words& w) const {
  if (w.size() == 4 && w[2] == "in") {  // is X in P
    const auto at = people_.find(w[1]);
    if (at == people_.end()) return "?";
    const Person& p = at->second;
    if (!p.not_in.empty()) return p.not_in == w[3] ? "no" : "?";
    if (!p.other.empty()) return w[3] == p.place || w[3] == p.other ? "maybe" : "no";
    return p.place.empty() ? "?" : p.place == w[3] ? "yes" : "no";
  }
  for (std::size_t i = 2; i < w.size(); ++i) {
    const Words tail(w.begin() + static_cast<std::ptrdiff_t>(i), w.end());
    const std::string x = join(w.begin() + 1, w.begin() + static_cast<std::ptrdiff_t>(i));
    std::size_t used = 0;
    if (starts(tail, {"bigger", "than"})) {
      const std::string y = join(tail.begin() + 2, tail.end());
      return bigger(x, y) ? "yes" : bigger(y, x) ? "no" : "?";
    }
    if (const auto d = position(tail, used)) {
      const auto path = way(join(tail.begin() + static_cast<std::ptrdiff_t>(used), tail.end()), x);
      if (!path) return "?";
      int along = 0;
      for (const auto& [dx, dy] : *path) along += dx * d->first + dy * d->second;
      return along > 0 ? "yes" : "no";
    }
  }
  return "?";
}

std::string Solver::ask(const std::string& question) const {
  const Words w = split(question);
  const std::size_t n = w.size();
  const auto known = [](const std::string& answer) { return answer.empty() ? "?" : answer; };
  const auto last_gift = [&](auto&& fits) -> const Gift* {
    const auto at = std::find_if(gifts_.rbegin(), gifts_.rend(), fits);
    return at == gifts_.rend() ? nullptr : &*at;
  };
  if (n < 3) return "?";
  const auto person = people_.find(n > 2 ? w[2] : "");

  if (starts(w, {"where", "is"})) {
    if (things_.count(w[2])) return known(place_of(w[2]));
    return person == people_.end() ? "?" : known(person->second.place);
  }
  if (starts(w, {"where", "was"}) && n == 5) {
    if (const auto thing = things_.find(w[2]); thing != things_.end()) {
      const auto& visits = thing->second.visits;
      for (std::size_t i = visits.size(); i-- > 1;)
        if (visits[i] == w[4]) return visits[i - 1];
      return "?";
    }
    if (person == people_.end()) return "?";
    const auto& day = person->second.day;
    for (std::size_t i = 4; i-- > 1;)
      if (day[i] == w[4])
        for (std::size_t k = i; k-- > 0;)
          if (!day[k].empty()) return day[k];
    return "?";
  }
  if (starts(w, {"where", "will"})) {
    static const std::map<std::string, std::string> goes = {
        {"tired", "bedroom"}, {"bored", "garden"}, {"hungry", "kitchen"}, {"thirsty", "kitchen"}};
    const auto mood = quality_.find(w[2]);
    return mood != quality_.end() && goes.count(mood->second) ? goes.at(mood->second) : "?";
  }
  if (starts(w, {"why", "did"})) return quality_.count(w[2]) ? quality_.at(w[2]) : "?";
  if (w[0] == "is") return ask_is(w);
  if (w[0] == "does") {
    const auto fit = std::find(w.begin(), w.end(), "fit");
    if (w.end() - fit < 3) return "?";
    const std::string x = join(w.begin() + 1, fit), y = join(fit + 2, w.end());
    return bigger(y, x) ? "yes" : bigger(x, y) ? "no" : "?";
  }
  if (starts(w, {"how", "many"}) && n == 6) {
    static const char* const numbers[] = {"none", "one", "two", "three"};
    const auto who = people_.find(w[4]);
    const std::size_t count = who == people_.end() ? 0 : who->second.holds.size();
    return count < 4 ? numbers[count] : "?";
  }
  if (starts(w, {"how", "do"}) && n == 8) {
    const auto path = way(w[5], w[7]);
    if (!path) return "?";
    std::string moves;
    for (const auto& [x, y] : *path)
      moves += std::string(moves.empty() ? "" : ",") + (x > 0 ? "e" : x < 0 ? "w" : y > 0 ? "n" : "s");
    return moves;
  }
  if (starts(w, {"what", "is"}) && w.back() == "carrying") {
    // In the order in which they first came, as published: what was dropped and taken again keeps its place.
    std::string list;
    for (const std::string& thing : person == people_.end() ? Words{} : person->second.held)
      if (things_.at(thing).holder == w[2]) list += (list.empty() ? "" : ",") + thing;
    return list.empty() ? "nothing" : list;
  }
  if (starts(w, {"what", "is"}) && n > 4 && w[n - 2] == "afraid") {
    for (const auto& [name, kind] : kinds_)
      if (name == w[2]) return fears_.count(kind) ? fears_.at(kind) : "?";
    return "?";
  }
  if (starts(w, {"what", "is"}) && n == 5) {
    const bool of = w[4] == "of";  // "what is P north of", else "what is north of P"
    const auto d = kCompass.find(of ? w[3] : w[2]);
    if (d == kCompass.end()) return "?";
    const auto [x, y] = d->second;
    for (const Step& s : steps_) {
      const bool along = s.x == x && s.y == y, against = s.x == -x && s.y == -y;
      if (of && along && s.to == w[2]) return s.from;
      if (of && against && s.from == w[2]) return s.to;
      if (!of && along && s.from == w[4]) return s.to;
      if (!of && against && s.to == w[4]) return s.from;
    }
    return "?";
  }
  if (starts(w, {"what", "color", "is"}) && n == 4) {
    if (const auto own = quality_.find(w[3]); own != quality_.end()) return own->second;
    const auto kind_of = [&](const std::string& name) {
      for (const auto& [who, kind] : kinds_)
        if (who == name) return kind;
      return std::string();
    };
    // Published stories have animals of one kind in several colours; the one introduced last counts.
    for (auto at = kinds_.rbegin(); at != kinds_.rend(); ++at)
      if (at->second == kind_of(w[3]) && quality_.count(at->first)) return quality_.at(at->first);
    return "?";
  }
  const Gift* g = nullptr;
  if (starts(w, {"what", "did"}) && n == 6) {
    g = last_gift([&](const Gift& x) { return x.giver == w[2] && x.receiver == w[5]; });
    return g ? g->thing : "?";
  }
  if (starts(w, {"who", "did"}) && n == 6) {
    g = last_gift([&](const Gift& x) { return x.giver == w[2] && x.thing == w[4]; });
    return g ? g->receiver : "?";
  }
  if (starts(w, {"who", "gave"})) {
    g = last_gift([&](const Gift& x) { return x.thing == w[2] && (n < 5 || x.receiver == w[4]); });
    return g ? g->giver : "?";
  }
  if (starts(w, {"who", "received"})) {
    g = last_gift([&](const Gift& x) { return x.thing == w[2]; });
    return g ? g->receiver : "?";
  }
  return "?";
}

}  // namespace mneme::babi
