// Room: nn. ParameterSet: every number that is trained or saved, under its name; Gradients: one shard's gradients.
//
// Modules declare through a Builder while a model is built; initialize() then lays all values out in one flat array
// (64-byte aligned, each parameter at a multiple of 16 numbers), so clipping and optimizers are loops over flat arrays.
// A module keeps a Parameter index and asks the tape for the handle at each step; it holds nothing else that changes.
#pragma once

#include "autodiff/tape.hpp"
#include "nn/initializers.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mneme {

/// What parameters share when they are updated. One name, one group.
struct Group {
  std::string name = "default";
  double learning_rate_scale = 1;
  double weight_decay = 0;      ///< added to the gradient: g + weight_decay w
  double clip_norm = 0;         ///< 2-norm limit of each parameter of the group alone; 0 = only the global clip
  bool frozen = false;          ///< no update at all
  std::ptrdiff_t nil_row = -1;  ///< this row is set back to zero after every update (a nil word's embedding)
  bool operator==(const Group&) const = default;
};

struct Parameter {
  std::string name;  ///< "memory.heads.weight": dots join the modules on the way
  Shape shape;
  Initializer initializer;
  std::size_t group = 0;
  std::size_t offset = 0;  ///< into the flat arrays
};

/// A named tensor that is saved but not trained (a random M0).
template <class T>
struct Buffer {
  std::string name;
  Shape shape;
  Initializer initializer;
  std::vector<T> values;
};

template <class T>
class Gradients;

template <class T>
class ParameterSet {
 public:
  // Calls out of this order are InvariantErrors: add and add_buffer, initialize once, then Gradients and the rest.
  std::size_t add(std::string name, Shape shape, Initializer initializer, const Group& group = {});
  Buffer<T>& add_buffer(std::string name, Shape shape, Initializer initializer);

  /// Lays out and draws everything.
  void initialize(std::uint64_t seed);
  /// Must follow every change of the values: renews the transposed copies that a backward product has read.
  void refresh();
  /// Transposed copies pay from about three rows a step on; a trainer of smaller shards turns them off, before it makes
  /// its Gradients: those point to them. On unless told otherwise.
  void keep_transposed(bool on);
  /// Of the copies that were made.
  std::size_t transposed_bytes() const;

  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Group>& groups() const { return groups_; }
  std::deque<Buffer<T>>& buffers() { return buffers_; }
  const std::deque<Buffer<T>>& buffers() const { return buffers_; }
  T* value(std::size_t index) { return values_.data() + parameters_[index].offset; }
  /// Null where there is none: of another rank than 2, or turned off.
  TransposedCopy<T>* transposed(std::size_t index) const;

  /// The flat arrays' length, padding included (padding stays zero).
  std::size_t flat_size() const { return flat_size_; }
  T* flat() { return values_.data(); }
  const T* flat() const { return values_.data(); }
  /// How many numbers are trained.
  std::size_t count() const;
  /// Row `nil_row` of every parameter whose group has one: back to zero.
  void project();

 private:
  friend class Gradients<T>;
  void require(bool initialized, const std::string& what) const;

  std::vector<Parameter> parameters_;
  std::vector<Group> groups_;
  std::deque<Buffer<T>> buffers_;  // a deque: modules keep references
  FlatArray<T> values_;
  std::vector<std::unique_ptr<TransposedCopy<T>>> transposed_;  // by parameter, null where it is not of rank 2
  bool initialized_ = false;
  bool keep_transposed_ = true;
  bool has_gradients_ = false;
  std::size_t flat_size_ = 0;
};

/// One shard's flat gradient, and the leaf table its tape is bound to.
template <class T>
class Gradients {
 public:
  Gradients(ParameterSet<T>& set, std::size_t stagger);
  std::span<const Leaf<T>> leaves() const { return leaves_; }
  T* flat() { return values_.data(); }

 private:
  FlatArray<T> values_;
  std::vector<Leaf<T>> leaves_;
};

/// Numbers begin..end of the flat gradients of all shards, added up into shard 0's; the others' are spent. Each number
/// is the sum over one tree, ((s0 + s1) + (s2 + s3)) + ..., which the number of shards decides alone: ranges may be
/// summed by anyone, and machines that hold a power of two of shards each can send one sum.
template <class T>
void sum_shards(std::span<T* const> shards, std::size_t begin, std::size_t end);

/// Declares parameters under a prefix. Modules take one in their constructor.
template <class T>
class Builder {
 public:
  explicit Builder(ParameterSet<T>& set, std::string prefix = "") : set_(&set), prefix_(std::move(prefix)) {}
  Builder scope(const std::string& name) const { return Builder(*set_, prefix_ + name + "."); }
  std::size_t parameter(const std::string& name, Shape shape, Initializer initializer, const Group& group = {}) const {
    return set_->add(prefix_ + name, shape, initializer, group);
  }
  Buffer<T>& buffer(const std::string& name, Shape shape, Initializer initializer) const {
    return set_->add_buffer(prefix_ + name, shape, initializer);
  }

 private:
  ParameterSet<T>* set_;
  std::string prefix_;
};

extern template class ParameterSet<float>;
extern template class ParameterSet<double>;
extern template class Gradients<float>;
extern template class Gradients<double>;

}  // namespace mneme
