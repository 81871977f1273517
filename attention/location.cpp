// Room: attention. Location addressing. Each step is a function of rows; the fused op strings them together.
#include "attention/location.hpp"

#include "attention/cases.hpp"
#include "attention/moves.hpp"

#include <algorithm>

namespace mneme {

using namespace moves;

namespace {

/// Weighting [B N] and a parameter [B count].
template <class T>
void check(const char* op, const Var<T>& w, const Var<T>& parameter, std::size_t count) {
  if (w.shape.rank() != 2 || w.shape[1] == 0 || parameter.shape.rows() != w.shape[0] || parameter.shape.last() != count)
    fail<ArgumentError>(op, "weighting {} is not [B N] or parameter {} is not [B {}]", w.shape.text(),
                        parameter.shape.text(), count);
}

template <class T>
std::size_t check_shift(const char* op, const Var<T>& w, const Var<T>& s) {
  const std::size_t width = s.shape.last();
  check(op, w, s, width);
  if (width % 2 == 0) fail<ArgumentError>(op, "the shift range {} is not odd", width);
  return width;
}

}  // namespace

template <class T>
Var<T> interpolate(Tape<T>& tape, Var<T> content, Var<T> previous, Var<T> g) {
  check("interpolate", content, g, 1);
  if (!(content.shape == previous.shape))
    fail<ArgumentError>("interpolate", "content {} and previous {}", content.shape.text(), previous.shape.text());
  const std::size_t batch = content.shape[0], n = content.shape[1];
  Var<T> w = tape.result(content.shape, content, previous, g);
  for (std::size_t b = 0; b < batch; ++b) {
    const Simd<T> gate(g.data[b]), rest(1 - g.data[b]);
    lanes<T>(n, [&](auto lane, std::size_t i) {
      lane.store(w.data + b * n + i,
                 gate * lane.load(content.data + b * n + i) + rest * lane.load(previous.data + b * n + i));
    });
  }
  tape.node("interpolate", {w}, [=](Tape<T>& t) {
    const T* dw = t.gradient(w);
    const auto back = [&](const Var<T>& x, bool through_gate) {
      t.accumulate(x, [&](auto into, T* dx) {
        for (std::size_t b = 0; b < batch; ++b) {
          const Simd<T> share(through_gate ? g.data[b] : 1 - g.data[b]);
          lanes<T>(n, [&](auto lane, std::size_t i) {
            into.store(lane, dx + b * n + i, share * lane.load(dw + b * n + i));
          });
        }
      });
    };
    back(content, true);
    back(previous, false);
    t.accumulate(g, [&](auto into, T* dg) {
      for (std::size_t b = 0; b < batch; ++b)
        into(dg[b], lanes_sum<T>(n, [&](auto lane, std::size_t i) {
               return lane.load(dw + b * n + i) *
                      (lane.load(content.data + b * n + i) - lane.load(previous.data + b * n + i));
             }));
    });
  });
  return w;
}

template <class T>
Var<T> shift(Tape<T>& tape, Var<T> w, Var<T> s) {
  const std::size_t width = check_shift("shift", w, s), k = width / 2, batch = w.shape[0], n = w.shape[1];
  Var<T> y = tape.result(w.shape, w, s);
  T* wrapped = tape.allocate(batch * (n + 2 * k));
  for (std::size_t b = 0; b < batch; ++b) {
    std::copy_n(w.data + b * n, n, wrapped + b * (n + 2 * k) + k);
    wrap(wrapped + b * (n + 2 * k), n, k);
    lanes<T>(n, [&](auto lane, std::size_t i) {
      lane.store(y.data + b * n + i, shifted(lane, wrapped + b * (n + 2 * k), s.data + b * width, width, i));
    });
  }
  tape.node("shift", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(w, [&](auto into, T* dw) {
      T* around = t.allocate(n + 2 * k);
      for (std::size_t b = 0; b < batch; ++b) {
        std::copy_n(dy + b * n, n, around + k);
        wrap(around, n, k);
        lanes<T>(n, [&](auto lane, std::size_t i) {
          into.store(lane, dw + b * n + i, shifted_back(lane, around, s.data + b * width, width, i));
        });
      }
    });
    t.accumulate(s, [&](auto into, T* ds) {
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t o = 0; o < width; ++o)
          into(ds[b * width + o], dot_row(dy + b * n, wrapped + b * (n + 2 * k) + width - 1 - o, n));
    });
  });
  return y;
}

template <class T>
Var<T> sharpen(Tape<T>& tape, Var<T> w, Var<T> gamma) {
  check("sharpen", w, gamma, 1);
  const std::size_t batch = w.shape[0], n = w.shape[1];
  Var<T> y = tape.result(w.shape, w, gamma);
  T* log_w = tape.allocate(batch * n);
  for (std::size_t b = 0; b < batch; ++b) sharpen_row(w.data + b * n, gamma.data[b], n, log_w + b * n, y.data + b * n);
  tape.node("sharpen", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    T* row = t.allocate(batch * n);
    T* strength = t.allocate(batch);
    for (std::size_t b = 0; b < batch; ++b)
      strength[b] =
          sharpen_row_back(w.data + b * n, log_w + b * n, y.data + b * n, dy + b * n, gamma.data[b], n, row + b * n);
    t.accumulate(w, [&](auto into, T* dw) {
      lanes<T>(batch * n, [&](auto lane, std::size_t i) { into.store(lane, dw + i, lane.load(row + i)); });
    });
    t.accumulate(gamma, [&](auto into, T* dgamma) {
      for (std::size_t b = 0; b < batch; ++b) into(dgamma[b], strength[b]);
    });
  });
  return y;
}

// Kept for the backward pass, per row: the gated weighting with its neighbours, the shifted one and its logarithm.
template <class T>
Var<T> location(Tape<T>& tape, Var<T> content, Var<T> previous, Var<T> g, Var<T> s, Var<T> gamma, Moved<T>* between) {
  check("location", content, g, 1);
  check("location", content, gamma, 1);
  if (!(content.shape == previous.shape))
    fail<ArgumentError>("location", "content {} and previous {}", content.shape.text(), previous.shape.text());
  const std::size_t width = check_shift("location", content, s), k = width / 2, batch = content.shape[0],
                    n = content.shape[1], stride = n + 2 * k;
  Var<T> y = tape.result(content.shape, content, previous, g, s, gamma);
  T* gated = tape.allocate(batch * stride);
  T* moved = tape.allocate(batch * n);
  T* log_w = tape.allocate(batch * n);
  for (std::size_t b = 0; b < batch; ++b) {
    T* centre = gated + b * stride + k;
    const Simd<T> gate(g.data[b]), rest(1 - g.data[b]);
    const T *wc = content.data + b * n, *old = previous.data + b * n;
    lanes<T>(n, [&](auto lane, std::size_t i) {
      lane.store(centre + i, gate * lane.load(wc + i) + rest * lane.load(old + i));
    });
    wrap(gated + b * stride, n, k);
    lanes<T>(n, [&](auto lane, std::size_t i) {
      lane.store(moved + b * n + i, shifted(lane, gated + b * stride, s.data + b * width, width, i));
    });
    sharpen_row(moved + b * n, gamma.data[b], n, log_w + b * n, y.data + b * n);
  }
  if (between) {
    *between = {tape.constant(content.shape), {moved, content.shape, nullptr}};
    for (std::size_t b = 0; b < batch; ++b) std::copy_n(gated + b * stride + k, n, between->gated.data + b * n);
  }
  tape.node("location", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    T* around = t.allocate(stride);
    T* dgamma_row = t.allocate(batch);
    T* ds_row = t.allocate(batch * width);
    T* dg_row = t.allocate(batch);
    t.accumulate_always(content, [&](auto into_content, T* dc) {
      t.accumulate_always(previous, [&](auto into_previous, T* dp) {
        for (std::size_t b = 0; b < batch; ++b) {
          const T *w = gated + b * stride, *wc = content.data + b * n, *old = previous.data + b * n;
          T* dshifted = around + k;
          dgamma_row[b] =
              sharpen_row_back(moved + b * n, log_w + b * n, y.data + b * n, dy + b * n, gamma.data[b], n, dshifted);
          wrap(around, n, k);
          for (std::size_t o = 0; o < width; ++o) ds_row[b * width + o] = dot_row(dshifted, w + width - 1 - o, n);
          const Simd<T> gate(g.data[b]), rest(1 - g.data[b]);
          const T *kernel = s.data + b * width, *wrapped = around;
          T *to_content = dc + b * n, *to_previous = dp + b * n;
          const std::size_t offsets = width;
          dg_row[b] = lanes_sum<T>(n, [&](auto lane, std::size_t i) {
            const Simd<T> dgated = shifted_back(lane, wrapped, kernel, offsets, i);
            into_content.store(lane, to_content + i, gate * dgated);
            into_previous.store(lane, to_previous + i, rest * dgated);
            return dgated * (lane.load(wc + i) - lane.load(old + i));
          });
        }
      });
    });
    t.accumulate(g, [&](auto into, T* dg) {
      for (std::size_t b = 0; b < batch; ++b) into(dg[b], dg_row[b]);
    });
    t.accumulate(s, [&](auto into, T* ds) {
      for (std::size_t i = 0; i < batch * width; ++i) into(ds[i], ds_row[i]);
    });
    t.accumulate(gamma, [&](auto into, T* dgamma) {
      for (std::size_t b = 0; b < batch; ++b) into(dgamma[b], dgamma_row[b]);
    });
  });
  return y;
}

namespace {

// Inputs of the cases, in the order of the ops' arguments.
GradientInput weighting(std::size_t b, std::size_t n) {
  return {{b, n}, 0.05, 1};
}
GradientInput gate(std::size_t b) {
  return {{b, 1}, 0.1, 0.9};
}
GradientInput sharpness(std::size_t b) {
  return {{b, 1}, 1, 4};
}
GradientInput shifts(std::size_t b, std::size_t s) {
  return {{b, s}, 0.05, 1};
}
constexpr std::pair<std::size_t, std::size_t> rows_and_slots[] = {{1, 1}, {2, 3}, {1, 8}, {2, 13}};

using Inputs = std::span<const Var<double>>;

/// Each input constant in turn.
void add_constants(CaseList& list, const std::vector<GradientInput>& inputs, const GradientFunction& f) {
  for (std::size_t fixed = 0; fixed < inputs.size(); ++fixed) {
    std::vector<GradientInput> some = inputs;
    some[fixed].role = GradientInput::Role::constant;
    list.add(fmt::format("input {} constant", fixed), some, f);
  }
}

const bool interpolate_cases = register_cases("interpolate", [](CaseList& list) {
  const GradientFunction f = [](Tape<double>& t, Inputs x) { return interpolate(t, x[0], x[1], x[2]); };
  for (const auto& [b, n] : rows_and_slots)
    list.add(fmt::format("B={} N={}", b, n), {weighting(b, n), weighting(b, n), gate(b)}, f);
  add_constants(list, {weighting(2, 3), weighting(2, 3), gate(2)}, f);
});

const bool shift_cases = register_cases("shift", [](CaseList& list) {
  const GradientFunction f = [](Tape<double>& t, Inputs x) { return shift(t, x[0], x[1]); };
  for (const auto& [b, n] : rows_and_slots)
    for (std::size_t s : {1, 3, 5, 9})
      list.add(fmt::format("B={} N={} S={}", b, n, s), {weighting(b, n), shifts(b, s)}, f);
  add_constants(list, {weighting(2, 3), shifts(2, 3)}, f);
});

const bool sharpen_cases = register_cases("sharpen", [](CaseList& list) {
  const GradientFunction f = [](Tape<double>& t, Inputs x) { return sharpen(t, x[0], x[1]); };
  for (const auto& [b, n] : rows_and_slots)
    list.add(fmt::format("B={} N={}", b, n), {weighting(b, n), sharpness(b)}, f);
  add_constants(list, {weighting(2, 3), sharpness(2)}, f);
  list.add("weak strengths", {weighting(2, 3), {{2, 1}, 0.2, 0.9}}, f);
});

const bool location_cases = register_cases("location", [](CaseList& list) {
  const GradientFunction f = [](Tape<double>& t, Inputs x) { return location(t, x[0], x[1], x[2], x[3], x[4]); };
  for (const auto& [b, n] : rows_and_slots)
    for (std::size_t s : {1, 3, 5, 9})
      list.add(fmt::format("B={} N={} S={}", b, n, s),
               {weighting(b, n), weighting(b, n), gate(b), shifts(b, s), sharpness(b)}, f);
  add_constants(list, {weighting(2, 5), weighting(2, 5), gate(2), shifts(2, 3), sharpness(2)}, f);
  // What a head starts from: one slot has it all, the others are exactly 0.
  list.add("from one slot", {weighting(1, 7), gate(1), shifts(1, 3), sharpness(1)}, [](Tape<double>& t, Inputs x) {
    Var<double> start = t.filled({1, 7}, 0.0);
    start.data[2] = 1;
    return location(t, x[0], start, x[1], x[2], x[3]);
  });
});

}  // namespace

#define MNEME_INSTANTIATE(T)                                     \
  template Var<T> interpolate(Tape<T>&, Var<T>, Var<T>, Var<T>); \
  template Var<T> shift(Tape<T>&, Var<T>, Var<T>);               \
  template Var<T> sharpen(Tape<T>&, Var<T>, Var<T>);             \
  template Var<T> location(Tape<T>&, Var<T>, Var<T>, Var<T>, Var<T>, Var<T>, Moved<T>*);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
