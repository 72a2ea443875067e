#pragma once
/// Log-probabilities of given tokens by a model's outputs before them, in bounded memory.

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/status.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/loop/client.h"
#include "worker/engine/model/weights.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

/// Of each row.
struct TokenScores {
  std::vector<float> of_next;                 ///< [R]
  std::vector<std::vector<TokenScore>> best;  ///< [R], likeliest first; empty unless asked for.
};

/// Of each row the log-probability that `next` has there, and the `best` likeliest tokens, by the
/// raw logits. These are computed in parts of 64 MiB; `yield`, if set, is called between two.
/// Shapes: hidden [R, D], R tokens.
/// Errors: FailedPrecondition with reason NON_FINITE if the logits of a row aren't finite.
StatusOr<TokenScores> ScoreTokens(const at::Tensor& hidden_RD, std::span<const int32_t> next,
                                  int best, const WeightSet& weights, const Yield& yield);

}  // namespace graft::worker::engine
