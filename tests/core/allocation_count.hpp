// Room: tests. What went through operator new, where tests/core/allocations.hpp replaces it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace mneme {

inline std::atomic<std::uint64_t> allocation_count{0};

/// Larger ones throw std::bad_alloc.
inline std::atomic<std::size_t> allocation_limit{SIZE_MAX};

inline std::uint64_t allocations() {
  return allocation_count.load();
}

}  // namespace mneme
