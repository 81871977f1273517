// Raw numbers to head parameters: each squash against its formula, what it promises, and extreme inputs.
#include "memory/heads.hpp"

#include "tests/support/values.hpp"

namespace mneme {
namespace {

using test::complaint;
using test::draw;
using test::given;
using test::Numbers;

HeadParameter parameter(std::string name, std::vector<std::size_t> dims, Squash squash) {
  return {{.name = std::move(name), .site = "", .dims = std::move(dims), .doc = ""}, squash};
}

const std::vector<HeadParameter>& all_squashes() {
  static const std::vector<HeadParameter> list{parameter("identity", {3}, Squash::identity),
                                               parameter("tanh", {9}, Squash::tanh),
                                               parameter("sigmoid", {}, Squash::sigmoid),
                                               parameter("softplus", {2}, Squash::softplus),
                                               parameter("one more", {}, Squash::one_plus_softplus),
                                               parameter("softmax", {5}, Squash::softmax)};
  return list;
}
constexpr std::size_t counts[] = {3, 9, 1, 2, 1, 5};
constexpr std::size_t total = 21;

template <class T>
class Heads : public testing::Test {
 protected:
  Heads() { tape.begin(true); }
  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Heads, Scalars);

TYPED_TEST(Heads, SplitAndSquash) {
  using T = TypeParam;
  constexpr std::size_t rows = 3;
  const Numbers raw = draw(rows * total, 1, -4, 4);
  const Values<T> p = split_parameters<T>(this->tape, given<T>(this->tape, {rows, total}, raw), all_squashes());
  ASSERT_EQ(p.size(), 6u);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    SCOPED_TRACE(all_squashes()[i].declared.name);
    Numbers want;
    for (std::size_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (std::size_t k = 0; k < counts[i]; ++k) sum += std::exp(raw[r * total + begin + k]);
      for (std::size_t k = 0; k < counts[i]; ++k) {
        const double x = raw[r * total + begin + k];
        switch (all_squashes()[i].squash) {
          case Squash::identity: want.push_back(x); break;
          case Squash::tanh: want.push_back(std::tanh(x)); break;
          case Squash::sigmoid: want.push_back(1 / (1 + std::exp(-x))); break;
          case Squash::softplus: want.push_back(std::log(1 + std::exp(x))); break;
          case Squash::one_plus_softplus: want.push_back(1 + std::log(1 + std::exp(x))); break;
          case Squash::softmax: want.push_back(std::exp(x) / sum); break;
        }
      }
    }
    test::expect_value(p[i], {rows, counts[i]}, want);
    begin += counts[i];
  }
}

TYPED_TEST(Heads, ExtremeNumbersStayFiniteAndWithinTheirRange) {
  using T = TypeParam;
  for (double x : {-1e4, -80., 0., 80., 1e4}) {
    SCOPED_TRACE(x);
    this->tape.begin(true);
    Numbers raw(total, x);
    raw[total - 1] = -x;
    const Var<T> given_raw = given<T>(this->tape, {1, total}, raw);
    const Values<T> p = split_parameters<T>(this->tape, given_raw, all_squashes());
    EXPECT_GE(p[2].data[0], 0);
    EXPECT_LE(p[2].data[0], 1);
    EXPECT_GE(p[3].data[0], 0);
    EXPECT_GE(p[4].data[0], 1);
    for (std::size_t i = 0; i < 6; ++i) test::expect_finite(test::numbers(p[i]));
    test::backward_from(this->tape, p[5]);
    test::expect_finite(test::gradient(this->tape, given_raw));
  }
}

TYPED_TEST(Heads, CountsThatDoNotFitAreNamed) {
  using T = TypeParam;
  EXPECT_EQ(complaint([&] {
              split_parameters<T>(this->tape, this->tape.filled({2, 20}, T(0)), all_squashes());
            }),
            "[split_parameters] raw [2 20] for 21 numbers");
}

TEST(AddressingSchemes, DeclareTheirParametersByThePaper) {
  const auto declared = [](const char* scheme) {
    std::string text;
    for (const HeadParameter& p : addressing_schemes().find(scheme).declare({7, 4, 5}).parameters)
      text += fmt::format("{}[{}]:{} ", p.declared.name, p.declared.count(), kind_name(p.declared.kind));
    return text;
  };
  EXPECT_EQ(declared("content"), "key[4]:plain beta[1]:positive ");
  EXPECT_EQ(declared("location"), "shift[5]:weights gamma[1]:positive ");
  EXPECT_EQ(declared("content_location"),
            "key[4]:plain beta[1]:positive gate[1]:gate shift[5]:weights gamma[1]:positive ");
  EXPECT_EQ(complaint([] { addressing_schemes().find("contents"); }),
            "[addressing scheme] unknown addressing scheme 'contents', did you mean 'content'? There are: content, "
            "content_location, location");
}

}  // namespace
}  // namespace mneme
