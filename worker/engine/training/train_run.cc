#include "worker/engine/training/train_run.h"

#include <algorithm>
#include <cmath>

#include "worker/engine/adapters/initialise.h"
#include "worker/engine/artifacts/artifact.h"
#include "worker/engine/device/device.h"
#include "worker/engine/methods/methods.h"
#include "worker/engine/passes/probe.h"
#include "worker/engine/training/train_pass.h"

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

TrainRun::TrainRun(std::shared_ptr<const TrainInput> input, DataSchedule schedule, TrainRoom room,
                   std::unique_ptr<Adapter> adapter)
    : input_(std::move(input)),
      schedule_(std::move(schedule)),
      room_(std::move(room)),
      state_(std::move(adapter), hyperparameters()),
      kept_through_(input_->request.kept_through) {}

StatusOr<std::unique_ptr<TrainRun>> TrainRun::Create(std::shared_ptr<const TrainInput> input,
                                                     TrainObserver& observer) {
  const TrainRequest& request = input->request;
  DataSchedule schedule(input->train, request.spec->hyperparameters);
  const spec::LargestPass pass = LargestPassOf(*input, schedule);
  // For whoever looks for a place for it.
  observer.OnMemory(LeastNeed(*input, pass));
  GRAFT_ASSIGN_OR_RETURN(TrainRoom room, ReserveRoom(*input, pass));
  ResetPeakMemory(input->base->device());
  GRAFT_ASSIGN_OR_RETURN(std::unique_ptr<Adapter> adapter,
                         MakeAdapter(request.spec->method, input->base->layout(),
                                     input->task->spec().OfVersion(), input->base->device()));
  GRAFT_RETURN_IF_ERROR(
      InitialiseAdapter(*adapter, *input->base, request.spec->hyperparameters.seed));
  adapter->parameters().EnableGrad();
  std::unique_ptr<TrainRun> run(
      new TrainRun(input, std::move(schedule), std::move(room), std::move(adapter)));
  if (!request.checkpoint.empty()) {
    GRAFT_RETURN_IF_ERROR(
        run->state_.Restore(request.checkpoint, run->identity(), input->base->id()));
  } else if (!request.init_from.empty()) {
    GRAFT_RETURN_IF_ERROR(run->LoadInitFrom(request.init_from));
  }
  return run;
}

Status TrainRun::LoadInitFrom(const Files& files) {
  GRAFT_ASSIGN_OR_RETURN(const LoadedArtifact loaded, ReadArtifact(files, *input_->base));
  const Adapter& from = *loaded.adapter;
  Adapter& to = *state_.adapter;
  std::string why = methods::FunctionDifference(from.method(), to.method());
  if (why.empty()) why = tasks::Difference(from.task(), to.task());
  if (!why.empty()) {
    return InvalidArgumentError("init_from can't be continued: " + why)
        .At("spec.init_from", "INIT_FROM_MISMATCH");
  }
  return CopyParameters(from.parameters(), to.parameters());
}

StatusOr<double> TrainRun::RunMicroBatch(const std::vector<uint32_t>& examples, double divisor,
                                         const Yield& yield) {
  const size_t parts = std::min(examples.size(), static_cast<size_t>(state_.counters.splits));
  double sum = 0;
  for (size_t part = 0; part < parts; ++part) {
    const size_t begin = part * examples.size() / parts;
    const size_t end = (part + 1) * examples.size() / parts;
    const TrainPart train{.adapter = *state_.adapter,
                          .task = *input_->task,
                          .data = input_->train,
                          .examples = std::span(examples).subspan(begin, end - begin),
                          .divisor = divisor,
                          .seed = hyperparameters().seed,
                          .step = step()};
    GRAFT_ASSIGN_OR_RETURN(const TrainPassResult pass, Guarded([&]() -> StatusOr<TrainPassResult> {
                             return RunTrainPass(*input_->model, *input_->base, {train}, room_.tape,
                                                 yield);
                           }));
    if (!std::isfinite(pass.losses.front())) return NonFinite(step());
    sum += pass.losses.front();
    last_step_rows_ += pass.rows;
  }
  return sum;
}

StatusOr<double> TrainRun::AccumulateGradient(
    const std::vector<std::vector<uint32_t>>& micro_batches, double divisor,
    TrainObserver& observer, const Yield& yield) {
  size_t largest = 0;
  for (const auto& micro_batch : micro_batches) largest = std::max(largest, micro_batch.size());
  for (;;) {
    double loss = 0;
    last_step_rows_ = 0;
    Status status;
    for (const auto& micro_batch : micro_batches) {
      auto part = RunMicroBatch(micro_batch, divisor, yield);
      status = part.status();
      if (!status.ok()) break;
      loss += *part;
    }
    if (status.ok()) return loss;
    state_.optimizer.ZeroGrad();  // A pass that failed leaves its gradient half added.
    if (status.code() != StatusCode::kResourceExhausted) return status;
    GRAFT_RETURN_IF_ERROR(UseLessMemory(largest, observer));
  }
}

Status TrainRun::UseLessMemory(size_t most_examples, TrainObserver& observer) {
  std::string now;
  if (room_.tape == Tape::kWhole) {
    room_.tape = Tape::kInputs;
    const int64_t needed = RoomFor(*input_, LargestPassOf(*input_, schedule_), Tape::kInputs);
    GRAFT_RETURN_IF_ERROR(room_.memory.Resize(std::min(needed, room_.memory.bytes())));
    now = "layers are now computed again in the backward pass, which takes longer";
  } else if (state_.counters.splits < static_cast<int64_t>(most_examples)) {
    state_.counters.splits *= 2;
    now = "micro-batches are now run in " + std::to_string(state_.counters.splits) + " parts";
  } else {
    return ResourceExhaustedError(
               "a single example of this job doesn't fit in the device's memory; lower "
               "max_length")
        .At("hyperparameters.max_length", "DEVICE_OUT_OF_MEMORY");
  }
  ReleaseCachedMemory(input_->base->device());
  observer.OnWarning("out of memory at step " + std::to_string(step() + 1) + ": " + now);
  return OkStatus();
}

Status TrainRun::Step(TrainObserver& observer, const Yield& yield) {
  const spec::Hyperparameters& hp = input_->request.spec->hyperparameters;
  const std::vector<std::vector<uint32_t>> micro_batches = schedule_.MicroBatches(step());
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
  const double grad_norm = state_.optimizer.GradNorm();
  if (!std::isfinite(grad_norm)) {
    state_.optimizer.ZeroGrad();
    return NonFinite(step());
  }
  const double lr = hp.learning_rate * spec::LrFactor(hp, step(), schedule_.total_steps());
  state_.optimizer.Step(lr, grad_norm);
  ++state_.counters.step;
  state_.counters.tokens += tokens;
  last_step_tokens_ = tokens;
  last_step_loss_ = loss / static_cast<double>(targets);
  Report(observer, last_step_loss_, lr, grad_norm, tokens);
  return OkStatus();
}

Status TrainRun::Advance(TrainObserver& observer, const Yield& yield) {
  if (ValidationDue()) return EvaluateSome(input_->validation, observer, yield);
  if (KeepingDue()) return KeepCheckpoint(observer);
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
  if (elapsed < 0.5 && step() != 1 && step() != schedule_.total_steps()) return;
  Progress progress;
  progress.step = step();
  progress.total_steps = schedule_.total_steps();
  progress.epoch = schedule_.EpochAfter(step());
  progress.loss = loss_since_report_ / static_cast<double>(steps_since_report_);
  progress.learning_rate = lr;
  progress.grad_norm = grad_norm;
  progress.tokens_per_second = static_cast<double>(tokens_since_report_) / std::max(elapsed, 1e-6);
  progress.eta_seconds =
      seconds() / static_cast<double>(step()) * static_cast<double>(progress.total_steps - step());
  progress.tokens = state_.counters.tokens;
  observer.OnProgress(progress);
  last_report_ = Clock::now();
  loss_since_report_ = 0;
  steps_since_report_ = tokens_since_report_ = 0;
}

const TokenizedSplit* TrainRun::DueEvaluation() const {
  if (ValidationDue()) return &input_->validation;
  const bool tested = !state_.evaluations.empty() && state_.evaluations.back().split == "test";
  return trained() && input_->test.size() > 0 && !tested ? &input_->test : nullptr;
}

bool TrainRun::ValidationDue() const {
  if (input_->validation.size() == 0 || step() == 0) return false;
  const Evaluation* last = state_.evaluations.empty() ? nullptr : &state_.evaluations.back();
  if (last != nullptr && (last->step == step() || last->split == "test")) return false;
  return IsEvaluatedHere();
}

bool TrainRun::IsEvaluatedHere() const {
  if (step() == 0) return false;
  if (trained()) return true;
  const double per_epoch = input_->request.spec->hyperparameters.evaluations_per_epoch;
  if (per_epoch <= 0) return false;
  const auto count = [&](int64_t step) {
    return std::floor(schedule_.EpochAfter(step) * per_epoch + 1e-9);
  };
  return count(step()) > count(step() - 1);
}

bool TrainRun::KeepingDue() const {
  return hyperparameters().keep_checkpoints > 0 && step() > kept_through_ && IsEvaluatedHere();
}

Status TrainRun::KeepCheckpoint(TrainObserver& observer) {
  const at::NoGradGuard no_grad;
  auto kept = std::make_shared<KeptCheckpoint>();
  kept->step = step();
  kept->evaluations = state_.evaluations;
  GRAFT_ASSIGN_OR_RETURN(kept->artifact, WriteVersion());
  kept_through_ = step();
  observer.OnKept(std::move(kept));
  return OkStatus();
}

Status TrainRun::EvaluateSome(const TokenizedSplit& split, TrainObserver& observer,
                              const Yield& yield) {
  if (sampling_) {
    SampleSome(observer, yield);
  } else {
    GRAFT_RETURN_IF_ERROR(EvaluateSplit(split, observer, yield));
  }
  if (!evaluated_ || sampling_) return OkStatus();
  // Last, so that a run that is resumed on the way does all of it again.
  if (evaluated_->split != "test") NoteValidation(*evaluated_, observer);
  state_.evaluations.push_back(*std::move(evaluated_));
  evaluated_.reset();
  return OkStatus();
}

Status TrainRun::EvaluateSplit(const TokenizedSplit& split, TrainObserver& observer,
                               const Yield& yield) {
  const bool is_test = &split == &input_->test;
  if (!evaluating_) {
    if (is_test) state_.RestoreBest();
    evaluating_.emplace(*input_->model, *input_->base, *state_.adapter, *input_->task, split,
                        /*ledger=*/nullptr);
  }
  GRAFT_RETURN_IF_ERROR(evaluating_->Advance(yield));
  if (!evaluating_->done()) return OkStatus();
  evaluated_ = evaluating_->Result();
  evaluating_.reset();
  evaluated_->step = is_test ? state_.kept_step() : step();
  evaluated_->split = is_test ? "test" : "validation";
  observer.OnEvaluation(*evaluated_);
  // What is tested was validated, and has its samples.
  if (!is_test && !input_->samples.prompts.empty()) {
    const LoadedBase on{input_->base, input_->model};
    sampling_.emplace(on, *state_.adapter, input_->samples);
  }
  return OkStatus();
}

void TrainRun::SampleSome(TrainObserver& observer, const Yield& yield) {
  if (!sampling_->done()) sampling_->Advance(yield);
  if (!sampling_->done()) return;
  for (StatusOr<report::Sample>& sample : sampling_->Result()) {
    if (sample.ok()) {
      sample->step = step();
      observer.OnSample(*sample);
    } else {
      observer.OnWarning("a sample of step " + std::to_string(step()) +
                         " couldn't be generated: " + sample.status().message());
    }
  }
  sampling_.reset();
  ReleaseCachedMemory(input_->base->device());
}

void TrainRun::NoteValidation(const Evaluation& evaluation, TrainObserver& observer) {
  const spec::Hyperparameters& hp = input_->request.spec->hyperparameters;
  Counters& counters = state_.counters;
  if (counters.best_step < 0 || evaluation.loss < counters.best_loss) {
    counters.best_step = step();
    counters.best_loss = evaluation.loss;
    counters.evaluations_without_best = 0;
    if (hp.keep_best) state_.KeepBest();
  } else if (++counters.evaluations_without_best >= hp.early_stopping_patience &&
             hp.early_stopping_patience > 0) {
    counters.stopped_early = true;
    observer.OnWarning("stopped early at step " + std::to_string(step()) +
                       ": no better validation loss than " + std::to_string(counters.best_loss) +
                       " at step " + std::to_string(counters.best_step));
  }
}

StatusOr<TrainOutcome> TrainRun::Finish() {
  const at::NoGradGuard no_grad;
  state_.RestoreBest();
  TrainOutcome outcome;
  outcome.evaluations = state_.evaluations;
  outcome.kept_step = state_.kept_step();
  outcome.precision = precision();
  JobFacts& facts = outcome.facts;
  facts.train_examples = input_->train.num_given;
  facts.validation_examples = input_->validation.num_given;
  facts.test_examples = input_->test.num_given;
  facts.train_tokens = input_->train.num_tokens();
  facts.total_steps = step();
  facts.trainable_parameters = methods::TrainableParameters(state_.adapter->parameters().specs());
  facts.base_parameters = input_->base->layout().ParameterCount();
  facts.peak_memory_bytes = PeakMemoryBytes(input_->base->device());
  facts.seconds = seconds();
  facts.labels = static_cast<int64_t>(state_.adapter->task().label_names.size());
  facts.truncated_examples = input_->train.num_truncated;
  facts.dropped_examples = input_->train.num_dropped;
  if (input_->task->spec().kind == tasks::Kind::kCausalLanguageModeling)
    facts.loss_tokens = static_cast<int64_t>(input_->train.targets.size());
  GRAFT_ASSIGN_OR_RETURN(outcome.artifact, WriteVersion());
  facts.artifact_bytes = outcome.artifact.bytes;
  return outcome;
}

StatusOr<Artifact> TrainRun::WriteVersion() const {
  const at::NoGradGuard no_grad;
  if (!at::isfinite(state_.adapter->parameters().flat_P()).all().item<bool>())
    return NonFinite(step());
  GRAFT_ASSIGN_OR_RETURN(const Json probe,
                         MakeProbe(*input_->model, *input_->base, *state_.adapter));
  const TrainRequest& request = input_->request;
  return WriteArtifact(*state_.adapter, *input_->base,
                       {.spec = *request.spec,
                        .dataset_sha256 = request.dataset_sha256,
                        .has_pair = request.dataset->has_pair,
                        .chat_template = input_->chat_template,
                        .evaluations = state_.evaluations,
                        .precision = precision(),
                        .probe = probe});
}

double TrainRun::Elapsed() const { return SecondsSince(started_); }

RunIdentity TrainRun::identity() const {
  return {input_->base->fingerprint(), input_->base->tokenizer().fingerprint(), precision()};
}

std::string TrainRun::precision() const {
  return input_->base->compute() == at::kBFloat16 ? "bf16" : "fp32";
}

}  // namespace graft::worker::engine
