// lstm, gru and rnn against ONNX and ONNX Runtime: directions, lengths, initial states, both reset gates; and an LSTM
// with Bahdanau attention over a memory, composed from the pipeline.
//
// Gate orders: ONNX's LSTM has i o f c, ours i f g o (g is c); ONNX's GRU has z r h, ours r z n. ONNX's biases are Wb,
// Rb; the lstm and the rnn have one, their sum.
#include "tests/golden/recurrent.hpp"
#include "attention/attend.hpp"
#include "controllers/lstm.hpp"

#include <cmath>
#include <fstream>
#include <numeric>

namespace mneme {
namespace {

using golden::Case;
using golden::Numbers;

constexpr std::size_t lstm_gate[] = {0, 2, 3, 1};  // of ONNX, for ours i f g o
constexpr std::size_t gru_gate[] = {1, 0, 2};      // of ONNX, for ours r z n

struct Sizes {
  std::size_t steps, rows, input, hidden, directions;
  bool batch_first;
};

Sizes sizes_of(const Case& c) {
  const bool batch_first = c.number("layout", 0) > 0;
  const auto& x = c.in("X")->dims;
  return {x[batch_first],     x[!batch_first], x[2], static_cast<std::size_t>(c.number("hidden_size", 0)),
          c.in("W")->dims[0], batch_first};
}

/// Everything the case wants of its outputs, by name.
template <class T>
std::map<std::string, Numbers> evaluate(const Case& c) {
  const Sizes s = sizes_of(c);
  const std::size_t n = s.hidden;
  std::vector<std::size_t> lengths(s.rows, s.steps);
  if (const auto* given = c.in("sequence_lens"))
    for (std::size_t b = 0; b < s.rows; ++b) lengths[b] = static_cast<std::size_t>(given->values[b]);
  const auto x = [&](std::size_t t, std::size_t b, std::size_t i) {
    return c.in("X")->values[(s.batch_first ? b * s.steps + t : t * s.rows + b) * s.input + i];
  };

  std::map<std::string, Numbers> out;
  out["Y"].resize(s.steps * s.directions * s.rows * n);
  for (const char* name : {"Y_h", "Y_c"}) out[name].resize(s.directions * s.rows * n);
  for (std::size_t d = 0; d < s.directions; ++d) {
    const std::size_t gates = c.op == "LSTM" ? 4 : c.op == "GRU" ? 3 : 1;
    const auto part = [&](const char* name, std::size_t count) {
      const golden::Tensor* t = c.in(name);
      return t ? Numbers(t->values.begin() + static_cast<std::ptrdiff_t>(d * count),
                         t->values.begin() + static_cast<std::ptrdiff_t>((d + 1) * count))
               : Numbers(count);
    };
    const Numbers w = part("W", gates * n * s.input), r = part("R", gates * n * n), bias = part("B", 2 * gates * n);
    const auto onnx_row = [&](std::size_t column) {  // of W, R and a half of B, for our column
      const std::size_t gate = column / n;
      return (gates == 4 ? lstm_gate[gate] : gates == 3 ? gru_gate[gate] : 0) * n + column % n;
    };
    const auto from_input = [&](std::size_t k) { return w[onnx_row(k % (gates * n)) * s.input + k / (gates * n)]; };
    const auto from_hidden = [&](std::size_t k) { return r[onnx_row(k % (gates * n)) * n + k / (gates * n)]; };

    std::map<std::string, std::string> options;
    if (c.op == "GRU") options["reset"] = c.number("linear_before_reset", 0) > 0 ? "after" : "before";
    golden::Recurrent<T> cell(c.op == "LSTM" ? "lstm" : c.op == "GRU" ? "gru" : "rnn", options, s.input, n);
    if (c.op == "GRU") {
      cell.set("input.weight", from_input);
      cell.set("hidden.weight", from_hidden);
      cell.set("input.bias", [&](std::size_t k) { return bias[onnx_row(k)]; });
      cell.set("hidden.bias", [&](std::size_t k) { return bias[gates * n + onnx_row(k)]; });
    } else {
      const std::size_t split = s.input * gates * n;
      cell.set("weight", [&](std::size_t k) { return k < split ? from_input(k) : from_hidden(k - split); });
      cell.set("bias", [&](std::size_t k) { return bias[onnx_row(k)] + bias[gates * n + onnx_row(k)]; });
    }
    std::vector<Numbers> initial;
    for (const char* name : {"initial_h", "initial_c"})
      if (c.in(name)) {
        initial.emplace_back();
        for (std::size_t b = 0; b < s.rows; ++b)
          for (std::size_t j = 0; j < n; ++j)
            initial.back().push_back(
                c.in(name)->values[(s.batch_first ? b * s.directions + d : d * s.rows + b) * n + j]);
      }
    const bool backwards = d == 1 || (c.attributes.count("direction") && c.attributes.at("direction") == "reverse");
    const auto y = cell.run(s.steps, s.rows, s.input, lengths, backwards, initial, x);
    for (std::size_t b = 0; b < s.rows; ++b)
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t t = 0; t < s.steps; ++t)
          out["Y"][(s.batch_first ? (b * s.steps + t) * s.directions + d : (t * s.directions + d) * s.rows + b) * n +
                   j] = y.h[t][b * n + j];
        const std::size_t at = (s.batch_first ? b * s.directions + d : d * s.rows + b) * n + j;
        out["Y_h"][at] = y.last[0][b * n + j];
        if (y.last.size() > 1) out["Y_c"][at] = y.last[1][b * n + j];
      }
  }
  return out;
}

/// Why a case is none of ours, or "".
std::string left_out(const Case& c) {
  if (c.in("P")) {
    for (double v : c.in("P")->values)
      if (v != 0) return "peepholes";
  }
  if (c.attributes.count("clip")) return "clips the sums at its gates";
  if (c.number("input_forget", 0) > 0) return "couples the input and forget gates";
  const auto it = c.attributes.find("activations");
  if (it != c.attributes.end() && it->second.rfind("sigmoid,tanh,tanh", 0) != 0)
    return "other activations: " + it->second;
  return "";
}

void run_file(std::istream& file, const std::string& name, std::map<std::string, golden::Report*> reports) {
  for (const Case& c : golden::parse(file, name)) {
    if (!reports.count(c.op)) continue;
    golden::Report& report = *reports[c.op];
    const std::string why = left_out(c);
    if (!why.empty()) {
      report.leave_out(c.name, why);
      continue;
    }
    const double tolerance = std::max(c.tolerance, 1e-6);
    const auto in_double = evaluate<double>(c), in_float = evaluate<float>(c);
    for (const golden::Tensor& t : c.outputs) {
      if (t.name == "-") continue;
      report.compare(c.name, t.name, in_double.at(t.name), t.values, tolerance, false);
      report.compare(c.name, t.name, in_float.at(t.name), t.values, 2 * tolerance, true);
    }
    report.ran();
  }
}

TEST(Golden, OnnxRecurrent) {
  MNEME_GOLDEN_FILE(file, "onnx_rnn.txt");
  golden::Report lstm("onnx lstm"), gru("onnx gru"), rnn("onnx rnn");
  run_file(file, "onnx_rnn.txt", {{"LSTM", &lstm}, {"GRU", &gru}, {"RNN", &rnn}});
  EXPECT_EQ(lstm.count(), 3u);
  EXPECT_EQ(gru.count(), 4u);
  EXPECT_EQ(rnn.count(), 4u);
}

TEST(Golden, OnnxRuntimeRecurrent) {
  MNEME_GOLDEN_FILE(file, "onnxruntime_rnn.txt");
  golden::Report lstm("onnxruntime lstm"), gru("onnxruntime gru");
  run_file(file, "onnxruntime_rnn.txt", {{"LSTM", &lstm}, {"GRU", &gru}});
  EXPECT_EQ(gru.count(), 6u);
  EXPECT_EQ(lstm.count() + lstm.left_out().size(), 24u);
  EXPECT_GE(lstm.count(), 10u);
}

/// keys = M MW; z = W [x; a(t-1)] + R h(t-1) + b; e_j = V tanh(keys_j + h QW); a = [h; context] AW, a(0) = 0.
template <class T>
Numbers attend_over_memory(const Case& c, std::size_t d) {
  const auto& x = c.in("X")->dims;
  const std::size_t steps = x[0], rows = x[1], input = x[2], n = static_cast<std::size_t>(c.number("hidden_size", 0));
  const std::size_t slots = c.in("M")->dims[1], width = c.in("M")->dims[2], depth = c.in("QW")->dims[2],
                    attended = c.in("AW")->dims[2], in = c.in("W")->dims[2];
  const bool backwards = d == 1 || (c.attributes.count("direction") && c.attributes.at("direction") == "reverse");
  Tape<T> tape;
  tape.begin(false);
  const auto given = [&](const char* name, Shape shape, const auto& at) {
    Var<T> v = tape.constant(shape);
    const golden::Tensor& t = *c.in(name);
    for (std::size_t i = 0; i < v.size(); ++i)
      v.data[i] = static_cast<T>(t.values[d * (t.values.size() / t.dims[0]) + at(i)]);
    return v;
  };
  const auto as_is = [](std::size_t i) { return i; };
  // Weights as [in out], gates in our order.
  const auto gate_row = [&](std::size_t column) { return lstm_gate[column / n] * n + column % n; };
  const Var<T> w = given("W", {in, 4 * n}, [&](std::size_t i) { return gate_row(i % (4 * n)) * in + i / (4 * n); });
  const Var<T> r = given("R", {n, 4 * n}, [&](std::size_t i) { return gate_row(i % (4 * n)) * n + i / (4 * n); });
  const Var<T> wb = given("B", {4 * n}, gate_row),
               rb = given("B", {4 * n}, [&](std::size_t i) { return 4 * n + gate_row(i); });
  const Var<T> qw = given("QW", {n, depth}, as_is), mw = given("MW", {width, depth}, as_is),
               v = given("V", {depth}, as_is), aw = given("AW", {n + width, attended}, as_is);
  // The memory, elements contiguous: [rows, width, slots]; the same for both directions.
  const Var<T> memory = tape.constant({rows, width, slots}), keys = tape.constant({rows, depth, slots});
  for (std::size_t b = 0; b < rows; ++b)
    for (std::size_t j = 0; j < slots; ++j) {
      Var<T> row = tape.constant({1, width});
      for (std::size_t k = 0; k < width; ++k)
        memory.data[(b * width + k) * slots + j] = row.data[k] =
            static_cast<T>(c.in("M")->values[(b * slots + j) * width + k]);
      const Var<T> key = linear(tape, row, mw);
      for (std::size_t k = 0; k < depth; ++k) keys.data[(b * depth + k) * slots + j] = key.data[k];
    }
  std::vector<std::uint8_t> may(rows * slots, 1);
  for (std::size_t b = 0; b < rows; ++b)
    for (std::size_t j = 0; j < slots; ++j)
      if (c.in("memory_seq_lens")) may[b * slots + j] = static_cast<double>(j) < c.in("memory_seq_lens")->values[b];

  Var<T> h = tape.filled({rows, n}, T(0)), cell = tape.filled({rows, n}, T(0)), a = tape.filled({rows, attended}, T(0));
  Numbers out(steps * rows * n);
  for (std::size_t t = 0; t < steps; ++t) {
    Var<T> now = tape.filled({rows, input}, T(0));
    std::vector<std::uint8_t> active(rows);
    std::vector<std::size_t> place(rows);
    for (std::size_t b = 0; b < rows; ++b) {
      const std::size_t length =
          c.in("sequence_lens") ? static_cast<std::size_t>(c.in("sequence_lens")->values[b]) : steps;
      active[b] = t < length;
      place[b] = backwards ? length - 1 - t : t;
      for (std::size_t i = 0; active[b] && i < input; ++i)
        now.data[b * input + i] = static_cast<T>(c.in("X")->values[(place[b] * rows + b) * input + i]);
    }
    const Var<T> joined[] = {now, a};
    const Var<T> z = add(tape, linear(tape, concatenate<T>(tape, joined), w, wb), linear(tape, h, r, rb));
    const LstmState<T> next = lstm_cell(tape, z, cell);
    const Var<T> query = linear(tape, next.h, qw).reshaped({rows, 1, depth});
    const Var<T> weights = softmax(tape, additive_score(tape, query, keys, v), {may.data(), false});
    const Var<T> pair[] = {next.h, weighted_sum(tape, weights, memory).reshaped({rows, width})};
    const Var<T> attention = linear(tape, concatenate<T>(tape, pair), aw);
    h = choose_rows(tape, active.data(), next.h, h);
    cell = choose_rows(tape, active.data(), next.c, cell);
    a = choose_rows(tape, active.data(), attention, a);
    for (std::size_t b = 0; b < rows; ++b)
      for (std::size_t j = 0; active[b] && j < n; ++j)
        out[(place[b] * rows + b) * n + j] = static_cast<double>(next.h.data[b * n + j]);
  }
  return out;
}

TEST(Golden, LstmWithAttentionOverAMemory) {
  MNEME_GOLDEN_FILE(file, "onnxruntime_rnn.txt");
  golden::Report report("onnxruntime lstm with attention");
  for (const Case& c : golden::parse(file, "onnxruntime_rnn.txt")) {
    if (c.op != "AttnLSTM") continue;
    const auto& dims = c.out("Y")->dims;  // [T directions B H]
    for (std::size_t d = 0; d < dims[1]; ++d) {
      Numbers want;
      for (std::size_t t = 0; t < dims[0]; ++t)
        for (std::size_t i = 0; i < dims[2] * dims[3]; ++i)
          want.push_back(c.out("Y")->values[(t * dims[1] + d) * dims[2] * dims[3] + i]);
      report.compare(c.name, "Y", attend_over_memory<double>(c, d), want, std::max(c.tolerance, 1e-6), false);
      report.compare(c.name, "Y", attend_over_memory<float>(c, d), want, 2 * std::max(c.tolerance, 1e-6), true);
    }
    report.ran();
  }
  EXPECT_EQ(report.count(), 6u);
}

}  // namespace
}  // namespace mneme
