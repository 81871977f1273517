#include "memory/cases.hpp"

#include "memory/bags.hpp"
#include "memory/erase_add.hpp"
#include "memory/heads.hpp"

#include <memory>

namespace mneme {

namespace {

using V = Var<double>;
using Inputs = std::span<const V>;
using Role = GradientInput::Role;

HeadParameter head_parameter(std::string name, std::vector<std::size_t> dims, Squash squash) {
  return {{.name = std::move(name), .site = "", .dims = std::move(dims), .doc = ""}, squash};
}

void write_cases(std::vector<GradientCase>& list) {
  const GradientFunction f_erase = [](Tape<double>& t, Inputs x) { return erase(t, x[0], x[1], x[2]); };
  const GradientFunction f_write = [](Tape<double>& t, Inputs x) { return write(t, x[0], x[1], x[2]); };
  const GradientFunction f_both = [](Tape<double>& t, Inputs x) { return erase_add(t, x[0], x[1], x[2], x[3]); };
  struct Sizes {
    std::size_t b, m, n;
  };
  for (const auto& [b, m, n] : {Sizes{1, 1, 1}, Sizes{2, 3, 5}, Sizes{1, 5, 2}, Sizes{2, 2, 8}, Sizes{1, 3, 13}}) {
    const std::string text = fmt::format("B={} M={} N={}", b, m, n);
    const GradientInput memory{{b, m, n}}, w{{b, n}, 0, 1}, e{{b, m}, 0, 1}, a{{b, m}};
    list.push_back({"erase", text, {memory, w, e}, f_erase});
    list.push_back({"write", text, {memory, w, a}, f_write});
    list.push_back({"erase_add", text, {memory, w, e, a}, f_both});
  }
  for (std::size_t fixed = 0; fixed < 4; ++fixed) {
    std::vector<GradientInput> four{{{2, 3, 5}}, {{2, 5}, 0, 1}, {{2, 3}, 0, 1}, {{2, 3}}};
    four[fixed].role = Role::constant;
    const std::vector<GradientInput> three(four.begin(), four.begin() + 3);
    list.push_back({"erase_add", fmt::format("input {} constant", fixed), four, f_both});
    if (fixed == 3) break;
    list.push_back({"erase", fmt::format("input {} constant", fixed), three, f_erase});
    list.push_back({"write", fmt::format("input {} constant", fixed), three, f_write});
  }
}

void split_cases(std::vector<GradientCase>& list) {
  const auto split = [](std::vector<HeadParameter> parameters) -> GradientFunction {
    return [parameters](Tape<double>& t, Inputs x) {
      const Values<double> values = split_parameters<double>(t, x[0], parameters);
      return asymmetric_loss(t, std::span<const V>(values.data(), values.size()));
    };
  };
  const std::pair<const char*, Squash> squashes[] = {{"identity", Squash::identity},
                                                     {"tanh", Squash::tanh},
                                                     {"sigmoid", Squash::sigmoid},
                                                     {"softplus", Squash::softplus},
                                                     {"one_plus_softplus", Squash::one_plus_softplus},
                                                     {"softmax", Squash::softmax}};
  std::vector<HeadParameter> every;
  std::size_t total = 0;
  for (const auto& [name, squash] : squashes) {
    for (std::size_t n : {1, 3, 9})
      list.push_back({"split_parameters",
                      fmt::format("{}, {} numbers", name, n),
                      {{{2, n}, -3, 3}},
                      split({head_parameter("x", {n}, squash)})});
    every.push_back(head_parameter(name, {every.size() + 1}, squash));
    total += every.size();
  }
  every.push_back(head_parameter("one number", {}, Squash::sigmoid));
  every.push_back(head_parameter("a matrix", {2, 3}, Squash::tanh));
  total += 7;
  list.push_back({"split_parameters", "all in one", {{{3, total}, -3, 3}}, split(every)});
  // A head whose numbers nobody reads must not disturb its neighbours.
  list.push_back({"split_parameters", "one of two unused", {{{2, 5}, -2, 2}}, [](Tape<double>& t, Inputs x) {
                    const HeadParameter two[] = {head_parameter("unused", {2}, Squash::tanh),
                                                 head_parameter("used", {3}, Squash::softmax)};
                    return split_parameters<double>(t, x[0], two)[1];
                  }});
}

/// Bags with words that come twice, in one bag and in several, an empty bag and an empty row.
struct SomeBags {
  std::vector<std::uint32_t> count{3, 0, 2}, begin{0, 3, 3, 5, 5, 5, 5, 6, 9, 9};
  std::vector<std::int32_t> word{2, 0, 2, 1, 4, 2, 3, 3, 0}, age{2, 1, 0, 0, 0, 0, 3, 0, 0};
  std::vector<double> constant{0.5, 1, 0.25, -1, 0.3, 1, 2, 0.7, 0.1};
  std::vector<double> slope{0.1, 0, -0.2, 0.4, 0.25, 0, -0.1, 0.15, 0.3};
  Bags<double> bags() const { return {3, 3, count.data(), begin.data(), word.data(), constant.data(), slope.data()}; }
};

void bag_cases(std::vector<GradientCase>& list) {
  for (std::size_t width : {1, 3, 4, 9}) {
    const GradientFunction words = [some = SomeBags()](Tape<double>& t, Inputs x) {
      return embed_bags(t, some.bags(), x[0]);
    };
    const GradientFunction aged = [some = SomeBags()](Tape<double>& t, Inputs x) {
      return embed_bags(t, some.bags(), x[0], x[1], some.age.data());
    };
    const std::string text = fmt::format("D={}", width);
    list.push_back({"embed_bags", text, {{{5, width}}}, words});
    list.push_back({"embed_bags", text + ", ages", {{{5, width}}, {{4, width}}}, aged});
    list.push_back({"embed_bags",
                    text + ", parameters",
                    {{{5, width}, -1, 1, Role::parameter}, {{4, width}, -1, 1, Role::parameter}},
                    aged});
    list.push_back({"score_rows", text, {{{3, width}}, {{4, width}}}, [](Tape<double>& t, Inputs x) {
                      return score_rows(t, x[0], x[1]);
                    }});
  }
  const GradientFunction aged = [some = SomeBags()](Tape<double>& t, Inputs x) {
    return embed_bags(t, some.bags(), x[0], x[1], some.age.data());
  };
  list.push_back({"embed_bags", "table constant", {{{5, 3}, -1, 1, Role::constant}, {{4, 3}}}, aged});
  list.push_back({"embed_bags", "ages constant", {{{5, 3}}, {{4, 3}, -1, 1, Role::constant}}, aged});
}

}  // namespace

std::vector<GradientCase> memory_cases() {
  std::vector<GradientCase> list;
  write_cases(list);
  split_cases(list);
  bag_cases(list);
  return list;
}

}  // namespace mneme
