// Room: memory. Hops: what memories share that are filled from items and read in several hops (Sukhbaatar et al. 2015,
// section 2; Miller et al. 2016, section 3.1).
//
//   w^k = normalize(score(q^k, keys^k)),  o^k = sum_i w^k_i values^k_i,  q^{k+1} = next(q^k, o^k)
//
// A hop is a site and a turn of the one step. The last turn, `next_query`, keeps q^{K+1}, which the answer is made
// from. There are as many slots as training's largest set has items, and the empty ones may compete: a hop may find
// nothing.
//
// A memory of this kind builds its tables, declares and fills its keys and values, and says which of them a hop looks
// at and what the next query is.
#pragma once

#include "attention/attend.hpp"
#include "memory/bags.hpp"
#include "memory/memory.hpp"
#include "nn/linear.hpp"

#include <optional>

namespace mneme {

/// Options of them all; `width` is the default of memory.width.
OptionTable hop_options(std::int64_t width);

template <class T>
class HopMemory : public Memory<T> {
 public:
  const MemoryLayout& layout() const final { return layout_; }
  Values<T> head_parameters(Pass<T>& pass, Var<T> control) const final;
  void address(Pass<T>& pass, const Turn& turn, Values<T> parameters, Values<T> before, Values<T> now) const final;
  void update(Pass<T>& pass, const Turn& turn, Values<T> parameters, Values<T> before, Values<T> now) const final;
  void read(Pass<T>& pass, const Turn& turn, Values<T> now) const final;
  Var<T> question(Pass<T>& pass, const Batch& batch) const final;
  Var<T> answer(Pass<T>& pass, Values<T> state) const final;

 protected:
  /// Declares "present" and "query". `memory` is the name for messages. Throws ArgumentError where the task's items are
  /// not words, or more than slots.
  HopMemory(std::string memory, const Options& o, const MemorySetup& setup);

  /// The rest of the construction, after the tables of the items: what queries are made from and what answers by.
  /// `answers_are_words`: rows of `answer` are looked up by the classes' tokens (BatchSpec::output_tokens).
  void ask(std::size_t question_table, std::size_t answer_table, bool answers_are_words);
  /// Where nobody asks: the query is a projection of the control.
  void project(const Builder<T>& build, const MemorySetup& setup);
  /// Sites and turns; `sums_to_one`: whether weights do in every hop of every pass, empty slots included.
  void declare_hops(Attention<T> attention, const std::string& similarity, bool sums_to_one);

  /// A table of one row for each word of the task, normal(0.1), its gradient clipped on its own.
  std::size_t word_table(const Builder<T>& build, const std::string& name) const;
  std::size_t table(const Builder<T>& build, const std::string& name, std::size_t rows) const;

  /// The items' words looked up. Throws InvariantError where there are no items, ArgumentError for more than slots.
  Bags<T> bags(Tape<T>& tape, const Start& start, Part part = Part::all, std::size_t split = 0) const;
  /// A state before the first hop, which the keys and values are yet to be put into.
  Values<T> unread(Tape<T>& tape, const Bags<T>& bags) const;
  /// scores [B N] -> weights [B N] by the attention's normalizer, unless said otherwise. present [B N]: 1 where there
  /// is an item; `mask` is made of it.
  virtual Var<T> weigh(Tape<T>& tape, Var<T> scores, Var<T> present, const Mask& mask, Values<T> now) const;

  std::size_t slots_, width_, hops_;
  Group group_;
  double noise_;
  MemoryLayout layout_;

 private:
  virtual std::size_t keys(std::size_t hop) const = 0;    ///< in the state
  virtual std::size_t values(std::size_t hop) const = 0;  ///< in the state
  /// q^{k+1} of q^k [B D] and o^k [B D]
  virtual Var<T> next(Tape<T>& tape, std::size_t hop, Var<T> query, Var<T> found) const = 0;

  Var<T> query_of(Tape<T>& tape, std::size_t hop, Values<T> parameters, Values<T> now) const;

  std::string memory_;
  BagRule rule_;
  bool empty_slots_;
  std::size_t words_;
  std::vector<std::int32_t> answer_tokens_;
  std::size_t question_ = 0, answer_ = 0;  // parameters
  std::size_t present_ = 0, query_ = 0;    // in the state
  std::optional<Attention<T>> attention_;
  std::optional<Linear<T>> projection_;
};

}  // namespace mneme
