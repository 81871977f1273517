// Room: tests. A bAbI reader of the plain kind: it keeps what the sentences say and answers from that. An oracle for
// the generated stories, so it knows nothing of how they are made, nor which task a question belongs to.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mneme::babi {

class Solver {
 public:
  /// A statement, as written. Returns false where it means nothing to the reader.
  bool tell(const std::string& statement);
  /// The answer, or "?" where nothing follows from what was told.
  std::string ask(const std::string& question) const;

 private:
  using Words = std::vector<std::string>;
  struct Person {
    std::string place = {};   ///< "" = not known
    std::string not_in = {};  ///< known not to be there
    std::string other = {};   ///< either in `place` or here
    std::vector<std::string> holds = {};
    std::vector<std::string> held = {};   ///< ever, each once, in the order they first came
    std::array<std::string, 4> day = {};  ///< places by time of day
  };
  struct Thing {
    std::string holder, place;
    std::vector<std::string> visits;  ///< places known, none twice in a row
  };
  struct Gift {
    std::string giver, thing, receiver;
  };
  struct Step {
    std::string from, to;
    int x, y;
  };

  void go(const std::string& who, const std::string& place);
  void take(const std::string& who, const std::string& thing);
  bool tell_is(const Words& subject, const Words& rest);
  std::string ask_is(const Words& w) const;
  std::string place_of(const std::string& thing) const;
  /// The way from a to b over told steps, the shortest; each step as (x, y).
  std::optional<std::vector<std::pair<int, int>>> way(const std::string& a, const std::string& b) const;
  bool bigger(const std::string& a, const std::string& b) const;

  std::map<std::string, Person> people_;
  std::map<std::string, Thing> things_;
  std::vector<std::string> subjects_;  ///< of the last sentence
  std::vector<Gift> gifts_;
  std::vector<Step> steps_;
  std::vector<std::pair<std::string, std::string>> bigger_;
  std::map<std::string, std::string> fears_, quality_;
  std::vector<std::pair<std::string, std::string>> kinds_;  ///< name, kind
};

}  // namespace mneme::babi
