#include "worker/engine/training/evaluation.h"

#include <cmath>

#include "worker/engine/device.h"
#include "worker/engine/head.h"

namespace graft::worker::engine {
namespace {

double Ratio(int64_t a, int64_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

}  // namespace

SplitEvaluation::SplitEvaluation(const Model& model, const Base& base, const Adapter& adapter,
                                 const TokenizedSplit& split,
                                 const std::vector<std::string>& label_names)
    : model_(model),
      base_(base),
      adapter_(adapter),
      split_(split),
      label_names_(label_names),
      counts_(label_names.size()) {}

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
  for (int64_t i = next_; i < end; ++i) {
    const int64_t at = split_.offsets[i];
    sequences.push_back({split_.ids.data() + at, split_.type_ids.data() + at, split_.length(i), 0});
  }
  const PackedBatch batch =
      Pack(sequences, std::vector<const Adapter*>(sequences.size(), &adapter_), base_.device());
  const WeightSet weights(base_, &adapter_);
  const Pass pass(batch, weights, {});
  const at::Tensor pooled = Forward(model_, pass, /*pooled=*/true, yield);
  const at::Tensor log_p = at::log_softmax(HeadLogits(pooled, weights, adapter_), 1).cpu();
  if (!at::isfinite(log_p).all().item<bool>()) {
    return FailedPreconditionError(
               "the adapter's logits aren't finite; train with a lower learning rate")
        .At("hyperparameters.learning_rate", "NON_FINITE_LOSS");
  }
  const auto values = log_p.accessor<float, 2>();
  for (int64_t i = 0; i < log_p.size(0); ++i) {
    const int32_t truth = split_.labels[next_ + i];
    int64_t best = 0;
    for (int64_t c = 1; c < log_p.size(1); ++c) {
      if (values[i][c] > values[i][best]) best = c;
    }
    loss_sum_ -= values[i][truth];
    correct_ += best == truth ? 1 : 0;
    ++counts_[truth].truth;
    ++counts_[best].predicted;
    counts_[truth].both += best == truth ? 1 : 0;
  }
  return OkStatus();
}

Evaluation SplitEvaluation::Result() const {
  Evaluation result;
  result.examples = split_.size();
  result.loss = loss_sum_ / static_cast<double>(split_.size());
  double f1_sum = 0;
  int64_t labels_seen = 0;
  for (size_t c = 0; c < counts_.size(); ++c) {
    const Counts& count = counts_[c];
    const double precision = Ratio(count.both, count.predicted);
    const double recall = Ratio(count.both, count.truth);
    const double f1 = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
    result.labels.push_back({label_names_[c], count.truth, precision, recall, f1});
    // As scikit-learn: a label neither there nor predicted doesn't count.
    if (count.truth + count.predicted == 0) continue;
    f1_sum += f1;
    ++labels_seen;
  }
  result.metrics["accuracy"] = Ratio(correct_, split_.size());
  result.metrics["macro_f1"] = labels_seen > 0 ? f1_sum / static_cast<double>(labels_seen) : 0;
  return result;
}

}  // namespace graft::worker::engine
