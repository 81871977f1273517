#include "controllers/cases.hpp"

#include "autodiff/ops.hpp"
#include "controllers/gru.hpp"
#include "controllers/lstm.hpp"
#include "controllers/run.hpp"

namespace mneme {

std::vector<GradientCase> controller_cases() {
  using V = Var<double>;
  using Inputs = std::span<const V>;
  std::vector<GradientCase> list;
  const GradientFunction both = [](Tape<double>& t, Inputs x) {
    const LstmState<double> y = lstm_cell(t, x[0], x[1]);
    return asymmetric_loss(t, {y.h, y.c});
  };
  for (std::size_t rows : {1, 2})
    for (std::size_t n : {1, 3, 8, 13})
      list.push_back({"lstm_cell", fmt::format("B={} H={}", rows, n), {{{rows, 4 * n}, -2, 2}, {{rows, n}}}, both});
  list.push_back({"lstm_cell", "h alone", {{{2, 12}, -2, 2}, {{2, 3}}}, [](Tape<double>& t, Inputs x) {
                    return lstm_cell(t, x[0], x[1]).h;
                  }});
  list.push_back({"lstm_cell", "c alone", {{{2, 12}, -2, 2}, {{2, 3}}}, [](Tape<double>& t, Inputs x) {
                    return lstm_cell(t, x[0], x[1]).c;
                  }});
  constexpr auto constant = GradientInput::Role::constant;
  list.push_back({"lstm_cell", "constant z", {{{2, 12}, -2, 2, constant}, {{2, 3}}}, both});
  list.push_back({"lstm_cell", "constant c", {{{2, 12}, -2, 2}, {{2, 3}, -1, 1, constant}}, both});
  list.push_back({"lstm_cell", "two steps", {{{2, 12}, -2, 2}, {{2, 3}}}, [](Tape<double>& t, Inputs x) {
                    const LstmState<double> y = lstm_cell(t, x[0], x[1]);
                    const V z[] = {y.h, y.c, y.h, y.h};
                    return lstm_cell(t, concatenate<double>(t, z), y.c).h;
                  }});

  // Elman steps forwards, and backwards: h = tanh(z)
  const auto joined = [](bool backwards) -> GradientFunction {
    return [=](Tape<double>& t, Inputs x) {
      const std::size_t rows = x[3].shape[0], steps = x[0].shape[0] / rows;
      const JoinedSteps<double> z(t, x[0], x[1], x[2], rows);
      V h = x[3];
      for (std::size_t i = 0; i < steps; ++i) h = tanh(t, z(t, backwards ? steps - 1 - i : i, h));
      return h;
    };
  };
  for (const auto role : {GradientInput::Role::variable, GradientInput::Role::parameter})
    for (std::size_t rows : {1, 2, 5})
      for (bool backwards : {false, true})
        list.push_back({"joined_steps",
                        fmt::format("B={}{}{}", rows, backwards ? ", backwards" : "",
                                    role == GradientInput::Role::parameter ? ", parameters" : ""),
                        {{{3 * rows, 2}}, {{6, 4}, -1, 1, role}, {{4}, -1, 1, role}, {{rows, 4}}},
                        joined(backwards)});
  for (std::size_t fixed = 0; fixed < 4; ++fixed) {
    std::vector<GradientInput> inputs{{{6, 2}}, {{5, 3}}, {{3}}, {{2, 3}}};
    inputs[fixed].role = constant;
    list.push_back({"joined_steps", fmt::format("input {} constant", fixed), inputs, joined(false)});
  }

  const GradientFunction gru = [](Tape<double>& t, Inputs x) { return gru_cell(t, x[0], x[1], x[2]); };
  for (std::size_t rows : {1, 2})
    for (std::size_t n : {1, 3, 8, 13})
      list.push_back({"gru_cell",
                      fmt::format("B={} H={}", rows, n),
                      {{{rows, 3 * n}, -2, 2}, {{rows, 3 * n}, -2, 2}, {{rows, n}}},
                      gru});
  for (std::size_t fixed = 0; fixed < 3; ++fixed) {
    std::vector<GradientInput> inputs{{{2, 9}, -2, 2}, {{2, 9}, -2, 2}, {{2, 3}}};
    inputs[fixed].role = constant;
    list.push_back({"gru_cell", fmt::format("input {} constant", fixed), inputs, gru});
  }
  list.push_back({"gru_cell", "both parts from one value", {{{2, 9}, -2, 2}, {{2, 3}}}, [](Tape<double>& t, Inputs x) {
                    return gru_cell(t, x[0], x[0], x[1]);
                  }});
  return list;
}

}  // namespace mneme
