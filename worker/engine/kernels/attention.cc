#include "worker/engine/kernels/attention.h"

#include <cmath>

#include "worker/engine/kernels/attention_cpu.h"

#include <ATen/ops/_efficient_attention_forward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/constant_pad_nd.h>

namespace graft::worker::engine {
namespace {

constexpr int64_t kHeadAlignment = 8;
/// Flash kernels take no larger heads.
constexpr int64_t kMaxFlashHead = 256;

at::Tensor PadHeads(const at::Tensor& x_TNH) {
  const int64_t rest = x_TNH.size(2) % kHeadAlignment;
  return rest == 0 ? x_TNH : at::constant_pad_nd(x_TNH, {0, kHeadAlignment - rest});
}

/// Variable-length attention of the CUDA libraries: queries of sequence s see the keys of sequence
/// s. Differentiable.
/// Shapes: q [Tq, N, H], k and v [T, N, H] (views of a fused projection); returns [Tq, N * H].
at::Tensor AttendCuda(const at::Tensor& q_TNH, const at::Tensor& k_TNH, const at::Tensor& v_TNH,
                      const at::Tensor& offsets_q, const at::Tensor& offsets_k, int64_t max_q,
                      int64_t max_k) {
  const auto attend = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          double scale) -> at::Tensor {
    // Typed, for a bare number or nullopt would fit several overloads of some versions of torch.
    const std::optional<double> scaled_by = scale;
    // The flash kernels take half types only.
    if (q.scalar_type() != at::kFloat && q.size(2) <= kMaxFlashHead) {
      return std::get<0>(at::_flash_attention_forward(q, k, v, offsets_q, offsets_k, max_q, max_k,
                                                      /*dropout_p=*/0.0, /*is_causal=*/false,
                                                      /*return_debug_mask=*/false, scaled_by));
    }
    return std::get<0>(at::_efficient_attention_forward(q.unsqueeze(0), k.unsqueeze(0),
                                                        v.unsqueeze(0), std::optional<at::Tensor>{},
                                                        offsets_q, offsets_k, max_q, max_k,
                                                        /*dropout_p=*/0.0, /*custom_mask_type=*/0,
                                                        /*compute_log_sumexp=*/true, scaled_by))
        .squeeze(0);
  };
  return AttendAligned(q_TNH, k_TNH, v_TNH, attend).reshape({q_TNH.size(0), -1});
}

}  // namespace

at::Tensor AttendAligned(const at::Tensor& q_TNH, const at::Tensor& k_TNH, const at::Tensor& v_TNH,
                         const HeadKernel& attend) {
  const int64_t size = q_TNH.size(2);
  const double scale = 1.0 / std::sqrt(static_cast<double>(size));
  return attend(PadHeads(q_TNH), PadHeads(k_TNH), PadHeads(v_TNH), scale).narrow(2, 0, size);
}

at::Tensor Attend(const at::Tensor& qkv_T3D, const PackedBatch& batch, int64_t num_heads) {
  if (qkv_T3D.is_cpu()) return cpu::Attend(qkv_T3D, batch.offsets, num_heads);
  const at::Tensor qkv = qkv_T3D.view({qkv_T3D.size(0), 3, num_heads, -1});
  return AttendCuda(qkv.select(1, 0), qkv.select(1, 1), qkv.select(1, 2), batch.offsets_device,
                    batch.offsets_device, batch.max_length, batch.max_length);
}

at::Tensor AttendPooled(const at::Tensor& q_SD, const at::Tensor& kv_T2D, const PackedBatch& batch,
                        int64_t num_heads) {
  if (q_SD.is_cpu()) return cpu::AttendPooled(q_SD, kv_T2D, batch.offsets, num_heads);
  const at::Tensor kv = kv_T2D.view({kv_T2D.size(0), 2, num_heads, -1});
  const at::Tensor q = q_SD.view({q_SD.size(0), num_heads, -1});
  // One query a sequence: its offsets are 0, 1, 2, ...
  const at::Tensor offsets_q = at::ones_like(batch.offsets_device).cumsum(0, at::kInt).sub_(1);
  return AttendCuda(q, kv.select(1, 0), kv.select(1, 1), offsets_q, batch.offsets_device, 1,
                    batch.max_length);
}

}  // namespace graft::worker::engine
