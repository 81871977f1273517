// Room: tests. The NTM's memory in plain loops, one row, double, straight from the paper (Graves et al. 2014, 3.1-3.3).
//
// Shares nothing with the framework but numbers: it is what addressing schemes and memory ntm are compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace mneme::test {

using Row = std::vector<double>;
/// memory[i] is slot i of width M: the paper's N x M.
using Matrix = std::vector<Row>;

struct PlainHead {
  std::string scheme, score = "cosine", normalize = "softmax";
  std::size_t k = 8;  ///< of top_k
  bool interpolates = true, sharpens = true;
  bool writes = false;
  Row w;     ///< last weighting
  Row read;  ///< last value
  // parameters of this step
  Row key, shift, erase, add;
  double beta = 0, gate = 0, gamma = 1;
};

inline double plain_softplus(double x) {
  return std::log(1 + std::exp(x));
}
inline double plain_sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
inline Row plain_softmax(const Row& x) {
  Row y;
  double total = 0;
  for (double v : x) total += std::exp(v);
  for (double v : x) y.push_back(std::exp(v) / total);
  return y;
}

/// Nothing but the k largest, or the nearest point of the simplex (Martins & Astudillo 2016, algorithm 1).
inline Row plain_normalize(const PlainHead& h, const Row& z) {
  if (h.normalize == "softmax") return plain_softmax(z);
  Row sorted = z, y;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  if (h.normalize == "top_k") {
    double total = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
      std::size_t before = 0;  // larger, or equal and earlier
      for (std::size_t j = 0; j < z.size(); ++j) before += z[j] > z[i] || (z[j] == z[i] && j < i);
      y.push_back(before < h.k ? std::exp(z[i]) : 0);
      total += y.back();
    }
    for (double& v : y) v /= total;
    return y;
  }
  double sum = 0, tau = 0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    sum += sorted[k];
    if (1 + static_cast<double>(k + 1) * sorted[k] > sum) tau = (sum - 1) / static_cast<double>(k + 1);
  }
  for (double v : z) y.push_back(std::max(v - tau, 0.0));
  return y;
}

/// eq. 5 and 6
inline Row plain_content(const PlainHead& h, const Matrix& memory) {
  Row z;
  for (const Row& slot : memory) {
    double dot = 0, u = 0, v = 0, apart = 0;
    for (std::size_t m = 0; m < h.key.size(); ++m) {
      dot += h.key[m] * slot[m];
      u += h.key[m] * h.key[m];
      v += slot[m] * slot[m];
      apart += (h.key[m] - slot[m]) * (h.key[m] - slot[m]);
    }
    z.push_back(h.beta * (h.score == "dot"        ? dot
                          : h.score == "distance" ? -apart
                                                  : dot / std::sqrt((u + 1e-6) * (v + 1e-6))));
  }
  return plain_normalize(h, z);
}

/// eq. 8 and 9
inline Row plain_move(const PlainHead& h, const Row& w) {
  const Row& s = h.shift;
  const long n = static_cast<long>(w.size()), reach = static_cast<long>(s.size()) / 2;
  Row y(w.size());
  double total = 0;
  for (long i = 0; i < n; ++i) {
    double moved = 0;
    for (long d = -reach; d <= reach; ++d)
      moved += w[static_cast<std::size_t>((i - d % n + n) % n)] * s[static_cast<std::size_t>(d + reach)];
    total += y[static_cast<std::size_t>(i)] = h.sharpens ? std::pow(moved + 1e-16, h.gamma) : moved;
  }
  if (!h.sharpens) return y;
  for (double& v : y) v /= total;
  return y;
}

inline Row plain_address(const PlainHead& h, const Matrix& memory) {
  if (h.scheme == "content") return plain_content(h, memory);
  if (h.scheme == "location") return plain_move(h, h.w);
  Row w = plain_content(h, memory);
  for (std::size_t i = 0; h.interpolates && i < w.size(); ++i) w[i] = h.gate * w[i] + (1 - h.gate) * h.w[i];  // eq. 7
  return plain_move(h, w);
}

/// One step of all heads: reads and writes in the given order, all write heads address the memory as it was.
inline void plain_step(std::vector<PlainHead>& heads, Matrix& memory, bool write_first) {
  for (const bool writing : {write_first, !write_first}) {
    const Matrix before = memory;
    for (PlainHead& h : heads)
      if (h.writes == writing) h.w = plain_address(h, before);
    for (PlainHead& h : heads) {
      if (h.writes != writing) continue;
      if (!writing) {
        h.read.assign(before[0].size(), 0);
        for (std::size_t i = 0; i < before.size(); ++i)
          for (std::size_t m = 0; m < h.read.size(); ++m) h.read[m] += h.w[i] * before[i][m];  // eq. 2
        continue;
      }
      for (std::size_t i = 0; i < memory.size(); ++i)
        for (std::size_t m = 0; m < memory[i].size(); ++m) memory[i][m] *= 1 - h.w[i] * h.erase[m];  // eq. 3
    }
    for (const PlainHead& h : heads)
      if (writing && h.writes)
        for (std::size_t i = 0; i < memory.size(); ++i)
          for (std::size_t m = 0; m < memory[i].size(); ++m) memory[i][m] += h.w[i] * h.add[m];  // eq. 4
  }
}

}  // namespace mneme::test
