#pragma once
/// What a job would cost, from its data's size and the base's shape: its memory as
/// common/spec/training_memory.h has it, its time within a factor of two.

#include <cstdint>
#include <span>
#include <vector>

#include "common/families/layout.h"
#include "common/spec/job_spec.h"
#include "server/core/rows.h"

namespace graft::server::intake {

/// The machine that would run it.
struct Machine {
  /// What a job may take of it, its base included. 0: unknown; then nothing is refused for its
  /// size.
  int64_t memory_bytes = 0;
  double gflops =
      0;  ///< Measured, in the precision that the job would use; 0: unknown, and so are seconds.
  bool bf16 = false;    ///< The job would use bf16: its base is held in it.
  bool widens = false;  ///< And its products would run over operands widened to fp32.
  bool rounds = false;  ///< And they round what is wanted in fp32.
};

/// Lengths in tokens of one epoch's examples.
struct TokenCounts {
  std::vector<int32_t> train;
  /// Of each of train: rows that its loss is over. Empty: one each, as a classifier's.
  std::vector<int32_t> wanted;
  int64_t common = 0;  ///< Of train: of those that were read, what spec::CommonBeginning counts.
  int64_t validation = 0, test = 0;  ///< Sums.
  int64_t truncated_examples = 0;
  int64_t loss_tokens = 0;       ///< Of a language model's epoch.
  int64_t dropped_examples = 0;  ///< Of train, for they have none.
  std::vector<int64_t> samples;  ///< Of each prompt that evaluations continue.
};

/// Fills train_tokens, total_steps, trainable_parameters, base_parameters, artifact_bytes,
/// peak_memory_bytes and seconds, and what it needs in each precision that it may run in. Requires:
/// `spec` is resolved for `layout` and its task's labels are known; the facts' examples are set.
void Estimate(const spec::JobSpec& spec, const families::Layout& layout, const TokenCounts& tokens,
              const Machine& machine, core::JobFacts& facts);

/// The same on the first of `machines` that holds the job, or the largest if none does. Returns it;
/// an unknown one if there is none.
Machine EstimateOn(const spec::JobSpec& spec, const families::Layout& layout,
                   const TokenCounts& tokens, std::span<const Machine> machines,
                   core::JobFacts& facts);

/// Micro-batches of one epoch, as the trainer cuts them: by examples, or as many as fit into
/// batch_tokens.
int64_t MicroBatches(const spec::Hyperparameters& hyperparameters,
                     const std::vector<int32_t>& lengths);

/// FailedPrecondition with the numbers if the job would not fit.
Status CheckFits(const core::JobFacts& facts, const Machine& machine);

}  // namespace graft::server::intake
