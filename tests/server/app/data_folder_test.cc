#include "server/app/data_folder.h"

#include <fstream>

#include <gtest/gtest.h>

#include "common/base/file.h"

namespace graft::server::app {
namespace {

namespace fs = std::filesystem;

TEST(DataFolderTest, SecondServerIsKeptOut) {
  auto temp = TempFolder::Create();
  ASSERT_TRUE(temp.ok());
  const fs::path path = temp->path() / "data";
  {
    auto first = DataFolder::Open(path);
    ASSERT_TRUE(first.ok()) << first.status();

    auto second = DataFolder::Open(path);

    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  }
  EXPECT_TRUE(DataFolder::Open(path).ok()) << "the first is gone";
}

TEST(DataFolderTest, ServerKeepsItsName) {
  auto temp = TempFolder::Create();
  ASSERT_TRUE(temp.ok());
  std::string first;
  {
    auto data = DataFolder::Open(temp->path() / "data");
    ASSERT_TRUE(data.ok()) << data.status();
    first = data->server_id();
  }

  auto again = DataFolder::Open(temp->path() / "data");

  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->server_id(), first);
  EXPECT_NE(first, "");
}

TEST(DataFolderTest, FolderIsMadeForItsUserOnly) {
  auto temp = TempFolder::Create();
  ASSERT_TRUE(temp.ok());

  auto data = DataFolder::Open(temp->path() / "new/deep");

  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(fs::status(data->path()).permissions() & (fs::perms::group_all | fs::perms::others_all),
            fs::perms::none);
}

TEST(DataFolderTest, WhatAKilledServerWasWritingIsRemoved) {
  auto temp = TempFolder::Create();
  ASSERT_TRUE(temp.ok());
  const fs::path path = temp->path() / "data";
  const auto write = [&](const char* name) {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << "half";
    return path / name;
  };
  const fs::path left[] = {write("ports.json.tmp.12.1"), write("cache/abc.fingerprint.tmp.9.3")};
  const fs::path kept[] = {write("ports.json"), write("cache/abc.fingerprint"),
                           write("objects/tenants/a/b.tmp.1.1")};  // The object store's to judge.

  const auto data = DataFolder::Open(path);

  ASSERT_TRUE(data.ok()) << data.status();
  for (const fs::path& file : left) EXPECT_FALSE(fs::exists(file)) << file;
  for (const fs::path& file : kept) EXPECT_TRUE(fs::exists(file)) << file;
}

TEST(DataFolderTest, FileInItsPlaceIsAnError) {
  auto temp = TempFolder::Create();
  ASSERT_TRUE(temp.ok());
  std::ofstream(temp->path() / "data") << "x";

  EXPECT_FALSE(DataFolder::Open(temp->path() / "data").ok());
}

}  // namespace
}  // namespace graft::server::app
