#pragma once
/// Log-probabilities of given tokens by a model's outputs before them, in bounded memory.

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/status.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/loop/client.h"
#include "worker/engine/model/weights.h"

namespace graft::worker::engine {

/// Of each row the log-probability that `next` has there, by the raw logits. These are computed in
/// parts of 64 MiB; `yield`, if set, is called between two. Shapes: hidden [R, D], R tokens.
/// Errors: FailedPrecondition with reason NON_FINITE if the logits of a row aren't finite.
StatusOr<std::vector<float>> ScoreTokens(const at::Tensor& hidden_RD, std::span<const int32_t> next,
                                         const WeightSet& weights, const Yield& yield);

}  // namespace graft::worker::engine
