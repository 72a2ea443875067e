#pragma once
/// Training on a golden case, as tests/golden/steps.py trains on it.

#include <cstdint>
#include <vector>

#include "tests/worker/engine/golden_case.h"

namespace graft::worker::engine::testing {

/// The numbers of the case's examples that have a target: a single token has none behind it.
std::vector<uint32_t> TrainableExamples(const GoldenCase& golden);

/// Adds the gradients of the mean loss over `examples`; returns that loss.
double Backward(const GoldenCase& golden, const std::vector<uint32_t>& examples);

/// How far the losses are from the reference's after its optimizer steps: the largest of theirs
/// and of the last over all examples, relative from 1 up. Trains the case's adapter.
double TrainedLossError(const GoldenCase& golden);

/// How far bf16's logits are from fp32's, root mean square, in standard deviations of the latter.
double Bf16Error(const at::Tensor& bf16, const at::Tensor& fp32);

/// The same of the library that made the case.
double Bf16ErrorOfReference(const GoldenCase& golden);

}  // namespace graft::worker::engine::testing
