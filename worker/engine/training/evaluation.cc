#include "worker/engine/training/evaluation.h"

#include <algorithm>
#include <span>
#include <vector>

#include "worker/engine/adapters/head.h"
#include "worker/engine/device/device.h"
#include "worker/engine/loop/parts.h"
#include "worker/engine/passes/forward_pass.h"
#include "worker/engine/passes/pass_memory.h"

namespace graft::worker::engine {

SplitEvaluation::SplitEvaluation(const Model& model, const Base& base, const Adapter& adapter,
                                 const Task& task, const TokenizedSplit& split, Ledger* ledger)
    : model_(model),
      base_(base),
      adapter_(adapter),
      task_(task),
      split_(split),
      scorer_(task.NewScorer()),
      ledger_(ledger) {}

int64_t SplitEvaluation::LargestPass(const TokenizedSplit& split) {
  int64_t longest = 0;
  for (int64_t i = 0; i < split.size(); ++i) longest = std::max(longest, split.length(i));
  return std::max(longest, std::min(split.num_tokens(), spec::kEvaluationTokens));
}

int64_t SplitEvaluation::PassEnd() const {
  int64_t end = next_;
  for (int64_t tokens = 0; end < split_.size(); ++end) {
    tokens += split_.length(end);
    if (end > next_ && tokens > max_tokens_) break;
  }
  return end;
}

Status SplitEvaluation::Advance(const Yield& yield) {
  for (;;) {
    const int64_t end = PassEnd();
    const Status status = Guarded([&] { return RunPass(end, yield); });
    if (status.ok()) next_ = end;
    if (status.code() != StatusCode::kResourceExhausted || end - next_ <= 1) return status;
    max_tokens_ /= 2;
    ReleaseCachedMemory(base_.device());
  }
}

Status SplitEvaluation::RunPass(int64_t end, const Yield& yield) {
  const at::NoGradGuard no_grad;
  std::vector<Sequence> sequences;
  for (int64_t i = next_; i < end; ++i) sequences.push_back(split_.sequence(i));
  const auto first = static_cast<size_t>(split_.target_offsets[next_]);
  const int64_t all = split_.target_offsets[end] - split_.target_offsets[next_];
  const int64_t width = std::max<int64_t>(adapter_.head().back().out, 1);
  const int64_t most = std::min(all, task_.RowsAtOnce(width));
  Holding memory;
  if (ledger_ != nullptr) {
    GRAFT_ASSIGN_OR_RETURN(memory, ReservePass(*ledger_, base_, sequences, {2 * most, width}));
  }
  const ForwardPass pass = ForwardPass::Run(
      model_, base_, sequences, std::vector<const Adapter*>(sequences.size(), &adapter_), yield);
  const WeightSet weights(base_, &adapter_);
  // Counted in a copy, for a pass that fails on its way is run again.
  std::unique_ptr<Scorer> scorer = scorer_->Clone();
  Status added;
  ForEachPart(all, most, yield, [&](int64_t begin, int64_t count) {
    added =
        scorer->Add(HeadLogits(pass.hidden_RD.narrow(0, begin, count), weights, adapter_),
                    std::span(split_.targets)
                        .subspan(first + static_cast<size_t>(begin), static_cast<size_t>(count)));
    return added.ok();
  });
  GRAFT_RETURN_IF_ERROR(added);
  scorer_ = std::move(scorer);
  return OkStatus();
}

Evaluation SplitEvaluation::Result() const {
  Evaluation result;
  result.examples = split_.size();
  scorer_->Result(result);
  return result;
}

}  // namespace graft::worker::engine
