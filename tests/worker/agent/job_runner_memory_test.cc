/// A lease whose version can't be loaded because others have taken the memory meanwhile.

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>

#include "common/base/json.h"
#include "common/datasets/dataset.h"
#include "common/families/layout.h"
#include "common/safetensors/checkpoint.h"
#include "tests/support/must.h"
#include "tests/worker/agent/job_runner_case.h"

namespace graft::worker::agent {
namespace {

using graft::testing::Must;
using ::testing::ElementsAre;
using ::testing::StartsWith;

/// A job that holds its memory until it is stopped.
class Occupant : public engine::TrainObserver {
 public:
  /// Waits for its start. Errors: as Engine::Train.
  static StatusOr<std::shared_ptr<Occupant>> Start(engine::Engine& engine,
                                                   engine::TrainRequest request) {
    auto occupant = std::make_shared<Occupant>();
    GRAFT_RETURN_IF_ERROR(engine.Train(std::move(request), occupant));
    return occupant;
  }
  void Stop() {
    stopped_ = true;
    done_.get_future().wait();
  }
  int64_t needs() const { return needs_; }

  void OnMemory(int64_t bytes) override { needs_ = bytes; }
  engine::DesiredState Desired() override {
    return stopped_ ? engine::DesiredState::kCancel : engine::DesiredState::kRun;
  }
  void OnDone(StatusOr<engine::TrainOutcome>) override { done_.set_value(); }

 private:
  std::atomic<int64_t> needs_ = 0;
  std::atomic<bool> stopped_ = false;
  std::promise<void> done_;
};

/// All weights of the same base in bf16, for ever: far more memory than an adapter's job, and
/// another form of the base than such a job's version is served on.
engine::TrainRequest OfAllWeights() {
  const std::filesystem::path folder = GRAFT_SOURCE_DIR "/tests/golden/data/base-bert";
  const auto checkpoint = Must(safetensors::Checkpoint::Open(folder));
  const families::Layout layout =
      Must(families::ReadLayout(Must(ReadFile(folder / "config.json")), checkpoint->names()));
  spec::JobSpec spec;
  spec.base = "base-bert";
  spec.adapter = "other";
  spec.method = Must(methods::ParseMethod("full", Json::object()));
  spec.dataset.train = "graft://datasets/train";
  spec.hyperparameters.max_steps = int64_t{1} << 40;
  spec.hyperparameters.batch_size = 4;
  spec.hyperparameters.max_length = 24;
  spec.hyperparameters.evaluations_per_epoch = 0;
  spec.hyperparameters.precision = spec::Precision::kBf16;
  auto data = std::make_shared<datasets::IngestedDataset>();
  data->label_names = {"a", "b"};
  data->train = {{"w1 w2", "", 0}, {"w3 w4", "", 1}};
  engine::TrainRequest request;
  request.job_id = "other";
  request.base = spec.base;
  request.spec =
      std::make_shared<const spec::JobSpec>(Must(spec::Resolve(std::move(spec), layout)));
  request.dataset = std::move(data);
  return request;
}

class JobRunnerMemoryTest : public JobRunnerCase {
 protected:
  /// What the other job needs at least, its base included.
  int64_t NeedOfAllWeights() {
    const auto occupant = Must(Occupant::Start(*engine_, OfAllWeights()));
    occupant->Stop();
    return occupant->needs();
  }
};

TEST_F(JobRunnerMemoryTest, AVersionThatThereIsNoMemoryToLoadIsKeptUnproved) {
  // The other job, and nothing beside it; an eighth is for passes.
  LimitMemory((NeedOfAllWeights() + 4096) / 7 * 8);
  std::shared_ptr<Occupant> occupant;
  server_.on_put = [&](const std::string& key) -> Status {
    if (occupant != nullptr || key.find("/artifact/") == std::string::npos) return OkStatus();
    // The job is over, and what it trained is under way to the store.
    GRAFT_ASSIGN_OR_RETURN(occupant, Occupant::Start(*engine_, OfAllWeights()));
    return OkStatus();
  };

  const End end = RunToEnd(MakeLease("job"));

  ASSERT_NE(occupant, nullptr);
  ASSERT_EQ(end.outcome(), End::SUCCEEDED) << end.error().message();
  EXPECT_TRUE(end.unproved());
  EXPECT_THAT(Warnings(end.lease().events()),
              ElementsAre(StartsWith("there was no memory left to load what was trained, so the "
                                     "version isn't proved and not made live: ")));
  EXPECT_FALSE(engine_->IsResident(end.version_sha256()));
  occupant->Stop();
  EXPECT_EQ(LoadStored(end.artifact_prefix(), end.version_sha256()), OkStatus())
      << "what was trained is whole";
}

}  // namespace
}  // namespace graft::worker::agent
