// The first of two controllers whose classes have one name, each in its own file.
#include "tests/controllers/twins.hpp"

namespace mneme {
namespace {

/// Its output is its first input times 2.
template <class T>
class Twin final : public Controller<T> {
 public:
  static OptionTable options() { return {}; }
  static std::size_t width(const Options&) { return 1; }
  Twin(const Builder<T>&, const Options&, std::size_t) {}
  const DeclaredList& state() const override { return state_; }
  std::size_t output_size() const override { return 1; }
  std::span<Var<T>> begin(Pass<T>&, std::size_t) const override { return {}; }
  Var<T> step(Pass<T>& pass, std::span<const Var<T>> inputs, std::span<Var<T>>&) const override {
    const Var<T> y = pass.tape.constant({inputs[0].shape[0], 1});
    for (std::size_t b = 0; b < y.shape[0]; ++b) y.data[b] = 2 * inputs[0].data[b * inputs[0].shape[1]];
    return y;
  }

 private:
  DeclaredList state_;
};

}  // namespace

bool test::register_first_twin() {
  return register_controller<Twin>("test_first_twin", "", "");
}

}  // namespace mneme
