// Room: tasks. associative_recall: asked with one item of a list, give the next one (Graves et al. 2014, section 4.3).
//
// N items of S steps each, every one behind a delimiter; the query, one of the items but the last, between two
// delimiters of another channel; then the item that followed it. With S = 3:
//
//   step            0   1..3    4   5..7  ..  4N   4N+1..4N+3   4N+4   4N+5..4N+7
//   channels 0..W-1 0   item 1  0   item 2 .. 0    item q       0      0
//   channel W       1   0       1   0     ..  0    0            0      0
//   channel W+1     0   0       0   0     ..  1    0            1      0
//   target          -   -       -   -         -    -            -      item q+1
//
// The number of items is shared by a batch or not, as copy's length is.
#include "tasks/sequences.hpp"

namespace mneme {

namespace {

class AssociativeRecall final : public BitsTask {
 public:
  static OptionTable options() {
    return OptionTable()
        .integer("width", 6, 1, 1024, "W, bits a step; the input has two channels more, for the delimiters")
        .integer("item-length", 3, 1, 1000, "S, steps of an item")
        .range("items", {2, 6}, 2, 100000, "N, items, uniform in the range")
        .flag("mixed-lengths", false, kMixedLengths);
  }

  explicit AssociativeRecall(const Options& o)
      : width_(o.size("width")),
        item_length_(o.size("item-length")),
        items_(o.range("items")),
        mixed_(o.flag("mixed-lengths")) {
    spec_.channels = width_ + 2;
    spec_.outputs = width_;
    spec_.max_steps = steps(static_cast<std::size_t>(items_.high));
    spec_.parameters = {{"items", true, "N, items"}, {"query", true, "the item that is asked with, from 1"}};
  }

  void sample(const Draw& draw, Batch& batch) const override {
    sample_rows(
        spec_, draw, mixed_, batch, [&](Random& random) { return drawn(random, items_); },
        [&](std::size_t items) { return BatchSize{.steps = steps(items)}; },
        [&](std::size_t b, std::size_t items, Random& random) {
          const auto delimit = [&](std::size_t t, std::size_t channel) {
            batch.dense(t, b, channel) = 1;
            batch.phase(t, b) = static_cast<std::uint8_t>(Phase::delimiter);
          };
          for (std::size_t i = 0; i < items; ++i) {
            delimit(item(i) - 1, width_);
            for (std::size_t s = 0; s < item_length_; ++s)
              for (std::size_t k = 0; k < width_; ++k)
                batch.dense(item(i) + s, b, k) = static_cast<float>(random.bits() >> 31);
          }
          const auto asked = static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(items) - 2));
          const std::size_t query = item(items), answer = query + item_length_ + 1;
          delimit(query - 1, width_ + 1);
          delimit(answer - 1, width_ + 1);
          for (std::size_t s = 0; s < item_length_; ++s) {
            for (std::size_t k = 0; k < width_; ++k) {
              batch.dense(query + s, b, k) = batch.dense(item(asked) + s, b, k);
              batch.target.values(answer + s, b, k) = batch.dense(item(asked + 1) + s, b, k);
            }
            batch.phase(answer + s, b) = static_cast<std::uint8_t>(Phase::answer);
            batch.target.scored(answer + s, b) = 1;
          }
          batch.parameters[0].second[b] = static_cast<float>(items);
          batch.parameters[1].second[b] = static_cast<float>(asked + 1);
        });
  }

  std::vector<double> chance() const override {
    const auto bits = static_cast<double>(width_ * item_length_);
    return {bits, bits / 2};
  }

  std::string display(const Batch& batch, std::size_t row, const Prediction* answer) const override {
    const auto items = static_cast<std::size_t>(batch.parameters[0].second[row]);
    return fmt::format("associative_recall, {} items of {} steps of {} bits; asked for what followed item {}\n", items,
                       item_length_, width_, batch.parameters[1].second[row]) +
           input_rows("items", batch, row, width_, items * item_length_, item_length_,
                      [&](std::size_t t) { return item(t / item_length_) + t % item_length_; }) +
           input_rows("query", batch, row, width_, item_length_, 0, [&](std::size_t t) { return item(items) + t; }) +
           answered_bits(batch, row, answer);
  }

 private:
  /// The first step of item i; that of the query is where one more item would be.
  std::size_t item(std::size_t i) const { return 1 + i * (item_length_ + 1); }
  std::size_t steps(std::size_t items) const { return item(items) + item_length_ + 1 + item_length_; }

  std::size_t width_, item_length_;
  Range items_;
  bool mixed_;
};

[[maybe_unused]] const bool registered = tasks().add("associative_recall", []() -> TaskPlugin {
  return {.summary = "asked with one item of a list, give the next one",
          .source = "Graves et al. 2014, Neural Turing Machines, section 4.3",
          .options = AssociativeRecall::options(),
          .length_options = {"items"},
          .make = [](const Options& o) { return std::make_unique<AssociativeRecall>(o); }};
});

}  // namespace

}  // namespace mneme
