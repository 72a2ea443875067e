#include "worker/engine/model/kv_cache.h"

namespace graft::worker::engine {
namespace {

int64_t RowWidth(const families::Layout& layout) {
  return 2 * layout.num_kv_heads * layout.head_dim;
}

}  // namespace

KvCache::KvCache(const families::Layout& layout, int64_t num_blocks, int64_t block_tokens,
                 at::ScalarType type, at::Device device)
    : block_tokens_(block_tokens) {
  const auto options = at::TensorOptions().dtype(type).device(device);
  for (int64_t i = 0; i < layout.num_layers; ++i)
    layers_.push_back(at::empty({num_blocks * block_tokens, RowWidth(layout)}, options));
}

int64_t KvCache::BlockBytes(const families::Layout& layout, int64_t block_tokens,
                            at::ScalarType type) {
  return layout.num_layers * block_tokens * RowWidth(layout) *
         static_cast<int64_t>(c10::elementSize(type));
}

int64_t KvCache::bytes() const {
  int64_t bytes = 0;
  for (const at::Tensor& layer : layers_) bytes += static_cast<int64_t>(layer.nbytes());
  return bytes;
}

void KvCache::Copy(int32_t from, int32_t to) {
  for (const at::Tensor& layer : layers_) {
    layer.narrow(0, to * block_tokens_, block_tokens_)
        .copy_(layer.narrow(0, from * block_tokens_, block_tokens_));
  }
}

}  // namespace graft::worker::engine
