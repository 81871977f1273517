// Room: core. Named, counter-based random streams (Philox 4x32-10, Random123).
//
// A draw depends on (seed, stream name, index, position) and on nothing else: not on threads, on what was drawn from
// other streams, or on whether the run was killed and resumed. One Random is one (seed, name, index) triple, cheap to
// make and to copy; make a fresh one per episode instead of carrying one along.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mneme {

/// FNV-1a, 64 bit: names to stream keys, texts to run ids.
constexpr std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t start = 0xcbf29ce484222325ULL) {
  std::uint64_t h = start;
  for (char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return h;
}

class Random {
 public:
  /// Stream `name` ("init", "task", "eval", "noise") of `seed`, at `index` (episode, parameter or slot number).
  Random(std::uint64_t seed, std::string_view name, std::uint64_t index = 0);

  /// Uniform over all 32-bit values.
  std::uint32_t bits();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform over the whole numbers low..high, both included; no modulo bias. Requires low <= high.
  std::int64_t integer(std::int64_t low, std::int64_t high);
  /// Standard normal (Box-Muller).
  double normal();

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

}  // namespace mneme
