// Every addressing scheme against the paper in plain loops, and the properties that make it content or location.
#include "attention/addressing.hpp"

#include "tests/memory/plain_ntm.hpp"
#include "tests/support/values.hpp"

namespace mneme {
namespace {

using test::draw;
using test::draw_weights;
using test::given;
using test::Numbers;

template <class T>
class Addressing : public testing::Test {
 protected:
  Addressing() { tape.begin(true); }

  /// memory [M N], inside layout.
  Numbers address(const std::string& scheme, const test::PlainHead& h, const Numbers& memory, std::size_t n) {
    const std::size_t width = h.key.size();
    const AddressingPlugin& plugin = addressing_schemes().find(scheme);
    const AddressingSetup setup{n, width, h.shift.size()};
    std::vector<Var<T>> parameters;
    for (const HeadParameter& p : plugin.declare(setup).parameters) {
      const std::string& name = p.declared.name;
      const Numbers value = name == "key"     ? h.key
                            : name == "shift" ? h.shift
                            : name == "beta"  ? Numbers{h.beta}
                            : name == "gate"  ? Numbers{h.gate}
                                              : Numbers{h.gamma};
      parameters.push_back(given<T>(tape, {1, p.declared.count()}, value));
    }
    ParameterSet<T> set;
    const auto look = plugin.template make<T>(Builder<T>(set), setup);
    Pass<T> pass{tape};
    const Var<T> w = (*look)(pass, parameters, given<T>(tape, {1, width, n}, memory), given<T>(tape, {1, n}, h.w));
    EXPECT_EQ(w.shape.text(), (Shape{1, n}).text());
    return test::numbers(w);
  }

  static test::PlainHead head(const std::string& scheme, std::size_t n, std::size_t shifts) {
    test::PlainHead h;
    h.scheme = scheme;
    h.w = draw_weights(1, n, 1);
    h.key = draw(3, 2);
    h.shift = draw_weights(1, shifts, 3);
    h.beta = 1.5;
    h.gate = 0.375;
    h.gamma = 2.25;
    return h;
  }

  static test::Matrix slots_of(const Numbers& memory, std::size_t n) {
    test::Matrix m(n, test::Row(memory.size() / n));
    for (std::size_t i = 0; i < memory.size(); ++i) m[i % n][i / n] = memory[i];
    return m;
  }

  Tape<T> tape;
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Addressing, Scalars);

constexpr const char* schemes[] = {"content", "location", "content_location"};

TYPED_TEST(Addressing, AgainstThePaper) {
  using T = TypeParam;
  for (const char* scheme : schemes)
    for (std::size_t n : {1, 2, 5, 13})
      for (std::size_t shifts : {1, 3, 7}) {
        SCOPED_TRACE(fmt::format("{} N={} S={}", scheme, n, shifts));
        const test::PlainHead h = this->head(scheme, n, shifts);
        const Numbers memory = draw(3 * n, 4);
        test::expect_near(this->address(scheme, h, memory, n), test::plain_address(h, this->slots_of(memory, n)),
                          std::is_same_v<T, float> ? 2e-5 : 1e-12);
      }
}

TYPED_TEST(Addressing, ZeroMemoryIsLookedAtEvenly) {
  const test::PlainHead h = this->head("content", 5, 3);
  test::expect_near(this->address("content", h, Numbers(15), 5), Numbers(5, 0.2), 1e-6);
}

TYPED_TEST(Addressing, ContentFollowsTheSlotsWhenTheyArePermuted) {
  using T = TypeParam;
  const std::size_t n = 7;
  const test::PlainHead h = this->head("content", n, 3);
  const Numbers memory = draw(3 * n, 5);
  Numbers permuted(memory.size());
  for (std::size_t i = 0; i < memory.size(); ++i) permuted[i / n * n + (3 * (i % n) + 2) % n] = memory[i];
  const Numbers a = this->address("content", h, memory, n), b = this->address("content", h, permuted, n);
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(a[i], b[(3 * i + 2) % n], test::usual_tolerance<T>);
}

TYPED_TEST(Addressing, LocationIgnoresTheMemory) {
  const test::PlainHead h = this->head("location", 7, 3);
  EXPECT_EQ(this->address("location", h, draw(21, 6), 7), this->address("location", h, draw(21, 7), 7));
}

TYPED_TEST(Addressing, AClosedGateWalksAndAnOpenOneFinds) {
  using T = TypeParam;
  test::PlainHead h = this->head("content_location", 5, 3);
  h.w = {0, 1, 0, 0, 0};
  h.shift = {0, 0, 1};
  h.gate = 0;
  h.gamma = 1;
  const Numbers memory = draw(15, 8);
  test::expect_near(this->address("content_location", h, memory, 5), {0, 0, 1, 0, 0}, 1e-6);
  h.gate = 1;
  h.shift = {0, 1, 0};
  test::expect_near(this->address("content_location", h, memory, 5), this->address("content", h, memory, 5),
                    10 * test::usual_tolerance<T>);
}

TYPED_TEST(Addressing, ALargeStrengthPicksTheSlotThatIsTheKey) {
  test::PlainHead h = this->head("content", 5, 3);
  h.beta = 200;
  Numbers memory = draw(15, 9);
  for (std::size_t m = 0; m < 3; ++m) memory[m * 5 + 2] = 3 * h.key[m];
  test::expect_near(this->address("content", h, memory, 5), {0, 0, 1, 0, 0}, 1e-4);
}

}  // namespace
}  // namespace mneme
