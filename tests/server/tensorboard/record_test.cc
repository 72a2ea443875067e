#include "server/tensorboard/record.h"

#include <string>

#include <gtest/gtest.h>

#include "hex.h"

namespace graft::server::tensorboard {
namespace {

TEST(RecordTest, AFrameIsTensorFlows) {
  // Length, its checksum, the bytes, their checksum; computed by another program.
  EXPECT_EQ(Hex(Framed("abc")), "0300000000000000b099490e6162636e57f121");
  EXPECT_EQ(Hex(Framed("")), "000000000000000029039807d8ea82a2");
}

TEST(RecordTest, WhatWasFramedIsReadInOrder) {
  const std::string text = Framed("one") + Framed("") + Framed(std::string(100'000, 'x'));
  size_t offset = 0;

  EXPECT_EQ(NextRecord(text, offset), "one");
  EXPECT_EQ(NextRecord(text, offset), "");
  EXPECT_EQ(NextRecord(text, offset), std::string(100'000, 'x'));
  EXPECT_EQ(offset, text.size());
  EXPECT_FALSE(NextRecord(text, offset));
}

TEST(RecordTest, AFrameThatIsCutAnywhereIsNone) {
  const std::string whole = Framed("one") + Framed("another");
  const size_t second = Framed("one").size();
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string text = whole.substr(0, size);
    size_t offset = 0;

    const bool has_first = NextRecord(text, offset).has_value();

    EXPECT_EQ(has_first, size >= second) << size;
    EXPECT_FALSE(NextRecord(text, offset)) << size;
    EXPECT_EQ(offset, has_first ? second : 0) << size;
  }
}

TEST(RecordTest, AFrameWithAnyByteChangedIsNone) {
  const std::string whole = Framed("some data");
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string text = whole;
    text[i] = static_cast<char>(text[i] ^ 0x40);
    size_t offset = 0;

    EXPECT_FALSE(NextRecord(text, offset)) << i;
    EXPECT_EQ(offset, 0U);
  }
}

}  // namespace
}  // namespace graft::server::tensorboard
