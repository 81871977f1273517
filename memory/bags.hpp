// Room: memory. Bags of words: what turns statements and questions into vectors (MemN2N section 4.1).
//
//   m_i = sum_j l_j . A x_ij + T_A(i)
//
// with l_j = 1 in every component for a bag of words, or the position encoding, and T_A(i) a learned row for each age
// of a statement. item_bags() and question_bags() look words and positions up once; embed_bags() then serves every
// table. No word (-1) has no row and adds nothing: it is the nil word of other programs.
#pragma once

#include "attention/normalize.hpp"
#include "autodiff/pass.hpp"
#include "core/batch_spec.hpp"

#include <string>
#include <vector>

namespace mneme {

enum class Encoding {
  bag,       ///< l_kj = 1
  position,  ///< l_kj = (1 - j/J) - (k/D) (1 - 2 j/J), word j of J and component k of D, both from 1
  centred,   ///< l_kj = 1 + 4 (j - (J+1)/2) (k - (D+1)/2) / (J D): about twice as large
  program,   ///< the same with J one more than the words of training's longest line: what the authors' program does
};
/// As they stand there.
std::vector<std::string> encoding_names();
Encoding encoding_of(const std::string& name);

/// How the words of a bag add up.
struct BagRule {
  Encoding encoding = Encoding::position;
  std::size_t width = 0;         ///< D
  std::size_t longest_line = 0;  ///< BatchSpec::longest_line; only `program` asks for it
};

/// Sets of bags, looked up; lives in the tape's arena.
template <class T>
struct Bags {
  std::size_t rows = 0, items = 0;       ///< B, N = the longest set, at least 1
  const std::uint32_t* count = nullptr;  ///< [B]
  const std::uint32_t* begin = nullptr;  ///< [B N + 1]: bag n of row b has words begin[b N + n] .. begin[b N + n + 1]
  const std::int32_t* word = nullptr;
  const T *constant = nullptr, *slope = nullptr;  ///< of each word: l_k = constant + slope k, k from 1

  /// 1 where there is an item: [B N]
  Var<T> present(Tape<T>& tape) const;
};

/// The part of each item that is taken: all words, all but the last `split`, or only the last `split`.
enum class Part { all, front, back };

template <class T>
Bags<T> item_bags(Tape<T>& tape, const ItemSet& items, std::size_t rows, const BagRule& rule, Part part = Part::all,
                  std::size_t split = 0);
/// The tokens of each row's steps as one bag: N = 1.
template <class T>
Bags<T> question_bags(Tape<T>& tape, const Batch& batch, const BagRule& rule);

/// Statement n of a row of `count` has age count - 1 - n: the last one has 0. With `noise`, each story gets in training
/// up to ceil(noise count) empty statements, drawn from the row's stream "noise", that only make others older.
/// -> [B N], at most `ages` - 1.
template <class T>
const std::int32_t* item_ages(Pass<T>& pass, const Bags<T>& bags, std::size_t ages, double noise);

/// table [V D], times [ages D] or none -> [B D N], zero past a row's count
template <class T>
Var<T> embed_bags(Tape<T>& tape, const Bags<T>& bags, Var<T> table, Var<T> times = {},
                  const std::int32_t* age = nullptr);

/// Softmax over the items there are; with `slots` the empty ones of so many compete, as vectors of zeros would.
template <class T>
Mask item_mask(Tape<T>& tape, Var<T> present, std::size_t slots);

/// u rows [B D] against the rows of a table [K D] -> [B K]
template <class T>
Var<T> score_rows(Tape<T>& tape, Var<T> u, Var<T> rows);

}  // namespace mneme
