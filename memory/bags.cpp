// Room: memory. Bags of words.
#include "memory/bags.hpp"

#include "autodiff/lanes.hpp"
#include "autodiff/ops.hpp"
#include "core/batch.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mneme {

namespace {

/// `words(b, n)` gives the tokens of a bag as (pointer, stride, length).
struct Tokens {
  const std::int32_t* at = nullptr;
  std::size_t stride = 1, length = 0;
};

template <class T, class F>
Bags<T> look_up(Tape<T>& tape, std::size_t rows, std::size_t items, const std::uint32_t* count, std::size_t most,
                const BagRule& rule, F words) {
  const bool program = rule.encoding == Encoding::program, centred = program || rule.encoding == Encoding::centred;
  if (program && rule.longest_line == 0)
    fail<ArgumentError>("memory.encoding", "program needs a task that says how many words its longest line has");
  auto* begin = tape.template scratch<std::uint32_t>(rows * items + 1);
  auto* word = tape.template scratch<std::int32_t>(most);
  T *constant = tape.allocate(most), *slope = tape.allocate(most);
  std::uint32_t used = 0;
  for (std::size_t b = 0; b < rows; ++b)
    for (std::size_t n = 0; n < items; ++n) {
      const std::uint32_t first = begin[b * items + n] = used;
      if (n >= count[b]) continue;
      const Tokens bag = words(b, n);
      for (std::size_t w = 0; w < bag.length; ++w)
        if (const std::int32_t token = bag.at[w * bag.stride]; token >= 0) word[used++] = token;
      const T scale =
          T(1) / static_cast<T>(program ? rule.longest_line + 1 : std::max<std::size_t>(used - first, 1));  // 1/J
      const T each = T(1) / static_cast<T>(rule.width);                                                     // 1/D
      for (std::uint32_t i = first; i < used; ++i) {
        const T share = static_cast<T>(i - first + 1) * scale;  // j/J
        constant[i] = 1;
        slope[i] = 0;
        if (rule.encoding == Encoding::position) {
          constant[i] = 1 - share;
          slope[i] = (2 * share - 1) * each;
        } else if (centred) {
          slope[i] = 4 * each * (share - (1 + scale) / 2);
          constant[i] = 1 - slope[i] * static_cast<T>(rule.width + 1) / 2;
        }
      }
    }
  begin[rows * items] = used;
  return {rows, items, count, begin, word, constant, slope};
}

constexpr std::size_t block_of(std::size_t width, std::size_t lane) {
  return (width + lane - 1) / lane * lane;
}

}  // namespace

std::vector<std::string> encoding_names() {
  return {"bag", "position", "centred", "program"};
}

Encoding encoding_of(const std::string& name) {
  const auto names = encoding_names();
  return static_cast<Encoding>(std::find(names.begin(), names.end(), name) - names.begin());
}

template <class T>
Bags<T> item_bags(Tape<T>& tape, const ItemSet& items, std::size_t rows, const BagRule& rule, Part part,
                  std::size_t split) {
  const std::size_t given = items.tokens.shape()[1], words = items.tokens.shape()[2];
  const std::size_t longest = *std::max_element(items.count.begin(), items.count.end());
  const std::size_t n = std::max<std::size_t>(longest, 1);
  const std::int32_t* tokens = items.tokens.data();
  return look_up<T>(tape, rows, n, items.count.data(), rows * longest * words, rule, [=](std::size_t b, std::size_t i) {
    Tokens bag{tokens + (b * given + i) * words, 1, words};
    if (part == Part::all) return bag;
    while (bag.length && bag.at[bag.length - 1] < 0) --bag.length;
    const std::size_t back = std::min(split, bag.length);
    if (part == Part::front)
      bag.length -= back;
    else
      bag = {bag.at + bag.length - back, 1, back};
    return bag;
  });
}

template <class T>
Bags<T> question_bags(Tape<T>& tape, const Batch& batch, const BagRule& rule) {
  const std::size_t rows = batch.size, steps = batch.steps;
  auto* one = tape.template scratch<std::uint32_t>(rows);
  std::fill_n(one, rows, 1u);
  const std::int32_t* tokens = batch.tokens.data();
  return look_up<T>(tape, rows, 1, one, rows * steps, rule, [=](std::size_t b, std::size_t) {
    return Tokens{tokens + b, rows, steps};
  });
}

template <class T>
const std::int32_t* item_ages(Pass<T>& pass, const Bags<T>& bags, std::size_t ages, double noise) {
  auto* age = pass.tape.template scratch<std::int32_t>(bags.rows * bags.items);
  std::fill_n(age, bags.rows * bags.items, 0);
  for (std::size_t b = 0; b < bags.rows; ++b) {
    const std::size_t n = bags.count[b];
    Random random = pass.stream("noise", b);
    std::int64_t blanks = pass.train && noise > 0
                              ? random.integer(0, static_cast<std::int64_t>(std::ceil(noise * static_cast<double>(n))))
                              : 0;
    std::int64_t now = 0;
    for (std::size_t i = n; i-- > 0; ++now) {
      // Every choice of places for the empty ones is equally likely.
      for (; blanks > 0 && random.integer(0, static_cast<std::int64_t>(i) + blanks) < blanks; --blanks) ++now;
      age[b * bags.items + i] =
          static_cast<std::int32_t>(std::min<std::int64_t>(now, static_cast<std::int64_t>(ages) - 1));
    }
  }
  return age;
}

// y[b,:,n] = sum_j l_j table[word_j] + times[age[b,n]]
//
// Rows are made contiguous, a register of components at a time over all words, then put into their column. Backward,
// words add to copies of the rows they touch, of whole registers, so that no masked store waits for another.
template <class T>
Var<T> embed_bags(Tape<T>& tape, const Bags<T>& bags, Var<T> table, Var<T> times, const std::int32_t* age) {
  if (table.shape.rank() != 2 || (times && (times.shape.rank() != 2 || times.shape[1] != table.shape[1])))
    fail<ArgumentError>("embed_bags", "table {}, times {}", table.shape.text(), times ? times.shape.text() : "none");
  constexpr std::size_t lane = Simd<T>::size;
  const std::size_t batch = bags.rows, n = bags.items, d = table.shape[1], block = block_of(d, lane);
  const auto vocabulary = static_cast<std::int64_t>(table.shape[0]);
  for (std::uint32_t w = 0; w < bags.begin[batch * n]; ++w)
    if (bags.word[w] >= vocabulary)
      fail<ArgumentError>("embed_bags", "word {} in a table {}", bags.word[w], table.shape.text());
  Var<T> y = tape.result(Shape{batch, d, n}, table, times);
  T* component = tape.allocate(block);  // k = 1, 2, ...
  std::iota(component, component + block, T(1));
  T* row = tape.allocate(block);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint32_t first = bags.begin[b * n + i], last = bags.begin[b * n + i + 1];
      T* to = y.data + b * d * n + i;
      if (i >= bags.count[b]) {
        for (std::size_t m = 0; m < d; ++m) to[m * n] = 0;
        continue;
      }
      lanes<T>(d, [&](auto part, std::size_t m) {
        const Simd<T> k = Simd<T>::load_unaligned(component + m);
        Simd<T> sum = times ? part.load(times.data + static_cast<std::size_t>(age[b * n + i]) * d + m) : Simd<T>(T(0));
        for (std::uint32_t w = first; w < last; ++w)
          sum = xsimd::fma(xsimd::fma(Simd<T>(bags.slope[w]), k, Simd<T>(bags.constant[w])),
                           part.load(table.data + static_cast<std::size_t>(bags.word[w]) * d + m), sum);
        sum.store_unaligned(row + m);
      });
      for (std::size_t m = 0; m < d; ++m) to[m * n] = row[m];
    }
  // dtable[word_j] += l_j dy        dtimes[age] += dy
  tape.node("embed_bags", {y}, [=](Tape<T>& t) {
    const T* dy = t.gradient(y);
    const std::uint32_t words = bags.begin[batch * n];
    const std::size_t most = std::min<std::size_t>(table.shape[0], words);
    auto* place = t.template scratch<std::uint32_t>(table.shape[0]);  // of each row in the list of touched ones, from 1
    auto* touched = t.template scratch<std::int32_t>(most);
    std::fill_n(place, table.shape[0], 0u);
    std::uint32_t used = 0;
    for (std::uint32_t w = 0; w < words; ++w)
      if (std::uint32_t& at = place[bags.word[w]]; at == 0) {
        touched[used] = bags.word[w];
        at = ++used;
      }
    T *sums = t.allocate(used * block), *g = t.allocate(block);
    std::fill_n(sums, used * block, T(0));
    std::fill_n(g, block, T(0));
    const auto each = [&](T* dtimes) {
      for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t i = 0; i < bags.count[b]; ++i) {
          const T* from = dy + b * d * n + i;
          for (std::size_t m = 0; m < d; ++m) g[m] = from[m * n];
          for (std::uint32_t w = bags.begin[b * n + i]; w < bags.begin[b * n + i + 1]; ++w) {
            T* to = sums + (place[bags.word[w]] - 1) * block;
            const Simd<T> slope(bags.slope[w]), constant(bags.constant[w]);
            for (std::size_t m = 0; m < block; m += lane) {
              const Simd<T> l = xsimd::fma(slope, Simd<T>::load_unaligned(component + m), constant);
              xsimd::fma(l, Simd<T>::load_unaligned(g + m), Simd<T>::load_unaligned(to + m)).store_unaligned(to + m);
            }
          }
          if (!dtimes) continue;
          T* to = dtimes + static_cast<std::size_t>(age[b * n + i]) * d;
          for (std::size_t m = 0; m < d; ++m) to[m] += g[m];
        }
    };
    if (times.slot)
      t.accumulate_part(times, each);
    else
      each(nullptr);
    t.accumulate_part(table, [&](T* dtable) {
      for (std::uint32_t r = 0; r < used; ++r) {
        T* to = dtable + static_cast<std::size_t>(touched[r]) * d;
        lanes<T>(d, [&](auto part, std::size_t m) {
          part.store(to + m, part.load(to + m) + Simd<T>::load_unaligned(sums + r * block + m));
        });
      }
    });
  });
  return y;
}

template <class T>
Var<T> Bags<T>::present(Tape<T>& tape) const {
  Var<T> y = tape.constant({rows, items});
  for (std::size_t b = 0; b < rows; ++b)
    for (std::size_t i = 0; i < items; ++i) y.data[b * items + i] = i < count[b] ? T(1) : T(0);
  return y;
}

template <class T>
Mask item_mask(Tape<T>& tape, Var<T> present, std::size_t slots) {
  const std::size_t rows = present.shape[0], n = present.shape[1];
  auto* may = tape.template scratch<std::uint8_t>(rows * n);
  auto* empty = tape.template scratch<std::uint32_t>(rows);
  for (std::size_t b = 0; b < rows; ++b) {
    std::size_t count = 0;
    for (std::size_t i = b * n; i < (b + 1) * n; ++i) count += may[i] = present.data[i] > 0;
    empty[b] = static_cast<std::uint32_t>(slots > count ? slots - count : 0);
  }
  return {may, false, slots ? empty : nullptr};
}

template <class T>
Var<T> score_rows(Tape<T>& tape, Var<T> u, Var<T> rows) {
  const std::size_t batch = u.shape[0], d = u.shape[1], k = rows.shape[0];
  return batched_product(tape, u.reshaped({1, batch, d}), rows.reshaped({1, k, d}), true).reshaped({batch, k});
}

#define MNEME_INSTANTIATE(T)                                                                            \
  template struct Bags<T>;                                                                              \
  template Bags<T> item_bags(Tape<T>&, const ItemSet&, std::size_t, const BagRule&, Part, std::size_t); \
  template Bags<T> question_bags(Tape<T>&, const Batch&, const BagRule&);                               \
  template const std::int32_t* item_ages(Pass<T>&, const Bags<T>&, std::size_t, double);                \
  template Var<T> embed_bags(Tape<T>&, const Bags<T>&, Var<T>, Var<T>, const std::int32_t*);            \
  template Mask item_mask(Tape<T>&, Var<T>, std::size_t);                                               \
  template Var<T> score_rows(Tape<T>&, Var<T>, Var<T>);
MNEME_INSTANTIATE(float)
MNEME_INSTANTIATE(double)
#undef MNEME_INSTANTIATE

}  // namespace mneme
