#include "server/supervisor/socket_path.h"

#include <fstream>

#include <gtest/gtest.h>

namespace graft::server::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr fs::perms kOthers = fs::perms::group_all | fs::perms::others_all;

TEST(SocketPathTest, LiesInAFolderThatOnlyItsUserCanEnter) {
  auto data = TempFolder::Create();
  ASSERT_TRUE(data.ok());

  auto place = PrepareSocket(data->path());

  ASSERT_TRUE(place.ok()) << place.status();
  EXPECT_EQ(place->path, fs::absolute(data->path()) / "run/server.sock");
  EXPECT_EQ(fs::status(place->path.parent_path()).permissions() & kOthers, fs::perms::none);
  EXPECT_FALSE(place->fallback.has_value());
}

TEST(SocketPathTest, DeadServersSocketIsRemoved) {
  auto data = TempFolder::Create();
  ASSERT_TRUE(data.ok());
  fs::create_directories(data->path() / "run");
  std::ofstream(data->path() / "run/server.sock") << "old";

  auto place = PrepareSocket(data->path());

  ASSERT_TRUE(place.ok()) << place.status();
  EXPECT_FALSE(fs::exists(place->path));
}

TEST(SocketPathTest, LongDataFolderFallsBackToAShortPrivatePath) {
  auto data = TempFolder::Create();
  ASSERT_TRUE(data.ok());
  const fs::path deep = data->path() / std::string(60, 'a') / std::string(60, 'b');
  fs::path socket;
  {
    auto place = PrepareSocket(deep);

    ASSERT_TRUE(place.ok()) << place.status();
    socket = place->path;
    EXPECT_LE(socket.string().size(), kMaxSocketPath);
    EXPECT_EQ(fs::status(socket.parent_path()).permissions() & kOthers, fs::perms::none);
  }
  EXPECT_FALSE(fs::exists(socket.parent_path()));
}

TEST(SocketPathTest, UnusableDataFolderIsAnError) {
  auto data = TempFolder::Create();
  ASSERT_TRUE(data.ok());
  std::ofstream(data->path() / "run") << "a file";

  EXPECT_FALSE(PrepareSocket(data->path()).ok());
}

}  // namespace
}  // namespace graft::server::supervisor
