#pragma once
/// Small jobs for tests of the engine: the golden cases' tiny bases, data of made-up words that can
/// be learnt, and an observer that writes down what it is told.

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/details.h"
#include "worker/engine/engine.h"

namespace graft::worker::engine::testing {

using Hyper = spec::Hyperparameters;

/// An engine on the CPU with two threads over the golden bases. Throws if it can't start.
std::unique_ptr<Engine> MakeEngine(size_t max_waiting = 4096, int64_t max_base_bytes = 0,
                                   double pass_seconds = 0.05);

/// A resolved spec on base-bert: 2 epochs of micro-batches of 4, fp32; `change` may alter any
/// hyperparameter.
std::shared_ptr<const spec::JobSpec> MakeSpec(const Json& method,
                                              const std::function<void(Hyper&)>& change = {});

/// Three labels; a label's texts favour its own words. Equal arguments give equal data.
std::shared_ptr<const datasets::IngestedDataset> MakeData(int train, int validation, int test);

TrainRequest MakeRequest(std::shared_ptr<const spec::JobSpec> spec,
                         std::shared_ptr<const datasets::IngestedDataset> data,
                         std::string checkpoint = {});

/// Everything that a resumed run must carry over: dropout, accumulation, the best state, early
/// stopping. It overfits its few examples, so it does stop early.
TrainRequest EventfulJob(std::string checkpoint = {});

/// Writes down a run; `desired`, if set, is asked between steps with the number of steps that were
/// asked for so far.
class Recorder : public TrainObserver {
 public:
  explicit Recorder(std::function<DesiredState(int64_t steps)> desired = {})
      : desired_(std::move(desired)) {}

  void OnStarted(const std::string& /*precision*/, int64_t first) override { first_step = first; }
  void OnProgress(const Progress& progress) override {
    if (progress.step == 1) first_progress = progress;
  }
  void OnEvaluation(const Evaluation& evaluation) override { evaluations.push_back(evaluation); }
  void OnSample(const report::Sample& sample) override { samples.push_back(sample); }
  void OnCheckpoint(int64_t step, std::shared_ptr<const std::string> bytes) override {
    checkpoint_step = step;
    checkpoint = *bytes;
  }
  void OnKept(std::shared_ptr<const KeptCheckpoint> version) override {
    kept.push_back(std::move(version));
  }
  void OnWarning(const std::string& warning) override { warnings.push_back(warning); }
  DesiredState Desired() override {
    if (first_step < 0) return before_ ? before_(read_++) : DesiredState::kRun;
    return desired_ ? desired_(asked_++) : DesiredState::kRun;
  }
  void OnDone(StatusOr<TrainOutcome> outcome) override { done_.set_value(std::move(outcome)); }

  /// For one that looks at what was told so far; before the run begins.
  void SetDesired(std::function<DesiredState(int64_t steps)> desired) {
    desired_ = std::move(desired);
  }
  /// Asked while base and data are read, with the number of times so far.
  void SetDesiredBefore(std::function<DesiredState(int64_t asked)> before) {
    before_ = std::move(before);
  }
  /// Blocks until the run is over; then the fields below may be read.
  StatusOr<TrainOutcome> Wait() { return done_.get_future().get(); }

  int64_t first_step = -1, checkpoint_step = -1;
  Progress first_progress;  ///< After step 1.
  std::string checkpoint;
  std::vector<Evaluation> evaluations;
  std::vector<report::Sample> samples;
  std::vector<std::shared_ptr<const KeptCheckpoint>> kept;
  std::vector<std::string> warnings;

 private:
  std::function<DesiredState(int64_t)> desired_, before_;
  int64_t asked_ = 0, read_ = 0;
  std::promise<StatusOr<TrainOutcome>> done_;
};

/// Runs a job to its end.
StatusOr<TrainOutcome> RunJob(
    Engine& engine, TrainRequest request,
    const std::shared_ptr<Recorder>& recorder = std::make_shared<Recorder>());

/// Runs a short job, loads what it made, and returns it. Throws if either fails.
Artifact TrainAndLoad(Engine& engine, const Json& method, uint64_t seed = 1);

/// Loads an artifact under its own name.
StatusOr<LoadResult> Load(Engine& engine, const Artifact& artifact, bool prove = true);

StatusOr<ClassifyResult> Classify(Engine& engine, const VersionId& version,
                                  const std::vector<std::string>& texts);

/// Keeps the engine's thread inside a callback until Release or destruction, so that what is asked
/// meanwhile waits.
class Blocked {
 public:
  /// `version` must be resident. `inside`, if set, runs on the engine's thread in place of waiting
  /// for Release.
  Blocked(Engine& engine, const VersionId& version, std::function<void()> inside = {});
  ~Blocked() { Release(); }
  void Release();

 private:
  std::promise<void> release_;
  bool released_ = false;
};

}  // namespace graft::worker::engine::testing
