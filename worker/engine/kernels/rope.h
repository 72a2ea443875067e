#pragma once
/// Rotary position embeddings: each pair of a head's two halves is turned by an angle of its
/// position. Source: arXiv:2104.09864; transformers' apply_rotary_pos_emb.

#include "worker/engine/device/tensor.h"

namespace graft::worker::engine {

/// Cosines and sines of R rows' angles. Shapes: [R, H / 2] fp32.
struct Rotation {
  at::Tensor cos, sin;
};

/// Turns the first `heads` heads of each row; differentiable; may change x in place.
/// Shapes: x [R, at least heads * H]; returns x's.
at::Tensor Rotate(at::Tensor x, const Rotation& rotation, int64_t heads);

}  // namespace graft::worker::engine
