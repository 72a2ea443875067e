#include "worker/engine/serving/token_scores.h"

#include <algorithm>
#include <cmath>

#include "worker/engine/adapters/head.h"
#include "worker/engine/device/host_values.h"
#include "worker/engine/loop/parts.h"
#include "worker/engine/tasks/task.h"

namespace graft::worker::engine {

StatusOr<std::vector<float>> ScoreTokens(const at::Tensor& hidden_RD, std::span<const int32_t> next,
                                         const WeightSet& weights, const Yield& yield) {
  const at::NoGradGuard no_grad;
  static const std::shared_ptr<const Task> task =
      MakeTask({.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}});
  const int64_t most = task->RowsAtOnce(weights.base().layout().vocab_size);
  const int64_t rows = hidden_RD.size(0);
  const at::Tensor tokens = ToDevice<int64_t>(next, hidden_RD.device()).unsqueeze(1);
  std::vector<float> scores;
  scores.reserve(next.size());
  ForEachPart(rows, most, yield, [&](int64_t begin, int64_t count) {
    const at::Tensor logits_RV = BaseLogits(hidden_RD.narrow(0, begin, count), weights);
    const at::Tensor chosen = logits_RV.gather(1, tokens.narrow(0, begin, count)).squeeze(1);
    const at::Tensor part = (chosen - logits_RV.logsumexp(1)).cpu().contiguous();
    scores.insert(scores.end(), part.const_data_ptr<float>(),
                  part.const_data_ptr<float>() + part.numel());
    return true;
  });
  if (std::ranges::all_of(scores, [](float score) { return std::isfinite(score); })) return scores;
  return FailedPreconditionError("the model's logits aren't finite for this text")
      .AddDetail({"NON_FINITE", {}, 0, {}, {}});
}

}  // namespace graft::worker::engine
