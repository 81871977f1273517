// Room: benchmarks. The copy training step in LibTorch C++, well written: contestant_pytorch.py line by line.
//
//   contestant_libtorch DIR check | versions | time THREADS CASE...        (see contestant.py)
#include <torch/torch.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace {

using torch::Tensor;
constexpr int64_t H = 100, N = 128, M = 20, C = 9, K = 8;
constexpr double cosine_eps = 1e-6, sharpen_eps = 1e-16;

// ---- files
Tensor read_npy(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  char start[10];
  in.read(start, 10);
  std::string header(static_cast<unsigned char>(start[8]) + 256 * static_cast<unsigned char>(start[9]), ' ');
  in.read(&header[0], static_cast<std::streamsize>(header.size()));
  std::vector<int64_t> shape;
  const char* p = header.c_str() + header.find("'shape': (") + 10;
  while (*p != ')')
    if (*p >= '0' && *p <= '9')
      shape.push_back(std::strtoll(p, const_cast<char**>(&p), 10));
    else
      ++p;
  Tensor t = torch::empty(shape, header.find("<f8") != std::string::npos ? torch::kFloat64 : torch::kFloat32);
  in.read(static_cast<char*>(t.data_ptr()), static_cast<std::streamsize>(t.nbytes()));
  return t;
}

const char* const names[] = {"controller.layer_0.weight",
                             "controller.layer_0.bias",
                             "controller.layer_0.initial_h",
                             "controller.layer_0.initial_c",
                             "memory.read_0.initial_value",
                             "memory.heads.weight",
                             "memory.heads.bias",
                             "readout.weight",
                             "readout.bias"};
using Named = std::map<std::string, Tensor>;

struct Batch {
  Tensor dense, target, scored;
};
struct Case {
  std::string folder;
  std::vector<Batch> batches;
  int64_t rows = 0;
};
Case read_case(const std::string& dir, const std::string& name, int64_t count, torch::ScalarType type) {
  Case c;
  c.folder = dir + "/" + name + "/";
  for (int64_t i = 0; i < count; ++i) {
    const std::string stem = c.folder + std::to_string(i) + ".";
    c.batches.push_back({read_npy(stem + "dense.npy").to(type), read_npy(stem + "target.npy").to(type),
                         read_npy(stem + "scored.npy") > 0});
  }
  c.rows = c.batches[0].dense.size(1);
  return c;
}

// ---- the model
/// Our columns of the head numbers, by activation: tanh (2 keys, add), sigmoid (erase, 2 gates), softmax (2 x 3
/// shifts), softplus (2 strengths, 2 sharpnesses).
std::vector<int64_t> order() {
  std::vector<int64_t> o;
  const auto range = [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) o.push_back(i);
  };
  range(0, 20), range(26, 46), range(72, 92);
  range(52, 72), range(21, 22), range(47, 48);
  range(22, 25), range(48, 51);
  range(20, 21), range(46, 47), range(25, 26), range(51, 52);
  return o;
}

struct Parts {
  Tensor w_x, w_rh, b, h0, c0, r0, w_heads, b_heads, w_out, b_out;
};
const std::vector<int64_t> sizes = {C * 4 * H, (M + H) * 4 * H, 4 * H, H, H, M, H * 92, 92, (H + M) * K, K};
Parts parts(const Tensor& flat) {
  const auto p = flat.split_with_sizes(sizes);
  return {p[0].view({C, 4 * H}),
          p[1].view({M + H, 4 * H}),
          p[2],
          p[3],
          p[4],
          p[5],
          p[6].view({H, 92}),
          p[7],
          p[8].view({H + M, K}),
          p[9]};
}

class Contestant {
 public:
  Contestant(const Named& w, torch::ScalarType type) : index_(torch::tensor(order())) {
    flat_ = torch::zeros(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}), type).requires_grad_(true);
    {
      torch::NoGradGuard off;
      Parts p = parts(flat_);
      const Tensor& lstm = w.at("controller.layer_0.weight");
      p.w_x.copy_(lstm.slice(0, 0, C));
      p.w_rh.copy_(lstm.slice(0, C));
      p.b.copy_(w.at("controller.layer_0.bias").reshape(-1));
      p.h0.copy_(w.at("controller.layer_0.initial_h"));
      p.c0.copy_(w.at("controller.layer_0.initial_c"));
      p.r0.copy_(w.at("memory.read_0.initial_value"));
      p.w_heads.copy_(w.at("memory.heads.weight").index_select(1, index_));
      p.b_heads.copy_(w.at("memory.heads.bias").index_select(0, index_));
      p.w_out.copy_(w.at("readout.weight"));
      p.b_out.copy_(w.at("readout.bias"));
    }
    optimizer_ = std::make_unique<torch::optim::RMSprop>(std::vector<Tensor>{flat_},
                                                         torch::optim::RMSpropOptions(1e-4).alpha(0.95).momentum(0.9));
    first_weights_ = torch::zeros({1, N}, type);
    first_weights_[0][0] = 1;
  }

  double gradient(const Batch& batch) {
    const int64_t steps = batch.dense.size(0), rows = batch.dense.size(1);
    const Parts p = parts(flat_);
    const auto x = torch::addmm(p.b, batch.dense.view({steps * rows, C}), p.w_x).view({steps, rows, 4 * H}).unbind(0);
    Tensor h = p.h0.expand({rows, H}), c = p.c0.expand({rows, H}), r = p.r0.expand({rows, M});
    Tensor w_read = first_weights_.expand({rows, N}), w_write = w_read;
    Tensor memory = torch::full({rows, M, N}, 1e-6, batch.dense.options());
    Tensor scale = torch::rsqrt((memory * memory).sum(1) + cosine_eps);
    std::vector<Tensor> features;
    Tensor rh = torch::cat({r, h}, 1);
    for (int64_t t = 0; t < steps; ++t) {
      const auto z = torch::addmm(x[t], rh, p.w_rh).chunk(4, 1);
      c = torch::addcmul(torch::sigmoid(z[1]) * c, torch::sigmoid(z[0]), torch::tanh(z[2]));
      h = torch::sigmoid(z[3]) * torch::tanh(c);

      const auto raw = torch::addmm(p.b_heads, h, p.w_heads).split_with_sizes({60, 22, 6, 4}, 1);
      const Tensor tanhs = torch::tanh(raw[0]).view({rows, 3, M}), sigmoids = torch::sigmoid(raw[1]);
      const Tensor shift = torch::softmax(raw[2].view({rows, 2, 1, 3}), 3);
      const auto strengths = torch::softplus(raw[3]).split(1, 1);
      Tensor keys = tanhs.slice(1, 0, 2);
      const Tensor add = tanhs.slice(1, 2), erase = sigmoids.slice(1, 0, M).unsqueeze(1);
      keys = keys * torch::rsqrt((keys * keys).sum(2, true) + cosine_eps);
      w_write = address(memory, scale, keys.slice(1, 1), strengths[1], sigmoids.slice(1, 21), shift.select(1, 1),
                        strengths[3] + 1, w_write);
      const Tensor column = w_write.unsqueeze(1);
      memory = torch::baddbmm(torch::addcmul(memory, memory, torch::bmm(erase.mT(), column), -1), add.mT(), column);
      scale = torch::rsqrt((memory * memory).sum(1) + cosine_eps);
      w_read = address(memory, scale, keys.slice(1, 0, 1), strengths[0], sigmoids.slice(1, 20, 21), shift.select(1, 0),
                       strengths[2] + 1, w_read);
      r = torch::bmm(memory, w_read.unsqueeze(2)).squeeze(2);
      rh = torch::cat({r, h}, 1);
      features.push_back(rh);
    }
    // our readout sees [h r]
    const Tensor w_out = torch::cat({p.w_out.slice(0, H), p.w_out.slice(0, 0, H)});
    const Tensor logits = torch::addmm(p.b_out, torch::stack(features).index({batch.scored}), w_out);
    const Tensor loss = torch::binary_cross_entropy_with_logits(logits, batch.target.index({batch.scored}), {}, {},
                                                                at::Reduction::Sum) /
                        rows;
    flat_.mutable_grad() = Tensor();
    loss.backward();
    return loss.item<double>();
  }

  void update() {
    torch::nn::utils::clip_grad_value_(flat_, 10);
    optimizer_->step();
  }

  Named our_gradient() {
    const Parts g = parts(flat_.grad());
    const Tensor back = torch::argsort(index_);
    return {{"controller.layer_0.weight", torch::cat({g.w_x, g.w_rh})},
            {"controller.layer_0.bias", g.b.view({4, H})},
            {"controller.layer_0.initial_h", g.h0},
            {"controller.layer_0.initial_c", g.c0},
            {"memory.read_0.initial_value", g.r0},
            {"memory.heads.weight", g.w_heads.index_select(1, back)},
            {"memory.heads.bias", g.b_heads.index_select(0, back)},
            {"readout.weight", g.w_out},
            {"readout.bias", g.b_out}};
  }

 private:
  /// memory [B M N], scale 1/|M(i)| [B N], key [B 1 M] of length 1, shift [B 1 3], the others [B 1] -> [B N]
  static Tensor address(const Tensor& memory, const Tensor& scale, const Tensor& key, const Tensor& beta,
                        const Tensor& gate, const Tensor& shift, const Tensor& gamma, const Tensor& previous) {
    const Tensor score = torch::bmm(key, memory).squeeze(1) * scale;
    Tensor w = torch::lerp(previous, torch::softmax(score * beta, 1), gate);
    w = torch::bmm(shift, torch::stack({torch::roll(w, -1, 1), w, torch::roll(w, 1, 1)}, 1)).squeeze(1);
    return torch::softmax(torch::log(w + sharpen_eps) * gamma, 1);
  }

  Tensor index_, flat_, first_weights_;
  std::unique_ptr<torch::optim::RMSprop> optimizer_;
};

double seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "contestant_libtorch DIR check | versions | time THREADS CASE...\n"), 2;
  const std::string dir = argv[1], what = argv[2];
  if (what == "versions") return std::printf("LibTorch %s\n", TORCH_VERSION), 0;
  torch::set_num_threads(what == "time" ? std::atoi(argv[3]) : 1);
  Named weights;
  for (const char* name : names) weights[name] = read_npy(dir + "/weights/" + name + ".npy");
  std::map<std::string, int64_t> cases;
  std::ifstream list(dir + "/cases.txt");
  std::string name;
  int64_t count, rows;
  while (list >> name >> count >> rows) cases[name] = count;

  if (what == "check") {
    for (const auto& [label, batches] : cases)
      for (const auto type : {torch::kFloat64, torch::kFloat32}) {
        const Case c = read_case(dir, label, batches, type);
        Contestant contestant(weights, type);
        const double loss = contestant.gradient(c.batches[0]), wanted = read_npy(c.folder + "loss.npy").item<double>();
        double gap = 0;
        for (auto& [parameter, g] : contestant.our_gradient()) {
          const Tensor ours = read_npy(c.folder + "gradient." + parameter + ".npy");
          gap = std::max(gap, ((g - ours).abs().max() / ours.abs().max()).item<double>());
        }
        std::printf("libtorch %s float%d loss %.2e gradient %.2e\n", label.c_str(), type == torch::kFloat64 ? 64 : 32,
                    std::abs(loss - wanted) / wanted, gap);
      }
    return 0;
  }
  for (int a = 4; a < argc; ++a) {
    const Case c = read_case(dir, argv[a], cases.at(argv[a]), torch::kFloat32);
    Contestant contestant(weights, torch::kFloat32);
    const auto pass = [&] {
      for (const Batch& b : c.batches) {
        contestant.gradient(b);
        contestant.update();
      }
    };
    pass();
    const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    double sequences = 0;
    do {
      pass();
      sequences += static_cast<double>(c.rows) * static_cast<double>(c.batches.size());
    } while (seconds(CLOCK_MONOTONIC) - wall < 0.5);
    std::printf("%s %.6f %.6f\n", argv[a], 1e3 * (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / sequences,
                1e3 * (seconds(CLOCK_MONOTONIC) - wall) / sequences);
    std::fflush(stdout);
  }
}
