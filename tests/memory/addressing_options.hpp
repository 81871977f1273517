// Room: tests. The NTM's addressing taken apart by option: every combination that differs from every other.
#pragma once

#include "core/join.hpp"

#include <map>
#include <string>
#include <vector>

namespace mneme::test {

using Given = std::map<std::string, std::string>;

/// Of options of memory ntm, both sides by one scheme; what a scheme does not look at stays at its default. Where its
/// writers could not tell slots apart otherwise, M_0 is random. top_k keeps 2, which is fewer than there are slots.
inline std::vector<Given> addressing_options() {
  std::vector<Given> all;
  const auto contents = [&](const Given& given) {
    for (const char* score : {"cosine", "dot", "distance"})
      for (const char* normalize : {"softmax", "sparsemax", "top_k"}) {
        all.push_back(given);
        all.back()["score"] = score;
        all.back()["normalize"] = normalize;
        all.back()["top-k"] = "2";
      }
  };
  contents({{"read-addressing", "content"}, {"write-addressing", "content"}, {"initial-memory", "random"}});
  for (const char* sharpen : {"true", "false"})
    for (const char* shifts : {"1", "3", "5"}) {
      all.push_back({{"read-addressing", "location"}, {"write-addressing", "location"}});
      all.back()["sharpen"] = sharpen;
      all.back()["shift-range"] = shifts;
      contents({{"sharpen", sharpen}, {"shift-range", shifts}});
      contents({{"sharpen", sharpen}, {"shift-range", shifts}, {"interpolate", "false"}, {"initial-memory", "random"}});
    }
  return all;
}

inline std::string text(const Given& given) {
  std::vector<std::string> told;
  for (const auto& [name, value] : given) told.push_back(name + "=" + value);
  return join(told, " ");
}

}  // namespace mneme::test
