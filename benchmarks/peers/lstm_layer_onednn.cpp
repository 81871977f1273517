// oneDNN's LSTM layer alone: what the controller of a copy step would take forward and backward, weights as the library
// likes them best, nothing else of a training step.
//
//   g++ -std=c++17 -O3 lstm_layer_onednn.cpp -ldnnl -o lstm_layer_onednn     (Debian: libdnnl-dev)
//   OMP_NUM_THREADS=1 taskset -c 0 ./lstm_layer_onednn [BATCH 1] [HIDDEN 100] [INPUT 29] [STEPS 21]
//
// Prints the median, the least and the most of 15 rounds, in milliseconds of CPU a sequence.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dnnl.hpp>
#include <unordered_map>
#include <vector>

using dnnl::memory;
using Tag = memory::format_tag;

int main(int argc, char** argv) {
  const auto argument = [&](int i, long standard) { return argc > i ? std::atol(argv[i]) : standard; };
  const memory::dim n = argument(1, 1), h = argument(2, 100), d = argument(3, 29), t = argument(4, 21);
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto of = [](memory::dims dims, Tag tag) { return memory::desc(dims, memory::data_type::f32, tag); };
  const auto direction = dnnl::rnn_direction::unidirectional_left2right;
  const memory::desc layer = of({t, n, d}, Tag::tnc), out = of({t, n, h}, Tag::tnc),
                     state = of({1, 1, n, h}, Tag::ldnc), bias = of({1, 1, 4, h}, Tag::ldgo),
                     any_layer = of({1, 1, d, 4, h}, Tag::any), any_iter = of({1, 1, h, 4, h}, Tag::any);
  const dnnl::lstm_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, direction, layer, state, state, any_layer, any_iter, bias, out, state, state},
      engine);
  const dnnl::lstm_backward::primitive_desc backward({dnnl::prop_kind::backward,
                                                      direction,
                                                      layer,
                                                      state,
                                                      state,
                                                      any_layer,
                                                      any_iter,
                                                      bias,
                                                      out,
                                                      state,
                                                      state,
                                                      layer,
                                                      state,
                                                      state,
                                                      any_layer,
                                                      any_iter,
                                                      bias,
                                                      out,
                                                      state,
                                                      state},
                                                     engine, forward);

  const auto filled = [&](const memory::desc& desc, float value) {
    memory m(desc, engine);
    float* x = static_cast<float*>(m.get_data_handle());
    for (std::size_t i = 0; i < desc.get_size() / sizeof(float); ++i)
      x[i] = value * (static_cast<float>((i * 2654435761u) >> 8 & 0xffff) / 32768.0f - 1);
    return m;
  };
  std::unordered_map<int, memory> f = {{DNNL_ARG_SRC_LAYER, filled(layer, 1)},
                                       {DNNL_ARG_SRC_ITER, filled(state, 0.1f)},
                                       {DNNL_ARG_SRC_ITER_C, filled(state, 0.1f)},
                                       {DNNL_ARG_WEIGHTS_LAYER, filled(forward.weights_layer_desc(), 0.1f)},
                                       {DNNL_ARG_WEIGHTS_ITER, filled(forward.weights_iter_desc(), 0.1f)},
                                       {DNNL_ARG_BIAS, filled(bias, 0.1f)},
                                       {DNNL_ARG_DST_LAYER, filled(out, 0)},
                                       {DNNL_ARG_DST_ITER, filled(state, 0)},
                                       {DNNL_ARG_DST_ITER_C, filled(state, 0)},
                                       {DNNL_ARG_WORKSPACE, memory(forward.workspace_desc(), engine)}};
  std::unordered_map<int, memory> b = f;
  b[DNNL_ARG_WEIGHTS_LAYER] = filled(backward.weights_layer_desc(), 0.1f);
  b[DNNL_ARG_WEIGHTS_ITER] = filled(backward.weights_iter_desc(), 0.1f);
  b[DNNL_ARG_DIFF_SRC_LAYER] = filled(layer, 0);
  b[DNNL_ARG_DIFF_SRC_ITER] = filled(state, 0);
  b[DNNL_ARG_DIFF_SRC_ITER_C] = filled(state, 0);
  b[DNNL_ARG_DIFF_WEIGHTS_LAYER] = filled(backward.diff_weights_layer_desc(), 0);
  b[DNNL_ARG_DIFF_WEIGHTS_ITER] = filled(backward.diff_weights_iter_desc(), 0);
  b[DNNL_ARG_DIFF_BIAS] = filled(bias, 0);
  b[DNNL_ARG_DIFF_DST_LAYER] = filled(out, 0.01f);
  b[DNNL_ARG_DIFF_DST_ITER] = filled(state, 0);
  b[DNNL_ARG_DIFF_DST_ITER_C] = filled(state, 0);
  const dnnl::lstm_forward there(forward);
  const dnnl::lstm_backward back(backward);
  const auto sequences = [&](int count) {
    const std::clock_t begin = std::clock();
    for (int i = 0; i < count; ++i) {
      there.execute(stream, f);
      back.execute(stream, b);
    }
    stream.wait();
    return 1e3 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / count / static_cast<double>(n);
  };
  sequences(200);
  std::vector<double> rounds;
  for (int r = 0; r < 15; ++r) rounds.push_back(sequences(400));
  std::sort(rounds.begin(), rounds.end());
  std::printf(
      "oneDNN %d.%d.%d, LSTM layer B=%ld H=%ld D=%ld T=%ld, there and back: %.3f ms a sequence (%.3f to %.3f)\n",
      dnnl_version()->major, dnnl_version()->minor, dnnl_version()->patch, static_cast<long>(n), static_cast<long>(h),
      static_cast<long>(d), static_cast<long>(t), rounds[7], rounds.front(), rounds.back());
}
