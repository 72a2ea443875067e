#include "common/objects/local_object_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "tests/support/full_disk.h"

namespace graft::objects {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class LocalObjectStoreTest : public testing::Test {
 protected:
  std::unique_ptr<ObjectStore> Open(const fs::path& root) {
    auto store = LocalObjectStore::Open(root);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::unique_ptr<ObjectStore> Open() { return Open(root()); }
  static std::vector<std::string> Files(const fs::path& root) {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      files.push_back(entry.path().lexically_relative(root).string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  fs::path root() const { return folder_.path() / "data" / "objects"; }
  fs::path outside() const { return folder_.path(); }

 private:
  TempFolder folder_ = *TempFolder::Create("graft-objects");
};

TEST_F(LocalObjectStoreTest, ObjectsOutliveTheStore) {
  ASSERT_TRUE(Open()->Put("a/b", "1").ok());

  EXPECT_EQ(*Open()->Get("a/b"), "1");
  EXPECT_THAT(*Open()->List("", "", 10), ElementsAre("a/b"));
}

TEST_F(LocalObjectStoreTest, ObjectsAreFilesAndNothingElseStays) {
  const auto store = Open();
  ASSERT_TRUE(store->Put("a/b", "1").ok());
  const auto writer = store->OpenWriter("c/d/e");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Commit().ok());
  EXPECT_THAT(Files(root()), ElementsAre(".tmp", "a", "a/b", "c", "c/d", "c/d/e"));

  ASSERT_TRUE(store->Delete("c/d/e").ok());
  ASSERT_TRUE(store->Delete("a/b").ok());

  EXPECT_THAT(Files(root()), ElementsAre(".tmp"));
}

TEST_F(LocalObjectStoreTest, ALinkIsNoObject) {
  const auto store = Open();
  ASSERT_TRUE(WriteFileDurably(outside() / "secret", "secret").ok());
  ASSERT_TRUE(WriteFileDurably(outside() / "secrets" / "a", "secret").ok());
  fs::create_symlink(outside() / "secret", root() / "link");
  fs::create_symlink(outside() / "secrets", root() / "folder");

  EXPECT_EQ(store->Get("link").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store->ReadRange("link", 0, 9).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store->Stat("link").status().code(), StatusCode::kNotFound);
  EXPECT_THAT(*store->List("", "", 10), IsEmpty());
  ASSERT_TRUE(store->Put("link", "mine").ok());
  EXPECT_EQ(*store->Get("link"), "mine");
  EXPECT_EQ(*ReadFile(outside() / "secret"), "secret");
  EXPECT_EQ(store->Put("folder/a", "mine").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(*ReadFile(outside() / "secrets" / "a"), "secret");
}

TEST_F(LocalObjectStoreTest, ReopeningRemovesOnlyOldTemporaryFiles) {
  const auto store = Open();
  ASSERT_TRUE(store->Put("a/b", "1").ok());
  const std::vector<fs::path> temporary = {root() / ".tmp" / "7.1", root() / "a" / "b.tmp.7.1"};
  const auto put_all = [&](std::chrono::minutes age) {
    for (const fs::path& path : temporary) {
      ASSERT_TRUE(WriteFileDurably(path, "half").ok());
      fs::last_write_time(path, fs::file_time_type::clock::now() - age);
    }
    fs::last_write_time(root() / "a" / "b", fs::file_time_type::clock::now() - age);
  };

  put_all(std::chrono::minutes(55));
  EXPECT_THAT(*Open()->List("", "", 10), ElementsAre("a/b"));
  EXPECT_TRUE(fs::exists(temporary[0]) && fs::exists(temporary[1]));
  put_all(std::chrono::minutes(65));
  EXPECT_THAT(*Open()->List("", "", 10), ElementsAre("a/b"));

  EXPECT_THAT(Files(root()), ElementsAre(".tmp", "a", "a/b"));
}

TEST_F(LocalObjectStoreTest, AnEmptyFolderThatACrashLeftIsInNobodysWay) {
  fs::create_directories(root() / "a" / "b");
  const auto store = Open();

  ASSERT_TRUE(store->Put("a/b", "1").ok());

  EXPECT_EQ(*store->Get("a/b"), "1");
}

TEST_F(LocalObjectStoreTest, AnotherContainersWriterOfTheSameProcessIdIsLeftAlone) {
  const auto store = Open();
  const auto first = store->OpenWriter("first");
  ASSERT_TRUE(first.ok());
  const fs::path temp = fs::directory_iterator(root() / ".tmp")->path();
  const int counter = std::stoi(temp.extension().string().substr(1));
  const fs::path next =
      root() / ".tmp" / (std::to_string(::getpid()) + "." + std::to_string(counter + 1));
  ASSERT_TRUE(WriteFileDurably(next, "theirs").ok());

  const auto second = store->OpenWriter("second");
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_TRUE((*second)->Write("mine").ok());
  ASSERT_TRUE((*second)->Commit().ok());

  EXPECT_EQ(*store->Get("second"), "mine");
  EXPECT_EQ(*ReadFile(next), "theirs");
}

TEST_F(LocalObjectStoreTest, AFileInTheFoldersPlaceIsRefused) {
  ASSERT_TRUE(WriteFileDurably(outside() / "file", "").ok());

  const auto store = LocalObjectStore::Open(outside() / "file" / "objects");

  ASSERT_FALSE(store.ok());
  EXPECT_THAT(store.status().message(), testing::HasSubstr((outside() / "file").string()));
}

/// Runs out of space and shows that nothing of it stays.
void ExpectNothingHalfWritten(ObjectStore& store, const fs::path& root, const std::string& large) {
  const Status put = store.Put("new/large", large);
  const Status replaced = store.Put("old", large);
  Status written, committed, committed_elsewhere, written_after;
  {
    const auto writer = store.OpenWriter("old");
    ASSERT_TRUE(writer.ok()) << writer.status();
    written = (*writer)->Write(large);
    written_after = (*writer)->Write("x");
    committed = (*writer)->Commit();
    committed_elsewhere = (*writer)->CommitAs("other");
  }
  for (const Status& status :
       {put, replaced, written, written_after, committed, committed_elsewhere}) {
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
  }
  EXPECT_EQ(store.Get("new/large").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(*store.Get("old"), "old bytes");
  EXPECT_THAT(*store.List("", "", 10), ElementsAre("old"));
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    EXPECT_TRUE(entry.is_directory() || entry.path() == root / "old") << entry.path();
  }
}

TEST_F(LocalObjectStoreTest, AFileSizeLimitLeavesNothingHalfWritten) {
  const auto store = Open();
  ASSERT_TRUE(store->Put("old", "old bytes").ok());
  {
    const FileSizeLimit limit(1 << 20);
    ExpectNothingHalfWritten(*store, root(), std::string(3 << 20, 'x'));
  }
  EXPECT_TRUE(store->Put("new/large", std::string(3 << 20, 'x')).ok());
}

TEST_F(LocalObjectStoreTest, AFullDiskLeavesNothingHalfWritten) {
  const auto disk = TinyDisk::Mount(1 << 20);
  if (disk == nullptr) GTEST_SKIP() << "this process may not mount a file system";
  const fs::path root = disk->path() / "objects";
  const auto store = Open(root);
  ASSERT_TRUE(store->Put("old", "old bytes").ok());

  ExpectNothingHalfWritten(*store, root, std::string(3 << 20, 'x'));

  EXPECT_TRUE(store->Put("new/small", std::string(1 << 10, 'x')).ok());
}

}  // namespace
}  // namespace graft::objects
