#include "worker/engine/serving/token_scores.h"

#include <algorithm>
#include <cmath>

#include "worker/engine/adapters/head.h"
#include "worker/engine/device/host_values.h"
#include "worker/engine/loop/parts.h"
#include "worker/engine/tasks/task.h"

namespace graft::worker::engine {

namespace {

/// Appends the likeliest tokens of each row of these logits.
void AppendBest(const at::Tensor& logits_RV, const at::Tensor& sums_R, int best,
                std::vector<std::vector<TokenScore>>& to) {
  const auto [values, indices] = logits_RV.topk(std::min<int64_t>(best, logits_RV.size(1)));
  const at::Tensor scores_RB = (values - sums_R.unsqueeze(1)).to(at::kFloat).cpu().contiguous();
  const at::Tensor tokens_RB = indices.cpu().contiguous();
  const auto* score = scores_RB.const_data_ptr<float>();
  const auto* token = tokens_RB.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < scores_RB.size(0); ++row) {
    std::vector<TokenScore>& likeliest = to.emplace_back();
    for (int64_t i = 0; i < scores_RB.size(1); ++i)
      likeliest.push_back({static_cast<int32_t>(*token++), *score++});
  }
}

}  // namespace

StatusOr<TokenScores> ScoreTokens(const at::Tensor& hidden_RD, std::span<const int32_t> next,
                                  int best, const WeightSet& weights, const Yield& yield) {
  const at::NoGradGuard no_grad;
  static const std::shared_ptr<const Task> task =
      MakeTask({.kind = tasks::Kind::kCausalLanguageModeling, .label_names = {}});
  const int64_t most = task->RowsAtOnce(weights.base().layout().vocab_size);
  const int64_t rows = hidden_RD.size(0);
  const at::Tensor tokens = ToDevice<int64_t>(next, hidden_RD.device()).unsqueeze(1);
  TokenScores scores;
  scores.of_next.reserve(next.size());
  ForEachPart(rows, most, yield, [&](int64_t begin, int64_t count) {
    const at::Tensor logits_RV = BaseLogits(hidden_RD.narrow(0, begin, count), weights);
    const at::Tensor sums_R = logits_RV.logsumexp(1);
    const at::Tensor chosen = logits_RV.gather(1, tokens.narrow(0, begin, count)).squeeze(1);
    const at::Tensor part = (chosen - sums_R).cpu().contiguous();
    scores.of_next.insert(scores.of_next.end(), part.const_data_ptr<float>(),
                          part.const_data_ptr<float>() + part.numel());
    if (best > 0) AppendBest(logits_RV, sums_R, best, scores.best);
    return true;
  });
  if (std::ranges::all_of(scores.of_next, [](float score) { return std::isfinite(score); }))
    return scores;
  return FailedPreconditionError("the model's logits aren't finite for this text")
      .AddDetail({"NON_FINITE", {}, 0, {}, {}});
}

}  // namespace graft::worker::engine
