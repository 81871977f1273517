// Room: benchmarks. Ops alone, at the NTM's sizes (128 slots of 20, LSTM 100, shift range 3): forward, forward and
// backward, and what the same costs composed from general ops. The argument is B.
//
// Each run includes the tape (a begin, a few nodes) and one node that seeds the result's gradient.
#include "attention/combine.hpp"
#include "attention/location.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"
#include "autodiff/ops.hpp"
#include "autodiff/products.hpp"
#include "controllers/lstm.hpp"
#include "core/random.hpp"
#include "memory/erase_add.hpp"

#include <benchmark/benchmark.h>
#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace mneme::bench {

namespace {

using V = Var<float>;
using Inputs = std::span<const V>;
constexpr std::size_t N = 128, M = 20, H = 100;

/// Leaves with drawn values, a tape bound to them, and the run of one function of them.
class Rig {
 public:
  explicit Rig(const std::vector<Shape>& shapes) : storage_(2 * shapes.size()) {
    use_one_blas_thread();
    Random random(1, "benchmark");
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      std::vector<float>&values = storage_[2 * i], &gradient = storage_[2 * i + 1];
      values.resize(shapes[i].size());
      gradient.resize(shapes[i].size());
      for (float& x : values) x = static_cast<float>(random.uniform(0.05, 0.95));
      leaves_.push_back({values.data(), nullptr, gradient.data(), shapes[i]});
    }
    tape_.bind(leaves_);
  }

  template <class F>
  void run(benchmark::State& state, bool backward, F f) {
    std::vector<V> x(leaves_.size());
    for (auto _ : state) {
      tape_.begin(backward);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = tape_.parameter(i);
      const V y = f(tape_, Inputs(x));
      benchmark::DoNotOptimize(y.data);
      if (backward) {
        const V loss = tape_.result(Shape{}, y);
        tape_.node("seed", {loss}, [=](Tape<float>& t) {
          t.accumulate(y, [&](auto, float* dy) { std::copy_n(y.data, y.size(), dy); });
        });
        tape_.backward(loss);
      }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(leaves_[0].shape[0]));
  }

 private:
  std::vector<std::vector<float>> storage_;
  std::vector<Leaf<float>> leaves_;
  Tape<float> tape_;
};

// ---- what is compared: fused, and composed from ops that know nothing of memories -----------------------------------

V row(V x) {
  return x.reshaped({x.shape[0], 1, x.shape.last()});
}
V flat(V x) {
  return x.reshaped({x.shape[0], x.shape.last()});
}

/// Row sums of [B Q N] -> [B Q 1], as a product with ones.
V sum_last(Tape<float>& t, V x) {
  return batched_product(t, x, t.filled({x.shape[0], x.shape.last(), 1}, 1.0f));
}
/// [B D N] -> [B 1 N]
V sum_slots(Tape<float>& t, V x) {
  return batched_product(t, t.filled({x.shape[0], 1, x.shape[1]}, 1.0f), x);
}
/// x [B N] / s [B 1]
V divide_rows(Tape<float>& t, V x, V s) {
  return scale_rows(t, x, divide(t, t.filled(s.shape, 1.0f), s));
}
/// a [B D], w [B N] -> [B D N]
V outer(Tape<float>& t, V a, V w) {
  return batched_product(t, a.reshaped({a.shape[0], a.shape[1], 1}), row(w));
}

V cosine_composed(Tape<float>& t, V key, V memory) {
  const V dot = flat(batched_product(t, row(key), memory));
  const V slots = flat(sqrt(t, affine(t, sum_slots(t, multiply(t, memory, memory)), 1, cosine_epsilon)));
  const V length = sqrt(t, affine(t, flat(sum_last(t, row(multiply(t, key, key)))), 1, cosine_epsilon));
  return divide_rows(t, divide(t, dot, slots), length);
}
V softmax_composed(Tape<float>& t, V scores, V beta) {  // no maximum taken: a cosine is small
  const V e = exp(t, scale_rows(t, scores, beta));
  return divide_rows(t, e, flat(sum_last(t, row(e))));
}
V sharpen_composed(Tape<float>& t, V w, V gamma) {
  const V e = exp(t, scale_rows(t, log(t, affine(t, w, 1, sharpen_epsilon)), gamma));
  return divide_rows(t, e, flat(sum_last(t, row(e))));
}
V shift_composed(Tape<float>& t, V w, V s) {  // three turned copies, weighted
  const auto turned = [&](std::size_t by) {
    const V parts[] = {slice(t, w, by, N - by), slice(t, w, 0, by)};
    return concatenate<float>(t, parts);
  };
  const V down = turned(1), up = turned(N - 1);
  return add(t, add(t, scale_rows(t, down, slice(t, s, 0, 1)), scale_rows(t, w, slice(t, s, 1, 1))),
             scale_rows(t, up, slice(t, s, 2, 1)));
}
V interpolate_composed(Tape<float>& t, V content, V previous, V g) {
  return add(t, previous, scale_rows(t, subtract(t, content, previous), g));
}
V location_composed(Tape<float>& t, V content, V previous, V g, V s, V gamma) {
  return sharpen_composed(t, shift_composed(t, interpolate_composed(t, content, previous, g), s), gamma);
}
V erase_add_composed(Tape<float>& t, V memory, V w, V e, V a) {
  return add(t, subtract(t, memory, multiply(t, memory, outer(t, e, w))), outer(t, a, w));
}
V read_composed(Tape<float>& t, V w, V memory) {
  return flat(batched_product(t, row(w), memory, true));
}
V lstm_composed(Tape<float>& t, V z, V c) {
  const V i = sigmoid(t, slice(t, z, 0, H)), f = sigmoid(t, slice(t, z, H, H));
  const V g = tanh(t, slice(t, z, 2 * H, H)), o = sigmoid(t, slice(t, z, 3 * H, H));
  const V cell = add(t, multiply(t, f, c), multiply(t, i, g));
  const V both[] = {multiply(t, o, tanh(t, cell)), cell};
  return concatenate<float>(t, both);
}
V lstm_fused(Tape<float>& t, V z, V c) {
  const LstmState<float> y = lstm_cell(t, z, c);
  const V both[] = {y.h, y.c};
  return concatenate<float>(t, both);
}

/// Both heads of one step, write first: memory, previous weightings; a head's key, strength, gate, shift, sharpness.
enum Slot { memory_, w_read_, w_write_, read_, write_ = read_ + 5, erase_ = write_ + 5, add_ };
std::vector<Shape> memory_shapes(std::size_t b) {
  std::vector<Shape> s{{b, M, N}, {b, N}, {b, N}};
  for (int head = 0; head < 2; ++head) s.insert(s.end(), {{b, M}, {b, 1}, {b, 1}, {b, 3}, {b, 1}});
  s.insert(s.end(), {{b, M}, {b, M}});
  return s;
}
V memory_fused(Tape<float>& t, Inputs x) {
  const auto address = [&](int p, V memory, V previous) {
    const V content = flat(softmax(t, cosine_score(t, row(x[p]), memory), {}, x[p + 1]));
    return location(t, content, previous, x[p + 2], x[p + 3], x[p + 4]);
  };
  const V memory = erase_add(t, x[memory_], address(write_, x[memory_], x[w_write_]), x[erase_], x[add_]);
  return flat(weighted_sum(t, row(address(read_, memory, x[w_read_])), memory));
}
V memory_composed(Tape<float>& t, Inputs x) {
  const auto address = [&](int p, V memory, V previous) {
    const V content = softmax_composed(t, cosine_composed(t, x[p], memory), x[p + 1]);
    return location_composed(t, content, previous, x[p + 2], x[p + 3], x[p + 4]);
  };
  const V memory = erase_add_composed(t, x[memory_], address(write_, x[memory_], x[w_write_]), x[erase_], x[add_]);
  return read_composed(t, address(read_, memory, x[w_read_]), memory);
}

// ---- registration ---------------------------------------------------------------------------------------------------

using Function = V (*)(Tape<float>&, Inputs);
using Shapes = std::vector<Shape> (*)(std::size_t b);

void add_kernel(const char* name, Shapes shapes, Function f) {
  for (const bool backward : {false, true}) {
    auto* b = benchmark::RegisterBenchmark((std::string(name) + (backward ? "/both" : "/forward")).c_str(),
                                           [=](benchmark::State& state) {
                                             Rig rig(shapes(static_cast<std::size_t>(state.range(0))));
                                             rig.run(state, backward, f);
                                           });
    b->Arg(1)->Arg(16);
  }
}

[[maybe_unused]] const bool registered = [] {
  using B = std::size_t;
  using T = Tape<float>;
  const Shapes score = [](B b) { return std::vector<Shape>{{b, M}, {b, M, N}}; };
  add_kernel("cosine_score", score, [](T& t, Inputs x) { return cosine_score(t, row(x[0]), x[1]); });
  add_kernel("cosine_score_composed", score, [](T& t, Inputs x) { return cosine_composed(t, x[0], x[1]); });
  const Shapes soft = [](B b) { return std::vector<Shape>{{b, N}, {b, 1}}; };
  add_kernel("softmax", soft, [](T& t, Inputs x) { return softmax(t, row(x[0]), {}, x[1]); });
  add_kernel("softmax_composed", soft, [](T& t, Inputs x) { return softmax_composed(t, x[0], x[1]); });
  const Shapes place = [](B b) { return std::vector<Shape>{{b, N}, {b, N}, {b, 1}, {b, 3}, {b, 1}}; };
  add_kernel("location", place, [](T& t, Inputs x) { return location(t, x[0], x[1], x[2], x[3], x[4]); });
  add_kernel("location_three_ops", place,
             [](T& t, Inputs x) { return sharpen(t, shift(t, interpolate(t, x[0], x[1], x[2]), x[3]), x[4]); });
  add_kernel("location_composed", place,
             [](T& t, Inputs x) { return location_composed(t, x[0], x[1], x[2], x[3], x[4]); });
  const Shapes written = [](B b) { return std::vector<Shape>{{b, M, N}, {b, N}, {b, M}, {b, M}}; };
  add_kernel("erase_add", written, [](T& t, Inputs x) { return erase_add(t, x[0], x[1], x[2], x[3]); });
  add_kernel("erase_add_two_ops", written,
             [](T& t, Inputs x) { return write(t, erase(t, x[0], x[1], x[2]), x[1], x[3]); });
  add_kernel("erase_add_composed", written,
             [](T& t, Inputs x) { return erase_add_composed(t, x[0], x[1], x[2], x[3]); });
  const Shapes combine = [](B b) { return std::vector<Shape>{{b, N}, {b, M, N}}; };
  add_kernel("weighted_sum", combine, [](T& t, Inputs x) { return weighted_sum(t, row(x[0]), x[1]); });
  add_kernel("weighted_sum_composed", combine, [](T& t, Inputs x) { return read_composed(t, x[0], x[1]); });
  const Shapes cell = [](B b) { return std::vector<Shape>{{b, 4 * H}, {b, H}}; };
  add_kernel("lstm_cell", cell, [](T& t, Inputs x) { return lstm_fused(t, x[0], x[1]); });
  add_kernel("lstm_cell_composed", cell, [](T& t, Inputs x) { return lstm_composed(t, x[0], x[1]); });
  add_kernel("memory_step", memory_shapes, memory_fused);
  add_kernel("memory_step_composed", memory_shapes, memory_composed);
  const auto weights = [](B b) { return std::vector<Shape>{{b, 129}, {129, 4 * H}, {4 * H}}; };
  add_kernel("linear_lstm", weights, [](T& t, Inputs x) { return linear(t, x[0], x[1], x[2]); });
  const auto heads = [](B b) { return std::vector<Shape>{{b, H}, {H, 92}, {92}}; };
  add_kernel("linear_heads", heads, [](T& t, Inputs x) { return linear(t, x[0], x[1], x[2]); });
  return true;
}();

// The machine's rate of multiply-adds: what the arithmetic of a step is measured against.
void sgemm(benchmark::State& state) {
  use_one_blas_thread();
  const auto m = static_cast<std::size_t>(state.range(0)), n = static_cast<std::size_t>(state.range(1)),
             k = static_cast<std::size_t>(state.range(2));
  std::vector<float> a(m * k, 0.5f), b(k * n, 0.5f), c(m * n);
  for (auto _ : state) {
    gemm<float>(false, false, m, n, k, a.data(), b.data(), c.data(), false);
    benchmark::DoNotOptimize(c.data());
  }
  state.counters["flops"] =
      benchmark::Counter(2.0 * static_cast<double>(m * n * k), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(sgemm)->Args({1024, 1024, 1024})->Args({1, 400, 129})->Args({8, 400, 129})->Args({16, 400, 129});

}  // namespace

}  // namespace mneme::bench
