// Room: autodiff. RowGradient: the gradient of some rows of a table, in the place of one as large as the table.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mneme {

/// Rows by their number, in the order in which they were first touched; all others are zero. Memory and time grow with
/// the rows it holds alone. It keeps its memory when it is emptied.
template <class T>
class RowGradient {
 public:
  /// Empty, for rows of `width` numbers.
  void begin(std::size_t width) {
    width_ = width;
    numbers_.clear();
    values_.clear();
    places_.assign(places_.size(), 0);
  }

  std::size_t count() const { return numbers_.size(); }
  std::size_t width() const { return width_; }
  std::size_t number(std::size_t i) const { return numbers_[i]; }  ///< of the i-th row, i < count()
  T* values(std::size_t i) { return values_.data() + i * width_; }
  const T* values(std::size_t i) const { return values_.data() + i * width_; }

  /// Row r, zeros where it is new. The pointer is valid until another row is new.
  T* row(std::size_t r) {
    if (2 * (count() + 1) > places_.size()) grow();
    std::uint32_t& place = places_[place_of(r)];
    if (!place) {
      numbers_.push_back(r);
      values_.resize(values_.size() + width_, T(0));
      place = static_cast<std::uint32_t>(count());
    }
    return values(place - 1);
  }
  /// Row r; null where there is none.
  T* find(std::size_t r) {
    if (places_.empty()) return nullptr;
    const std::uint32_t place = places_[place_of(r)];
    return place ? values(place - 1) : nullptr;
  }

  std::size_t bytes() const {
    return numbers_.capacity() * sizeof(std::size_t) + values_.capacity() * sizeof(T) +
           places_.capacity() * sizeof(std::uint32_t);
  }

 private:
  /// Where r is or belongs: places are tried in turn from its hash on.
  std::size_t place_of(std::size_t r) const {
    const std::size_t mask = places_.size() - 1;
    std::size_t p = (r * 0x9e3779b97f4a7c15u) >> (64 - std::countr_zero(places_.size()));
    while (places_[p] && numbers_[places_[p] - 1] != r) p = (p + 1) & mask;
    return p;
  }
  void grow() {
    places_.assign(places_.empty() ? 64 : 2 * places_.size(), 0);
    for (std::size_t i = 0; i < count(); ++i) places_[place_of(numbers_[i])] = static_cast<std::uint32_t>(i + 1);
  }

  std::size_t width_ = 0;
  std::vector<std::size_t> numbers_;
  std::vector<T> values_;
  std::vector<std::uint32_t> places_;  // 1 + index of a row, 0 = free; a power of two, at most half full
};

}  // namespace mneme
