#include "attention/cases.hpp"

#include "attention/combine.hpp"
#include "attention/location.hpp"
#include "attention/normalize.hpp"
#include "attention/score.hpp"
#include "autodiff/ops.hpp"

#include <memory>

namespace mneme {

namespace {

using V = Var<double>;
using Inputs = std::span<const V>;
using Role = GradientInput::Role;
constexpr Role constant = Role::constant, parameter = Role::parameter;

/// B Q D N: below, at and above a SIMD register, with tails, one of everything, more elements than width and fewer.
struct Sizes {
  std::size_t b, q, d, n;
  std::string text() const { return fmt::format("B={} Q={} D={} N={}", b, q, d, n); }
};
constexpr Sizes sizes[] = {{1, 1, 1, 1}, {2, 1, 3, 4}, {1, 3, 2, 5}, {2, 2, 5, 8}, {1, 2, 4, 13}};

class List {
 public:
  void add(const char* name, std::string variant, std::vector<GradientInput> inputs, GradientFunction function) {
    cases_.push_back({name, std::move(variant), std::move(inputs), std::move(function)});
  }
  std::vector<GradientCase> take() { return std::move(cases_); }

 private:
  std::vector<GradientCase> cases_;
};

void score_cases(List& list) {
  const auto plain = [&](const char* name, V (*op)(Tape<double>&, V, V), double low) {
    const GradientFunction f = [op](Tape<double>& t, Inputs x) { return op(t, x[0], x[1]); };
    for (const Sizes& s : sizes) list.add(name, s.text(), {{{s.b, s.q, s.d}, low, 1}, {{s.b, s.d, s.n}, low, 1}}, f);
    list.add(name, "constant query", {{{2, 2, 3}, low, 1, constant}, {{2, 3, 5}, low, 1}}, f);
    list.add(name, "constant keys", {{{2, 2, 3}, low, 1}, {{2, 3, 5}, low, 1, constant}}, f);
    list.add(name, "query and keys from one value", {{{2, 3, 3}, low, 1}},
             [op](Tape<double>& t, Inputs x) { return op(t, x[0], x[0]); });
  };
  plain("dot_score", dot_score<double>, -1);
  plain("scaled_dot_score", scaled_dot_score<double>, -1);
  plain("cosine_score", cosine_score<double>, 0.2);  // one sign: no vector is near 0, where it turns sharply
  // Within a step of 0 the cosine of plain vectors has no derivative; this one does, scaled by 1/sqrt(eps) = 1000.
  list.add("cosine_score", "a zero memory", {{{2, 2, 3}, 0.3, 1}}, [](Tape<double>& t, Inputs x) {
    return cosine_score(t, x[0], t.filled({2, 3, 5}, 0.0));
  });

  const GradientFunction additive = [](Tape<double>& t, Inputs x) { return additive_score(t, x[0], x[1], x[2]); };
  for (const Sizes& s : sizes)
    list.add("additive_score", s.text(), {{{s.b, s.q, s.d}}, {{s.b, s.d, s.n}}, {{s.d}}}, additive);
  for (std::size_t fixed : {0, 1, 2}) {
    std::vector<GradientInput> inputs{{{2, 2, 3}}, {{2, 3, 5}}, {{3}}};
    inputs[fixed].role = constant;
    list.add("additive_score", fmt::format("input {} constant", fixed), inputs, additive);
  }
  list.add("additive_score", "v a parameter", {{{2, 2, 3}}, {{2, 3, 5}}, {.shape = {3}, .role = parameter}}, additive);
}

void normalize_cases(List& list) {
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
    const char* op = name == "sigmoid" ? "sigmoid_normalize" : name.c_str();
    const auto apply = [plugin = &plugin](Mask mask) -> GradientFunction {
      return [=](Tape<double>& t, Inputs x) { return plugin->apply<double>(t, x[0], mask, x.size() > 1 ? x[1] : V{}); };
    };
    for (const Sizes& s : sizes) {
      list.add(op, s.text(), {{{s.b, s.q, s.n}, -2, 2}}, apply({}));
      list.add(op, s.text() + ", beta", {{{s.b, s.q, s.n}, -2, 2}, {{s.b, s.q}, 0.3, 3}}, apply({}));
    }
    for (const Masked& m : masks) {
      list.add(op, m.what, {{{2, 3, 5}, -2, 2}}, apply(m.mask));
      list.add(op, fmt::format("{}, beta", m.what), {{{2, 3, 5}, -2, 2}, {{2, 3}, 0.3, 3}}, apply(m.mask));
    }
    list.add(op, "constant scores", {{{2, 3, 5}, -2, 2, constant}, {{2, 3}, 0.3, 3}}, apply({rows, false}));
    list.add(op, "constant beta", {{{2, 3, 5}, -2, 2}, {{2, 3}, 0.3, 3, constant}}, apply({rows, false}));
    list.add(op, "scores around 700", {{{1, 2, 5}, -2, 2}}, [f = apply({})](Tape<double>& t, Inputs x) {
      const V high[] = {affine(t, x[0], 1, 700)};
      return f(t, high);
    });
  }
}

void combine_cases(List& list) {
  for (const auto& [name, plugin] : combiners().entries()) {
    const GradientFunction f = [plugin = &plugin](Tape<double>& t, Inputs x) {
      return plugin->apply<double>(t, x[0], x[1]);
    };
    for (Sizes s : sizes) {
      if (name == "gate") s.q = 1;
      list.add(name.c_str(), s.text(), {{{s.b, s.q, s.n}}, {{s.b, s.d, s.n}}}, f);
    }
    list.add(name.c_str(), "constant weights", {{.shape = {2, 1, 5}, .role = constant}, {{2, 3, 5}}}, f);
    list.add(name.c_str(), "constant values", {{{2, 1, 5}}, {.shape = {2, 3, 5}, .role = constant}}, f);
    list.add(name.c_str(), "values their own weights", {{{2, 1, 5}}}, [f](Tape<double>& t, Inputs x) {
      const V twice[] = {x[0], x[0]};
      return f(t, twice);
    });
  }
}

void location_cases(List& list) {
  const auto w = [](std::size_t b, std::size_t n, Role role = Role::variable) {
    return GradientInput{{b, n}, 0.05, 1, role};
  };
  const auto gate = [](std::size_t b) { return GradientInput{{b, 1}, 0.1, 0.9}; };
  const auto gamma = [](std::size_t b) { return GradientInput{{b, 1}, 1, 4}; };
  const auto shifts = [](std::size_t b, std::size_t s) { return GradientInput{{b, s}, 0.05, 1}; };

  const GradientFunction mix = [](Tape<double>& t, Inputs x) { return interpolate(t, x[0], x[1], x[2]); };
  const GradientFunction move = [](Tape<double>& t, Inputs x) { return shift(t, x[0], x[1]); };
  const GradientFunction power = [](Tape<double>& t, Inputs x) { return sharpen(t, x[0], x[1]); };
  const GradientFunction all = [](Tape<double>& t, Inputs x) { return location(t, x[0], x[1], x[2], x[3], x[4]); };
  for (const auto& [b, n] : {std::pair<std::size_t, std::size_t>{1, 1}, {2, 3}, {1, 8}, {2, 13}}) {
    const std::string text = fmt::format("B={} N={}", b, n);
    list.add("interpolate", text, {w(b, n), w(b, n), gate(b)}, mix);
    list.add("sharpen", text, {w(b, n), gamma(b)}, power);
    for (std::size_t s : {1, 3, 5, 9}) {
      list.add("shift", fmt::format("{} S={}", text, s), {w(b, n), shifts(b, s)}, move);
      list.add("location", fmt::format("{} S={}", text, s), {w(b, n), w(b, n), gate(b), shifts(b, s), gamma(b)}, all);
    }
  }
  list.add("interpolate", "content constant", {w(2, 3, constant), w(2, 3), gate(2)}, mix);
  list.add("interpolate", "previous constant", {w(2, 3), w(2, 3, constant), gate(2)}, mix);
  list.add("shift", "weighting constant", {w(2, 3, constant), shifts(2, 3)}, move);
  list.add("sharpen", "weighting constant", {w(2, 3, constant), gamma(2)}, power);
  list.add("sharpen", "weak strengths", {w(2, 3), {{2, 1}, 0.2, 0.9}}, power);
  for (std::size_t fixed = 0; fixed < 5; ++fixed) {
    std::vector<GradientInput> inputs{w(2, 5), w(2, 5), gate(2), shifts(2, 3), gamma(2)};
    inputs[fixed].role = constant;
    list.add("location", fmt::format("input {} constant", fixed), inputs, all);
  }
  // What a head starts from: one slot has it all, the others are exactly 0.
  list.add("location", "from one slot", {w(1, 7), gate(1), shifts(1, 3), gamma(1)}, [](Tape<double>& t, Inputs x) {
    V start = t.filled({1, 7}, 0.0);
    start.data[2] = 1;
    return location(t, x[0], start, x[1], x[2], x[3]);
  });
}

/// Every registered score with its own parameters: they are inputs of the case, in the order the module declared them.
void module_cases(List& list) {
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
      list.add("score", fmt::format("{}{}", name, hidden ? ", hidden 4" : ""), inputs,
               [module, asks](Tape<double>& t, Inputs x) { return (*module->score)(t, asks ? x[0] : V{}, x[asks]); });
      if (module->set.parameters().size() < 2) break;
    }
  }
}

}  // namespace

std::vector<GradientCase> attention_cases() {
  List list;
  score_cases(list);
  normalize_cases(list);
  combine_cases(list);
  location_cases(list);
  module_cases(list);
  return list.take();
}

}  // namespace mneme
