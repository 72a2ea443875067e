#pragma once
/// A training run's whole state as one safetensors file: flat buffers, and counters as JSON in its
/// metadata.

#include <string>
#include <vector>

#include "common/base/status.h"
#include "worker/engine/device/tensor.h"
#include "worker/engine/types.h"

namespace graft::worker::engine {

/// What a run's numbers depend on beside its spec and data; a run is only resumed where it is the
/// same.
struct RunIdentity {
  std::string base_fingerprint, tokenizer;
  std::string precision;  ///< "fp32" or "bf16"
  friend bool operator==(const RunIdentity&, const RunIdentity&) = default;
};

struct CheckpointState {
  RunIdentity identity;
  struct Counters {
    int64_t step = 0, tokens = 0, splits = 1;
    bool stopped_early = false;
    int64_t evaluations_without_best = 0, best_step = -1;
    double best_loss = 0;
    double seconds = 0;
  } counters;
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
