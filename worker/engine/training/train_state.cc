#include "worker/engine/training/train_state.h"

#include <utility>

namespace graft::worker::engine {

TrainState::TrainState(std::unique_ptr<Adapter> its_adapter,
                       const spec::Hyperparameters& hyperparameters)
    : adapter(std::move(its_adapter)), optimizer(adapter->parameters(), hyperparameters) {}

std::string TrainState::Checkpoint(const RunIdentity& identity, double seconds) const {
  CheckpointState state{.identity = identity,
                        .counters = counters,
                        .evaluations = evaluations,
                        .parameters_P = adapter->parameters().flat_P(),
                        .exp_avg_P = optimizer.exp_avg_P(),
                        .exp_avg_sq_P = optimizer.exp_avg_sq_P(),
                        .best_P = best_P_};
  state.counters.seconds = seconds;
  return SerializeCheckpoint(state);
}

Status TrainState::Restore(const std::string& checkpoint, const RunIdentity& identity,
                           const std::string& base) {
  GRAFT_ASSIGN_OR_RETURN(const CheckpointState state, ParseCheckpoint(checkpoint));
  if (state.identity != identity) {
    return FailedPreconditionError("the job began with other weights, tokenizer or precision of " +
                                   base +
                                   " than this worker has; submit it again to train on these")
        .AddDetail({"BASE_MISMATCH", "base", 0, {}, {}});
  }
  const at::NoGradGuard no_grad;
  const at::Tensor parameters_P = adapter->parameters().flat_P();
  if (state.parameters_P.numel() != parameters_P.numel() ||
      state.exp_avg_P.numel() != optimizer.exp_avg_P().numel() ||
      state.exp_avg_sq_P.numel() != optimizer.exp_avg_sq_P().numel() ||
      (state.best_P.defined() && state.best_P.numel() != parameters_P.numel())) {
    return DataLossError("the checkpoint has another number of parameters than the job's method");
  }
  parameters_P.copy_(state.parameters_P);
  optimizer.exp_avg_P().copy_(state.exp_avg_P);
  optimizer.exp_avg_sq_P().copy_(state.exp_avg_sq_P);
  optimizer.set_step(state.counters.step);
  if (state.best_P.defined()) best_P_ = state.best_P.to(parameters_P.device()).clone();
  counters = state.counters;
  evaluations = state.evaluations;
  return OkStatus();
}

void TrainState::KeepBest() { best_P_ = adapter->parameters().flat_P().detach().clone(); }

void TrainState::RestoreBest() {
  const at::NoGradGuard no_grad;
  if (best_P_.defined()) adapter->parameters().flat_P().copy_(best_P_);
}

}  // namespace graft::worker::engine
