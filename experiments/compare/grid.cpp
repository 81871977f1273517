// Room: experiments. From factors to configurations.
#include "experiments/compare/grid.hpp"

#include "core/error.hpp"
#include "core/join.hpp"
#include "core/names.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace mneme::experiments {

namespace {

std::vector<std::string> parts_of(const std::string& list, const std::string& origin) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    parts.push_back(list.substr(at, end - at));
    if (parts.back().empty()) fail<ArgumentError>(origin, "'{}' has an empty value", list);
    at = end + 1;
  }
  return parts;
}

/// Whether a key chooses a plug-in, and so decides which other keys there are.
bool selects(const std::string& key) {
  return key.find('.') == std::string::npos && key != "seed";
}

/// Whether + is written for the comma in values of the key: in lists, of whatever plug-in has it.
bool is_list(const std::string& key) {
  for (const OptionInfo& o : list_options())
    if (o.key == key) return o.domain.starts_with("comma list of");
  return false;
}

bool has(const Config& config, const std::string& key) {
  const auto items = config.items();
  return std::any_of(items.begin(), items.end(), [&](const auto& item) { return item.first == key; });
}

using Choice = std::vector<Assignment>;

/// Each of `before` with each value of the factor.
std::vector<Choice> times(const std::vector<Choice>& before, const Factor& factor) {
  std::vector<Choice> after;
  const bool list = is_list(factor.key);
  for (const Choice& choice : before)
    for (std::string value : factor.values) {
      if (list) std::replace(value.begin(), value.end(), '+', ',');
      after.push_back(choice);
      after.back().push_back({factor.key, value, factor.origin});
    }
  return after;
}

Config resolve(const std::string& preset, const Choice& given) {
  return preset.empty() ? Config::from(given) : Config::load(preset, given);
}

}  // namespace

Factor factor_of(const Assignment& given) {
  Factor factor{given.key, parts_of(given.value, given.origin), given.origin};
  std::set<std::string> seen;
  for (const std::string& value : factor.values)
    if (!seen.insert(value).second) fail<ArgumentError>(given.origin, "'{}' is there twice", value);
  return factor;
}

std::vector<GridPoint> expand(const std::vector<std::string>& presets, const std::vector<Factor>& factors) {
  std::vector<Choice> selections(1);
  for (const Factor& f : factors)
    if (selects(f.key)) selections = times(selections, f);
  std::map<std::string, bool> used;
  for (const Factor& f : factors) used[f.key] = selects(f.key);
  std::vector<GridPoint> points;
  std::set<std::string> seen;
  for (const std::string& preset : presets.empty() ? std::vector<std::string>{""} : presets)
    for (const Choice& selection : selections) {
      const Config chosen = resolve(preset, selection);
      std::vector<Choice> choices = {selection};
      for (const Factor& f : factors) {
        if (selects(f.key) || !has(chosen, f.key)) continue;
        used[f.key] = true;
        choices = times(choices, f);
      }
      for (Choice& choice : choices) {
        GridPoint point{choice, preset, resolve(preset, choice)};
        if (seen.insert(point.config.text()).second) points.push_back(std::move(point));
      }
    }
  for (const Factor& f : factors)
    if (!used[f.key]) {
      // The configuration says best what is wrong with it.
      Choice wrong = selections.front();
      wrong.push_back({f.key, f.values.front(), f.origin});
      resolve(presets.empty() ? "" : presets.front(), wrong);
      fail<ArgumentError>(f.origin, "{} belongs to none of the plug-ins that are compared", f.key);
    }
  return points;
}

std::vector<std::uint64_t> seeds_of(const std::string& list) {
  std::vector<std::uint64_t> seeds;
  const auto number = [&](const std::string& text) {
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc{} || end != text.data() + text.size() || n > std::uint64_t{1} << 53)
      fail<ArgumentError>("--seeds", "'{}' in '{}' is no seed; it takes 1:10, or a comma list: 1:3,7", text, list);
    return n;
  };
  for (const std::string& part : parts_of(list, "--seeds")) {
    const std::size_t colon = part.find(':');
    const std::uint64_t first = number(part.substr(0, colon));
    const std::uint64_t last = colon == std::string::npos ? first : number(part.substr(colon + 1));
    if (last < first) fail<ArgumentError>("--seeds", "{} is more than {}", first, last);
    if (last - first > 100'000) fail<ArgumentError>("--seeds", "{} are more than 100,000 runs of each scheme", part);
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      if (std::count(seeds.begin(), seeds.end(), seed)) fail<ArgumentError>("--seeds", "{} is there twice", seed);
      seeds.push_back(seed);
    }
  }
  return seeds;
}

std::string scheme_text(const Config& config, const std::vector<std::string>& keys) {
  std::vector<std::string> parts;
  const auto items = config.items();
  for (const std::string& key : keys)
    for (const auto& [name, value] : items) {
      if (name != key) continue;
      std::string text = value;
      if (is_list(key)) std::replace(text.begin(), text.end(), ',', '+');
      parts.push_back(key + "=" + text);
    }
  if (!parts.empty()) return join(parts, " ");
  return config.memory.empty() ? config.model : config.memory;
}

}  // namespace mneme::experiments
