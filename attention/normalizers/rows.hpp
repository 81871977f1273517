// Room: attention. What normalizers share: rows of scores, their masks, and the way back through the strength.
#pragma once

#include "attention/normalize.hpp"
#include "autodiff/lanes.hpp"

namespace mneme::normalizing {

/// Of scores [B Q N]: B Q rows of N.
struct Rows {
  std::size_t batch, queries, n;
  std::size_t count() const { return batch * queries; }
};

/// Checks shapes; `op` is named in the complaint.
template <class T>
Rows rows_of(const char* op, const Var<T>& scores, const Var<T>& beta) {
  if (scores.shape.rank() != 3) fail<ArgumentError>(op, "scores {} are not [B Q N]", scores.shape.text());
  const Rows r{scores.shape[0], scores.shape[1], scores.shape[2]};
  if (beta && beta.size() != r.count())
    fail<ArgumentError>(op, "beta {} for scores {}", beta.shape.text(), scores.shape.text());
  return r;
}

/// [N], null = everything may be attended to.
inline const std::uint8_t* mask_row(const Mask& mask, const Rows& r, std::size_t row) {
  return mask.data ? mask.data + (mask.per_query ? row : row / r.queries) * r.n : nullptr;
}

/// dz (the gradient at z = beta e, zero where masked) to e and beta
template <class T>
void back_through_strength(Tape<T>& t, const Rows& r, const T* dz, Var<T> scores, Var<T> beta) {
  t.accumulate(scores, [&](auto into, T* de) {
    for (std::size_t row = 0; row < r.count(); ++row) {
      const Simd<T> b(beta ? beta.data[row] : T(1));
      lanes<T>(r.n, [&](auto lane, std::size_t i) {
        into.store(lane, de + row * r.n + i, b * lane.load(dz + row * r.n + i));
      });
    }
  });
  if (beta)
    t.accumulate(beta, [&](auto into, T* db) {
      for (std::size_t row = 0; row < r.count(); ++row)
        into(db[row], lanes_sum<T>(r.n, [&](auto lane, std::size_t i) {
               return lane.load(dz + row * r.n + i) * lane.load(scores.data + row * r.n + i);
             }));
    });
}

}  // namespace mneme::normalizing
