#pragma once
/// Keys and values of sequences that are being generated, kept between passes in blocks of a
/// bounded pool. Which sequence has which block is serving/generation/kv_blocks.h's business.
/// Source: PagedAttention, arXiv:2309.06180.

#include <cstdint>
#include <vector>

#include "common/families/layout.h"
#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Thread safety: confined to the engine's thread.
class KvCache {
 public:
  /// Reserves all of it; memory of the CPU is taken as it is written. Requires: a causal layout.
  KvCache(const families::Layout& layout, int64_t num_blocks, int64_t block_tokens,
          at::ScalarType type, at::Device device);

  /// Bytes of one block over all layers.
  static int64_t BlockBytes(const families::Layout& layout, int64_t block_tokens,
                            at::ScalarType type);

  int64_t block_tokens() const { return block_tokens_; }
  int64_t bytes() const;
  /// Token i of block b is row b * block_tokens() + i. Shapes: [rows, 2 K H], columns keys |
  /// values.
  const at::Tensor& layer(int64_t layer) const { return layers_[static_cast<size_t>(layer)]; }
  /// Copies a block, in every layer.
  void Copy(int32_t from, int32_t to);

 private:
  const int64_t block_tokens_;
  std::vector<at::Tensor> layers_;
};

}  // namespace graft::worker::engine
