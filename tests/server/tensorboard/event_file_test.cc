#include "server/tensorboard/event_file.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "common/base/file.h"
#include "server/tensorboard/record.h"
#include "tests/support/full_disk.h"

namespace graft::server::tensorboard {
namespace {

class EventFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_.emplace(*TempFolder::Create());
    path_ = folder_->path() / "adapter" / "job" / "events";
  }
  static void Write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  std::string Text() { return *ReadFile(path_, 1 << 24); }
  static std::string Record(int64_t number) {
    return Framed(
        Encode({.wall_time = 1, .step = number, .scalars = {{"a", 1}}, .number = number}));
  }
  EventFile Open() {
    auto file = OpenEventFile(path_, 5);
    EXPECT_TRUE(file.ok()) << file.status();
    return *file;
  }
  /// A file with the events 2 and 4; returns its text.
  std::string Make() {
    EventFile file = Open();
    EXPECT_TRUE(Append(file, Record(2) + Record(4), 4, false).ok());
    return Text();
  }

  const std::string version_ = Framed(EncodeVersion(5));
  std::optional<TempFolder> folder_;
  std::filesystem::path path_;
};

TEST_F(EventFileTest, ANewFileHasItsVersionAndFolders) {
  const EventFile file = Open();

  EXPECT_EQ(file.last_number, 0);
  EXPECT_EQ(Text(), version_);
}

TEST_F(EventFileTest, AFileIsContinuedBehindItsLastEvent) {
  Make();

  EventFile file = Open();
  EXPECT_EQ(file.last_number, 4);
  ASSERT_TRUE(Append(file, Record(5), 5, true).ok());

  EXPECT_EQ(Text(), version_ + Record(2) + Record(4) + Record(5));
  EXPECT_EQ(Open().last_number, 5);
}

TEST_F(EventFileTest, ATornTailIsCutOffWhereverItWasTorn) {
  const std::string whole = Make();
  const size_t second = version_.size() + Record(2).size();
  for (size_t size = 0; size < whole.size(); ++size) {
    Write(path_, whole.substr(0, size));

    const EventFile file = Open();

    EXPECT_EQ(file.last_number, size < second ? 0 : 2) << size;
    EXPECT_EQ(Text(), size < second ? version_ : whole.substr(0, second)) << size;
    EXPECT_EQ(file.size, static_cast<int64_t>(Text().size()));
  }
}

TEST_F(EventFileTest, WhatFollowsADamagedRecordIsCutOff) {
  std::string text = Make();
  text[version_.size() + Record(2).size() + 15] ^= 1;
  Write(path_, text + Record(6));

  EXPECT_EQ(Open().last_number, 2);
  EXPECT_EQ(Text(), version_ + Record(2));
}

TEST_F(EventFileTest, AnotherProgramsFileIsBegunAnew) {
  for (const std::string& text : {std::string("notes"), Record(3), std::string(5 << 20, '\0')}) {
    Write(path_, text);

    EXPECT_EQ(Open().last_number, 0);
    EXPECT_EQ(Text(), version_);
  }
}

TEST_F(EventFileTest, LargeFilesAreReadWhole) {
  EventFile file = Open();
  std::string records;
  for (int64_t i = 1; i <= 50'000; ++i) records += Record(i);
  ASSERT_TRUE(Append(file, records, 50'000, false).ok());

  const EventFile again = Open();

  EXPECT_EQ(again.last_number, 50'000);
  EXPECT_EQ(again.size, static_cast<int64_t>(version_.size() + records.size()));
}

TEST_F(EventFileTest, AFullDiskLeavesTheFileAsItWas) {
  const std::string whole = Make();
  EventFile file = Open();
  {
    const FileSizeLimit limit(whole.size() + 10);
    EXPECT_EQ(Append(file, Record(5) + Record(6), 6, false).code(), StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(Text(), whole);

  EXPECT_TRUE(Append(file, Record(5) + Record(6), 6, false).ok());
  EXPECT_EQ(Open().last_number, 6);
}

TEST_F(EventFileTest, AFileThatSomebodyChangedIsNotAppendedTo) {
  Make();
  EventFile file = Open();
  Write(path_, Text() + Record(5));

  EXPECT_EQ(Append(file, Record(5), 5, false).code(), StatusCode::kAborted);
  EXPECT_EQ(Open().last_number, 5);
}

TEST_F(EventFileTest, AnEndIsSeenWithoutReadingTheRest) {
  const Event end{.wall_time = 9, .step = 3, .scalars = {}, .number = 8};
  EXPECT_FALSE(EndsWith(path_, end));
  Make();
  EventFile file = Open();
  EXPECT_FALSE(EndsWith(path_, end));

  ASSERT_TRUE(Append(file, Framed(Encode(end)), 8, true).ok());

  EXPECT_TRUE(EndsWith(path_, end));
  EXPECT_FALSE(EndsWith(path_, {.wall_time = 9, .step = 3, .scalars = {}, .number = 9}));
}

TEST_F(EventFileTest, AFolderThatCannotBeMadeIsAnError) {
  Write(folder_->path() / "file", "x");

  EXPECT_FALSE(PrepareFolder(folder_->path() / "file" / "below").ok());
  EXPECT_FALSE(PrepareFolder("/proc/self/nothing").ok());
  EXPECT_TRUE(PrepareFolder(folder_->path() / "a" / "b").ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder_->path() / "a" / "b"));
}

}  // namespace
}  // namespace graft::server::tensorboard
