// Room: replay. Items, hops and answers of an episode, in words.
#include "replay/story.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace mneme::replay {

namespace {

void append(std::string& text, const std::string& word) {
  const bool mark = word == "." || word == "?";  // they stand at the word before
  text += (text.empty() || mark ? "" : " ") + word;
}

}  // namespace

bool tells_story(const trace::Layout& layout, const trace::Episode& episode) {
  const auto over_items = [](const trace::SiteLayout& s) { return s.site.slot_axis == "item"; };
  return layout.item_tokens && episode.items.count > 0 &&
         std::any_of(layout.sites.begin(), layout.sites.end(), over_items);
}

std::size_t answering_step(const trace::Episode& e) {
  for (std::size_t t = e.steps; t-- > 0;)
    if (e.mask[t]) return t;
  return e.steps - 1;
}

std::string words_of_steps(const trace::Layout& layout, const trace::Episode& e) {
  std::string text;
  for (std::int32_t token : e.token)
    if (token >= 0) append(text, layout.word(token));
  return text;
}

std::vector<Answer> answers_of(const trace::Layout& layout, const trace::Episode& e) {
  std::vector<Answer> answers;
  const std::size_t k = layout.channels_out;
  if (layout.target_kind != "classes" || k == 0) return answers;
  for (std::size_t t = 0; t < e.steps; ++t) {
    if (!e.mask[t]) continue;
    const auto target = e.target.begin() + static_cast<std::ptrdiff_t>(t * k),
               output = e.output.begin() + static_cast<std::ptrdiff_t>(t * k);
    const auto n = static_cast<std::ptrdiff_t>(k);
    const auto truth = static_cast<std::size_t>(std::max_element(target, target + n) - target),
               said = static_cast<std::size_t>(std::max_element(output, output + n) - output);
    answers.push_back({t, layout.class_name(said), layout.class_name(truth),
                       static_cast<double>(output[static_cast<std::ptrdiff_t>(said)]), said == truth});
  }
  if (answers.size() == 1) answers[0].right = e.correct;
  return answers;
}

Story story_of(const trace::Layout& layout, const trace::Episode& e, std::size_t step) {
  Story story;
  std::size_t token = 0;
  for (std::size_t n = 0; n < e.items.count; ++n) {
    Sentence s;
    for (std::int32_t w = 0; layout.item_tokens && w < e.items.token_count[n]; ++w)
      append(s.text, layout.word(e.items.token[token++]));
    s.support = layout.item_support && e.items.support[n] != 0;
    story.sentences.push_back(std::move(s));
  }
  for (std::size_t i = 0; i < layout.sites.size(); ++i) {
    if (layout.sites[i].site.slot_axis != "item") continue;
    story.hops.push_back(layout.sites[i].site.name);
    const float* w = e.sites[i].weights.data() + step * layout.width(layout.sites[i]);
    for (std::size_t n = 0; n < e.items.count; ++n) story.sentences[n].weights.push_back(static_cast<double>(w[n]));
  }
  for (std::size_t p = 0; p < layout.episode_params.size() && p < e.params.size(); ++p)
    if (layout.episode_params[p].name == "statements" && e.params[p] > static_cast<double>(e.items.count))
      story.cut = fmt::format("the last {} of {} statements", e.items.count, e.params[p]);
  story.question = words_of_steps(layout, e);
  story.answers = answers_of(layout, e);
  return story;
}

}  // namespace mneme::replay
