// Room: tasks. priority_sort: give back the vectors of highest priority, in order of it (Graves et al. 2014, section
// 4.5).
//
//   step            0 .. N-1              N            N+1 .. N+K
//   channels 0..W-1 random bits           0            0
//   channel W       priority in [-1, 1]   0            0
//   channel W+1     0                     1 delimiter  0
//   target          -                     -            the bits of the K highest priorities, the highest first
//
// The number of vectors is shared by a batch or not, as copy's length is; where there are fewer than K, all are given
// back.
#include "tasks/sequences.hpp"

namespace mneme {

namespace {

class PrioritySort final : public BitsTask {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("width", 8, 1, 1024, "W, bits a step; the input has two channels more: priority, delimiter")
        .range("items", {20, 20}, 1, 100000, "N, vectors with a priority each, uniform in the range")
        .integer("outputs", 16, 1, 100000, "K, how many are given back, at most N")
        .flag("mixed-lengths", false, kMixedLengths);
  }

  explicit PrioritySort(const Options& o)
      : width_(o.size("width")),
        items_(o.range("items")),
        outputs_(o.size("outputs")),
        mixed_(o.flag("mixed-lengths")) {
    spec_.channels = width_ + 2;
    spec_.outputs = width_;
    spec_.max_steps = steps(static_cast<std::size_t>(items_.high));
    spec_.parameters = {{"items", true, "N, vectors"}, {"outputs", true, "how many of them are given back"}};
  }

  void sample(const Draw& draw, Batch& batch) const override {
    sample_rows(
        spec_, draw, mixed_, batch, [&](Random& random) { return drawn(random, items_); },
        [&](std::size_t items) { return BatchSize{.steps = steps(items)}; },
        [&](std::size_t b, std::size_t items, Random& random) {
          for (std::size_t t = 0; t < items; ++t) {
            for (std::size_t k = 0; k < width_; ++k) batch.dense(t, b, k) = static_cast<float>(random.bits() >> 31);
            batch.dense(t, b, width_) = static_cast<float>(random.uniform(-1, 1));
          }
          batch.dense(items, b, width_ + 1) = 1;
          batch.phase(items, b) = static_cast<std::uint8_t>(Phase::delimiter);
          std::size_t from = items;  // none yet
          for (std::size_t i = 0; i < given_back(items); ++i) {
            const std::size_t answer = items + 1 + i;
            from = next_after(batch, b, items, from);
            for (std::size_t k = 0; k < width_; ++k) batch.target.values(answer, b, k) = batch.dense(from, b, k);
            batch.phase(answer, b) = static_cast<std::uint8_t>(Phase::answer);
            batch.target.scored(answer, b) = 1;
          }
          batch.parameters[0].second[b] = static_cast<float>(items);
          batch.parameters[1].second[b] = static_cast<float>(given_back(items));
        });
  }

  std::vector<double> chance() const override {
    double count = 0;
    for (std::int64_t n = items_.low; n <= items_.high; ++n)
      count += static_cast<double>(given_back(static_cast<std::size_t>(n)));
    const double bits = static_cast<double>(width_) * count / static_cast<double>(items_.high - items_.low + 1);
    return {bits, bits / 2};
  }

  /// The paper's curves are costs, and end at 10 to 20 bits (figure 18): solved is a cost of at most 15.
  std::size_t solved_metric() const override { return 0; }
  double solved_threshold() const override { return 15; }

  std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const override {
    const auto items = static_cast<std::size_t>(batch.parameters[0].second[row]), back = given_back(items);
    std::vector<std::size_t> rank(items);  // 1 for the highest, 0 for one that is not given back
    std::size_t at = items;
    for (std::size_t i = 1; i <= back; ++i) rank[at = next_after(batch, row, items, at)] = i;
    const std::size_t digits = std::to_string(back).size();
    return fmt::format("priority_sort, {} vectors of {} bits, the {} of highest priority are given back\n", items,
                       width_, back) +
           input_rows("input", batch, row, width_, items, 0, [](std::size_t t) { return t; }) +
           letter_rows("rank", digits, items, 0,
                       [&](std::size_t t, std::size_t k) {
                         return rank[t] == 0 ? '-' : fmt::format("{:>{}}", rank[t], digits)[k];
                       }) +
           answered_bits(batch, row, answer);
  }

 private:
  std::size_t given_back(std::size_t items) const { return std::min(items, outputs_); }
  std::size_t steps(std::size_t items) const { return items + 1 + given_back(items); }

  /// The vector whose priority comes after that of `last` (after all, where last is `items`: the highest); of equal
  /// ones the first comes first.
  std::size_t next_after(const Batch& batch, std::size_t row, std::size_t items, std::size_t last) const {
    const auto priority = [&](std::size_t t) { return batch.dense(t, row, width_); };
    std::size_t next = items;
    for (std::size_t t = 0; t < items; ++t) {
      const bool left = last == items || priority(t) < priority(last) || (priority(t) == priority(last) && t > last);
      if (left && (next == items || priority(t) > priority(next))) next = t;
    }
    return next;
  }

  std::size_t width_;
  Range items_;
  std::size_t outputs_;
  bool mixed_;
};

[[maybe_unused]] const bool registered = tasks().add("priority_sort", []() -> TaskPlugin {
  return {.summary = "give back the vectors of highest priority, in order of it",
          .source = "Graves et al. 2014, Neural Turing Machines, section 4.5",
          .options = PrioritySort::options(),
          .length_options = {"items"},
          .make = [](const Options& o) { return std::make_unique<PrioritySort>(o); }};
});

}  // namespace

}  // namespace mneme
