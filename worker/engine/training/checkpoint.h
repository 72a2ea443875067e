#pragma once
/// A training run's whole state as one safetensors file: flat buffers, and counters as JSON in its
/// metadata.

#include <string>
#include <vector>

#include "common/base/status.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

/// What a run's numbers depend on beside its spec and data; a run is only resumed where it is the
/// same.
struct RunIdentity {
  std::string base_fingerprint, tokenizer;
  std::string precision;  ///< "fp32" or "bf16"
  friend bool operator==(const RunIdentity&, const RunIdentity&) = default;
};

/// What a run counts.
struct Counters {
  int64_t step = 0;    ///< Optimizer steps that were taken.
  int64_t tokens = 0;  ///< Of all steps.
  int64_t splits = 1;  ///< Parts that each micro-batch is run in, after memory ran out.
  bool stopped_early = false;
  int64_t evaluations_without_best = 0;
  int64_t best_step = -1;  ///< -1: no evaluation yet.
  double best_loss = 0;
  double seconds = 0;  ///< Of training, before this process took it over.
};

struct CheckpointState {
  RunIdentity identity;
  Counters counters;
  std::vector<Evaluation> evaluations;
  at::Tensor parameters_P, exp_avg_P, exp_avg_sq_P;
  at::Tensor best_P;  ///< Undefined if no best state is kept.
};

/// Copies the state into bytes.
std::string SerializeCheckpoint(const CheckpointState& state);

/// Errors: DataLoss if torn or not a checkpoint. Tensors of the result own their memory, on the
/// CPU.
StatusOr<CheckpointState> ParseCheckpoint(const std::string& bytes);

/// The identity alone. Errors: as ParseCheckpoint.
StatusOr<RunIdentity> ReadRunIdentity(const std::string& bytes);

}  // namespace graft::worker::engine
