#include "core/random.hpp"

#include <Random123/philox.h>

#include <cmath>
#include <numbers>

namespace mneme {

Random::Random(std::uint64_t seed, std::string_view name, std::uint64_t index) {
  const std::uint64_t key = hash_bytes(name, seed ^ 0xcbf29ce484222325ULL);
  key_ = {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
  counter_ = {0, 0, static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32)};
}

std::uint32_t Random::bits() {
  if (used_ == 4) {
    const r123::Philox4x32::ctr_type counter{{counter_[0], counter_[1], counter_[2], counter_[3]}};
    const r123::Philox4x32::key_type key{{key_[0], key_[1]}};
    const auto block = r123::Philox4x32()(counter, key);
    for (unsigned i = 0; i < 4; ++i) block_[i] = block[i];
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

double Random::uniform() {
  const std::uint64_t high = bits() >> 5, low = bits() >> 6;
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

std::int64_t Random::integer(std::int64_t low, std::int64_t high) {
  const std::uint64_t span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  const auto draw = [&] {
    const std::uint64_t high = bits(), low_half = bits();  // in this order on every compiler
    return (high << 32) | low_half;
  };
  if (span == 0) return static_cast<std::int64_t>(draw());
  const std::uint64_t reject = (0 - span) % span;  // the part of 2^64 that would make small values likelier
  std::uint64_t value = draw();
  while (value < reject) value = draw();
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + value % span);
}

double Random::normal() {
  const double u = 1.0 - uniform(), v = uniform();
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace mneme
