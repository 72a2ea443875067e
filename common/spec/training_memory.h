#pragma once
/// What training holds in its device's memory, told from a job's spec and the base's shape. The
/// engine chooses by it how much of a pass it keeps; the server refuses by it what can't fit. Pure
/// functions.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "common/families/layout.h"
#include "common/spec/job_spec.h"
#include "common/spec/pass_memory.h"

namespace graft::spec {

/// The largest micro-batch of a run.
struct LargestPass {
  int64_t tokens = 0;     ///< Those that are computed.
  int64_t wanted = 0;     ///< Rows whose outputs the loss is over; at most tokens.
  int64_t evaluated = 0;  ///< Tokens of the largest pass of an evaluation; 0: there is none.
  /// Tokens that have keys and values, if more than are computed, for sequences that begin alike
  /// share what they begin with; 0: as many.
  int64_t places = 0;
};

/// What an example gives a pass.
struct ExampleRows {
  int32_t tokens = 0;
  int32_t wanted = 0;
};

/// What all examples of a run begin with, in front of the first output that a loss reads.
class CommonBeginning {
 public:
  /// `wanted`: the example's first place whose output is read.
  void Add(std::span<const int32_t> ids, int64_t wanted);
  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }

 private:
  std::vector<int32_t> ids_;
  bool is_first_ = true;
};

/// A micro-batch with as many tokens, and as many wanted rows, as any of any epoch has. With a
/// token budget its wanted rows are those of the examples that have most a token, the last of them
/// in part: an upper bound. `common`: tokens of their CommonBeginning that a micro-batch computes
/// once; 0 where it doesn't.
LargestPass LargestPassOf(const Hyperparameters& hyperparameters, std::vector<ExampleRows> examples,
                          int64_t common);

/// Bytes of tensors at the moment when they are most.
struct TrainingMemory {
  int64_t base = 0;    ///< The frozen weights.
  int64_t states = 0;  ///< Parameters, their gradients, the optimizer's moments, the best state.
  int64_t activations = 0;  ///< What forward keeps for backward.
  int64_t scratch = 0;      ///< Of the layer or the part of the loss that is being computed.
  /// Of what keeps nothing for backward: an evaluation's pass, or layers below the trained ones.
  int64_t evaluation = 0;
  /// Beside the base.
  int64_t of_job() const { return states + std::max(activations + scratch, evaluation); }
  int64_t total() const { return base + of_job(); }
};

/// `keeps_inputs`: forward keeps each layer's input alone, and backward computes the layer again.
/// Requires: `spec` is resolved for `layout` and its task's labels are known.
TrainingMemory EstimateTrainingMemory(const JobSpec& spec, const families::Layout& layout,
                                      const LargestPass& pass, const PassNumbers& numbers,
                                      bool keeps_inputs);

/// Bytes of keys and values that the samples of a job are given while they are generated: what all
/// of them need, up to 256 MiB; more if one alone needs it. They are there instead of what a
/// training pass keeps. `prompt_tokens`: of each sample.
int64_t SampleCacheBytes(const JobSpec& spec, const families::Layout& layout,
                         const std::vector<int64_t>& prompt_tokens, bool is_bf16);

}  // namespace graft::spec
