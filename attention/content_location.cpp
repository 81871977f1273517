#include "attention/content_location.hpp"

#include "attention/cases.hpp"
#include "attention/groups.hpp"
#include "attention/moves.hpp"
#include "attention/score.hpp"
#include "attention/sums.hpp"
#include "autodiff/ops.hpp"

#include <algorithm>
#include <cmath>

namespace mneme {

using namespace moves;

namespace {

struct Sizes {
  std::size_t batch, width, n, shifts;
  std::size_t stride() const { return n + 2 * (shifts / 2); }  ///< of a gated row with its neighbours
};

/// What a head keeps for its way back: rows of n, `gated` of stride().
template <class T>
struct Kept {
  T *scale /* [B] 1/|k| */, *similarity, *content, *gated, *shifted, *log_shifted;
};

template <class T>
Sizes check(std::span<const LocatedHead<T>> heads, const Var<T>& memory) {
  if (memory.shape.rank() != 3 || memory.shape[2] == 0)
    fail<ArgumentError>("content_location", "memory {} is not [B M N]", memory.shape.text());
  const Sizes s{memory.shape[0], memory.shape[1], memory.shape[2], heads.empty() ? 1 : heads[0].shift.shape.last()};
  if (s.shifts % 2 == 0) fail<ArgumentError>("content_location", "the shift range {} is not odd", s.shifts);
  const auto are = [&](const Var<T>& x, std::size_t count) {
    return x.shape.rows() == s.batch && x.shape.last() == count;
  };
  for (const LocatedHead<T>& h : heads)
    if (!are(h.key, s.width) || !are(h.beta, 1) || !are(h.gate, 1) || !are(h.shift, s.shifts) || !are(h.gamma, 1) ||
        !are(h.previous, s.n))
      fail<ArgumentError>("content_location",
                          "key {}, beta {}, gate {}, shift {}, gamma {}, previous {} for the memory {}",
                          h.key.shape.text(), h.beta.shape.text(), h.gate.shape.text(), h.shift.shape.text(),
                          h.gamma.shape.text(), h.previous.shape.text(), memory.shape.text());
  return s;
}

template <class T>
Kept<T> keep(Tape<T>& tape, const Sizes& s) {
  const std::size_t rows = s.batch * s.n;
  Kept<T> k;
  k.similarity = tape.allocate(4 * rows + s.batch * (s.stride() + 1));
  k.content = k.similarity + rows;
  k.shifted = k.content + rows;
  k.log_shifted = k.shifted + rows;
  k.gated = k.log_shifted + rows;
  k.scale = k.gated + s.batch * s.stride();
  return k;
}

/// c(i) = k . M(i) a b(i) with a = 1/sqrt(|k|^2 + eps); b(i), the same of the slots, is made by the first head
template <class T>
T cosines(const T* key, const T* memory, std::size_t d, std::size_t n, bool first, T* slots, T* c) {
  const Simd<T> eps(static_cast<T>(cosine_epsilon)), one(T(1));
  T square = 0;
  for (std::size_t m = 0; m < d; ++m) square += key[m] * key[m];
  const T a = 1 / std::sqrt(square + static_cast<T>(cosine_epsilon));
  const auto pass = [&](auto norms) {
    lane_blocks<T, 4>(n, [&](auto count, auto lane, std::size_t i) {
      Simd<T> dot[count], norm[count];
      for (std::size_t r = 0; r < count; ++r) dot[r] = norm[r] = Simd<T>(T(0));
      const T* from = memory + i;
      for (std::size_t m = 0; m < d; ++m, from += n) {
        const Simd<T> km(key[m]);
        for (std::size_t r = 0; r < count; ++r) {
          const Simd<T> v = lane.load(from + r * Simd<T>::size);
          dot[r] = xsimd::fma(v, km, dot[r]);
          if constexpr (norms) norm[r] = xsimd::fma(v, v, norm[r]);
        }
      }
      for (std::size_t r = 0; r < count; ++r) {
        const std::size_t at = i + r * Simd<T>::size;
        if constexpr (norms) lane.store(slots + at, one / xsimd::sqrt(norm[r] + eps));
        lane.store(c + at, dot[r] * lane.load(slots + at) * Simd<T>(a));
      }
    });
  };
  if (first)
    pass(std::true_type{});
  else
    pass(std::false_type{});
  return a;
}

/// From the similarities of one row to its weights.
template <class T, class Width>
void weigh(const LocatedHead<T>& h, std::size_t b, Width width, std::size_t n, const Kept<T>& k, T* out) {
  const std::size_t at = b * n, stride = n + 2 * (width / 2);
  const T *c = k.similarity + at, *old = h.previous.data + at, *s = h.shift.data + b * width;
  T *content = k.content + at, *gated = k.gated + b * stride, *centre = gated + width / 2, *moved = k.shifted + at,
    *logs = k.log_shifted + at;
  const Simd<T> beta(h.beta.data[b]), gate(h.gate.data[b]), rest(1 - h.gate.data[b]),
      eps(static_cast<T>(sharpen_epsilon));
  lanes<T>(n, [&](auto lane, std::size_t i) { lane.store(content + i, beta * lane.load(c + i)); });
  const Simd<T> top(largest(content, n));
  const Simd<T> scale(1 /
                      exponentials(n, content, [=](auto lane, std::size_t i) { return lane.load(content + i) - top; }));
  lanes<T>(n, [&](auto lane, std::size_t i) {
    const Simd<T> w = scale * lane.load(content + i);
    lane.store(content + i, w);
    lane.store(centre + i, gate * w + rest * lane.load(old + i));
  });
  wrap(gated, n, width / 2);
  lanes<T>(n, [&](auto lane, std::size_t i) {
    const Simd<T> w = shifted(lane, gated, s, width, i);
    lane.store(moved + i, w);
    lane.store(logs + i, xsimd::log(w + eps));
  });
  sharpen_logarithms(logs, h.gamma.data[b], n, out);
}

/// Gradients of a row's scalars, and `along` = sum_i dc c.
template <class T>
struct RowBack {
  T dbeta, dgate, dgamma, along;
};

/// Back from a row's dw to its last weighting and similarities: g = dc a b, and `shrink` (+)= dc c b^2. around and
/// dcontent are room for a row.
template <class T, class Width, class Into, class Shrink>
RowBack<T> weigh_back(const LocatedHead<T>& h, std::size_t b, Width width, std::size_t n, const Kept<T>& k,
                      const T* slots, const T* w, const T* dw, T* around, T* dcontent, Into into, T* dprevious,
                      Shrink into_shrink, T* g, T* shrink, T* dshift) {
  RowBack<T> back;
  const std::size_t at = b * n, stride = n + 2 * (width / 2);
  const T *c = k.similarity + at, *content = k.content + at, *gated = k.gated + b * stride, *old = h.previous.data + at,
          *s = h.shift.data + b * width;
  T* dshifted = around + width / 2;
  back.dgamma = sharpen_row_back(k.shifted + at, k.log_shifted + at, w, dw, h.gamma.data[b], n, dshifted);
  wrap(around, n, width / 2);
  for (std::size_t o = 0; o < width; ++o) dshift[o] = dot_row(dshifted, gated + width - 1 - o, n);
  const Simd<T> gate(h.gate.data[b]), rest(1 - h.gate.data[b]), beta(h.beta.data[b]), a(k.scale[b]);
  const auto [dgate, mean] = lanes_sums<T, 2>(n, [=](auto lane, std::size_t i) {
    const Simd<T> dgated = shifted_back(lane, static_cast<const T*>(around), s, width, i), wc = lane.load(content + i);
    const Simd<T> dc = gate * dgated;
    lane.store(dcontent + i, dc);
    into.store(lane, dprevious + i, rest * dgated);
    return std::array<Simd<T>, 2>{dgated * (wc - lane.load(old + i)), dc * wc};
  });
  back.dgate = dgate;
  const Simd<T> pull(mean);
  const auto [dbeta, along] = lanes_sums<T, 2>(n, [=](auto lane, std::size_t i) {
    const Simd<T> dz = lane.load(content + i) * (lane.load(dcontent + i) - pull), ci = lane.load(c + i);
    const Simd<T> dc = beta * dz, scale = lane.load(slots + i), turned = dc * ci;
    lane.store(g + i, dc * scale * a);
    into_shrink.store(lane, shrink + i, turned * scale * scale);
    return std::array<Simd<T>, 2>{dz * ci, turned};
  });
  back.dbeta = dbeta;
  back.along = along;
  return back;
}

/// Where a gradient goes, and whether it is added to what is there.
template <class T>
struct Target {
  T* data;
  bool adds;
};

template <class T>
Target<T> target(Tape<T>& t, const Var<T>& x) {
  Target<T> to;
  t.accumulate_always(x, [&](auto into, T* dx) { to = {dx, decltype(into)::adds}; });
  return to;
}

/// f(into)
template <class F>
void with_into(bool adds, F&& f) {
  if (adds)
    f(Add{});
  else
    f(Set{});
}

/// One row of a head on its way back.
template <class T>
struct HeadRow {
  const T *key, *weights, *dread;  ///< dread: none where nothing is read
  T *g, *dweights, *dkey;
  T pull;
};

/// dw = what else hears of the weights + sum_m dr[m] M[m]
template <std::size_t heads, class T>
void reads_back(const HeadRow<T>* rows, std::size_t d, std::size_t n, const T* memory, const T* const* others) {
  constexpr std::size_t most = Simd<T>::size * sizeof(T) == 64 ? 8 : 4;
  lane_blocks<T, most / heads>(n, [&](auto count, auto lane, std::size_t i) {
    Simd<T> sum[heads][count];
    const T* dread[heads];
    for (std::size_t h = 0; h < heads; ++h) {
      dread[h] = rows[h].dread;
      for (std::size_t r = 0; r < count; ++r) sum[h][r] = Simd<T>(T(0));
    }
    const std::size_t stride = n, width = d;
    const T* from = memory + i;
    for (std::size_t m = 0; m < width; ++m, from += stride)
      for (std::size_t h = 0; h < heads; ++h) {
        const Simd<T> g(dread[h][m]);
        for (std::size_t r = 0; r < count; ++r)
          sum[h][r] = xsimd::fma(g, lane.load(from + r * Simd<T>::size), sum[h][r]);
      }
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t r = 0; r < count; ++r) {
        const std::size_t at = i + r * Simd<T>::size;
        lane.store(rows[h].dweights + at, lane.load(others[h] + at) + sum[h][r]);
      }
  });
}

/// dM (+)= sum_h dr_h w_h + sum_h g_h k_h - shrink M and dk_h = sum_i g_h M - pull_h k_h
template <std::size_t heads, bool reads, class T, class Into>
void to_memory(Into into, const HeadRow<T>* head, std::size_t d, std::size_t n, const T* memory, const T* shrink,
               T* dmemory) {
  row_blocks<T, (reads ? 2 : 1) * heads>(d, [&](auto count, std::size_t m) {
    Simd<T> sum[heads][count], key[heads][count], dread[heads][count];
    const T *gs[heads], *ws[heads];
    for (std::size_t h = 0; h < heads; ++h) {
      gs[h] = head[h].g, ws[h] = head[h].weights;
      for (std::size_t r = 0; r < count; ++r) {
        sum[h][r] = Simd<T>(T(0)), key[h][r] = Simd<T>(head[h].key[m + r]);
        if constexpr (reads) dread[h][r] = Simd<T>(head[h].dread[m + r]);
      }
    }
    const std::size_t stride = n;
    const T *shrinks = shrink, *from = memory + m * n;
    T* to = dmemory + m * n;
    lanes<T>(stride, [&](auto lane, std::size_t i) {
      Simd<T> g[heads], w[heads];
      for (std::size_t h = 0; h < heads; ++h) {
        g[h] = lane.load(gs[h] + i);
        if constexpr (reads) w[h] = lane.load(ws[h] + i);
      }
      const Simd<T> s = lane.load(shrinks + i);
      for (std::size_t r = 0; r < count; ++r) {
        const std::size_t at = r * stride + i;
        const Simd<T> k = lane.load(from + at);
        Simd<T> looked = g[0] * key[0][r];
        for (std::size_t h = 1; h < heads; ++h) looked = xsimd::fma(g[h], key[h][r], looked);
        for (std::size_t h = 0; h < heads; ++h) sum[h][r] = xsimd::fma(g[h], k, sum[h][r]);
        looked = xsimd::fnma(s, k, looked);
        if constexpr (reads) {
          // Rounded before `looked` is added, whoever is first: the bits of the two ops.
          const Simd<T> before = Into::adds ? lane.load(to + at) : Simd<T>(T(0));
          Simd<T> read = xsimd::fma(w[0], dread[0][r], before);
          for (std::size_t h = 1; h < heads; ++h) read = xsimd::fma(w[h], dread[h][r], read);
          lane.store(to + at, read + looked);
        } else {
          into.store(lane, to + at, looked);
        }
      }
    });
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t r = 0; r < count; ++r)
        head[h].dkey[m + r] = xsimd::hadd(sum[h][r]) - head[h].pull * head[h].key[m + r];
  });
}

/// What the op was called with and what it keeps; heads, kept, weights and reads are lists.
template <class T>
struct Call {
  Sizes sizes;
  Var<T> memory;
  const LocatedHead<T>* heads;
  const Kept<T>* kept;
  const Var<T>* weights;
  const Var<T>* reads;  ///< none: nothing is read
  const T* slots;       ///< 1/|M(i)|
};

/// The way back of `count` heads from `first` on.
template <std::size_t count, class T>
void group_back(Tape<T>& t, const Call<T>& call, std::size_t first) {
  const Sizes s = call.sizes;
  const LocatedHead<T>* heads = call.heads + first;
  T* room = t.allocate((2 * count + 2) * s.n + s.stride() + count * s.batch * (s.width + s.shifts));
  T *g = room, *dweights = g + count * s.n, *shrink = dweights + count * s.n, *dcontent = shrink + s.n,
    *around = dcontent + s.n, *dkeys = around + s.stride(), *dshifts = dkeys + count * s.batch * s.width;
  auto* back = t.template scratch<RowBack<T>>(count * s.batch);
  const Target<T> dmemory = target(t, call.memory);
  Target<T> dprevious[count];
  const T *dw[count], *dread[count];
  for (std::size_t h = 0; h < count; ++h) {
    dprevious[h] = target(t, heads[h].previous);
    dw[h] = t.gradient(call.weights[first + h]);
    dread[h] = call.reads ? t.gradient(call.reads[first + h]) : nullptr;
  }
  for (std::size_t b = 0; b < s.batch; ++b) {
    const T* memory = call.memory.data + b * s.width * s.n;
    HeadRow<T> rows[count];
    const T* others[count];
    for (std::size_t h = 0; h < count; ++h) {
      rows[h] = {heads[h].key.data + b * s.width,
                 call.weights[first + h].data + b * s.n,
                 nullptr,
                 g + h * s.n,
                 dweights + h * s.n,
                 dkeys + (h * s.batch + b) * s.width,
                 T(0)};
      others[h] = dw[h] + b * s.n;
      if (call.reads) rows[h].dread = dread[h] + b * s.width;
    }
    if (call.reads) reads_back<count>(rows, s.width, s.n, memory, others);
    with_width(s.shifts, [&](auto width) {
      for (std::size_t h = 0; h < count; ++h)
        with_into(dprevious[h].adds, [&](auto into) {
          const auto chain = [&](auto into_shrink) {
            return weigh_back(heads[h], b, width, s.n, call.kept[first + h], call.slots + b * s.n, rows[h].weights,
                              call.reads ? rows[h].dweights : others[h], around, dcontent, into,
                              dprevious[h].data + b * s.n, into_shrink, rows[h].g, shrink,
                              dshifts + (h * s.batch + b) * s.shifts);
          };
          const RowBack<T> r = back[h * s.batch + b] = h == 0 ? chain(Set{}) : chain(Add{});
          const T a = call.kept[first + h].scale[b];
          rows[h].pull = a * a * r.along;
        });
    });
    with_into(dmemory.adds, [&](auto into) {
      T* to = dmemory.data + b * s.width * s.n;
      if (call.reads)
        to_memory<count, true>(into, rows, s.width, s.n, memory, shrink, to);
      else
        to_memory<count, false>(into, rows, s.width, s.n, memory, shrink, to);
    });
  }
  for (std::size_t h = 0; h < count; ++h) {
    const auto give = [&](const Var<T>& x, auto value) {
      t.accumulate(x, [&](auto into, T* dx) {
        for (std::size_t i = 0; i < x.size(); ++i) into(dx[i], value(i));
      });
    };
    const RowBack<T>* own = back + h * s.batch;
    const T *dkey = dkeys + h * s.batch * s.width, *dshift = dshifts + h * s.batch * s.shifts;
    give(heads[h].key, [=](std::size_t i) { return dkey[i]; });
    give(heads[h].beta, [=](std::size_t b) { return own[b].dbeta; });
    give(heads[h].gate, [=](std::size_t b) { return own[b].dgate; });
    give(heads[h].shift, [=](std::size_t i) { return dshift[i]; });
    give(heads[h].gamma, [=](std::size_t b) { return own[b].dgamma; });
  }
}

template <class T>
LocatedStages<T> stages_of(Tape<T>& tape, const Sizes& s, const Kept<T>& k) {
  const auto stage = [&](T* data) { return Var<T>{data, Shape{s.batch, s.n}, nullptr}; };
  const Var<T> gated = tape.constant({s.batch, s.n});
  for (std::size_t b = 0; b < s.batch; ++b)
    std::copy_n(k.gated + b * s.stride() + s.shifts / 2, s.n, gated.data + b * s.n);
  return {stage(k.similarity), stage(k.content), gated, stage(k.shifted)};
}

}  // namespace

template <class T>
void content_location(Tape<T>& tape, std::span<const LocatedHead<T>> given, Var<T> memory, std::span<Var<T>> weights,
                      std::span<Var<T>> reads, std::span<LocatedStages<T>> stages) {
  const Sizes s = check(given, memory);
  const std::size_t count = given.size();
  auto* heads = tape.template scratch<LocatedHead<T>>(count);
  auto* kept = tape.template scratch<Kept<T>>(count);
  auto* out = tape.template scratch<Var<T>>(2 * count);  // weights, then reads
  T* slots = tape.allocate(s.batch * s.n);
  const bool needs =
      memory.slot || std::any_of(given.begin(), given.end(), [](const LocatedHead<T>& x) {
        return x.key.slot || x.beta.slot || x.gate.slot || x.shift.slot || x.gamma.slot || x.previous.slot;
      });
  for (std::size_t h = 0; h < count; ++h) {
    new (heads + h) LocatedHead<T>(given[h]);
    kept[h] = keep(tape, s);
    weights[h] = *new (out + h) Var<T>(tape.result_if(needs, {s.batch, s.n}));
    if (!reads.empty()) reads[h] = *new (out + count + h) Var<T>(tape.result_if(needs, {s.batch, s.width}));
  }
  with_width(s.shifts, [&](auto width) {
    for (std::size_t b = 0; b < s.batch; ++b) {
      const T* rows = memory.data + b * s.width * s.n;
      for (std::size_t h = 0; h < count; ++h) {
        T* w = out[h].data + b * s.n;
        kept[h].scale[b] = cosines(heads[h].key.data + b * s.width, rows, s.width, s.n, h == 0, slots + b * s.n,
                                   kept[h].similarity + b * s.n);
        weigh(heads[h], b, width, s.n, kept[h], w);
        if (!reads.empty()) sum_row(w, rows, s.width, s.n, out[count + h].data + b * s.width);
      }
    }
  });
  for (std::size_t h = 0; h < stages.size(); ++h) stages[h] = stages_of(tape, s, kept[h]);
  const Call<T> call{s, memory, heads, kept, out, reads.empty() ? nullptr : out + count, slots};
  tape.node("content_location", std::span<const Var<T>>(out, reads.empty() ? count : 2 * count), [=](Tape<T>& t) {
    head_groups(count, [&](auto size, std::size_t first) {
      constexpr std::size_t group = size;
      group_back<group>(t, call, first);
    });
  });
}

namespace {

using Inputs = std::span<const Var<double>>;

/// Heads of six inputs each after the memory; their weightings, and reads where asked for, joined as one value.
GradientFunction of_heads(std::size_t count, bool read) {
  return [count, read](Tape<double>& t, Inputs x) {
    std::vector<LocatedHead<double>> heads;
    for (std::size_t h = 0; h < count; ++h) {
      const Var<double>* p = &x[1 + 6 * h];
      heads.push_back({p[0], p[1], p[2], p[3], p[4], p[5]});
    }
    std::vector<Var<double>> weights(count), reads(read ? count : 0);
    content_location<double>(t, heads, x[0], weights, reads);
    weights.insert(weights.end(), reads.begin(), reads.end());
    return concatenate<double>(t, weights);
  };
}

std::vector<GradientInput> inputs(const CaseSizes& s, std::size_t heads, std::size_t shifts) {
  std::vector<GradientInput> all{{{s.b, s.d, s.n}, 0.2, 1}};
  for (std::size_t h = 0; h < heads; ++h) {
    const GradientInput head[] = {{{s.b, s.d}, 0.2, 1},     {{s.b, 1}, 0.3, 3}, {{s.b, 1}, 0.1, 0.9},
                                  {{s.b, shifts}, 0.05, 1}, {{s.b, 1}, 1, 3},   {{s.b, s.n}, 0.05, 1}};
    all.insert(all.end(), std::begin(head), std::end(head));
  }
  return all;
}

const bool cases = register_cases("content_location", [](CaseList& list) {
  for (const bool read : {false, true}) {
    const char* how = read ? "read, " : "";
    for (const CaseSizes& s : case_sizes)
      for (const std::size_t heads : {1, 2, 3})
        list.add(fmt::format("{}{}, {} heads", how, s.text(), heads), inputs(s, heads, 3), of_heads(heads, read));
    const CaseSizes small{2, 1, 3, 5};
    for (const std::size_t shifts : {1, 5, 7})
      list.add(fmt::format("{}S={}", how, shifts), inputs(small, 1, shifts), of_heads(1, read));
    std::vector<GradientInput> still = inputs(small, 2, 3);  // nothing that the second head is told has a gradient
    still[0].role = GradientInput::Role::constant;
    for (std::size_t i = 7; i < 13; ++i) still[i].role = GradientInput::Role::constant;
    list.add(fmt::format("{}the second of two heads constant", how), still, of_heads(2, read));
    list.add(fmt::format("{}seven heads", how), inputs({1, 1, 5, 9}, 7, 3), of_heads(7, read));
    for (std::size_t fixed = 0; fixed < 13; ++fixed) {
      std::vector<GradientInput> some = inputs(small, 2, 3);
      some[fixed].role = GradientInput::Role::constant;
      list.add(fmt::format("{}input {} constant", how, fixed), some, of_heads(2, read));
    }
  }
});

}  // namespace

#define MNEME_INSTANTIATE(T)                                                                           \
  template void content_location(Tape<T>&, std::span<const LocatedHead<T>>, Var<T>, std::span<Var<T>>, \
                                 std::span<Var<T>>, std::span<LocatedStages<T>>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
