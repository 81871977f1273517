// Room: attention. The cases that come with being registered.
#include "attention/cases.hpp"

#include "attention/addressing.hpp"
#include "attention/combine.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"
#include "autodiff/ops.hpp"
#include "core/join.hpp"

#include <array>
#include <memory>
#include <set>

namespace mneme {

namespace {

using V = Var<double>;
using Inputs = std::span<const V>;
using Role = GradientInput::Role;
constexpr Role constant = Role::constant, parameter = Role::parameter;

/// Every registered score with its own parameters: they are inputs of the case, in the order the module declared them.
void score_cases(std::vector<GradientCase>& cases) {
  CaseList list("score", cases);
  struct Module {
    ParameterSet<double> set;
    std::unique_ptr<Score<double>> score;
  };
  for (const auto& [name, plugin] : scores().entries()) {
    const std::size_t key = 3, query = plugin.needs_equal_sizes ? key : 2;
    for (std::size_t hidden : {0, 4}) {
      auto module = std::make_shared<Module>();
      module->score = plugin.make<double>(Builder<double>(module->set), {query, key, hidden});
      std::vector<GradientInput> inputs;
      if (plugin.needs_query) inputs.push_back({{2, 2, query}, 0.2, 1});
      inputs.push_back({{2, key, 5}, 0.2, 1});
      for (const Parameter& p : module->set.parameters()) inputs.push_back({p.shape, -1, 1, parameter});
      const bool asks = plugin.needs_query;
      list.add(fmt::format("{}{}", name, hidden ? ", hidden 4" : ""), inputs,
               [module, asks](Tape<double>& t, Inputs x) {
                 return (*module->score)(t, asks ? x[0] : V{}, module->score->prepare(t, x[asks]));
               });
      list.add(fmt::format("{}{}, prepared once for two steps", name, hidden ? ", hidden 4" : ""), inputs,
               [module, asks](Tape<double>& t, Inputs x) {
                 const V prepared = module->score->prepare(t, x[asks]);
                 const V first = (*module->score)(t, asks ? x[0] : V{}, prepared);
                 const V second = (*module->score)(t, asks ? tanh(t, x[0]) : V{}, prepared);
                 return asymmetric_loss(t, {first, second});
               });
      if (module->set.parameters().size() < 2) break;
    }
  }
}

void normalize_cases(std::vector<GradientCase>& cases) {
  static constexpr std::uint8_t rows[] = {1, 1, 0, 1, 0, 1, 0, 0, 1, 1};  // [2 5]
  static constexpr std::uint8_t per_query[] = {1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1,
                                               0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1};  // [2 3 5], one row closed
  static constexpr std::uint8_t closed[] = {0, 0, 0, 0, 0, 1, 0, 1, 1, 0};                    // [2 5]
  static constexpr std::uint32_t empty[] = {3, 0};
  struct Masked {
    const char* what;
    Mask mask;
  };
  const Masked masks[] = {{"no mask", {}},
                          {"mask", {rows, false}},
                          {"mask a query", {per_query, true}},
                          {"a fully masked row", {closed, false}},
                          {"empty elements", {rows, false, empty}},
                          {"empty elements, no mask", {nullptr, false, empty}}};
  for (const auto& [name, plugin] : normalizers().entries()) {
    CaseList list(name, cases);
    const std::shared_ptr<const Normalizer<double>> normalizer = plugin.make<double>();
    const auto apply = [normalizer](Mask mask) -> GradientFunction {
      return [=](Tape<double>& t, Inputs x) { return (*normalizer)(t, x[0], mask, x.size() > 1 ? x[1] : V{}); };
    };
    for (const CaseSizes& s : case_sizes) {
      list.add(s.text(), {{{s.b, s.q, s.n}, -2, 2}}, apply({}));
      list.add(s.text() + ", beta", {{{s.b, s.q, s.n}, -2, 2}, {{s.b, s.q}, 0.3, 3}}, apply({}));
    }
    for (const Masked& m : masks) {
      list.add(m.what, {{{2, 3, 5}, -2, 2}}, apply(m.mask));
      list.add(fmt::format("{}, beta", m.what), {{{2, 3, 5}, -2, 2}, {{2, 3}, 0.3, 3}}, apply(m.mask));
    }
    list.add("constant scores", {{{2, 3, 5}, -2, 2, constant}, {{2, 3}, 0.3, 3}}, apply({rows, false}));
    list.add("constant beta", {{{2, 3, 5}, -2, 2}, {{2, 3}, 0.3, 3, constant}}, apply({rows, false}));
    list.add("scores around 700", {{{1, 2, 5}, -2, 2}}, [f = apply({})](Tape<double>& t, Inputs x) {
      const V high[] = {affine(t, x[0], 1, 700)};
      return f(t, high);
    });
  }
}

void combine_cases(std::vector<GradientCase>& cases) {
  for (const auto& [name, plugin] : combiners().entries()) {
    CaseList list(name, cases);
    const GradientFunction f = [plugin = &plugin](Tape<double>& t, Inputs x) {
      return plugin->apply<double>(t, x[0], x[1]);
    };
    for (CaseSizes s : case_sizes) {
      if (name == "gate") s.q = 1;
      list.add(s.text(), {{{s.b, s.q, s.n}}, {{s.b, s.d, s.n}}}, f);
    }
    list.add("constant weights", {{.shape = {2, 1, 5}, .role = constant}, {{2, 3, 5}}}, f);
    list.add("constant values", {{{2, 1, 5}}, {.shape = {2, 3, 5}, .role = constant}}, f);
    list.add("values their own weights", {{{2, 1, 5}}}, [f](Tape<double>& t, Inputs x) {
      const V twice[] = {x[0], x[0]};
      return f(t, twice);
    });
  }
}

GradientInput interior(const Declared& d, std::size_t rows) {
  const Shape shape{rows, d.count()};
  switch (d.kind) {
    case Kind::weights:
    case Kind::sub_weights:
    case Kind::gate: return {shape, 0.1, 0.9};
    case Kind::positive: return {shape, 1, 3};
    default: return {shape, 0.2, 1};
  }
}

/// Every plain score with every normalizer whose rows sum to 1, each move on and off, shifts over 1, 3 and 5.
template <class F>
void each_setup(F f) {
  for (const auto& [score, plugin] : scores().entries())
    for (const auto& [normalizer, normalizes] : normalizers().entries())
      for (int moves = 0; plugin.needs_query && plugin.needs_equal_sizes && normalizes.sums_to_one && moves < 12;
           ++moves)
        f(AddressingSetup{.slots = 10,
                          .width = 3,
                          .shifts = static_cast<std::size_t>(1 + moves % 3 * 2),
                          .similarity = score,
                          .normalizer = normalizer,
                          .interpolates = moves / 3 % 2 == 0,
                          .sharpens = moves / 6 == 0});
}

/// Interior values of each kind; the memory's slots are away from 0, where the cosine turns sharply.
void addressing_cases(std::vector<GradientCase>& cases) {
  struct Module {
    ParameterSet<double> set;
    std::unique_ptr<Addressing<double>> scheme;
  };
  CaseList list("addressing", cases);
  const auto add = [&](const std::string& variant, const AddressingPlugin& plugin, std::size_t b,
                       const AddressingSetup& setup) {
    const std::size_t n = setup.slots;
    auto module = std::make_shared<Module>();
    module->scheme = plugin.make<double>(Builder<double>(module->set), setup);
    std::vector<GradientInput> inputs;
    for (const HeadParameter& p : plugin.declare(setup).parameters) inputs.push_back(interior(p.declared, b));
    const std::size_t count = inputs.size();
    inputs.push_back({{b, setup.width, n}, 0.2, 1});
    inputs.push_back({{b, n}, 0.05, 1});
    for (const Parameter& p : module->set.parameters()) inputs.push_back({p.shape, -1, 1, parameter});
    list.add(variant, inputs, [module, count](Tape<double>& t, Inputs x) {
      auto* parameters = t.scratch<V>(count);
      std::uninitialized_copy_n(x.begin(), count, parameters);
      Pass<double> pass{t};
      return (*module->scheme)(pass, {parameters, count}, x[count], x[count + 1]);
    });
  };
  for (const auto& [name, plugin] : addressing_schemes().entries()) {
    for (const auto& [b, n, shifts] : {std::array<std::size_t, 3>{1, 1, 3}, {2, 5, 3}, {2, 3, 5}, {1, 9, 1}})
      add(fmt::format("{}, B={} N={} S={}", name, b, n, shifts), plugin, b, {.slots = n, .width = 3, .shifts = shifts});
    std::set<std::string> done;
    each_setup([&](const AddressingSetup& setup) {
      const AddressingParts parts = plugin.declare(setup).parts;
      const bool shifted = std::count(parts.moves.begin(), parts.moves.end(), "shift") > 0;
      const std::string variant = fmt::format("{}, {} {} {} S={}", name, parts.similarity, parts.normalizer,
                                              join(parts.moves, ">"), shifted ? std::to_string(setup.shifts) : "none");
      if (done.insert(variant).second) add(variant, plugin, 2, setup);
    });
  }
}

}  // namespace

void add_score_cases(CaseList& list, V (*op)(Tape<double>&, V, V), double low) {
  const GradientFunction f = [op](Tape<double>& t, Inputs x) { return op(t, x[0], x[1]); };
  for (const CaseSizes& s : case_sizes) list.add(s.text(), {{{s.b, s.q, s.d}, low, 1}, {{s.b, s.d, s.n}, low, 1}}, f);
  list.add("constant query", {{{2, 2, 3}, low, 1, constant}, {{2, 3, 5}, low, 1}}, f);
  list.add("constant keys", {{{2, 2, 3}, low, 1}, {{2, 3, 5}, low, 1, constant}}, f);
  list.add("query and keys from one value", {{{2, 3, 3}, low, 1}},
           [op](Tape<double>& t, Inputs x) { return op(t, x[0], x[0]); });
}

Registry<CaseMaker>& case_makers() {
  static Registry<CaseMaker> registry("gradient cases");
  return registry;
}

std::vector<GradientCase> attention_cases() {
  std::vector<GradientCase> cases;
  for (const auto& [op, make] : case_makers().entries()) {
    CaseList list(op, cases);
    make(list);
  }
  score_cases(cases);
  normalize_cases(cases);
  combine_cases(cases);
  addressing_cases(cases);
  return cases;
}

}  // namespace mneme
