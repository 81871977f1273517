// Room: autodiff. A gradient check of every op in autodiff/ops.hpp, once for each path through its code.
#include "autodiff/gradcheck.hpp"
#include "autodiff/map.hpp"
#include "autodiff/ops.hpp"

#include <limits>

namespace mneme {

namespace {

using V = Var<double>;
using Inputs = std::span<const V>;
using Role = GradientInput::Role;
constexpr Role variable = Role::variable, constant = Role::constant, parameter = Role::parameter;

/// Sizes below, at and above one SIMD register, with tails.
constexpr std::size_t widths[] = {1, 3, 8, 13};

class List {
 public:
  void add(const char* name, std::string variant, std::vector<GradientInput> inputs, GradientFunction function) {
    cases_.push_back({name, std::move(variant), std::move(inputs), std::move(function)});
  }

  /// One operand, all widths.
  void unary(const char* name, double low, double high, V (*op)(Tape<double>&, V)) {
    const GradientFunction f = [op](Tape<double>& t, Inputs x) { return op(t, x[0]); };
    for (std::size_t n : widths) add(name, fmt::format("[2 {}]", n), {{{2, n}, low, high, variable}}, f);
    add(name, "scalar", {{{}, low, high, variable}}, f);
    add(name, "parameter", {{{3, 5}, low, high, parameter}}, f);
    add(name, "of its own result", {{{2, 3}, low, high, variable}}, [op](Tape<double>& t, Inputs x) {
      return asymmetric_loss(t, {x[0], op(t, x[0])});
    });
  }

  /// Two operands of one shape, all widths, each constant in turn, and one Var as both.
  void binary(const char* name, double low, double high, V (*op)(Tape<double>&, V, V)) {
    const GradientFunction f = [op](Tape<double>& t, Inputs x) { return op(t, x[0], x[1]); };
    for (std::size_t n : widths)
      add(name, fmt::format("[2 {}]", n), {{{2, n}, low, high, variable}, {{2, n}, low, high, variable}}, f);
    add(name, "first constant", {{{3, 3}, low, high, constant}, {{3, 3}, low, high, variable}}, f);
    add(name, "second constant", {{{3, 3}, low, high, variable}, {{3, 3}, low, high, constant}}, f);
    add(name, "parameter and value", {{{3, 3}, low, high, parameter}, {{3, 3}, low, high, variable}}, f);
    add(name, "same operand twice", {{{2, 5}, low, high, variable}},
        [op](Tape<double>& t, Inputs x) { return op(t, x[0], x[0]); });
    add(name, "operand used again", {{{2, 5}, low, high, variable}, {{2, 5}, low, high, variable}},
        [op](Tape<double>& t, Inputs x) { return op(t, op(t, x[0], x[1]), x[1]); });
  }

  std::vector<GradientCase> take() { return std::move(cases_); }

 private:
  std::vector<GradientCase> cases_;
};

void elementwise_cases(List& list) {
  list.binary("add", -2, 2, add<double>);
  list.binary("subtract", -2, 2, subtract<double>);
  list.binary("multiply", -2, 2, multiply<double>);
  list.binary("divide", 0.4, 2, divide<double>);
  list.unary("affine", -2, 2, [](Tape<double>& t, V x) { return affine(t, x, -1.7, 0.4); });
  list.unary("tanh", -3, 3, tanh<double>);
  list.unary("sigmoid", -4, 4, sigmoid<double>);
  list.unary("relu", 0.1, 2, relu<double>);
  list.unary("relu", -2, -0.1, relu<double>);
  list.unary("relu", -2, 2, relu<double>);
  list.unary("softplus", -4, 4, softplus<double>);
  list.unary("softplus", 30, 60, softplus<double>);
  list.unary("exp", -2, 2, exp<double>);
  list.unary("log", 0.3, 3, log<double>);
  list.unary("sqrt", 0.3, 3, sqrt<double>);
  const GradientFunction swish = [](Tape<double>& t, Inputs x) {
    return map(
        t, "swish", [](auto v) { return v * sigmoid(v) / (1.5 + exp(-v)) - 0.5; }, x[0]);
  };
  for (std::size_t n : widths) list.add("map", fmt::format("one operand, [2 {}]", n), {{{2, n}, -2, 2}}, swish);
  const GradientFunction mix = [](Tape<double>& t, Inputs x) {
    const auto formula = [](auto a, auto b) { return tanh(a) * sqrt(b) + softplus(a * b) - log(b) / b; };
    return map(t, "mix", formula, x[0], x[1]);
  };
  for (std::size_t n : widths)
    list.add("map", fmt::format("two operands, [2 {}]", n), {{{2, n}, -2, 2}, {{2, n}, 0.3, 2}}, mix);
}

void shape_cases(List& list) {
  const GradientFunction join = [](Tape<double>& t, Inputs x) { return concatenate(t, x); };
  list.add("concatenate", "widths 1, 3, 8", {{{2, 1}}, {{2, 3}}, {{2, 8}}}, join);
  list.add("concatenate", "one part", {{{5, 3}}}, join);
  list.add("concatenate", "one row", {{{1, 13}}, {{1, 2}}}, join);
  list.add("concatenate", "rank 3", {{{2, 3, 4}}, {{2, 3, 1}}}, join);
  list.add("concatenate", "rank 1", {{{4}}, {{3}}}, join);
  list.add("concatenate", "a constant part", {{{3, 2}}, {.shape = {3, 5}, .role = constant}, {{3, 1}}}, join);
  list.add("concatenate", "a parameter part", {{.shape = {3, 2}, .role = parameter}, {{3, 4}}}, join);
  list.add("concatenate", "one part twice", {{{2, 3}}, {{2, 2}}}, [](Tape<double>& t, Inputs x) {
    const V parts[] = {x[0], x[1], x[0]};
    return concatenate<double>(t, parts);
  });

  const auto stack = [](std::size_t parts) {
    return [parts](Tape<double>& t, Inputs x) { return stack_steps(t, x, parts); };
  };
  list.add("stack_steps", "three steps of one part", {{{2, 3}}, {{2, 3}}, {{2, 3}}}, stack(1));
  list.add("stack_steps", "two steps of two parts", {{{2, 3}}, {{2, 9}}, {{2, 3}}, {{2, 9}}}, stack(2));
  list.add("stack_steps", "one step of two parts", {{{3, 1}}, {{3, 5}}}, stack(2));
  list.add("stack_steps", "one row", {{{1, 2}}, {{1, 2}}}, stack(1));
  list.add("stack_steps", "a constant step", {{{2, 2}}, {.shape = {2, 2}, .role = constant}}, stack(1));
  list.add("stack_steps", "one handle as two steps", {{{2, 3}}}, [](Tape<double>& t, Inputs x) {
    const V steps[] = {x[0], x[0]};
    return stack_steps<double>(t, steps, 1);
  });

  const auto cut = [](std::size_t begin, std::size_t count) {
    return [=](Tape<double>& t, Inputs x) { return slice(t, x[0], begin, count); };
  };
  list.add("slice", "first column", {{{3, 5}}}, cut(0, 1));
  list.add("slice", "last columns", {{{3, 5}}}, cut(3, 2));
  list.add("slice", "everything", {{{2, 13}}}, cut(0, 13));
  list.add("slice", "middle of rank 3", {{{2, 3, 9}}}, cut(1, 7));
  list.add("slice", "of a vector", {{{6}}}, cut(2, 3));
  list.add("slice", "of a parameter", {{.shape = {4, 5}, .role = parameter}}, cut(1, 2));
  list.add("slice", "overlapping", {{{2, 8}}},
           [](Tape<double>& t, Inputs x) { return multiply(t, slice(t, x[0], 0, 5), slice(t, x[0], 3, 5)); });
  list.add("slice", "beside a full use", {{{2, 4}}}, [](Tape<double>& t, Inputs x) {
    return asymmetric_loss(t, {tanh(t, x[0]), slice(t, x[0], 1, 2), sigmoid(t, x[0])});
  });

  const auto repeat = [](std::size_t rows) {
    return [rows](Tape<double>& t, Inputs x) { return repeat_rows(t, x[0], rows); };
  };
  list.add("repeat_rows", "once", {{{3}}}, repeat(1));
  list.add("repeat_rows", "five times", {{{13}}}, repeat(5));
  list.add("repeat_rows", "a matrix", {{{2, 3}}}, repeat(3));
  list.add("repeat_rows", "rank 3", {{{2, 1, 3}}}, repeat(2));
  list.add("repeat_rows", "a scalar", {{{}}}, repeat(4));
  list.add("repeat_rows", "a parameter", {{.shape = {8}, .role = parameter}}, repeat(2));

  const auto rows = [](std::size_t begin, std::size_t count) {
    return [=](Tape<double>& t, Inputs x) { return slice_rows(t, x[0], begin, count); };
  };
  list.add("slice_rows", "first row", {{{3, 5}}}, rows(0, 1));
  list.add("slice_rows", "last rows", {{{5, 3}}}, rows(3, 2));
  list.add("slice_rows", "everything", {{{2, 13}}}, rows(0, 2));
  list.add("slice_rows", "of rank 3", {{{2, 3, 4}}}, rows(1, 4));
  list.add("slice_rows", "of a parameter", {{.shape = {4, 5}, .role = parameter}}, rows(1, 2));
  list.add("slice_rows", "overlapping, beside a full use", {{{4, 2}}}, [](Tape<double>& t, Inputs x) {
    return asymmetric_loss(t, {slice_rows(t, x[0], 0, 3), slice_rows(t, x[0], 1, 2), tanh(t, x[0])});
  });

  const auto choose = [](std::vector<std::uint8_t> active) {
    return [active](Tape<double>& t, Inputs x) { return choose_rows(t, active.data(), x[0], x[1]); };
  };
  list.add("choose_rows", "some", {{{4, 3}}, {{4, 3}}}, choose({1, 0, 0, 1}));
  list.add("choose_rows", "all", {{{2, 9}}, {{2, 9}}}, choose({1, 1}));
  list.add("choose_rows", "none", {{{2, 9}}, {{2, 9}}}, choose({0, 0}));
  list.add("choose_rows", "rank 3", {{{3, 2, 5}}, {{3, 2, 5}}}, choose({0, 1, 0}));
  list.add("choose_rows", "rank 1", {{{3}}, {{3}}}, choose({0, 1, 0}));
  list.add("choose_rows", "constant old", {{{3, 2}}, {.shape = {3, 2}, .role = constant}}, choose({0, 1, 1}));
  list.add("choose_rows", "constant update", {{.shape = {3, 2}, .role = constant}, {{3, 2}}}, choose({0, 1, 1}));
  list.add("choose_rows", "frozen over two steps", {{{3, 4}}}, [](Tape<double>& t, Inputs x) {
    static constexpr std::uint8_t first[] = {1, 1, 0}, second[] = {1, 0, 0};
    const V h = choose_rows(t, first, tanh(t, x[0]), x[0]);
    return choose_rows(t, second, tanh(t, h), h);
  });
}

void sum_cases(List& list) {
  const GradientFunction total = [](Tape<double>& t, Inputs x) { return sum(t, x[0]); };
  for (std::size_t n : widths) list.add("sum", fmt::format("[2 {}]", n), {{{2, n}}}, total);
  list.add("sum", "scalar", {{{}}}, total);
  list.add("sum", "rank 4", {{{2, 1, 3, 2}}}, total);
  list.add("sum", "of squares", {{{7}}}, [](Tape<double>& t, Inputs x) { return sum(t, multiply(t, x[0], x[0])); });

  const GradientFunction bias = [](Tape<double>& t, Inputs x) { return add_bias(t, x[0], x[1]); };
  const GradientFunction scale = [](Tape<double>& t, Inputs x) { return scale_rows(t, x[0], x[1]); };
  for (std::size_t rows : {1, 2, 5})
    for (std::size_t n : widths) {
      const std::string shape = fmt::format("[{} {}]", rows, n);
      list.add("add_bias", shape, {{{rows, n}}, {{n}}}, bias);
      list.add("scale_rows", shape, {{{rows, n}}, {{rows, 1}}}, scale);
    }
  list.add("add_bias", "constant rows, parameter bias",
           {{.shape = {3, 5}, .role = constant}, {.shape = {5}, .role = parameter}}, bias);
  list.add("add_bias", "constant bias", {{{3, 5}}, {.shape = {5}, .role = constant}}, bias);
  list.add("add_bias", "rank 3", {{{2, 3, 4}}, {{4}}}, bias);
  list.add("add_bias", "a row as its own bias", {{{1, 6}}},
           [](Tape<double>& t, Inputs x) { return add_bias(t, x[0], x[0].reshaped({6})); });
  list.add("scale_rows", "constant rows", {{.shape = {3, 5}, .role = constant}, {{3}}}, scale);
  list.add("scale_rows", "constant scales", {{{3, 5}}, {.shape = {3}, .role = constant}}, scale);
  list.add("scale_rows", "rank 3", {{{2, 3, 4}}, {{2, 3, 1}}}, scale);
  list.add("scale_rows", "a column by itself", {{{5, 1}}},
           [](Tape<double>& t, Inputs x) { return scale_rows(t, x[0], x[0]); });
}

void product_cases(List& list) {
  const GradientFunction biased = [](Tape<double>& t, Inputs x) { return linear(t, x[0], x[1], x[2]); };
  const GradientFunction plain = [](Tape<double>& t, Inputs x) { return linear(t, x[0], x[1]); };
  for (std::size_t rows : {1, 2, 5})
    for (Role role : {variable, parameter}) {
      const std::string kind = fmt::format("{} weight, {} rows", role == parameter ? "parameter" : "variable", rows);
      for (std::size_t in : {1, 3, 13})
        list.add("linear", fmt::format("{}, {} to 4, bias", kind, in),
                 {{{rows, in}}, {.shape = {in, 4}, .role = role}, {.shape = {4}, .role = role}}, biased);
      for (std::size_t out : widths)
        list.add("linear", fmt::format("{}, 3 to {}", kind, out), {{{rows, 3}}, {.shape = {3, out}, .role = role}},
                 plain);
    }
  list.add("linear", "constant input",
           {{.shape = {3, 4}, .role = constant}, {.shape = {4, 5}, .role = parameter}, {{5}}}, biased);
  list.add("linear", "constant weight", {{{3, 4}}, {.shape = {4, 5}, .role = constant}, {{5}}}, biased);
  list.add("linear", "constant bias", {{{3, 4}}, {{4, 5}}, {.shape = {5}, .role = constant}}, biased);
  list.add("linear", "rank 3 input", {{{2, 3, 4}}, {.shape = {4, 2}, .role = parameter}, {{2}}}, biased);
  list.add("linear", "rank 1 input", {{{4}}, {.shape = {4, 3}, .role = parameter}, {{3}}}, biased);
  const GradientFunction joined = [](Tape<double>& t, Inputs x) {
    return linear(t, x.first(x.size() - 2), x[x.size() - 2], x[x.size() - 1]);
  };
  for (std::size_t rows : {1, 2, 4})
    for (std::size_t constants : {0, 1, 2, 3}) {
      std::vector<GradientInput> inputs{{{rows, 2}}, {{rows, 1}}, {{rows, 9}}};
      for (std::size_t i = 0; i < constants; ++i) inputs[i].role = constant;
      inputs.push_back({.shape = {12, 5}, .role = parameter});
      inputs.push_back({{5}});
      list.add("linear", fmt::format("{} rows of three parts, {} constant", rows, constants), inputs, joined);
    }
  list.add("linear", "parts of one value", {{{2, 3}}, {.shape = {6, 4}, .role = parameter}, {{4}}},
           [](Tape<double>& t, Inputs x) {
             const Var<double> twice[] = {x[0], x[0]};
             return linear(t, std::span<const Var<double>>(twice), x[1], x[2]);
           });
  list.add("linear", "recurrent: one weight at three steps",
           {{{3, 4}}, {.shape = {4, 4}, .role = parameter}, {.shape = {4}, .role = parameter}},
           [](Tape<double>& t, Inputs x) {
             V h = x[0];
             for (int step = 0; step < 3; ++step) h = tanh(t, linear(t, h, x[1], x[2]));
             return h;
           });
  list.add("linear", "a weight of several row counts", {{{1, 3}}, {{4, 3}}, {.shape = {3, 2}, .role = parameter}},
           [](Tape<double>& t, Inputs x) {
             return asymmetric_loss(t, {linear(t, x[0], x[2]), linear(t, x[1], x[2])});
           });
  list.add("linear", "a weight that other ops use too", {{{2, 3}}, {.shape = {3, 3}, .role = parameter}},
           [](Tape<double>& t, Inputs x) {
             return asymmetric_loss(t, {tanh(t, x[1]), linear(t, x[0], x[1]), sum(t, x[1])});
           });
  list.add("linear", "a parameter of another shape as weight", {{{4, 3}}, {.shape = {2, 6}, .role = parameter}},
           [](Tape<double>& t, Inputs x) {
             return linear(t, x[0], x[1].reshaped({3, 4}));
           });
  list.add("linear", "a vector parameter as weight", {{{3, 2}}, {.shape = {6}, .role = parameter}},
           [](Tape<double>& t, Inputs x) {
             return linear(t, x[0], x[1].reshaped({2, 3}));
           });
  list.add("linear", "a parameter as input", {{.shape = {3, 2}, .role = parameter}, {{2, 4}}}, plain);
  list.add("linear", "a parameter times itself", {{.shape = {3, 3}, .role = parameter}},
           [](Tape<double>& t, Inputs x) { return linear(t, x[0], x[0]); });

  for (bool transpose : {false, true}) {
    const GradientFunction f = [transpose](Tape<double>& t, Inputs x) {
      return batched_product(t, x[0], x[1], transpose);
    };
    const auto c = [&](std::size_t b, std::size_t k, std::size_t n) {
      return transpose ? Shape{b, n, k} : Shape{b, k, n};
    };
    const char* kind = transpose ? "transposed" : "plain";
    for (std::size_t batch : {1, 2})
      for (std::size_t m : {1, 3})
        for (std::size_t k : {1, 4})
          for (std::size_t n : {1, 5})
            list.add("batched_product", fmt::format("{}, B={} m={} k={} n={}", kind, batch, m, k, n),
                     {{{batch, m, k}}, {c(batch, k, n)}}, f);
    list.add("batched_product", fmt::format("{}, first constant", kind),
             {{.shape = {2, 3, 4}, .role = constant}, {c(2, 4, 5)}}, f);
    list.add("batched_product", fmt::format("{}, second constant", kind),
             {{{2, 3, 4}}, {.shape = c(2, 4, 5), .role = constant}}, f);
    list.add("batched_product", fmt::format("{}, by itself", kind), {{{2, 3, 3}}},
             [transpose](Tape<double>& t, Inputs x) { return batched_product(t, x[0], x[0], transpose); });
  }

  const GradientFunction projected = [](Tape<double>& t, Inputs x) { return project(t, x[0], x[1]); };
  for (Role role : {variable, parameter})
    for (std::size_t batch : {1, 3})
      for (std::size_t a : {1, 4})
        for (std::size_t n : {1, 5})
          list.add("project",
                   fmt::format("{} weight, B={} A={} N={}", role == parameter ? "parameter" : "variable", batch, a, n),
                   {{.shape = {a, 3}, .role = role}, {{batch, 3, n}}}, projected);
  list.add("project", "constant weight", {{.shape = {4, 3}, .role = constant}, {{2, 3, 5}}}, projected);
  list.add("project", "constant sets", {{{4, 3}}, {.shape = {2, 3, 5}, .role = constant}}, projected);
  list.add("project", "a parameter that a product uses too", {{.shape = {3, 3}, .role = parameter}, {{2, 3, 3}}},
           [](Tape<double>& t, Inputs x) { return linear(t, project(t, x[0], x[1]), x[0]); });

  const auto gather = [](std::vector<std::int32_t> index) {
    return [index](Tape<double>& t, Inputs x) { return gather_rows<double>(t, x[0], index); };
  };
  for (Role role : {variable, parameter}) {
    const char* kind = role == parameter ? "parameter" : "variable";
    list.add("gather_rows", fmt::format("{}, repeats and nothing", kind), {{.shape = {4, 3}, .role = role}},
             gather({2, -1, 2, 0, 3, 2}));
    list.add("gather_rows", fmt::format("{}, one row", kind), {{.shape = {1, 13}, .role = role}}, gather({0}));
    list.add("gather_rows", fmt::format("{}, beside another use", kind), {{.shape = {3, 2}, .role = role}},
             [](Tape<double>& t, Inputs x) {
               static constexpr std::int32_t index[] = {1, 1};
               return asymmetric_loss(t, {gather_rows<double>(t, x[0], index), tanh(t, x[0])});
             });
  }
}

void loss_cases(List& list) {
  for (std::size_t n : widths) {
    std::vector<float> bits(5 * n), reals(5 * n);
    for (std::size_t i = 0; i < bits.size(); ++i) {
      bits[i] = i * 7 % 3 == 1 ? 1.0f : 0.0f;
      reals[i] = static_cast<float>(i % 4) - 1.25f;
    }
    const std::string shape = fmt::format("[5 {}]", n);
    const std::vector<std::uint8_t> all(5, 1), some{0, 1, 1, 0, 1};
    for (const auto& [what, scored] : {std::pair{"all scored", all}, std::pair{"some scored", some}}) {
      list.add("bits_loss", fmt::format("{}, {}", shape, what), {{{5, n}, -4, 4}},
               [bits, scored = scored](Tape<double>& t, Inputs x) {
                 return bits_loss(t, x[0], bits.data(), scored.data(), 0.7);
               });
      list.add("squared_loss", fmt::format("{}, {}", shape, what), {{{5, n}, -2, 2}},
               [reals, scored = scored](Tape<double>& t, Inputs x) {
                 return squared_loss(t, x[0], reals.data(), scored.data(), 0.7);
               });
      std::vector<std::int32_t> classes(5, -1);
      for (std::size_t r = 0; r < 5; ++r)
        if (scored[r]) classes[r] = static_cast<std::int32_t>(r * 3 % n);
      list.add("class_loss", fmt::format("{}, {}", shape, what), {{{5, n}, -3, 3}},
               [classes, scored = scored](Tape<double>& t, Inputs x) {
                 return class_loss(t, x[0], classes.data(), scored.data(), 0.7);
               });
    }
  }
  // What a pointer target does: items past the row's count are minus infinity.
  list.add("class_loss", "left out entries", {{{2, 5}, -3, 3}}, [](Tape<double>& t, Inputs x) {
    static constexpr std::int32_t classes[] = {1, 3};
    static constexpr std::uint8_t scored[] = {1, 1};
    V mask = t.filled({2, 5}, 0.0);
    mask.data[0] = mask.data[9] = -std::numeric_limits<double>::infinity();
    return class_loss(t, add(t, x[0], mask), classes, scored, 1);
  });
}

}  // namespace

std::vector<GradientCase> gradient_cases() {
  List list;
  elementwise_cases(list);
  shape_cases(list);
  sum_cases(list);
  product_cases(list);
  loss_cases(list);
  return list.take();
}

}  // namespace mneme
