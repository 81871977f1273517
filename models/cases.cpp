#include "models/cases.hpp"

#include "autodiff/ops.hpp"
#include "core/batch.hpp"
#include "models/readout.hpp"

#include <memory>

namespace mneme {

namespace {

/// A readout, the batch it reads, and its parameters as inputs of the case.
struct Built {
  ParameterSet<double> set;
  std::unique_ptr<Readout<double>> readout;
  Batch batch;
};

}  // namespace

std::vector<GradientCase> model_cases() {
  using V = Var<double>;
  using Inputs = std::span<const V>;
  struct Kind {
    const char* name;
    BatchSpec spec;
  };
  const Kind kinds[] = {
      {"bits", {.channels = 1, .target = TargetKind::bits, .outputs = 3}},
      {"classes", {.channels = 1, .target = TargetKind::classes, .outputs = 4}},
      {"real", {.channels = 1, .target = TargetKind::real, .outputs = 2}},
      {"pointer to points", {.channels = 1, .item_width = 2, .target = TargetKind::pointer, .outputs = 4}},
      {"pointer to sentences", {.channels = 1, .item_vocabulary = 5, .target = TargetKind::pointer, .outputs = 4}},
      {"pointer to both",
       {.channels = 1, .item_width = 3, .item_vocabulary = 5, .target = TargetKind::pointer, .outputs = 4}},
  };
  constexpr std::size_t steps = 3, rows = 2, items = 4, words = 2, widths[] = {3, 2};
  std::vector<GradientCase> list;
  for (const Kind& kind : kinds) {
    auto built = std::make_shared<Built>();
    built->readout = std::make_unique<Readout<double>>(Builder<double>(built->set), kind.spec, widths[0] + widths[1]);
    Batch& batch = built->batch;
    const bool has_items = kind.spec.item_width || kind.spec.item_vocabulary;
    batch.reset(kind.spec, rows, steps, has_items ? items : 0, kind.spec.item_vocabulary ? words : 0);
    for (std::size_t b = 0; b < rows; ++b) {
      if (has_items) batch.items.count[b] = static_cast<std::uint32_t>(items - b);
      for (std::size_t i = 0; has_items && i < items - b; ++i) {
        for (std::size_t d = 0; d < kind.spec.item_width; ++d)
          batch.items.values(b, i, d) = static_cast<float>((3 * b + 5 * i + 7 * d) % 11) / 11 - 0.5f;
        for (std::size_t w = 0; kind.spec.item_vocabulary && w < 1 + i % words; ++w)
          batch.items.tokens(b, i, w) = static_cast<std::int32_t>((b + 2 * i + 3 * w) % kind.spec.item_vocabulary);
      }
      for (std::size_t t = b; t < steps; ++t) {  // row 1 is not scored at first
        batch.target.scored(t, b) = 1;
        const std::size_t number = 2 * t + b;
        if (kind.spec.target == TargetKind::bits || kind.spec.target == TargetKind::real)
          for (std::size_t k = 0; k < kind.spec.outputs; ++k)
            batch.target.values(t, b, k) = static_cast<float>((number + k) % 2);
        else
          batch.target.indices(t, b) = static_cast<std::int32_t>(number % 3);
      }
    }
    std::vector<GradientInput> inputs;
    for (const Parameter& p : built->set.parameters())
      inputs.push_back({p.shape, -1, 1, GradientInput::Role::parameter});
    const std::size_t first = inputs.size();
    for (std::size_t t = 0; t < steps; ++t)
      for (std::size_t width : widths) inputs.push_back({{rows, width}});
    const bool pointer = kind.spec.target == TargetKind::pointer;
    for (const bool loss : {false, true})
      list.push_back({loss ? "readout.loss" : "readout.logits", kind.name, inputs, [=](Tape<double>& t, Inputs x) {
                        Pass<double> pass{t};
                        const V y = built->readout->logits(pass, built->batch, x.subspan(first), std::size(widths));
                        if (loss) return built->readout->loss(t, built->batch, y, 0.7);
                        return pointer ? exp(t, y) : y;  // left out items are -1e30, too large to sum beside others
                      }});
  }
  return list;
}

}  // namespace mneme
