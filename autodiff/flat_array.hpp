// Room: autodiff. FlatArray: zeros at 64 bytes, set off from a page so that arrays used together do not share cache
// sets; TransposedCopy: a table the other way round, made for whoever reads it.
#pragma once

#include "core/shape.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>

namespace mneme {

/// Memory for `n` numbers, `stagger` * 256 bytes past a page.
template <class T>
class FlatArray {
 public:
  FlatArray() = default;
  FlatArray(std::size_t n, std::size_t stagger) : size_(n) {
    const std::size_t shift = (stagger % 16) * 256;
    memory_.reset(static_cast<std::byte*>(::operator new[](shift + n * sizeof(T), std::align_val_t{page})));
    data_ = reinterpret_cast<T*>(memory_.get() + shift);
    std::fill_n(data_, n, T(0));
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }

 private:
  static constexpr std::size_t page = 4096;
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{page}); }
  };
  std::unique_ptr<std::byte[], Free> memory_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A table [rows columns] as [columns rows]. There is none until a product asks for it: a table that is only looked up
/// costs nothing. Any thread may ask, while nobody changes the values; whoever changes them calls renew.
template <class T>
class TransposedCopy {
 public:
  /// `values` must outlive it.
  TransposedCopy(const T* values, Shape shape) : values_(values), rows_(shape[0]), columns_(shape[1]) {}

  const T* read() {
    if (!made_.load(std::memory_order_acquire)) make();
    return copy_.data();
  }
  void renew() {
    if (made_.load(std::memory_order_acquire)) fill();
  }
  std::size_t bytes() const { return made_.load(std::memory_order_acquire) ? rows_ * columns_ * sizeof(T) : 0; }

 private:
  void make() {
    const std::lock_guard lock(making_);
    if (made_.load(std::memory_order_relaxed)) return;
    copy_ = FlatArray<T>(rows_ * columns_, 1);
    fill();
    made_.store(true, std::memory_order_release);
  }
  void fill() {
    constexpr std::size_t tile = 16;
    T* to = copy_.data();
    for (std::size_t i0 = 0; i0 < rows_; i0 += tile)
      for (std::size_t j0 = 0; j0 < columns_; j0 += tile)
        for (std::size_t j = j0; j < std::min(j0 + tile, columns_); ++j)
          for (std::size_t i = i0; i < std::min(i0 + tile, rows_); ++i) to[j * rows_ + i] = values_[i * columns_ + j];
  }

  const T* values_;
  std::size_t rows_, columns_;
  FlatArray<T> copy_;
  std::atomic<bool> made_ = false;
  std::mutex making_;
};

}  // namespace mneme
