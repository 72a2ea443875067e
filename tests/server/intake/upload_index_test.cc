#include "server/intake/upload_index.h"

#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/json.h"
#include "common/objects/keys.h"
#include "common/objects/memory_object_store.h"

namespace graft::server::intake {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Counts what is asked of it.
class CountingStore : public objects::MemoryObjectStore {
 public:
  StatusOr<std::string> Get(const std::string& key, uint64_t max_bytes) override {
    ++gets;
    return MemoryObjectStore::Get(key, max_bytes);
  }
  StatusOr<Info> Stat(const std::string& key) override {
    ++stats;
    return MemoryObjectStore::Stat(key);
  }
  StatusOr<std::vector<std::string>> List(const std::string& prefix, const std::string& after,
                                          size_t limit) override {
    ++lists;
    return MemoryObjectStore::List(prefix, after, limit);
  }
  int gets = 0, stats = 0, lists = 0;
};

/// The hash of the upload of this number.
std::string Hash(int number) { return fmt::format("{:064x}", number); }

class UploadIndexTest : public testing::Test {
 protected:
  void Store(int number, TimeUs time, const std::string& tenant = "t") {
    ASSERT_TRUE(store_.Put(objects::UploadDataKey(tenant, Hash(number)), "x").ok());
    const Json info{{"file_name", "a.csv"}, {"bytes", 1}, {"create_time_us", time}};
    ASSERT_TRUE(store_.Put(objects::UploadInfoKey(tenant, Hash(number)), info.dump()).ok());
  }
  void Remove(int number) {
    ASSERT_TRUE(store_.Delete(objects::UploadInfoKey("t", Hash(number))).ok());
    ASSERT_TRUE(store_.Delete(objects::UploadDataKey("t", Hash(number))).ok());
  }
  /// A whole look; returns how many parts it took.
  int Look(UploadIndex& index, const std::string& tenant = "t") {
    UploadIndex::Look look(tenant);
    for (int parts = 1;; ++parts) {
      const auto done = index.GoOn(look);
      EXPECT_TRUE(done.ok()) << done.status();
      if (!done.ok() || *done) return parts;
    }
  }
  std::vector<std::string> Page(UploadIndex& index, std::optional<UploadIndex::Place>& after,
                                size_t page_size) {
    const auto page = index.ReadPage("t", *index.Last("t"), after, page_size);
    EXPECT_TRUE(page.ok()) << page.status();
    std::vector<std::string> hashes;
    for (const Upload& upload : page->uploads) hashes.push_back(upload.sha256);
    after = page->last;
    return hashes;
  }
  std::vector<std::string> All(UploadIndex& index) {
    std::optional<UploadIndex::Place> after;
    return Page(index, after, 1000);
  }

  CountingStore store_;
  UploadIndex index_{store_};
};

TEST_F(UploadIndexTest, NewestComeFirstAndEqualTimesByHash) {
  Store(1, 100);
  Store(2, 300);
  Store(4, 200);
  Store(3, 200);

  EXPECT_EQ(index_.Last("t"), nullptr);
  Look(index_);

  EXPECT_THAT(All(index_), ElementsAre(Hash(2), Hash(3), Hash(4), Hash(1)));
}

TEST_F(UploadIndexTest, EachInfoIsReadOnceByLooksAndThoseOfAPageByThePage) {
  for (int i = 0; i < 10; ++i) Store(i, 100 + i);
  Look(index_);
  EXPECT_EQ(store_.gets, 10);
  Look(index_);
  Store(10, 200);
  Look(index_);
  EXPECT_EQ(store_.gets, 11) << "only the new one";
  EXPECT_EQ(store_.lists, 3);
  std::optional<UploadIndex::Place> after;

  Page(index_, after, 3);
  Page(index_, after, 3);

  EXPECT_EQ(store_.gets, 11 + 6);
  EXPECT_EQ(store_.lists, 3);
  EXPECT_EQ(store_.stats, 0);
}

TEST_F(UploadIndexTest, ALookIsDoneInPartsAndWhatAGivenUpOneReadStaysKnown) {
  for (int i = 0; i < 2500; ++i) Store(i, 100 + i);
  UploadIndex::Look given_up("t");
  ASSERT_FALSE(*index_.GoOn(given_up));
  ASSERT_EQ(store_.gets, 1000);

  EXPECT_EQ(Look(index_), 2);

  EXPECT_EQ(store_.gets, 2500);
  EXPECT_EQ(index_.Last("t")->size(), 2500U);
}

TEST_F(UploadIndexTest, NoUploadThatStaysIsMissedOrTwiceWhateverComesAndGoes) {
  for (int i = 0; i < 20; ++i) Store(i, 1000 + i / 3);  // Some of the same moment.
  UploadIndex other(store_);                            // Of another server.
  std::multiset<std::string> seen;
  std::optional<UploadIndex::Place> after;
  Look(index_);
  int pages = 0;
  do {
    UploadIndex& server = ++pages % 2 == 0 ? other : index_;
    if (pages % 2 == 0) Look(other);
    for (const std::string& hash : Page(server, after, 3)) seen.insert(hash);
    Remove(pages);  // One from the old end, which a later page would have had.
    Store(100 + pages, 2000 + pages);
    if (pages % 3 == 0) Look(index_);
  } while (after);

  for (int i = 0; i < 20; ++i) {
    const bool stays = i == 0 || i > pages;
    EXPECT_GE(seen.count(Hash(i)), stays ? 1U : 0U) << i;
    EXPECT_LE(seen.count(Hash(i)), 1U) << i;
  }
}

TEST_F(UploadIndexTest, WhatIsGoneSinceTheLookIsNoPartOfAPage) {
  for (int i = 0; i < 5; ++i) Store(i, 100 + i);
  Look(index_);
  Remove(3);
  Remove(0);
  std::optional<UploadIndex::Place> after;

  EXPECT_THAT(Page(index_, after, 2), ElementsAre(Hash(4), Hash(2))) << "a page is filled up";
  ASSERT_TRUE(after);
  EXPECT_THAT(Page(index_, after, 2), ElementsAre(Hash(1)));
  EXPECT_FALSE(after);
}

TEST_F(UploadIndexTest, WhatIsNoWholeUploadIsNone) {
  ASSERT_TRUE(store_.Put(objects::UploadDataKey("t", Hash(1)), "x").ok());  // Without info.json.
  ASSERT_TRUE(store_.Put("tenants/t/uploads/odd/info.json", "{}").ok());
  ASSERT_TRUE(store_.Put("tenants/t/uploads/stray", "{}").ok());
  ASSERT_TRUE(store_.Put(objects::UploadPrefix("t", Hash(2)) + "more/info.json", "{}").ok());
  Store(3, 100, "other");

  Look(index_);

  EXPECT_THAT(All(index_), IsEmpty());
  EXPECT_EQ(index_.Last("other"), nullptr);
}

TEST_F(UploadIndexTest, UploadsWithoutATimeStandWhereTheirBytesCame) {
  Store(1, 100);
  ASSERT_TRUE(store_.Put(objects::UploadDataKey("t", Hash(2)), "x").ok());
  ASSERT_TRUE(store_.Put(objects::UploadInfoKey("t", Hash(2)), R"({"file_name": "a.csv"})").ok());
  Store(3, SystemClock().Now() + 3'600'000'000);

  Look(index_);
  Look(index_);

  EXPECT_THAT(All(index_), ElementsAre(Hash(3), Hash(2), Hash(1)));
}

TEST_F(UploadIndexTest, AnUploadThatCameAnewStandsAnew) {
  Store(1, 100);
  Store(2, 200);
  Look(index_);
  Remove(1);
  Store(1, 300);  // As another server does it.

  Look(index_);
  EXPECT_THAT(All(index_), ElementsAre(Hash(2), Hash(1))) << "once where it stood";
  Look(index_);
  EXPECT_THAT(All(index_), ElementsAre(Hash(1), Hash(2)));

  Remove(2);
  Store(2, 400);
  index_.Note("t", *FindUpload(store_, "t", Hash(2)));  // As this server does it.
  Look(index_);
  EXPECT_THAT(All(index_), ElementsAre(Hash(2), Hash(1)));
}

TEST_F(UploadIndexTest, AnEarlierLookDoesNotReplaceALaterOne) {
  for (int i = 0; i < 1001; ++i) Store(i, 100 + i);
  UploadIndex::Look early("t");
  ASSERT_FALSE(*index_.GoOn(early));
  Store(2000, 5000);
  Look(index_);

  ASSERT_TRUE(*index_.GoOn(early));

  EXPECT_EQ(index_.Last("t")->size(), 1002U);
}

}  // namespace
}  // namespace graft::server::intake
