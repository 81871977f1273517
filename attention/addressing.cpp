// Room: attention. The registry of addressing schemes, and what their parts need and leave behind.
#include "attention/addressing.hpp"

namespace mneme {

Registry<AddressingPlugin>& addressing_schemes() {
  static Registry<AddressingPlugin> registry("addressing scheme");
  return registry;
}

AddressingDeclaration made_of(const std::string& similarity, const std::string& normalizer,
                              const std::vector<std::string>& moves, const AddressingSetup& setup) {
  const auto require = [](const char* what, const auto& registry, const std::string& name) {
    if (!registry.entries().count(name))
      fail<InvariantError>("addressing scheme", "is made of the {} '{}', which nobody has registered", what, name);
  };
  if (!similarity.empty())
    require("similarity", scores(), similarity), require("normalizer", normalizers(), normalizer);
  AddressingDeclaration d;
  d.parts = {similarity, similarity.empty() ? "" : normalizer, moves};
  if (!similarity.empty()) d.parts.constants = normalizers().find(normalizer).constants(setup.options);
  d.uses_content = !similarity.empty();
  const auto stage = [&](const char* name, Kind kind, const char* doc) {
    d.stages.push_back({name, "", {setup.slots}, kind, doc, {"slot"}});
  };
  if (d.uses_content) {
    d.parameters.push_back({{"key", "", {setup.width}, Kind::plain, "content key k_t", {"cell"}}, Squash::tanh});
    d.parameters.push_back({{"beta", "", {}, Kind::positive, "key strength beta_t"}, Squash::softplus});
    stage("similarity", Kind::plain, "similarity K(k_t, M_t(i))");
    const NormalizerPlugin& plugin = normalizers().find(normalizer);
    stage("content", plugin.sums_to_one ? Kind::weights : Kind::plain, "content weighting w^c_t");
    d.stages.back().decided = !plugin.continuous && !moves.empty();
  }
  d.uses_previous = !d.uses_content;  // what is moved, unless it is interpolated
  for (std::size_t i = 0; i < moves.size(); ++i) {
    // What is moved may be a weighting of zeros, the start where initial-weights is zero.
    const bool last = i + 1 == moves.size();
    if (moves[i] == "interpolate") {
      d.uses_previous = true;
      d.parameters.push_back({{"gate", "", {}, Kind::gate, "interpolation gate g_t"}, Squash::sigmoid});
      if (!last) stage("gated", Kind::sub_weights, "gated weighting w^g_t");
    } else if (moves[i] == "shift") {
      d.parameters.push_back(
          {{"shift", "", {setup.shifts}, Kind::weights, "shift weighting s_t", {"shift_offset"}}, Squash::softmax});
      if (!last) stage("shifted", Kind::sub_weights, "shifted weighting w~_t");
    } else if (moves[i] == "sharpen") {
      d.parameters.push_back({{"gamma", "", {}, Kind::positive, "sharpening gamma_t >= 1"}, Squash::one_plus_softplus});
      if (!last) stage("sharpened", Kind::sub_weights, "sharpened weighting");
    } else {
      fail<InvariantError>("addressing scheme", "unknown move '{}'; there are interpolate, shift, sharpen", moves[i]);
    }
  }
  return d;
}

std::vector<std::string> switched_on(std::vector<std::string> moves, const AddressingSetup& setup) {
  if (!setup.interpolates) std::erase(moves, "interpolate");
  if (!setup.sharpens) std::erase(moves, "sharpen");
  return moves;
}

}  // namespace mneme
