// Room: experiments. Row by row: the cross-entropy of a batch.
#include "experiments/judge/row_nats.hpp"

#include "autodiff/lanes.hpp"
#include "core/batch.hpp"
#include "core/error.hpp"

#include <algorithm>
#include <cmath>

namespace mneme::experiments {

namespace {

// sum_k log(1 + e^x) - y x = (max(x, 0) - y x) + log1p(e^-|x|): in this order nothing cancels where y is 0 or 1
double bits_nats(const float* x, const float* y, std::size_t n) {
  return static_cast<double>(lanes_sum<float>(n, [&](auto lane, std::size_t i) {
    const auto v = lane.load(x + i);
    return (xsimd::max(v, Simd<float>(0.0f)) - lane.load(y + i) * v) + xsimd::log1p(xsimd::exp(-xsimd::abs(v)));
  }));
}

// log sum_j e^x_j - x_k
double class_nats(const float* x, std::size_t n, std::size_t k) {
  const float top = *std::max_element(x, x + n);
  const float sum =
      lanes_sum<float>(n, [&](auto lane, std::size_t i) { return xsimd::exp(lane.load(x + i) - Simd<float>(top)); });
  return std::log(static_cast<double>(sum)) + static_cast<double>(top) - static_cast<double>(x[k]);
}

// sum_k (x - y)^2 / 2
double real_nats(const float* x, const float* y, std::size_t n) {
  return 0.5 * static_cast<double>(lanes_sum<float>(n, [&](auto lane, std::size_t i) {
           const auto d = lane.load(x + i) - lane.load(y + i);
           return d * d;
         }));
}

}  // namespace

void row_nats(const Batch& batch, const float* logits, std::size_t outputs, std::span<double> out) {
  const std::size_t rows = batch.size, k = outputs;
  std::fill(out.begin(), out.end(), 0.0);
  for (std::size_t t = 0; t < batch.target.count(); ++t)
    for (std::size_t b = 0; b < rows; ++b) {
      if (!batch.target.scored(t, b)) continue;
      const float* x = logits + (t * rows + b) * k;
      switch (batch.target.kind) {
        case TargetKind::bits: out[b] += bits_nats(x, &batch.target.values(t, b, 0), k); break;
        case TargetKind::real: out[b] += real_nats(x, &batch.target.values(t, b, 0), k); break;
        case TargetKind::classes:
        case TargetKind::pointer:
          out[b] += class_nats(x, k, static_cast<std::size_t>(batch.target.indices(t, b)));
          break;
      }
    }
}

std::size_t scored_numbers(const Batch& batch) {
  const auto& scored = batch.target.scored.storage();
  const auto count = static_cast<std::size_t>(std::count(scored.begin(), scored.end(), 1));
  return chooses(batch.target.kind) ? count : count * batch.target.values.shape()[2];
}

void require_finite(const std::string& what, double value) {
  if (!std::isfinite(value)) fail<NonFiniteError>("finite guard", "{} is {}, of finite values alone", what, value);
}

}  // namespace mneme::experiments
