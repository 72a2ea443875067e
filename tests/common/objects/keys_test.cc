#include "common/objects/keys.h"

#include <gtest/gtest.h>

#include "common/base/sha256.h"
#include "common/objects/object_store.h"

namespace graft::objects {
namespace {

// Written out: stores hold objects under these names.
TEST(KeysTest, AreWhatStoresHold) {
  const std::string hash = Sha256Hex("");
  EXPECT_EQ(DatasetKey("default", hash), "tenants/default/datasets/" + hash);
  EXPECT_EQ(UploadDataKey("default", hash), "tenants/default/uploads/" + hash + "/data");
  EXPECT_EQ(UploadInfoKey("default", hash), "tenants/default/uploads/" + hash + "/info.json");
  EXPECT_EQ(CheckpointKey("t", "j", 7, 100), "tenants/t/attempts/j/7/checkpoints/100");
  EXPECT_EQ(ArtifactPrefix("t", "j", 7), "tenants/t/attempts/j/7/artifact/");
  EXPECT_EQ(ImportPrefix("t", "i"), "tenants/t/imports/i/artifact/");
}

TEST(KeysTest, LieBelowTheirTenantsAndJobs) {
  for (const std::string& key :
       {DatasetKey("t", "h"), UploadDataKey("t", "h"), UploadInfoKey("t", "h"),
        CheckpointKey("t", "j", 7, 100), ArtifactPrefix("t", "j", 7) + "graft.json",
        ImportPrefix("t", "i") + "graft.json"}) {
    EXPECT_TRUE(key.starts_with(TenantPrefix("t"))) << key;
    EXPECT_TRUE(CheckKey(key).ok()) << key;
  }
  EXPECT_TRUE(CheckpointKey("t", "j", 7, 1).starts_with(AttemptPrefix("t", "j", 7)));
  EXPECT_TRUE(AttemptPrefix("t", "j", 7).starts_with(JobPrefix("t", "j")));
  EXPECT_FALSE(AttemptPrefix("t", "j", 70).starts_with(AttemptPrefix("t", "j", 7)));
}

}  // namespace
}  // namespace graft::objects
