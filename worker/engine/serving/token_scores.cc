#include "worker/engine/serving/token_scores.h"

#include <algorithm>
#include <cmath>

#include "worker/engine/adapters/head.h"
#include "worker/engine/tasks/task.h"

namespace graft::worker::engine {

StatusOr<std::vector<float>> ScoreTokens(const at::Tensor& hidden_RD, std::span<const int32_t> next,
                                         const WeightSet& weights, const Yield& yield) {
  const at::NoGradGuard no_grad;
  static const std::shared_ptr<const Task> task =
      MakeTask({.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}});
  const int64_t most = task->RowsAtOnce(weights.base().layout().vocab_size);
  const int64_t rows = hidden_RD.size(0);
  at::Tensor tokens = at::empty({rows, 1}, at::kLong);
  std::copy(next.begin(), next.end(), tokens.mutable_data_ptr<int64_t>());
  tokens = tokens.to(hidden_RD.device());
  std::vector<float> scores;
  scores.reserve(next.size());
  for (int64_t begin = 0; begin < rows; begin += most) {
    if (begin > 0 && yield) yield();
    const int64_t count = std::min(most, rows - begin);
    const at::Tensor logits_RV = BaseLogits(hidden_RD.narrow(0, begin, count), weights);
    const at::Tensor chosen = logits_RV.gather(1, tokens.narrow(0, begin, count)).squeeze(1);
    const at::Tensor part = (chosen - logits_RV.logsumexp(1)).cpu().contiguous();
    scores.insert(scores.end(), part.const_data_ptr<float>(),
                  part.const_data_ptr<float>() + part.numel());
  }
  if (std::ranges::all_of(scores, [](float score) { return std::isfinite(score); })) return scores;
  return FailedPreconditionError("the model's logits aren't finite for this text")
      .AddDetail({"NON_FINITE", {}, 0, {}, {}});
}

}  // namespace graft::worker::engine
