#include "common/artifacts/floats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace graft::artifacts {
namespace {

uint16_t Word(const char* dtype, float value) {
  const auto bytes = FromFloats(dtype, {value});
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  uint16_t word = 0;
  std::memcpy(&word, bytes->data(), sizeof(word));
  return word;
}

TEST(FloatsTest, EveryHalfAndBfloatComesBack) {
  for (const char* dtype : {"F16", "BF16"}) {
    for (int i = 0; i < 0x10000; ++i) {
      const auto word = static_cast<uint16_t>(i);
      const std::string bytes(reinterpret_cast<const char*>(&word), sizeof(word));
      const auto values = ToFloats(dtype, bytes);
      ASSERT_TRUE(values.ok());
      if (std::isnan(values->front())) {
        EXPECT_TRUE(std::isnan(ToFloats(dtype, *FromFloats(dtype, *values))->front()));
      } else {
        EXPECT_EQ(*FromFloats(dtype, *values), bytes) << dtype << " " << i;
      }
    }
  }
}

TEST(FloatsTest, KnownHalves) {
  EXPECT_EQ(Word("F16", 1.0F), 0x3C00);
  EXPECT_EQ(Word("F16", -2.0F), 0xC000);
  EXPECT_EQ(Word("F16", 65504.0F), 0x7BFF);
  EXPECT_EQ(Word("F16", 65519.0F), 0x7BFF);
  EXPECT_EQ(Word("F16", 65520.0F), 0x7C00) << "rounds to an infinity";
  EXPECT_EQ(Word("F16", 0x1p-24F), 0x0001);
  EXPECT_EQ(Word("F16", 0x1p-14F), 0x0400);
  EXPECT_EQ(Word("F16", 0x1p-26F), 0x0000);
}

TEST(FloatsTest, TiesGoToTheEvenNeighbour) {
  EXPECT_EQ(Word("F16", 1.0F + 0x1p-11F), 0x3C00);
  EXPECT_EQ(Word("F16", 1.0F + 0x1.8p-10F), 0x3C02);
  EXPECT_EQ(Word("BF16", 1.0F + 0x1p-8F), 0x3F80);
  EXPECT_EQ(Word("BF16", 1.0F + 0x1.8p-7F), 0x3F82);
}

TEST(FloatsTest, OtherTypesAreRefused) {
  EXPECT_EQ(ToFloats("I32", "abcd").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FromFloats("U8", {1}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace graft::artifacts
