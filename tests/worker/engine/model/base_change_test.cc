/// Bases whose files are overwritten, cut, replaced or removed while an engine runs: what is used
/// is what was fingerprinted, or it fails with that reason.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <future>

#include "common/base/file.h"
#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"
#include "worker/engine/model/base.h"

namespace graft::worker::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Hyper;
using ::testing::IsEmpty;
using testing::MakeData;
using testing::MakeRequest;
using testing::MakeSpec;
using testing::Recorder;
using testing::RunJob;
namespace fs = std::filesystem;

const Json kLora = {{"lora", {{"rank", 2}}}};
const Json kLastLayers = {{"last_layers", {{"num_layers", 1}}}};

/// A copy of base-bert that tests may change, and an engine over it.
class BaseChangeTest : public ::testing::Test {
 protected:
  BaseChangeTest() : bases_(std::move(TempFolder::Create()).value()) {
    fs::copy(fs::path(testing::GoldenFolder()) / "base-bert", folder());
    EngineOptions options;
    options.bases = bases_.path();
    options.threads = 2;
    engine_ = std::move(Engine::Create(std::move(options))).value();
  }

  fs::path folder() const { return bases_.path() / "base-bert"; }
  fs::path weights() const { return folder() / "model.safetensors"; }
  /// Turns the weights round by one float, in the file as it lies: the same shapes, other numbers.
  void Overwrite() {
    std::fstream file(weights(), std::ios::in | std::ios::out | std::ios::binary);
    uint64_t header = 0;
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    file.seekg(static_cast<std::streamoff>(8 + header));
    std::string body(fs::file_size(weights()) - 8 - header, ' ');
    file.read(body.data(), static_cast<std::streamsize>(body.size()));
    std::rotate(body.begin(), body.begin() + 4, body.end());
    file.seekp(static_cast<std::streamoff>(8 + header));
    file << body;
  }
  TrainRequest Job(const Json& method, double rate = 5e-3) {
    return MakeRequest(MakeSpec(method,
                                [&](Hyper& hp) {
                                  hp.learning_rate = rate;
                                  hp.epochs = 1;
                                }),
                       MakeData(24, 0, 0));
  }
  Status Embed() {
    std::promise<Status> done;
    engine_->Embed({.base = "base-bert", .version = {}, .inputs = {{"w1", ""}}},
                   [&](const StatusOr<EmbedResult>& result) { done.set_value(result.status()); });
    return done.get_future().get();
  }
  std::string Fingerprint() { return engine_->BaseFingerprint("base-bert").value(); }

  TempFolder bases_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(BaseChangeTest, AnOverwrittenBaseIsTrainedOnAsItIsNowNotAsAMixture) {
  const std::string before = Fingerprint();

  Overwrite();
  const auto trained = RunJob(*engine_, Job(kLastLayers, 1e-12));

  ASSERT_TRUE(trained.ok()) << trained.status();
  EXPECT_NE(trained->artifact.base_fingerprint, before);
  EXPECT_EQ(trained->artifact.base_fingerprint, Fingerprint());
  EXPECT_TRUE(testing::Load(*engine_, trained->artifact).ok()) << "its probe was made on it too";
}

TEST_F(BaseChangeTest, VersionsOfTheOldBaseAreNotServedOnTheNewOne) {
  const auto trained = RunJob(*engine_, Job(kLora));
  ASSERT_TRUE(trained.ok()) << trained.status();
  const Artifact& artifact = trained->artifact;
  ASSERT_TRUE(testing::Load(*engine_, artifact).ok());
  engine_->RefreshBases();
  ASSERT_TRUE(engine_->IsResident(artifact.sha256)) << "nothing changed yet";

  Overwrite();
  engine_->RefreshBases();

  EXPECT_FALSE(engine_->IsResident(artifact.sha256));
  EXPECT_THAT(engine_->resident_bases(), IsEmpty());
  const Status again = testing::Load(*engine_, artifact).status();
  EXPECT_EQ(again.code(), StatusCode::kFailedPrecondition) << again;
  EXPECT_EQ(ReasonOf(again), "BASE_MISMATCH");
}

TEST_F(BaseChangeTest, AJobThatRunsGoesOnWithTheBytesThatItHas) {
  const auto undisturbed = RunJob(*engine_, Job(kLora));
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();
  const auto disturb = [this](int64_t step) {
    if (step == 2) Overwrite();
    if (step == 3) fs::resize_file(weights(), 0);
    engine_->RefreshBases();
    return DesiredState::kRun;
  };

  const auto disturbed = RunJob(*engine_, Job(kLora), std::make_shared<Recorder>(disturb));

  ASSERT_TRUE(disturbed.ok()) << disturbed.status();
  EXPECT_EQ(disturbed->artifact.sha256, undisturbed->artifact.sha256);
}

TEST_F(BaseChangeTest, AJobOnACutFileFailsWithThatReason) {
  ASSERT_TRUE(Embed().ok());
  const auto size = fs::file_size(weights());
  for (const uint64_t cut : {size - 1, size / 2, uint64_t{3}, uint64_t{0}}) {
    fs::resize_file(weights(), cut);

    const Status full = RunJob(*engine_, Job({{"full", Json::object()}})).status();

    EXPECT_EQ(full.code(), StatusCode::kFailedPrecondition) << full;
    EXPECT_EQ(ReasonOf(full), "BASE_UNUSABLE");
    EXPECT_THAT(full.message(), HasSubstr("model.safetensors"));
    EXPECT_EQ(full.message().find("the base "), 0U) << full;
    EXPECT_EQ(full.message().rfind("the base "), 0U) << "named once: " << full;
    EXPECT_EQ(Embed().code(), StatusCode::kFailedPrecondition);
  }
}

TEST_F(BaseChangeTest, AJobIsRefusedOnAnotherBaseThanItWasCheckedAgainst) {
  const std::string before = Fingerprint();
  TrainRequest weights_changed = Job(kLora);
  weights_changed.base_fingerprint = before;
  TrainRequest tokenizer_changed = Job(kLora);
  tokenizer_changed.tokenizer = std::string(64, 'f');
  ASSERT_TRUE(RunJob(*engine_, weights_changed).ok());

  Overwrite();

  for (const TrainRequest& request : {weights_changed, tokenizer_changed}) {
    const Status refused = RunJob(*engine_, request).status();
    EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
    EXPECT_EQ(ReasonOf(refused), "BASE_CHANGED");
    EXPECT_THAT(refused.message(), HasSubstr("submit the job again"));
  }
}

TEST_F(BaseChangeTest, ARemovedBaseIsGoneAtOnceAndOneThatComesIsThere) {
  ASSERT_TRUE(Embed().ok());
  fs::rename(folder(), bases_.path() / "late");
  engine_->RefreshBases();

  EXPECT_THAT(engine_->BaseIds(), ElementsAre("late"));
  EXPECT_THAT(engine_->resident_bases(), IsEmpty());
  EXPECT_EQ(Embed().code(), StatusCode::kNotFound);
  EXPECT_TRUE(engine_->BaseFingerprint("late").ok());
}

TEST_F(BaseChangeTest, MastersAreOfTheFileThatWasReadOrRefused) {
  constexpr const char* kMatrix = "bert.encoder.layer.0.output.dense.weight";
  constexpr const char* kNorm = "bert.encoder.layer.0.output.LayerNorm.weight";
  const auto fp32 = *Base::Load("b", folder(), at::kFloat, at::kCPU);
  const auto bf16 = *Base::Load("b", folder(), at::kBFloat16, at::kCPU);
  const at::Tensor matrix = *fp32->Master(kMatrix);
  const at::Tensor norm = *fp32->Master(kNorm);
  EXPECT_EQ(fp32->fingerprint(), bf16->fingerprint());
  EXPECT_TRUE(bf16->Master(kMatrix)->equal(matrix)) << "at the file's precision";

  for (const bool cut : {false, true}) {
    cut ? fs::resize_file(weights(), 100) : Overwrite();

    EXPECT_TRUE(fp32->Master(kMatrix)->equal(matrix));
    EXPECT_TRUE(bf16->Master(kNorm)->equal(norm));
    const Status refused = bf16->Master(kMatrix).status();
    EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
    EXPECT_EQ(ReasonOf(refused), "BASE_CHANGED");
    EXPECT_FALSE(bf16->IsCurrent());
  }
}

}  // namespace
}  // namespace graft::worker::engine
