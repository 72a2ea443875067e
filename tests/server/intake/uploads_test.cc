#include "server/intake/uploads.h"

#include <gtest/gtest.h>

#include "common/base/json.h"
#include "common/objects/keys.h"
#include "common/objects/memory_object_store.h"

namespace graft::server::intake {
namespace {

class UploadsTest : public testing::Test {
 protected:
  /// As servers stored uploads that kept no time.
  void StoreOld(const std::string& file_name) {
    ASSERT_TRUE(store_.Put(objects::UploadDataKey("t", kHash), "text,label\n").ok());
    PutInfo(Json{{"file_name", file_name}, {"bytes", 11}}.dump());
  }
  void PutInfo(const std::string& text) {
    ASSERT_TRUE(store_.Put(objects::UploadInfoKey("t", kHash), text).ok());
  }
  TimeUs TimeOfData() { return store_.Stat(objects::UploadDataKey("t", kHash))->written; }

  const std::string kHash = std::string(64, 'a');
  objects::MemoryObjectStore store_;
};

TEST_F(UploadsTest, WhatIsKeptIsFound) {
  const TimeUs before = SystemClock().Now();
  const auto kept = KeepUploadName(store_, "t", kHash, "train.csv", 11);

  const auto found = FindUpload(store_, "t", kHash);

  ASSERT_TRUE(kept.ok() && found.ok());
  for (const Upload& upload : {*kept, *found}) {
    EXPECT_EQ(upload.sha256, kHash);
    EXPECT_EQ(upload.file_name, "train.csv");
    EXPECT_EQ(upload.bytes, 11);
    EXPECT_GE(upload.create_time, before);
    EXPECT_EQ(upload.create_time, kept->create_time);
  }
}

TEST_F(UploadsTest, NothingIsFoundOfBytesAloneOrOfAnotherTenant) {
  ASSERT_TRUE(store_.Put(objects::UploadDataKey("t", kHash), "text,label\n").ok());
  ASSERT_TRUE(KeepUploadName(store_, "other", kHash, "train.csv", 11).ok());

  EXPECT_EQ(FindUpload(store_, "t", kHash).status().code(), StatusCode::kNotFound);
}

TEST_F(UploadsTest, ANameThatTellsAFormatStaysAndOneThatTellsNoneGivesWay) {
  const auto notes = KeepUploadName(store_, "t", kHash, "notes.txt", 11);
  const auto csv = KeepUploadName(store_, "t", kHash, "train.csv", 11);
  const auto tsv = KeepUploadName(store_, "t", kHash, "train.tsv", 11);

  ASSERT_TRUE(notes.ok() && csv.ok() && tsv.ok());
  EXPECT_EQ(notes->file_name, "notes.txt");
  EXPECT_EQ(csv->file_name, "train.csv");
  EXPECT_EQ(tsv->file_name, "train.csv");
  EXPECT_EQ(csv->create_time, notes->create_time);
  EXPECT_EQ(tsv->create_time, notes->create_time);
}

TEST_F(UploadsTest, AnOlderServersUploadHasTheTimeOfItsBytesAlsoUnderABetterName) {
  StoreOld("notes.txt");
  const auto old = FindUpload(store_, "t", kHash);
  const auto renamed = KeepUploadName(store_, "t", kHash, "train.csv", 11);

  const auto found = FindUpload(store_, "t", kHash);

  ASSERT_TRUE(old.ok() && renamed.ok() && found.ok());
  EXPECT_EQ(old->create_time, TimeOfData());
  EXPECT_EQ(found->create_time, TimeOfData());
  EXPECT_EQ(found->file_name, "train.csv");
}

TEST_F(UploadsTest, ADamagedInfoLosesTheNameOnlyAndTheNextUploadMendsIt) {
  StoreOld("train.csv");
  for (const std::string& damaged :
       {std::string("{\"file_name\": \"tra"), std::string("[]"), std::string("{}"), std::string(),
        std::string("{\"file_name\": 1, \"bytes\": -1, \"create_time_us\": \"x\"}"),
        std::string(100'000, ' ')}) {
    PutInfo(damaged);

    const auto found = FindUpload(store_, "t", kHash);

    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->file_name, "");
    EXPECT_EQ(found->bytes, 11);
    EXPECT_EQ(found->create_time, TimeOfData());
  }
  ASSERT_TRUE(KeepUploadName(store_, "t", kHash, "train.csv", 11).ok());
  EXPECT_EQ(FindUpload(store_, "t", kHash)->file_name, "train.csv");
}

TEST_F(UploadsTest, AUriHasTheNameIfThereIsOne) {
  EXPECT_EQ(UploadUri(kHash, "train.csv"), "graft://datasets/" + kHash + "/train.csv");
  EXPECT_EQ(UploadUri(kHash, ""), "graft://datasets/" + kHash);
}

}  // namespace
}  // namespace graft::server::intake
