// The attention pipeline against ONNX: scale, masks, causal, grouped heads, soft cap, fully masked rows.
//
//   S = scale Q K^T -> soft cap -> mask -> softmax -> sum of values
#include "attention/attend.hpp"
#include "autodiff/ops.hpp"
#include "tests/golden/golden.hpp"

#include <cmath>
#include <fstream>

namespace mneme {
namespace {

using golden::Case;
using golden::Numbers;

/// One input as [B heads S D], whether it came so or as [B S heads*D]; `past` comes before it along S.
struct Heads {
  std::size_t batch = 0, heads = 0, steps = 0, width = 0;
  Numbers values;

  Heads(const golden::Tensor& t, double head_count, const golden::Tensor* past = nullptr) {
    batch = t.dims[0];
    const bool split = t.dims.size() == 4;
    heads = split ? t.dims[1] : static_cast<std::size_t>(head_count);
    steps = t.dims[split ? 2 : 1];
    width = t.dims.back() / (split ? 1 : heads);
    const std::size_t before = past ? past->dims[2] : 0;
    for (std::size_t b = 0; b < batch; ++b)
      for (std::size_t h = 0; h < heads; ++h) {
        for (std::size_t s = 0; s < before; ++s)
          for (std::size_t d = 0; d < width; ++d)
            values.push_back(past->values[((b * heads + h) * before + s) * width + d]);
        for (std::size_t s = 0; s < steps; ++s)
          for (std::size_t d = 0; d < width; ++d)
            values.push_back(split ? t.values[((b * heads + h) * steps + s) * width + d]
                                   : t.values[((b * steps + s) * heads + h) * width + d]);
      }
    steps += before;
  }
  double at(std::size_t b, std::size_t h, std::size_t s, std::size_t d) const {
    return values[((b * heads + h) * steps + s) * width + d];
  }
};

/// An entry of a mask whose leading axes may be missing or 1.
double mask_at(const golden::Tensor& mask, std::size_t b, std::size_t h, std::size_t i, std::size_t j) {
  const std::size_t index[] = {b, h, i, j};
  std::size_t at = 0;
  for (std::size_t axis = 0; axis < mask.dims.size(); ++axis) {
    const std::size_t n = mask.dims[axis], k = index[4 - mask.dims.size() + axis];
    at = at * n + (n == 1 ? 0 : k);
  }
  return mask.values[at];
}

struct Result {
  Numbers y;       ///< as the case's Y
  Numbers scores;  ///< [B heads Q N], before soft cap and mask
  Numbers weights;
};

template <class T>
Result evaluate(const Case& c) {
  const Heads q(*c.in("Q"), c.number("q_num_heads", 0)), k(*c.in("K"), c.number("kv_num_heads", 0), c.in("past_key")),
      v(*c.in("V"), c.number("kv_num_heads", 0), c.in("past_value"));
  const golden::Tensor *mask = c.in("attn_mask"), *seen = c.in("nonpad_kv_seqlen");
  const std::size_t rows = q.batch * q.heads, n = k.steps;
  const std::size_t past = c.in("past_key") ? c.in("past_key")->dims[2] : 0;

  Tape<T> tape;
  tape.begin(false);
  // Heads fold into the batch; elements are contiguous: [rows D N].
  const Var<T> query = tape.constant({rows, q.steps, q.width}), keys = tape.constant({rows, k.width, n}),
               values = tape.constant({rows, v.width, n});
  const Var<T> bias = tape.filled({rows, q.steps, n}, T(0));
  std::vector<std::uint8_t> may(rows * q.steps * n, 1);
  for (std::size_t b = 0; b < q.batch; ++b)
    for (std::size_t h = 0; h < q.heads; ++h) {
      const std::size_t row = b * q.heads + h, kv = h / (q.heads / k.heads);
      for (std::size_t i = 0; i < q.steps; ++i) {
        for (std::size_t d = 0; d < q.width; ++d)
          query.data[(row * q.steps + i) * q.width + d] = static_cast<T>(q.at(b, h, i, d));
        for (std::size_t j = 0; j < n; ++j) {
          const std::size_t at = (row * q.steps + i) * n + j;
          const std::ptrdiff_t reach =
              seen ? static_cast<std::ptrdiff_t>(seen->values[b]) - static_cast<std::ptrdiff_t>(q.steps)
                   : static_cast<std::ptrdiff_t>(past);
          if (c.number("is_causal", 0) > 0 && static_cast<std::ptrdiff_t>(j) > static_cast<std::ptrdiff_t>(i) + reach)
            may[at] = 0;
          if (seen && static_cast<double>(j) >= seen->values[b]) may[at] = 0;
          if (!mask) continue;
          const bool covered = j < mask->dims.back() || mask->dims.back() == 1;  // shorter masks: the rest is padding
          const double m = covered ? mask_at(*mask, b, h, i, j) : -INFINITY;
          if (mask->dtype == "bool" ? m == 0 : std::isinf(m)) may[at] = 0;
          if (mask->dtype != "bool" && may[at]) bias.data[at] = static_cast<T>(m);
        }
      }
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t d = 0; d < k.width; ++d)
          keys.data[(row * k.width + d) * n + j] = static_cast<T>(k.at(b, kv, j, d));
        for (std::size_t d = 0; d < v.width; ++d)
          values.data[(row * v.width + d) * n + j] = static_cast<T>(v.at(b, kv, j, d));
      }
    }

  Var<T> scores = c.attributes.count("scale") ? affine(tape, dot_score(tape, query, keys), c.number("scale", 1), 0)
                                              : scaled_dot_score(tape, query, keys);
  Result r;
  r.scores.assign(scores.data, scores.data + scores.size());
  if (const double cap = c.number("softcap", 0); cap > 0)
    scores = affine(tape, tanh(tape, affine(tape, scores, 1 / cap, 0)), cap, 0);
  const Var<T> weights = softmax(tape, add(tape, scores, bias), {may.data(), true});
  const Var<T> y = weighted_sum(tape, weights, values);
  r.weights.assign(weights.data, weights.data + weights.size());
  const bool split = c.out("Y")->dims.size() == 4;
  r.y.resize(y.size());
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < q.steps; ++i)
      for (std::size_t d = 0; d < v.width; ++d) {
        const std::size_t to = split ? (row * q.steps + i) * v.width + d
                                     : ((row / q.heads * q.steps + i) * q.heads + row % q.heads) * v.width + d;
        r.y[to] = static_cast<double>(y.data[(row * q.steps + i) * v.width + d]);
      }
  return r;
}

TEST(Golden, Attention) {
  MNEME_GOLDEN_FILE(file, "onnx_attention.txt");
  golden::Report report("onnx attention");
  const auto compare = [&](const Case& c, const Result& r, bool single) {
    const double tolerance = single ? 5e-6 : 1e-6;
    report.compare(c.name, "Y", r.y, c.out("Y")->values, tolerance, single);
    const golden::Tensor* inner = c.out("qk_matmul_output");
    if (!inner) return;
    const double mode = c.number("qk_matmul_output_mode", 0);
    if (mode == 0) report.compare(c.name, "scores", r.scores, inner->values, tolerance, single);
    if (mode == 3) report.compare(c.name, "weights", r.weights, inner->values, tolerance, single);
  };
  for (const Case& c : golden::parse(file, "onnx_attention.txt")) {
    if (c.in("Q")->dtype != "f32") {
      report.leave_out(c.name, "half precision, which mneme does not compute in");
      continue;
    }
    compare(c, evaluate<double>(c), false);
    compare(c, evaluate<float>(c), true);
    report.ran();
  }
  EXPECT_EQ(report.count(), 72u);
  EXPECT_EQ(report.left_out().size(), 4u);
}

TEST(Golden, LinearAttention) {
  MNEME_GOLDEN_FILE(file, "onnx_linear_attention.txt");
  golden::Report report("onnx linear attention");
  for (const Case& c : golden::parse(file, "onnx_linear_attention.txt"))
    report.leave_out(c.name,
                     c.op == "LinearAttention" ? "there is no fast-weight memory yet" : c.op + " is not planned");
  EXPECT_EQ(report.left_out().size(), 20u);
}

}  // namespace
}  // namespace mneme
