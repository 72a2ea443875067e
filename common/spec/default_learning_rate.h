#pragma once
/// The learning rate of a job that names none.

#include "common/methods/method_spec.h"
#include "common/tasks/task_spec.h"

namespace graft::spec {

/// A language model's, whatever the method.
inline constexpr double kLanguageLearningRate = 2e-4;

inline double DefaultLearningRate(const tasks::TaskSpec& task, const methods::MethodSpec& method) {
  return task.kind == tasks::Kind::kCausalLanguageModeling ? kLanguageLearningRate
                                                           : method.default_learning_rate();
}

}  // namespace graft::spec
