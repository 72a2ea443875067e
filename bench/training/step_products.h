#pragma once
/// The matrix products of the optimizer steps of a language model's LoRA job, alone: what a step
/// would take if nothing else had to be computed.

#include <cstdint>
#include <memory>

#include "common/base/status.h"
#include "common/families/layout.h"
#include "common/spec/job_spec.h"

namespace graft::bench {

/// Of one step.
struct StepRows {
  int64_t rows = 0;  ///< Computed.
  /// Of them, whose outputs the loss is over; the last layer computes no others.
  int64_t wanted = 0;
};

struct ProductTime {
  double seconds = 0;
  double cpu_seconds = 0;  ///< Of all threads of the process.
};

/// Forward: every linear layer of the base, LoRA's two, the task's head. Backward: the gradient of
/// each frozen matrix's input above the lowest place where something is trained, LoRA's four, the
/// head's. Query, key and value are one product, as are gate and up. Attention's own products and
/// gradients that nobody needs aren't among them. Thread safety: confined to one thread.
class StepProducts {
 public:
  /// Makes weights of the base's sizes, each matrix in memory of its own. Requires: `spec` is
  /// resolved for `layout`; the engine of this process has been created.
  /// Errors: Unimplemented for another method or task.
  static StatusOr<std::unique_ptr<StepProducts>> Create(const spec::JobSpec& spec,
                                                        const families::Layout& layout,
                                                        bool is_bf16);
  virtual ~StepProducts() = default;
  /// Runs all products of a step, one after the other.
  virtual ProductTime Run(const StepRows& rows) = 0;
};

}  // namespace graft::bench
