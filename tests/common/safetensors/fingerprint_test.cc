#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/json.h"
#include "common/base/sha256.h"
#include "common/safetensors/checkpoint.h"
#include "tests/common/safetensors/build.h"

namespace graft::safetensors {
namespace {

namespace fs = std::filesystem;

class FingerprintTest : public testing::Test {
 protected:
  /// The fingerprint of a single file.
  std::string Of(const std::vector<TensorToWrite>& tensors, const std::string& config = "{}",
                 const fs::path& cache = {}) {
    Put(base() / "model.safetensors", MustWrite(tensors));
    return OfFolder(base(), config, cache);
  }
  std::string OfFolder(const fs::path& folder, const std::string& config, const fs::path& cache) {
    const auto checkpoint = Checkpoint::Open(folder);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    if (!checkpoint.ok()) return {};
    const auto fingerprint = Fingerprint(**checkpoint, config, cache);
    EXPECT_TRUE(fingerprint.ok()) << fingerprint.status();
    return fingerprint.ok() ? *fingerprint : std::string();
  }
  fs::path base() const { return folder_.path() / "base"; }
  fs::path cache() const { return folder_.path() / "cache"; }
  fs::path folder() const { return folder_.path(); }

 private:
  TempFolder folder_ = MustMakeFolder();
};

TEST_F(FingerprintTest, IsWrittenDownHere) {
  // Bases in stores are named so: a change of this value orphans every adapter.
  EXPECT_EQ(Of({Bytes("a", "1111"), Bytes("b", "22")}, "{\"layers\":1}"),
            Sha256Hex("[\"a\",\"U8\",[4],\"" + Sha256Hex("1111") + "\"]\n[\"b\",\"U8\",[2],\"" +
                      Sha256Hex("22") + "\"]\n{\"layers\":1}"));
}

TEST_F(FingerprintTest, ReshardingKeepsIt) {
  const std::string single = Of({Bytes("a", "1111"), Bytes("b", "22"), Bytes("c", "33")});
  const fs::path sharded = folder() / "sharded";
  Put(sharded / "x.safetensors", MustWrite({Bytes("c", "33"), Bytes("a", "1111")}));
  Put(sharded / "y.safetensors", MustWrite({Bytes("b", "22")}));
  const Json map = {{"a", "x.safetensors"}, {"b", "y.safetensors"}, {"c", "x.safetensors"}};
  Put(sharded / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());

  EXPECT_EQ(OfFolder(sharded, "{}", {}), single);
}

TEST_F(FingerprintTest, OldNamesKeepIt) {
  EXPECT_EQ(Of({Bytes("x.LayerNorm.gamma", "1")}), Of({Bytes("x.LayerNorm.weight", "1")}));
}

TEST_F(FingerprintTest, ChangesWithAllThatATensorIs) {
  const std::string original = Of({Bytes("a", "1111"), Bytes("b", "22")});

  EXPECT_NE(Of({Bytes("a", "1112"), Bytes("b", "22")}), original);
  EXPECT_NE(Of({Bytes("c", "1111"), Bytes("b", "22")}), original);
  EXPECT_NE(Of({Bytes("a", "1111")}), original);
  EXPECT_NE(Of({Bytes("a", "1111"), Bytes("b", "22"), Bytes("c", "")}), original);
  EXPECT_NE(Of({{"a", DType::kI8, {4}, "1111"}, Bytes("b", "22")}), original);
  EXPECT_NE(Of({{"a", DType::kU8, {2, 2}, "1111"}, Bytes("b", "22")}), original);
  EXPECT_NE(Of({Bytes("a", "22"), Bytes("b", "1111")}), original);
  EXPECT_EQ(Of({Bytes("b", "22"), Bytes("a", "1111")}), original);
}

TEST_F(FingerprintTest, ChangesWithTheConfig) {
  EXPECT_NE(Of({Bytes("a", "1")}, "{\"norm_eps\":1e-12}"),
            Of({Bytes("a", "1")}, "{\"norm_eps\":1e-5}"));
}

TEST_F(FingerprintTest, IsReadFromTheCache) {
  const std::string computed = Of({Bytes("a", "1")}, "{}", cache());
  std::vector<fs::path> entries(fs::directory_iterator(cache()), fs::directory_iterator{});
  ASSERT_EQ(entries.size(), 1u);
  const std::string planted(64, 'a');
  Put(entries[0], planted);

  EXPECT_EQ(OfFolder(base(), "{}", cache()), planted);
  EXPECT_EQ(OfFolder(base(), "{}", {}), computed);
  EXPECT_NE(OfFolder(base(), "{\"x\":1}", cache()), planted);
}

TEST_F(FingerprintTest, TheCacheDoesntOutliveTheFile) {
  const std::string before = Of({Bytes("a", "1")}, "{}", cache());

  const std::string after = Of({Bytes("a", "2")}, "{}", cache());

  EXPECT_NE(after, before);
  EXPECT_EQ(after, OfFolder(base(), "{}", {}));
}

TEST_F(FingerprintTest, ACacheEntryThatIsNoHashIsPassedOver) {
  const std::string computed = Of({Bytes("a", "1")}, "{}", cache());
  for (const auto& entry : fs::directory_iterator(cache())) Put(entry.path(), "torn");

  EXPECT_EQ(OfFolder(base(), "{}", cache()), computed);
}

TEST_F(FingerprintTest, ACacheThatCantBeWrittenIsPassedOver) {
  Put(folder() / "file", "");

  EXPECT_EQ(Of({Bytes("a", "1")}, "{}", folder() / "file" / "cache"), Of({Bytes("a", "1")}));
}

TEST_F(FingerprintTest, AFolderWhoseNameIsNoUtf8CanBeCached) {
  const fs::path odd = folder() / "b\xe4se";
  Put(odd / "model.safetensors", MustWrite({Bytes("a", "1")}));

  EXPECT_EQ(OfFolder(odd, "{}", cache()), Of({Bytes("a", "1")}));
}

}  // namespace
}  // namespace graft::safetensors
