// Room: replay. The paper's equations as plain float64 loops: the second opinion that `replay --verify` compares with.
//
// For: verify, and the terminal's numbers. Nothing here shares code with attention/ or autodiff/, and nothing here is
// fast; each function is one equation over one row. Symbols and numbers: docs/notation.md.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mneme::replay {

using Row = std::vector<double>;
using View = std::span<const double>;

/// Constants of the attention rules. A trace states them as attributes, so that replay needs nothing from elsewhere.
struct Constants {
  double cosine_epsilon = 1e-6;
  double sharpen_epsilon = 1e-16;
};

/// K(i) = k . M(i) / sqrt((|k|^2 + eps) (|M(i)|^2 + eps))   (NTM eq. 6)   key [M], contents [N M] -> [N]
Row cosine_similarity(View key, View contents, double epsilon);
/// w(i) = exp(z(i)) / sum_j exp(z(j)), the largest taken out first   (NTM eq. 5, z = beta K)   [N] -> [N]
Row softmax(View z);
/// w(i) = g wc(i) + (1 - g) w'(i)   (NTM eq. 7)   [N], [N] -> [N]
Row interpolate(View content, View previous, double gate);
/// w(i) = sum_j w'(j) s(i - j)   (NTM eq. 8), circular; s [2k+1] over the offsets -k..k: s(o) moves by o - k slots
Row shift(View weights, View kernel);
/// w(i) = (w'(i) + eps)^gamma / sum_j (w'(j) + eps)^gamma   (NTM eq. 9)   [N] -> [N]
Row sharpen(View weights, double gamma, double epsilon);

/// One write head's orders.
struct Write {
  View weights;  ///< [N]
  View erase;    ///< [M]
  View add;      ///< [M]
};
/// M(i) <- M(i) prod_h (1 - w_h(i) e_h) + sum_h w_h(i) a_h   (NTM eqs. 3 and 4)   contents [N M]
void erase_add(std::span<const Write> writes, Row& contents);
/// r = sum_i w(i) M(i)   (NTM eq. 2)   [N], [N M] -> [M]
Row read_value(View weights, View contents);

/// -sum_i w(i) ln w(i), in nats; zero weights count nothing.
double entropy(View weights);
/// The first slot of the largest weight.
std::size_t argmax(View weights);
/// sum_o s(o) (o - k): by how many slots the kernel moves on average.
double expected_shift(View kernel);

}  // namespace mneme::replay
