#include "worker/engine/kernels/products.h"

#include <algorithm>
#include <chrono>

#include "worker/engine/device/autograd.h"
#include "worker/engine/device/device.h"
#include "worker/engine/kernels/block_products.h"
#include "worker/engine/kernels/row_products.h"

namespace graft::worker::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// With fewer rows than this graft's own products spend more on laying out b than they win.
constexpr int64_t kFewBlockRows = 8;

bool IsDense(const at::Tensor& x) { return x.dim() == 2 && x.numel() > 0; }

/// Whether a b can go through block_products.h.
bool TakesBlocks(const at::Tensor& a, const at::Tensor& b) {
  return a.is_cpu() && a.scalar_type() == at::kBFloat16 && b.scalar_type() == at::kBFloat16 &&
         cpu::HasBlockProducts() && IsDense(a) && IsDense(b) && a.size(0) >= kFewBlockRows &&
         a.stride(1) == 1 && (b.stride(1) == 1 || b.stride(0) == 1);
}

/// Requires: TakesBlocks; `out` [M, N] bf16 or fp32 with rows that are contiguous.
void Blocks(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias, const at::Tensor& out,
            double alpha, bool adds) {
  const bool transposed = b.stride(1) != 1;
  cpu::BlockProduct({.a = a.const_data_ptr<c10::BFloat16>(),
                     .b = b.const_data_ptr<c10::BFloat16>(),
                     .bias = bias.defined() ? bias.const_data_ptr<c10::BFloat16>() : nullptr,
                     .c = out.mutable_data_ptr(),
                     .a_stride = a.stride(0),
                     .b_stride = transposed ? b.stride(1) : b.stride(0),
                     .c_stride = out.stride(0),
                     .rows = a.size(0),
                     .depth = a.size(1),
                     .width = b.size(1),
                     .alpha = static_cast<float>(alpha),
                     .transposed = transposed,
                     .wide = out.scalar_type() == at::kFloat,
                     .adds = adds});
}

at::Tensor Blocks(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias,
                  at::ScalarType type) {
  const at::Tensor out = at::empty({a.size(0), b.size(1)}, a.options().dtype(type));
  Blocks(a, b, bias, out, 1, false);
  return out;
}

/// Of a function of x, W and perhaps b; there is nothing to ask for where it has no b.
bool NeedsBias(const AutogradContext* ctx) {
  return ctx->saved_data.at("has_bias").toBool() && ctx->needs_input_grad(2);
}

/// x W^T + b by block_products.h, in bf16 or fp32.
class BlockLinearFunction : public torch::autograd::Function<BlockLinearFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, at::ScalarType type) {
    // A frozen weight needs no x for its gradient.
    ctx->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
    ctx->saved_data["has_bias"] = bias.has_value();
    return Blocks(x, weight.t(), bias.value_or(at::Tensor()), type);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor& weight = saved[1];
    const at::Tensor dy = grads[0].to(weight.scalar_type()).contiguous();
    variable_list result(4);
    if (ctx->needs_input_grad(0)) result[0] = Product(dy, weight);
    if (ctx->needs_input_grad(1)) result[1] = at::mm(dy.t(), saved[0]);
    if (NeedsBias(ctx)) result[2] = dy.sum(0);
    return result;
  }
};

/// With fewer rows than this the conversions cost more than the faster kernel wins.
constexpr int64_t kFewRows = 64;

bool Widens(const at::Tensor& a) { return WidensProducts(a) && a.size(0) >= kFewRows; }

at::Tensor Wide(const at::Tensor& x) { return x.to(at::kFloat); }

at::Tensor WideLinear(const at::Tensor& x, const at::Tensor& weight,
                      const std::optional<at::Tensor>& bias, at::ScalarType type) {
  const at::Tensor w_t = Wide(weight).t();
  return (bias ? at::addmm(Wide(*bias), Wide(x), w_t) : at::mm(Wide(x), w_t)).to(type);
}

/// Widens in backward again rather than keep fp32 copies of x and the weights on the tape.
class WideLinearFunction : public torch::autograd::Function<WideLinearFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, at::ScalarType type) {
    // A frozen weight needs no x for its gradient.
    ctx->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
    ctx->saved_data["has_bias"] = bias.has_value();
    return WideLinear(x, weight, bias, type);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::ScalarType type = weight.scalar_type();
    const at::Tensor dy = Wide(grads[0]);
    variable_list result(4);
    if (ctx->needs_input_grad(0)) result[0] = at::mm(dy, Wide(weight)).to(type);
    if (ctx->needs_input_grad(1)) result[1] = at::mm(dy.t(), Wide(x)).to(type);
    if (NeedsBias(ctx)) result[2] = dy.sum(0).to(type);
    return result;
  }
};

bool IsTaped(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::GradMode::is_enabled() &&
         (x.requires_grad() || weight.requires_grad() || (bias.defined() && bias.requires_grad()));
}

}  // namespace

bool WidensProducts(const at::Tensor& like) {
  return like.is_cpu() && like.scalar_type() == at::kBFloat16 && !CpuHasFastBf16();
}

bool WidensProducts(at::ScalarType type, at::Device device, int64_t rows) {
  return device.is_cpu() && type == at::kBFloat16 && !CpuHasFastBf16() && rows >= kFewRows;
}

bool RoundsSums(at::ScalarType operands, at::Device device) {
  if (operands != at::kBFloat16) return false;
  return !device.is_cpu() || (CpuHasFastBf16() && !cpu::HasBlockProducts());
}

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return Linear(x, weight, bias, x.scalar_type());
}

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  at::ScalarType type) {
  const bool taped = IsTaped(x, weight, bias);
  if (!taped && cpu::TakesRowProducts(x, weight)) return cpu::RowProducts(x, weight, bias, type);
  const auto optional = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  if (TakesBlocks(x, weight.t())) {
    if (taped) return BlockLinearFunction::apply(x, weight, optional, type);
    if (type != x.scalar_type()) return Blocks(x, weight.t(), bias, type);
  }
  if (!Widens(x)) return at::linear(x, weight, optional).to(type);
  return taped ? WideLinearFunction::apply(x, weight, optional, type)
               : WideLinear(x, weight, optional, type);
}

at::Tensor Product(const at::Tensor& a, const at::Tensor& b) {
  if (TakesBlocks(a, b)) return Blocks(a, b, {}, a.scalar_type());
  return Widens(a) || (WidensProducts(a) && a.size(1) >= kFewRows)
             ? at::mm(Wide(a), Wide(b)).to(a.scalar_type())
             : at::mm(a, b);
}

void AddProduct(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, double alpha) {
  if (TakesBlocks(a, b) && out.stride(1) == 1) {
    Blocks(a, b, {}, out, alpha, true);
  } else if (Widens(a)) {
    out.add_(at::mm(Wide(a), Wide(b)), alpha);
  } else if (out.scalar_type() != a.scalar_type()) {
    out.add_(at::mm(a, b), alpha);
  } else {
    at::Tensor to = out;
    to.addmm_(a, b, 1, alpha);
  }
}

double MeasureGflops(at::Device device, at::ScalarType type) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kSize = 1024;
  const auto options = at::TensorOptions().device(device).dtype(type);
  const at::Tensor a = at::ones({kSize, kSize}, options);
  double best = 0;
  for (int round = 0; round < 4; ++round) {
    const auto start = std::chrono::steady_clock::now();
    (void)Product(a, a).sum().item<float>();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * kSize * kSize * kSize / seconds.count() * 1e-9);
  }
  return best;
}

}  // namespace graft::worker::engine
