#include "server/intake/dataset_source.h"

#include <sys/stat.h>

#include <fstream>
#include <optional>

#include <gtest/gtest.h>

#include "common/base/file.h"
#include "common/objects/memory_object_store.h"

namespace graft::server::intake {
namespace {

namespace fs = std::filesystem;

class DatasetSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TempFolder::Create();
    ASSERT_TRUE(folder.ok());
    folder_.emplace(std::move(*folder));
    fs::create_directories(folder_->path() / "data/inner");
    sources_.emplace(std::vector{folder_->path() / "data"}, objects_);
  }
  fs::path Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_->path() / name) << text;
    return folder_->path() / name;
  }
  StatusOr<datasets::SourceFile> Resolve(const std::string& name) {
    return sources_->Resolve("default", "file://" + (folder_->path() / "data" / name).string(),
                             "dataset.train");
  }
  static std::string ReadAll(const datasets::SourceFile& file) {
    auto source = file.open();
    EXPECT_TRUE(source.ok()) << source.status();
    std::string text;
    for (char buffer[4];;) {
      const auto count = (*source)->Read(buffer, sizeof buffer);
      EXPECT_TRUE(count.ok()) << count.status();
      if (!count.ok() || *count == 0) return text;
      text.append(buffer, *count);
    }
  }

  std::optional<TempFolder> folder_;
  objects::MemoryObjectStore objects_;
  std::optional<DatasetSources> sources_;
};

TEST_F(DatasetSourceTest, AFileIsReadFromItsStartEachTime) {
  Write("data/train.csv", "text,label\n");

  const auto file = Resolve("train.csv");

  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->name, "train.csv");
  EXPECT_EQ(ReadAll(*file), "text,label\n");
  EXPECT_EQ(ReadAll(*file), "text,label\n");
}

TEST_F(DatasetSourceTest, ALinkThatIsSwappedInBehindTheCheckLeadsNowhere) {
  const fs::path secret = Write("secret.csv", "secret");
  const fs::path file = Write("data/train.csv", "harmless");
  Write("data/inner/train.csv", "harmless");
  const auto by_file = Resolve("train.csv");
  const auto by_folder = Resolve("inner/train.csv");
  ASSERT_TRUE(by_file.ok() && by_folder.ok());

  fs::remove(file);
  fs::create_symlink(secret, file);
  fs::remove_all(folder_->path() / "data/inner");
  fs::create_directory(folder_->path() / "outer");
  Write("outer/train.csv", "secret");
  fs::create_directory_symlink(folder_->path() / "outer", folder_->path() / "data/inner");

  EXPECT_EQ(ReadAll(*by_file), "harmless");
  EXPECT_EQ(ReadAll(*by_folder), "harmless");
  EXPECT_EQ(Resolve("train.csv").status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(Resolve("inner/train.csv").status().code(), StatusCode::kPermissionDenied);
}

TEST_F(DatasetSourceTest, LinksBetweenRootsAndRootsThatAreLinksWork) {
  fs::create_directory(folder_->path() / "more");
  const fs::path file = Write("more/train.csv", "text");
  fs::create_symlink(file, folder_->path() / "data/link.csv");
  fs::create_directory_symlink(folder_->path() / "more", folder_->path() / "root");
  sources_.emplace(std::vector{folder_->path() / "data", folder_->path() / "root"}, objects_);

  const auto linked = Resolve("link.csv");

  ASSERT_TRUE(linked.ok()) << linked.status();
  EXPECT_EQ(ReadAll(*linked), "text");
}

TEST_F(DatasetSourceTest, WhatIsNoRegularFileIsRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo((folder_->path() / "data/pipe.csv").c_str(), 0600), 0);

  EXPECT_EQ(Resolve("pipe.csv").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Resolve("inner").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Resolve("absent.csv").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Resolve("inner/absent/x.csv").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace graft::server::intake
