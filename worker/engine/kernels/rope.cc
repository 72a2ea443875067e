#include "worker/engine/kernels/rope.h"

#include <utility>

#include "worker/engine/device/autograd.h"
#include "worker/engine/kernels/vectorised.h"

namespace graft::worker::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// `sign` -1 turns back.
template <typename T>
[[gnu::always_inline]] inline void Turn(T* head, const float* cos, const float* sin, int64_t half,
                                        float sign) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const float a = cpu::Load(head[i]), b = cpu::Load(head[half + i]);
    cpu::Store(&head[i], a * cos[i] - b * sin[i] * sign);
    cpu::Store(&head[half + i], b * cos[i] + a * sin[i] * sign);
  }
}

GRAFT_VECTORISED void TurnHead(float* head, const float* cos, const float* sin, int64_t half,
                               float sign) {
  Turn(head, cos, sin, half, sign);
}
GRAFT_VECTORISED void TurnHead(c10::BFloat16* head, const float* cos, const float* sin,
                               int64_t half, float sign) {
  Turn(head, cos, sin, half, sign);
}

template <typename T>
void TurnRows(const at::Tensor& x, const Rotation& rotation, int64_t heads, float sign) {
  T* rows = x.mutable_data_ptr<T>();
  const auto* cos = rotation.cos.const_data_ptr<float>();
  const auto* sin = rotation.sin.const_data_ptr<float>();
  const int64_t half = rotation.cos.size(1), stride = x.stride(0);
  at::parallel_for(0, x.size(0), 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < heads; ++h)
        TurnHead(rows + r * stride + 2 * h * half, cos + r * half, sin + r * half, half, sign);
    }
  });
}

void TurnCpu(const at::Tensor& x, const Rotation& rotation, int64_t heads, float sign) {
  if (x.scalar_type() == at::kBFloat16) {
    TurnRows<c10::BFloat16>(x, rotation, heads, sign);
  } else {
    TORCH_CHECK(x.scalar_type() == at::kFloat, "Rotate takes float32 or bfloat16");
    TurnRows<float>(x, rotation, heads, sign);
  }
}

class RotateFunction : public torch::autograd::Function<RotateFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, at::Tensor x, const at::Tensor& cos,
                            const at::Tensor& sin, int64_t heads) {
    TurnCpu(x, {cos, sin}, heads, 1);
    ctx->mark_dirty({x});
    ctx->save_for_backward({cos, sin});
    ctx->saved_data["heads"] = heads;
    return x;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor dx = grads[0].clone(at::MemoryFormat::Contiguous);
    TurnCpu(dx, {saved[0], saved[1]}, ctx->saved_data["heads"].toInt(), -1);
    return {dx, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor RotateByOperations(const at::Tensor& x, const Rotation& rotation, int64_t heads) {
  const int64_t half = rotation.cos.size(1), width = 2 * half * heads;
  const at::Tensor parts =
      x.narrow(1, 0, width).reshape({x.size(0), heads, 2, half}).to(at::kFloat);
  const at::Tensor a = parts.select(2, 0), b = parts.select(2, 1);
  const at::Tensor cos = rotation.cos.unsqueeze(1), sin = rotation.sin.unsqueeze(1);
  const at::Tensor turned = at::cat({a * cos - b * sin, b * cos + a * sin}, 2)
                                .reshape({x.size(0), width})
                                .to(x.scalar_type());
  return width == x.size(1) ? turned : at::cat({turned, x.narrow(1, width, x.size(1) - width)}, 1);
}

}  // namespace

at::Tensor Rotate(at::Tensor x, const Rotation& rotation, int64_t heads) {
  if (!x.is_cpu()) return RotateByOperations(x, rotation, heads);
  if (!at::GradMode::is_enabled()) {
    TurnCpu(x, rotation, heads, 1);
    return x;
  }
  return RotateFunction::apply(std::move(x), rotation.cos, rotation.sin, heads);
}

}  // namespace graft::worker::engine
