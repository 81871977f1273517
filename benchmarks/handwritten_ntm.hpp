// Room: benchmarks. The yardstick for the tape: a whole NTM training step written out by hand, for one model only.
//
// Copy-like tasks (bits, one length a batch), LSTM 100, 128 slots of 20, one read and one write head, content_location,
// write first, M_0 constant, w_0 on slot 0, learned r_0, h_0 and c_0: the model of `copy_ntm`. No graph, no closures:
// the passes forward and backward are loops over steps, all sizes are known to the compiler, passes over the memory
// that belong to different equations are joined, weights lie as the products want them (biases are rows, inputs of all
// steps are projected at once, a head's numbers stand by activation). Same BLAS, xsimd, loss, clipping and optimizer as
// ours.
//
// It is loaded from our parameters, and gives our loss, gradient and updated values back under our names.
#pragma once

#include "core/batch.hpp"
#include "nn/parameters.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mneme::bench {

struct HandwrittenOptions {
  double clip = 10, decay = 0.95, momentum = 0.9, epsilon = 1e-4;  ///< of copy_ntm
  bool transposed = true;                                          ///< keep W^T: pays from about three rows a shard on
};

template <class T>
class HandwrittenNtm {
 public:
  /// Copies the values of a cell model with the options above. InvariantError where a shape differs.
  explicit HandwrittenNtm(ParameterSet<T>& set, const HandwrittenOptions& options = {});
  ~HandwrittenNtm();

  /// Loss of a shard (rows of one length), nats times scale; adds its gradient to that of the shards since begin().
  double add_shard(const Batch& batch, double scale);
  void begin();
  /// Clips and applies Graves' RMSProp. Returns the gradient's norm; does nothing where that is not finite.
  double update(double rate);

  /// By our names, shapes and order of numbers.
  std::map<std::string, std::vector<T>> gradient() const;
  std::map<std::string, std::vector<T>> values() const;
  std::size_t bytes() const;  ///< of everything it holds

 private:
  struct Work;
  std::map<std::string, std::vector<T>> by_name(const T* flat) const;
  void make_transposed();
  void forward_memory(std::size_t t, std::size_t b);
  void backward_memory(std::size_t t, std::size_t b);

  HandwrittenOptions options_;
  FlatArray<T> value_, gradient_, square_, mean_, momentum_, transposed_;
  std::unique_ptr<Work> work_;
  bool fresh_ = true;  ///< no shard since begin()
};

extern template class HandwrittenNtm<float>;
extern template class HandwrittenNtm<double>;

}  // namespace mneme::bench
