#include "worker/engine/serving/generation/vocabulary_row.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/base/exp.h"
#include "common/base/vectorised.h"

namespace graft::worker::engine::generation {
namespace {

/// Sums that run side by side; how many of them share a register is the processor's business.
constexpr size_t kLanes = 16;
static_assert(kBlockTokens % kLanes == 0);

/// As a tree, for a chain would wait for each addition.
[[gnu::always_inline]] inline double SumOfLanes(const float* lanes) {
  double sums[kLanes / 2];
  for (size_t i = 0; i < kLanes / 2; ++i)
    sums[i] = static_cast<double>(lanes[i]) + static_cast<double>(lanes[i + kLanes / 2]);
  for (size_t width = kLanes / 4; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

[[gnu::always_inline]] inline float Larger(float a, float b) { return b > a ? b : a; }

[[gnu::always_inline]] inline float LargestOfLanes(float* lanes) {
  for (size_t width = kLanes / 2; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) lanes[i] = Larger(lanes[i], lanes[i + width]);
  }
  return lanes[0];
}

}  // namespace

GRAFT_VECTORISED bool BlockMaxima(std::span<const float> row, std::span<float> maxima) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  uint32_t nans[kLanes] = {};
  const float* scores = row.data();
  const size_t full = row.size() / kBlockTokens;
  for (size_t block = 0; block < full; ++block, scores += kBlockTokens) {
    float largest[kLanes];
    std::fill_n(largest, kLanes, kNone);
    for (size_t part = 0; part < kBlockTokens; part += kLanes) {
#pragma omp simd
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const float score = scores[part + lane];
        largest[lane] = Larger(largest[lane], score);
        nans[lane] |= score == score ? 0U : 1U;
      }
    }
    maxima[block] = LargestOfLanes(largest);
  }
  if (full < maxima.size()) maxima[full] = kNone;
  for (size_t i = 0; i < row.size() - full * kBlockTokens; ++i) {
    maxima[full] = Larger(maxima[full], scores[i]);
    nans[0] |= scores[i] == scores[i] ? 0U : 1U;
  }
  return std::ranges::all_of(nans, [](uint32_t nan) { return nan == 0; });
}

GRAFT_VECTORISED void Divide(std::span<float> row, float divisor) {
  float* scores = row.data();
#pragma omp simd
  for (size_t i = 0; i < row.size(); ++i) scores[i] /= divisor;
}

GRAFT_VECTORISED void Exponentials(std::span<const float> row, float largest,
                                   std::span<float> weights, std::span<double> sums) {
  const float* from = row.data();
  float* to = weights.data();
  const size_t full = row.size() / kBlockTokens;
  for (size_t block = 0; block < full; ++block, from += kBlockTokens, to += kBlockTokens) {
    float lanes[kLanes] = {};
    for (size_t part = 0; part < kBlockTokens; part += kLanes) {
#pragma omp simd
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const float weight = Exp(from[part + lane] - largest);
        to[part + lane] = weight;
        lanes[lane] += weight;
      }
    }
    sums[block] = SumOfLanes(lanes);
  }
  if (full == sums.size()) return;
  float lanes[kLanes] = {};
  for (size_t i = 0; i < row.size() - full * kBlockTokens; ++i) {
    to[i] = Exp(from[i] - largest);
    lanes[i % kLanes] += to[i];
  }
  sums[full] = SumOfLanes(lanes);
}

float Exponential(float x) { return Exp(x); }

}  // namespace graft::worker::engine::generation
