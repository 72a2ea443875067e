#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>

#include "common/objects/object_store.h"
#include "tests/common/objects/stores.h"

namespace graft::objects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ObjectListTest : public ConformanceTest {
 protected:
  void PutAll(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) Put(key, "1");
  }
};
INSTANTIATE_TEST_SUITE_P(, ObjectListTest, testing::ValuesIn(kStoreKinds), StoreName);

TEST_P(ObjectListTest, AnEmptyStoreHasNoKeys) {
  EXPECT_THAT(List(), IsEmpty());
  EXPECT_THAT(List("a/b/"), IsEmpty());
  EXPECT_THAT(List("", "", 0), IsEmpty());
}

TEST_P(ObjectListTest, KeysComeInTheOrderOfTheirBytes) {
  // '-' sorts before '/', so a folder's keys don't stand together.
  PutAll({"a/b", "a-b", "a.b", "B", "a0", "a/a/a", "a/a-a", "b"});

  EXPECT_THAT(List(), ElementsAre("B", "a-b", "a.b", "a/a-a", "a/a/a", "a/b", "a0", "b"));
}

TEST_P(ObjectListTest, APrefixNeedntGoToAFoldersEnd) {
  PutAll({"job/1/a", "job/10/a", "job/2/a", "jo", "other"});

  EXPECT_THAT(List("job/1"), ElementsAre("job/1/a", "job/10/a"));
  EXPECT_THAT(List("job/1/"), ElementsAre("job/1/a"));
  EXPECT_THAT(List("job/1/a"), ElementsAre("job/1/a"));
  EXPECT_THAT(List("jo"), ElementsAre("jo", "job/1/a", "job/10/a", "job/2/a"));
  EXPECT_THAT(List("job/1/a/"), IsEmpty());
  EXPECT_THAT(List("x"), IsEmpty());
}

TEST_P(ObjectListTest, PagesJoinToTheWhole) {
  PutAll({"a/1", "a/2/x", "a/2/y", "a/3", "a-1", "b/1", "b/2"});
  const std::vector<std::string> whole = List();
  for (const size_t limit : {1u, 2u, 3u, 7u, 8u}) {
    std::vector<std::string> joined;
    for (;;) {
      const auto page = List("", joined.empty() ? "" : joined.back(), limit);
      if (page.empty()) break;
      EXPECT_LE(page.size(), limit);
      joined.insert(joined.end(), page.begin(), page.end());
      ASSERT_LE(joined.size(), whole.size());
    }
    EXPECT_EQ(joined, whole) << limit;
  }
}

TEST_P(ObjectListTest, AfterNeedntBeAKey) {
  PutAll({"a/1", "a/2/x", "a/3"});

  EXPECT_THAT(List("a/", "a/2"), ElementsAre("a/2/x", "a/3"));
  EXPECT_THAT(List("a/", "a/2/x"), ElementsAre("a/3"));
  EXPECT_THAT(List("a/", "a/2~"), ElementsAre("a/3"));
  EXPECT_THAT(List("a/", "a"), ElementsAre("a/1", "a/2/x", "a/3"));
  EXPECT_THAT(List("a/", "b"), IsEmpty());
}

TEST_P(ObjectListTest, APrefixDoesntEscape) {
  Put("a/b", "1");

  for (const char* prefix :
       {"../", "..", "/", "/etc/", "a/../", "a/./b", "a//", "./", ".tmp/", "a/b/../../../"}) {
    EXPECT_THAT(List(prefix), IsEmpty()) << prefix;
  }
}

TEST_P(ObjectListTest, DeletedKeysAreGone) {
  PutAll({"a/1", "a/2"});
  ASSERT_TRUE(store().Delete("a/1").ok());

  EXPECT_THAT(List(), ElementsAre("a/2"));
}

TEST_P(ObjectListTest, KeysBesideAChangingFolderAreNeverLeftOut) {
  PutAll({"a/1", "m/0/1", "z/1"});
  Status churned;
  std::thread thread([&] {
    for (int i = 0; i < 40 && churned.ok(); ++i) {
      churned = store().Put("m/" + std::to_string(i % 7) + "/x/y", "1");
      if (churned.ok()) churned = store().Delete("m/" + std::to_string(i % 7) + "/x/y");
    }
  });
  int left_out = 0;
  for (int i = 0; i < 200; ++i) {
    const auto keys = List();
    for (const char* key : {"a/1", "m/0/1", "z/1"}) {
      left_out += std::count(keys.begin(), keys.end(), key) != 1;
    }
  }
  thread.join();

  EXPECT_TRUE(churned.ok()) << churned;
  EXPECT_EQ(left_out, 0);
}

TEST_P(ObjectListTest, ListAllRefusesMoreThanItsLimit) {
  PutAll({"a/1", "a/2", "a/3", "b/1"});

  EXPECT_THAT(*ListAll(store(), "a/", 3), ElementsAre("a/1", "a/2", "a/3"));
  const Status refused = ListAll(store(), "a/", 2).status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.message(), HasSubstr("more than 2 objects under a/"));
}

TEST_P(ObjectListTest, DeleteAllTakesWhatIsBelowAPrefix) {
  PutAll({"jobs/1/a", "jobs/10/a", "other/a"});
  // More than one page of the deletion; a file each is slow and shows no more.
  const int num_objects = std::string_view(GetParam().name) == "Memory" ? 1005 : 5;
  for (int i = 0; i < num_objects; ++i) Put("jobs/1/many/" + std::to_string(i), "");

  ASSERT_TRUE(DeleteAll(store(), "jobs/1/").ok());
  ASSERT_TRUE(DeleteAll(store(), "jobs/none/").ok());

  EXPECT_THAT(List(), ElementsAre("jobs/10/a", "other/a"));
}

}  // namespace
}  // namespace graft::objects
