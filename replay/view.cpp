// Room: replay. Reduces logged rows to the numbers that are shown beside them.
#include "replay/view.hpp"

#include "replay/reference.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace mneme::replay {

HeadView head_view(const trace::Layout& layout, const trace::Episode& episode, std::size_t site, std::size_t step) {
  const trace::SiteLayout& s = layout.sites.at(site);
  const trace::SiteRows& rows = episode.sites.at(site);
  const std::size_t n = layout.width(s);
  const float* w = rows.weights.data() + step * n;
  const Row weights(w, w + n);
  HeadView view;
  view.argmax = argmax(weights);
  view.largest = weights[view.argmax];
  view.entropy = entropy(weights);
  std::vector<std::pair<std::string, double>> rest;
  for (std::size_t v = 0; v < s.values.size(); ++v) {
    const trace::Logged& value = s.values[v];
    if (!layout.logs(value)) continue;
    const std::size_t count = value.declared.count();
    const float* x = rows.values[v].data() + step * count;
    const Row numbers(x, x + count);
    const std::string& name = value.declared.name;
    if (count == 1) {
      view.numbers.emplace_back(name, numbers[0]);
    } else if (value.axes == std::vector<std::string>{s.site.slot_axis}) {
      const std::size_t top = argmax(numbers);
      rest.emplace_back(fmt::format("{} {} {}", name, s.site.slot_axis, top), numbers[top]);
    } else if (name == "shift" && count % 2 == 1) {
      view.numbers.emplace_back(name, expected_shift(numbers));
    } else {
      double square = 0;
      for (double a : numbers) square += a * a;
      rest.emplace_back("|" + name + "|", std::sqrt(square));
    }
  }
  view.numbers.insert(view.numbers.end(), rest.begin(), rest.end());
  return view;
}

SlotRange used_slots(const trace::Layout& layout, const trace::Episode& episode, const std::string& axis,
                     double threshold) {
  std::size_t n = 1;
  for (const trace::SiteLayout& s : layout.sites)
    if (s.site.slot_axis == axis) n = std::max(n, layout.width(s));
  std::vector<bool> used(n, false);
  for (std::size_t s = 0; s < layout.sites.size(); ++s) {
    const std::vector<float>& w = episode.sites[s].weights;
    const std::size_t width = layout.width(layout.sites[s]);
    if (w.empty() || layout.sites[s].site.slot_axis != axis) continue;
    const float limit = static_cast<float>(threshold) * *std::max_element(w.begin(), w.end());
    for (std::size_t i = 0; i < w.size(); ++i)
      if (w[i] >= limit && w[i] > 0) used[i % width] = true;
  }
  std::vector<std::size_t> list;
  for (std::size_t i = 0; i < n; ++i)
    if (used[i]) list.push_back(i);
  if (list.empty()) return {0, n, n};
  // The longest run of unused slots around the ring is what is left out; that across the end, unless another is longer.
  std::size_t first = list.front(), gap = n - 1 - list.back() + list.front();
  for (std::size_t i = 1; i < list.size(); ++i)
    if (list[i] - list[i - 1] - 1 > gap) {
      gap = list[i] - list[i - 1] - 1;
      first = list[i];
    }
  if (gap < 3) return {0, n, n};
  const bool at_border = first == 0;  // a range that begins at slot 0 stays a plain one
  return {at_border ? 0 : first - 1, n - gap + (at_border ? 1 : 2), n};
}

}  // namespace mneme::replay
