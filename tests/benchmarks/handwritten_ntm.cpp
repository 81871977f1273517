// The yardstick computes what our model computes: loss, gradient and updated values, by name.
#include "benchmarks/handwritten_ntm.cpp"
#include "benchmarks/steps.cpp"
#include "core/batch.hpp"

#include "autodiff/products.hpp"

#include <gtest/gtest.h>

namespace mneme::bench {

namespace {

struct Difference {
  double largest = 0;  ///< |a - b| over the largest |b| of its tensor
  std::string where;
};

template <class T>
Difference difference(const std::map<std::string, std::vector<T>>& theirs, ParameterSet<T>& set, const T* flat) {
  Difference d;
  for (const Parameter& p : set.parameters()) {
    const std::vector<T>& a = theirs.at(p.name);
    double top = 1e-30, gap = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double ours = static_cast<double>(flat[p.offset + i]);
      top = std::max(top, std::abs(ours));
      gap = std::max(gap, std::abs(static_cast<double>(a[i]) - ours));
    }
    if (!(gap / top <= d.largest)) d = {gap / top, p.name};
  }
  return d;
}

/// Some updates side by side, so that the second and later ones start from weights that differ from the first's.
template <class T>
void compare(const Case& c, double tolerance) {
  use_one_blas_thread();
  ModelStep<T> ours(copy_ntm({"seed=3", "train.batch=" + std::to_string(c.rows())}));
  HandwrittenNtm<T> theirs(ours.parameters());
  for (std::size_t i = 0; i < c.batches.size(); ++i) {
    SCOPED_TRACE(fmt::format("{}, batch {} of {} steps", c.name, i, c.batches[i].steps));
    const double loss = ours.gradient(c.shards[i]);
    theirs.begin();
    double same = 0;
    for (const Batch& shard : c.shards[i]) same += theirs.add_shard(shard, 1 / static_cast<double>(c.rows()));
    EXPECT_NEAR(same / loss, 1, tolerance);
    const Difference g = difference(theirs.gradient(), ours.parameters(), ours.flat_gradient());
    EXPECT_LE(g.largest, tolerance) << "gradient of " << g.where;
    EXPECT_NEAR(theirs.update(1e-4), ours.update(), tolerance);
    const Difference w = difference(theirs.values(), ours.parameters(), ours.parameters().flat());
    EXPECT_LE(w.largest, tolerance) << "value of " << w.where;
  }
}

TEST(HandwrittenNtm, EqualsOurModelInDouble) {
  compare<double>(one_length_case(1, 1, 5), 1e-9);
  compare<double>(one_length_case(5, 3, 6, 3), 1e-9);
}

TEST(HandwrittenNtm, EqualsOurModelInFloat) {
  compare<float>(one_length_case(1, 8, 10), 2e-4);
  compare<float>(one_length_case(16, 9, 10), 2e-4);
}

}  // namespace

}  // namespace mneme::bench
