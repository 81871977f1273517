// Room: replay. What a person wants to know of one head at one step, and which slots an episode uses.
//
// For: the terminal viewer, tables and figures.
#pragma once

#include "trace/schema.hpp"

#include <string>
#include <utility>
#include <vector>

namespace mneme::replay {

/// One head at one step.
struct HeadView {
  std::size_t argmax = 0;
  double largest = 0;
  double entropy = 0;  ///< nats
  /// Every logged parameter as one number: beta 3.2, gate 0.98, shift +0.97 (expected); then |key| 1.4, |erase|, |add|,
  /// and of what is a number a slot its largest: "content slot 5" 0.93.
  std::vector<std::pair<std::string, double>> numbers;
};
HeadView head_view(const trace::Layout& layout, const trace::Episode& episode, std::size_t site, std::size_t step);

/// `count` of a ring of `total` slots, from `first` on and, where it comes to that, around the end: heads that shift
/// walk from slot 0 to slot N-1 in one step.
struct SlotRange {
  std::size_t first = 0, count = 1, total = 1;
  std::size_t slot(std::size_t i) const { return (first + i) % total; }
  std::size_t last() const { return slot(count - 1); }
};
/// Of the sites along `axis` ("slot", "item"): the shortest range outside of which no weight is ever `threshold` of the
/// site's largest or more; one slot wider on either side where there is one.
SlotRange used_slots(const trace::Layout& layout, const trace::Episode& episode, const std::string& axis,
                     double threshold = 0.1);

}  // namespace mneme::replay
