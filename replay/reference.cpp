// Room: replay. Equations by number, loops by hand; see the header.
#include "replay/reference.hpp"

#include <algorithm>
#include <cmath>

namespace mneme::replay {

Row softmax(View x) {
  const double top = *std::max_element(x.begin(), x.end());
  Row w(x.size());
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += w[i] = std::exp(x[i] - top);
  for (double& v : w) v /= sum;
  return w;
}

Row cosine_similarity(View key, View contents, double epsilon) {
  const std::size_t width = key.size(), slots = contents.size() / width;
  double key_norm = 0;
  for (double k : key) key_norm += k * k;
  Row similarity(slots);
  for (std::size_t i = 0; i < slots; ++i) {
    double dot = 0, norm = 0;
    for (std::size_t m = 0; m < width; ++m) {
      const double value = contents[i * width + m];
      dot += key[m] * value;
      norm += value * value;
    }
    similarity[i] = dot / std::sqrt((key_norm + epsilon) * (norm + epsilon));
  }
  return similarity;
}

Row interpolate(View content, View previous, double gate) {
  Row w(content.size());
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = gate * content[i] + (1 - gate) * previous[i];
  return w;
}

Row shift(View weights, View kernel) {
  const auto slots = static_cast<std::ptrdiff_t>(weights.size());
  const auto reach = static_cast<std::ptrdiff_t>(kernel.size() / 2);
  Row moved(weights.size(), 0.0);
  for (std::ptrdiff_t j = 0; j < slots; ++j)
    for (std::ptrdiff_t offset = -reach; offset <= reach; ++offset) {
      const std::ptrdiff_t i = ((j + offset) % slots + slots) % slots;
      moved[static_cast<std::size_t>(i)] +=
          weights[static_cast<std::size_t>(j)] * kernel[static_cast<std::size_t>(offset + reach)];
    }
  return moved;
}

Row sharpen(View weights, double gamma, double epsilon) {
  Row x(weights.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = gamma * std::log(weights[i] + epsilon);
  return softmax(x);
}

void erase_add(std::span<const Write> writes, Row& contents) {
  if (writes.empty()) return;
  const std::size_t width = writes[0].add.size(), slots = contents.size() / width;
  for (std::size_t i = 0; i < slots; ++i)
    for (std::size_t m = 0; m < width; ++m) {
      double kept = 1, added = 0;
      for (const Write& h : writes) {
        kept *= 1 - h.weights[i] * h.erase[m];
        added += h.weights[i] * h.add[m];
      }
      contents[i * width + m] = contents[i * width + m] * kept + added;
    }
}

Row read_value(View weights, View contents) {
  const std::size_t slots = weights.size(), width = contents.size() / slots;
  Row value(width, 0.0);
  for (std::size_t i = 0; i < slots; ++i)
    for (std::size_t m = 0; m < width; ++m) value[m] += weights[i] * contents[i * width + m];
  return value;
}

double entropy(View weights) {
  double h = 0;
  for (double w : weights)
    if (w > 0) h -= w * std::log(w);
  return h;
}

std::size_t argmax(View weights) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < weights.size(); ++i)
    if (weights[i] > weights[best]) best = i;
  return best;
}

double expected_shift(View kernel) {
  const double reach = static_cast<double>(kernel.size() / 2);
  double mean = 0;
  for (std::size_t o = 0; o < kernel.size(); ++o) mean += kernel[o] * (static_cast<double>(o) - reach);
  return mean;
}

}  // namespace mneme::replay
