#include "common/base/file_writer.h"

#include <gtest/gtest.h>

#include "common/base/file.h"

namespace graft {
namespace {

namespace fs = std::filesystem;

class FileWriterTest : public testing::Test {
 protected:
  FileWriterTest() : folder_(*TempFolder::Create()), path_(folder_.path() / "in" / "file") {}

  size_t NumFiles() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path_.parent_path()), {}));
  }

  TempFolder folder_;
  fs::path path_;
};

TEST_F(FileWriterTest, PartsBecomeOneFileOnceItIsFinished) {
  auto writer = FileWriter::Open(path_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Append("one ").ok());
  ASSERT_TRUE(writer->Append("").ok());
  ASSERT_TRUE(writer->Append("two").ok());
  EXPECT_FALSE(fs::exists(path_));

  EXPECT_EQ(writer->Finish(), OkStatus());

  EXPECT_EQ(*ReadFile(path_), "one two");
  EXPECT_EQ(NumFiles(), 1U);
}

TEST_F(FileWriterTest, WhatIsNotFinishedLeavesTheOldFileAlone) {
  ASSERT_TRUE(WriteFileDurably(path_, "old").ok());
  {
    FileWriter writer = *FileWriter::Open(path_);
    ASSERT_TRUE(writer.Append("new").ok());
    const FileWriter moved = std::move(writer);
    EXPECT_EQ(NumFiles(), 2U);
  }

  EXPECT_EQ(*ReadFile(path_), "old");
  EXPECT_EQ(NumFiles(), 1U);
}

TEST_F(FileWriterTest, APlaceThatCannotBeWrittenIsRefusedAtOnce) {
  ASSERT_TRUE(WriteFileDurably(path_, "a file, no folder").ok());

  EXPECT_FALSE(FileWriter::Open(path_ / "file").ok());
}

}  // namespace
}  // namespace graft
