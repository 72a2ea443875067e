#include "worker/engine/kernels/activation.h"

#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/relu6.h>
#include <ATen/ops/sigmoid.h>

namespace graft::worker::engine {

at::Tensor Activate(const at::Tensor& x, std::string_view name) {
  if (name.empty()) return x;
  if (name == "gelu") return at::gelu(x);
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return at::gelu(x, "tanh");
  if (name == "relu") return at::relu(x);
  if (name == "silu" || name == "swish") return at::silu(x);
  if (name == "sigmoid") return at::sigmoid(x);
  if (name == "leaky_relu") return at::leaky_relu(x);
  if (name == "relu6") return at::relu6(x);
  if (name == "mish") return at::mish(x);
  if (name == "quick_gelu") return x * at::sigmoid(1.702 * x);
  TORCH_CHECK(name == "tanh", "no activation named ", name);
  return at::tanh(x);
}

}  // namespace graft::worker::engine
