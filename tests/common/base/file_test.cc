#include "common/base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/failpoint.h"
#include "tests/support/full_disk.h"

namespace graft {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FileTest : public testing::Test {
 protected:
  FileTest() : folder_(*TempFolder::Create("graft-file-test")) {}

  fs::path Path(const std::string& name) const { return folder_.path() / name; }
  static std::set<std::string> Names(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
    return names;
  }
  static void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

 private:
  TempFolder folder_;
};

using ReadFileTest = FileTest;

TEST_F(ReadFileTest, GivesAllBytes) {
  const std::string bytes("a\0\n\xFF", 4);
  Write(Path("file"), bytes);

  EXPECT_EQ(*ReadFile(Path("file")), bytes);
}

TEST_F(ReadFileTest, EmptyFileIsEmpty) {
  Write(Path("file"), "");

  EXPECT_EQ(*ReadFile(Path("file"), 0), "");
}

TEST_F(ReadFileTest, AbsentIsNotFound) {
  const Status status = ReadFile(Path("file")).status();

  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(Path("file").string()));
}

TEST_F(ReadFileTest, LimitIsInclusive) {
  Write(Path("file"), "12345");

  EXPECT_TRUE(ReadFile(Path("file"), 5).ok());
  EXPECT_EQ(ReadFile(Path("file"), 4).status().message(),
            Path("file").string() + " has 5 bytes, the limit is 4");
}

TEST_F(ReadFileTest, WhatIsNoFileIsRefusedWithoutHanging) {
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);

  for (const fs::path& path : {Path("pipe"), Path(""), fs::path("/dev/zero")}) {
    EXPECT_EQ(ReadFile(path).status().code(), StatusCode::kInvalidArgument) << path;
  }
  EXPECT_EQ(ReadFile(Path(std::string(300, 'x'))).status().code(), StatusCode::kInvalidArgument);
}

using WriteFileDurablyTest = FileTest;

TEST_F(WriteFileDurablyTest, ReplacesAndLeavesNothingElse) {
  ASSERT_TRUE(WriteFileDurably(Path("file"), "old").ok());
  ASSERT_TRUE(WriteFileDurably(Path("file"), "new").ok());

  EXPECT_EQ(*ReadFile(Path("file")), "new");
  EXPECT_THAT(Names(Path("")), ElementsAre("file"));
}

TEST_F(WriteFileDurablyTest, MakesMissingFolders) {
  ASSERT_TRUE(WriteFileDurably(Path("a/b/c/file"), "x").ok());

  EXPECT_EQ(*ReadFile(Path("a/b/c/file")), "x");
}

TEST_F(WriteFileDurablyTest, WritesLargeFilesWhole) {
  const std::string bytes((size_t{1} << 25) + 12345, 'x');

  ASSERT_TRUE(WriteFileDurably(Path("file"), bytes).ok());

  EXPECT_TRUE(*ReadFile(Path("file")) == bytes);
}

TEST_F(WriteFileDurablyTest, AFileSizeLimitIsAFullDiskAndKeepsTheOldContent) {
  ASSERT_TRUE(WriteFileDurably(Path("file"), "old").ok());

  Status status;
  {
    const FileSizeLimit limit(1000);
    status = WriteFileDurably(Path("file"), std::string(1001, 'x'));
  }

  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("free some space"));
  EXPECT_EQ(*ReadFile(Path("file")), "old");
  EXPECT_THAT(Names(Path("")), ElementsAre("file"));
}

TEST_F(WriteFileDurablyTest, AFullDiskKeepsTheOldContent) {
  const auto disk = TinyDisk::Mount(64 << 10);
  if (disk == nullptr) GTEST_SKIP() << "this process may not mount a tmpfs";
  ASSERT_TRUE(WriteFileDurably(disk->path() / "file", "old").ok());

  const Status status = WriteFileDurably(disk->path() / "file", std::string(1 << 20, 'x'));

  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(*ReadFile(disk->path() / "file"), "old");
  EXPECT_THAT(Names(disk->path()), ElementsAre("file"));
}

TEST_F(WriteFileDurablyTest, AFolderInTheWayIsAnErrorAndStays) {
  fs::create_directories(Path("place/inside"));

  EXPECT_EQ(WriteFileDurably(Path("place"), "x").code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Names(Path("")), ElementsAre("place"));
}

TEST_F(WriteFileDurablyTest, AFileWhereAFolderShouldBeIsAnError) {
  Write(Path("file"), "x");

  EXPECT_EQ(WriteFileDurably(Path("file/inner"), "y").code(), StatusCode::kFailedPrecondition);
  EXPECT_FALSE(WriteFileDurably(Path("file/deep/inner"), "y").ok());
  EXPECT_EQ(*ReadFile(Path("file")), "x");
}

TEST_F(WriteFileDurablyTest, ALeftoverOfAnEarlierProcessIsNotInTheWay) {
  const auto crash = [&](const char* failpoint) {
    if (!ArmFailpoints(failpoint).ok()) std::_Exit(4);
    (void)WriteFileDurably(Path("file"), "new");
    std::_Exit(5);
  };
  ASSERT_TRUE(WriteFileDurably(Path("file"), "old").ok());

  // The child was forked, so that its next temp file has the number of ours.
  EXPECT_EXIT(crash("file.before_rename=crash"), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EQ(*ReadFile(Path("file")), "old");
  EXPECT_EQ(Names(Path("")).size(), 2U);
  EXPECT_TRUE(WriteFileDurably(Path("file"), "newer").ok());
  EXPECT_EQ(*ReadFile(Path("file")), "newer");
}

TEST_F(WriteFileDurablyTest, AfterTheRenameTheNewContentIsThere) {
  const auto crash = [&] {
    if (!ArmFailpoints("file.after_rename=crash").ok()) std::_Exit(4);
    (void)WriteFileDurably(Path("file"), "new");
    std::_Exit(5);
  };

  EXPECT_EXIT(crash(), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EQ(*ReadFile(Path("file")), "new");
  EXPECT_THAT(Names(Path("")), ElementsAre("file"));
}

TEST_F(WriteFileDurablyTest, WritersOfOnePathDoNotMix) {
  std::vector<std::thread> writers;
  for (const char c : {'a', 'b', 'c', 'd'}) {
    writers.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(WriteFileDurably(Path("sub/file"), std::string(100'000, c)).ok());
        const std::string seen = *ReadFile(Path("sub/file"));
        EXPECT_EQ(seen, std::string(100'000, seen[0]));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();

  EXPECT_THAT(Names(Path("sub")), ElementsAre("file"));
}

using RenameDurablyTest = FileTest;

TEST_F(RenameDurablyTest, MovesBetweenFolders) {
  ASSERT_TRUE(WriteFileDurably(Path("a/file"), "x").ok());
  ASSERT_TRUE(CreateFoldersDurably(Path("b")).ok());

  ASSERT_TRUE(RenameDurably(Path("a/file"), Path("b/other")).ok());

  EXPECT_THAT(Names(Path("a")), IsEmpty());
  EXPECT_EQ(*ReadFile(Path("b/other")), "x");
}

TEST_F(RenameDurablyTest, NothingToMoveIsNotFound) {
  EXPECT_EQ(RenameDurably(Path("none"), Path("b")).code(), StatusCode::kNotFound);
}

using FoldersTest = FileTest;

TEST_F(FoldersTest, AreMadeOnceAndAgain) {
  EXPECT_TRUE(CreateFoldersDurably(Path("a/b/c")).ok());
  EXPECT_TRUE(CreateFoldersDurably(Path("a/b/c")).ok());
  EXPECT_TRUE(CreateFoldersDurably(Path("a/b/d/")).ok());

  EXPECT_THAT(Names(Path("a/b")), ElementsAre("c", "d"));
}

TEST_F(FoldersTest, SyncOfAnAbsentFolderIsNotFound) {
  EXPECT_TRUE(SyncFolder(Path("")).ok());
  EXPECT_TRUE(SyncFolder("").ok());
  EXPECT_EQ(SyncFolder(Path("none")).code(), StatusCode::kNotFound);
}

TEST(ErrnoToStatusTest, GivesTheCodeAUserCanActOn) {
  const struct {
    int error;
    StatusCode code;
  } kCases[] = {
      {ENOENT, StatusCode::kNotFound},
      {ENOTDIR, StatusCode::kNotFound},
      {EACCES, StatusCode::kPermissionDenied},
      {EPERM, StatusCode::kPermissionDenied},
      {EROFS, StatusCode::kPermissionDenied},
      {ELOOP, StatusCode::kPermissionDenied},
      {ENOSPC, StatusCode::kResourceExhausted},
      {EDQUOT, StatusCode::kResourceExhausted},
      {EFBIG, StatusCode::kResourceExhausted},
      {EMFILE, StatusCode::kResourceExhausted},
      {ENFILE, StatusCode::kResourceExhausted},
      {ENOMEM, StatusCode::kResourceExhausted},
      {EISDIR, StatusCode::kInvalidArgument},
      {EEXIST, StatusCode::kAlreadyExists},
      {ENAMETOOLONG, StatusCode::kInvalidArgument},
      {EIO, StatusCode::kInternal},
  };
  for (const auto& [error, code] : kCases) {
    const Status status = ErrnoToStatus(error, "open x");
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(status.message(), HasSubstr("open x: "));
  }
}

class IsInsideTest : public FileTest {
 protected:
  IsInsideTest() {
    fs::create_directories(Root() / "sub");
    fs::create_directories(Path("root-other"));
    Write(Root() / "sub/file", "x");
    Write(Path("secret"), "x");
  }
  fs::path Root() const { return Path("root"); }
};

TEST_F(IsInsideTest, WhatLiesBelowIsInside) {
  for (const char* path : {"sub", "sub/file", "sub/none", "none/at/all", "sub/../sub/file", "."}) {
    EXPECT_TRUE(IsInside(Root() / path, Root())) << path;
  }
  EXPECT_TRUE(IsInside(Root(), Root()));
  EXPECT_TRUE(IsInside(Root() / "sub/file", Path("root/")));
  EXPECT_TRUE(IsInside(Root() / "sub/file", Path("root/sub/..")));
}

TEST_F(IsInsideTest, DotsDoNotLeadOut) {
  for (const char* path : {"..", "../secret", "sub/../../secret", "none/../../secret",
                           "../root-other", "../root/../secret"}) {
    EXPECT_FALSE(IsInside(Root() / path, Root())) << path;
  }
}

TEST_F(IsInsideTest, ANameThatOnlyBeginsLikeTheRootIsOutside) {
  EXPECT_FALSE(IsInside(Path("root-other/file"), Root()));
}

TEST_F(IsInsideTest, LinksAreFollowedInBothDirections) {
  fs::create_symlink(Path("secret"), Root() / "out");
  fs::create_symlink("../root-other", Root() / "folder");
  fs::create_symlink("sub/file", Root() / "in");
  fs::create_symlink(Root(), Path("alias"));
  fs::create_symlink(Root() / "sub", Path("root-other/back"));

  EXPECT_FALSE(IsInside(Root() / "out", Root()));
  EXPECT_FALSE(IsInside(Root() / "folder/file", Root()));
  EXPECT_TRUE(IsInside(Root() / "in", Root()));
  EXPECT_TRUE(IsInside(Path("alias/sub/file"), Root()));
  EXPECT_TRUE(IsInside(Root() / "sub", Path("alias")));
  EXPECT_TRUE(IsInside(Path("root-other/back/file"), Root()));
}

TEST_F(IsInsideTest, DotsAfterALinkCountFromWhereItLeads) {
  fs::create_symlink(Path("root-other"), Root() / "link");

  EXPECT_FALSE(IsInside(Root() / "link/../secret", Root()));
}

// open(O_CREAT) would make the file that it points to.
TEST_F(IsInsideTest, ADanglingLinkIsJudgedByItsTarget) {
  fs::create_symlink(Path("not-yet"), Root() / "dangling");
  fs::create_symlink("sub/not-yet", Root() / "harmless");

  EXPECT_FALSE(IsInside(Root() / "dangling", Root()));
  EXPECT_TRUE(IsInside(Root() / "harmless", Root()));
}

TEST_F(IsInsideTest, CirclesOfLinksAndEmptyPathsAreOutside) {
  fs::create_symlink("b", Root() / "a");
  fs::create_symlink("a", Root() / "b");

  EXPECT_FALSE(IsInside(Root() / "a", Root()));
  EXPECT_FALSE(IsInside("", Root()));
  EXPECT_FALSE(IsInside(Path("secret"), ""));
}

TEST(TempFolderTest, GoesAwayWithAllThatIsInIt) {
  fs::path path;
  {
    const TempFolder folder = *TempFolder::Create("graft-temp-folder-test");
    path = folder.path();
    ASSERT_TRUE(WriteFileDurably(path / "a/b", "x").ok());
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700U);
  }

  EXPECT_FALSE(fs::exists(path));
}

TEST(TempFolderTest, MovingKeepsTheFolder) {
  TempFolder first = *TempFolder::Create();
  const fs::path path = first.path();

  const TempFolder second = std::move(first);

  EXPECT_EQ(second.path(), path);
  EXPECT_TRUE(fs::exists(path));
}

}  // namespace
}  // namespace graft
