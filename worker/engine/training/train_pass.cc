#include "worker/engine/training/train_pass.h"

#include <algorithm>
#include <cmath>

#include "worker/engine/adapters/head.h"
#include "worker/engine/passes/layer_walk.h"

namespace graft::worker::engine {
namespace {

PackedBatch PackParts(const std::vector<TrainPart>& parts, at::Device device) {
  std::vector<Sequence> sequences;
  std::vector<Owner> owners;
  for (const TrainPart& part : parts) {
    for (const uint32_t example : part.examples) {
      sequences.push_back(part.data.sequence(example));
      owners.push_back(
          {.adapter = &part.adapter, .training = true, .seed = part.seed, .step = part.step});
    }
  }
  return Pack(sequences, owners, device);
}

at::Tensor TargetsOf(const TrainPart& part, at::Device device) {
  int64_t count = 0;
  for (const uint32_t example : part.examples) count += part.data.num_targets(example);
  const at::Tensor targets_R = at::empty({count}, at::kLong);
  auto* target = targets_R.mutable_data_ptr<int64_t>();
  for (const uint32_t example : part.examples) {
    const auto its = part.data.targets_of(example);
    target = std::copy(its.begin(), its.end(), target);
  }
  return targets_R.to(device);
}

int LowestLayer(const std::vector<TrainPart>& parts, const Model& model) {
  const auto layers = static_cast<int>(model.num_layers());
  int lowest = layers;
  for (const TrainPart& part : parts)
    lowest = std::min(lowest, part.adapter.lowest_trained_layer(layers));
  return lowest;
}

}  // namespace

std::vector<double> RunTrainPass(const Model& model, const Base& base,
                                 const std::vector<TrainPart>& parts, const Yield& yield) {
  const PackedBatch batch = PackParts(parts, base.device());
  const WeightSet weights(base, &parts.front().adapter);
  const Pass pass(batch, weights);
  LayerWalk walk(model, pass, LowestLayer(parts, model), yield);
  const at::Tensor hidden_RD = walk.Forward();
  yield();
  const at::AutoGradMode with_grad(true);
  std::vector<double> losses;
  at::Tensor sum;
  for (size_t i = 0; i < parts.size(); ++i) {
    const TrainPart& part = parts[i];
    const Segment& segment = batch.segments[i];
    const RowContext rows = batch.Context(segment, batch.wanted);
    const at::Tensor logits = HeadLogits(PackedBatch::RowsOf(segment, batch.wanted, hidden_RD),
                                         weights, part.adapter, &rows);
    const at::Tensor loss = part.task.Loss(logits, TargetsOf(part, base.device()));
    losses.push_back(loss.item<double>());
    if (!std::isfinite(losses.back()) || !loss.requires_grad()) continue;
    const at::Tensor scaled = loss / part.divisor;
    sum = sum.defined() ? sum + scaled : scaled;
  }
  if (!sum.defined()) return losses;
  sum.backward();
  walk.Backward();
  return losses;
}

}  // namespace graft::worker::engine
