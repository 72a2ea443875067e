#include "server/intake/base_catalog.h"

#include <sys/resource.h>

#include <fstream>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../rpc/tiny_base.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/safetensors/safetensors.h"

namespace graft::server::intake {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class BaseCatalogTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TempFolder::Create();
    ASSERT_TRUE(folder.ok());
    folder_.emplace(std::move(*folder));
    MakeTinyBase(folder_->path() / "bases", "tiny");
    catalog_.emplace(folder_->path() / "bases", folder_->path() / "cache",
                     [this](const std::filesystem::path& cache, Base& base) {
                       read_.push_back(base.id);
                       return fault_.ok() ? ReadBase(cache, base) : fault_;
                     });
  }

  std::optional<TempFolder> folder_;
  std::optional<BaseCatalog> catalog_;
  std::vector<std::string> read_;  ///< Ids, in order.
  Status fault_;                   ///< What reading meets.
};

TEST_F(BaseCatalogTest, OnlyTheBaseThatIsAskedForIsReadAndOnlyOnce) {
  MakeTinyBase(folder_->path() / "bases", "other");

  EXPECT_EQ(catalog_->Cached("tiny"), nullptr);
  const auto base = catalog_->Find("tiny");

  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ((*base)->fingerprint.size(), 64U);
  EXPECT_EQ(catalog_->Cached("tiny"), *base);
  EXPECT_EQ(*catalog_->Get("tiny"), *base);
  EXPECT_THAT(read_, ElementsAre("tiny"));
  EXPECT_THAT(catalog_->Names(), ElementsAre("other", "tiny"));
}

TEST_F(BaseCatalogTest, AChangedFolderIsReadAgain) {
  const auto before = *catalog_->Find("tiny");

  MakeTinyBase(folder_->path() / "bases", "tiny", 2);

  EXPECT_EQ(catalog_->Cached("tiny"), nullptr);
  EXPECT_NE((*catalog_->Find("tiny"))->fingerprint, before->fingerprint);
}

TEST_F(BaseCatalogTest, AFaultOfTheFolderIsKeptAndSaysWhy) {
  std::ofstream(folder_->path() / "bases/tiny/config.json") << "{}";

  const Status status = catalog_->Find("tiny").status();

  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(catalog_->Find("tiny").status(), status);
  EXPECT_FALSE((*catalog_->Get("tiny"))->error.ok());
  EXPECT_EQ(read_.size(), 1U);
}

TEST_F(BaseCatalogTest, AModelOneFolderDownIsNamed) {
  std::filesystem::create_directories(folder_->path() / "bases" / "sentences" / "0_BERT");
  std::filesystem::create_directories(folder_->path() / "bases" / "sentences" / "1_Pooling");
  std::filesystem::create_directories(folder_->path() / "bases" / "empty" / "notes");
  std::ofstream(folder_->path() / "bases/sentences/0_BERT/config.json") << kTinyConfig;
  std::ofstream(folder_->path() / "bases/sentences/1_Pooling/config.json") << "{}";

  EXPECT_THAT(catalog_->Find("sentences").status().message(),
              HasSubstr("it holds no config.json; the folder \"0_BERT\" below it does: link"));
  EXPECT_THAT(catalog_->Find("empty").status().message(),
              HasSubstr("no folder of a model as transformers saves them"));
}

TEST_F(BaseCatalogTest, AnAdapterBesideTheModelIsRefused) {
  std::ofstream(folder_->path() / "bases/tiny/adapter_config.json") << R"({"peft_type": "LORA"})";

  EXPECT_THAT(catalog_->Find("tiny").status().message(),
              HasSubstr("it holds PEFT's adapter_config.json"));
}

TEST_F(BaseCatalogTest, WeightsOfAWrappedModelAreNamed) {
  const auto bases = folder_->path() / "bases";
  std::filesystem::copy(bases / "tiny", bases / "wrapped");
  const auto bytes = ReadFile(bases / "tiny/model.safetensors", 1 << 20);
  ASSERT_TRUE(bytes.ok());
  const auto view = safetensors::View::Parse(*bytes, "model.safetensors");
  ASSERT_TRUE(view.ok());
  std::vector<safetensors::TensorToWrite> tensors;
  for (const safetensors::TensorView& tensor : view->tensors()) {
    tensors.push_back({"module." + std::string(tensor.name),
                       safetensors::DType::kF32,
                       {tensor.shape.begin(), tensor.shape.end()},
                       tensor.data});
  }
  ASSERT_TRUE(
      WriteFileDurably(bases / "wrapped/model.safetensors", *safetensors::Write(tensors)).ok());

  EXPECT_THAT(catalog_->Find("wrapped").status().message(),
              HasSubstr("they were saved from within another module"));
}

TEST_F(BaseCatalogTest, AFaultThatPassesKeepsItsCodeAndIsForgotten) {
  for (const Status& fault : {ResourceExhaustedError("too many open files"),
                              InternalError("input/output error"), UnavailableError("away")}) {
    fault_ = fault;
    const Status status = catalog_->Find("tiny").status();
    EXPECT_EQ(status.code(), fault.code());
    EXPECT_THAT(status.message(), HasSubstr(fault.message()));
    EXPECT_EQ(catalog_->Cached("tiny"), nullptr);
  }
  fault_ = OkStatus();

  EXPECT_TRUE(catalog_->Find("tiny").ok());
}

TEST_F(BaseCatalogTest, WithoutDescriptorsABaseCannotBeReadForNow) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const Status status = catalog_->Find("tiny").status();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);

  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  EXPECT_TRUE(catalog_->Find("tiny").ok());
}

TEST_F(BaseCatalogTest, AFolderMayBeCalledAsTheHubCallsIt) {
  MakeTinyBase(folder_->path() / "bases", "all-MiniLM-L6-v2");

  EXPECT_TRUE(catalog_->Find("all-MiniLM-L6-v2").ok());
  EXPECT_THAT(catalog_->Names(), ElementsAre("all-MiniLM-L6-v2", "tiny"));
}

TEST_F(BaseCatalogTest, AFolderWhoseNameNoBaseCanHaveIsTold) {
  MakeTinyBase(folder_->path() / "bases", "my base");

  const Status status = catalog_->Find("my base").status();

  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("holds \"my base\", but no base can be called so"));
  EXPECT_THAT(catalog_->Names(), ElementsAre("tiny"));
}

TEST_F(BaseCatalogTest, WeightsOfATypeThatIsNotReadAreNamed) {
  const auto path = folder_->path() / "bases" / "tiny" / "model.safetensors";
  auto bytes = ReadFile(path);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  for (size_t at = 0; (at = bytes->find("\"F32\"", at)) != std::string::npos;)
    bytes->replace(at, 5, "\"I32\"");
  ASSERT_TRUE(WriteFileDurably(path, *bytes).ok());

  const Status status = catalog_->Find("tiny").status();

  EXPECT_THAT(status.message(), HasSubstr("is I32; weights in F32, F16, BF16 and F64 are read"));
}

/// What only a worker that loads it could say else.
TEST_F(BaseCatalogTest, ALanguageModelsFilesThatDontBelongTogetherAreTold) {
  const auto bases = folder_->path() / "bases";
  const auto golden = std::filesystem::path(GRAFT_SOURCE_DIR) / "tests/golden/decoders/base-llama";
  const auto refusal = [&](const std::string& id, const char* file, const std::string& text) {
    std::filesystem::copy(golden, bases / id);
    if (file != nullptr) std::ofstream(bases / id / file) << text;
    return catalog_->Find(id).status().message();
  };
  Json config = Json::parse(*ReadFile(golden / "config.json"));
  Json shallow = config, endless = config;
  shallow["num_hidden_layers"] = 2;
  endless["eos_token_id"] = 80;

  EXPECT_EQ(refusal("whole", nullptr, ""), "");
  EXPECT_THAT(
      refusal("shallow", "config.json", shallow.dump()),
      HasSubstr("the base shallow can't be used: its weights hold the tensor model.layers.2."));
  EXPECT_THAT(refusal("fraction", "generation_config.json", R"({"do_sample": true, "top_k": 5.5})"),
              HasSubstr("the base fraction can't be used: generation_config.json: top_k must be a "
                        "whole number from 0 to 16777216; correct it, or take the file away"));
  std::filesystem::copy(golden, bases / "endless");
  std::filesystem::remove(bases / "endless/generation_config.json");
  std::ofstream(bases / "endless/config.json") << endless.dump();
  EXPECT_THAT(catalog_->Find("endless").status().message(),
              HasSubstr("the base endless can't be used: config.json: eos_token_id must be"));
}

TEST_F(BaseCatalogTest, UnknownNamesSayWhatThereIs) {
  for (const char* id : {"nonesuch", "../tiny", ""}) {
    const Status status = catalog_->Find(id).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound) << id;
    EXPECT_THAT(status.message(), HasSubstr("tiny")) << id;
  }
  EXPECT_EQ(catalog_->Cached("../tiny"), nullptr);
}

}  // namespace
}  // namespace graft::server::intake
