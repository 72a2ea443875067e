#include "worker/engine/training/train_run.h"

#include <algorithm>
#include <cmath>

#include "worker/engine/adapters/head.h"
#include "worker/engine/adapters/initialise.h"
#include "worker/engine/artifacts/artifact.h"
#include "worker/engine/device/device.h"

namespace graft::worker::engine {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Status NonFinite(int64_t step) {
  return FailedPreconditionError(
             "the loss or its gradient became NaN or infinite at step " + std::to_string(step + 1) +
             "; no weight was changed by it. Try a lower learning rate or precision FP32")
      .At("hyperparameters.learning_rate", "NON_FINITE_LOSS");
}

}  // namespace

TrainRun::TrainRun(std::shared_ptr<const TrainInput> input, std::unique_ptr<Adapter> adapter)
    : input_(std::move(input)),
      adapter_(std::move(adapter)),
      schedule_(input_->train, input_->request.spec->hyperparameters),
      optimizer_(adapter_->parameters(), input_->request.spec->hyperparameters),
      lowest_layer_(adapter_->lowest_trained_layer(static_cast<int>(input_->model->num_layers()))) {
}

StatusOr<std::unique_ptr<TrainRun>> TrainRun::Create(std::shared_ptr<const TrainInput> input) {
  const TrainRequest& request = input->request;
  ResetPeakMemory(input->base->device());
  GRAFT_ASSIGN_OR_RETURN(std::unique_ptr<Adapter> adapter,
                         MakeAdapter(request.spec->method, input->base->layout(),
                                     input->task->spec(), input->base->device()));
  GRAFT_RETURN_IF_ERROR(
      InitialiseAdapter(*adapter, *input->base, request.spec->hyperparameters.seed));
  adapter->parameters().EnableGrad();
  std::unique_ptr<TrainRun> run(new TrainRun(input, std::move(adapter)));
  if (!request.checkpoint.empty()) {
    GRAFT_RETURN_IF_ERROR(run->Restore(request.checkpoint));
  } else if (!request.init_from.empty()) {
    GRAFT_RETURN_IF_ERROR(run->LoadInitFrom(request.init_from));
  }
  return run;
}

Status TrainRun::LoadInitFrom(const Files& files) {
  GRAFT_ASSIGN_OR_RETURN(const LoadedArtifact loaded, ReadArtifact(files, *input_->base));
  const Adapter& from = *loaded.adapter;
  std::string why = methods::FunctionDifference(from.method(), adapter_->method());
  if (why.empty()) why = tasks::Difference(from.task(), adapter_->task());
  if (!why.empty()) {
    return InvalidArgumentError("init_from can't be continued: " + why)
        .At("spec.init_from", "INIT_FROM_MISMATCH");
  }
  return CopyParameters(from.parameters(), adapter_->parameters());
}

StatusOr<double> TrainRun::RunPass(const std::vector<uint32_t>& examples, double divisor,
                                   const Yield& yield) {
  const TokenizedSplit& data = input_->train;
  std::vector<Sequence> sequences;
  int64_t num_targets = 0;
  for (const uint32_t example : examples) num_targets += data.num_targets(example);
  const at::Tensor targets_R = at::empty({num_targets}, at::kLong);
  auto* target = targets_R.mutable_data_ptr<int64_t>();
  for (const uint32_t example : examples) {
    const int64_t at = data.offsets[example];
    sequences.push_back(
        {data.ids.data() + at, data.type_ids.data() + at, data.length(example), example});
    target = std::copy(data.targets.begin() + data.target_offsets[example],
                       data.targets.begin() + data.target_offsets[example + 1], target);
  }
  const Base& base = *input_->base;
  const PackedBatch batch =
      Pack(sequences, std::vector<const Adapter*>(sequences.size(), adapter_.get()), base.device());
  const WeightSet weights(base, adapter_.get());
  const Pass pass(
      batch, weights,
      {.training = true, .seed = input_->request.spec->hyperparameters.seed, .step = step_});
  LayerWalk walk(*input_->model, pass, lowest_layer_, yield);
  const at::Tensor pooled = walk.Forward();
  yield();
  const at::AutoGradMode with_grad(true);
  const RowContext rows = {.training = true,
                           .seed = input_->request.spec->hyperparameters.seed,
                           .step = step_,
                           .offsets = &batch.offsets,
                           .examples = &batch.examples,
                           .sequence_end = batch.num_sequences(),
                           .pooled = true};
  const at::Tensor logits = HeadLogits(pooled, weights, *adapter_, &rows);
  const at::Tensor loss = input_->task->Loss(logits, targets_R.to(base.device()));
  const double value = loss.item<double>();
  if (!std::isfinite(value)) return NonFinite(step_);
  if (loss.requires_grad()) (loss / divisor).backward();
  walk.Backward();
  return value;
}

StatusOr<double> TrainRun::RunMicroBatch(const std::vector<uint32_t>& examples, double divisor,
                                         const Yield& yield) {
  const size_t parts = std::min(examples.size(), static_cast<size_t>(splits_));
  double loss = 0;
  for (size_t part = 0; part < parts; ++part) {
    const std::vector<uint32_t> some(
        examples.begin() + static_cast<int64_t>(part * examples.size() / parts),
        examples.begin() + static_cast<int64_t>((part + 1) * examples.size() / parts));
    GRAFT_ASSIGN_OR_RETURN(const double part_loss,
                           Guarded([&] { return RunPass(some, divisor, yield); }));
    loss += part_loss;
  }
  return loss;
}

StatusOr<double> TrainRun::AccumulateGradient(
    const std::vector<std::vector<uint32_t>>& micro_batches, double divisor,
    TrainObserver& observer, const Yield& yield) {
  size_t largest = 0;
  for (const auto& micro_batch : micro_batches) largest = std::max(largest, micro_batch.size());
  for (;;) {
    double loss = 0;
    Status status;
    for (const auto& micro_batch : micro_batches) {
      auto part = RunMicroBatch(micro_batch, divisor, yield);
      status = part.status();
      if (!status.ok()) break;
      loss += *part;
    }
    if (status.ok()) return loss;
    optimizer_.ZeroGrad();  // A pass that failed leaves its gradient half added.
    if (status.code() != StatusCode::kResourceExhausted) return status;
    if (splits_ >= static_cast<int64_t>(largest)) {
      return ResourceExhaustedError(
                 "a single example of this job doesn't fit in the device's memory; lower "
                 "max_length")
          .At("hyperparameters.max_length", "DEVICE_OUT_OF_MEMORY");
    }
    splits_ *= 2;
    ReleaseCachedMemory(input_->base->device());
    observer.OnWarning("out of memory at step " + std::to_string(step_ + 1) +
                       ": micro-batches are now run in " + std::to_string(splits_) + " parts");
  }
}

Status TrainRun::Step(TrainObserver& observer, const Yield& yield) {
  const spec::Hyperparameters& hp = input_->request.spec->hyperparameters;
  const std::vector<std::vector<uint32_t>> micro_batches = schedule_.MicroBatches(step_);
  int64_t targets = 0;
  int64_t tokens = 0;
  for (const auto& micro_batch : micro_batches) {
    for (const uint32_t example : micro_batch) {
      targets += input_->train.num_targets(example);
      tokens += input_->train.length(example);
    }
  }
  GRAFT_ASSIGN_OR_RETURN(
      const double loss,
      AccumulateGradient(micro_batches, static_cast<double>(targets), observer, yield));
  const double grad_norm = optimizer_.GradNorm();
  if (!std::isfinite(grad_norm)) {
    optimizer_.ZeroGrad();
    return NonFinite(step_);
  }
  const double lr = hp.learning_rate * spec::LrFactor(hp, step_, schedule_.total_steps());
  optimizer_.Step(lr, grad_norm);
  ++step_;
  tokens_ += tokens;
  last_step_tokens_ = tokens;
  last_step_loss_ = loss / static_cast<double>(targets);
  Report(observer, last_step_loss_, lr, grad_norm, tokens);
  return OkStatus();
}

Status TrainRun::Advance(TrainObserver& observer, const Yield& yield) {
  const TokenizedSplit* due = DueEvaluation();
  return due != nullptr ? EvaluateSome(*due, observer, yield) : Step(observer, yield);
}

void TrainRun::Report(TrainObserver& observer, double loss, double lr, double grad_norm,
                      int64_t tokens) {
  loss_since_report_ += loss;
  ++steps_since_report_;
  tokens_since_report_ += tokens;
  // Twice a second is what a person can follow; first and last step always.
  const double elapsed = SecondsSince(last_report_);
  if (elapsed < 0.5 && step_ != 1 && step_ != schedule_.total_steps()) return;
  Progress progress;
  progress.step = step_;
  progress.total_steps = schedule_.total_steps();
  progress.epoch = schedule_.EpochAfter(step_);
  progress.loss = loss_since_report_ / static_cast<double>(steps_since_report_);
  progress.learning_rate = lr;
  progress.grad_norm = grad_norm;
  progress.tokens_per_second = static_cast<double>(tokens_since_report_) / std::max(elapsed, 1e-6);
  progress.eta_seconds =
      seconds() / static_cast<double>(step_) * static_cast<double>(progress.total_steps - step_);
  progress.tokens = tokens_;
  observer.OnProgress(progress);
  last_report_ = Clock::now();
  loss_since_report_ = 0;
  steps_since_report_ = tokens_since_report_ = 0;
}

const TokenizedSplit* TrainRun::DueEvaluation() const {
  if (ValidationDue()) return &input_->validation;
  const bool tested = !evaluations_.empty() && evaluations_.back().split == "test";
  return trained() && input_->test.size() > 0 && !tested ? &input_->test : nullptr;
}

bool TrainRun::ValidationDue() const {
  if (input_->validation.size() == 0 || step_ == 0) return false;
  const Evaluation* last = evaluations_.empty() ? nullptr : &evaluations_.back();
  if (last != nullptr && (last->step == step_ || last->split == "test")) return false;
  if (trained()) return true;
  const double per_epoch = input_->request.spec->hyperparameters.evaluations_per_epoch;
  if (per_epoch <= 0) return false;
  const auto count = [&](int64_t step) {
    return std::floor(schedule_.EpochAfter(step) * per_epoch + 1e-9);
  };
  return count(step_) > count(step_ - 1);
}

Status TrainRun::EvaluateSome(const TokenizedSplit& split, TrainObserver& observer,
                              const Yield& yield) {
  const bool is_test = &split == &input_->test;
  if (!evaluating_) {
    if (is_test) RestoreBest();
    evaluating_.emplace(*input_->model, *input_->base, *adapter_, *input_->task, split);
  }
  GRAFT_RETURN_IF_ERROR(evaluating_->Advance(yield));
  if (!evaluating_->done()) return OkStatus();
  Evaluation evaluation = evaluating_->Result();
  evaluating_.reset();
  evaluation.step = is_test && best_P_.defined() ? best_step_ : step_;
  evaluation.split = is_test ? "test" : "validation";
  observer.OnEvaluation(evaluation);
  if (!is_test) NoteValidation(evaluation, observer);
  evaluations_.push_back(std::move(evaluation));
  return OkStatus();
}

void TrainRun::NoteValidation(const Evaluation& evaluation, TrainObserver& observer) {
  const spec::Hyperparameters& hp = input_->request.spec->hyperparameters;
  if (best_step_ < 0 || evaluation.loss < best_loss_) {
    best_step_ = step_;
    best_loss_ = evaluation.loss;
    evaluations_without_best_ = 0;
    if (hp.keep_best) best_P_ = adapter_->parameters().flat_P().detach().clone();
  } else if (++evaluations_without_best_ >= hp.early_stopping_patience &&
             hp.early_stopping_patience > 0) {
    stopped_early_ = true;
    observer.OnWarning("stopped early at step " + std::to_string(step_) +
                       ": no better validation loss than " + std::to_string(best_loss_) +
                       " at step " + std::to_string(best_step_));
  }
}

void TrainRun::RestoreBest() {
  const at::NoGradGuard no_grad;
  if (best_P_.defined()) adapter_->parameters().flat_P().copy_(best_P_);
}

StatusOr<TrainOutcome> TrainRun::Finish() {
  const at::NoGradGuard no_grad;
  RestoreBest();
  const ParameterSet& parameters = adapter_->parameters();
  if (!at::isfinite(parameters.flat_P()).all().item<bool>()) return NonFinite(step_);
  TrainOutcome outcome;
  outcome.evaluations = evaluations_;
  outcome.kept_step = best_P_.defined() ? best_step_ : step_;
  outcome.precision = precision();
  JobFacts& facts = outcome.facts;
  facts.train_examples = input_->train.size();
  facts.validation_examples = input_->validation.size();
  facts.test_examples = input_->test.size();
  facts.train_tokens = input_->train.num_tokens();
  facts.total_steps = step_;
  facts.trainable_parameters = methods::TrainableParameters(parameters.specs());
  facts.base_parameters = input_->base->layout().ParameterCount();
  facts.peak_memory_bytes = PeakMemoryBytes(input_->base->device());
  facts.seconds = seconds();
  facts.labels = static_cast<int64_t>(adapter_->task().label_names.size());
  facts.truncated_examples = input_->train.num_truncated;
  GRAFT_ASSIGN_OR_RETURN(outcome.artifact, WriteArtifact(*adapter_, *input_, outcome));
  outcome.facts.artifact_bytes = outcome.artifact.bytes;
  return outcome;
}

std::string TrainRun::Checkpoint() const {
  CheckpointState state;
  state.identity = identity();
  state.counters = {.step = step_,
                    .tokens = tokens_,
                    .splits = splits_,
                    .stopped_early = stopped_early_,
                    .evaluations_without_best = evaluations_without_best_,
                    .best_step = best_step_,
                    .best_loss = best_loss_,
                    .seconds = seconds()};
  state.evaluations = evaluations_;
  state.parameters_P = adapter_->parameters().flat_P();
  state.exp_avg_P = optimizer_.exp_avg_P();
  state.exp_avg_sq_P = optimizer_.exp_avg_sq_P();
  state.best_P = best_P_;
  return SerializeCheckpoint(state);
}

Status TrainRun::Restore(const std::string& checkpoint) {
  GRAFT_ASSIGN_OR_RETURN(const CheckpointState state, ParseCheckpoint(checkpoint));
  if (state.identity != identity()) {
    return FailedPreconditionError("the job began with other weights, tokenizer or precision of " +
                                   input_->base->id() +
                                   " than this worker has; submit it again to train on these")
        .AddDetail({"BASE_MISMATCH", "base", 0, {}, {}});
  }
  const at::NoGradGuard no_grad;
  ParameterSet& parameters = adapter_->parameters();
  if (state.parameters_P.numel() != parameters.flat_P().numel() ||
      state.exp_avg_P.numel() != optimizer_.exp_avg_P().numel() ||
      state.exp_avg_sq_P.numel() != optimizer_.exp_avg_sq_P().numel() ||
      (state.best_P.defined() && state.best_P.numel() != parameters.flat_P().numel())) {
    return DataLossError("the checkpoint has another number of parameters than the job's method");
  }
  parameters.flat_P().copy_(state.parameters_P);
  optimizer_.exp_avg_P().copy_(state.exp_avg_P);
  optimizer_.exp_avg_sq_P().copy_(state.exp_avg_sq_P);
  if (state.best_P.defined()) best_P_ = state.best_P.to(parameters.flat_P().device()).clone();
  step_ = state.counters.step;
  optimizer_.set_step(step_);
  tokens_ = state.counters.tokens;
  splits_ = state.counters.splits;
  stopped_early_ = state.counters.stopped_early;
  evaluations_without_best_ = state.counters.evaluations_without_best;
  best_step_ = state.counters.best_step;
  best_loss_ = state.counters.best_loss;
  seconds_before_ = state.counters.seconds;
  evaluations_ = state.evaluations;
  return OkStatus();
}

double TrainRun::Elapsed() const { return SecondsSince(started_); }

RunIdentity TrainRun::identity() const {
  return {input_->base->fingerprint(), input_->base->tokenizer().fingerprint(), precision()};
}

std::string TrainRun::precision() const {
  return input_->base->compute() == at::kBFloat16 ? "bf16" : "fp32";
}

}  // namespace graft::worker::engine
