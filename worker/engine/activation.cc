#include "worker/engine/activation.h"

namespace graft::worker::engine {

at::Tensor Activate(const at::Tensor& x, std::string_view name) {
  if (name.empty()) return x;
  if (name == "gelu") return at::gelu(x);
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return at::gelu(x, "tanh");
  if (name == "relu") return at::relu(x);
  if (name == "silu" || name == "swish") return at::silu(x);
  TORCH_CHECK(name == "tanh", "no activation named ", name);
  return at::tanh(x);
}

}  // namespace graft::worker::engine
