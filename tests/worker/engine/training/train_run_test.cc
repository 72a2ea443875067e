/// Runs through the public Engine: the same job gives the same artifact, also when it was given
/// back and resumed; what fails, fails without harm.

#include "worker/engine/training/train_run.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"
#include "worker/engine/families/families.h"
#include "worker/engine/training/checkpoint.h"

namespace graft::worker::engine {
namespace {

using testing::EventfulJob;
using testing::Hyper;
using testing::MakeData;
using testing::MakeEngine;
using testing::MakeRequest;
using testing::MakeSpec;
using testing::Recorder;
using testing::RunJob;

const Json kLora = {{"lora", {{"rank", 4}, {"target_modules", {"query", "value"}}}}};
const Json kPfeiffer = {{"bottleneck", {{"placement", "PFEIFFER"}, {"size", 8}}}};

std::string HashOf(const StatusOr<TrainOutcome>& outcome) {
  return outcome.ok() ? outcome->artifact.sha256 : outcome.status().ToString();
}

TEST(TrainRunTest, TheSameJobGivesTheSameArtifact) {
  const auto engine = MakeEngine();
  const std::string hash = HashOf(RunJob(*engine, EventfulJob()));
  ASSERT_EQ(hash.size(), 64U) << hash;

  EXPECT_EQ(HashOf(RunJob(*engine, EventfulJob())), hash);
  EXPECT_EQ(HashOf(RunJob(*MakeEngine(), EventfulJob())), hash);
}

TEST(TrainRunTest, AnotherSeedGivesAnotherArtifact) {
  const auto engine = MakeEngine();
  const auto with_seed = [&](uint64_t seed) {
    return HashOf(RunJob(*engine, MakeRequest(MakeSpec(kLora, [&](Hyper& hp) { hp.seed = seed; }),
                                              MakeData(8, 0, 0))));
  };

  EXPECT_NE(with_seed(1), with_seed(2));
}

TEST(TrainRunTest, ItLearns) {
  const auto engine = MakeEngine();
  const auto spec = MakeSpec(kPfeiffer, [](Hyper& hp) { hp.epochs = 10; });

  const auto outcome = RunJob(*engine, MakeRequest(spec, MakeData(200, 60, 60)));

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_GT(outcome->evaluations.back().metrics.at("accuracy"), 0.55);
  EXPECT_EQ(outcome->evaluations.back().split, "test");
  EXPECT_EQ(outcome->facts.total_steps, 500);
}

class ReleaseTest : public ::testing::TestWithParam<int64_t> {};

/// The parameter counts turns; some of them lie between a step and the evaluation behind it.
TEST_P(ReleaseTest, AJobGivenBackAndResumedGivesTheUndisturbedArtifact) {
  const auto undisturbed_recorder = std::make_shared<Recorder>();
  const auto undisturbed = RunJob(*MakeEngine(), EventfulJob(), undisturbed_recorder);
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();
  ASSERT_EQ(undisturbed_recorder->warnings.size(), 1U)
      << "the job should stop early, or this test shows less";

  const auto first = std::make_shared<Recorder>([&](int64_t turns) {
    return turns == GetParam() ? DesiredState::kRelease : DesiredState::kRun;
  });
  const auto released = RunJob(*MakeEngine(), EventfulJob(), first);
  ASSERT_TRUE(released.ok()) << released.status();
  ASSERT_EQ(released->kind, TrainOutcome::Kind::kReleased);
  ASSERT_GE(first->checkpoint_step, GetParam() / 2);
  const auto second = std::make_shared<Recorder>();
  const auto resumed = RunJob(*MakeEngine(), EventfulJob(first->checkpoint), second);

  EXPECT_EQ(second->first_step, first->checkpoint_step);
  EXPECT_EQ(HashOf(resumed), undisturbed->artifact.sha256);
  EXPECT_EQ(resumed->evaluations.size(), undisturbed->evaluations.size());
  EXPECT_EQ(resumed->facts.total_steps, undisturbed->facts.total_steps);
}

INSTANTIATE_TEST_SUITE_P(Steps, ReleaseTest, ::testing::Values(0, 1, 2, 3, 4, 5, 7, 10));

TEST(TrainRunTest, AJobGivenBackAfterEveryTurnGivesTheUndisturbedArtifact) {
  const auto engine = MakeEngine();
  const std::string undisturbed = HashOf(RunJob(*engine, EventfulJob()));
  std::string checkpoint;
  for (int64_t turn = 0; turn < 200; ++turn) {
    const auto recorder = std::make_shared<Recorder>(
        [](int64_t turns) { return turns == 1 ? DesiredState::kRelease : DesiredState::kRun; });
    const auto outcome = RunJob(*engine, EventfulJob(checkpoint), recorder);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    if (outcome->kind == TrainOutcome::Kind::kSucceeded) {
      EXPECT_EQ(HashOf(outcome), undisturbed);
      EXPECT_GT(turn, 5);
      return;
    }
    checkpoint = recorder->checkpoint;
  }
  FAIL() << "the job never ended";
}

TEST(TrainRunTest, PausedAndCancelledJobsEndAsAsked) {
  const auto engine = MakeEngine();
  const auto pause = std::make_shared<Recorder>(
      [](int64_t turns) { return turns == 1 ? DesiredState::kPause : DesiredState::kRun; });
  const auto cancel = std::make_shared<Recorder>(
      [](int64_t turns) { return turns == 1 ? DesiredState::kCancel : DesiredState::kRun; });

  EXPECT_EQ(RunJob(*engine, EventfulJob(), pause)->kind, TrainOutcome::Kind::kPaused);
  EXPECT_EQ(RunJob(*engine, EventfulJob(), cancel)->kind, TrainOutcome::Kind::kCancelled);
  EXPECT_EQ(pause->checkpoint_step, 1);
  EXPECT_EQ(cancel->checkpoint_step, -1);
  EXPECT_EQ(engine->figures().training_jobs, 0);
}

TEST(TrainRunTest, AJobEndsAsAskedWhileItsDataAreRead) {
  const auto engine = MakeEngine();
  const auto job = [] { return MakeRequest(MakeSpec(kLora), MakeData(1000, 0, 0)); };
  ASSERT_TRUE(RunJob(*engine, EventfulJob()).ok()) << "the base is in memory";
  for (const auto& [desired, end] :
       {std::pair(DesiredState::kCancel, TrainOutcome::Kind::kCancelled),
        {DesiredState::kPause, TrainOutcome::Kind::kPaused},
        {DesiredState::kRelease, TrainOutcome::Kind::kReleased}}) {
    const auto recorder = std::make_shared<Recorder>();
    int64_t asked = 0;
    recorder->SetDesiredBefore([&, desired = desired](int64_t times) {
      asked = times;
      return times == 50 ? desired : DesiredState::kRun;
    });

    const auto outcome = RunJob(*engine, job(), recorder);

    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(outcome->kind, end);
    EXPECT_EQ(asked, 50) << "of 1000 examples";
    EXPECT_EQ(recorder->first_step, -1) << "it never began";
    EXPECT_EQ(recorder->checkpoint_step, -1);
    EXPECT_EQ(engine->figures().training_jobs, 0);
  }
}

TEST(TrainRunTest, ACancelDoesNotWaitForTheEndOfItsBasesReading) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>();
  recorder->SetDesiredBefore(
      [](int64_t times) { return times == 3 ? DesiredState::kCancel : DesiredState::kRun; });

  const auto outcome = RunJob(*engine, MakeRequest(MakeSpec(kLora), MakeData(8, 0, 0)), recorder);

  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->kind, TrainOutcome::Kind::kCancelled);
  EXPECT_FALSE(engine->HoldsSomeFormOf("base-bert"));
  EXPECT_TRUE(RunJob(*engine, EventfulJob()).ok()) << "who comes next reads it";
}

/// A job whose validation data take several passes.
TrainRequest LongEvaluation(std::string checkpoint = {}) {
  return MakeRequest(MakeSpec(kLora, [](Hyper& hp) { hp.max_steps = 1; }), MakeData(4, 2000, 0),
                     std::move(checkpoint));
}

TEST(TrainRunTest, ACancelDoesNotWaitForTheEndOfAnEvaluation) {
  const auto engine = MakeEngine();
  int64_t turns_of_all = 0;
  const auto counting = std::make_shared<Recorder>([&](int64_t turns) {
    turns_of_all = turns;
    return DesiredState::kRun;
  });
  ASSERT_TRUE(RunJob(*engine, LongEvaluation(), counting).ok());
  ASSERT_GT(turns_of_all, 3) << "the evaluation should take several passes";
  const auto cancel = std::make_shared<Recorder>(
      [](int64_t turns) { return turns == 2 ? DesiredState::kCancel : DesiredState::kRun; });

  const auto outcome = RunJob(*engine, LongEvaluation(), cancel);

  EXPECT_EQ(outcome->kind, TrainOutcome::Kind::kCancelled);
  EXPECT_TRUE(cancel->evaluations.empty());
}

TEST(TrainRunTest, AJobGivenBackInTheMiddleOfAnEvaluationRepeatsIt) {
  const auto engine = MakeEngine();
  const auto whole = std::make_shared<Recorder>();
  const std::string undisturbed = HashOf(RunJob(*engine, LongEvaluation(), whole));
  const auto released = std::make_shared<Recorder>(
      [](int64_t turns) { return turns == 3 ? DesiredState::kRelease : DesiredState::kRun; });
  ASSERT_EQ(RunJob(*engine, LongEvaluation(), released)->kind, TrainOutcome::Kind::kReleased);
  const auto resumed = std::make_shared<Recorder>();

  EXPECT_EQ(HashOf(RunJob(*engine, LongEvaluation(released->checkpoint), resumed)), undisturbed);
  EXPECT_EQ(released->checkpoint_step, 1);
  ASSERT_EQ(resumed->evaluations.size(), 1U);
  EXPECT_EQ(resumed->evaluations[0].loss, whole->evaluations[0].loss);
}

TEST(TrainRunTest, ACheckpointOfAnotherBaseIsRefused) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>([](int64_t) { return DesiredState::kRelease; });
  ASSERT_TRUE(RunJob(*engine, EventfulJob(), recorder).ok());
  auto state = *ParseCheckpoint(recorder->checkpoint);
  state.identity.base_fingerprint = std::string(64, '0');

  const Status status = RunJob(*engine, EventfulJob(SerializeCheckpoint(state))).status();

  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), "BASE_MISMATCH");
}

TEST(TrainRunTest, AResumedJobKeepsThePrecisionThatItBeganWith) {
  const auto engine = MakeEngine();
  const auto job = [&](spec::Precision precision, std::string checkpoint) {
    return MakeRequest(MakeSpec(kLora, [&](Hyper& hp) { hp.precision = precision; }),
                       MakeData(8, 0, 0), std::move(checkpoint));
  };
  for (const char* began : {"fp32", "bf16"}) {
    const auto first = std::make_shared<Recorder>(
        [](int64_t turns) { return turns == 1 ? DesiredState::kRelease : DesiredState::kRun; });
    const auto precision =
        std::string(began) == "bf16" ? spec::Precision::kBf16 : spec::Precision::kFp32;
    ASSERT_TRUE(RunJob(*engine, job(precision, {}), first).ok());

    EXPECT_EQ(RunJob(*engine, job(spec::Precision::kAuto, first->checkpoint))->precision, began);
  }
}

TEST(TrainRunTest, ATornCheckpointIsDataLoss) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>(
      [](int64_t steps) { return steps == 5 ? DesiredState::kRelease : DesiredState::kRun; });
  ASSERT_TRUE(RunJob(*engine, EventfulJob(), recorder).ok());
  const std::string& whole = recorder->checkpoint;

  for (const size_t length :
       {size_t{1}, size_t{7}, size_t{8}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    EXPECT_EQ(RunJob(*engine, EventfulJob(whole.substr(0, length))).status().code(),
              StatusCode::kDataLoss)
        << length;
  }
  EXPECT_EQ(RunJob(*engine, EventfulJob("no checkpoint at all")).status().code(),
            StatusCode::kDataLoss);
  EXPECT_EQ(RunJob(*engine, EventfulJob(whole + "more")).status().code(), StatusCode::kDataLoss);
}

TEST(TrainRunTest, ACheckpointOfAnotherMethodIsDataLoss) {
  const auto engine = MakeEngine();
  const auto recorder = std::make_shared<Recorder>([](int64_t) { return DesiredState::kRelease; });
  ASSERT_TRUE(RunJob(*engine, MakeRequest(MakeSpec(kPfeiffer), MakeData(8, 0, 0)), recorder).ok());

  EXPECT_EQ(RunJob(*engine, EventfulJob(recorder->checkpoint)).status().code(),
            StatusCode::kDataLoss);
}

TEST(TrainRunTest, AnAbsurdLearningRateEndsWithAReason) {
  const auto engine = MakeEngine();
  for (const int evaluations : {0, 1}) {
    const auto spec = MakeSpec(kLora, [&](Hyper& hp) {
      hp.learning_rate = 1e30;
      hp.evaluations_per_epoch = evaluations;
      hp.batch_size = 8;
    });

    const auto outcome = RunJob(*engine, MakeRequest(spec, MakeData(8, 8, 0)));

    EXPECT_EQ(outcome.status().code(), StatusCode::kFailedPrecondition) << evaluations;
    EXPECT_EQ(ReasonOf(outcome.status()), "NON_FINITE_LOSS") << evaluations;
  }
}

/// Takes steps until one fails; returns the parameters in front of that step and behind it.
std::pair<at::Tensor, at::Tensor> AroundTheFailingStep(double learning_rate) {
  auto input = std::make_shared<TrainInput>();
  input->base =
      *Base::Load("base-bert", std::filesystem::path(testing::GoldenFolder()) / "base-bert",
                  at::kFloat, at::kCPU);
  input->model = *MakeModel(*input->base);
  input->request = MakeRequest(
      MakeSpec(kLora, [&](Hyper& hp) { hp.learning_rate = learning_rate; }), MakeData(80, 0, 0));
  const datasets::IngestedDataset& data = *input->request.dataset;
  input->task = MakeTask(tasks::Classification(data.label_names));
  const auto encoder = input->task->NewEncoder(
      {.dataset = data, .tokenizer = input->base->tokenizer(), .max_length = 24});
  input->train = *Tokenize(data.train, *encoder);
  input->ledger = Ledger::Create({.budget = int64_t{1} << 40});
  Recorder recorder;
  auto run = *TrainRun::Create(input, recorder);
  at::Tensor before;
  for (int i = 0; i < 40; ++i) {
    before = ParseCheckpoint(run->Checkpoint())->parameters_P;
    if (!run->Advance(recorder, [] {}).ok())
      return {before, ParseCheckpoint(run->Checkpoint())->parameters_P};
  }
  ADD_FAILURE() << "no step failed";
  return {before, before};
}

TEST(TrainRunTest, AStepThatFailsLeavesEveryParameterAsItWasAndFinite) {
  const auto [before, after] = AroundTheFailingStep(1e30);

  EXPECT_TRUE(after.equal(before));
  EXPECT_TRUE(at::isfinite(after).all().item<bool>());
}

TEST(TrainRunTest, AJobThatTurnsNanLeavesTheOthersBitwiseUntouched) {
  const auto engine = MakeEngine();
  const std::string alone = HashOf(RunJob(*engine, EventfulJob()));
  const auto good = std::make_shared<Recorder>();
  const auto bad = std::make_shared<Recorder>();
  ASSERT_TRUE(engine->Train(EventfulJob(), good).ok());
  ASSERT_TRUE(engine
                  ->Train(MakeRequest(MakeSpec(kLora, [](Hyper& hp) { hp.learning_rate = 1e30; }),
                                      MakeData(40, 0, 0)),
                          bad)
                  .ok());

  EXPECT_EQ(bad->Wait().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(HashOf(good->Wait()), alone);
}

TEST(TrainRunTest, Bf16IsCloseToFp32) {
  const auto engine = MakeEngine();
  const auto train = [&](spec::Precision precision) {
    const auto spec = MakeSpec(kLora, [&](Hyper& hp) {
      hp.epochs = 3;
      hp.precision = precision;
    });
    return *RunJob(*engine, MakeRequest(spec, MakeData(60, 30, 0)));
  };

  const TrainOutcome fp32 = train(spec::Precision::kFp32);
  const TrainOutcome bf16 = train(spec::Precision::kBf16);

  EXPECT_EQ(bf16.precision, "bf16");
  EXPECT_NE(bf16.artifact.sha256, fp32.artifact.sha256);
  ASSERT_EQ(bf16.evaluations.size(), 3U);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(bf16.evaluations[i].loss, fp32.evaluations[i].loss, 0.03) << i;
}

TEST(TrainRunTest, InitFromContinuesAVersionOfItsOwnMethodOnly) {
  const auto engine = MakeEngine();
  const auto data = std::make_shared<datasets::IngestedDataset>(*MakeData(40, 0, 0));
  data->validation = data->train;  // What was learnt by heart shows.
  const auto first =
      *RunJob(*engine, MakeRequest(MakeSpec(kLora, [](Hyper& hp) { hp.epochs = 6; }), data));
  const auto one_step = MakeSpec(kLora, [](Hyper& hp) { hp.max_steps = 1; });
  TrainRequest more = MakeRequest(one_step, data);
  more.init_from = first.artifact.files;
  TrainRequest other = MakeRequest(MakeSpec(kPfeiffer), data);
  other.init_from = first.artifact.files;

  const auto continued = RunJob(*engine, more);
  const auto scratch = RunJob(*engine, MakeRequest(one_step, data));

  EXPECT_LT(continued->evaluations.back().loss, scratch->evaluations.back().loss - 0.2);
  EXPECT_EQ(ReasonOf(RunJob(*engine, other).status()), "INIT_FROM_MISMATCH");
}

TEST(TrainRunTest, InitFromContinuesAVersionThatComputesTheSameOnly) {
  const auto engine = MakeEngine();
  const auto data = MakeData(8, 0, 0);
  const auto lora = [](double alpha, double dropout) {
    return Json{{"lora", {{"rank", 4}, {"alpha", alpha}, {"dropout", dropout}}}};
  };
  const auto first = *RunJob(*engine, MakeRequest(MakeSpec(lora(8, 0)), data));
  const auto continued = [&](const Json& method) {
    TrainRequest more = MakeRequest(MakeSpec(method), data);
    more.init_from = first.artifact.files;
    return RunJob(*engine, more).status();
  };

  const Status refused = continued(lora(16, 0));

  EXPECT_EQ(ReasonOf(refused), "INIT_FROM_MISMATCH");
  EXPECT_EQ(refused.message(), "init_from can't be continued: its alpha is 8.0, the job's is 16.0");
  EXPECT_TRUE(continued(lora(8, 0.1)).ok());
}

}  // namespace
}  // namespace graft::worker::engine
