// Room: attention. The one shape rule of the pipeline, executed on the first line of its ops.
#pragma once

#include "autodiff/tape.hpp"

namespace mneme {

/// query [B Q D], keys [B D N]
template <class T>
void check_score(const char* op, const Var<T>& query, const Var<T>& keys) {
  if (query.shape.rank() != 3 || keys.shape.rank() != 3)
    fail<ArgumentError>(op, "query {} is not [B Q D] or keys {} are not [B D N]", query.shape.text(),
                        keys.shape.text());
  if (query.shape[2] != keys.shape[1])
    fail<ArgumentError>(op, "query width {}, memory width {} in [B={} M={} N={}]", query.shape[2], keys.shape[1],
                        keys.shape[0], keys.shape[1], keys.shape[2]);
  if (query.shape[0] != keys.shape[0])
    fail<ArgumentError>(op, "queries for {} rows, keys for {}", query.shape[0], keys.shape[0]);
}

/// weights [B Q N], values [B D N]
template <class T>
void check_combine(const char* op, const Var<T>& weights, const Var<T>& values) {
  if (weights.shape.rank() != 3 || values.shape.rank() != 3 || weights.shape[0] != values.shape[0] ||
      weights.shape[2] != values.shape[2])
    fail<ArgumentError>(op, "weights {} are not [B Q N] for values {} = [B D N]", weights.shape.text(),
                        values.shape.text());
}

}  // namespace mneme
