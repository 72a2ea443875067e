/// Checkpoints that a run keeps as versions: at which steps, and that each is what the run was
/// then.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "tests/worker/engine/engine_case.h"

namespace graft::worker::engine::testing {
namespace {

using ::testing::ElementsAre;

const Json kLora = {{"lora", {{"rank", 4}, {"dropout", 0.2}, {"target_modules", {"query"}}}}};

/// 16 examples in batches of 4 for 3 epochs: 4 steps each.
TrainRequest Keeping(const std::function<void(Hyper&)>& change = {}, int validation = 0) {
  const auto spec = MakeSpec(kLora, [&](Hyper& hp) {
    hp.epochs = 3;
    hp.keep_checkpoints = 100;
    hp.lr_schedule = spec::LrSchedule::kConstant;
    if (change) change(hp);
  });
  return MakeRequest(spec, MakeData(16, validation, 0));
}

/// One that stops early and isn't at its best then.
TrainRequest EventfulKeeping(std::string checkpoint = {}, int64_t kept_through = 0) {
  TrainRequest request = EventfulJob(std::move(checkpoint));
  auto spec = std::make_shared<spec::JobSpec>(*request.spec);
  spec->hyperparameters.keep_checkpoints = 100;
  request.spec = std::move(spec);
  request.kept_through = kept_through;
  return request;
}

std::vector<int64_t> Steps(const Recorder& recorder) {
  std::vector<int64_t> steps;
  for (const auto& kept : recorder.kept) steps.push_back(kept->step);
  return steps;
}

std::map<int64_t, std::string> Hashes(const Recorder& recorder) {
  std::map<int64_t, std::string> hashes;
  for (const auto& kept : recorder.kept) hashes[kept->step] = kept->artifact.sha256;
  return hashes;
}

StatusOr<Evaluation> Evaluate(Engine& engine, const VersionId& version,
                              const std::vector<datasets::Example>& examples) {
  auto data = std::make_shared<datasets::IngestedDataset>(*MakeData(0, 0, 0));
  data->train = examples;
  std::promise<StatusOr<Evaluation>> done;
  engine.Evaluate({.version = version, .dataset = std::move(data)},
                  [&](StatusOr<Evaluation> result) { done.set_value(std::move(result)); });
  return done.get_future().get();
}

TEST(KeptStepsTest, OneIsKeptWhereverTheRunIsOrWouldBeEvaluated) {
  const auto engine = MakeEngine();
  struct Case {
    const char* what;
    std::function<void(Hyper&)> change;
    std::vector<int64_t> steps;
  };
  const std::vector<Case> cases = {
      {"each epoch", {}, {4, 8, 12}},
      {"twice an epoch", [](Hyper& hp) { hp.evaluations_per_epoch = 2; }, {2, 4, 6, 8, 10, 12}},
      {"each second epoch", [](Hyper& hp) { hp.evaluations_per_epoch = 0.5; }, {8, 12}},
      {"the end alone", [](Hyper& hp) { hp.evaluations_per_epoch = 0; }, {12}},
      {"in the middle of an epoch", [](Hyper& hp) { hp.epochs = 1.5; }, {4, 6}},
      {"an epoch's last step with less",
       [](Hyper& hp) { hp.gradient_accumulation_steps = 3; },
       {2, 4, 6}},
      {"none", [](Hyper& hp) { hp.keep_checkpoints = 0; }, {}}};
  for (const Case& c : cases) {
    for (const int validation : {0, 4}) {
      const auto recorder = std::make_shared<Recorder>();

      ASSERT_TRUE(RunJob(*engine, Keeping(c.change, validation), recorder).ok()) << c.what;

      EXPECT_EQ(Steps(*recorder), c.steps) << c.what << ", " << validation << " to validate on";
    }
  }
}

TEST(KeptStepsTest, OneIsBitForBitWhatAShorterRunEndsWith) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>();
  const auto whole = RunJob(*engine, Keeping(), recorder);
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_EQ(recorder->kept.size(), 3U);

  for (int epochs = 1; epochs <= 3; ++epochs) {
    const auto shorter = RunJob(*engine, Keeping([&](Hyper& hp) {
      hp.epochs = epochs;
      hp.keep_checkpoints = 0;
    }));
    ASSERT_TRUE(shorter.ok()) << shorter.status();
    Artifact kept = recorder->kept[static_cast<size_t>(epochs) - 1]->artifact;
    EXPECT_EQ(kept.sha256, shorter->artifact.sha256) << epochs;
    Files files = shorter->artifact.files;
    // It tells the job's spec, which differs.
    files.erase("graft.json");
    kept.files.erase("graft.json");
    EXPECT_EQ(kept.files, files) << epochs;
    EXPECT_EQ(kept.parameters, shorter->artifact.parameters);
    EXPECT_EQ(kept.label_names, shorter->artifact.label_names);
    EXPECT_EQ(kept.max_length, shorter->artifact.max_length);
  }
}

TEST(KeptStepsTest, OneServesWhatTheRunWasAtItsStep) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>();
  const TrainRequest request = EventfulKeeping();
  ASSERT_TRUE(RunJob(*engine, request, recorder).ok());
  ASSERT_GT(recorder->kept.size(), 3U);

  for (size_t i = 0; i < recorder->kept.size(); ++i) {
    const KeptCheckpoint& kept = *recorder->kept[i];
    const Evaluation& then = recorder->evaluations[i];
    ASSERT_EQ(then.step, kept.step);
    ASSERT_TRUE(Load(*engine, kept.artifact).ok()) << "its probe proves it";
    const auto now = Evaluate(*engine, kept.artifact.sha256, request.dataset->validation);
    ASSERT_TRUE(now.ok()) << now.status();
    // Serving sums in another order (passes/probe.h); from step to step the loss moves far more.
    EXPECT_NEAR(now->loss, then.loss, 1e-6) << kept.step;
    EXPECT_EQ(now->metrics, then.metrics) << kept.step;
    ASSERT_EQ(kept.evaluations.size(), i + 1) << "those so far";
    EXPECT_EQ(kept.evaluations.back().loss, then.loss);
  }
}

TEST(KeptStepsTest, TheLastIsTheRunsLastStateAndTheResultItsBest) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>();

  const auto outcome = RunJob(*engine, EventfulKeeping(), recorder);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_LT(outcome->kept_step, recorder->kept.back()->step) << "it should stop behind its best";
  const std::map<int64_t, std::string> hashes = Hashes(*recorder);
  EXPECT_EQ(hashes.at(outcome->kept_step), outcome->artifact.sha256);
  EXPECT_NE(recorder->kept.back()->artifact.sha256, outcome->artifact.sha256);
  EXPECT_EQ(recorder->kept.back()->step, outcome->facts.total_steps);
}

TEST(KeptStepsTest, KeepingChangesNothingOfTheResult) {
  const auto engine = MakeEngine();

  const auto keeping = RunJob(*engine, EventfulKeeping());
  const auto not_keeping = RunJob(*engine, EventfulJob());

  ASSERT_TRUE(keeping.ok() && not_keeping.ok());
  EXPECT_EQ(keeping->artifact.sha256, not_keeping->artifact.sha256);
}

TEST(KeptStepsTest, ARunThatIsCutOffAnywhereKeepsTheSameOnesOnce) {
  const auto engine = MakeEngine();
  int64_t turns_of_all = 0;
  const auto undisturbed = std::make_shared<Recorder>([&](int64_t turns) {
    turns_of_all = turns;
    return DesiredState::kRun;
  });
  ASSERT_TRUE(RunJob(*engine, EventfulKeeping(), undisturbed).ok());
  const std::map<int64_t, std::string> all = Hashes(*undisturbed);

  for (int64_t cut = 1; cut <= turns_of_all; ++cut) {
    const auto first = std::make_shared<Recorder>([cut](int64_t turns) {
      return turns == cut ? DesiredState::kRelease : DesiredState::kRun;
    });
    ASSERT_TRUE(RunJob(*engine, EventfulKeeping(), first).ok());
    const auto second = std::make_shared<Recorder>();
    const int64_t through = first->kept.empty() ? 0 : first->kept.back()->step;
    ASSERT_TRUE(RunJob(*engine, EventfulKeeping(first->checkpoint, through), second).ok());

    std::map<int64_t, std::string> together = Hashes(*first);
    together.merge(Hashes(*second));
    EXPECT_EQ(together, all) << "cut at turn " << cut;
    EXPECT_EQ(first->kept.size() + second->kept.size(), all.size()) << "cut at turn " << cut;
  }
}

}  // namespace
}  // namespace graft::worker::engine::testing
