#include "worker/engine/device/autograd.h"
#include "worker/engine/kernels/activation.h"
#include "worker/engine/kernels/two_types.h"
#include "worker/engine/kernels/vectorised.h"

namespace graft::worker::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

template <typename In, typename Out>
[[gnu::always_inline]] inline void Forward(const In* gate, const In* up, Out* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = cpu::Load(gate[i]);
    cpu::Store(&y[i], g * cpu::Sigmoid(g) * cpu::Load(up[i]));
  }
}

template <typename In, typename Out>
[[gnu::always_inline]] inline void Backward(const Out* dy, const In* gate, const In* up, In* d_gate,
                                            In* d_up, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = cpu::Load(gate[i]), d = cpu::Load(dy[i]);
    const float s = cpu::Sigmoid(g);
    cpu::Store(&d_gate[i], d * cpu::Load(up[i]) * s * (1.0F + g * (1.0F - s)));
    cpu::Store(&d_up[i], d * g * s);
  }
}

GRAFT_VECTORISED void ForwardRow(const float* gate, const float* up, float* y, int64_t n) {
  Forward(gate, up, y, n);
}
GRAFT_VECTORISED void ForwardRow(const c10::BFloat16* gate, const c10::BFloat16* up,
                                 c10::BFloat16* y, int64_t n) {
  Forward(gate, up, y, n);
}
GRAFT_VECTORISED void ForwardRow(const float* gate, const float* up, c10::BFloat16* y, int64_t n) {
  Forward(gate, up, y, n);
}
GRAFT_VECTORISED void BackwardRow(const float* dy, const float* gate, const float* up,
                                  float* d_gate, float* d_up, int64_t n) {
  Backward(dy, gate, up, d_gate, d_up, n);
}
GRAFT_VECTORISED void BackwardRow(const c10::BFloat16* dy, const c10::BFloat16* gate,
                                  const c10::BFloat16* up, c10::BFloat16* d_gate,
                                  c10::BFloat16* d_up, int64_t n) {
  Backward(dy, gate, up, d_gate, d_up, n);
}
GRAFT_VECTORISED void BackwardRow(const c10::BFloat16* dy, const float* gate, const float* up,
                                  float* d_gate, float* d_up, int64_t n) {
  Backward(dy, gate, up, d_gate, d_up, n);
}

/// Calls `body(In{}, Out{}, row)` for each row.
template <typename Body>
void ForEachRow(int64_t rows, at::ScalarType in, at::ScalarType out, const Body& body) {
  cpu::WithTypes(in, out, [&](auto in_tag, auto out_tag) {
    at::parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) body(in_tag, out_tag, row);
    });
  });
}

at::Tensor SwigluRows(const at::Tensor& gate_up, at::ScalarType out) {
  const int64_t width = gate_up.size(1) / 2;
  const at::Tensor y = at::empty({gate_up.size(0), width}, gate_up.options().dtype(out));
  ForEachRow(y.size(0), gate_up.scalar_type(), out, [&](auto in_tag, auto out_tag, int64_t row) {
    const auto* gate = gate_up.const_data_ptr<decltype(in_tag)>() + row * 2 * width;
    ForwardRow(gate, gate + width, y.mutable_data_ptr<decltype(out_tag)>() + row * width, width);
  });
  return y;
}

/// silu(gate) * up.
class SwigluFunction : public torch::autograd::Function<SwigluFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate_up_in,
                            at::ScalarType out) {
    const at::Tensor gate_up = gate_up_in.contiguous();
    ctx->save_for_backward({gate_up});
    return SwigluRows(gate_up, out);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::Tensor gate_up = ctx->get_saved_variables()[0];
    const at::Tensor dy = grads[0].contiguous();
    const int64_t width = dy.size(1);
    const at::Tensor d_gate_up = at::empty_like(gate_up);
    const auto rows = [&](auto in_tag, auto out_tag, int64_t row) {
      using In = decltype(in_tag);
      const In* gate = gate_up.const_data_ptr<In>() + row * 2 * width;
      In* d_gate = d_gate_up.mutable_data_ptr<In>() + row * 2 * width;
      BackwardRow(dy.const_data_ptr<decltype(out_tag)>() + row * width, gate, gate + width, d_gate,
                  d_gate + width, width);
    };
    ForEachRow(dy.size(0), gate_up.scalar_type(), dy.scalar_type(), rows);
    return {d_gate_up, at::Tensor()};
  }
};

}  // namespace

at::Tensor Gated(const at::Tensor& gate_up, std::string_view activation, at::ScalarType out) {
  if (gate_up.is_cpu() && (activation == "silu" || activation == "swish")) {
    if (!at::GradMode::is_enabled()) return SwigluRows(gate_up.contiguous(), out);
    return SwigluFunction::apply(gate_up, out);
  }
  const int64_t width = gate_up.size(1) / 2;
  const at::Tensor gate = Activate(gate_up.narrow(1, 0, width), activation);
  return (gate * gate_up.narrow(1, width, width)).to(out);
}

}  // namespace graft::worker::engine
