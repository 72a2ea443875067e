#include "worker/engine/kernels/norm.h"

namespace graft::worker::engine {

at::Tensor LayerNorm(const at::Tensor& x_TD, const at::Tensor& weight_D, const at::Tensor& bias_D,
                     double eps) {
  const at::ScalarType type = x_TD.is_cuda() ? x_TD.scalar_type() : weight_D.scalar_type();
  return at::layer_norm(x_TD, weight_D.sizes(), weight_D.to(type), bias_D.to(type), eps);
}

}  // namespace graft::worker::engine
