#pragma once
/// One of several labels for a text or a pair. An example's one target is its label's number; loss
/// is cross entropy, metrics are accuracy and macro F1 as scikit-learn's.

#include <vector>

#include "worker/engine/tasks/task.h"

namespace graft::worker::engine {

class Classification : public Task {
 public:
  using Task::Task;
  std::unique_ptr<ExampleEncoder> NewEncoder(const EncoderSetup& setup) const override;
  at::Tensor Loss(const at::Tensor& outputs_RC, const at::Tensor& targets_R) const override;
  std::unique_ptr<Scorer> NewScorer() const override;
};

/// Softmax of one text's logits. Requires: at least one.
std::vector<float> Probabilities(const std::vector<float>& logits);

}  // namespace graft::worker::engine
