// Room: autodiff. Arena: bump allocation for one training step; GradientPool: buffers that come back at once.
//
// Both allocate from the system only while they grow; a second step of the same size allocates nothing. Both hold what
// the largest step needs, whatever shapes the steps have. Memory is 64-byte aligned and not initialised. Pointers stay
// valid until reset (both) or give (pool).
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace mneme {

class Arena {
 public:
  void* allocate(std::size_t bytes) {
    bytes = (bytes + 63) & ~std::size_t{63};
    while (chunk_ < chunks_.size()) {
      if (used_ + bytes <= chunks_[chunk_].bytes) {
        void* p = chunks_[chunk_].data.get() + used_;
        used_ += bytes;
        return p;
      }
      ++chunk_;
      used_ = 0;
    }
    grow(bytes);
    used_ = bytes;
    return chunks_[chunk_].data.get();
  }

  template <class T>
  T* array(std::size_t n) {
    return static_cast<T*>(allocate(n * sizeof(T)));
  }

  /// Everything handed out is void from here on; the memory is kept.
  void reset() { chunk_ = used_ = 0; }

  struct Mark {
    std::size_t chunk, used;
  };
  Mark mark() const { return {chunk_, used_}; }
  /// What was handed out since the mark is void.
  void release(Mark m) {
    chunk_ = m.chunk;
    used_ = m.used;
  }

  std::size_t capacity() const {
    std::size_t total = 0;
    for (const Chunk& c : chunks_) total += c.bytes;
    return total;
  }
  /// Overwrites all memory, handed out or not.
  template <class T>
  void fill(T value) {
    for (Chunk& c : chunks_) std::fill_n(reinterpret_cast<T*>(c.data.get()), c.bytes / sizeof(T), value);
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  struct Chunk {
    std::unique_ptr<std::byte[], Free> data;
    std::size_t bytes;
  };

  void grow(std::size_t at_least) {
    std::size_t bytes = chunks_.empty() ? std::size_t{1} << 18 : chunks_.back().bytes * 2;
    if (bytes > (std::size_t{1} << 25)) bytes = std::size_t{1} << 25;
    if (bytes < at_least) bytes = at_least;
    auto* p = static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64}));
    chunks_.push_back({std::unique_ptr<std::byte[], Free>(p), bytes});
    chunk_ = chunks_.size() - 1;
  }

  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0;
  std::size_t used_ = 0;
};

/// Gradient buffers by size, most recently returned first, so that they are still in cache.
template <class T>
class GradientPool {
 public:
  T* take(std::size_t n) {
    std::vector<T*>& free = list(n);
    if (free.empty()) return arena_.array<T>((n + 63) & ~std::size_t{63});
    T* p = free.back();
    free.pop_back();
    return p;
  }
  void give(T* p, std::size_t n) { list(n).push_back(p); }
  /// Everything taken is void, returned or not; the memory is kept, for buffers of any size.
  void reset() {
    for (std::size_t i = 0; i < count_; ++i) sizes_[i].free.clear();
    count_ = 0;
    arena_.reset();
  }
  std::size_t capacity() const { return arena_.capacity(); }
  /// Overwrites every buffer: whoever reads one before writing it shows this value.
  void poison(T value) { arena_.fill(value); }

 private:
  struct Size {
    std::size_t n;
    std::vector<T*> free;
  };
  std::vector<T*>& list(std::size_t n) {
    n = (n + 63) & ~std::size_t{63};  // few classes: shapes of about one size share buffers
    for (std::size_t i = 0; i < count_; ++i)
      if (sizes_[i].n == n) return sizes_[i].free;
    if (count_ == sizes_.size()) {
      sizes_.emplace_back();
      sizes_.back().free.reserve(16);
    }
    sizes_[count_].n = n;
    return sizes_[count_++].free;
  }
  std::vector<Size> sizes_;
  std::size_t count_ = 0;  ///< sizes met since the last reset
  Arena arena_;
};

}  // namespace mneme
