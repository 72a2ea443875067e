/// Bases that lack something: they serve what they can, and refuse the rest before anything is
/// computed.

#include "worker/engine/model/base.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/safetensors/safetensors.h"
#include "tests/worker/engine/engine_case.h"
#include "tests/worker/engine/golden_case.h"

namespace graft::worker::engine {
namespace {

using ::testing::HasSubstr;
using testing::MakeData;
using testing::MakeRequest;
using testing::MakeSpec;
using testing::Recorder;
using testing::RunJob;
namespace fs = std::filesystem;

constexpr const char* kTypes = "bert.embeddings.token_type_embeddings.weight";

/// A copy of base-bert that tests may change, and an engine over it.
class BaseTest : public ::testing::Test {
 protected:
  BaseTest() : bases_(std::move(TempFolder::Create()).value()) {
    fs::copy(fs::path(testing::GoldenFolder()) / "base-bert", folder());
  }

  fs::path folder() const { return bases_.path() / "base-bert"; }

  /// Leaves the base one token type, in its configuration and weights.
  void CutTokenTypes() {
    Json config = *ParseJson(*ReadFile(folder() / "config.json"), "config.json");
    config["type_vocab_size"] = 1;
    ASSERT_TRUE(WriteFileDurably(folder() / "config.json", config.dump()).ok());
    const std::string bytes = *ReadFile(folder() / "model.safetensors");
    const auto view = *safetensors::View::Parse(bytes, "model.safetensors");
    std::vector<safetensors::TensorToWrite> tensors;
    for (const safetensors::TensorView& tensor : view.tensors()) {
      std::vector<int64_t> shape(tensor.shape.begin(), tensor.shape.end());
      std::string_view data = tensor.data;
      if (std::string(kTypes).ends_with(tensor.name)) {
        data = data.substr(0, data.size() / shape[0]);
        shape[0] = 1;
      }
      tensors.push_back({std::string(tensor.name), tensor.dtype, shape, data});
    }
    ASSERT_TRUE(
        WriteFileDurably(folder() / "model.safetensors", *safetensors::Write(tensors)).ok());
  }

  std::unique_ptr<Engine> MakeEngine() {
    EngineOptions options;
    options.bases = bases_.path();
    options.threads = 2;
    return std::move(Engine::Create(std::move(options))).value();
  }

  TempFolder bases_;
};

TrainRequest JobOn(std::shared_ptr<const datasets::IngestedDataset> data) {
  return MakeRequest(MakeSpec({{"lora", {{"rank", 2}}}}), std::move(data));
}

StatusOr<EmbedResult> Embed(Engine& engine, EmbedRequest request) {
  std::promise<StatusOr<EmbedResult>> done;
  engine.Embed(std::move(request),
               [&](StatusOr<EmbedResult> result) { done.set_value(std::move(result)); });
  return done.get_future().get();
}

StatusOr<ClassifyResult> Classify(Engine& engine, ClassifyRequest request) {
  std::promise<StatusOr<ClassifyResult>> done;
  engine.Classify(std::move(request),
                  [&](StatusOr<ClassifyResult> result) { done.set_value(std::move(result)); });
  return done.get_future().get();
}

TEST_F(BaseTest, ABaseWithOneTokenTypeTakesSingleTextsOnly) {
  CutTokenTypes();
  const auto engine = MakeEngine();
  const auto single = MakeData(8, 0, 0);
  auto pairs = std::make_shared<datasets::IngestedDataset>(*single);
  pairs->has_pair = true;
  for (datasets::Example& example : pairs->train) example.text_pair = "w1";

  const auto trained = RunJob(*engine, JobOn(single));
  const Status refused = engine->Train(JobOn(pairs), std::make_shared<Recorder>());
  const auto embedded =
      Embed(*engine, {.base = "base-bert", .version = {}, .inputs = {{"w1", ""}, {"w1", "w2"}}});

  EXPECT_TRUE(trained.ok()) << trained.status();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument) << refused;
  EXPECT_THAT(refused.message(), HasSubstr("knows no pairs of texts"));
  EXPECT_EQ(refused.details().at(0).field, "dataset.text_columns");
  EXPECT_EQ(embedded.status().code(), StatusCode::kInvalidArgument) << embedded.status();
  EXPECT_EQ(embedded.status().details().at(0).field, "inputs[1].text_pair");
}

TEST_F(BaseTest, ABaseWithTwoTokenTypesTakesPairs) {
  const auto engine = MakeEngine();

  EXPECT_TRUE(Embed(*engine, {.base = "base-bert", .version = {}, .inputs = {{"w1", "w2"}}}).ok());
}

TEST_F(BaseTest, ABaseWithModulesThatArentBuiltTrainsAndClassifiesButEmbedsNothing) {
  ASSERT_TRUE(WriteFileDurably(folder() / "modules.json",
                               R"([{"type": "sentence_transformers.models.Transformer"},
                                   {"type": "sentence_transformers.models.Dense"}])")
                  .ok());
  const auto engine = MakeEngine();

  const auto trained = RunJob(*engine, JobOn(MakeData(8, 0, 0)));
  ASSERT_TRUE(trained.ok()) << trained.status();
  const std::string& version = trained->artifact.sha256;
  ASSERT_TRUE(testing::Load(*engine, trained->artifact).ok());
  const auto classified = Classify(*engine, {.version = version, .inputs = {{"w1", ""}}});

  EXPECT_TRUE(classified.ok()) << classified.status();
  for (const VersionId& of : {VersionId(), version}) {
    const Status refused =
        Embed(*engine, {.base = "base-bert", .version = of, .inputs = {{"w1", ""}}}).status();
    EXPECT_EQ(refused.code(), StatusCode::kUnimplemented) << refused;
    EXPECT_THAT(refused.message(), HasSubstr("Dense"));
  }
}

}  // namespace
}  // namespace graft::worker::engine
