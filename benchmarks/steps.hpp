// Room: benchmarks. Batches made beforehand, and our training step on them: what every contestant is given.
//
// A Case is a list of batches of B sequences, all contestants the same ones; ours are also cut into shards, as
// experiments/run/session.hpp does. ModelStep is one update as a training run makes it (forward, backward, finite
// guard, clip, optimizer), without sampling and metrics; Session::step is the whole.
#pragma once

#include "core/batch.hpp"
#include "experiments/config/config.hpp"
#include "models/model.hpp"
#include "nn/optimizers.hpp"
#include "tasks/task.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace mneme::bench {

struct Case {
  std::string name;                        ///< "length 1-20, B=16"
  std::vector<Batch> batches;              ///< each of B rows
  std::vector<std::vector<Batch>> shards;  ///< of each batch
  std::size_t rows() const { return batches[0].size; }
  std::size_t sequences() const { return batches.size() * rows(); }
};

/// Copy, 8 bits, one batch of each of the lengths, in a fixed shuffled order; one length a batch.
Case one_length_case(std::size_t rows, std::size_t low, std::size_t high, std::size_t shard_rows = 8);
/// `count` batches whose rows have lengths 1-20 of their own; targets past a row's end are not scored.
Case mixed_case(std::size_t rows, std::size_t count, std::size_t shard_rows = 8);

/// The first 896 training questions of a bAbI task in batches of 32, which is an epoch but for the last four; one
/// shard.
Case story_case(const experiments::Config& config);

/// copy_ntm with more assignments ("train.batch=16").
experiments::Config copy_ntm(const std::vector<std::string>& assignments = {});
/// babi_memn2n_single, of which the noise in ages and the epochs without softmax are left out; `data` as task.data.
experiments::Config memn2n(int number, const std::string& data);

template <class T>
class ModelStep {
 public:
  explicit ModelStep(const experiments::Config& config);

  /// Loss (nats over the rows of all shards) and gradient; shards one after the other, summed in order.
  double gradient(const std::vector<Batch>& shards);
  /// Clips and updates. Returns the norm; does nothing where it is not finite.
  double update();

  ParameterSet<T>& parameters() { return set_; }
  T* flat_gradient() { return shards_[0].gradients->flat(); }
  std::size_t arena_bytes() const;
  std::size_t nodes() const { return shards_[0].tape.node_count(); }

 private:
  struct Shard {
    Tape<T> tape;
    std::unique_ptr<Gradients<T>> gradients;
  };
  ParameterSet<T> set_;
  std::unique_ptr<Model<T>> model_;
  std::unique_ptr<Optimizer<T>> optimizer_;
  Clip clip_;
  double rate_;
  std::uint64_t updates_ = 0;
  std::deque<Shard> shards_;
};

extern template class ModelStep<float>;
extern template class ModelStep<double>;

}  // namespace mneme::bench
