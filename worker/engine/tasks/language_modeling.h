#pragma once
/// Causal language modelling: a row's target is the token behind it. Loss is cross entropy, a mean
/// over targets; metrics are perplexity and token_accuracy.

#include "worker/engine/tasks/task.h"

namespace graft::worker::engine {

class LanguageModeling : public Task {
 public:
  using Task::Task;
  std::unique_ptr<ExampleEncoder> NewEncoder(const EncoderSetup& setup) const override;
  /// As many as 64 MiB of fp32 logits hold.
  int64_t RowsAtOnce(int64_t width) const override;
  at::Tensor Loss(const at::Tensor& outputs_RC, const at::Tensor& targets_R) const override;
  std::unique_ptr<Scorer> NewScorer() const override;
};

}  // namespace graft::worker::engine
