// Room: attention. Gradient cases of this room. Every registered score, normalizer, combiner and addressing scheme has
// its cases by being registered; what else an op should be tried on, its own file adds by one line.
#pragma once

#include "autodiff/gradcheck.hpp"
#include "core/registry.hpp"

#include <fmt/core.h>

namespace mneme {

/// See autodiff/gradcheck.hpp; whole plug-ins are checked in experiments/proving/gradcheck.hpp.
std::vector<GradientCase> attention_cases();

/// B Q D N: below, at and above a SIMD register, with tails, one of everything, more elements than width and fewer.
struct CaseSizes {
  std::size_t b, q, d, n;
  std::string text() const { return fmt::format("B={} Q={} D={} N={}", b, q, d, n); }
};
inline constexpr CaseSizes case_sizes[] = {{1, 1, 1, 1}, {2, 1, 3, 4}, {1, 3, 2, 5}, {2, 2, 5, 8}, {1, 2, 4, 13}};

/// Cases of one name.
class CaseList {
 public:
  CaseList(std::string name, std::vector<GradientCase>& cases) : name_(std::move(name)), cases_(cases) {}
  void add(std::string variant, std::vector<GradientInput> inputs, GradientFunction function) {
    cases_.push_back({name_, std::move(variant), std::move(inputs), std::move(function)});
  }

 private:
  std::string name_;
  std::vector<GradientCase>& cases_;
};

/// An op of query and keys: all sizes, either constant, both from one value. `low` is the least number drawn.
void add_score_cases(CaseList& list, Var<double> (*op)(Tape<double>&, Var<double>, Var<double>), double low);

using CaseMaker = void (*)(CaseList&);
Registry<CaseMaker>& case_makers();

/// The line of an op's own file: const bool cases = register_cases("cosine_score", [](CaseList& list) { ... });
inline bool register_cases(const std::string& op, CaseMaker make) {
  return case_makers().add(op, make);
}

}  // namespace mneme
