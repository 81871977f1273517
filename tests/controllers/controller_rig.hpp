// Room: tests. A controller by name, with its parameters readable, and plain loops for a layer's product.
#pragma once

#include "controllers/controller.hpp"
#include "tests/support/values.hpp"

#include <map>

namespace mneme::test {

using Row = std::vector<double>;

template <class T>
struct ControllerRig {
  ControllerRig(const std::string& name, const std::map<std::string, std::string>& given, std::size_t input,
                std::uint64_t seed = 1)
      : options(controllers().find(name).options.parse("controller", given)),
        controller(controllers().find(name).make<T>(Builder<T>(set), options, input)) {
    EXPECT_EQ(controllers().find(name).output_size(options), controller->output_size());
    set.initialize(seed);
    gradients = std::make_unique<Gradients<T>>(set, 2);
    tape.bind(gradients->leaves());
    tape.begin(true);
  }
  std::size_t index(const std::string& name) const {
    for (std::size_t i = 0; i < set.parameters().size(); ++i)
      if (set.parameters()[i].name == name) return i;
    ADD_FAILURE() << "no parameter " << name;
    return 0;
  }
  bool has(const std::string& name) const {
    for (const Parameter& p : set.parameters())
      if (p.name == name) return true;
    return false;
  }
  Numbers parameter(const std::string& name) {
    const std::size_t i = index(name);
    return Numbers(set.value(i), set.value(i) + set.parameters()[i].shape.size());
  }
  void set_parameter(const std::string& name, const Numbers& values) {
    ASSERT_EQ(values.size(), set.parameters()[index(name)].shape.size()) << name;
    std::copy(values.begin(), values.end(), set.value(index(name)));
    set.refresh();
  }

  Options options;
  ParameterSet<T> set;
  std::unique_ptr<Controller<T>> controller;
  std::unique_ptr<Gradients<T>> gradients;
  Tape<T> tape;
  Pass<T> pass{tape};
};

/// z[j] = sum_i x[i] w[i, j] + b[j], w [in out]; columns begin..begin+count
inline Row plain_linear(const Row& x, const Numbers& w, const Numbers& b, std::size_t out, std::size_t begin,
                        std::size_t count) {
  Row z;
  for (std::size_t j = begin; j < begin + count; ++j) {
    z.push_back(b.empty() ? 0 : b[j]);
    for (std::size_t i = 0; i < x.size(); ++i) z.back() += x[i] * w[i * out + j];
  }
  return z;
}

inline double plain_sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

inline Row row_of(const Numbers& x, std::size_t b, std::size_t n) {
  return Row(x.begin() + static_cast<std::ptrdiff_t>(b * n), x.begin() + static_cast<std::ptrdiff_t>((b + 1) * n));
}

}  // namespace mneme::test
