// Room: autodiff. Ops that move numbers: join, stack, slice, repeat, choose.
#include "autodiff/lanes.hpp"
#include "autodiff/ops.hpp"

#include <algorithm>
#include <memory>

namespace mneme {

namespace {

/// dst (+)= src over n numbers.
template <class T, class Into>
void add_row(Into into, T* dst, const T* src, std::size_t n) {
  if constexpr (Into::adds)
    lanes<T>(n, [&](auto lane, std::size_t i) { into.store(lane, dst + i, lane.load(src + i)); });
  else
    std::copy_n(src, n, dst);
}

}  // namespace

template <class T>
Var<T> concatenate(Tape<T>& tape, std::span<const Var<T>> parts) {
  return stack_steps(tape, parts, parts.size());
}

template <class T>
Var<T> stack_steps(Tape<T>& tape, std::span<const Var<T>> steps, std::size_t parts) {
  if (parts == 0 || steps.empty() || steps.size() % parts != 0)
    fail<ArgumentError>("stack_steps", "{} handles are no whole number of steps of {} parts", steps.size(), parts);
  const std::size_t rows = steps[0].shape.rows(), count = steps.size() / parts;
  std::size_t width = 0;
  bool needs = false;
  for (std::size_t p = 0; p < parts; ++p) width += steps[p].shape.last();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    needs = needs || steps[i].needs_gradient();
    if (steps[i].shape.rows() != rows || steps[i].shape.last() != steps[i % parts].shape.last())
      fail<ArgumentError>("stack_steps", "part {} is {}, expected {} rows of {}", i, steps[i].shape.text(), rows,
                          steps[i % parts].shape.last());
  }
  Shape shape;
  if (count == 1)
    for (std::size_t a = 0; a + 1 < steps[0].shape.rank(); ++a) shape.push_back(steps[0].shape[a]);
  else
    shape.push_back(rows * count);
  shape.push_back(width);
  Var<T> y = tape.result_if(needs, shape);
  auto* kept = tape.template scratch<Var<T>>(steps.size());
  std::uninitialized_copy(steps.begin(), steps.end(), kept);
  T* to = y.data;
  for (std::size_t s = 0; s < count; ++s)
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t p = 0; p < parts; ++p) {
        const Var<T>& x = kept[s * parts + p];
        const std::size_t d = x.shape.last();
        std::memcpy(to, x.data + r * d, d * sizeof(T));
        to += d;
      }
  const std::size_t n = steps.size();
  tape.node("stack_steps", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    std::size_t column = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (i % parts == 0) column = 0;
      const std::size_t d = kept[i].shape.last();
      const T* from = dy + (i / parts) * rows * width + column;
      t.accumulate(kept[i], [&](auto into, T* dx) {
        for (std::size_t r = 0; r < rows; ++r) add_row(into, dx + r * d, from + r * width, d);
      });
      column += d;
    }
  });
  return y;
}

template <class T>
Var<T> slice(Tape<T>& tape, Var<T> x, std::size_t begin, std::size_t count) {
  const std::size_t rows = x.shape.rows(), width = x.shape.last();
  if (begin > width || count > width - begin || count == 0)
    fail<ArgumentError>("slice", "columns {}..{} of {}", begin, begin + count, x.shape.text());
  Shape shape;
  for (std::size_t a = 0; a + 1 < x.shape.rank(); ++a) shape.push_back(x.shape[a]);
  shape.push_back(count);
  Var<T> y = tape.result(shape, x);
  for (std::size_t r = 0; r < rows; ++r) std::copy_n(x.data + r * width + begin, count, y.data + r * count);
  tape.node("slice", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate_part(x, [&](T* dx) {
      for (std::size_t r = 0; r < rows; ++r) add_row(Add{}, dx + r * width + begin, dy + r * count, count);
    });
  });
  return y;
}

template <class T>
Var<T> slice_rows(Tape<T>& tape, Var<T> x, std::size_t begin, std::size_t count) {
  const std::size_t rows = x.shape.rows(), width = x.shape.last();
  if (begin > rows || count > rows - begin || count == 0)
    fail<ArgumentError>("slice_rows", "rows {}..{} of {}", begin, begin + count, x.shape.text());
  const Var<T> y = tape.view_if(x.needs_gradient(), x.data + begin * width, Shape{count, width});
  tape.node("slice_rows", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate_part(x, [&](T* dx) { add_row(Add{}, dx + begin * width, dy, count * width); });
  });
  return y;
}

template <class T>
Var<T> repeat_rows(Tape<T>& tape, Var<T> x, std::size_t rows) {
  if (x.shape.rank() > 3) fail<ArgumentError>("repeat_rows", "{} has no room for another axis", x.shape.text());
  Shape shape{rows};
  for (std::size_t a = 0; a < x.shape.rank(); ++a) shape.push_back(x.shape[a]);
  const std::size_t n = x.size();
  Var<T> y = tape.result(shape, x);
  for (std::size_t r = 0; r < rows; ++r) std::copy_n(x.data, n, y.data + r * n);
  tape.node("repeat_rows", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(x, [&](auto into, T* dx) {
      lanes<T>(n, [&](auto lane, std::size_t i) {
        Simd<T> sum(T(0));
        for (std::size_t r = 0; r < rows; ++r) sum += lane.load(dy + r * n + i);
        into.store(lane, dx + i, sum);
      });
    });
  });
  return y;
}

template <class T>
Var<T> choose_rows(Tape<T>& tape, const std::uint8_t* active, Var<T> updated, Var<T> old) {
  if (!(updated.shape == old.shape) || old.shape.rank() == 0)
    fail<ArgumentError>("choose_rows", "shapes {} and {} differ", updated.shape.text(), old.shape.text());
  const std::size_t rows = old.shape[0], n = rows ? old.size() / rows : 0;
  Var<T> y = tape.result(old.shape, updated, old);
  for (std::size_t r = 0; r < rows; ++r) std::copy_n((active[r] ? updated : old).data + r * n, n, y.data + r * n);
  tape.node("choose_rows", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    const auto back = [&](const Var<T>& x, bool taken) {
      t.accumulate(x, [&](auto into, T* dx) {
        for (std::size_t r = 0; r < rows; ++r) {
          if ((active[r] != 0) == taken)
            add_row(into, dx + r * n, dy + r * n, n);
          else if constexpr (!decltype(into)::adds)
            std::fill_n(dx + r * n, n, T(0));
        }
      });
    };
    back(updated, true);
    back(old, false);
  });
  return y;
}

#define MNEME_INSTANTIATE(T)                                                   \
  template Var<T> concatenate(Tape<T>&, std::span<const Var<T>>);              \
  template Var<T> stack_steps(Tape<T>&, std::span<const Var<T>>, std::size_t); \
  template Var<T> slice(Tape<T>&, Var<T>, std::size_t, std::size_t);           \
  template Var<T> slice_rows(Tape<T>&, Var<T>, std::size_t, std::size_t);      \
  template Var<T> repeat_rows(Tape<T>&, Var<T>, std::size_t);                  \
  template Var<T> choose_rows(Tape<T>&, const std::uint8_t*, Var<T>, Var<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
