#pragma once
/// Gradients of several jobs' losses in one pass over the base: each job owns the rows of its own
/// examples, and its adapter gets the gradients of its own loss only.

#include <cstdint>
#include <span>
#include <vector>

#include "worker/engine/adapters/adapter.h"
#include "worker/engine/loop/client.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/model.h"
#include "worker/engine/passes/layer_walk.h"
#include "worker/engine/tasks/task.h"
#include "worker/engine/tasks/tokenized.h"

namespace graft::worker::engine {

/// One job's part of a pass. Borrows what it refers to.
struct TrainPart {
  const Adapter& adapter;  ///< Its gradients are added to its parameters'.
  const Task& task;
  const TokenizedSplit& data;
  std::span<const uint32_t> examples;  ///< At least one.
  double divisor = 1;                  ///< Of the loss, before its gradient is taken.
  uint64_t seed = 0;                   ///< Of dropout, with the optimizer step.
  int64_t step = 0;
};

struct TrainPassResult {
  std::vector<double> losses;  ///< Each part's, summed over its targets.
  int64_t rows = 0;            ///< Computed: see model/needed_rows.h.
};

/// Runs forward and backward. A part whose loss isn't finite adds no gradient; the others' don't
/// depend on it. Requires: parts that override base tensors are alone.
TrainPassResult RunTrainPass(const Model& model, const Base& base,
                             const std::vector<TrainPart>& parts, Tape tape, const Yield& yield);

}  // namespace graft::worker::engine
