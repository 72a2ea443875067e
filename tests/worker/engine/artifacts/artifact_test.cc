/// What the engine refuses to load: a version is served only if it is whole, finite, of this base,
/// and computes what was trained.

#include "worker/engine/artifacts/artifact.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "common/safetensors/safetensors.h"
#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"

namespace graft::worker::engine {
namespace {

using testing::Load;
using testing::MakeEngine;
using testing::TrainAndLoad;

const Json kLora = {{"lora", {{"rank", 4}, {"target_modules", {"query", "value"}}}}};
constexpr const char* kWeights = "adapter_model.safetensors";

class ArtifactTest : public ::testing::Test {
 protected:
  ArtifactTest() : engine_(MakeEngine()), artifact_(TrainAndLoad(*engine_, kLora)) {
    engine_->Unload(artifact_.sha256);
  }

  /// Overwrites one float of the tensor whose key ends in `suffix`; graft.json isn't told.
  void SetFloat(const std::string& suffix, float value) {
    std::string& bytes = artifact_.files.at(kWeights);
    const auto view = *safetensors::View::Parse(bytes, kWeights);
    for (const auto& tensor : view.tensors()) {
      if (!tensor.name.ends_with(suffix)) continue;
      std::memcpy(bytes.data() + (tensor.data.data() - bytes.data()), &value, sizeof value);
      return;
    }
    FAIL() << "no tensor ends in " << suffix;
  }

  /// Seals the changed files as a version of its own, with the old probe; `edit` may change what it
  /// says of itself.
  void Reseal(const std::function<void(artifacts::Identity&)>& edit = {},
              const std::function<void(Json& probe)>& edit_probe = {}) {
    const auto base =
        *Base::Load("base-bert", std::filesystem::path(testing::GoldenFolder()) / "base-bert",
                    at::kFloat, at::kCPU);
    artifacts::Files unsealed = artifact_.files;
    // Open wants hashes that fit, so the identity comes from an untouched version of the same job.
    const Artifact untouched = TrainAndLoad(*engine_, kLora);
    artifacts::Manifest manifest = *artifacts::Open(untouched.files, base->layout());
    if (edit) edit(manifest.identity);
    if (edit_probe) edit_probe(manifest.record.probe);
    unsealed.erase(std::string(artifacts::kManifestName));
    artifact_.sha256 = artifacts::Seal(manifest.identity, manifest.record, unsealed).sha256;
    artifact_.files = unsealed;
  }

  std::unique_ptr<Engine> engine_;
  Artifact artifact_;
};

TEST_F(ArtifactTest, AWholeVersionLoadsAndIsProved) {
  const auto result = Load(*engine_, artifact_);

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->proved);
  EXPECT_EQ(result->base_fingerprint, artifact_.base_fingerprint);
  EXPECT_GT(result->bytes, 0);
}

TEST_F(ArtifactTest, HowALanguageModelWasTrainedIsReadBackForItsEvaluations) {
  const auto base =
      *Base::Load("base-bert", std::filesystem::path(testing::GoldenFolder()) / "base-bert",
                  at::kFloat, at::kCPU);
  artifacts::Manifest manifest = *artifacts::Open(artifact_.files, base->layout());
  manifest.record.job["spec"]["task"] = {
      {"causal_lm", {{"loss_on", "ALL"}, {"chat_template_variables", {{"style", "short"}}}}}};
  artifact_.files.erase(std::string(artifacts::kManifestName));
  (void)artifacts::Seal(manifest.identity, manifest.record, artifact_.files);

  const auto loaded = ReadArtifact(artifact_.files, *base);

  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->trained_for.language.loss_on, tasks::LossOn::kAll);
  EXPECT_EQ(loaded->trained_for.language.chat_template_variables, Json({{"style", "short"}}));
  EXPECT_EQ(loaded->trained_for.label_names, loaded->adapter->task().label_names);
}

TEST_F(ArtifactTest, ANanOrAnInfinityIsRefused) {
  for (const float value : {NAN, INFINITY, -INFINITY}) {
    SetFloat("lora_B.weight", value);
    Reseal();

    const auto result = Load(*engine_, artifact_, /*prove=*/false);

    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument) << value;
    EXPECT_NE(result.status().message().find("NaN or an infinity"), std::string::npos)
        << result.status();
    EXPECT_FALSE(engine_->IsResident(artifact_.sha256));
  }
}

TEST_F(ArtifactTest, AChangedWeightIsDataLoss) {
  SetFloat("lora_B.weight", 0.5F);

  EXPECT_EQ(Load(*engine_, artifact_, false).status().code(), StatusCode::kDataLoss);
}

TEST_F(ArtifactTest, OtherWeightsThanTrainedFailTheProbe) {
  SetFloat("lora_A.weight", 300.0F);
  Reseal();

  EXPECT_TRUE(Load(*engine_, artifact_, /*prove=*/false).ok());
  engine_->Unload(artifact_.sha256);
  const auto proved = Load(*engine_, artifact_, /*prove=*/true);

  EXPECT_EQ(proved.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(proved.status()), "PROBE_MISMATCH");
  EXPECT_FALSE(engine_->IsResident(artifact_.sha256));
}

TEST_F(ArtifactTest, AProbeMayBeOffInOneLogitButNotInAll) {
  const auto proved = [&](float apart, bool all) {
    Reseal({}, [&](Json& probe) {
      for (size_t i = 0; i < (all ? probe["logits"].size() : 1); ++i)
        probe["logits"][i] = probe["logits"][i].get<float>() + apart;
    });
    return Load(*engine_, artifact_, /*prove=*/true).status();
  };

  EXPECT_TRUE(proved(2e-4F, /*all=*/false).ok());
  EXPECT_EQ(ReasonOf(proved(2e-4F, /*all=*/true)), "PROBE_MISMATCH");
}

TEST_F(ArtifactTest, AMissingOrAnExtraFileIsDataLoss) {
  Artifact missing = artifact_;
  missing.files.erase(kWeights);
  Artifact extra = artifact_;
  extra.files["more.safetensors"] = artifact_.files.at(kWeights);

  EXPECT_EQ(Load(*engine_, missing).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(Load(*engine_, extra).status().code(), StatusCode::kDataLoss);
}

TEST_F(ArtifactTest, AnotherNameThanItsHashIsDataLoss) {
  artifact_.sha256.back() = artifact_.sha256.back() == '0' ? '1' : '0';

  EXPECT_EQ(Load(*engine_, artifact_).status().code(), StatusCode::kDataLoss);
}

TEST_F(ArtifactTest, AnotherBaseIsRefused) {
  LoadRequest request{.version = artifact_.sha256,
                      .base = "base-distilbert",
                      .base_fingerprint = artifact_.base_fingerprint,
                      .files = artifact_.files,
                      .prove = true};

  EXPECT_EQ(ReasonOf(engine_->Load(request).status()), "BASE_MISMATCH");
  request.base = "no-such-base";
  EXPECT_EQ(engine_->Load(request).status().code(), StatusCode::kNotFound);
}

TEST_F(ArtifactTest, AnotherTokenizerIsRefusedUnlessTheVersionNamesNone) {
  Reseal([](artifacts::Identity& identity) { identity.tokenizer = std::string(64, 'a'); });
  const auto other = Load(*engine_, artifact_);
  Reseal([](artifacts::Identity& identity) { identity.tokenizer.clear(); });
  const auto silent = Load(*engine_, artifact_);

  EXPECT_EQ(other.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(other.status()), "TOKENIZER_MISMATCH");
  EXPECT_NE(other.status().message().find("tokenizer"), std::string::npos) << other.status();
  EXPECT_TRUE(silent.ok()) << silent.status();
}

}  // namespace
}  // namespace graft::worker::engine
