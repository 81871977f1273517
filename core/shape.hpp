// Room: core. Shape: up to four extents without an allocation, and how shapes read in messages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace mneme {

/// Row-major extents below 2^32, rank 0 to 4; more of either is an InvariantError. A scalar has rank 0 and size 1.
class Shape {
 public:
  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<std::size_t> extents) {
    std::size_t bits = 0;
    for (std::size_t e : extents) bits |= e;
    if (extents.size() > most || bits > largest) refuse({extents.begin(), extents.size()});
    for (std::size_t e : extents) extents_[rank_++] = static_cast<std::uint32_t>(e);
  }

  constexpr std::size_t rank() const { return rank_; }
  constexpr std::size_t operator[](std::size_t axis) const { return extents_[axis]; }
  constexpr std::size_t size() const {
    std::size_t n = 1;
    for (std::size_t i = 0; i < rank_; ++i) n *= extents_[i];
    return n;
  }
  /// Extent of the last axis; 1 for a scalar.
  constexpr std::size_t last() const { return rank_ == 0 ? 1 : extents_[rank_ - 1]; }
  /// How many rows of last() numbers there are.
  constexpr std::size_t rows() const { return last() == 0 ? 0 : size() / last(); }

  constexpr bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (std::size_t i = 0; i < rank_; ++i)
      if (extents_[i] != other.extents_[i]) return false;
    return true;
  }

  void push_back(std::size_t extent) {
    if (rank_ == most || extent > largest) refuse_another(extent);
    extents_[rank_++] = static_cast<std::uint32_t>(extent);
  }

  /// "[16 20 128]"
  std::string text() const;

 private:
  static constexpr std::size_t most = 4, largest = 0xffffffff;
  [[noreturn]] static void refuse(std::span<const std::size_t> extents);
  [[noreturn]] void refuse_another(std::size_t extent) const;

  std::array<std::uint32_t, most> extents_{};
  std::uint32_t rank_ = 0;
};

}  // namespace mneme
