#include "worker/engine/training/train_pass.h"

#include <algorithm>
#include <cmath>

#include "worker/engine/adapters/head.h"
#include "worker/engine/device/host_values.h"
#include "worker/engine/loop/parts.h"
#include "worker/engine/model/needed_rows.h"

namespace graft::worker::engine {
namespace {

PackedBatch PackParts(const std::vector<TrainPart>& parts, const Base& base) {
  std::vector<Sequence> sequences;
  std::vector<Owner> owners;
  bool shares = true;
  for (const TrainPart& part : parts) {
    shares &= part.adapter.method().SharesBeginnings(base.layout());
    for (const uint32_t example : part.examples) {
      sequences.push_back(part.data.sequence(example));
      owners.push_back(
          {.adapter = &part.adapter, .training = true, .seed = part.seed, .step = part.step});
    }
  }
  return shares ? PackNeeded(sequences, owners, base.device())
                : Pack(sequences, owners, base.device());
}

at::Tensor TargetsOf(const TrainPart& part, at::Device device) {
  std::vector<int32_t> targets;
  for (const uint32_t example : part.examples) {
    const auto its = part.data.targets_of(example);
    targets.insert(targets.end(), its.begin(), its.end());
  }
  return ToDevice<int64_t>(targets, device);
}

int LowestLayer(const std::vector<TrainPart>& parts, const Model& model) {
  const auto layers = static_cast<int>(model.num_layers());
  int lowest = layers;
  for (const TrainPart& part : parts)
    lowest = std::min(lowest, part.adapter.lowest_trained_layer(layers));
  return lowest;
}

/// The loss of one part, summed over its targets, and its gradients: of the head's parameters, and
/// of `hidden_RD`, its part of the pass's last hidden states, in `grad_RD` (undefined if nobody
/// needs it).
double BackwardHead(const TrainPart& part, const at::Tensor& hidden_RD, const at::Tensor& grad_RD,
                    const RowContext& rows, const WeightSet& weights, const Yield& yield) {
  const at::AutoGradMode with_grad(true);
  const at::Tensor targets_R = TargetsOf(part, hidden_RD.device());
  const int64_t all = hidden_RD.size(0);
  const int64_t width = part.adapter.head().back().out;
  const int64_t most = std::min(all, part.task.RowsAtOnce(std::max<int64_t>(width, 1)));
  double sum = 0;
  ForEachPart(all, most, yield, [&](int64_t begin, int64_t count) {
    at::Tensor leaf = hidden_RD.narrow(0, begin, count).detach();
    leaf.requires_grad_(grad_RD.defined());
    // What is computed in parts has no dropout: its rows have no numbers of their own.
    const at::Tensor logits =
        HeadLogits(leaf, weights, part.adapter, count == all ? &rows : nullptr);
    const at::Tensor loss = part.task.Loss(logits, targets_R.narrow(0, begin, count));
    sum += loss.item<double>();
    if (!std::isfinite(sum) || !loss.requires_grad()) return std::isfinite(sum);
    (loss / part.divisor).backward();
    if (grad_RD.defined()) grad_RD.narrow(0, begin, count).copy_(leaf.grad());
    return true;
  });
  return sum;
}

}  // namespace

TrainPassResult RunTrainPass(const Model& model, const Base& base,
                             const std::vector<TrainPart>& parts, Tape tape, const Yield& yield) {
  const PackedBatch batch = PackParts(parts, base);
  const WeightSet weights(base, &parts.front().adapter);
  const Pass pass(batch, weights);
  LayerWalk walk(model, pass, LowestLayer(parts, model), tape, yield);
  at::Tensor hidden_RD = walk.Forward();
  yield();
  const at::Tensor grad_RD =
      hidden_RD.requires_grad() ? at::zeros_like(hidden_RD.detach()) : at::Tensor();
  const auto rows_of = [&](const Segment& segment, const at::Tensor& x) {
    return x.defined() ? PackedBatch::RowsOf(segment, batch.wanted, x) : x;
  };
  TrainPassResult result{.losses = {}, .rows = batch.num_rows()};
  std::vector<double>& losses = result.losses;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Segment& segment = batch.segments[i];
    losses.push_back(BackwardHead(parts[i], rows_of(segment, hidden_RD.detach()),
                                  rows_of(segment, grad_RD), batch.Context(segment, batch.wanted),
                                  weights, yield));
  }
  const bool any_finite =
      std::any_of(losses.begin(), losses.end(), [](double loss) { return std::isfinite(loss); });
  if (!any_finite) return result;
  if (grad_RD.defined()) hidden_RD.mutable_grad() = grad_RD;
  walk.Backward();
  return result;
}

}  // namespace graft::worker::engine
