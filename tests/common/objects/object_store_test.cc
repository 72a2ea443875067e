#include "common/objects/object_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "common/base/sha256.h"
#include "tests/common/objects/stores.h"

namespace graft::objects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ObjectStoreTest : public ConformanceTest {};
INSTANTIATE_TEST_SUITE_P(, ObjectStoreTest, testing::ValuesIn(kStoreKinds), StoreName);

TEST_P(ObjectStoreTest, GivesBackWhatWasPut) {
  const std::string bytes("\0\xff\n\r binary", 11);
  Put("tenants/default/datasets/abc", bytes);
  Put("empty", "");

  EXPECT_EQ(Get("tenants/default/datasets/abc"), bytes);
  EXPECT_EQ(Get("empty"), "");
}

TEST_P(ObjectStoreTest, PutReplacesTheWholeObject) {
  Put("a", "a long first version");
  Put("a", "short");

  EXPECT_EQ(Get("a"), "short");
  EXPECT_THAT(List(), ElementsAre("a"));
}

TEST_P(ObjectStoreTest, StatTellsSizeAndWhenItWasLastPut) {
  // File systems keep time by a clock that may be a few ticks behind.
  constexpr TimeUs kTick = 100'000;
  const TimeUs before = SystemClock().Now() - kTick;
  Put("a", "first");
  Put("a", "second");

  const auto info = store().Stat("a");

  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->bytes, 6U);
  EXPECT_GE(info->written, before);
  EXPECT_LE(info->written, SystemClock().Now());
}

TEST_P(ObjectStoreTest, AnAbsentKeyIsNotFoundAndNamed) {
  Put("a/b", "1");
  for (const char* key : {"b", "a/c", "a/b/c", "x/y/z"}) {
    const Status got = store().Get(key).status();
    EXPECT_EQ(got.code(), StatusCode::kNotFound) << key;
    EXPECT_EQ(got.message(), std::string("there is no object ") + key);
    EXPECT_EQ(store().Stat(key).status(), got);
    EXPECT_EQ(store().ReadRange(key, 0, 1).status(), got);
  }
}

TEST_P(ObjectStoreTest, AFolderIsNoObject) {
  Put("a/b", "1");

  EXPECT_EQ(Get("a"), "NOT_FOUND");
  EXPECT_EQ(store().Stat("a").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store().ReadRange("a", 0, 1).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(store().Delete("a").ok());
  EXPECT_EQ(Get("a/b"), "1");
}

TEST_P(ObjectStoreTest, NoKeyIsAnothersFolder) {
  Put("a/b", "1");
  const auto writer = Open("a");
  ASSERT_TRUE(writer->Write("2").ok());

  EXPECT_EQ(store().Put("a", "2").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(writer->Commit().code(), StatusCode::kFailedPrecondition);
  for (const char* below : {"a/b/c", "a/b/c/d"}) {
    EXPECT_EQ(store().Put(below, "2").code(), StatusCode::kFailedPrecondition) << below;
    EXPECT_EQ(writer->CommitAs(below).code(), StatusCode::kFailedPrecondition) << below;
  }
  EXPECT_EQ(Get("a/b"), "1");
  EXPECT_THAT(List(), ElementsAre("a/b"));
}

TEST_P(ObjectStoreTest, WhatWasAFolderCanBecomeAnObject) {
  Put("a/b/c", "1");
  ASSERT_TRUE(store().Delete("a/b/c").ok());

  Put("a", "2");

  EXPECT_EQ(Get("a"), "2");
}

TEST_P(ObjectStoreTest, DeleteTakesOneObjectAndIsFineWithNone) {
  Put("a/b", "1");
  Put("a/bc", "2");

  EXPECT_TRUE(store().Delete("a/b").ok());
  EXPECT_TRUE(store().Delete("a/b").ok());
  EXPECT_TRUE(store().Delete("never/was").ok());
  EXPECT_TRUE(store().Delete("a/bc/d").ok());

  EXPECT_EQ(Get("a/b"), "NOT_FOUND");
  EXPECT_EQ(Get("a/bc"), "2");
}

TEST_P(ObjectStoreTest, RefusesKeysThatEscapeOrCollide) {
  const std::vector<std::string> bad = {"",
                                        "/",
                                        "/etc/passwd",
                                        "a/",
                                        "a//b",
                                        ".",
                                        "..",
                                        "../a",
                                        "a/../b",
                                        "a/./b",
                                        "a/..",
                                        "a\\b",
                                        "a\nb",
                                        "a\x7f",
                                        "\xc3\xa9",
                                        std::string("a\0b", 3),
                                        ".tmp",
                                        ".tmp/1.1",
                                        "a/.tmp/b",
                                        "a.tmp.1.1",
                                        "a.tmp./b",
                                        std::string(201, 'x')};
  for (const std::string& key : bad) {
    const Status put = store().Put(key, "1");
    EXPECT_EQ(put.code(), StatusCode::kInvalidArgument) << key;
    EXPECT_THAT(put.message(), HasSubstr("is no object key"));
    EXPECT_EQ(store().Get(key).status(), put) << key;
    EXPECT_EQ(store().ReadRange(key, 0, 1).status(), put) << key;
    EXPECT_EQ(store().Stat(key).status(), put) << key;
    EXPECT_EQ(store().Delete(key), put) << key;
    EXPECT_EQ(store().OpenWriter(key).status(), put) << key;
    EXPECT_EQ(Open("good")->CommitAs(key), put) << key;
  }
  EXPECT_THAT(List(), IsEmpty());
}

TEST_P(ObjectStoreTest, TakesKeysUpToTheirLimits) {
  const std::string segment(200, 'x');
  const std::string longest = segment + "/" + segment + "/" + segment + "/" + segment + "/" +
                              segment + "/" + std::string(19, 'y');
  ASSERT_EQ(longest.size(), 1024u);
  const std::vector<std::string> good = {longest, "a.b/..c/...", " a b ", "~!@#$%^&*()[]{}<>|;'\"?",
                                         "a.tmp", ".tmpx"};
  for (const std::string& key : good) {
    Put(key, key);
    EXPECT_EQ(Get(key), key);
  }
  EXPECT_EQ(List().size(), good.size());
  EXPECT_EQ(store().Put(longest + "y", "1").code(), StatusCode::kInvalidArgument);
}

TEST_P(ObjectStoreTest, GetRefusesMoreThanItsLimit) {
  Put("a", "12345");

  const Status refused = store().Get("a", 4).status();

  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.message(), "the object a has 5 bytes, the limit is 4");
  EXPECT_TRUE(store().Get("a", 5).ok());
}

TEST_P(ObjectStoreTest, ReadsRanges) {
  Put("a", "0123456789");
  const auto range = [&](uint64_t offset, uint64_t length) {
    const auto bytes = store().ReadRange("a", offset, length);
    return bytes.ok() ? *bytes : bytes.status().ToString();
  };

  EXPECT_EQ(range(0, 10), "0123456789");
  EXPECT_EQ(range(2, 3), "234");
  EXPECT_EQ(range(8, 5), "89");
  EXPECT_EQ(range(9, 1), "9");
  EXPECT_EQ(range(3, 0), "");
  EXPECT_EQ(range(10, 1), "");
  EXPECT_EQ(range(11, 1), "");
  EXPECT_EQ(range(UINT64_MAX, 1), "");
  EXPECT_EQ(range(5, UINT64_MAX), "56789");
  EXPECT_EQ(range(UINT64_MAX, UINT64_MAX), "");
}

TEST_P(ObjectStoreTest, ReadsALargeObjectInOneRange) {
  // More than the 64 MiB that one read once was cut to.
  std::string bytes((size_t{65} << 20) + 7, 'a');
  bytes.back() = 'z';
  const auto writer = Open("large");
  for (size_t at = 0; at < bytes.size(); at += size_t{1} << 20) {
    ASSERT_TRUE(writer->Write(std::string_view(bytes).substr(at, size_t{1} << 20)).ok());
  }
  ASSERT_TRUE(writer->Commit().ok());

  const auto range = store().ReadRange("large", 0, bytes.size());
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_TRUE(*range == bytes);
  const auto whole = store().Get("large");
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_TRUE(*whole == bytes);
  EXPECT_EQ(store().Stat("large")->bytes, bytes.size());
}

TEST_P(ObjectStoreTest, StatTellsTheSize) {
  Put("a", "12345");
  Put("b", "");

  EXPECT_EQ(store().Stat("a")->bytes, 5u);
  EXPECT_EQ(store().Stat("b")->bytes, 0u);
}

TEST_P(ObjectStoreTest, AWritersObjectAppearsAtItsCommit) {
  const auto writer = Open("a/b");
  ASSERT_TRUE(writer->Write("one ").ok());
  ASSERT_TRUE(writer->Write("").ok());
  ASSERT_TRUE(writer->Write("two").ok());
  EXPECT_EQ(Get("a/b"), "NOT_FOUND");
  EXPECT_THAT(List(), IsEmpty());

  ASSERT_TRUE(writer->Commit().ok());

  EXPECT_EQ(Get("a/b"), "one two");
  EXPECT_THAT(List(), ElementsAre("a/b"));
}

TEST_P(ObjectStoreTest, AWriterCanCommitUnderAnotherName) {
  const auto writer = Open("a");
  ASSERT_TRUE(writer->Write("1").ok());

  ASSERT_TRUE(writer->CommitAs("by-hash/f00").ok());

  EXPECT_THAT(List(), ElementsAre("by-hash/f00"));
  EXPECT_EQ(Get("by-hash/f00"), "1");
}

TEST_P(ObjectStoreTest, AWriterThatGoesAwayLeavesNoTrace) {
  Put("a", "old");
  const auto read_meanwhile = [&] {
    const auto writer = Open("a");
    EXPECT_TRUE(writer->Write("new").ok());
    return Get("a");
  };

  EXPECT_EQ(read_meanwhile(), "old");
  EXPECT_EQ(Get("a"), "old");
  EXPECT_THAT(List(), ElementsAre("a"));
}

TEST_P(ObjectStoreTest, AWriterReplacesAndWritersDontMix) {
  Put("a", "old");
  const auto first = Open("a");
  const auto second = Open("a");
  ASSERT_TRUE(first->Write("fir").ok());
  ASSERT_TRUE(second->Write("second").ok());
  ASSERT_TRUE(first->Write("st").ok());

  ASSERT_TRUE(second->Commit().ok());
  EXPECT_EQ(Get("a"), "second");
  ASSERT_TRUE(first->Commit().ok());
  EXPECT_EQ(Get("a"), "first");
}

TEST_P(ObjectStoreTest, GetVerifiedTellsDamage) {
  const std::string hash = Sha256Hex("bytes");
  Put(hash, "bytes");
  EXPECT_EQ(*GetVerified(store(), hash, hash), "bytes");

  Put(hash, "bites");

  const Status damaged = GetVerified(store(), hash, hash).status();
  EXPECT_EQ(damaged.code(), StatusCode::kDataLoss);
  EXPECT_THAT(damaged.message(), HasSubstr(hash));
  EXPECT_EQ(GetVerified(store(), "absent", hash).status().code(), StatusCode::kNotFound);
}

TEST_P(ObjectStoreTest, PutsAndDeletesOfNeighboursDontDisturbEachOther) {
  const auto churn = [&](const std::string& key) {
    Status first_failure;
    for (int i = 0; i < 60 && first_failure.ok(); ++i) {
      first_failure = store().Put(key, key);
      if (first_failure.ok()) {
        const auto bytes = store().Get(key);
        first_failure = bytes.ok() && *bytes == key ? store().Delete(key) : bytes.status();
      }
    }
    return first_failure;
  };
  Status other;
  std::thread thread([&] { other = churn("deep/folder/a"); });
  const Status mine = churn("deep/folder/b");
  thread.join();

  EXPECT_TRUE(mine.ok()) << mine;
  EXPECT_TRUE(other.ok()) << other;
  EXPECT_THAT(List(), IsEmpty());
}

TEST_P(ObjectStoreTest, CommitsAndDeletesOfNeighboursDontDisturbEachOther) {
  const auto churn = [&](const std::string& key) {
    Status first_failure;
    for (int i = 0; i < 60 && first_failure.ok(); ++i) {
      const auto writer = Open(key);
      first_failure = writer->Write(key);
      if (first_failure.ok()) first_failure = writer->Commit();
      if (first_failure.ok()) first_failure = store().Delete(key);
    }
    return first_failure;
  };
  Status other;
  std::thread thread([&] { other = churn("deep/folder/a"); });
  const Status mine = churn("deep/folder/b");
  thread.join();

  EXPECT_TRUE(mine.ok()) << mine;
  EXPECT_TRUE(other.ok()) << other;
  EXPECT_THAT(List(), IsEmpty());
}

TEST_P(ObjectStoreTest, AReaderSeesOneVersionOrTheOther) {
  const std::string old_bytes(100'000, 'o');
  const std::string new_bytes(200'000, 'n');
  Put("a", old_bytes);
  std::thread thread([&] {
    for (int i = 0; i < 50; ++i) Put("a", i % 2 == 0 ? new_bytes : old_bytes);
  });
  int torn = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string bytes = Get("a");
    if (bytes != old_bytes && bytes != new_bytes) ++torn;
  }
  thread.join();

  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace graft::objects
