// feedforward against plain loops in double; the registry's message.
#include "tests/controllers/controller_rig.hpp"
#include "tests/controllers/twins.hpp"

namespace mneme {
namespace {

using test::draw;
using test::given;
using test::Numbers;
using test::Row;

TEST(Feedforward, LayersAgainstLoops) {
  constexpr std::size_t rows = 2;
  for (const char* activation : {"tanh", "relu", "sigmoid"})
    for (const std::size_t layers : {1, 3}) {
      SCOPED_TRACE(fmt::format("{} x {}", layers, activation));
      test::ControllerRig<double> rig(
          "feedforward", {{"hidden", "4"}, {"layers", std::to_string(layers)}, {"activation", activation}}, 5);
      for (std::size_t l = 0; l < layers; ++l) rig.set_parameter(fmt::format("layer_{}.bias", l), draw(4, 30 + l));
      const Numbers first = draw(rows * 3, 1), second = draw(rows * 2, 2);
      const Var<double> parts[] = {given(rig.tape, {rows, 3}, first), given(rig.tape, {rows, 2}, second)};
      std::span<Var<double>> state = rig.controller->begin(rig.pass, rows);
      EXPECT_TRUE(state.empty());
      EXPECT_TRUE(rig.controller->state().empty());
      const Var<double> y = rig.controller->step(rig.pass, parts, state);
      for (std::size_t b = 0; b < rows; ++b) {
        Row x = test::row_of(first, b, 3), more = test::row_of(second, b, 2);
        x.insert(x.end(), more.begin(), more.end());
        for (std::size_t l = 0; l < layers; ++l) {
          x = test::plain_linear(x, rig.parameter(fmt::format("layer_{}.weight", l)),
                                 rig.parameter(fmt::format("layer_{}.bias", l)), 4, 0, 4);
          for (double& v : x)
            v = *activation == 't' ? std::tanh(v) : *activation == 'r' ? std::max(v, 0.0) : test::plain_sigmoid(v);
        }
        test::expect_near(test::row_of(test::numbers(y), b, 4), x, 1e-13);
      }
    }
}

TEST(Controllers, AnUnknownNameListsWhatExists) {
  const std::string text = test::complaint([] { controllers().find("lstn"); });
  EXPECT_EQ(text.substr(0, text.find(" There")), "[controller] unknown controller 'lstn', did you mean 'lstm'?");
  EXPECT_NE(text.find("feedforward"), std::string::npos);
}

TEST(Controllers, AnOutputOtherThanTheOptionsSayIsRefused) {
  ControllerPlugin wrong = controllers().find("feedforward");
  wrong.name = "wrong";
  wrong.output_size = [](const Options&) { return std::size_t{7}; };
  ParameterSet<float> set;
  const Options options = wrong.options.parse("controller", {{"hidden", "5"}});
  EXPECT_EQ(test::complaint<InvariantError>([&] { wrong.make<float>(Builder<float>(set), options, 3); }),
            "[controller wrong] says that its output is 7 wide, and makes one of 5");
}

// g++ gives a function that knows a class by its template alone one name for all files.
TEST(Controllers, ClassesOfOneNameInTwoFilesStayTwo) {
  static const bool registered = test::register_first_twin() && test::register_second_twin();
  ASSERT_TRUE(registered);
  const auto output = [](const char* name) {
    const ControllerPlugin& plugin = controllers().find(name);
    ParameterSet<float> set;
    const auto twin = plugin.make<float>(Builder<float>(set), plugin.options.parse("controller", {}), 1);
    Tape<float> tape;
    tape.begin(false);
    Pass<float> pass{tape};
    const Var<float> x = tape.filled({1, 1}, 1);
    std::span<Var<float>> state = twin->begin(pass, 1);
    return twin->step(pass, {&x, 1}, state).data[0];
  };
  EXPECT_EQ(output("test_first_twin"), 2);
  EXPECT_EQ(output("test_second_twin"), 3);
}

TEST(Controllers, ABadOptionIsNamed) {
  EXPECT_EQ(test::complaint([] {
              controllers().find("lstm").options.parse("controller", {{"layers", "0"}});
            }),
            "[controller.layers] '0' is out of range; it takes 1..16");
  EXPECT_EQ(test::complaint([] {
              controllers().find("feedforward").options.parse("controller", {{"activation", "tan"}});
            }),
            "[controller.activation] 'tan' does not exist, did you mean 'tanh'?; it takes tanh|relu|sigmoid");
}

}  // namespace
}  // namespace mneme
