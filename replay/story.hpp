// Room: replay. A story as an episode logged it: sentences with the weight that each hop gave them, the question, the
// answers. From the trace alone: words and answers have their names from /meta/vocab and /meta/classes.
//
// For: the terminal, figures and tables.
#pragma once

#include "trace/schema.hpp"

#include <string>
#include <vector>

namespace mneme::replay {

struct Sentence {
  std::string text;
  bool support = false;         ///< a supporting fact
  std::vector<double> weights;  ///< by Story::hops
};

/// What was answered at one scored step.
struct Answer {
  std::size_t step = 0;
  std::string predicted, truth;
  double probability = 0;  ///< of the predicted class
  bool right = false;
};

struct Story {
  std::vector<std::string> hops;    ///< sites whose slots are the items, in order
  std::vector<Sentence> sentences;  ///< the oldest first
  std::string question;             ///< the words of the steps; with sentences among the steps, those too
  std::vector<Answer> answers;
  std::string cut;  ///< "the last 10 of 44 statements" where the model got no more of them; else empty
};

/// Whether the episode has items in words and a site that attends to them.
bool tells_story(const trace::Layout& layout, const trace::Episode& episode);

/// Weights as of `step`: most memories attend once, and every step shows the same.
Story story_of(const trace::Layout& layout, const trace::Episode& episode, std::size_t step);

/// The step whose weights made the answer: the last scored one, else the last.
std::size_t answering_step(const trace::Episode& episode);

/// The words of all steps; empty where steps are no tokens.
std::string words_of_steps(const trace::Layout& layout, const trace::Episode& episode);

/// Of scored steps, where the target is classes. A single answer is right where the episode says so (an answer that
/// training never had is wrong though it has a class); of several each is where it is the target.
std::vector<Answer> answers_of(const trace::Layout& layout, const trace::Episode& episode);

}  // namespace mneme::replay
