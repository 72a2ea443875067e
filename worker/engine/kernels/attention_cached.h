#pragma once
/// Attention of new tokens to keys and values that earlier passes left in a cache.

#include <cstdint>
#include <vector>

#include "worker/engine/device/tensor.h"
#include "worker/engine/kernels/attention.h"
#include "worker/engine/kernels/rows.h"

namespace graft::worker::engine {

/// The keys that a batch's sequences see, its own tokens' among them: K rows of a cache.
struct CachedKeys {
  RowSet keys;            ///< Sequence by sequence, from each one's first token on.
  at::Tensor rows_K;      ///< int64 on the device: where they lie in the cache.
  at::Tensor own_rows_T;  ///< int64 on the device: where those of the batch's tokens lie.
};

/// Attends for some rows; their own keys are in the cache. Not differentiable. Causal only.
/// Where kernels/row_products.h has kernels a row's results depend on that row and its keys alone,
/// not on how its text was cut into passes nor on who is beside it.
/// Shapes: q [R, N H] of the rows `queries`, whose positions count from each sequence's first
/// token; cache [any, 2 K H], columns keys | values; returns [R, N H].
at::Tensor AttendCached(const at::Tensor& q, const at::Tensor& cache, const RowSet& queries,
                        const CachedKeys& cached, const AttentionShape& shape);

/// What a sequence asks of AttendCached.
struct CachedSequence {
  int64_t queries = 0;
  int64_t keys = 0;  ///< From its first token on, the queries' own among them.
};

/// Bytes that AttendCached takes while it runs, beside what it is given and returns. `type`: of
/// queries and cache.
int64_t CachedAttentionBytes(const std::vector<CachedSequence>& sequences,
                             const AttentionShape& shape, at::ScalarType type, at::Device device);

}  // namespace graft::worker::engine
