// Room: nn. The optimizers, each a loop with its paper's or library's formula above it, and clipping.
#include "nn/optimizers.hpp"

#include "autodiff/lanes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mneme {

template <class T>
struct Optimizer<T>::Gradient {
  const T* numbers;
  Simd<T> scale, low, high;
  template <class Lane>
  Simd<T> load(const Lane& lane, std::size_t i) const {
    return xsimd::min(high, xsimd::max(low, scale * lane.load(numbers + i)));
  }
};

template <class T>
T* Optimizer<T>::add_state(const std::string& name, std::size_t flat_size) {
  state_.push_back({name, FlatArray<T>(flat_size, 3 + 2 * state_.size())});
  return state_.back().values.data();
}

template <class T>
void Optimizer<T>::update(ParameterSet<T>& set, const T* gradient, double rate, std::uint64_t count,
                          const Limits& limits) {
  for (const State& s : state_)
    if (s.values.size() != set.flat_size())
      fail<InvariantError>("optimizer", "'{}' has {} numbers, the parameters {}", s.name, s.values.size(),
                           set.flat_size());
  if (!std::isfinite(rate) || count == 0)
    fail<InvariantError>("optimizer", "update {} (the first is 1) at a rate of {}", count, rate);
  const T most = static_cast<T>(limits.element);
  step(set, {gradient, Simd<T>(static_cast<T>(limits.scale)), Simd<T>(-most), Simd<T>(most)}, rate, count);
}

namespace {

/// f(lane, offset, rate, decay) over every parameter that is trained.
template <class T, class F>
void each_trained(const ParameterSet<T>& set, double rate, F f) {
  for (const Parameter& p : set.parameters()) {
    const Group& g = set.groups()[p.group];
    if (g.frozen) continue;
    const Simd<T> r(static_cast<T>(rate * g.learning_rate_scale)), decay(static_cast<T>(g.weight_decay));
    const std::size_t padded = (p.shape.size() + 15) & ~std::size_t{15};  // padding has zero gradient and value
    lanes<T>(padded, [&](auto lane, std::size_t i) { f(lane, p.offset + i, r, decay); });
  }
}

// v <- mu v - rate g;  w <- w + v
template <class T>
class Sgd final : public Optimizer<T> {
 public:
  using typename Optimizer<T>::Gradient;
  static OptionTable options() { return OptionTable().real("momentum", 0, 0, 1, "mu, share of the last step kept"); }
  Sgd(const Options& o, std::size_t n) : mu_(o.real("momentum")), v_(this->add_state("momentum", n)) {}
  void step(ParameterSet<T>& set, const Gradient& g, double rate, std::uint64_t) override {
    T* w = set.flat();
    const Simd<T> mu(static_cast<T>(mu_));
    each_trained<T>(set, rate, [&](auto lane, std::size_t i, Simd<T> r, Simd<T> decay) {
      const Simd<T> w0 = lane.load(w + i);
      const Simd<T> v = mu * lane.load(v_ + i) - r * (g.load(lane, i) + decay * w0);
      lane.store(v_ + i, v);
      lane.store(w + i, w0 + v);
    });
  }

 private:
  double mu_;
  T* v_;
};

// Graves 2013, eq. 38-41:  n <- d n + (1-d) g^2;  m <- d m + (1-d) g;
//                          v <- mu v - rate g / sqrt(n - m^2 + eps);  w <- w + v
template <class T>
class GravesRmsProp final : public Optimizer<T> {
 public:
  using typename Optimizer<T>::Gradient;
  static OptionTable options() {
    return OptionTable()
        .real("decay", 0.95, 0, 1, "d, share of the running averages kept")
        .real("momentum", 0.9, 0, 1, "mu, share of the last step kept")
        .real("epsilon", 1e-4, 1e-30, 1, "added to the variance, inside the root");
  }
  GravesRmsProp(const Options& o, std::size_t count)
      : d_(o.real("decay")),
        mu_(o.real("momentum")),
        eps_(o.real("epsilon")),
        n_(this->add_state("square", count)),
        m_(this->add_state("mean", count)),
        v_(this->add_state("momentum", count)) {}
  void step(ParameterSet<T>& set, const Gradient& gradient, double rate, std::uint64_t) override {
    T* w = set.flat();
    const Simd<T> d(static_cast<T>(d_)), rest(static_cast<T>(1 - d_)), mu(static_cast<T>(mu_)),
        eps(static_cast<T>(eps_)), zero(T(0));
    T *square = n_, *mean = m_, *momentum = v_;
    each_trained<T>(set, rate, [=, gradient = gradient](auto lane, std::size_t i, Simd<T> r, Simd<T> decay) {
      const Simd<T> w0 = lane.load(w + i), g = gradient.load(lane, i) + decay * w0;
      const Simd<T> n = d * lane.load(square + i) + rest * g * g;
      const Simd<T> m = d * lane.load(mean + i) + rest * g;
      // n >= m^2 in exact arithmetic; rounding may leave a little less
      const Simd<T> v = mu * lane.load(momentum + i) - r * g / xsimd::sqrt(xsimd::max(zero, n - m * m) + eps);
      lane.store(square + i, n);
      lane.store(mean + i, m);
      lane.store(momentum + i, v);
      lane.store(w + i, w0 + v);
    });
  }

 private:
  double d_, mu_, eps_;
  T *n_, *m_, *v_;
};

// As PyTorch's:  n <- a n + (1-a) g^2;  v <- mu v + g / (sqrt(n) + eps);  w <- w - rate v
template <class T>
class RmsProp final : public Optimizer<T> {
 public:
  using typename Optimizer<T>::Gradient;
  static OptionTable options() {
    return OptionTable()
        .real("decay", 0.95, 0, 1, "alpha, share of the running average kept")
        .real("momentum", 0.9, 0, 1, "mu, share of the last step kept")
        .real("epsilon", 1e-8, 1e-30, 1, "added to the root");
  }
  RmsProp(const Options& o, std::size_t count)
      : a_(o.real("decay")),
        mu_(o.real("momentum")),
        eps_(o.real("epsilon")),
        n_(this->add_state("square", count)),
        v_(this->add_state("momentum", count)) {}
  void step(ParameterSet<T>& set, const Gradient& gradient, double rate, std::uint64_t) override {
    T* w = set.flat();
    const Simd<T> a(static_cast<T>(a_)), rest(static_cast<T>(1 - a_)), mu(static_cast<T>(mu_)),
        eps(static_cast<T>(eps_));
    each_trained<T>(set, rate, [&](auto lane, std::size_t i, Simd<T> r, Simd<T> decay) {
      const Simd<T> w0 = lane.load(w + i), g = gradient.load(lane, i) + decay * w0;
      const Simd<T> n = a * lane.load(n_ + i) + rest * g * g;
      const Simd<T> v = mu * lane.load(v_ + i) + g / (xsimd::sqrt(n) + eps);
      lane.store(n_ + i, n);
      lane.store(v_ + i, v);
      lane.store(w + i, w0 - r * v);
    });
  }

 private:
  double a_, mu_, eps_;
  T *n_, *v_;
};

// Kingma & Ba 2015, algorithm 1:  m, n running means of g, g^2;  w <- w - rate m^ / (sqrt(n^) + eps)
template <class T>
class Adam final : public Optimizer<T> {
 public:
  using typename Optimizer<T>::Gradient;
  static OptionTable options() {
    return OptionTable()
        .real("beta1", 0.9, 0, 0.999999, "share of the gradient's running mean kept")
        .real("beta2", 0.999, 0, 0.999999, "share of the square's running mean kept")
        .real("epsilon", 1e-8, 1e-30, 1, "added to the root");
  }
  Adam(const Options& o, std::size_t count)
      : b1_(o.real("beta1")),
        b2_(o.real("beta2")),
        eps_(o.real("epsilon")),
        m_(this->add_state("mean", count)),
        n_(this->add_state("square", count)) {}
  void step(ParameterSet<T>& set, const Gradient& gradient, double rate, std::uint64_t count) override {
    T* w = set.flat();
    const double c1 = 1 - std::pow(b1_, static_cast<double>(count));
    const double c2 = 1 - std::pow(b2_, static_cast<double>(count));
    const Simd<T> b1(static_cast<T>(b1_)), r1(static_cast<T>(1 - b1_)), b2(static_cast<T>(b2_)),
        r2(static_cast<T>(1 - b2_)), eps(static_cast<T>(eps_)), unbias1(static_cast<T>(1 / c1)),
        unbias2(static_cast<T>(1 / c2));
    each_trained<T>(set, rate, [&](auto lane, std::size_t i, Simd<T> r, Simd<T> decay) {
      const Simd<T> w0 = lane.load(w + i), g = gradient.load(lane, i) + decay * w0;
      const Simd<T> m = b1 * lane.load(m_ + i) + r1 * g;
      const Simd<T> n = b2 * lane.load(n_ + i) + r2 * g * g;
      lane.store(m_ + i, m);
      lane.store(n_ + i, n);
      lane.store(w + i, w0 - r * m * unbias1 / (xsimd::sqrt(n * unbias2) + eps));
    });
  }

 private:
  double b1_, b2_, eps_;
  T *m_, *n_;
};

template <template <class> class O>
OptimizerPlugin plugin(std::string summary) {
  return {std::move(summary), O<float>::options(),
          [](const Options& o, std::size_t n) { return std::make_unique<O<float>>(o, n); },
          [](const Options& o, std::size_t n) { return std::make_unique<O<double>>(o, n); }};
}

}  // namespace

Registry<OptimizerPlugin>& optimizers() {
  static Registry<OptimizerPlugin> registry = [] {
    Registry<OptimizerPlugin> r("optimizer");
    r.add("sgd", plugin<Sgd>("stochastic gradient descent with momentum"));
    r.add("rmsprop_graves", plugin<GravesRmsProp>("centred RMSProp with momentum (Graves 2013, eq. 38-41)"));
    r.add("rmsprop", plugin<RmsProp>("RMSProp with momentum, as PyTorch's"));
    r.add("adam", plugin<Adam>("Adam (Kingma & Ba 2015)"));
    return r;
  }();
  return registry;
}

namespace {

template <class T>
double norm_of(const T* p, std::size_t count) {
  double square = static_cast<double>(
      lanes_sum<T>(count, [&](auto lane, std::size_t i) { return lane.load(p + i) * lane.load(p + i); }));
  if (!std::isfinite(square)) {  // perhaps only too large for T
    square = 0;
    for (std::size_t i = 0; i < count; ++i) square += static_cast<double>(p[i]) * static_cast<double>(p[i]);
  }
  return std::sqrt(square);
}

/// p <- scale p, cut to [-element, element]
template <class T>
void limit(T* p, std::size_t count, const Limits& limits) {
  const Simd<T> scale(static_cast<T>(limits.scale)), high(static_cast<T>(limits.element)), low(-high);
  lanes<T>(count, [&](auto lane, std::size_t i) {
    lane.store(p + i, xsimd::min(high, xsimd::max(low, scale * lane.load(p + i))));
  });
}

}  // namespace

template <class T>
double clip_gradient(const ParameterSet<T>& set, T* g, const Clip& clip, double* usual, Limits* left) {
  const std::size_t n = set.flat_size();
  for (const Parameter& p : set.parameters())  // what is not trained must not count
    if (set.groups()[p.group].frozen) std::fill_n(g + p.offset, p.shape.size(), T(0));
  const double norm = norm_of(g, n);
  if (!std::isfinite(norm)) return norm;
  double now = norm;
  for (const Parameter& p : set.parameters()) {
    const double most = set.groups()[p.group].clip_norm;
    if (most <= 0) continue;
    const double own = norm_of(g + p.offset, p.shape.size());
    if (own <= most) continue;
    limit(g + p.offset, p.shape.size(), {.scale = most / own});
    now = -1;
  }
  if (now < 0 && (clip.global_norm > 0 || clip.usual_norm > 0)) now = norm_of(g, n);
  Limits limits;
  const auto shrink_to = [&](double most) {
    if (now <= most) return;
    limits.scale *= most / now;
    now = most;
  };
  if (clip.global_norm > 0) shrink_to(clip.global_norm);
  if (clip.usual_norm > 0) {
    if (!usual) fail<InvariantError>("clip", "a limit by the usual norm needs the usual norm");
    shrink_to(*usual > 0 ? clip.usual_norm * *usual : now);
    *usual = *usual > 0 ? *usual + usual_norm_rate * (now - *usual) : now;
  }
  if (clip.element > 0) limits.element = clip.element;
  if (left)
    *left = limits;
  else if (limits.scale != 1 || clip.element > 0)
    limit(g, n, limits);
  // No number is larger than the norm: as good as never is there one to look at.
  const double most = std::sqrt(static_cast<double>(std::numeric_limits<T>::max()));
  const double scale = left ? limits.scale : 1;
  if ((now < 0 ? norm : now) > most && limits.element > most &&
      std::any_of(g, g + n, [&](T x) { return scale * std::abs(static_cast<double>(x)) > most; }))
    return std::numeric_limits<double>::infinity();
  return norm;
}

template class Optimizer<float>;
template class Optimizer<double>;
template double clip_gradient<float>(const ParameterSet<float>&, float*, const Clip&, double*, Limits*);
template double clip_gradient<double>(const ParameterSet<double>&, double*, const Clip&, double*, Limits*);

}  // namespace mneme
