// Room: memory. Erase and add, apart and in one pass.
#include "memory/erase_add.hpp"

#include "autodiff/lanes.hpp"

namespace mneme {

namespace {

template <class T>
void check(const char* op, const Var<T>& memory, const Var<T>& w, const Var<T>& v) {
  if (memory.shape.rank() != 3 || !(w.shape == Shape{memory.shape[0], memory.shape[2]}) ||
      !(v.shape == Shape{memory.shape[0], memory.shape[1]}))
    fail<ArgumentError>(op, "memory {} is not [B M N], weights {} not [B N] or vector {} not [B M]",
                        memory.shape.text(), w.shape.text(), v.shape.text());
}

}  // namespace

// dM = dM' (1 - w e)      de[m] = -sum_n dM'[m,n] M[m,n] w[n]      dw[n] = -sum_m dM'[m,n] M[m,n] e[m]
template <class T>
Var<T> erase(Tape<T>& tape, Var<T> memory, Var<T> w, Var<T> e) {
  check("erase", memory, w, e);
  const std::size_t batch = memory.shape[0], width = memory.shape[1], n = memory.shape[2];
  Var<T> y = tape.result(memory.shape, memory, w, e);
  const Simd<T> one(T(1));
  for (std::size_t row = 0; row < batch * width; ++row) {
    const T* wb = w.data + row / width * n;
    lanes<T>(n, [&](auto lane, std::size_t i) {
      lane.store(y.data + row * n + i,
                 lane.load(memory.data + row * n + i) * (one - Simd<T>(e.data[row]) * lane.load(wb + i)));
    });
  }
  tape.node("erase", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(memory, [&](auto into, T* dm) {
      for (std::size_t row = 0; row < batch * width; ++row) {
        const T* wb = w.data + row / width * n;
        lanes<T>(n, [&](auto lane, std::size_t i) {
          into.store(lane, dm + row * n + i,
                     lane.load(dy + row * n + i) * (one - Simd<T>(e.data[row]) * lane.load(wb + i)));
        });
      }
    });
    t.accumulate(e, [&](auto into, T* de) {
      for (std::size_t row = 0; row < batch * width; ++row)
        into(de[row], -lanes_sum<T>(n, [&](auto lane, std::size_t i) {
               return lane.load(dy + row * n + i) * lane.load(memory.data + row * n + i) *
                      lane.load(w.data + row / width * n + i);
             }));
    });
    t.accumulate(w, [&](auto into, T* dw) {
      for (std::size_t b = 0; b < batch; ++b)
        lanes<T>(n, [&](auto lane, std::size_t i) {
          Simd<T> sum(T(0));
          for (std::size_t row = b * width; row < (b + 1) * width; ++row)
            sum -= lane.load(dy + row * n + i) * lane.load(memory.data + row * n + i) * Simd<T>(e.data[row]);
          into.store(lane, dw + b * n + i, sum);
        });
    });
  });
  return y;
}

// dM = dM'      da[m] = sum_n dM'[m,n] w[n]      dw[n] = sum_m dM'[m,n] a[m]
template <class T>
Var<T> write(Tape<T>& tape, Var<T> memory, Var<T> w, Var<T> a) {
  check("write", memory, w, a);
  const std::size_t batch = memory.shape[0], width = memory.shape[1], n = memory.shape[2];
  Var<T> y = tape.result(memory.shape, memory, w, a);
  for (std::size_t row = 0; row < batch * width; ++row)
    lanes<T>(n, [&](auto lane, std::size_t i) {
      lane.store(y.data + row * n + i, xsimd::fma(Simd<T>(a.data[row]), lane.load(w.data + row / width * n + i),
                                                  lane.load(memory.data + row * n + i)));
    });
  tape.node("write", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    t.accumulate(memory, [&](auto into, T* dm) {
      lanes<T>(memory.size(), [&](auto lane, std::size_t i) { into.store(lane, dm + i, lane.load(dy + i)); });
    });
    t.accumulate(a, [&](auto into, T* da) {
      for (std::size_t row = 0; row < batch * width; ++row)
        into(da[row], lanes_sum<T>(n, [&](auto lane, std::size_t i) {
               return lane.load(dy + row * n + i) * lane.load(w.data + row / width * n + i);
             }));
    });
    t.accumulate(w, [&](auto into, T* dw) {
      for (std::size_t b = 0; b < batch; ++b)
        lanes<T>(n, [&](auto lane, std::size_t i) {
          Simd<T> sum(T(0));
          for (std::size_t row = b * width; row < (b + 1) * width; ++row)
            sum = xsimd::fma(lane.load(dy + row * n + i), Simd<T>(a.data[row]), sum);
          into.store(lane, dw + b * n + i, sum);
        });
    });
  });
  return y;
}

// M' = M + w (a - M e): both derivatives above, with the rows of dM' and M read once
template <class T>
Var<T> erase_add(Tape<T>& tape, Var<T> memory, Var<T> w, Var<T> e, Var<T> a) {
  check("erase_add", memory, w, e);
  check("erase_add", memory, w, a);
  const std::size_t batch = memory.shape[0], width = memory.shape[1], n = memory.shape[2];
  Var<T> y = tape.result(memory.shape, memory, w, e, a);
  const Simd<T> one(T(1));
  for (std::size_t b = 0; b < batch; ++b)
    lane_blocks<T, 4>(n, [&](auto count, auto lane, std::size_t i) {
      constexpr std::size_t size = Simd<T>::size;
      Simd<T> weight[count];
      for (std::size_t r = 0; r < count; ++r) weight[r] = lane.load(w.data + b * n + i + r * size);
      const std::size_t stride = n, rows = width;
      const T *old = memory.data + b * rows * stride + i, *er = e.data + b * rows, *ar = a.data + b * rows;
      T* to = y.data + b * rows * stride + i;
      for (std::size_t m = 0; m < rows; ++m, old += stride, to += stride) {
        const Simd<T> erased(er[m]), added(ar[m]);
        for (std::size_t r = 0; r < count; ++r)
          lane.store(to + r * size, lane.load(old + r * size) * (one - erased * weight[r]) + added * weight[r]);
      }
    });
  tape.node("erase_add", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    T* de_row = t.allocate(batch * width);
    T* da_row = t.allocate(batch * width);
    T* dw_row = t.allocate(batch * n);
    std::fill_n(dw_row, batch * n, T(0));
    t.accumulate_in_place(memory, y, [&](auto into, T* dm) {
      for (std::size_t b = 0; b < batch; ++b)
        row_blocks<T, 2>(width, [&](auto count, std::size_t m) {
          const std::size_t row = b * width + m;
          Simd<T> added[count], erased[count], er[count], ar[count];
          for (std::size_t u = 0; u < count; ++u) {
            added[u] = erased[u] = Simd<T>(T(0));
            er[u] = Simd<T>(e.data[row + u]), ar[u] = Simd<T>(a.data[row + u]);
          }
          const std::size_t stride = n;
          const T *wb = w.data + b * n, *grads = dy + row * n, *olds = memory.data + row * n;
          T *sums = dw_row + b * n, *to = dm + row * n;
          lanes<T>(stride, [&](auto lane, std::size_t i) {
            const Simd<T> weight = lane.load(wb + i);
            Simd<T> sum = lane.load(sums + i);
            for (std::size_t u = 0; u < count; ++u) {
              const std::size_t at = u * stride + i;
              const Simd<T> g = lane.load(grads + at), old = lane.load(olds + at), through = g * weight;
              sum = xsimd::fma(g, xsimd::fnma(er[u], old, ar[u]), sum);
              added[u] += through;
              erased[u] = xsimd::fma(through, old, erased[u]);
              into.store(lane, to + at, xsimd::fnma(through, er[u], g));
            }
            lane.store(sums + i, sum);
          });
          for (std::size_t u = 0; u < count; ++u) {
            da_row[row + u] = xsimd::hadd(added[u]);
            de_row[row + u] = -xsimd::hadd(erased[u]);
          }
        });
    });
    t.accumulate(w, [&](auto into, T* dw) {
      lanes<T>(batch * n, [&](auto lane, std::size_t i) { into.store(lane, dw + i, lane.load(dw_row + i)); });
    });
    t.accumulate(e, [&](auto into, T* de) {
      for (std::size_t row = 0; row < batch * width; ++row) into(de[row], de_row[row]);
    });
    t.accumulate(a, [&](auto into, T* da) {
      for (std::size_t row = 0; row < batch * width; ++row) into(da[row], da_row[row]);
    });
  });
  return y;
}

#define MNEME_INSTANTIATE(T)                               \
  template Var<T> erase(Tape<T>&, Var<T>, Var<T>, Var<T>); \
  template Var<T> write(Tape<T>&, Var<T>, Var<T>, Var<T>); \
  template Var<T> erase_add(Tape<T>&, Var<T>, Var<T>, Var<T>, Var<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
