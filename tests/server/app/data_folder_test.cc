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

TEST(DataFolderTest, FileInItsPlaceIsAnError) {
  auto temp = TempFolder::Create();
  ASSERT_TRUE(temp.ok());
  std::ofstream(temp->path() / "data") << "x";

  EXPECT_FALSE(DataFolder::Open(temp->path() / "data").ok());
}

}  // namespace
}  // namespace graft::server::app
