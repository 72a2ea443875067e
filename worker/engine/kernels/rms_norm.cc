#include <cmath>

#include <ATen/ops/rms_norm.h>

#include "worker/engine/device/autograd.h"
#include "worker/engine/kernels/norm.h"
#include "worker/engine/kernels/two_types.h"
#include "worker/engine/kernels/vectorised.h"

namespace graft::worker::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Returns 1 / sqrt(mean(x^2) + eps).
template <typename In, typename Out>
[[gnu::always_inline]] inline float Forward(const In* x, const float* weight, Out* y, int64_t n,
                                            float eps) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += cpu::Load(x[i]) * cpu::Load(x[i]);
  const float inverse = 1.0F / std::sqrt(sum / static_cast<float>(n) + eps);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) cpu::Store(&y[i], cpu::Load(x[i]) * inverse * weight[i]);
  return inverse;
}

template <typename In, typename Out>
[[gnu::always_inline]] inline void Backward(const Out* dy, const In* x, const float* weight, In* dx,
                                            int64_t n, float inverse) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < n; ++i) dot += cpu::Load(dy[i]) * weight[i] * cpu::Load(x[i]);
  const float share = inverse * inverse * dot / static_cast<float>(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    cpu::Store(&dx[i], inverse * (cpu::Load(dy[i]) * weight[i] - cpu::Load(x[i]) * share));
  }
}

GRAFT_VECTORISED float ForwardRow(const float* x, const float* w, float* y, int64_t n, float eps) {
  return Forward(x, w, y, n, eps);
}
GRAFT_VECTORISED float ForwardRow(const c10::BFloat16* x, const float* w, c10::BFloat16* y,
                                  int64_t n, float eps) {
  return Forward(x, w, y, n, eps);
}
GRAFT_VECTORISED float ForwardRow(const float* x, const float* w, c10::BFloat16* y, int64_t n,
                                  float eps) {
  return Forward(x, w, y, n, eps);
}
GRAFT_VECTORISED void BackwardRow(const float* dy, const float* x, const float* w, float* dx,
                                  int64_t n, float inverse) {
  Backward(dy, x, w, dx, n, inverse);
}
GRAFT_VECTORISED void BackwardRow(const c10::BFloat16* dy, const c10::BFloat16* x, const float* w,
                                  c10::BFloat16* dx, int64_t n, float inverse) {
  Backward(dy, x, w, dx, n, inverse);
}
GRAFT_VECTORISED void BackwardRow(const c10::BFloat16* dy, const float* x, const float* w,
                                  float* dx, int64_t n, float inverse) {
  Backward(dy, x, w, dx, n, inverse);
}

constexpr int64_t kRowsATask = 16;

/// `inverse`: [T], each row's, for a backward pass; null where none follows.
at::Tensor ForwardRows(const at::Tensor& x, const at::Tensor& weight, double eps,
                       at::ScalarType out, float* inverse) {
  at::Tensor y = at::empty(x.sizes(), x.options().dtype(out));
  const int64_t n = x.size(1);
  cpu::WithTypes(x.scalar_type(), out, [&](auto in_tag, auto out_tag) {
    using Out = decltype(out_tag);
    const auto* from = x.const_data_ptr<decltype(in_tag)>();
    Out* to = y.mutable_data_ptr<Out>();
    const auto* w = weight.const_data_ptr<float>();
    at::parallel_for(0, x.size(0), kRowsATask, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const float its = ForwardRow(from + t * n, w, to + t * n, n, static_cast<float>(eps));
        if (inverse != nullptr) inverse[t] = its;
      }
    });
  });
  return y;
}

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const at::Tensor& weight,
                            double eps, at::ScalarType out) {
    const at::Tensor x = x_in.contiguous();
    at::Tensor inverse_T = at::empty({x.size(0)}, x.options().dtype(at::kFloat));
    const at::Tensor y = ForwardRows(x, weight, eps, out, inverse_T.mutable_data_ptr<float>());
    ctx->save_for_backward({x, weight, inverse_T});
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &inverse_T = saved[2];
    const at::Tensor dy = grads[0].contiguous();
    variable_list result(4);
    if (ctx->needs_input_grad(0)) {
      result[0] = at::empty_like(x);
      cpu::WithTypes(x.scalar_type(), dy.scalar_type(), [&](auto in_tag, auto out_tag) {
        using In = decltype(in_tag);
        using Out = decltype(out_tag);
        const int64_t n = x.size(1);
        In* to = result[0].mutable_data_ptr<In>();
        at::parallel_for(0, x.size(0), kRowsATask, [&](int64_t begin, int64_t end) {
          for (int64_t t = begin; t < end; ++t) {
            BackwardRow(dy.const_data_ptr<Out>() + t * n, x.const_data_ptr<In>() + t * n,
                        weight.const_data_ptr<float>(), to + t * n, n,
                        inverse_T.const_data_ptr<float>()[t]);
          }
        });
      });
    }
    if (ctx->needs_input_grad(1)) {
      result[1] = (dy.to(at::kFloat) * x.to(at::kFloat) * inverse_T.unsqueeze(1)).sum(0);
    }
    return result;
  }
};

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x_TD, const at::Tensor& weight_D, double eps,
                   at::ScalarType out) {
  if (!x_TD.is_cpu()) {
    const at::Tensor weight = weight_D.to(x_TD.scalar_type());
    return at::rms_norm(x_TD, weight_D.sizes(), weight, eps).to(out);
  }
  if (!at::GradMode::is_enabled())
    return ForwardRows(x_TD.contiguous(), weight_D, eps, out, nullptr);
  return RmsNormFunction::apply(x_TD, weight_D, eps, out);
}

}  // namespace graft::worker::engine
