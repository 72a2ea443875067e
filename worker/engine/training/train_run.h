#pragma once
/// One job's training: a state machine that the engine's thread advances a turn at a time: an
/// optimizer step, or one pass of an evaluation that is due, or one step of its samples' texts, or
/// a checkpoint that is kept as a version.
/// Everything that a resumed run needs is in its checkpoint; the artifact of a resumed run has the
/// hash of an undisturbed one.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/engine/device/ledger.h"
#include "worker/engine/model/base.h"
#include "worker/engine/model/model.h"
#include "worker/engine/passes/layer_walk.h"
#include "worker/engine/tasks/task.h"
#include "worker/engine/tasks/tokenized.h"
#include "worker/engine/training/evaluation.h"
#include "worker/engine/training/sample_texts.h"
#include "worker/engine/training/schedule.h"
#include "worker/engine/training/train_room.h"
#include "worker/engine/training/train_state.h"
#include "worker/engine/types/types.h"

namespace graft::worker::engine {

/// What a run works on; made off the engine's thread (tokenizing takes long).
struct TrainInput {
  TrainRequest request;
  std::shared_ptr<const Base> base;
  std::shared_ptr<const Model> model;
  std::shared_ptr<const Task> task;
  TokenizedSplit train, validation, test;
  std::string chat_template;       ///< Of conversations; empty: they are none.
  SamplePlan samples;              ///< Of evaluations on the validation data.
  std::shared_ptr<Ledger> ledger;  ///< Of the base's device.
};

/// Thread safety: confined to the engine's thread after Create.
class TrainRun {
 public:
  /// Takes its memory of the ledger, of which it tells `observer`, and makes the adapter: new, from
  /// init_from, or from the checkpoint.
  /// Errors: InvalidArgument if init_from doesn't fit the spec; DataLoss if the checkpoint is torn
  /// or another method's; FailedPrecondition with reason BASE_MISMATCH if it was made on another
  /// base, tokenizer or precision; as Ledger::Reserve.
  static StatusOr<std::unique_ptr<TrainRun>> Create(std::shared_ptr<const TrainInput> input,
                                                    TrainObserver& observer);

  /// Takes one turn. Requires: !done().
  /// Errors: FailedPrecondition with reason NON_FINITE_LOSS if loss, gradient or a logit isn't
  /// finite: no parameter changed. ResourceExhausted if a single example doesn't fit in memory.
  Status Advance(TrainObserver& observer, const Yield& yield);
  /// Every step is taken, or it stopped early.
  bool trained() const {
    return step() >= schedule_.total_steps() || state_.counters.stopped_early;
  }
  /// Trained, and all that is due is evaluated and kept.
  bool done() const { return trained() && DueEvaluation() == nullptr && !KeepingDue(); }
  /// Builds the artifact from the best state. Requires: done().
  StatusOr<TrainOutcome> Finish();

  /// The whole state between two turns. Deterministic bytes.
  std::string Checkpoint() const { return state_.Checkpoint(identity(), seconds()); }
  int64_t step() const { return state_.counters.step; }
  int64_t last_step_tokens() const { return last_step_tokens_; }
  int64_t last_step_rows() const { return last_step_rows_; }  ///< Computed: TrainPassResult::rows.
  double last_step_loss() const { return last_step_loss_; }   ///< Mean over its targets.
  int64_t total_steps() const { return schedule_.total_steps(); }
  double seconds() const { return state_.counters.seconds + Elapsed(); }
  const TrainInput& input() const { return *input_; }
  std::string precision() const;

 private:
  TrainRun(std::shared_ptr<const TrainInput> input, DataSchedule schedule, TrainRoom room,
           std::unique_ptr<Adapter> adapter);
  const spec::Hyperparameters& hyperparameters() const {
    return input_->request.spec->hyperparameters;
  }
  RunIdentity identity() const;
  Status LoadInitFrom(const Files& files);
  /// Gradient of the mean loss over `micro_batches`; returns the summed loss. When memory runs out,
  /// starts again with less: first by computing layers again in backward, then with micro-batches
  /// run in twice as many parts (the gradient is a sum, so its value doesn't change).
  StatusOr<double> AccumulateGradient(const std::vector<std::vector<uint32_t>>& micro_batches,
                                      double divisor, TrainObserver& observer, const Yield& yield);
  StatusOr<double> RunMicroBatch(const std::vector<uint32_t>& examples, double divisor,
                                 const Yield& yield);
  /// Makes passes smaller, and says so. Errors: ResourceExhausted if they are as small as can be;
  /// `most_examples` is what the largest micro-batch has.
  Status UseLessMemory(size_t most_examples, TrainObserver& observer);
  Status Step(TrainObserver& observer, const Yield& yield);
  /// The split that the next turn evaluates; null if it takes a step.
  const TokenizedSplit* DueEvaluation() const;
  bool ValidationDue() const;
  /// Whether a run with validation data is evaluated at its step. By steps alone, so that every
  /// attempt agrees, but for a run that stops early, which does so by its evaluations.
  bool IsEvaluatedHere() const;
  /// Whether the next turn, or the one behind the validation that is due, keeps a checkpoint. Comes
  /// before the test: for that the best state takes the place of the last.
  bool KeepingDue() const;
  Status KeepCheckpoint(TrainObserver& observer);
  /// Of the adapter as it is now. Errors: FailedPrecondition if it isn't finite.
  StatusOr<Artifact> WriteVersion() const;
  /// One turn of an evaluation: of the split's passes, then of the samples.
  Status EvaluateSome(const TokenizedSplit& split, TrainObserver& observer, const Yield& yield);
  Status EvaluateSplit(const TokenizedSplit& split, TrainObserver& observer, const Yield& yield);
  void SampleSome(TrainObserver& observer, const Yield& yield);
  void NoteValidation(const Evaluation& evaluation, TrainObserver& observer);
  void Report(TrainObserver& observer, double loss, double lr, double grad_norm, int64_t tokens);
  double Elapsed() const;

  std::shared_ptr<const TrainInput> input_;
  DataSchedule schedule_;
  TrainRoom room_;  ///< No part of the state: it changes no number.
  TrainState state_;

  // Under way; no part of the state, for it is begun again.
  std::optional<SplitEvaluation> evaluating_;
  std::optional<Evaluation> evaluated_;  ///< Its samples are generated.
  std::optional<SampleTexts> sampling_;

  /// No part of the state either: who asks for the training knows what is safe.
  int64_t kept_through_ = 0;

  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_report_ = started_;
  int64_t last_step_tokens_ = 0, last_step_rows_ = 0;
  double last_step_loss_ = 0;
  double loss_since_report_ = 0;
  int64_t steps_since_report_ = 0, tokens_since_report_ = 0;
};

}  // namespace graft::worker::engine
