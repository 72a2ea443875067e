#pragma once
/// The element-wise half of CPU attention, one row of scores at a time, vectorised for the
/// instruction set at hand. The products around it are GEMMs. Numerics: all arithmetic in fp32; exp
/// to about 2 ulp. The order of sums is fixed per instruction set.

#include <cstdint>

#include <c10/util/BFloat16.h>

namespace graft::worker::engine::cpu {

/// scores[i] becomes exp(scale * scores[i] - lse) with lse = log(sum(exp(scale * scores))), which
/// is returned. Requires: n >= 1; finite scores give finite results, a NaN gives NaN.
float SoftmaxRow(float* scores, int64_t n, float scale);
float SoftmaxRow(c10::BFloat16* scores, int64_t n, float scale);

/// The same for a row whose lse is known, and the gradient through it: `scores` becomes the
/// probabilities p, and grad_p becomes scale * p * (grad_p - sum(p * grad_p)), the gradient of the
/// unscaled scores.
void SoftmaxBackwardRow(float* scores, float* grad_p, int64_t n, float scale, float lse);
void SoftmaxBackwardRow(c10::BFloat16* scores, c10::BFloat16* grad_p, int64_t n, float scale,
                        float lse);

/// Rounds n numbers.
void NarrowRow(const float* from, c10::BFloat16* to, int64_t n);

}  // namespace graft::worker::engine::cpu
