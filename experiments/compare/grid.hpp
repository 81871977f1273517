// Room: experiments. Grid: keys with several values each, expanded into configurations that are compared.
//
//   task = copy, associative_recall;  memory = none, ntm;  memory.read-addressing = content, content_location
//
// are three schemes on two tasks: a key that the chosen plug-ins do not have multiplies nothing. A comma separates what
// is compared; inside one value of a list, + stands for the comma.
#pragma once

#include "experiments/config/config.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mneme::experiments {

/// A key of the configuration with its values, as they were typed.
struct Factor {
  std::string key;
  std::vector<std::string> values;
  std::string origin;  ///< for messages: "--memory.score"
};

/// "copy,recall" -> copy, recall. ArgumentError naming the origin where a value is empty or there twice.
Factor factor_of(const Assignment& given);

/// One configuration of a grid, without its seed.
struct GridPoint {
  std::vector<Assignment> given;  ///< what makes it, over the preset where there is one
  std::string preset;             ///< "" = none
  Config config;
};

/// All combinations, the first factor changing slowest, each once. ArgumentError where a key belongs to none of the
/// plug-ins that are compared, and for whatever a Config refuses.
std::vector<GridPoint> expand(const std::vector<std::string>& presets, const std::vector<Factor>& factors);

/// "1:3,7" -> 1, 2, 3, 7. ArgumentError where one is given twice, or is none.
std::vector<std::uint64_t> seeds_of(const std::string& list);

/// "memory=ntm memory.score=dot": those of `keys` that the configuration has, in order, lists with +; where it has none
/// the memory's name, or the model's.
std::string scheme_text(const Config& config, const std::vector<std::string>& keys);

}  // namespace mneme::experiments
