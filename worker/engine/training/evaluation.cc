#include "worker/engine/training/evaluation.h"

#include <cmath>

#include "worker/engine/head.h"

namespace graft::worker::engine {
namespace {

struct Counts {
  int64_t truth = 0, predicted = 0, both = 0;
};

double Ratio(int64_t a, int64_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

}  // namespace

StatusOr<Evaluation> Evaluate(const Model& model, const Base& base, const Adapter& adapter,
                              const TokenizedSplit& split,
                              const std::vector<std::string>& label_names, const Yield& yield) {
  const at::NoGradGuard no_grad;
  const WeightSet weights(base, &adapter);
  std::vector<Counts> counts(label_names.size());
  double loss_sum = 0;
  int64_t correct = 0;
  for (int64_t begin = 0; begin < split.size();) {
    std::vector<Sequence> sequences;
    int64_t tokens = 0;
    int64_t end = begin;
    for (; end < split.size() && (end == begin || tokens + split.length(end) <= kForwardTokens);
         ++end) {
      const int64_t at = split.offsets[end];
      sequences.push_back(
          {split.ids.data() + at, split.type_ids.data() + at, split.length(end), 0});
      tokens += split.length(end);
    }
    const PackedBatch batch =
        Pack(sequences, std::vector<const Adapter*>(sequences.size(), &adapter), base.device());
    const Pass pass(batch, weights, {});
    const at::Tensor pooled = Forward(model, pass, /*pooled=*/true, yield);
    const at::Tensor log_p =
        at::log_softmax(HeadLogits(pooled, weights, adapter, base.layout()), 1).cpu();
    const auto values = log_p.accessor<float, 2>();
    for (int64_t i = 0; i < log_p.size(0); ++i) {
      const int32_t truth = split.labels[begin + i];
      int64_t best = 0;
      for (int64_t c = 0; c < log_p.size(1); ++c) {
        if (!std::isfinite(values[i][c])) {
          return FailedPreconditionError(
                     "the adapter's logits aren't finite; train with a lower learning rate")
              .At("hyperparameters.learning_rate", "NON_FINITE_LOSS");
        }
        if (values[i][c] > values[i][best]) best = c;
      }
      loss_sum -= values[i][truth];
      correct += best == truth ? 1 : 0;
      ++counts[truth].truth;
      ++counts[best].predicted;
      counts[truth].both += best == truth ? 1 : 0;
    }
    begin = end;
    yield();
  }
  Evaluation result;
  result.examples = split.size();
  result.loss = loss_sum / static_cast<double>(split.size());
  result.accuracy = Ratio(correct, split.size());
  int64_t labels_seen = 0;
  for (size_t c = 0; c < counts.size(); ++c) {
    const Counts& count = counts[c];
    const double precision = Ratio(count.both, count.predicted);
    const double recall = Ratio(count.both, count.truth);
    const double f1 = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
    result.labels.push_back({label_names[c], count.truth, precision, recall, f1});
    // As scikit-learn: a label neither there nor predicted doesn't count.
    if (count.truth + count.predicted == 0) continue;
    result.macro_f1 += f1;
    ++labels_seen;
  }
  if (labels_seen > 0) result.macro_f1 /= static_cast<double>(labels_seen);
  return result;
}

}  // namespace graft::worker::engine
