#pragma once
/// The loops over all of a vocabulary's scores: vectorised for the processor at hand, with the same
/// results on each, for sums run in an order of their own and no multiplication is fused.
/// Thread safety: pure functions.

#include <cstddef>
#include <span>

namespace graft::worker::engine::generation {

/// A row is looked at in blocks of so many tokens; the last may be shorter.
inline constexpr size_t kBlockTokens = 64;

/// Blocks of a row of n scores.
constexpr size_t NumBlocks(size_t n) { return (n + kBlockTokens - 1) / kBlockTokens; }

/// Sets the largest score of each block; NaNs are passed over.
/// Returns false if there is a NaN.
/// Requires: maxima.size() == NumBlocks(row.size()).
bool BlockMaxima(std::span<const float> row, std::span<float> maxima);

/// Divides each score. Requires: divisor > 0.
void Divide(std::span<float> row, float divisor);

/// Sets weights[i] to exp(row[i] - largest), 0 where that is below exp(-87), to about 2 ulp, and
/// sums[b] to the sum of block b's weights. Source: Cephes expf.
/// Requires: no score is above `largest`, which is finite; weights.size() == row.size();
/// sums.size() == NumBlocks(row.size()).
void Exponentials(std::span<const float> row, float largest, std::span<float> weights,
                  std::span<double> sums);

/// One of them; the same bits.
float Exponential(float x);

}  // namespace graft::worker::engine::generation
