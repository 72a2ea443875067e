#include "common/safetensors/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/json.h"
#include "tests/common/safetensors/build.h"

namespace graft::safetensors {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

class CheckpointTest : public testing::Test {
 protected:
  void PutIndex(const Json& weight_map) {
    Put(folder() / kIndex,
        Json{{"metadata", {{"total_size", 8}}}, {"weight_map", weight_map}}.dump());
  }
  void PutShards() {
    Put(folder() / kFirst, MustWrite({Bytes("a", "1111"), Bytes("b", "22")}));
    Put(folder() / kSecond, MustWrite({Bytes("c", "33")}));
  }
  Status Refusal() { return Checkpoint::Open(folder()).status(); }
  void ExpectRefused(StatusCode code, const std::string& part) {
    const Status status = Refusal();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(status.message(), AllOf(HasSubstr(folder().string()), HasSubstr(part)));
  }
  std::filesystem::path folder() const { return folder_.path() / "base"; }
  std::filesystem::path outside() const { return folder_.path(); }

 private:
  TempFolder folder_ = MustMakeFolder();
};

TEST_F(CheckpointTest, ReadsASingleFile) {
  Put(folder() / "model.safetensors", MustWrite({Bytes("b", "22"), Bytes("a", "1111")}));

  const auto checkpoint = Checkpoint::Open(folder());

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_THAT((*checkpoint)->names(), ElementsAre("a", "b"));
  EXPECT_EQ(*(*checkpoint)->Read("b"), "22");
  EXPECT_EQ((*checkpoint)->Find("c"), nullptr);
  EXPECT_THAT((*checkpoint)->files(), SizeIs(1));
}

TEST_F(CheckpointTest, ReadsShardsAsOne) {
  PutShards();
  PutIndex({{"a", kFirst}, {"b", kFirst}, {"c", kSecond}});

  const auto checkpoint = Checkpoint::Open(folder());

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_THAT((*checkpoint)->names(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(*(*checkpoint)->Read("a"), "1111");
  EXPECT_EQ(*(*checkpoint)->Read("c"), "33");
  EXPECT_THAT((*checkpoint)->files(), SizeIs(2));
}

TEST_F(CheckpointTest, ASingleFileWinsOverAnIndex) {
  Put(folder() / "model.safetensors", MustWrite({Bytes("a", "single")}));
  PutShards();
  PutIndex({{"a", kFirst}});

  const auto checkpoint = Checkpoint::Open(folder());

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(*(*checkpoint)->Read("a"), "single");
}

TEST_F(CheckpointTest, GivesOldNormNamesTheirNewOnesAndOthersTheirOwn) {
  PutIndex({{"x.LayerNorm.gamma", kFirst}, {"x.LayerNorm.beta", kFirst}, {"scale.gamma", kFirst}});
  Put(folder() / kFirst, MustWrite({Bytes("x.LayerNorm.gamma", "g"), Bytes("x.LayerNorm.beta", "b"),
                                    Bytes("scale.gamma", "s")}));

  const auto checkpoint = Checkpoint::Open(folder());

  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_THAT((*checkpoint)->names(),
              ElementsAre("scale.gamma", "x.LayerNorm.bias", "x.LayerNorm.weight"));
  EXPECT_EQ(*(*checkpoint)->Read("x.LayerNorm.weight"), "g");
  EXPECT_EQ(*(*checkpoint)->Read("x.LayerNorm.bias"), "b");
}

TEST_F(CheckpointTest, AnOldNameBesideItsNewOneIsRefused) {
  Put(folder() / "model.safetensors",
      MustWrite({Bytes("x.LayerNorm.gamma", "g"), Bytes("x.LayerNorm.weight", "w")}));

  ExpectRefused(StatusCode::kInvalidArgument, "stands twice");
}

TEST_F(CheckpointTest, AFolderWithoutWeightsIsNotFound) {
  ExpectRefused(StatusCode::kNotFound, "no model.safetensors");
  Put(folder() / "config.json", "{}");
  ExpectRefused(StatusCode::kNotFound, "no model.safetensors");
}

TEST_F(CheckpointTest, AFolderOfPicklesSaysWhatToDo) {
  Put(folder() / "pytorch_model.bin", "\x80\x02x");

  ExpectRefused(StatusCode::kInvalidArgument, "safe_serialization=True");
}

TEST_F(CheckpointTest, AnIndexThatPointsOutsideTheFolderIsRefused) {
  // All of these would be found if they were followed.
  const std::string file = MustWrite({Bytes("a", "1")});
  Put(outside() / "evil.safetensors", file);
  Put(folder() / "sub" / "evil.safetensors", file);
  for (const std::string& shard :
       {std::string("../evil.safetensors"), (outside() / "evil.safetensors").string(),
        std::string("sub/evil.safetensors"), std::string("..\\evil.safetensors"),
        std::string("sub/../../evil.safetensors"), std::string("..")}) {
    PutIndex({{"a", shard}});

    ExpectRefused(StatusCode::kInvalidArgument, "is no shard's file name");
  }
}

TEST_F(CheckpointTest, AShardThatIsNoSafetensorsNameIsRefused) {
  Put(folder() / "weights.bin", MustWrite({Bytes("a", "1")}));
  for (const std::string& shard :
       {std::string("weights.bin"), std::string(), std::string("weights.bin\0.safetensors", 24)}) {
    PutIndex({{"a", shard}});
    ExpectRefused(StatusCode::kInvalidArgument, "is no shard's file name");
  }
}

TEST_F(CheckpointTest, AMissingShardIsNamed) {
  PutShards();
  PutIndex({{"a", kFirst}, {"c", kSecond}});
  std::filesystem::remove(folder() / kSecond);

  ExpectRefused(StatusCode::kNotFound, std::string("names the shard ") + kSecond);
}

TEST_F(CheckpointTest, ATensorThatIsntInItsShardIsRefused) {
  PutShards();
  for (const Json& map : {Json{{"a", kFirst}, {"c", kSecond}, {"d", kSecond}},
                          Json{{"a", kSecond}, {"c", kSecond}, {"b", kFirst}},
                          Json{{"a", kFirst}, {"c", kFirst}, {"b", kSecond}}}) {
    PutIndex(map);
    ExpectRefused(StatusCode::kInvalidArgument, "isn't in the shard");
  }
}

TEST_F(CheckpointTest, ATensorInTwoShardsIsRefused) {
  Put(folder() / kFirst, MustWrite({Bytes("a", "1"), Bytes("b", "2")}));
  Put(folder() / kSecond, MustWrite({Bytes("a", "3"), Bytes("c", "2")}));
  PutIndex({{"a", kFirst}, {"b", kFirst}, {"c", kSecond}});

  ExpectRefused(StatusCode::kInvalidArgument, "the tensor a stands twice");
}

TEST_F(CheckpointTest, ACorruptShardIsNamed) {
  PutShards();
  PutIndex({{"a", kFirst}, {"c", kSecond}});
  const auto size = std::filesystem::file_size(folder() / kSecond);
  std::filesystem::resize_file(folder() / kSecond, size - 1);

  ExpectRefused(StatusCode::kDataLoss, kSecond);
}

TEST_F(CheckpointTest, AMalformedIndexIsRefused) {
  PutShards();
  for (const char* text : {"", "{", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":null}"}) {
    Put(folder() / kIndex, text);
    const Status status = Refusal();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text << ": " << status;
    EXPECT_THAT(status.message(), HasSubstr(kIndex)) << text;
  }
  PutIndex({{"a", 7}});
  ExpectRefused(StatusCode::kInvalidArgument, "isn't a name");
  PutIndex(Json::object());
  ExpectRefused(StatusCode::kNotFound, "names no shard");
}

}  // namespace
}  // namespace graft::safetensors
