#include "worker/engine/adapters/serving_copies.h"

namespace graft::worker::engine {

at::Tensor CopyForServing(std::span<at::Tensor* const> tensors, at::ScalarType type) {
  constexpr int64_t kAlign = 32;  // 64 bytes at least.
  const auto room = [](const at::Tensor& tensor) {
    return (tensor.numel() + kAlign - 1) / kAlign * kAlign;
  };
  int64_t total = 0;
  for (const at::Tensor* tensor : tensors) total += room(*tensor);
  const at::Tensor buffer = at::zeros({total}, tensors.front()->options().dtype(type));
  int64_t begin = 0;
  for (at::Tensor* tensor : tensors) {
    const at::Tensor copy = buffer.narrow(0, begin, tensor->numel()).view(tensor->sizes());
    copy.copy_(*tensor);
    begin += room(*tensor);
    *tensor = copy;
  }
  return buffer;
}

}  // namespace graft::worker::engine
