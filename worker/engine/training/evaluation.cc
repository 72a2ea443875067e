#include "worker/engine/training/evaluation.h"

#include <span>
#include <vector>

#include "worker/engine/adapters/head.h"
#include "worker/engine/device/device.h"
#include "worker/engine/passes/forward_pass.h"

namespace graft::worker::engine {

SplitEvaluation::SplitEvaluation(const Model& model, const Base& base, const Adapter& adapter,
                                 const Task& task, const TokenizedSplit& split)
    : model_(model), base_(base), adapter_(adapter), split_(split), scorer_(task.NewScorer()) {}

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
  const ForwardPass pass = ForwardPass::Run(
      model_, base_, sequences, std::vector<const Adapter*>(sequences.size(), &adapter_), yield);
  const auto first = split_.target_offsets[next_];
  return scorer_->Add(HeadLogits(pass.hidden_RD, WeightSet(base_, &adapter_), adapter_),
                      std::span(split_.targets)
                          .subspan(static_cast<size_t>(first),
                                   static_cast<size_t>(split_.target_offsets[end] - first)));
}

Evaluation SplitEvaluation::Result() const {
  Evaluation result;
  result.examples = split_.size();
  scorer_->Result(result);
  return result;
}

}  // namespace graft::worker::engine
