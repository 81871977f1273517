// Room: tools. Completion in bash, zsh and fish: the shells ask the program, which answers from its command table.
#pragma once

#include <string>
#include <vector>

namespace mneme::tools {

/// A word that may stand next, and what it is.
struct Candidate {
  std::string word, what;
};

/// What may stand in the place of the last of `words` (those after "mneme"); none where a file is as good a guess.
std::vector<Candidate> complete(std::vector<std::string> words);

/// `mneme completion words WORDS...`: a candidate a line, its meaning after a TAB.
int print_completions(const std::vector<std::string>& words);

}  // namespace mneme::tools
